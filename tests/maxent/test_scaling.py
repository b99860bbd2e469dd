"""Generalized and improved iterative scaling end where the other solvers end."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import MinMaxScaler

from skem import MaxEntClassifier
from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers._scaling import levels, solve_equations

X, y = load_iris(return_X_y=True)
X = MinMaxScaler().fit_transform(X)
rng = np.random.default_rng(0)
BINARY = (rng.uniform(size=(120, 4)) < 0.5).astype(float)
NOISY = np.argmax(BINARY @ rng.standard_normal((4, 3)) + rng.gumbel(size=(120, 3)), axis=1)


def shared(X, c):
    """Features that several classes have."""
    return np.column_stack([X * (1 + c), X[:, :2] * (c == 1)]) / 3


PROBLEMS = {
    "three classes": (X, y, {}),
    "real values, weights": (X, y, {"C": 0.3, "class_weight": "balanced"}),
    "no intercept": (X, y, {"C": 0.5, "fit_intercept": False}),
    "two classes": (X[50:], y[50:], {}),
    "sparse": (sp.csr_array(BINARY), NOISY, {}),
    "no penalty": (BINARY, NOISY, {"C": np.inf}),
    "no penalty, two classes": (BINARY, NOISY > 0, {"C": np.inf}),
    "a prior for each": (BINARY, NOISY, {"prior_variance": [0.1, 1.0, 3.0, np.inf]}),
    "joint features": (BINARY, NOISY, {"feature_function": shared}),
    "joint features, no penalty": (BINARY, NOISY, {"feature_function": shared, "C": np.inf}),
}


@pytest.mark.parametrize("solver", ["gis", "iis"])
@pytest.mark.parametrize(("X", "y", "options"), PROBLEMS.values(), ids=PROBLEMS)
def test_the_optimum_is_that_of_newton_and_the_objective_never_rises(solver, X, y, options):
    newton = MaxEntClassifier(tol=1e-11, **options).fit(X, y)
    scaling = MaxEntClassifier(tol=1e-7, solver=solver, max_iter=30000, **options).fit(X, y)
    assert scaling.converged_
    assert scaling.solver_ == solver
    assert scaling.objective_ - newton.objective_ == pytest.approx(0, abs=1e-7)
    assert np.diff(scaling.objectives_).max() <= 1e-14
    np.testing.assert_allclose(scaling.predict_proba(X), newton.predict_proba(X), atol=5e-3)


def stopped(X, y, max_iter, **options):
    """A fit without penalty or intercept that stops after so many steps."""
    fit = MaxEntClassifier(np.inf, fit_intercept=False, max_iter=max_iter, **options)
    with pytest.warns(ConvergenceWarning, match=f"stopped after {max_iter} steps"):
        return fit.fit(X, y)


def test_a_gis_step_is_the_logarithm_of_a_ratio_over_the_largest_sum():
    """Darroch and Ratcliff (1972); where all sums of features are M there is no correction."""
    halves = np.column_stack([BINARY, 1 - BINARY])
    fit = stopped(halves, NOISY, 1, solver="gis")
    observed = np.array([halves[c == NOISY].sum(axis=0) for c in range(3)]) / len(halves)
    expected = np.tile(halves.mean(axis=0) / 3, (3, 1))
    np.testing.assert_allclose(fit.coef_, np.log(observed / expected) / 4, rtol=1e-10)


def test_the_correction_feature_makes_up_for_the_sums():
    """With the feature M - f# given by hand the steps are the same."""
    largest = max(shared(BINARY, c).sum(axis=1).max() for c in range(3))

    def completed(X, c):
        F = shared(X, c)
        return np.column_stack([F, largest - F.sum(axis=1)])

    implied = stopped(BINARY, NOISY, 3, solver="gis", feature_function=shared)
    explicit = stopped(BINARY, NOISY, 3, solver="gis", feature_function=completed)
    np.testing.assert_allclose(
        implied.predict_proba(BINARY), explicit.predict_proba(BINARY), rtol=1e-8
    )
    np.testing.assert_allclose(implied.coef_, explicit.coef_[:-1] - explicit.coef_[-1], rtol=1e-8)


def test_iis_is_gis_where_all_sums_are_equal():
    halves = np.column_stack([BINARY, 1 - BINARY])
    gis, iis = (stopped(halves, NOISY, 5, solver=solver) for solver in ("gis", "iis"))
    np.testing.assert_allclose(iis.coef_, gis.coef_, rtol=1e-8)


def test_iis_takes_fewer_steps_where_sums_vary():
    n_iter = {
        solver: MaxEntClassifier(solver=solver, max_iter=30000).fit(X, y).n_iter_
        for solver in ("gis", "iis")
    }
    assert n_iter["iis"] < n_iter["gis"]


def test_features_that_never_occur_with_a_class():
    never = np.column_stack([BINARY, NOISY == 1])
    newton = MaxEntClassifier(tol=1e-11).fit(never, NOISY)
    for solver in ("gis", "iis"):
        scaling = MaxEntClassifier(solver=solver, max_iter=30000).fit(never, NOISY)
        assert scaling.objective_ - newton.objective_ <= 1e-6


def test_roots_of_the_equations():
    a, w = rng.uniform(0, 2, 50), rng.standard_normal(50)
    T, g = rng.uniform(0.1, 1, (3, 50)), np.array([0.5, 1.0, 2.5])
    l2 = np.where(np.arange(50) % 2, 0.3, 0.0)
    d = solve_equations(a, T, g, l2, w)
    inside = np.abs(d) < 7 / 2.5 - 1e-9
    assert inside.sum() > 40
    left = a - (T * np.exp(np.outer(g, d))).sum(axis=0) - l2 * (w + d)
    np.testing.assert_allclose(left[inside], 0, atol=1e-10)


def test_levels_are_never_below_the_sums_and_exact_if_there_are_few():
    sums = rng.uniform(0, 5, (3, 400))
    g, level = levels(sums, 32)
    assert len(g) <= 32
    assert (g[level] >= sums).all()
    assert (g[level] - sums).mean() < 0.15
    g, level = levels(np.round(sums), 32)
    np.testing.assert_array_equal(np.where(np.round(sums) > 0, g[level], 0), np.round(sums))
    assert levels(sums, 1)[0].tolist() == [sums.max()]
    assert levels(np.zeros((2, 3)), 32)[0].tolist() == [1.0]


@pytest.mark.parametrize("solver", ["gis", "iis"])
def test_what_scaling_cannot_do_is_said(solver):
    fit = MaxEntClassifier(solver=solver)
    with pytest.raises(ValueError, match=f"solver='{solver}' needs features.*-1.*MinMaxScaler"):
        fit.fit(BINARY - 1, NOISY)
    with pytest.raises(ValueError, match="MinMaxScaler"):
        fit.set_params(feature_function=lambda X, c: -c * X).fit(BINARY, NOISY)
    fit = MaxEntClassifier(solver=solver, l1_ratio=0.5)
    with pytest.raises(ValueError, match=f"solver='{solver}' cannot minimise absolute"):
        fit.fit(BINARY, NOISY)
    assert not hasattr(fit, "coef_")


def test_sums_of_features_are_the_logits_of_ones():
    design = LinearDesign(BINARY, NOISY, None, n_classes=3, intercept=True, n_jobs=1)
    expected = np.tile(BINARY.sum(axis=1) + 1, (3, 1))
    np.testing.assert_allclose(design.logits(np.ones(design.n_params)), expected)
