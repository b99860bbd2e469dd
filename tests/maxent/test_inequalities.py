"""Constraints that bound expectations: which of them decide, and that nothing has more entropy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, minimize

from skem import MaxEntDistribution

INF = np.inf
DIE = [1, 2, 3, 4, 5, 6]


def test_a_bound_that_the_uniform_meets_is_no_news():
    die = MaxEntDistribution(1, support=DIE).fit_moments(lower=[2.5], upper=[4])
    assert die.active_.tolist() == ["none"]
    assert die.multipliers_.tolist() == [0]
    np.testing.assert_allclose(die.probabilities_, 1 / 6)


@pytest.mark.parametrize(("bound", "sign"), [("lower", -1), ("upper", 1)])
def test_a_bound_that_it_does_not_meet_is_an_equality(bound, sign):
    mean = 3.5 - sign
    die = MaxEntDistribution(1, support=DIE).fit_moments(**{bound: [mean]})
    equal = MaxEntDistribution(1, support=DIE).fit_moments([mean])
    assert die.active_.tolist() == [bound]
    assert np.sign(die.multipliers_[0]) == sign
    np.testing.assert_allclose(die.probabilities_, equal.probabilities_, atol=1e-12)


@pytest.mark.parametrize(
    ("features", "support", "constraints", "multipliers", "active"),
    [
        (
            2, (-INF, INF), {"moments": [1, np.nan], "upper": [INF, 2]},
            [-1, 0.5], ["equal", "upper"],
        ),
        (2, (-INF, INF), {"lower": [1, -INF], "upper": [2, 3]}, [-0.5, 0.25], ["lower", "upper"]),
        (2, (0, INF), {"moments": [1, np.nan], "upper": [INF, 5]}, [1, 0], ["equal", "none"]),
        (
            4, (-INF, INF), {"moments": [0, 1, 0, np.nan], "upper": [INF, INF, INF, 5]},
            [0, 0.5, 0, 0], ["equal", "equal", "equal", "none"],
        ),
        (2, (0, 1), {"lower": [0.2, 0.1], "upper": [0.8, 0.5]}, [0, 0], ["none", "none"]),
    ],
)  # fmt: skip
def test_bounds_on_powers(features, support, constraints, multipliers, active):
    """A bound on E x^4 above what the variance implies lets the normal be."""
    fitted = MaxEntDistribution(features, support=support).fit_moments(**constraints)
    np.testing.assert_allclose(fitted.multipliers_, multipliers, atol=1e-10)
    assert fitted.active_.tolist() == active
    assert fitted.converged_


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
@settings(max_examples=40)
def test_optimality_conditions_and_a_general_optimiser(seed, m):
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((8, m))
    inside = rng.dirichlet(np.ones(8)) @ table
    lower, upper = inside - rng.uniform(0, 0.3, m), inside + rng.uniform(0, 0.3, m)
    lower[rng.uniform(size=m) < 0.2] = -INF
    functions = [lambda x, j=j: table[x.astype(int), j] for j in range(m)]
    fitted = MaxEntDistribution(functions, support=np.arange(8))
    fitted.fit_moments(lower=lower, upper=upper)
    tau, lam = fitted.moments_, fitted.multipliers_
    assert (tau >= lower - 1e-8).all()
    assert (tau <= upper + 1e-8).all()
    np.testing.assert_allclose(tau[lam > 0], upper[lam > 0], atol=1e-9)
    np.testing.assert_allclose(tau[lam < 0], lower[lam < 0], atol=1e-9)
    active = np.where(lam > 0, "upper", np.where(lam < 0, "lower", "none"))
    assert fitted.active_.tolist() == active.tolist()
    assert fitted.entropy_ == pytest.approx(fitted.log_partition_ + lam @ tau, abs=1e-9)

    def negative_entropy(p):
        return (p * np.log(np.maximum(p, 1e-300))).sum()

    best = minimize(
        negative_entropy,
        fitted.probabilities_ * 0.5 + 0.5 / 8,
        jac=lambda p: np.log(np.maximum(p, 1e-300)) + 1,
        constraints=[LinearConstraint(table.T, lower, upper), LinearConstraint(np.ones(8), 1, 1)],
        bounds=[(1e-12, 1)] * 8,
        method="SLSQP",
    )
    if best.success and np.abs(best.x.sum() - 1) < 1e-8:
        assert -best.fun <= fitted.entropy_ + 1e-5


def test_bounds_of_no_width_are_equalities():
    both = MaxEntDistribution(1, support=DIE).fit_moments(lower=[4.5], upper=[4.5])
    equal = MaxEntDistribution(1, support=DIE).fit_moments([4.5])
    assert both.active_.tolist() == ["equal"]
    np.testing.assert_array_equal(both.probabilities_, equal.probabilities_)


@pytest.mark.parametrize("seed", range(8))
def test_odd_powers_without_a_multiplier_need_no_power_above_them(seed):
    """What is rounding in the multiplier of x^3 leaves a normal density without a normaliser."""
    rng = np.random.default_rng(seed)
    deviation, mean = np.exp(rng.normal()), rng.normal()
    third = mean**3 + 3 * mean * deviation**2
    fourth = mean**4 + 6 * mean**2 * deviation**2 + 3 * deviation**4
    fitted = MaxEntDistribution(4, support=(-INF, INF)).fit_moments(
        moments=[mean, mean**2 + deviation**2, third, np.nan], upper=[INF] * 3 + [2 * fourth]
    )
    assert fitted.converged_
    # The solver ends within a gap of 1e-9 nats.
    assert fitted.entropy_ == pytest.approx(np.log(2 * np.pi * np.e * deviation**2) / 2, abs=1e-9)


@pytest.mark.parametrize("support", [(0, 2), DIE, ((0, 1), (0, 1))])
def test_without_any_constraint_it_is_the_uniform(support):
    fitted = MaxEntDistribution(1, support=support)
    fitted.fit_moments(np.full(2 if np.ndim(support) == 2 else 1, np.nan))
    assert (fitted.active_ == "none").all()
    assert (fitted.multipliers_ == 0).all()
    assert fitted.converged_
