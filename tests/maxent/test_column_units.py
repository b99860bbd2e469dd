"""A certificate is invariant to the units of columns, or it is none."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

from skem import MaxEntClassifier

EPS = np.finfo(np.float64).eps
N, K = 60, 3

PENALTIES = ("none", "prior", "C", "box", "box with L2", "l1")
KINDS = ("linear", "two classes", "sparse", "joint", "sparse joint")
SMOOTH = ("auto", "newton-cholesky", "diagonal-lbfgs")


def draw(seed, kind, p):
    """Pairs' features (K, n, p), or rows (n, p), and classes that they tell by halves."""
    rng = np.random.default_rng(seed)
    if "joint" in kind:
        F = rng.standard_normal((K, N, p))
        y = (F @ rng.standard_normal(p) + rng.gumbel(size=(K, N))).argmax(axis=0)
        return F, y
    X = rng.standard_normal((N, p))
    y = (X @ rng.standard_normal((p, K)) + 2 * rng.gumbel(size=(N, K))).argmax(axis=1)
    return X, 1 * (y > 0) if kind == "two classes" else y


def fitted(data, y, kind, scales, penalty, **options):
    """A fit of columns times scales. All penalties but "C" and "l1" follow the columns."""
    options |= {
        "none": {"C": np.inf},
        "prior": {"prior_variance": 4 / scales**2},
        "C": {"C": 2.0},
        "box": {"C": np.inf, "expectation_box": 0.03 * scales},
        "box with L2": {"prior_variance": 4 / scales**2, "expectation_box": 0.03 * scales},
        "l1": {"C": 0.5, "l1_ratio": 0.5},
    }[penalty]
    X = data * scales
    if kind == "joint":
        options |= {"feature_function": lambda X, c: X[c]}
    elif kind == "sparse joint":
        options |= {"feature_function": lambda X, c: sp.csr_array(X[c])}
    elif kind == "sparse":
        X = sp.csr_array(X)
    if "joint" in kind:
        options["feature_function"] = per_row(options["feature_function"], X)
        X = np.zeros((N, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MaxEntClassifier(**options).fit(X, y)


def per_row(function, features):
    return lambda X, c: function(features, c)


def value_of(fit, data, y, kind, scales, penalty):
    """F of the weights of a fit, by hand, and the largest logit."""
    if "joint" in kind:
        L = (data @ (fit.coef_ * scales)).T + fit.intercept_
    else:
        L = data @ (fit.coef_ * scales).T + fit.intercept_
        L = np.column_stack([np.zeros(N), L]) if L.shape[1] == 1 else L
    value = (logsumexp(L, axis=1) - L[np.arange(N), y]).mean()
    v, w = fit.coef_ * scales, fit.coef_
    value += {
        "none": 0.0,
        "prior": (v**2).sum() / 8 / N,
        "C": (w**2).sum() / 4 / N,
        "box": 0.03 * np.abs(v).sum(),
        "box with L2": 0.03 * np.abs(v).sum() + (v**2).sum() / 8 / N,
        "l1": (0.5 * np.abs(w).sum() + (w**2).sum() / 4) / (0.5 * N),
    }[penalty]
    return float(value), float(np.abs(L).max())


exponents = st.lists(st.integers(-12, 12), min_size=2, max_size=3)
MANY = {
    "seed": st.integers(0, 10**6),
    "kind": st.sampled_from(KINDS),
    "penalty": st.sampled_from(PENALTIES),
    "exponents": exponents,
}


@settings(max_examples=150, deadline=None)
@given(
    **MANY,
    tol=st.sampled_from([1e-4, 1e-6, 1e-9]),
    max_iter=st.sampled_from([1, 3, 1000]),
    solver=st.sampled_from(SMOOTH),
)
@example(0, "joint", "none", [3, -6], 1e-6, 1000, "auto")
@example(0, "joint", "none", [0, -12], 1e-6, 1000, "newton-cholesky")
@example(0, "joint", "box", [12, -12], 1e-6, 1000, "auto")
@example(0, "linear", "C", [12, 0], 1e-9, 1000, "auto")
@example(0, "linear", "l1", [12, -12], 1e-9, 1000, "auto")
def test_the_gap_bounds_the_excess_in_all_units(
    seed, kind, penalty, exponents, tol, max_iter, solver
):
    """F of a fit exceeds that of the best one known by no more than the gap, whatever stopped it.

    Rounding of F, of a few eps times a logit, is what else there may be.
    """
    data, y = draw(seed, kind, len(exponents))
    assume(len(np.unique(y)) == (2 if kind == "two classes" else K))
    solver = "auto" if penalty in ("box", "box with L2", "l1") else solver
    scales = 10.0 ** np.array(exponents)
    fit = fitted(data, y, kind, scales, penalty, tol=tol, max_iter=max_iter, solver=solver)
    best = fitted(data, y, kind, scales, penalty, tol=1e-13)
    assume(not best.separable_)
    value, size = value_of(fit, data, y, kind, scales, penalty)
    least, _ = value_of(best, data, y, kind, scales, penalty)
    if penalty not in ("C", "l1"):  # the same problem in other units
        ones = np.ones_like(scales)
        other = fitted(data, y, kind, ones, penalty, tol=1e-13)
        least = min(least, value_of(other, data, y, kind, ones, penalty)[0])
    room = 64 * EPS * (1 + size)
    assert fit.objective_ == pytest.approx(value, rel=1e-9, abs=room)
    assert value - least <= fit.optimality_gap_ + room
    if fit.converged_:
        assert value - least <= tol + room
    if max_iter == 1000:
        assert fit.converged_


@settings(max_examples=30, deadline=None)
@given(**MANY)
def test_fits_are_the_same_in_all_units(seed, kind, penalty, exponents):
    """Where the penalty follows the columns, weights times units are those of columns near one."""
    assume(penalty not in ("C", "l1"))
    data, y = draw(seed, kind, len(exponents))
    assume(len(np.unique(y)) == (2 if kind == "two classes" else K))
    scales = 10.0 ** np.array(exponents)
    fit = fitted(data, y, kind, scales, penalty, tol=1e-10)
    other = fitted(data, y, kind, np.ones_like(scales), penalty, tol=1e-10)
    assume(not other.separable_)
    assert fit.objective_ == pytest.approx(other.objective_, abs=2e-10)
    np.testing.assert_allclose(fit.coef_ * scales, other.coef_, atol=2e-3)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["linear", "joint"]),
    penalty=st.sampled_from(["none", "prior"]),
    exponents=exponents,
    solver=st.sampled_from(["gis", "iis"]),
    max_iter=st.sampled_from([1, 10, 200]),
)
def test_iterative_scaling_proves_no_more_than_it_has_reached(
    seed, kind, penalty, exponents, solver, max_iter
):
    """Its steps depend on units; its certificate does not."""
    data, y = draw(seed, kind, len(exponents))
    assume(len(np.unique(y)) == K)
    data, scales = np.abs(data), 10.0 ** np.array(exponents)
    ones = np.ones_like(scales)
    best = fitted(data, y, kind, ones, penalty, tol=1e-13)
    assume(not best.separable_)
    fit = fitted(data, y, kind, scales, penalty, solver=solver, max_iter=max_iter)
    value, size = value_of(fit, data, y, kind, scales, penalty)
    least, _ = value_of(best, data, y, kind, ones, penalty)
    assert value - least <= fit.optimality_gap_ + 64 * EPS * (1 + size)


@pytest.mark.parametrize("solver", ["newton-cholesky", "block-lbfgs", "row-space"])
def test_more_columns_than_rows_in_mixed_units(solver):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 60)), np.arange(40) % 3
    scales = 10.0 ** rng.integers(-12, 13, 60)
    options = {"solver": solver, "tol": 1e-9}
    fit = MaxEntClassifier(prior_variance=1 / scales**2, **options).fit(X * scales, y)
    other = MaxEntClassifier(**options).fit(X, y)
    assert fit.converged_
    assert fit.objective_ == pytest.approx(other.objective_, abs=2e-9)
    np.testing.assert_allclose(fit.coef_ * scales, other.coef_, atol=1e-3)


@pytest.mark.parametrize("penalty", ["none", "prior", "box"])
@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9])
def test_columns_far_from_zero_and_in_extreme_units(offset, penalty):
    """Intercepts take what columns are away from zero; float64 keeps 1e-7 of 1e9."""
    data, y = draw(5, "linear", 2)
    data = np.round(data, 2)
    scales = np.array([2.0**40, 2.0**-40])
    fit = fitted(data + offset, y, "linear", scales, penalty, tol=1e-9)
    other = fitted(data, y, "linear", np.ones(2), penalty, tol=1e-9)
    assert fit.converged_
    assert fit.objective_ == pytest.approx(other.objective_, abs=max(1e-9, EPS * offset))
    np.testing.assert_allclose(fit.coef_ * scales, other.coef_, atol=1e-3)


def test_a_warm_start_and_expectations_are_in_the_units_given():
    data, y = draw(1, "linear", 3)
    scales = np.array([1e9, 1.0, 1e-9])
    fit = MaxEntClassifier(C=np.inf, warm_start=True, tol=1e-8).fit(data * scales + scales, y)
    means = fit.feature_expectations_
    wanted = np.array([(data * scales + scales)[y == c].sum(axis=0) / N for c in range(K)])
    np.testing.assert_allclose(means["empirical"], wanted, rtol=1e-10)
    np.testing.assert_allclose(means["model"] / scales, wanted / scales, atol=1e-5)
    assert fit.fit(data * scales + scales, y).n_iter_ == 1
