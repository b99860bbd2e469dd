"""Independent implementations that the mixtures are held against, and data."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from skem.datasets import load_old_faithful

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical", "tied_diag", "tied_spherical")


@pytest.fixture(scope="session")
def iris():
    return load_iris().data


@pytest.fixture(scope="session")
def faithful():
    return load_old_faithful().data


@pytest.fixture(scope="session", params=COVARIANCE_TYPES)
def covariance_type(request):
    return request.param


@pytest.fixture(scope="session")
def gaussian():
    """The Gaussian mixture by the book: densities by scipy, one component and pattern at a time."""
    return SimpleNamespace(
        dense=dense_covariances,
        log_joint=gaussian_log_joint,
        objective=gaussian_objective,
        parameters=gaussian_parameters,
        replaced=with_parameters,
        gradient=gaussian_gradient,
        draw=draw_gaussian,
    )


@pytest.fixture(scope="session")
def quietly():
    """Fit without the warning that EM has not converged: the number of maps is the point."""

    def fit(estimator, *args, **kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return estimator.fit(*args, **kwargs)

    return fit


@pytest.fixture
def many_blocks(monkeypatch):
    """Cut even little data into many blocks of rows."""
    monkeypatch.setattr("skem.em._rows.MIN_BLOCK_VALUES", 1 << 12)


def draw_gaussian(rng, n, k, d, separation=4.0):
    """Rows and components of a mixture whose components differ in mean, scale and correlation.

    Means are at least ``separation / 2`` apart, standard deviations are about 0.5 to 1.5.
    """
    weights = rng.dirichlet(np.full(k, 5.0))
    y = np.sort(np.r_[np.repeat(np.arange(k), d + 3), rng.choice(k, n, p=weights)])[:n]
    rng.shuffle(y)
    directions = rng.standard_normal((k, d))
    means = separation * directions / np.linalg.norm(directions, axis=1, keepdims=True) / 4
    means[:, 0] += separation * np.arange(k)
    factors = rng.uniform(0.5, 1.5, (k, 1, 1)) * (np.eye(d) + 0.3 * rng.standard_normal((k, d, d)))
    return means[y] + np.einsum("nij,nj->ni", factors[y], rng.standard_normal((n, d))), y


def dense_covariances(covariances, covariance_type, k, d):
    """Covariances of any type as (k, d, d)."""
    one = {
        "full": lambda c: c,
        "diag": np.diag,
        "spherical": lambda c: c * np.eye(d),
    }
    kind = "full" if covariance_type == "tied" else covariance_type.removeprefix("tied_")
    if covariance_type.startswith("tied"):
        return np.repeat(one[kind](covariances)[None], k, axis=0)
    return np.array([one[kind](c) for c in covariances])


def gaussian_log_joint(X, weights, means, covariances):
    """log w_k N(x_o | mu_o, Sigma_oo), o the entries of x that are not NaN; (n, k)."""
    X = np.asarray(X, dtype=np.float64)
    result = np.tile(np.log(np.maximum(weights, 1e-300)), (len(X), 1))
    known = ~np.isnan(X)
    for observed in np.unique(known, axis=0):
        if not observed.any():
            continue
        rows = (known == observed).all(axis=1)
        for k in range(len(weights)):
            normal = multivariate_normal(
                means[k][observed], covariances[k][np.ix_(observed, observed)], allow_singular=False
            )
            result[rows, k] += normal.logpdf(X[np.ix_(rows, observed)])
    return result


def gaussian_parameters(mixture):
    """(weights, means, covariances) of a fitted mixture, the last with the shape of its type."""
    return (
        np.asarray(mixture.weights_, dtype=np.float64),
        np.asarray(mixture.means_, dtype=np.float64),
        np.asarray(mixture.covariances_, dtype=np.float64),
    )


def with_parameters(mixture, weights, means, covariances):
    """The values that `gaussian_objective` needs, in the place of a fitted mixture."""
    names = (
        "covariance_type",
        "reg_covar",
        "weight_concentration_prior",
        "mean_precision_prior",
        "mean_prior",
        "degrees_of_freedom_prior",
        "covariance_prior",
    )
    return SimpleNamespace(
        **{name: getattr(mixture, name) for name in names},
        weights_=weights,
        means_=means,
        covariances_=covariances,
    )


def gaussian_objective(mixture, X, sample_weight=None, labels=None):
    """What a fit maximises: log-likelihood of the (blurred) rows plus log prior, in nats."""
    weights, means, covariances = gaussian_parameters(mixture)
    k, d = means.shape
    dense = dense_covariances(covariances, mixture.covariance_type, k, d)
    precisions = np.linalg.inv(dense)
    log_joint = gaussian_log_joint(X, weights, means, dense)
    log_joint -= mixture.reg_covar * np.trace(precisions, axis1=1, axis2=2) / 2
    w = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight)
    rows = logsumexp(log_joint, axis=1)
    if labels is not None:
        known = np.asarray(labels) >= 0
        rows[known] = log_joint[known, np.asarray(labels)[known]]
    value = w @ rows
    if mixture.weight_concentration_prior is not None:
        value += (mixture.weight_concentration_prior - 1) * np.log(weights).sum()
    log_det = np.linalg.slogdet(dense)[1]
    if mixture.mean_precision_prior is not None:
        center = np.average(X, axis=0, weights=w) if mixture.mean_prior is None else (
            np.asarray(mixture.mean_prior)
        )  # fmt: skip
        a = means - center
        distance = np.einsum("ki,kij,kj->k", a, precisions, a)
        value -= (log_det + mixture.mean_precision_prior * distance).sum() / 2
    if mixture.covariance_prior is not None:
        nu = mixture.degrees_of_freedom_prior or d + 2
        psi = dense_covariances(
            np.asarray(mixture.covariance_prior), "tied" + kind_suffix(mixture), 1, d
        )[0]
        each = (nu + d + 1) * log_det + np.einsum("ij,kji->k", psi, precisions)
        value -= (each[:1] if mixture.covariance_type.startswith("tied") else each).sum() / 2
    return float(value)


def kind_suffix(mixture):
    kind = mixture.covariance_type.removeprefix("tied").removeprefix("_")
    return "" if kind in ("", "full") else "_" + kind


def gaussian_gradient(mixture, X, sample_weight=None, labels=None, step=1e-5):
    """Gradient of `gaussian_objective` by central differences, in log weights, means, covariances.

    Covariances are changed symmetrically, within their structure. Steps are shares of the smallest
    variance, beside which the error of a difference is the square of the share.
    """
    weights, means, covariances = gaussian_parameters(mixture)
    d = means.shape[1]
    dense = dense_covariances(covariances, mixture.covariance_type, len(weights), d)
    least = min(1.0, float(np.linalg.eigvalsh(dense).min()))
    sizes = (step, step * np.sqrt(least), step * least)

    def value(log_weights, new_means, new_covariances):
        new_weights = np.exp(log_weights - logsumexp(log_weights))
        changed = with_parameters(mixture, new_weights, new_means, new_covariances)
        return gaussian_objective(changed, X, sample_weight, labels)

    start = [np.log(weights), means, covariances]
    gradient = []
    for position, (array, size) in enumerate(zip(start, sizes, strict=True)):
        for index in np.ndindex(array.shape):
            ends = []
            for sign in (1, -1):
                moved = array.copy()
                moved[index] += sign * size
                full = position == 2 and mixture.covariance_type in ("full", "tied")
                if full and index[-1] != index[-2]:
                    moved[(*index[:-2], index[-1], index[-2])] += sign * size
                ends.append(value(*start[:position], moved, *start[position + 1 :]))
            gradient.append((ends[0] - ends[1]) / (2 * size))
    return np.array(gradient)
