"""Log-densities of Gaussian components to full precision, with or without missing values.

Here and in the estimator, parameters are in the user's units and in scikit-learn's shapes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from skem.mixture._patterns import patterns
from skem.mixture.gaussian.model._covariances import log_normaliser, structure_of

_WELL_CONDITIONED = 1e6
"""Bound on the condition of a covariance below which its factor is left unchanged: ten digits of it
are right, one more than scores are to have."""


def refine_factors(covariances: NDArray, factors: NDArray) -> NDArray:
    """Make W Sigma W' = I hold to rounding: one Newton step on Cholesky factors W (k, d, d).

    The Cholesky factor of an ill-conditioned Sigma is accurate to eps x its condition number.
    The residual W Sigma W' - I, computed in extended precision, shows the error, and
    W <- W - half_lower(residual) W squares it. A well-conditioned W is left unchanged.
    """
    refined = factors.copy()
    for k, (covariance, factor) in enumerate(zip(covariances, factors, strict=True)):
        # norms of vectors, in which BLAS avoids overflow
        size = scipy.linalg.norm(factor.ravel())
        if size * scipy.linalg.norm(covariance.ravel()) * size < _WELL_CONDITIONED:
            continue
        wide = factor.astype(np.longdouble)
        residual = wide @ covariance.astype(np.longdouble) @ wide.T
        residual[np.diag_indices_from(residual)] -= 1
        correction = np.tril(residual)
        correction[np.diag_indices_from(correction)] /= 2
        refined[k] = (wide - correction @ wide).astype(np.float64)
    return refined


def log_component_densities(
    X: NDArray, means: NDArray, precisions_cholesky: NDArray, covariance_type: str
) -> NDArray:
    """Log N(x | mu_k, Sigma_k) by differences from the means.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Complete rows; with diagonal covariances, missing values (NaN) are integrated out.
    means : ndarray of shape (k, d)
    precisions_cholesky : ndarray
        As in `GaussianMixtureEM`.
    covariance_type : str

    Returns
    -------
    log_density : ndarray of shape (n, k), nats
    """
    structure, tied = structure_of(covariance_type)
    n, d = X.shape
    precisions_cholesky = np.asarray(precisions_cholesky, dtype=np.float64)
    factors = precisions_cholesky[None] if tied else precisions_cholesky
    if not structure.correlated:
        return _log_diagonal_densities(X, means, factors)
    result = np.empty((n, len(means)))
    log_det = structure.log_det_factor(factors, d)
    for k, mean in enumerate(means):
        g = 0 if tied else k
        y = (X - mean) @ factors[g]
        result[:, k] = np.einsum("ij,ij->i", y, y) / -2 + log_det[g]
    return result + log_normaliser(d)


def _log_diagonal_densities(X: NDArray, means: NDArray, factors: NDArray) -> NDArray:
    """Log N(x_o | mu_o, Sigma_oo) with Sigma diagonal; factors 1 / sigma (k or 1, d or none)."""
    k, d = means.shape
    factors = np.broadcast_to(factors.reshape(len(factors), -1), (k, d))
    known = ~np.isnan(X)
    zeroed = np.where(known, X, 0.0)
    result = known.astype(np.float64) @ (np.log(factors) + log_normaliser(1)).T
    for j in range(k):
        y = (zeroed - means[j]) * known * factors[j]
        result[:, j] -= np.einsum("ij,ij->i", y, y) / 2
    return result


class Regression(NamedTuple):
    """The missing entries of rows given the observed ones, under one component."""

    factor: NDArray  # (o, o) lower: W Sigma_oo W' = I
    coefficients: NDArray  # (m, o) Sigma_mo Sigma_oo^-1
    covariance: NDArray  # (m, m) of the missing entries given the observed ones


def regress(covariance: NDArray, observed: NDArray) -> Regression:
    """Condition N(., covariance) on the entries where ``observed`` is true."""
    oo = covariance[np.ix_(observed, observed)]
    mo = covariance[np.ix_(~observed, observed)]
    cholesky = scipy.linalg.cholesky(oo, lower=True)
    factor = scipy.linalg.solve_triangular(cholesky, np.eye(len(oo)), lower=True)
    factor = refine_factors(oo[None], factor[None])[0]
    half = mo @ factor.T
    remaining = covariance[np.ix_(~observed, ~observed)] - half @ half.T
    return Regression(factor, half @ factor, (remaining + remaining.T) / 2)


def dense_covariances(covariances: NDArray, covariance_type: str, k: int, d: int) -> NDArray:
    """Covariances of any type as (k, d, d), float64."""
    structure, tied = structure_of(covariance_type)
    covariances = np.asarray(covariances, dtype=np.float64)
    dense = structure.dense(covariances[None] if tied else covariances, d)
    return np.broadcast_to(dense, (k, d, d))


def log_marginal_densities(X: NDArray, means: NDArray, covariances: NDArray) -> NDArray:
    """Log N(x_o | mu_o, Sigma_oo) of rows with missing values (NaN); (n, k), nats.

    ``covariances`` are dense, (k, d, d).
    """
    result = np.zeros((len(X), len(means)))
    for observed, rows in patterns(X):
        if not observed.any():
            continue
        for k, mean in enumerate(means):
            factor = regress(covariances[k], observed).factor
            y = (X[np.ix_(rows, observed)] - mean[observed]) @ factor.T
            log_det = np.log(np.diagonal(factor)).sum()
            constant = log_det + log_normaliser(int(observed.sum()))
            result[rows, k] = constant - np.einsum("ij,ij->i", y, y) / 2
    return result


def conditional_means(
    X: NDArray, posterior: NDArray, means: NDArray, covariances: NDArray
) -> NDArray:
    """X with each missing value replaced by E[x_m | x_o] under the mixture.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    posterior : ndarray of shape (n, k)
        p(k | x_o) of each row.
    means : ndarray of shape (k, d)
    covariances : ndarray of shape (k, d, d)

    Returns
    -------
    filled : ndarray of shape (n, d)
    """
    filled = X.copy()
    for observed, rows in patterns(X):
        if observed.all():
            continue
        expected = np.zeros((len(rows), int((~observed).sum())))
        for k, mean in enumerate(means):
            if not posterior[rows, k].any():
                continue
            coefficients = regress(covariances[k], observed).coefficients
            difference = X[np.ix_(rows, observed)] - mean[observed]
            expected += posterior[rows, k, None] * (mean[~observed] + difference @ coefficients.T)
        filled[np.ix_(rows, ~observed)] = expected
    return filled
