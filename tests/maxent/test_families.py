"""Families of distributions that are those of largest entropy under their own constraints.

The checks are the closed forms of scipy.stats: entropies, densities, and multipliers where they are
short.
"""

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, exp1

from skem import MaxEntDistribution

INF = np.inf
LINE, HALF = (-INF, INF), (0, INF)
GAMMA = float(np.euler_gamma)


def positive(x):
    return np.maximum(x, 0)


def negative(x):
    return np.maximum(-x, 0)


def softplus(x):
    return np.logaddexp(0, -x)


def exp_minus(x):
    return np.exp(-x)


def one_over(x):
    return 1 / x


def same(x):
    return x


def split(right, left):
    """Density and constraints of a normal whose halves have deviations of their own."""
    share = right / (right + left)

    def logpdf(x):
        return np.log(2 * share / right) + stats.norm.logpdf(x / np.where(x > 0, right, left))

    return logpdf, [share * right**2, (1 - share) * left**2]


# distribution, functions, their expectations, multipliers, support
FAMILIES = {
    "Gumbel": (stats.gumbel_r().logpdf, [same, exp_minus], [GAMMA, 1.0], [1, 1], LINE),
    "logistic": (stats.logistic().logpdf, [same, softplus], [0.0, 1.0], [1, 2], LINE),
    "generalised logistic": (
        stats.genlogistic(2.5).logpdf, [same, softplus],
        [digamma(2.5) + GAMMA, 1 / 2.5], [1, 3.5], LINE,
    ),
    # kappa = 2: E x+ and E x- from the two exponential sides with their shares 1/5 and 4/5.
    "asymmetric Laplace": (
        stats.laplace_asymmetric(2.0).logpdf, [positive, negative], [0.1, 1.6], [2, 0.5], LINE,
    ),
    "split normal": (
        split(1.0, 3.0)[0], [lambda x: positive(x) ** 2, lambda x: negative(x) ** 2],
        split(1.0, 3.0)[1], [1 / 2, 1 / 18], LINE,
    ),
    "normal": (stats.norm().logpdf, [same, np.square], [0.0, 1.0], [0, 0.5], LINE),
    "Frechet": (
        stats.invweibull(3.0).logpdf, [np.log, lambda x: x**-3.0], [GAMMA / 3, 1.0], [4, 1], HALF,
    ),
    # E log x of IG(1, 1) is -exp(2) E1(2).
    "inverse Gaussian": (
        stats.invgauss(1.0).logpdf, [same, one_over, np.log],
        [1.0, 2.0, -np.exp(2) * exp1(2)], [0.5, 0.5, 1.5], HALF,
    ),
    "gamma": (
        stats.gamma(2.0).logpdf, [same, np.log], [2.0, digamma(2.0)], [1, -1], HALF,
    ),
    "inverse gamma": (
        stats.invgamma(3.0).logpdf, [one_over, np.log], [3.0, -digamma(3.0)], [1, 4], HALF,
    ),
    "Weibull": (
        stats.weibull_min(1.7).logpdf, [lambda x: x**1.7, np.log], [1.0, -GAMMA / 1.7],
        [1, -0.7], HALF,
    ),
    "log-normal": (
        stats.lognorm(1.0).logpdf, [np.log, lambda x: np.log(x) ** 2], [0.0, 1.0], [1, 0.5], HALF,
    ),
    "beta prime": (
        stats.betaprime(2.0, 4.0).logpdf, [np.log, np.log1p],
        [digamma(2.0) - digamma(4.0), digamma(6.0) - digamma(4.0)], [-1, 6], HALF,
    ),
    "Pareto": (stats.pareto(3.0).logpdf, [np.log], [1 / 3], [4], (1, INF)),
}  # fmt: skip


def check(fitted, logpdf, constraints, scale, shift, atol=1e-7):
    assert fitted.converged_
    np.testing.assert_allclose(fitted.moments_, constraints, rtol=1e-8, atol=1e-8)
    x = np.array([0.3, 1.1, 1.7, 4.0])
    x = np.append(x, -x) if logpdf(-1.0) > -INF else x + (logpdf(0.5) == -INF)
    np.testing.assert_allclose(
        fitted.score_samples((scale * x + shift)[:, None]), logpdf(x) - np.log(scale), atol=atol
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_found_from_its_constraints(family):
    logpdf, functions, constraints, multipliers, support = FAMILIES[family]
    fitted = MaxEntDistribution(functions, support=support).fit_moments(constraints)
    check(fitted, logpdf, constraints, 1.0, 0.0)
    np.testing.assert_allclose(fitted.multipliers_, multipliers, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_unit_of_x_changes_nothing_but_the_unit(family, scale):
    logpdf, functions, constraints, _, support = FAMILIES[family]
    functions = [lambda x, f=f: f(x / scale) for f in functions]
    ends = tuple(scale * end for end in support)
    fitted = MaxEntDistribution(functions, support=ends).fit_moments(constraints)
    check(fitted, logpdf, constraints, scale, 0.0)


@pytest.mark.parametrize("family", [name for name, row in FAMILIES.items() if row[-1] == LINE])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 100.0), (1e3, -1e5)])
def test_nor_does_the_origin(family, scale, shift):
    logpdf, functions, constraints, _, support = FAMILIES[family]
    functions = [lambda x, f=f: f((x - shift) / scale) for f in functions]
    fitted = MaxEntDistribution(functions, support=support).fit_moments(constraints)
    check(fitted, logpdf, constraints, scale, shift)


@pytest.mark.parametrize("family", ["Gumbel", "asymmetric Laplace", "gamma", "Frechet"])
@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_units_of_functions_are_those_of_their_multipliers(family, unit):
    _, functions, constraints, multipliers, support = FAMILIES[family]
    functions = [lambda x, f=f: unit * f(x) for f in functions]
    constraints = unit * np.array(constraints)
    fitted = MaxEntDistribution(functions, support=support).fit_moments(constraints)
    assert fitted.converged_
    np.testing.assert_allclose(fitted.moments_ / unit, constraints / unit, rtol=1e-8)
    np.testing.assert_allclose(unit * fitted.multipliers_, multipliers, rtol=1e-7)


def test_a_gamma_with_a_large_mean():
    """x and log x in the units of the data, as of incomes."""
    constraints = [5e4, digamma(2.0) + np.log(2.5e4)]
    fitted = MaxEntDistribution([same, np.log], support=HALF).fit_moments(constraints)
    np.testing.assert_allclose(fitted.multipliers_, [1 / 2.5e4, -1.0], rtol=1e-8)
    truth = stats.gamma(2.0, scale=2.5e4)
    assert fitted.entropy_ == pytest.approx(float(truth.entropy()), abs=1e-9)


def test_functions_with_an_offset_keep_their_digits():
    """E (x + 1e6) and E (|x| + 1e6): Laplace's distribution, to what 1e6 leaves of eps."""
    constraints = [1e6, 1e6 + 1]
    functions = [lambda x: x + 1e6, lambda x: np.abs(x) + 1e6]
    fitted = MaxEntDistribution(functions).fit_moments(constraints)
    assert fitted.converged_
    assert fitted.entropy_ == pytest.approx(1 + np.log(2), abs=1e-8)


def test_a_combination_that_a_base_makes_possible():
    """A Cauchy base and exp(x): its right tail must be damped, the left one is the base's."""
    fitted = MaxEntDistribution([np.exp], base=stats.cauchy.pdf).fit_moments([3.0])
    assert fitted.converged_
    assert fitted.multipliers_[0] > 0
    assert fitted.expectation(np.exp) == pytest.approx(3.0, rel=1e-8)


@pytest.mark.parametrize(
    ("functions", "support"), [([np.log], HALF), ([np.sin, np.cos], LINE), ([same], LINE)]
)
def test_what_cannot_be_proved_is_not_asserted(functions, support):
    """No multipliers *were found*; functions of which only values are known prove no more."""
    estimator = MaxEntDistribution(functions, support=support)
    with pytest.raises(ValueError, match=r"no multipliers were found.*normaliser.*tails"):
        estimator.fit_moments([0.1] * len(functions))
