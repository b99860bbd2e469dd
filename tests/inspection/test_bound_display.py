"""The trace of the bound: what is drawn is what the fit went through."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture

from skem import BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture
from skem.datasets import load_old_faithful
from skem.inspection import BoundDisplay

pytest.importorskip("matplotlib")

X = load_old_faithful().data
THROWS = np.array([1, 1, 0, 1, 0, 0, 1, 0, 1, 1]).reshape(-1, 1)


def tied(acceleration=None, tol=1e-8, **kwargs):
    return GaussianMixtureEM(
        3,
        covariance_type="tied",
        acceleration=acceleration,
        tol=tol,
        max_iter=1000,
        random_state=0,
        **kwargs,
    ).fit(X)


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianMixtureEM(2, random_state=0).fit(X),
        BernoulliMixtureEM(2, random_state=0).fit(X.mean(axis=0) < X),
        ThreeCoinMixture(init=(0.4, 0.6, 0.7)).fit(THROWS),
        GaussianMixture(2, random_state=0).fit(X),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_line_is_the_trace_against_the_number_of_em_maps(estimator):
    display = BoundDisplay.from_estimator(estimator)
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_xdata(), np.arange(len(estimator.lower_bounds_)))
    np.testing.assert_array_equal(line.get_ydata(), estimator.lower_bounds_)
    assert line.get_label() == type(estimator).__name__
    assert display.ax_.get_xlabel() == "EM maps"
    assert display.ax_.get_ylabel() == "lower bound (nats per row)"
    assert display.figure_ is display.ax_.figure


def test_linear_convergence_is_a_straight_line_on_the_log_axis():
    display = BoundDisplay.from_estimator(tied(tol=1e-11), distance_to="own")
    assert display.ax_.get_yscale() == "log"
    distances = display.lines_[0].get_ydata()
    near, far = 1e3 * distances[-1], 1e6 * distances[-1]  # the last is estimated, on the safe side
    tail = np.log(distances[(near < distances) & (distances < far)])
    assert len(tail) >= 20
    slopes = np.diff(tail)
    assert (slopes < 0).all()
    np.testing.assert_allclose(slopes, slopes.mean(), rtol=0.02)


def test_last_distance_to_the_own_limit_is_the_optimality_gap():
    mixture = tied(tol=1e-6)
    line = BoundDisplay.from_estimator(mixture, distance_to="own").lines_[0]
    assert line.get_ydata()[-1] == pytest.approx(mixture.optimality_gap_, rel=1e-6)


def test_accelerated_and_plain_em_go_down_to_one_limit():
    fits = {"plain": tied(), "accelerated": tied("squarem")}
    display = BoundDisplay.from_estimators(fits, distance_to="best")
    assert [line.get_label() for line in display.lines_] == list(fits)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == list(fits)
    for line in display.lines_:
        distances = line.get_ydata()
        drawn = np.isfinite(distances)
        ends = drawn.sum()  # a bound that rounds to the limit itself has no place on a log axis
        assert ends > 5
        assert drawn[:ends].all()
        assert np.diff(distances[:ends]).max() <= 1e-12
        assert distances[ends - 1] < 1e-7


def test_a_lower_maximum_levels_off_above_the_best_limit():
    fits = {"two": GaussianMixtureEM(2, tol=1e-8, random_state=0).fit(X), "three": tied()}
    line = BoundDisplay.from_estimators(fits, distance_to="best").lines_[0]
    missing = fits["three"].lower_bound_ - fits["two"].lower_bound_
    assert line.get_ydata()[-1] == pytest.approx(missing, abs=1e-5)


def test_distance_to_a_number_leaves_out_what_is_above_it():
    mixture = tied()
    middle = np.median(mixture.lower_bounds_)
    drawn = BoundDisplay.from_estimator(mixture, distance_to=middle).lines_[0].get_ydata()
    trace = np.asarray(mixture.lower_bounds_)
    np.testing.assert_array_equal(np.isfinite(drawn), trace < middle - 1e-12)
    np.testing.assert_allclose(drawn[np.isfinite(drawn)], (middle - trace)[trace < middle - 1e-12])


def test_axes_unit_and_style_are_those_asked_for():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    display = BoundDisplay(bounds={"a": [-3.0, -2.0]})
    display.plot(ax, unit="word", line_kw={"linewidth": 3, "color": "k"})
    assert display.ax_ is ax
    assert ax.get_ylabel() == "lower bound (nats per word)"
    assert display.lines_[0].get_linewidth() == 3


def test_a_fit_that_starts_at_its_limit_can_be_drawn():
    display = BoundDisplay(bounds={"a": [-3.0, -3.0]}, limits={"a": -3.0})
    display.plot(distance_to="own")
    display.figure_.canvas.draw()
    assert np.isnan(display.lines_[0].get_ydata()).all()


def test_limit_that_is_not_known_is_an_error():
    fits = {"skem": tied(), "sklearn": GaussianMixture(3, random_state=0).fit(X)}
    BoundDisplay.from_estimators(fits, distance_to="best")
    with pytest.raises(ValueError, match=r"estimated limit.*\['sklearn'\] is not known"):
        BoundDisplay.from_estimators(fits, distance_to="own")
    with pytest.raises(ValueError, match=r"distance_to must be 'own', 'best', .* got 'limit'"):
        BoundDisplay.from_estimators(fits, distance_to="limit")
    with pytest.raises(ValueError, match=r"distance_to must be .* got nan"):
        BoundDisplay.from_estimators(fits, distance_to=np.nan)


def test_what_has_no_trace_is_an_error():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        BoundDisplay.from_estimator(GaussianMixtureEM())
    with pytest.raises(TypeError, match=r"'LinearRegression' .* has no lower_bounds_"):
        BoundDisplay.from_estimator(LinearRegression().fit(X, X[:, 0]))
    with pytest.raises(ValueError, match="lower_bounds_ of 'given' is empty"):
        BoundDisplay.from_estimators({"given": tied().conditional({0: 3.0})})
    with pytest.raises(TypeError, match=r"estimators must be a dict .* got list"):
        BoundDisplay.from_estimators([tied()])
    with pytest.raises(ValueError, match="at least one fitted estimator"):
        BoundDisplay.from_estimators({})
