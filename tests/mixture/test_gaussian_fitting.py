"""How a fit goes: starts, warm starts, batches, interrupts, callbacks, printing."""

import io
import itertools
import re
from contextlib import redirect_stdout

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info

from skem import BernoulliMixtureEM, GaussianMixtureEM
from skem.mixture import select_gaussian_mixture
from skem.mixture.gaussian.model._model import GaussianModel
from skem.mixture.gaussian.starts import _candidates as starts


# ---------------------------------------------------------------------- starts
def test_a_callable_gives_responsibilities_or_means(iris, quietly):
    species = np.eye(3)[np.arange(150) // 50]
    means = iris.reshape(3, 50, 4).mean(axis=1)
    for value in (species, means):
        mixture = GaussianMixtureEM(3, init_params=lambda X, k, rng, value=value: value)
        quietly(mixture.set_params(max_iter=0), iris)
        np.testing.assert_allclose(mixture.means_, means, rtol=1e-10)
        np.testing.assert_allclose(mixture.weights_, 1 / 3)


def test_a_callable_is_called_once_a_start_with_the_random_state(iris):
    calls = []

    def init(X, n_components, random_state):
        calls.append((X.shape, n_components))
        return random_state.dirichlet(np.ones(n_components), len(X))

    a = GaussianMixtureEM(3, init_params=init, n_init=4, random_state=0, max_iter=300).fit(iris)
    assert calls == [((150, 4), 3)] * 4
    b = GaussianMixtureEM(3, init_params=init, n_init=4, random_state=0, max_iter=300).fit(iris)
    assert a.lower_bounds_ == b.lower_bounds_


def test_a_callable_sees_all_rows_in_the_order_given(iris, quietly):
    """So that responsibilities computed elsewhere can be handed over; also with holes, weights."""
    X = iris.copy()
    X[::3, 1] = np.nan
    weight = np.ones(150)
    weight[:10] = 0
    seen = []

    def init(X, n_components, random_state):
        seen.append(X.copy())
        return np.eye(n_components)[np.arange(len(X)) // 50]

    a = quietly(GaussianMixtureEM(3, init_params=init), X, sample_weight=weight)
    np.testing.assert_array_equal(seen[0], X)
    b = GaussianMixtureEM(3, init_params=np.eye(3)[np.arange(150) // 50])
    b.fit(X, sample_weight=weight)
    np.testing.assert_allclose(a.lower_bounds_, b.lower_bounds_)


def test_responsibilities_need_not_be_normalised(iris):
    r = np.random.default_rng(0).uniform(size=(150, 2))
    a = GaussianMixtureEM(2, init_params=r, max_iter=500).fit(iris)
    b = GaussianMixtureEM(2, init_params=5 * r, max_iter=500).fit(iris)
    np.testing.assert_allclose(a.lower_bounds_, b.lower_bounds_, atol=1e-12)


def test_more_starts_never_end_lower(faithful):
    bounds = [
        GaussianMixtureEM(4, n_init=n, random_state=0, max_iter=2000, tol=1e-8)
        .fit(faithful)
        .lower_bound_
        for n in (2, 8, 20)
    ]
    assert bounds[2] >= bounds[0] - 1e-6


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("value", [1e200, -1e307, np.nan])
def test_rows_of_weight_zero_may_hold_anything(iris, covariance_type, value, holes, quietly):
    """What they hold enters no sum, not even times zero."""
    X = iris.copy()
    if holes:
        X[::7, 1] = np.nan
    wild = np.insert(X, [0, 20, 20, 150], value, axis=0)
    weight = np.insert(np.ones(150), [0, 20, 20, 150], 0.0)
    mixture = GaussianMixtureEM(3, covariance_type=covariance_type, random_state=0)
    expected = quietly(mixture, X)
    means, covariances = expected.means_, expected.covariances_
    actual = quietly(mixture, wild, sample_weight=weight)
    np.testing.assert_allclose(actual.means_, means, rtol=1e-10)
    np.testing.assert_allclose(actual.covariances_, covariances, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("init_params", "name"),
    [
        ("kmeans", "coordinates"),
        ("k-means++", "coordinates"),
        ("k-means++", "pairwise_distances_argmin"),
    ],
)
def test_starts_take_the_threads_of_the_fit(monkeypatch, iris, init_params, name):
    monkeypatch.setattr(starts, "FEW_VALUES", 0)
    seen = []
    original = getattr(starts, name)

    def watched(*args, **kwargs):
        pools = threadpool_info()
        seen.append(max(pool["num_threads"] for pool in pools))
        return original(*args, **kwargs)

    monkeypatch.setattr(starts, name, watched)
    before = [pool["num_threads"] for pool in threadpool_info()]
    GaussianMixtureEM(3, init_params=init_params, n_jobs=1, random_state=0).fit(iris)
    assert set(seen) == {1}
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_a_callable_keeps_its_threads(iris):
    seen = []

    def init(X, n_components, random_state):
        seen.append([pool["num_threads"] for pool in threadpool_info()])
        return X[:n_components]

    before = [pool["num_threads"] for pool in threadpool_info()]
    GaussianMixtureEM(3, init_params=init, n_jobs=1, random_state=0).fit(iris)
    assert seen == [before]


# ---------------------------------------------------------------------- warm start
def test_a_warm_start_goes_on_where_the_last_fit_ended(iris, quietly):
    mixture = GaussianMixtureEM(
        3, warm_start=True, max_iter=4, tol=1e-10, acceleration=None, random_state=0
    )
    quietly(mixture, iris)
    first = mixture.lower_bounds_
    quietly(mixture, iris)
    assert mixture.lower_bounds_[0] >= first[-1]
    assert mixture.n_iter_ == 4
    whole = GaussianMixtureEM(3, max_iter=8, tol=1e-10, acceleration=None, random_state=0)
    # the start that was best after 4 maps and the one that is best after 8 may differ
    quietly(whole, iris)
    if np.allclose(whole.lower_bounds_[:4], first):
        np.testing.assert_allclose(whole.lower_bounds_, first + mixture.lower_bounds_, atol=1e-9)


def test_a_warm_start_from_the_limit_stays_there(iris):
    mixture = GaussianMixtureEM(2, warm_start=True, tol=1e-8, max_iter=1000, random_state=0)
    means = mixture.fit(iris).means_
    mixture.fit(iris)
    assert mixture.n_iter_ <= 4
    np.testing.assert_allclose(mixture.means_, means, atol=1e-3)


def test_without_warm_start_a_second_fit_begins_anew(iris):
    mixture = GaussianMixtureEM(2, random_state=0).fit(iris)
    bounds = mixture.lower_bounds_
    assert mixture.fit(iris).lower_bounds_ == bounds


# ---------------------------------------------------------------------- batches
def test_partial_fit_comes_near_the_fit_of_all_rows(gaussian, covariance_type):
    rng = np.random.default_rng(0)
    X, _ = gaussian.draw(rng, 6000, 3, 2, separation=8.0)
    batch = GaussianMixtureEM(3, covariance_type=covariance_type, random_state=0).fit(X)
    online = GaussianMixtureEM(3, covariance_type=covariance_type, random_state=0)
    for part in np.array_split(X, 60):
        online.partial_fit(part)
    assert batch.score(X) - online.score(X) < 0.02
    assert online.n_iter_ == 60
    assert len(online.lower_bounds_) == 60
    assert not online.converged_


def test_partial_fit_goes_on_from_a_fit(gaussian):
    X, _ = gaussian.draw(np.random.default_rng(1), 2000, 2, 2, separation=8.0)
    mixture = GaussianMixtureEM(2, random_state=0).fit(X[:1000])
    before = mixture.score(X)
    means = mixture.means_
    mixture.partial_fit(X[1000:1100])
    np.testing.assert_allclose(mixture.means_, means, atol=0.5)
    assert mixture.score(X) == pytest.approx(before, abs=0.05)


@pytest.mark.parametrize("after_fit", [False, True])
@pytest.mark.parametrize(
    "estimator",
    [GaussianMixtureEM(2, random_state=0), BernoulliMixtureEM(2, binarize=3.0, random_state=0)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_the_trace_of_batches_has_one_bound_a_batch(iris, estimator, after_fit):
    """The bound of a batch is the mean log-density of its rows before the update."""
    mixture = clone(estimator)
    if after_fit:
        mixture.fit(iris)
    expected = []
    for batch in (iris[::3], iris[1::3], iris[2::3]):
        if hasattr(mixture, "weights_"):
            expected.append(mixture.score(batch))
        mixture.partial_fit(batch)
    assert len(mixture.lower_bounds_) == mixture.n_iter_ == 3
    np.testing.assert_allclose(mixture.lower_bounds_[-len(expected) :], expected, atol=1e-3)
    assert mixture.lower_bound_ == mixture.lower_bounds_[-1]
    assert not mixture.converged_
    assert mixture.optimality_gap_ == np.inf


def test_partial_fit_takes_weights_labels_and_holes(gaussian):
    X, y = gaussian.draw(np.random.default_rng(2), 1200, 2, 2, separation=8.0)
    X[::5, 0] = np.nan
    mixture = GaussianMixtureEM(2, random_state=0)
    for rows in np.array_split(np.arange(1200), 12):
        mixture.partial_fit(
            X[rows], sample_weight=np.full(len(rows), 2.0), labels=np.where(rows % 3, -1, y[rows])
        )
    for k in range(2):
        np.testing.assert_allclose(mixture.means_[k], np.nanmean(X[y == k], axis=0), atol=0.4)


def test_partial_fit_takes_a_batch_of_one_row(gaussian):
    X, _ = gaussian.draw(np.random.default_rng(3), 300, 2, 2, separation=8.0)
    mixture = GaussianMixtureEM(2, random_state=0).partial_fit(X[:100])
    for row in X[100:150]:
        mixture.partial_fit(row[None])
    assert np.isfinite(mixture.score(X))


def test_fit_forgets_the_batches(iris):
    mixture = GaussianMixtureEM(2, random_state=0).partial_fit(iris[:80]).partial_fit(iris[80:])
    fresh = GaussianMixtureEM(2, random_state=0).fit(iris)
    assert mixture.fit(iris).lower_bounds_ == fresh.lower_bounds_


# ---------------------------------------------------------------------- Ctrl-C
def interrupt_at(monkeypatch, call):
    """Raise KeyboardInterrupt in the E step with that number."""
    calls = iter(range(1, 10_000))
    original = GaussianModel.expected_statistics

    def interrupted(self, params, rows):
        if next(calls) == call:
            raise KeyboardInterrupt
        return original(self, params, rows)

    monkeypatch.setattr(GaussianModel, "expected_statistics", interrupted)
    monkeypatch.setattr(GaussianModel, "several_maps", lambda self, *args: None)


@pytest.mark.parametrize("call", [2, 5, 9])
@pytest.mark.parametrize("acceleration", ["auto", None])
def test_ctrl_c_leaves_the_best_so_far(monkeypatch, iris, call, acceleration):
    interrupt_at(monkeypatch, call)
    mixture = GaussianMixtureEM(
        3, n_jobs=1, tol=1e-12, max_iter=1000, random_state=0, acceleration=acceleration
    )
    with pytest.warns(ConvergenceWarning, match=r"interrupted after \d+ EM iterations"):
        mixture.fit(iris)
    monkeypatch.undo()
    assert not mixture.converged_
    assert mixture.n_iter_ <= call
    assert mixture.score(iris) >= mixture.lower_bound_ - 1e-3
    assert mixture.predict(iris).shape == (150,)


@pytest.mark.parametrize("call", [1, 2])
def test_ctrl_c_among_several_maps_is_one_before_them(monkeypatch, iris, call):
    calls, original = itertools.count(1), GaussianModel.several_maps

    def interrupted(self, params, rows, n_maps):
        if next(calls) == call:
            raise KeyboardInterrupt
        return original(self, params, rows, n_maps)

    monkeypatch.setattr(GaussianModel, "several_maps", interrupted)
    mixture = GaussianMixtureEM(3, n_jobs=1, tol=1e-12, random_state=0)
    if call == 1:
        with pytest.raises(KeyboardInterrupt):
            mixture.fit(iris)
        return
    with pytest.warns(ConvergenceWarning, match="interrupted after 20 EM iterations"):
        mixture.fit(iris)
    assert mixture.score(iris) >= mixture.lower_bound_ - 1e-3


def test_ctrl_c_before_the_first_e_step_leaves_nothing(monkeypatch, iris):
    interrupt_at(monkeypatch, 1)
    mixture = GaussianMixtureEM(3, n_jobs=1, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        mixture.fit(iris)
    assert set(vars(mixture)) == set(mixture.get_params())


# ---------------------------------------------------------------------- callbacks
class Recorder:
    """Keeps what it is told; stops after ``stop_after`` iterations."""

    def __init__(self, stop_after=None, raise_after=None):
        self.stop_after, self.raise_after = stop_after, raise_after
        self.events, self.scores = [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        self.events.append(f"end {context.task_name}")
        if context.task_name != "iteration":
            return False
        self.scores.append(fitted_estimator.score(X))
        assert fitted_estimator.predict(X).shape == (len(X),)
        if len(self.scores) == self.raise_after:
            raise KeyboardInterrupt
        return len(self.scores) == self.stop_after


def one_start(iris, **settings):
    r = np.random.default_rng(0).dirichlet(np.ones(3), len(iris))
    return GaussianMixtureEM(3, init_params=r, max_iter=300, acceleration=None, **settings)


def test_callbacks_see_every_iteration_with_a_model_that_predicts(iris):
    recorder = Recorder()
    mixture = one_start(iris).set_callbacks(recorder).fit(iris)
    assert recorder.events[0] == "setup"
    assert recorder.events[-1] == "teardown"
    assert recorder.events.count("end iteration") == mixture.n_iter_
    assert recorder.events.count("begin iteration") == mixture.n_iter_
    assert (np.diff(recorder.scores) > -1e-9).all()
    assert recorder.scores[-1] == mixture.score(iris)


def test_callbacks_see_every_start(iris):
    recorder = Recorder()
    mixture = GaussianMixtureEM(3, n_init=3, random_state=0).set_callbacks(recorder)
    mixture.fit(iris)
    assert recorder.events.count("begin start") == recorder.events.count("end start") == 3


def test_a_callback_that_returns_true_stops_the_fit(iris):
    recorder = Recorder(stop_after=3)
    mixture = one_start(iris).set_callbacks(recorder).fit(iris)  # and no warning: it was asked for
    assert mixture.n_iter_ == 3
    assert not mixture.converged_
    assert mixture.score(iris) == recorder.scores[-1]


def test_ctrl_c_in_a_callback_leaves_the_best_so_far(iris):
    mixture = one_start(iris).set_callbacks(Recorder(raise_after=3))
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        mixture.fit(iris)
    assert mixture.n_iter_ == 3


def test_the_progress_bar_runs(iris, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    mixture = GaussianMixtureEM(3, n_init=2, random_state=0).set_callbacks(ProgressBar())
    mixture.fit(iris)
    assert "GaussianMixtureEM" in capsys.readouterr().out


def test_callbacks_change_nothing(iris):
    a = GaussianMixtureEM(3, n_init=3, random_state=0).set_callbacks(Recorder()).fit(iris)
    b = GaussianMixtureEM(3, n_init=3, random_state=0).fit(iris)
    assert a.lower_bounds_ == b.lower_bounds_


# ---------------------------------------------------------------------- printing, counting
@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_verbose_prints_as_users_know_it(iris, verbose):
    mixture = one_start(iris, verbose=verbose, verbose_interval=2, tol=1e-6)
    with redirect_stdout(io.StringIO()) as output:
        mixture.fit(iris)
    lines = output.getvalue().splitlines()
    if not verbose:
        assert not lines
        return
    assert lines[0] == "Initialization 0"
    iterations = [line for line in lines if line.startswith("  Iteration")]
    assert [int(re.findall(r"\d+", line)[0]) for line in iterations] == list(
        range(2, mixture.n_iter_ + 1, 2)
    )
    assert ("ll change" in output.getvalue()) == (verbose == 2)
    assert lines[-1].startswith("Initialization converged.")


@pytest.mark.parametrize("acceleration", ["auto", None])
@pytest.mark.parametrize("max_iter", [1, 2, 7])
def test_max_iter_counts_em_maps_whatever_the_acceleration(
    monkeypatch, iris, acceleration, max_iter
):
    calls = []
    original = GaussianModel.expected_statistics

    def counted(self, params, rows):
        calls.append(1)
        return original(self, params, rows)

    monkeypatch.setattr(GaussianModel, "expected_statistics", counted)
    r = np.random.default_rng(0).dirichlet(np.ones(3), len(iris))
    mixture = GaussianMixtureEM(
        3, init_params=r, max_iter=max_iter, tol=0.0, acceleration=acceleration, n_jobs=1
    )
    with pytest.warns(ConvergenceWarning, match=f"max_iter={max_iter}.*Increase max_iter"):
        mixture.fit(iris)
    assert len(calls) == mixture.n_iter_ == len(mixture.lower_bounds_) == max_iter


def test_converged_means_that_the_gap_is_at_most_tol(faithful):
    """And the gap is honest: the maximum is no farther away than a few times what it says."""
    limit = -1126.315928 / 272
    for tol in (1e-3, 1e-5, 1e-7):
        mixture = GaussianMixtureEM(
            3,
            covariance_type="tied",
            reg_covar=0.0,
            tol=tol,
            max_iter=2000,
            n_init=10,
            random_state=0,
        ).fit(faithful)
        assert mixture.converged_
        assert mixture.optimality_gap_ <= tol
        assert limit - mixture.lower_bound_ <= 3 * tol


def test_a_warm_start_needs_the_same_model(iris):
    for change in ({"covariance_type": "diag"}, {"n_components": 2}):
        mixture = GaussianMixtureEM(3, warm_start=True, random_state=0).fit(iris)
        means = mixture.means_
        with pytest.raises(ValueError, match="warm_start=False"):
            mixture.set_params(**change).fit(iris)
        assert mixture.means_ is means


def test_initial_weights_may_be_rounded(iris):
    """Weights that sum to one up to rounding are shares; the first bound is not inflated."""
    fitted = GaussianMixtureEM(3, tol=1e-9, max_iter=500, random_state=0).fit(iris)
    again = GaussianMixtureEM(
        3,
        weights_init=fitted.weights_ * (1 + 9e-7),
        means_init=fitted.means_,
        precisions_init=fitted.precisions_,
    ).fit(iris)
    assert again.lower_bound_ == pytest.approx(fitted.lower_bound_, abs=1e-8)


def test_partial_fit_needs_the_model_it_began_with(iris):
    mixture = GaussianMixtureEM(2, random_state=0).partial_fit(iris)
    with pytest.raises(ValueError, match="cannot change between batches"):
        mixture.set_params(covariance_type="diag").partial_fit(iris)


def test_a_rounded_singular_covariance_can_be_used():
    """float32, duplicate columns in large units: the factor is kept, the matrix is singular."""
    rng = np.random.default_rng(0)
    X = (100 * rng.standard_normal((300, 1))).repeat(2, axis=1).astype(np.float32)
    mixture = GaussianMixtureEM(1, reg_covar=1e-2, random_state=0).fit(X)
    drawn, _ = mixture.sample(1000)
    assert np.abs(drawn[:, 0] - drawn[:, 1]).std() < 1
    row = np.array([[50.0, np.nan]], dtype=np.float32)
    assert mixture.impute(row)[0, 1] == pytest.approx(50, abs=0.5)


def test_a_selection_ranks_collapsed_candidates_last(iris):
    selection = select_gaussian_mixture(iris, covariance_types=["full"], random_state=0)
    assert selection.best_params_ == {"n_components": 2, "covariance_type": "full"}
    ranks = [bool(row["error"]) * 2 + row.get("collapsed", False) for row in selection.table]
    assert ranks == sorted(ranks)
    assert True in [row.get("collapsed") for row in selection.table]


def test_one_number_and_one_type_may_be_given_as_they_are(iris):
    one = select_gaussian_mixture(iris, n_components=2, covariance_types="diag", random_state=0)
    same = select_gaussian_mixture(
        iris, n_components=[2], covariance_types=["diag"], random_state=0
    )
    assert one.best_params_ == same.best_params_


def test_where_all_candidates_collapse_it_is_said_of_all():
    X = np.random.default_rng(0).normal(size=(8, 5))
    with pytest.warns(ConvergenceWarning, match="collapsed in all 2 candidates"):
        select_gaussian_mixture(X, n_components=[3, 4], covariance_types="full", random_state=0)
