"""What holds for every distribution of largest entropy: duality, invariance, sufficiency."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from skem import MaxEntDistribution

INF = np.inf


@st.composite
def finite_problems(draw):
    """Points, functions of them as a table, and a distribution that has the expectations."""
    n = draw(st.integers(3, 12))
    m = draw(st.integers(1, min(3, n - 1)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    table = rng.standard_normal((n, m)) * draw(st.sampled_from([1e-3, 1.0, 1e3]))
    return table, rng.dirichlet(np.full(n, 0.7)), rng


def look_up(table, A=None, b=None):
    """The columns of a table as functions of the row number, or combinations A f + b of them."""
    values = table if A is None else table @ A.T + b
    return [lambda x, j=j: values[x.astype(int), j] for j in range(values.shape[1])]


def solve(table, tau, **kwargs):
    points = np.arange(len(table))
    return MaxEntDistribution(look_up(table, **kwargs), support=points).fit_moments(tau)


# ---------------------------------------------------------------------- finite supports
@given(finite_problems())
def test_constraints_are_met_and_the_duality_gap_is_zero(problem):
    table, q, _ = problem
    tau = q @ table
    fitted = solve(table, tau)
    p, scale = fitted.probabilities_, np.abs(table).max()
    np.testing.assert_allclose(p @ table, tau, atol=1e-9 * scale)
    np.testing.assert_allclose(fitted.moments_, tau, atol=1e-9 * scale)
    dual = fitted.log_partition_ + fitted.multipliers_ @ tau
    assert fitted.entropy_ == pytest.approx(dual, abs=1e-8 * (1 + abs(fitted.log_partition_)))
    assert fitted.optimality_gap_ <= 1e-10
    assert fitted.converged_
    assert p.sum() == pytest.approx(1, abs=1e-12)
    log_p = -table @ fitted.multipliers_ - fitted.log_partition_
    possible = p > 1e-200
    np.testing.assert_allclose(np.log(p[possible]), log_p[possible], rtol=1e-7, atol=1e-7)


@given(finite_problems())
def test_no_other_distribution_with_the_same_constraints_has_more_entropy(problem):
    table, q, rng = problem
    fitted = solve(table, q @ table)
    p = fitted.probabilities_
    constraints = np.column_stack([table / np.abs(table).max(), np.ones(len(p))])
    null = np.linalg.svd(constraints.T)[2][constraints.shape[1] :]
    for _ in range(20):
        if not len(null):
            break
        direction = rng.standard_normal(len(null)) @ null
        down = direction < 0
        other = p + rng.uniform(0, 0.9) * (p[down] / -direction[down]).min() * direction
        other = np.maximum(other, 1e-300)
        assert -(other * np.log(other)).sum() <= fitted.entropy_ + 1e-9
    assert -(q * np.log(np.maximum(q, 1e-300))).sum() <= fitted.entropy_ + 1e-9


@given(finite_problems())
def test_affine_maps_of_the_functions_leave_the_distribution(problem):
    table, q, rng = problem
    m = table.shape[1]
    A = np.diag(rng.choice([1e-4, 0.5, 30.0], m)) @ np.linalg.qr(rng.standard_normal((m, m)))[0]
    b = rng.standard_normal(m) * np.abs(table @ A.T).max()
    tau = q @ table
    one, other = solve(table, tau), solve(table, A @ tau + b, A=A, b=b)
    np.testing.assert_allclose(other.probabilities_, one.probabilities_, atol=1e-8)
    assert other.entropy_ == pytest.approx(one.entropy_, abs=1e-8)


@given(finite_problems(), st.sampled_from([1e-6, -3.0, 1e6]))
def test_multipliers_scale_as_one_over_their_function(problem, scale):
    table, q, _ = problem
    A = np.eye(table.shape[1])
    A[0, 0] = scale
    one = solve(table, q @ table)
    other = solve(table, A @ (q @ table), A=A, b=0)
    np.testing.assert_allclose(
        A.T @ other.multipliers_, one.multipliers_, rtol=1e-6, atol=1e-7 / np.abs(table).max()
    )


@given(finite_problems())
def test_a_repeated_function_shares_its_multiplier(problem):
    """Of all equal multipliers those of least norm: both copies get half."""
    table, q, _ = problem
    m = table.shape[1]
    A = np.vstack([np.eye(m), np.eye(m)[:1]])
    one = solve(table, q @ table)
    other = solve(table, A @ (q @ table), A=A, b=0)
    np.testing.assert_allclose(other.probabilities_, one.probabilities_, atol=1e-8)
    half = one.multipliers_[0] / 2
    atol = 1e-7 * (1 / np.abs(table).max() + abs(half))
    np.testing.assert_allclose(other.multipliers_[[0, -1]], [half, half], atol=atol)


@given(finite_problems())
def test_the_gradient_of_log_z_is_minus_the_moments(problem):
    table, q, _ = problem
    table = table / np.abs(table).max()
    fitted = solve(table, q @ table)

    def log_z(lam):
        return np.log(np.exp(-table @ lam).sum())

    if np.abs(fitted.multipliers_).max() < 50:
        gradient = approx_fprime(fitted.multipliers_, log_z, 1e-6)
        np.testing.assert_allclose(-gradient, fitted.moments_, atol=1e-4)


@given(finite_problems())
def test_the_base_is_where_the_distribution_begins(problem):
    """Constraints that the base meets change nothing; the divergence is that of the result."""
    table, q, rng = problem
    base = rng.dirichlet(np.ones(len(table)))
    points = np.arange(len(table))
    estimator = MaxEntDistribution(look_up(table), support=points, base=base)
    same = estimator.fit_moments(base @ table)
    np.testing.assert_allclose(same.probabilities_, base, atol=1e-9)
    assert same.kl_divergence_ == pytest.approx(0, abs=1e-9)
    p = estimator.fit_moments(q @ table).probabilities_
    divergence = (p[p > 0] * np.log(p[p > 0] / base[p > 0])).sum()
    assert estimator.kl_divergence_ == pytest.approx(divergence, abs=1e-8)


# ---------------------------------------------------------------------- intervals
SUPPORTS = [((-INF, INF), 4), ((0, INF), 2), ((-1, 2), 3), ((-INF, 1), 2)]
CONSTRAINTS = {
    (-INF, INF): [0.3, 1.0, 0.7, 2.5],
    (0, INF): [1.0, 1.6],
    (-1, 2): [0.4, 0.7, 0.5],
    (-INF, 1): [0.0, 0.6],
}


@pytest.mark.parametrize(("support", "m"), SUPPORTS)
@settings(max_examples=15)
@given(shift=st.floats(-3, 3), scale=st.sampled_from([0.01, 0.5, 1.0, 40.0]))
def test_another_unit_and_origin_of_x(support, m, shift, scale):
    """x -> scale x + shift: entropy grows by log scale, and so does the density fall."""
    constraints = CONSTRAINTS[support]
    one = MaxEntDistribution(m, support=support).fit_moments(constraints)
    moments = np.array([1.0, *constraints])
    moved = [
        np.dot(np.polynomial.Polynomial([shift, scale]).__pow__(k).coef, moments[: k + 1])
        for k in range(1, m + 1)
    ]
    ends = (scale * support[0] + shift, scale * support[1] + shift)
    other = MaxEntDistribution(m, support=ends).fit_moments(moved)
    lost = 1e-11 * (1 + abs(shift) / scale) ** m
    assert other.entropy_ == pytest.approx(one.entropy_ + np.log(scale), abs=lost)
    x = np.array([[-0.5], [0.1], [0.6]])
    np.testing.assert_allclose(
        other.score_samples(scale * x + shift),
        one.score_samples(x) - np.log(scale),
        atol=100 * lost,
    )


@pytest.mark.parametrize(("support", "m"), SUPPORTS)
def test_duality_and_moments_on_the_line(support, m):
    fitted = MaxEntDistribution(m, support=support).fit_moments(CONSTRAINTS[support])
    dual = fitted.log_partition_ + fitted.multipliers_ @ CONSTRAINTS[support]
    assert fitted.entropy_ == pytest.approx(dual, abs=1e-11)
    for k in range(m + 1):
        expected = [1.0, *CONSTRAINTS[support]][k]
        assert fitted.expectation(lambda x, k=k: x**k) == pytest.approx(expected, abs=1e-10)
    x = np.linspace(max(support[0], -3) + 0.01, min(support[1], 3) - 0.01, 7)
    log_p = -np.vander(x, m + 1, increasing=True)[:, 1:] @ fitted.multipliers_
    np.testing.assert_allclose(
        fitted.score_samples(x[:, None]), log_p - fitted.log_partition_, atol=1e-11
    )
    assert fitted.expectation(lambda x: -fitted.score_samples(x[:, None])) == pytest.approx(
        fitted.entropy_, abs=1e-10
    )


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_data_and_their_moments_give_the_same(seed):
    rng = np.random.default_rng(seed)
    X = rng.gamma(2.0, size=(30, 2)) * [10.0, 50.0]
    fitted = MaxEntDistribution(2, support=(-1, 1000)).fit(X)
    given_moments = np.column_stack([X.mean(axis=0), (X**2).mean(axis=0)])
    again = MaxEntDistribution(2, support=(-1, 1000)).fit_moments(given_moments)
    np.testing.assert_allclose(fitted.moments_, given_moments, rtol=1e-9)
    np.testing.assert_allclose(fitted.multipliers_, again.multipliers_, rtol=1e-4)
    assert fitted.entropy_ == pytest.approx(again.entropy_, abs=1e-8)
    assert fitted.score(X) == pytest.approx(-fitted.entropy_, abs=1e-9)


def test_constraints_from_data_lose_no_digits_to_the_origin():
    """A mean of 1e8 standard deviations: x^2 could not tell the variance, the data can."""
    X = 1e8 + np.array([[-1.0], [0.0], [1.0], [2.0]])
    fitted = MaxEntDistribution().fit(X)
    assert fitted.entropy_ == pytest.approx(np.log(2 * np.pi * np.e * 1.25) / 2, abs=1e-12)
    assert fitted.score(X) == pytest.approx(-fitted.entropy_, abs=1e-12)
