"""No fit ends as converged that misses its constraints, each in a unit of its own.

The unit of a constraint E f = tau is E |f - tau| under the fitted distribution. A standard
deviation would be none: a point far out with little probability makes it as large as one likes.
"""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from skem import MaxEntDistribution

INF = np.inf
EPS = np.finfo(np.float64).eps


def assert_met(f, p, tau):
    """F of shape (n, m), the functions at points of probability p."""
    possible = p > 0
    f, p = f[possible], p[possible]
    unit, size = p @ np.abs(f - tau), p @ np.abs(f) + np.abs(tau)
    assert (np.abs(p @ f - tau) <= 1e-6 * unit + 1e4 * EPS * size).all()


@pytest.mark.parametrize("far", [1e3, 1e9, 1e15, 1e100])
@pytest.mark.parametrize("constraint", [0.3, 1e-3, 0.999])
def test_a_far_point_hides_no_constraint(far, constraint):
    """It needs no probability, but makes the variance at the start enormous."""
    fitted = MaxEntDistribution(1, support=[0, 1, far]).fit_moments([constraint])
    assert fitted.converged_
    np.testing.assert_allclose(fitted.probabilities_ @ [0, 1, far], constraint, rtol=3e-7)
    if far >= 1e9:  # above 1 / 2, a speck of mass far out costs less entropy than a tilt of 0 and 1
        constraint = min(constraint, 0.5)
        np.testing.assert_allclose(
            fitted.probabilities_, [1 - constraint, constraint, 0], atol=1e-7
        )


@pytest.mark.parametrize("bounds", [{"upper": [0.3]}, {"lower": [0.2], "upper": [0.3]}])
def test_nor_a_bound(bounds):
    fitted = MaxEntDistribution(1, support=[0, 1, 1e9]).fit_moments(**bounds)
    assert fitted.active_.tolist() == ["upper"]
    np.testing.assert_allclose(fitted.probabilities_, [0.7, 0.3, 0], atol=1e-7)


def supports(kind, n, rng):
    """Points whose distances are of one size, or of many."""
    if kind == "grid":
        return np.arange(float(n))
    if kind == "many sizes":
        return 10.0 ** rng.uniform(-6, 9, n)
    if kind == "heavy tails":
        return rng.standard_t(1, size=n) * 10.0 ** rng.uniform(-5, 5)
    if kind == "one far":
        return np.append(rng.normal(size=n - 1), 1e9)
    return rng.normal(size=n) + 10.0 ** rng.uniform(0, 6)  # far from zero


FUNCTIONS = [
    lambda x: x,
    np.square,
    lambda x: np.log1p(np.abs(x)),
    lambda x: np.exp(np.clip(x, -50, 50)),
    lambda x: np.sqrt(np.abs(x)),
    lambda x: 1e6 * np.tanh(x) + 1e8,
]


@settings(max_examples=24)
@given(
    st.sampled_from(["grid", "many sizes", "heavy tails", "one far", "far from zero"]),
    st.sampled_from([4, 12, 60]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, 1.0, 10.0]),
)
def test_on_points(kind, n, seed, log_base):
    """Constraints that a distribution meets; it may be too near a boundary, but is never missed."""
    rng = np.random.default_rng(seed)
    x = np.unique(supports(kind, n, rng))
    functions = [FUNCTIONS[i] for i in rng.choice(len(FUNCTIONS), rng.integers(1, 4), False)]
    f = np.column_stack([function(x) for function in functions])
    base = None if log_base is None else np.exp(log_base * rng.normal(size=len(x)))
    q = rng.dirichlet(np.full(len(x), 0.5))
    fitted = MaxEntDistribution(functions, support=x, base=base)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted.fit_moments(q @ f)
    except ValueError:
        return
    if fitted.converged_:
        assert_met(f, fitted.probabilities_, q @ f)
        np.testing.assert_allclose(
            fitted.moments_, fitted.probabilities_ @ f, rtol=1e-9, atol=1e-9 * np.abs(q @ f).max()
        )


@settings(max_examples=12)
@given(st.sampled_from(["grid", "many sizes", "heavy tails", "one far"]), st.integers(0, 2**32 - 1))
def test_bounds_on_points(kind, seed):
    rng = np.random.default_rng(seed)
    x = np.unique(supports(kind, 12, rng))
    functions = [FUNCTIONS[i] for i in rng.choice(4, 2, False)]
    f = np.column_stack([function(x) for function in functions])
    q = rng.dirichlet(np.full(len(x), 0.5))
    width = q @ np.abs(f - q @ f)
    lower, upper = q @ f - width * rng.uniform(0, 1, 2), q @ f + width * rng.uniform(0, 1, 2)
    fitted = MaxEntDistribution(functions, support=x)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted.fit_moments(lower=lower, upper=upper)
    except ValueError:
        return
    if fitted.converged_:
        p = fitted.probabilities_
        assert_met(f, p, np.clip(p @ f, lower, upper))


BASES = {
    "normal": stats.norm.pdf,
    "wide normal": stats.norm(0, 30).pdf,
    "t": stats.t(3).pdf,
    "Cauchy": stats.cauchy.pdf,
    "Laplace": stats.laplace.pdf,
}


@pytest.mark.parametrize("base", BASES)
# At a rate of 5 the normal base has E exp(5 x) = 3e5, with a variance of 5e21.
@pytest.mark.parametrize(("rate", "share"), [(0.1, 0.5), (1.0, 0.1), (5.0, 0.1)])
def test_exponential_features_of_normal_and_heavy_tailed_bases(base, rate, share):
    """E exp(rate x) less than the base has it, which is infinite for the heavy-tailed ones."""
    at_base = np.exp(rate**2 / 2) if base == "normal" else 1.0
    tau = share * min(at_base, 3.0)
    fitted = MaxEntDistribution([lambda x: np.exp(rate * x)], base=BASES[base])
    fitted.fit_moments([tau])
    assert fitted.converged_
    assert fitted.moments_[0] == pytest.approx(tau, rel=1e-6)
    lam, log_z = fitted.multipliers_[0], fitted.log_partition_
    if base != "Cauchy":
        x = np.linspace(-400, 300, 100_001)  # to the left of which exp(0.1 x) is below 1e-17
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            density = np.exp(np.log(BASES[base](x)) - lam * np.exp(rate * x) - log_z)
            mean = np.trapezoid(np.where(density > 0, density * np.exp(rate * x), 0.0), x)
        assert mean == pytest.approx(tau, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize(
    ("support", "constraints"),
    [((-1, 2), [0.4, 0.7, 0.5]), ((0, INF), [1.0, 1.6]), ((-INF, INF), [0.3, 1.0, 0.7, 2.5])],
)
def test_powers_on_intervals(support, constraints, scale):
    constraints = np.array(constraints) * scale ** np.arange(1, len(constraints) + 1)
    ends = tuple(scale * end for end in support)
    fitted = MaxEntDistribution(len(constraints), support=ends).fit_moments(constraints)
    assert fitted.converged_
    for k, constraint in enumerate(constraints, 1):
        mean = fitted.expectation(lambda x, k=k: x**k)
        unit = fitted.expectation(lambda x, k=k, constraint=constraint: np.abs(x**k - constraint))
        assert abs(mean - constraint) <= 1e-6 * unit
