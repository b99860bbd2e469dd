"""Empirical against model expectations: points, diagonal and names."""

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skem import MaxEntClassifier
from skem.inspection import ExpectationsDisplay
from skem.inspection.drawing._axes import PALETTE

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb

WINE = load_wine(as_frame=True)
X, Y = WINE.data, WINE.target_names[WINE.target]


def wine(C, columns=None):
    return MaxEntClassifier(C=C, tol=1e-9).fit(X if columns is None else X[columns], Y)


def travel(prices, way):
    return [{"price": price[way == "car"], "bus": float(way == "bus")} for price in prices]


JOINT = MaxEntClassifier(feature_function=travel, fit_intercept=False).fit(
    [(1.0, 1.5), (2.0, 1.0), (1.0, 1.25), (3.0, 2.5), (2.0, 2.0)],
    ["bus", "car", "bus", "car", "bus"],
)


def names(display):
    return [annotation.get_text() for annotation in display.annotations_]


# ---------------------------------------------------------------------------------- what is drawn
def test_points_are_the_expectations_of_each_class():
    fit = wine(1e-3)
    display = ExpectationsDisplay.from_estimator(fit)
    rows = fit.predict_proba(X).T @ X.to_numpy() / len(X)
    for c, scatter in enumerate(display.scatters_):
        data = X[fit.classes_[c] == Y].sum() / len(X)
        np.testing.assert_allclose(scatter.get_offsets()[:, 0], data, rtol=1e-12)
        np.testing.assert_allclose(scatter.get_offsets()[:, 1], rows[c], rtol=1e-9)
        np.testing.assert_allclose(scatter.get_facecolors()[0, :3], to_rgb(PALETTE[c]))
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["class_0", "class_1", "class_2"]
    assert display.ax_.get_xlabel() == "expectation in the data"
    assert display.ax_.get_ylabel() == "expectation under the model"
    assert display.figure_ is display.ax_.figure


def test_without_a_penalty_the_points_are_on_the_diagonal_and_have_no_names():
    display = ExpectationsDisplay.from_estimator(wine(np.inf, ["alcohol", "hue"]))
    for scatter in display.scatters_:
        np.testing.assert_allclose(*scatter.get_offsets().T, rtol=1e-4)
    assert names(display) == []


def test_a_penalty_lets_points_off_the_diagonal_by_its_gradient():
    fit = wine(1e-3)
    display = ExpectationsDisplay.from_estimator(fit)
    for scatter, weights in zip(display.scatters_, fit.coef_, strict=True):
        data, model = scatter.get_offsets().T
        np.testing.assert_allclose(model + weights / (fit.C * len(X)), data, rtol=1e-5)


def test_the_diagonal_goes_through_all_that_is_shown():
    for scale in ("linear", "log"):
        display = ExpectationsDisplay.from_estimator(wine(1e-3), scale=scale)
        ax = display.ax_
        np.testing.assert_array_equal(*display.diagonal_.get_data())
        assert ax.get_xlim() == ax.get_ylim() == tuple(display.diagonal_.get_xdata())
        for scatter in display.scatters_:
            points = scatter.get_offsets()
            assert (points > ax.get_xlim()[0]).all()
            assert (points < ax.get_xlim()[1]).all()


@pytest.mark.parametrize(
    ("empirical", "model", "scale"),
    [
        ([1.0, 100.0], [1.0, 100.0], "log"),
        ([1.0, 90.0], [1.0, 90.0], "linear"),
        ([1.0, 90.0], [0.5, 90.0], "log"),
        ([0.0, 100.0], [1.0, 100.0], "linear"),
        ([-1.0, 100.0], [1.0, 100.0], "linear"),
    ],
)
def test_axes_are_log_where_all_are_positive_and_decades_apart(empirical, model, scale):
    ax = ExpectationsDisplay(empirical=empirical, model=model).plot().ax_
    assert (ax.get_xscale(), ax.get_yscale()) == (scale, scale)


def test_names_are_those_of_the_points_drawn_farthest_from_the_diagonal():
    empirical = [[1.0, 100.0, 10.0, 30.0], [5.0, 50.0, 70.0, 2.0]]
    model = [[2.0, 90.0, 10.0, 30.0], [5.0, 54.0, 70.0, 2.0]]
    display = ExpectationsDisplay(empirical=empirical, model=model, feature_names="abcd")
    display.plot(scale="linear", n_names=2)
    assert names(display) == ["b", "b"]
    assert [annotation.xy for annotation in display.annotations_] == [(100, 90), (50, 54)]
    assert names(display.plot(scale="log", n_names=1)) == ["a"]
    assert names(display.plot(n_names=0)) == []


def test_names_are_away_from_the_diagonal_where_they_have_room():
    display = ExpectationsDisplay(empirical=[0, 10, 60, 40, 99], model=[0, 20, 70, 30, 89])
    sides = {a.get_text(): a.get_ha() for a in display.plot().annotations_}
    assert sides == {"x1": "left", "x2": "right", "x3": "left", "x4": "right"}


def test_names_do_not_lie_on_each_other():
    empirical = np.array([10.0, 10.1, 60.0, 0.0])
    display = ExpectationsDisplay(empirical=empirical, model=empirical + np.array([8, 7.9, 5, 0]))
    assert names(display.plot()) == ["x0", "x2"]


def test_on_log_axes_what_is_not_positive_has_no_place():
    display = ExpectationsDisplay(empirical=[0.0, 1.0, 100.0], model=[5.0, 2.0, 100.0])
    display.plot(scale="log")
    display.figure_.canvas.draw()
    assert names(display) == ["x1"]


def test_joint_features_have_one_expectation_for_all_classes():
    display = ExpectationsDisplay.from_estimator(JOINT)
    (scatter,) = display.scatters_
    means = [JOINT.feature_expectations_[name] for name in ("empirical", "model")]
    np.testing.assert_array_equal(scatter.get_offsets(), np.transpose(means))
    assert set(names(display)) <= {"bus", "price"}
    assert display.annotations_
    assert display.ax_.get_legend() is None


# ---------------------------------------------------------------------------------- interface
def test_classes_axes_colours_and_style_are_those_asked_for():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    fit = wine(1e-3)
    display = ExpectationsDisplay.from_estimator(
        fit, classes=["class_2"], ax=ax, colors=["red"], scatter_kw={"s": 5}
    )
    assert display.ax_ is ax
    (scatter,) = display.scatters_
    expected = fit.feature_expectations_["empirical"][2]
    np.testing.assert_array_equal(scatter.get_offsets()[:, 0], expected)
    assert scatter.get_sizes() == [5]
    assert tuple(scatter.get_facecolors()[0, :3]) == (1, 0, 0)


def test_a_pipeline_names_its_features():
    texts = ["red wine", "white wine", "red rose", "white snow"]
    pipeline = make_pipeline(CountVectorizer(), MaxEntClassifier(C=0.1))
    display = ExpectationsDisplay.from_estimator(pipeline.fit(texts, ["r", "w", "r", "w"]))
    assert set(names(display)) <= {"red", "white", "wine", "rose", "snow"}
    assert display.annotations_


def test_equal_expectations_of_one_feature_can_be_drawn():
    display = ExpectationsDisplay(empirical=[0.0], model=[0.0]).plot()
    display.figure_.canvas.draw()
    assert np.ptp(display.ax_.get_xlim()) > 0


def test_wrong_input_is_an_error():
    draw, fit = ExpectationsDisplay.from_estimator, wine(1e-3)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(MaxEntClassifier())
    with pytest.raises(TypeError, match=r"\(feature_expectations_\), got LogisticRegression"):
        draw(LogisticRegression(C=1e-4, solver="newton-cholesky").fit(X, Y))
    with pytest.raises(ValueError, match="feature_names holds 1 names for the 13 features"):
        draw(fit, feature_names=["a"])
    with pytest.raises(ValueError, match="classes holds 3, but those of the fit are"):
        draw(fit, classes=[3])
    with pytest.raises(ValueError, match="classes must be None for joint features"):
        draw(JOINT, classes=["bus"])
    with pytest.raises(ValueError, match="scale must be 'auto', 'linear' or 'log', got 'logit'"):
        draw(fit, scale="logit")
    for n_names in (-1, 1.5, True):
        with pytest.raises(ValueError, match="n_names must be an integer of at least 0"):
            draw(fit, n_names=n_names)
    with pytest.raises(ValueError, match="colors holds 1 colours for 3"):
        draw(fit, colors=["red"])
    with pytest.raises(ValueError, match="empirical and model must have one shape"):
        ExpectationsDisplay(empirical=[1.0], model=[1.0, 2.0])
    with pytest.raises(ValueError, match="no expectation is positive"):
        ExpectationsDisplay(empirical=[-1.0], model=[-2.0]).plot(scale="log")
