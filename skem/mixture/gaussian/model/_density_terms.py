"""What the E step of a Gaussian mixture needs besides its parameters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem.mixture.gaussian.model._covariances import Structure
from skem.mixture.gaussian.model._full_covariances import SMALL


class DensityTerms(NamedTuple):
    """Terms of log p(x, k) = log_constants_k - |W_k (x - mu_k)|^2 / 2; g is k, or 1 if shared."""

    log_constants: NDArray  # (k,) log weight + log normaliser - blur
    steepness: NDArray  # (g,) |W|^2, the trace of the precision, or |W mu|^2 / d if that is more
    relative: NDArray  # (g,) the same in units of the component's own standard deviations
    theta: NDArray  # (k, m) coefficients of the features; (1, W z) for a shared full covariance


def density_terms(
    structure: Structure,
    weights: NDArray,
    means: NDArray,
    covariances: NDArray,
    factors: NDArray,
    reg: NDArray,
    base: float,
    *,
    shared: bool,
) -> DensityTerms:
    """The terms of all components.

    Parameters
    ----------
    structure : Structure
    weights : ndarray of shape (k,)
    means : ndarray of shape (k, d)
    covariances, factors : ndarray
        (k or 1, structure).
    reg : ndarray of shape (d,)
        Variance of the noise that blurs the rows.
    base : float
        Constant that all log-densities have in common.
    shared : bool
        Whether all components have one covariance.
    """
    from skem.mixture.gaussian.kernels import _parameters as parameter_kernels

    d = means.shape[1]
    if structure.correlated and d <= SMALL:
        return DensityTerms(
            *parameter_kernels.full_terms(weights, means, covariances, factors, reg, base, shared)
        )
    if not (structure.correlated or structure.common_scale):
        log_constants, steepness, theta = parameter_kernels.diagonal_terms(
            weights, means, factors, reg, base, shared
        )
        return DensityTerms(log_constants, steepness, np.zeros(len(factors)), theta)
    precisions = structure.precision(factors)
    log_weights = np.log(np.maximum(weights, np.finfo(np.float64).tiny))
    log_constants = (
        np.where(weights > 0, log_weights, parameter_kernels.LOG_NONE)
        + base
        + structure.log_det_factor(factors, d)
        - structure.trace_diagonal(precisions, reg) / 2
    )
    steepness = np.square(factors).reshape(len(factors), -1).sum(-1)
    relative = np.zeros(len(factors))
    if structure.correlated:
        deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
        relative = np.square(factors * deviations[:, None, :]).sum((1, 2))
    if structure.correlated and shared:
        linear = means @ factors[0].T
        constant = log_constants - np.square(linear).sum(-1) / 2
    else:
        linear = structure.apply(precisions, means)
        whitened = (linear * means).sum(-1)
        constant = log_constants - whitened / 2
        steepness = np.maximum(steepness, (whitened.max() if shared else whitened) / d)
    parts = [constant[:, None], linear]
    if not shared:
        parts.append(structure.coefficients(precisions))
    return DensityTerms(log_constants, steepness, relative, np.hstack(parts))
