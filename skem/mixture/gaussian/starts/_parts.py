"""Parameters to start from, made of the moments of the parts of a first partition of the rows.

Moments are counts (k,), means (k, d) and squares about these means (k, structure).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem.mixture.gaussian.model._model import GaussianModel
from skem.mixture.gaussian.model._params import GaussianParams, GaussianStatistics

_RIDGE = 1e-6
"""Share of the mean variance that is added to the pooled covariance, for it may be singular."""

_LEAST_RATIO, _LEAST_VARIANCE = 1e-8, 1e-24
"""Smallest over largest variance in any direction, and largest variance, of a covariance that its
part determines: below the first its factor has lost half of its digits, below the second it is all
rounding."""


def params_of_parts(
    model: GaussianModel,
    counts: NDArray,
    means: NDArray,
    squares: NDArray,
    *,
    n_rows: NDArray,
    pooled: NDArray,
) -> GaussianParams:
    """Parameters from the moments of the parts.

    A component whose covariance its `n_rows` rows do not determine starts with the pooled one.
    """
    structure, d = model.structure, model.d
    squares = squares.sum(0, keepdims=True) if model.tied else squares
    weights, means, covariances = _m_step(model, counts, means, squares)
    ridge = _RIDGE * np.trace(structure.dense(pooled[None], d)[0]) / d
    proper = pooled + structure.diagonal(np.full(d, ridge))
    enough = enough_rows(model, n_rows)
    for k in range(len(covariances)):
        if not (enough[k] and _well_determined(model, covariances[k])):
            covariances[k] = proper
    return model.params(weights, means, covariances)


def pooled_covariance(
    model: GaussianModel, count: NDArray, mean: NDArray, squares: NDArray
) -> NDArray:
    """The covariance of all rows, from their moments as those of one part."""
    _, _, covariances = _m_step(model, count[None], mean[None], squares[None])
    return covariances[0]


def _m_step(
    model: GaussianModel, counts: NDArray, means: NDArray, squares: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Weights, means and covariances, priors included."""
    packed = model.structure.pack(squares)
    about = GaussianStatistics(0.0, counts.sum(), counts, np.zeros_like(means), packed, 0.0)
    return model.m_step.parameters(about, means)


def enough_rows(model: GaussianModel, n_rows: NDArray) -> NDArray:
    """Whether parts of so many rows span all directions; ``reg`` alone would fill in the rest.

    A covariance prior fills it in as well, and is meant to.
    """
    free = np.maximum(n_rows - 1, 0)
    free = free.sum(keepdims=True) if model.tied else free
    needed = model.d if model.structure.correlated else 1
    return (free >= needed) | (model.priors.scatter is not None)


def _well_determined(model: GaussianModel, covariance: NDArray) -> bool:
    values = covariance
    if model.structure.correlated:
        values = np.linalg.eigvalsh(covariance)
    largest = values.max()
    return bool(values.min() > _LEAST_RATIO * largest and largest > _LEAST_VARIANCE)
