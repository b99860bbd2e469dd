"""EM for Gaussian mixtures written down a second time, in a few lines of NumPy."""

import numpy as np
import pytest

from skem import GaussianMixtureEM


def numpy_em(gaussian, X, start, covariance_type, n_steps):
    """Textbook EM on complete rows; returns the parameters after each step."""
    weights, means, covariances = start
    n, d = X.shape
    k = len(weights)
    path = []
    for _ in range(n_steps):
        dense = gaussian.dense(covariances, covariance_type, k, d)
        joint = np.exp(gaussian.log_joint(X, weights, means, dense))
        r = joint / joint.sum(axis=1, keepdims=True)
        counts = r.sum(axis=0)
        weights, means = counts / n, (r.T @ X) / counts[:, None]
        scatter = np.array([(r[:, j, None] * (X - means[j])).T @ (X - means[j]) for j in range(k)])
        if covariance_type.startswith("tied"):
            within = scatter.sum(axis=0)[None] / n
        else:
            within = scatter / counts[:, None, None]
        kind = covariance_type.removeprefix("tied").removeprefix("_") or "full"
        if kind == "diag":
            within = np.diagonal(within, axis1=1, axis2=2)
        elif kind == "spherical":
            within = np.trace(within, axis1=1, axis2=2) / d
        covariances = within[0] if covariance_type.startswith("tied") else within
        path.append((weights, means, covariances))
    return path


def start_for(covariance_type, X):
    variance = X.var(axis=0)
    covariance = {
        "full": np.repeat(np.diag(variance)[None], 3, axis=0),
        "tied": np.diag(variance),
        "diag": np.repeat(variance[None], 3, axis=0),
        "spherical": np.full(3, variance.mean()),
        "tied_diag": variance,
        "tied_spherical": np.asarray(variance.mean()),
    }[covariance_type]
    dense = covariance_type in ("full", "tied")
    precision = np.linalg.inv(covariance) if dense else 1 / covariance
    return (np.array([0.5, 0.3, 0.2]), X[[5, 60, 120]], covariance), precision


def test_every_step_is_the_textbooks(gaussian, covariance_type, iris, quietly):
    start, precision = start_for(covariance_type, iris)
    path = numpy_em(gaussian, iris, start, covariance_type, 8)
    for max_iter in (1, 2, 8):
        mixture = GaussianMixtureEM(
            3, covariance_type=covariance_type, reg_covar=0.0, tol=0.0, max_iter=max_iter,
            acceleration=None, weights_init=start[0], means_init=start[1],
            precisions_init=precision,
        )  # fmt: skip
        quietly(mixture, iris)
        weights, means, covariances = path[max_iter - 1]
        np.testing.assert_allclose(mixture.weights_, weights, rtol=1e-9)
        np.testing.assert_allclose(mixture.means_, means, rtol=1e-9)
        np.testing.assert_allclose(mixture.covariances_, covariances, rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize(("d", "k"), [(1, 2), (2, 5), (7, 3), (20, 2)])
def test_other_sizes(gaussian, covariance_type, d, k, quietly):
    X, y = gaussian.draw(np.random.default_rng(d), 200, k, d, separation=5.0)
    start = np.eye(k)[y] * 0.7 + 0.3 / k
    mixture = GaussianMixtureEM(
        k, covariance_type=covariance_type, init_params=start, reg_covar=0.0, tol=0.0,
        acceleration=None,
    )  # fmt: skip
    quietly(mixture.set_params(max_iter=0), X)
    path = numpy_em(gaussian, X, gaussian.parameters(mixture), covariance_type, 3)
    quietly(mixture.set_params(max_iter=3), X)
    for actual, expected in zip(gaussian.parameters(mixture), path[-1], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=1e-9)


def test_responsibilities_as_a_start_are_an_m_step(gaussian, covariance_type, iris, quietly):
    r = np.random.default_rng(0).dirichlet(np.ones(3), len(iris))
    mixture = GaussianMixtureEM(
        3, covariance_type=covariance_type, init_params=r, reg_covar=0.0, max_iter=0
    )
    quietly(mixture, iris)
    counts = r.sum(axis=0)
    np.testing.assert_allclose(mixture.weights_, counts / len(iris))
    np.testing.assert_allclose(mixture.means_, r.T @ iris / counts[:, None])


def test_samples_have_the_moments_of_the_mixture(gaussian, covariance_type, iris):
    mixture = GaussianMixtureEM(3, covariance_type=covariance_type, random_state=0).fit(iris)
    X, y = mixture.sample(100_000)
    dense = gaussian.dense(mixture.covariances_, covariance_type, 3, 4)
    np.testing.assert_allclose(np.bincount(y) / len(y), mixture.weights_, atol=0.01)
    for k in range(3):
        np.testing.assert_allclose(X[y == k].mean(axis=0), mixture.means_[k], atol=0.02)
        np.testing.assert_allclose(np.cov(X[y == k].T), dense[k], atol=0.02)
    again, _ = mixture.sample(100_000)
    np.testing.assert_array_equal(X, again)  # random_state is an integer
