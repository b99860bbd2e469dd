"""Published and closed-form solutions, to their digits."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import digamma

from skem import MaxEntDistribution

INF = np.inf
DIE = [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("mean", "multiplier", "probabilities", "entropy"),
    [
        (
            4.5,
            0.3710489381,
            [0.05435317, 0.07877155, 0.11415998, 0.16544680, 0.23977444, 0.34749407],
            1.6135810982,
        ),
        (
            4.0,
            0.1746289312,
            [0.10306525, 0.12273053, 0.14614804, 0.17403371, 0.20724009, 0.24678238],
            1.7485062489,
        ),
    ],
)
def test_the_die_of_jaynes(mean, multiplier, probabilities, entropy):
    die = MaxEntDistribution(1, support=DIE).fit_moments([mean])
    assert die.multipliers_[0] == pytest.approx(-multiplier, abs=5e-11)
    np.testing.assert_allclose(die.probabilities_, probabilities, atol=5e-9)
    assert die.entropy_ == pytest.approx(entropy, abs=5e-11)
    assert die.kl_divergence_ == -die.entropy_


def test_a_die_with_a_base_measure():
    die = MaxEntDistribution(1, support=DIE, base=[0.1, 0.1, 0.1, 0.1, 0.5, 0.1])
    die.fit_moments([4.5])
    # The root of the one equation in 30-digit arithmetic.
    assert die.multipliers_[0] == pytest.approx(-0.20187542935454199721, abs=1e-14)
    expected = [0.05125862, 0.06272495, 0.07675624, 0.09392627, 0.57468582, 0.14064810]
    np.testing.assert_allclose(die.probabilities_, expected, atol=5e-9)
    assert die.kl_divergence_ == pytest.approx(0.0382776718, abs=5e-11)
    p = die.probabilities_
    assert die.entropy_ == pytest.approx(-(p * np.log(p)).sum(), rel=1e-12)


def test_kangaroos_are_independent():
    """A third has blue eyes, a quarter is left-handed: nothing says that they go together."""
    kangaroos = MaxEntDistribution(1, support=[[1, 1], [1, 0], [0, 1], [0, 0]])
    kangaroos.fit_moments([1 / 3, 1 / 4])
    np.testing.assert_allclose(kangaroos.probabilities_, [1 / 12, 1 / 4, 1 / 6, 1 / 2], atol=1e-14)
    np.testing.assert_allclose(kangaroos.multipliers_, [np.log(2), np.log(3)], rtol=1e-13)


def test_the_shop():
    """Su (2015): burger 1, chicken 2, fish 3, and a mean spend of 1.75."""
    shop = MaxEntDistribution(1, support=[1, 2, 3]).fit_moments([1.75])
    np.testing.assert_array_equal(shop.probabilities_.round(3), [0.466, 0.318, 0.216])


def test_truncated_normal():
    fitted = MaxEntDistribution(2, support=(-2.5, 2.5)).fit_moments([0, 1])
    np.testing.assert_allclose(fitted.multipliers_, [0, 0.4385698942], atol=5e-11)
    assert fitted.entropy_ == pytest.approx(1.4036540286, abs=5e-11)
    sigma = np.sqrt(1 / (2 * fitted.multipliers_[1]))
    truth = stats.truncnorm(-2.5 / sigma, 2.5 / sigma, scale=sigma)
    x = np.linspace(-2.4, 2.4, 9)
    np.testing.assert_allclose(fitted.score_samples(x[:, None]), truth.logpdf(x), atol=1e-10)


def test_truncated_exponential():
    fitted = MaxEntDistribution(1, support=(0, 1)).fit_moments([0.3])
    assert fitted.multipliers_[0] == pytest.approx(2.6721038553, abs=5e-11)


# ---------------------------------------------------------------------- closed forms
@pytest.mark.parametrize("mean", [1e-6, 1.0, 2.5, 1e7])
def test_the_exponential(mean):
    """Su (2015), eq. 31; H = 1 + ln mu."""
    fitted = MaxEntDistribution(1, support=(0, INF)).fit_moments([mean])
    assert fitted.multipliers_[0] == pytest.approx(1 / mean, rel=1e-14)
    assert fitted.entropy_ == pytest.approx(1 + np.log(mean), abs=1e-13)
    assert fitted.log_partition_ == pytest.approx(np.log(mean), abs=1e-13)


@pytest.mark.parametrize(("mean", "sigma"), [(0.0, 1.0), (3.0, 2.0), (-1e3, 0.5), (0.1, 1e5)])
def test_the_normal(mean, sigma):
    """Su (2015), eq. 36; H = ln(2 pi e sigma^2) / 2."""
    fitted = MaxEntDistribution().fit_moments([mean, mean**2 + sigma**2])
    assert fitted.entropy_ == pytest.approx(np.log(2 * np.pi * np.e * sigma**2) / 2, abs=1e-9)
    np.testing.assert_allclose(
        fitted.multipliers_, [-mean / sigma**2, 1 / (2 * sigma**2)], rtol=1e-9
    )
    x = mean + sigma * np.linspace(-5, 5, 11)
    truth = stats.norm(mean, sigma).logpdf(x)
    np.testing.assert_allclose(fitted.score_samples(x[:, None]), truth, atol=1e-8)


@pytest.mark.parametrize("support", [(-INF, INF), (-1e6, 1e6)])
def test_closed_forms_are_reached_by_functions_too(support):
    functions = [lambda x: x, lambda x: x**2]
    if np.isinf(support).any():
        fitted = MaxEntDistribution(functions, support=support).fit_moments([3, 13])
        assert fitted.entropy_ == pytest.approx(np.log(2 * np.pi * np.e * 4) / 2, abs=1e-10)
        np.testing.assert_allclose(fitted.multipliers_, [-0.75, 0.125], atol=1e-10)
    else:
        fitted = MaxEntDistribution(functions, support=support).fit_moments([0, 1e12 / 3])
        assert fitted.entropy_ == pytest.approx(np.log(2e6), abs=1e-10)


def test_the_uniform_is_what_is_left_without_news():
    fitted = MaxEntDistribution(1, support=(2, 5), random_state=0).fit_moments([3.5])
    assert fitted.entropy_ == pytest.approx(np.log(3), abs=1e-14)
    assert fitted.multipliers_[0] == 0


def test_the_gamma_and_its_logarithm():
    """E x and E log x on a half line: the gamma distribution."""
    truth = stats.gamma(0.3, scale=2.0)  # has a pole at zero
    constraints = [0.6, float(digamma(0.3)) + np.log(2)]
    functions = [lambda x: x, np.log]
    fitted = MaxEntDistribution(functions, support=(0, INF)).fit_moments(constraints)
    np.testing.assert_allclose(fitted.multipliers_, [0.5, 0.7], rtol=1e-9)
    assert fitted.entropy_ == pytest.approx(float(truth.entropy()), abs=1e-9)


def test_heavy_tails():
    """E log(1 + x^2) = 2 ln 2: the Cauchy distribution."""
    fitted = MaxEntDistribution([lambda x: np.log1p(x**2)]).fit_moments([2 * np.log(2)])
    assert fitted.multipliers_[0] == pytest.approx(1, abs=1e-9)
    assert fitted.entropy_ == pytest.approx(np.log(4 * np.pi), abs=1e-9)


def test_the_laplace_distribution_has_a_kink():
    fitted = MaxEntDistribution([np.abs]).fit_moments([0.7])
    assert fitted.multipliers_[0] == pytest.approx(1 / 0.7, rel=1e-11)
    assert fitted.entropy_ == pytest.approx(1 + np.log(1.4), abs=1e-11)


def test_a_function_that_jumps():
    """A third of the mass below 1 / 3 of an interval of length 2: two uniform pieces."""
    fitted = MaxEntDistribution([lambda x: (x < 1 / 3) * 1.0], support=(0, 2)).fit_moments([0.3])
    x = np.array([[0.1], [1.0]])
    np.testing.assert_allclose(
        np.exp(fitted.score_samples(x)), [0.3 / (1 / 3), 0.7 / (5 / 3)], rtol=1e-10
    )


def test_a_base_is_tilted():
    """A normal base and another mean: the normal is moved."""
    fitted = MaxEntDistribution(1, base=stats.norm(1, 2).pdf).fit_moments([2.5])
    x = np.linspace(-3, 6, 7)
    truth = stats.norm(2.5, 2)
    np.testing.assert_allclose(fitted.score_samples(x[:, None]), truth.logpdf(x), atol=1e-10)
    assert fitted.kl_divergence_ == pytest.approx(1.5**2 / 8, abs=1e-10)
    assert fitted.entropy_ == pytest.approx(float(truth.entropy()), abs=1e-10)


def test_fourth_moments_by_an_independent_integral():
    fitted = MaxEntDistribution(4).fit_moments([0, 1, 0.5, 3.5])

    def density(x):
        return np.exp(fitted.score_samples([[x]])[0])

    for k, value in enumerate([1, 0, 1, 0.5, 3.5]):
        integral, _ = quad(lambda x, k=k: x**k * density(x), -15, 25, limit=300, epsabs=1e-11)
        assert integral == pytest.approx(value, abs=1e-8)


def test_a_box_that_falls_apart_is_a_product():
    functions = [lambda r: r[:, 0], lambda r: r[:, 1]]
    box = MaxEntDistribution(functions, support=((0, 1), (-1, 3))).fit_moments([0.3, 2.0])
    sides = [
        MaxEntDistribution(1, support=(0, 1)).fit_moments([0.3]),
        MaxEntDistribution(1, support=(-1, 3)).fit_moments([2.0]),
    ]
    assert box.entropy_ == pytest.approx(sum(side.entropy_ for side in sides), abs=1e-11)
    np.testing.assert_allclose(
        box.multipliers_, [side.multipliers_[0] for side in sides], rtol=1e-10
    )
