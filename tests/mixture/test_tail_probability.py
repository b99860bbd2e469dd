"""Tail probabilities compare rows in which different columns are missing."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, kstest

from skem import BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture

COVARIANCE = np.array([[4.0, 1.0, 0.0], [1.0, 1.0, 0.3], [0.0, 0.3, 0.25]])
N_DRAWS = 4000


def test_of_one_normal_distribution_it_is_that_of_chi_squared():
    """Density falls with (x - mu)' Sigma^-1 (x - mu), which has as many degrees as columns."""
    mean = np.array([1.0, 2.0, 3.0])
    mixture = GaussianMixtureEM.from_parameters([1.0], [mean], [COVARIANCE], random_state=0)
    X = np.random.default_rng(1).multivariate_normal(mean, 2 * COVARIANCE, size=200)
    X[np.random.default_rng(2).random(X.shape) < 0.4] = np.nan
    expected = []
    for row in X:
        o = ~np.isnan(row)
        difference = (row - mean)[o]
        distance = difference @ np.linalg.solve(COVARIANCE[np.ix_(o, o)], difference)
        expected.append(chi2.sf(distance, o.sum()) if o.any() else 1.0)
    error = np.abs(mixture.tail_probability(X, n_draws=N_DRAWS) - expected)
    assert error.max() < 4 * 0.5 / np.sqrt(N_DRAWS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_rows_of_the_mixture_it_is_uniform_whatever_is_missing(covariance_type, dtype):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(200, 4)), 3 + 0.3 * rng.normal(size=(100, 4))]).astype(dtype)
    mixture = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0).fit(X)
    rows, _ = mixture.sample(2000, random_state=1)
    patterns = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 1]], bool)
    missing = patterns[np.arange(2000) % 3]
    values = mixture.tail_probability(np.where(missing, np.nan, rows), n_draws=N_DRAWS)
    for pattern in patterns:
        own = values[(missing == pattern).all(axis=1)]
        assert kstest(own, "uniform").statistic < 1.95 * np.sqrt(1 / len(own) + 1 / N_DRAWS)


def test_rows_of_one_pattern_are_ordered_by_density():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3)) * 3
    mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    order = np.argsort(mixture.score_samples(X))
    assert (np.diff(mixture.tail_probability(X)[order]) >= 0).all()


@pytest.mark.parametrize("binarize", [0.5, 7.5])
def test_of_binary_rows_it_is_a_sum_over_the_rows_that_are_possible(binarize):
    weights, p = np.array([0.4, 0.6]), np.array([[0.9, 0.7, 0.2], [0.1, 0.2, 0.6]])
    mixture = BernoulliMixtureEM.from_parameters(weights, p, binarize=binarize, random_state=0)
    scale = 2 * binarize
    possible = scale * np.array(list(itertools.product([0, 1], repeat=3)), float)
    possible[:4, 0] = np.nan
    values = mixture.tail_probability(possible, n_draws=N_DRAWS)
    for rows, found in ((possible[:4], values[:4]), (possible[4:], values[4:])):
        every = np.array(list(itertools.product([0, 1], repeat=3)), float) * scale
        every[:, np.isnan(rows[0])] = 0
        every = np.unique(every, axis=0)
        every[:, np.isnan(rows[0])] = np.nan
        mass = np.exp(mixture.score_samples(every))
        assert mass.sum() == pytest.approx(1)
        for row, value in zip(rows, found, strict=True):
            own = np.exp(mixture.score_samples(row[None]))[0]
            assert value == pytest.approx(mass[mass <= own * (1 + 1e-9)].sum(), abs=0.04)


def test_it_follows_the_seed_and_takes_frames():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(50, 2)), columns=["a", "b"])
    mixture = GaussianMixtureEM(1, random_state=0).fit(frame)
    a, b, c = (mixture.tail_probability(frame, random_state=seed) for seed in (None, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    with pytest.raises(ValueError, match="n_draws must be an integer of at least 1"):
        mixture.tail_probability(frame, n_draws=0)
    coins = ThreeCoinMixture(random_state=0).fit(rng.random((40, 3)) < 0.4)
    assert coins.tail_probability([[np.nan, np.nan, np.nan]]) == [1.0]
