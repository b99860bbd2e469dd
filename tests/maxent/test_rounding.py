"""Steps at the limit of rounding: always finite, and the certificate stays one.

Where all classes move together nothing changes, so the second derivative is singular, and what is
left of the gradient there is rounding.
"""

import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skem import MaxEntClassifier
from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers._newton_step import conjugate_gradients, newton_step
from skem.maxent.classifier.solvers._objective import Objective

EPS = np.finfo(np.float64).eps
SOLVERS = ("newton-cholesky", "block-lbfgs", "diagonal-lbfgs", "coordinate-descent")


def draw(seed):
    """A small multinomial problem: rows in any units, classes and weights of rows or None."""
    rng = np.random.default_rng(seed)
    n, p, k = rng.integers(20, 150), rng.integers(1, 6), rng.integers(3, 6)
    y = rng.permutation(np.append(np.arange(k), rng.integers(k, size=n - k)))
    X = rng.normal(size=(n, p)) + rng.uniform(0, 2) * rng.normal(size=(k, p))[y]
    if seed % 3 == 0:
        X = (X + rng.normal(size=p)) * 10.0 ** rng.uniform(-4, 4, size=p)
    if seed % 5 == 0:  # columns that are constant, or depend on each other
        X = np.column_stack([X, X[:, 0], np.full(n, rng.normal())])
    return X, y, rng.uniform(0.1, 3, n) if seed % 2 else None, rng


def objective_of(X, y, weight, penalty):
    design = LinearDesign(X, y, weight, n_classes=y.max() + 1, intercept=True, n_jobs=1)
    l2 = np.full(design.n_weights, penalty / design.total_weight)
    return Objective(design, l2, np.zeros_like(l2))


@settings(max_examples=300)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0, 1e3]))
def test_newton_steps_are_finite_and_their_gap_is_a_bound(seed, penalty, shift):
    """Full steps from zero, on and on when there is nothing left to gain, with all classes shifted.

    The size of what rounding may do to a gap: F and D are each a mean of terms of the size of a
    logit, with errors of a few eps.
    """
    X, y, weight, _ = draw(seed)
    objective = objective_of(X, y, weight, penalty)
    theta = objective.design.join(
        np.zeros(objective.design.n_weights), np.full(objective.design.n_logits, shift)
    )
    found = []
    for _ in range(12):
        value, gradient = objective.smooth(theta)
        step, _ = newton_step(objective, gradient)
        assert np.isfinite(step).all()
        gap = objective.gap(theta, value, step)
        assert gap >= 0  # and not NaN
        logits = objective.design.logits(theta)
        room = 32 * EPS * (1 + np.abs(logits).max())
        found.append((value, gap, room))
        length = 1.0
        while objective.smooth(theta + length * step)[0] > value and length > 1e-3:
            length /= 2
        theta = theta + length * step
    least = min(value for value, _, _ in found)
    assert all(value - least <= gap + room for value, gap, room in found)


@settings(max_examples=100)
@given(st.integers(0, 10**6), st.sampled_from([1e-4, 1e-8, 1e-11, 1e-14]), st.sampled_from(SOLVERS))
@example(256, 1e-8, "diagonal-lbfgs")  # a class with a chance of 1e-298 in all rows
def test_fits_meet_no_arithmetic_that_is_not_defined(seed, tol, solver):
    """Warnings are errors: no 0 / 0 on the way, whatever the tolerance asks for."""
    X, y, weight, _ = draw(seed)
    for C in (np.inf, 1.0):
        fit = MaxEntClassifier(C, tol=tol, solver=solver, max_iter=200)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit.fit(X, y, sample_weight=weight)
        assert np.isfinite(fit.coef_).all()
        assert fit.optimality_gap_ >= 0


@settings(max_examples=500)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(0, 4))
def test_conjugate_gradients_of_singular_matrices(seed, n, n_flat):
    """H of rank n, and a right side that is off its range by rounding: H v = b in the range."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((n + n_flat, n + n_flat)))[0][:, :n]
    values = rng.uniform(0.5, 2, n)
    H, b = (Q * values) @ Q.T, Q @ rng.uniform(-1, 1, n)
    off = EPS * rng.uniform(-1, 1, n + n_flat)
    step, _ = conjugate_gradients(
        lambda v: H @ v, b + off, lambda v: v, accuracy=0.0, max_products=10 * (n + n_flat)
    )
    # Products of n + n_flat terms, of vectors of a norm of at most sqrt(n), each a few times.
    size = (n + n_flat) * np.sqrt(n)
    np.testing.assert_allclose(step, (Q / values) @ (Q.T @ b), rtol=0, atol=32 * EPS * size)


def test_conjugate_gradients_end_where_nothing_has_curvature():
    for flat in (np.zeros((3, 3)), -np.eye(3), np.full((3, 3), np.nan)):
        step, solved = conjugate_gradients(
            lambda v, H=flat: H @ v, np.ones(3), lambda v: v, accuracy=1e-10, max_products=30
        )
        np.testing.assert_array_equal(step, 0)
        assert not solved
    step, solved = conjugate_gradients(
        lambda v: v, np.zeros(3), lambda v: v, accuracy=1e-10, max_products=30
    )
    np.testing.assert_array_equal(step, 0)
    assert solved


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("value", [0.0, 7.0])
@pytest.mark.parametrize("C", [1.0, np.inf])
def test_constant_columns_alone_leave_the_class_frequencies(solver, value, C):
    X, y = np.full((3000, 40), value), np.arange(3000) % 4 % 3
    fit = MaxEntClassifier(C, solver=solver, tol=1e-12).fit(X, y)
    assert fit.converged_
    np.testing.assert_allclose(fit.predict_proba(X[:1])[0], np.bincount(y) / len(y), atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS[:3])
def test_a_warm_start_may_have_classes_that_all_moved_together(solver):
    """As after a fit with an L1 penalty: with L2 the weights of a column sum to zero."""
    X, y, _, _ = draw(1)
    cold = MaxEntClassifier(solver=solver, tol=1e-9, warm_start=True).fit(X, y)
    expected = cold.coef_.copy()
    cold.coef_ += 1.0
    warm = cold.fit(X, y)
    assert warm.converged_
    np.testing.assert_allclose(warm.coef_, expected, atol=1e-3)
