"""Several EM maps in one compiled call are those that the engine makes step by step."""

import numpy as np
import pytest

from skem import GaussianMixtureEM
from skem.em import DegenerateFitError, EMRun, RowBlocks, _starts, fit_from_starts
from skem.mixture.gaussian.model._model import GaussianModel, Priors

KINDS = ["full", "diag"]


def problem(kind, dtype=np.float64, n=300, d=4, k=3, **options):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((n, d)) + 2 * rng.integers(0, k, n)[:, None]).astype(dtype)
    scale = 1 / X.std(0).astype(np.float64)
    model = GaussianModel(
        kind,
        center=X.mean(0).astype(np.float64),
        scale=scale,
        reg=np.full(d, 1e-6),
        dtype=dtype,
        **options,
    )
    means = (X[:k] - model.center) * scale
    covariances = np.broadcast_to(
        np.eye(d) if kind == "full" else np.ones(d), (k, d, d)[: 3 if kind == "full" else 2]
    )
    return X, model, model.params(np.full(k, 1 / k), means, covariances.copy())


def rows_of(X, weighted):
    """Rows of some weights and labels."""
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.5, 2.0, len(X)) if weighted else None
    labels = np.where(rng.random(len(X)) < 0.1, 1, -1) if weighted else None
    return RowBlocks(X, sample_weight=weight, labels=labels, n_jobs=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_they_are_the_steps_of_the_engine(kind, weighted, dtype):
    X, model, start = problem(kind, dtype)
    rows = rows_of(X, weighted)
    eps = np.finfo(dtype).eps
    with rows:
        maps = model.several_maps(start, rows.single, 6)
        params, bounds, sizes, rounding = start, [], [], []
        for _ in range(6):
            statistics = rows.reduce(lambda block, at=params: model.expected_statistics(at, block))
            new = model.maximize(statistics, params)
            bounds.append(model.bound(statistics, params))
            rounding.append(model.rounding(statistics, params))
            step = model.to_vector(new) - model.to_vector(params)
            sizes.append(model.geometry(statistics, params, new).gradient @ step)
            params = new
    np.testing.assert_allclose(maps.bounds, bounds, rtol=100 * eps)
    np.testing.assert_allclose(maps.sizes, sizes, rtol=1e5 * eps, atol=10 * eps)
    np.testing.assert_allclose(maps.rounding, rounding, rtol=1e-6)
    for name in ("weights", "means", "covariances"):
        expected = getattr(params, name)
        np.testing.assert_allclose(
            getattr(maps.params, name), expected, rtol=1e4 * eps, atol=100 * eps
        )


@pytest.mark.parametrize("kind", KINDS)
def test_many_at_once_are_as_many_one_by_one_to_the_bit(kind):
    X, model, start = problem(kind)
    rows = rows_of(X, weighted=True)
    with rows:
        at_once = model.several_maps(start, rows.single, 5)
        params, bounds = start, []
        for _ in range(5):
            one = model.several_maps(params, rows.single, 1)
            params, bounds = one.params, [*bounds, *one.bounds]
    assert at_once.bounds == bounds
    np.testing.assert_array_equal(at_once.params.covariances, params.covariances)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_ends_where_one_without_them_does(kind, monkeypatch):
    X, model, start = problem(kind)
    for tol in (1e-2, 1e-8):
        for plain in (3, 50):
            ends = []
            for asked in (True, False):
                with rows_of(X, weighted=True) as rows, monkeypatch.context() as patch:
                    if not asked:
                        patch.setattr(GaussianModel, "several_maps", lambda self, *args: None)
                    run = EMRun(
                        model, rows, start, tol=tol, acceleration="quasi-newton", plain=plain
                    )
                    ends.append(run.run(400))
            one, other = ends
            assert one.converged
            assert other.converged
            assert one.n_iter == len(one.bounds)
            assert one.bound == pytest.approx(other.bound, abs=2 * tol)
            if plain == 50 and tol == 1e-2:  # they end among the plain ones
                assert one.n_iter == other.n_iter
                np.testing.assert_allclose(one.params.means, other.params.means, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_without_rows_is_left_to_the_engine(kind):
    X, model, start = problem(kind)
    far = model.params(start.weights, start.means + np.array([[0], [0], [1e4]]), start.covariances)
    with rows_of(X, weighted=False) as rows:
        assert model.several_maps(far, rows.single, 5) is None
        state = EMRun(model, rows, far, tol=1e-6, plain=10).run(100)
    np.testing.assert_array_equal(state.params.means[2], far.means[2])  # no row says anything


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_loops_do_not_know_is_left_to_the_engine(kind):
    for options in ({"priors": Priors(concentration=2.0)}, {"collapse": "restart"},
                    {"incomplete": True}):  # fmt: skip
        X, model, start = problem(kind, **options)
        with rows_of(X, weighted=False) as rows:
            assert not model.at_once
            assert model.several_maps(start, rows.single, 5) is None


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied", "spherical"])
@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_units_change_nothing_but_the_unit(covariance_type, unit, iris):
    options = {"covariance_type": covariance_type, "random_state": 0, "reg_covar": 0.0}
    one = GaussianMixtureEM(3, **options).fit(iris)
    other = GaussianMixtureEM(3, **options).fit(iris * unit)
    assert one.n_iter_ == other.n_iter_
    np.testing.assert_allclose(other.means_, one.means_ * unit, rtol=1e-6)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_starts_side_by_side_end_where_one_after_the_other_do(covariance_type, monkeypatch):
    X = problem("full", n=400)[0]
    ends = []
    for work in (0, 1 << 40):
        monkeypatch.setattr(_starts, "WORK_OF_A_THREAD", work)
        mixture = GaussianMixtureEM(
            3, covariance_type=covariance_type, n_init=4, n_jobs=4, random_state=0
        )
        ends.append(mixture.fit(X))
    one, other = ends
    assert one.lower_bounds_ == other.lower_bounds_
    np.testing.assert_array_equal(one.covariances_, other.covariances_)


def test_a_start_that_collapses_is_given_up_side_by_side_too(monkeypatch):
    monkeypatch.setattr(_starts, "WORK_OF_A_THREAD", 0)
    X, model, start = problem("full")
    bad = start._replace(weights=start.weights[::-1])
    original = GaussianModel.several_maps

    def fussy(self, params, rows, n_maps):
        if params is bad:
            raise DegenerateFitError("It collapsed.")
        return original(self, params, rows, n_maps)

    monkeypatch.setattr(GaussianModel, "several_maps", fussy)
    options = {"tol": 1e-6, "max_iter": 200, "acceleration": "quasi-newton"}
    with RowBlocks(X, n_jobs=2) as rows:
        best = fit_from_starts(model, rows, [bad, start], **options)
        alone = fit_from_starts(model, rows, [start, start], **options)
    assert best.converged
    assert best.bound == alone.bound
    with RowBlocks(X, n_jobs=2) as rows, pytest.raises(DegenerateFitError, match="collapsed"):
        fit_from_starts(model, rows, [bad, bad], **options)
