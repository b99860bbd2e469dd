r"""Observed information of a Gaussian mixture, and the standard errors it gives.

By Fisher's identity the gradient of the log-likelihood is that of the expected complete-data
log-likelihood, which the statistics of one E step give in closed form:

    d/d mu_k    = P_k (s_k - N_k mu_k)
    d/d Sigma_k = (P_k S_k P_k - N_k P_k) / 2,  S_k the scatter about mu_k
    d/d w_k     = N_k / w_k - N_K / w_K,        w_K = 1 - the others

Its derivative is taken by central differences, two E steps per parameter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem._numbers import NOT_ZERO
from skem._warnings import warn_user
from skem.em import RowSource
from skem.mixture.gaussian.model._model import GaussianModel
from skem.mixture.gaussian.model._params import GaussianParams

_STEP = 1e-4
"""Of the central differences, as a share of the spread of a component: their error is about its
square, 1e-8, and rounding adds eps over it, 2e-12."""


def gradient(model: GaussianModel, rows: RowSource, params: GaussianParams) -> NDArray:
    """Gradient of the log-likelihood (sum over rows, nats) in `pack`'s coordinates."""
    structure = model.structure
    statistics = rows.reduce(lambda block: model.expected_statistics(params, block))
    counts = statistics.counts
    reference = params.reference
    precisions = structure.precision(params.factors)
    shift = params.means - reference
    first = statistics.sums - counts[:, None] * shift
    # scatter about the means out of the moments about the reference points
    square = structure.square(shift)
    own = structure.symmetric(statistics.sums, shift)
    own = own - square * counts.reshape(counts.shape + (1,) * (square.ndim - 1))
    group = counts
    if model.tied:
        own, group = own.sum(0, keepdims=True), counts.sum(keepdims=True)
    expand = group.reshape(group.shape + (1,) * (own.ndim - 1))
    scatter = (
        structure.unpack(statistics.squares, model.d) - own + expand * structure.diagonal(model.reg)
    )
    if structure.correlated:
        slope = (precisions @ scatter @ precisions - expand * precisions) / 2
        slope = slope * (2 - np.eye(model.d))
    else:
        n = structure.directions(model.d)
        slope = (precisions**2 * scatter - n * expand * precisions) / 2
    ratio = counts / np.maximum(params.weights, NOT_ZERO)
    return np.concatenate(
        [
            ratio[:-1] - ratio[-1],
            structure.apply(precisions, first).ravel(),
            _vech(slope, model).ravel(),
        ]
    )


def _vech(matrices: NDArray, model: GaussianModel) -> NDArray:
    """Free entries of symmetric matrices (k, structure), as (k, n_entries)."""
    if not model.structure.correlated:
        return matrices.reshape(len(matrices), -1)
    i, j = np.tril_indices(model.d)
    return matrices[:, i, j]


def _unvech(entries: NDArray, model: GaussianModel) -> NDArray:
    if not model.structure.correlated:
        return entries.reshape(len(entries), *model.structure.shape(model.d))
    i, j = np.tril_indices(model.d)
    matrices = np.empty((len(entries), model.d, model.d))
    matrices[:, i, j] = entries
    matrices[:, j, i] = entries
    return matrices


def pack(model: GaussianModel, params: GaussianParams) -> NDArray:
    """Free parameters: all weights but the last, the means, the entries of the covariances."""
    covariances = _vech(params.covariances, model)
    return np.concatenate([params.weights[:-1], params.means.ravel(), covariances.ravel()])


def unpack(model: GaussianModel, vector: NDArray, params: GaussianParams) -> GaussianParams:
    k, d = params.means.shape
    weights = np.append(vector[: k - 1], 1 - vector[: k - 1].sum())
    means = vector[k - 1 : k - 1 + k * d].reshape(k, d)
    entries = vector[k - 1 + k * d :].reshape(len(params.covariances), -1)
    return model.params(weights, means, _unvech(entries, model))


def _steps(model: GaussianModel, params: GaussianParams) -> NDArray:
    """Steps of the differences, in proportion to the spread of each component."""
    k, d = params.means.shape
    dense = model.structure.dense(params.covariances, d)
    deviations = np.sqrt(np.diagonal(dense, axis1=1, axis2=2))
    smallest = 1 / np.sqrt(
        np.square(params.factors).reshape(len(params.factors), -1).sum(-1, keepdims=True)
    )
    entries = _vech(params.covariances, model)
    return _STEP * np.concatenate(
        [
            np.minimum(params.weights, params.weights[-1])[:-1],
            np.broadcast_to(np.minimum(deviations, smallest), (k, d)).ravel(),
            np.broadcast_to(smallest**2, entries.shape).ravel(),
        ]
    )


def observed_information(model: GaussianModel, rows: RowSource, params: GaussianParams) -> NDArray:
    """Minus the Hessian of the log-likelihood at ``params``, in `pack`'s coordinates.

    Returns
    -------
    information : ndarray of shape (n_parameters, n_parameters)
    """
    center = pack(model, params)
    steps = _steps(model, params)
    information = np.empty((len(center), len(center)))
    for i, step in enumerate(steps):
        ahead, behind = center.copy(), center.copy()
        ahead[i] += step
        behind[i] -= step
        difference = gradient(model, rows, unpack(model, ahead, params))
        difference = difference - gradient(model, rows, unpack(model, behind, params))
        information[i] = -difference / (2 * step)
    return (information + information.T) / 2


def gaussian_standard_errors(
    model: GaussianModel, rows: RowSource, params: GaussianParams
) -> dict[str, NDArray]:
    """Asymptotic standard errors in the user's units, with the shapes of the attributes.

    Returns
    -------
    errors : dict
        'weights', 'means', 'covariances'; NaN, with a warning, where the observed information is
        not positive definite.
    """
    k, d = params.means.shape
    information = observed_information(model, rows, params)
    try:
        np.linalg.cholesky(information)
        covariance = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        warn_user(
            "The observed information is not positive definite: the fit is not at an interior "
            "maximum, and standard_errors_ are NaN. Lower tol, raise max_iter or lower "
            "n_components.",
            RuntimeWarning,
        )
        covariance = np.full_like(information, np.nan)
    errors = np.sqrt(np.diagonal(covariance))
    head = covariance[: k - 1, : k - 1]
    last = np.sqrt(head.sum()) if k > 1 else 0.0
    entries = errors[k - 1 + k * d :].reshape(len(params.covariances), -1)
    covariances = model.structure.rescale(_unvech(entries, model), 1 / model.scale)
    return {
        "weights": np.append(errors[: k - 1], last),
        "means": errors[k - 1 : k - 1 + k * d].reshape(k, d) / model.scale,
        "covariances": covariances[0] if model.tied else covariances,
    }
