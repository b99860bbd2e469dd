"""Weights in another unit: only their ratios matter, and what priors add beside them."""

import numpy as np
import pytest

from skem import BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture

FACTORS = (1e-200, 1e-30, 1e-11, 1e-4, 3.0, 1e8, 1e200)


def weighted_rows(n=300):
    rng = np.random.default_rng(0)
    y = rng.random(n) < 0.4
    X = rng.normal(size=(n, 3)) + 4 * y[:, None]
    B = (rng.random((n, 6)) < np.where(y, 0.2, 0.8)[:, None]).astype(float)
    return X, B, rng.uniform(0.5, 2, n)


def close(a, b, names):
    for name in names:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("start", ["k-means++", "random"])
def test_binary_rows(factor, start):
    _, B, weight = weighted_rows()
    fits = [
        BernoulliMixtureEM(2, init_params=start, random_state=0).fit(B, sample_weight=w)
        for w in (weight, factor * weight)
    ]
    close(*fits, ["weights_", "probabilities_", "lower_bound_"])


@pytest.mark.parametrize("factor", FACTORS)
def test_coins(factor):
    _, B, weight = weighted_rows()
    a, b = (
        ThreeCoinMixture((0.4, 0.3, 0.7)).fit(B, sample_weight=w) for w in (weight, factor * weight)
    )
    close(a, b, ["pi_", "p_", "q_", "information_"])


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_default_fits(covariance_type, dtype, factor):
    X, _, weight = weighted_rows()
    X = X.astype(dtype)
    tol = 1e-8 if dtype == np.float64 else 1e-5
    a, b = (
        GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0, tol=tol).fit(
            X, sample_weight=w
        )
        for w in (weight, factor * weight)
    )
    for name in ("weights_", "means_", "covariances_"):
        rtol = 1e-6 if dtype == np.float64 else 1e-3
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e6, 1e30])
def test_priors_weigh_what_they_weigh_beside_the_rows(factor):
    """A MAP fit with weights and pseudo-counts times a factor is the same fit."""
    X, B, weight = weighted_rows()
    d = X.shape[1]
    scatter, degrees = np.diag([2.0, 3.0, 4.0]), 7.0

    def gaussian(c, covariance_type):
        # nu + d + 1 and the 1 of the mean's density are counts of rows too
        own = scatter if covariance_type == "full" else np.diag(scatter) * 1.0
        return GaussianMixtureEM(
            2,
            covariance_type=covariance_type,
            weight_concentration_prior=1 + 5 * c,
            covariance_prior=c * own,
            degrees_of_freedom_prior=c * (degrees + d + 1) - d - 1,
            init_params="kmeans",
            random_state=0,
            tol=1e-10,
        ).fit(X, sample_weight=c * weight)

    if factor >= 1:  # less than d - 1 degrees of freedom are refused
        for covariance_type in ("full", "diag"):
            close(
                gaussian(1.0, covariance_type),
                gaussian(factor, covariance_type),
                ["weights_", "means_", "covariances_", "lower_bound_"],
            )

    def bernoulli(c):
        return BernoulliMixtureEM(
            2,
            beta_prior=(1 + 3 * c, 1 + 2 * c),
            weight_concentration_prior=1 + 4 * c,
            random_state=0,
            tol=1e-10,
        ).fit(B, sample_weight=c * weight)

    if factor > 1e-10:  # the sum 1 + 4e-30 is 1
        close(bernoulli(1.0), bernoulli(factor), ["weights_", "probabilities_", "lower_bound_"])


@pytest.mark.parametrize("factor", FACTORS)
def test_batches(factor):
    X, B, weight = weighted_rows()
    for rows, model, names in (
        (X, GaussianMixtureEM(2, random_state=0), ["weights_", "means_", "covariances_"]),
        (B, BernoulliMixtureEM(2, random_state=0), ["weights_", "probabilities_"]),
    ):
        for whole_first in (False, True):
            fits = []
            for c in (1.0, factor):
                mixture = type(model)(**model.get_params())
                if whole_first:
                    mixture.fit(rows, sample_weight=c * weight)
                for part in np.array_split(np.arange(len(rows)), 3):
                    mixture.partial_fit(rows[part], sample_weight=c * weight[part])
                fits.append(mixture)
            close(*fits, names)


def test_a_batch_without_weights_has_weights_of_one():
    X, B, _ = weighted_rows()
    for rows, model in (
        (X, GaussianMixtureEM(2, random_state=0)),
        (B, BernoulliMixtureEM(2, random_state=0)),
    ):
        fits = []
        for second in (None, np.ones(150)):
            mixture = type(model)(**model.get_params())
            mixture.partial_fit(rows[:150], sample_weight=np.full(150, 1e-3))
            fits.append(mixture.partial_fit(rows[150:], sample_weight=second))
        close(*fits, ["weights_"])


def test_batches_of_weights_that_cannot_be_added_are_refused():
    X, _, _ = weighted_rows()
    mixture = GaussianMixtureEM(2, random_state=0)
    mixture.partial_fit(X[:150], sample_weight=np.full(150, 1e-200))
    before = mixture.means_.copy()
    with pytest.raises(ValueError, match="sample_weight"):
        mixture.partial_fit(X[150:], sample_weight=np.full(150, 1e200))
    np.testing.assert_array_equal(mixture.means_, before)


@pytest.mark.parametrize("factor", [1e-20, 0.5, 100.0])
def test_standard_errors_go_with_the_root_of_the_weight(factor):
    X, _, weight = weighted_rows()
    a, b = (
        GaussianMixtureEM(2, standard_errors=True, random_state=0, tol=1e-10).fit(
            X, sample_weight=w
        )
        for w in (weight, factor * weight)
    )
    for name, error in a.standard_errors_.items():
        np.testing.assert_allclose(b.standard_errors_[name], error / np.sqrt(factor), rtol=1e-5)
