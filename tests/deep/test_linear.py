"""The linear model, whose likelihood is known: p(x) = N(b, W W' + s I)."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skem import VAETransformer


def standardised(load):
    return StandardScaler().fit_transform(load().data)


def linear(n_components=2, **options):
    chosen = {
        "hidden_layer_sizes": (),
        "variance": "shared",
        "standardize": False,
        "batch_size": 200,
        "learning_rate": 0.02,
        "random_state": 0,
    }
    return VAETransformer(n_components, **(chosen | options))


@pytest.fixture(scope="module")
def iris():
    return standardised(load_iris)


@pytest.fixture(scope="module")
def halfway(iris):
    """Not trained to the end, so that its posterior is not the exact one."""
    return linear(max_epochs=60).fit(iris)


def decoder_of(vae):
    (layer,) = vae.net_.module_.decoder
    log_variance = vae.net_.module_.likelihood.log_variance
    return (
        layer.weight.detach().double().numpy(),
        layer.bias.detach().double().numpy(),
        float(log_variance.detach().exp()),
    )


def exact(vae, X):
    W, b, noise = decoder_of(vae)
    return multivariate_normal(b, W @ W.T + noise * np.eye(len(b))).logpdf(X)


def closed_bound(vae, X):
    """E_q log p(x|z) - KL(q || p) for a linear decoder, without draws."""
    W, b, noise = decoder_of(vae)
    mean, std = (v.astype(np.float64) for v in vae.posterior_moments(X))
    squares = np.square(X - b - mean @ W.T).sum(1) + np.square(std) @ np.square(W).sum(0)
    fit = -0.5 * (squares / noise + X.shape[1] * np.log(2 * np.pi * noise))
    kl = 0.5 * (mean**2 + std**2 - np.log(std**2) - 1).sum(1)
    return fit - kl


def test_the_bound_is_below_the_log_likelihood_of_each_row(halfway, iris):
    gap = exact(halfway, iris) - closed_bound(halfway, iris)
    assert (gap > 0).all()
    assert gap.mean() > 0.05  # there is something to bound


def test_one_draw_gives_the_bound_in_the_mean(halfway, iris):
    module, rows = halfway.net_.module_, torch.from_numpy(iris.astype(np.float32))
    noise = torch.randn(2000, 1, 1, 2, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        draws = torch.stack([module.log_density(rows, None, e) for e in noise]).double().numpy()
    error = 5 * draws.std(0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(0) - closed_bound(halfway, iris)) < error).all()


def test_many_draws_give_the_log_likelihood(halfway, iris):
    truth = exact(halfway, iris)
    values = halfway.score_samples(iris, n_importance_samples=5000)
    np.testing.assert_allclose(values, truth, atol=0.2)
    assert values.mean() == pytest.approx(truth.mean(), abs=0.01)
    assert halfway.score(iris) < truth.mean() + 0.01


@pytest.mark.parametrize("k", [1, 10, 100])
def test_the_bound_is_below_the_log_likelihood_and_rises(halfway, iris, k):
    """In the mean over rows, which have draws of their own, and over seeds.

    From 100 draws on, the mean over seeds is known to 1e-4 nats, and the gain is less.
    """
    truth = exact(halfway, iris).mean()
    vae = copy.copy(halfway)
    means = []
    for vae._seed in range(10):
        means.append([vae.score_samples(iris, n_importance_samples=n).mean() for n in (k, 30 * k)])
    lower, higher = np.mean(means, axis=0)
    assert lower < higher + (1e-4 if k == 100 else 0)
    assert higher < truth + 0.001


def test_at_the_optimum_the_posterior_means_are_the_exact_ones(iris):
    """At the optimum the posterior of each row is the exact one, and the bound is tight."""
    vae = linear(max_epochs=1500).fit(iris)
    W, b, noise = decoder_of(vae)
    precision = np.eye(2) + W.T @ W / noise
    mean = (iris - b) @ W @ np.linalg.inv(precision) / noise
    np.testing.assert_allclose(vae.transform(iris), mean, atol=0.1)
    np.testing.assert_allclose(vae.reconstruct(iris), b + mean @ W.T, atol=0.1)
    np.testing.assert_allclose(
        vae.score_samples(iris, n_importance_samples=1000).mean(),
        closed_bound(vae, iris).mean(),
        atol=0.02,
    )


@pytest.mark.parametrize(("load", "n"), [(load_iris, 2), (load_wine, 3)])
def test_training_reaches_the_likelihood_of_probabilistic_pca(load, n):
    """Tipping and Bishop 1999; a VAE has no worse optimum (Lucas et al. 2019)."""
    X = standardised(load)
    vae = linear(n, max_epochs=1500).fit(X)
    best = PCA(n).fit(X).score(X)
    # Scikit-learn divides the covariance by n - 1, which costs it a little on its own rows.
    ours = exact(vae, X).mean()
    assert abs(ours - best) / X.shape[1] < 0.01
    assert abs(vae.score(X) - best) / X.shape[1] < 0.01


def test_draws_have_the_mean_and_covariance_of_the_model(halfway):
    W, b, noise = decoder_of(halfway)
    draws = halfway.sample(40_000).astype(np.float64)
    np.testing.assert_allclose(draws.mean(0), b, atol=0.03)
    np.testing.assert_allclose(np.cov(draws.T), W @ W.T + noise * np.eye(4), atol=0.05)


def test_a_linear_model_has_two_layers_and_no_more():
    vae = linear(max_epochs=2, kl_weight=0.0).fit(standardised(load_iris))
    assert len(vae.net_.module_.encoder) == 0
    assert {tuple(p.shape) for p in vae.net_.module_.parameters()} == {(4, 4), (4,), (4, 2), (1,)}
