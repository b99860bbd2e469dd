"""The M step of a Gaussian mixture: parameters from moments, priors included, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skem._numbers import NOT_ZERO
from skem.mixture._weights import counts_of
from skem.mixture.gaussian.model._covariances import Structure
from skem.mixture.gaussian.model._params import GaussianParams, GaussianStatistics, Priors

_LEAST_COUNT = 10 * np.finfo(np.float64).tiny
"""Replaces a count of zero, so that its reciprocal is finite."""


@dataclass(frozen=True)
class MStep:
    """What a model does with moments; all in working coordinates.

    Parameters
    ----------
    structure : Structure
    tied : bool
        Whether all components have one covariance.
    d : int
    reg : ndarray of shape (d,)
        Added to the diagonal of the covariances.
    priors : Priors
    """

    structure: Structure
    tied: bool
    d: int
    reg: NDArray
    priors: Priors

    def maximize(
        self, statistics: GaussianStatistics, params: GaussianParams
    ) -> tuple[NDArray, NDArray, NDArray]:
        """New weights, means and covariances; a component without rows stays where it is."""
        weights, means, covariances = self.parameters(statistics, params.reference)
        empty = statistics.counts == 0
        if empty.any():
            if self.priors.mean is None:
                means[empty] = params.means[empty]
            if not self.tied and self.priors.scatter is None:
                covariances[empty] = params.covariances[empty]
        return weights, means, covariances

    def parameters(
        self, statistics: GaussianStatistics, reference: NDArray
    ) -> tuple[NDArray, NDArray, NDArray]:
        """Weights, means and covariances from moments about the ``reference`` points (k, d)."""
        structure, priors = self.structure, self.priors
        counts = np.maximum(statistics.counts, _LEAST_COUNT)
        weights = np.maximum(statistics.counts + priors.concentration - 1, 0.0)
        weights = weights / weights.sum()
        if structure.correlated and priors.mean is None and priors.scatter is None:
            from skem.mixture.gaussian.kernels import _parameters as parameter_kernels

            shift, covariances = parameter_kernels.moments_to_covariances(
                counts, statistics.sums, statistics.squares, self.reg, self.tied
            )
            return weights, reference + shift, covariances
        shift = statistics.sums / counts[:, None]
        means = reference + shift
        squares = structure.unpack(statistics.squares, self.d)
        within = structure.square(shift) * expand(counts, structure.square(shift))
        squares = squares - (within.sum(0, keepdims=True) if self.tied else within)
        degrees = 0.0
        if priors.mean is not None:
            kappa = priors.mean_precision
            pull = structure.square(means - priors.mean)
            pull = pull * expand(kappa * counts / (counts + kappa), pull)
            squares = squares + (pull.sum(0, keepdims=True) if self.tied else pull)
            means = (counts[:, None] * means + kappa * priors.mean) / (counts + kappa)[:, None]
            degrees += priors.mean_rows * (len(counts) if self.tied else 1)
        if priors.scatter is not None:
            squares = squares + priors.scatter
            degrees += priors.scatter_rows
        if self.tied:
            counts = counts.sum(keepdims=True)
        squares = squares + expand(counts, squares) * structure.diagonal(self.reg)
        return weights, means, structure.divide(squares, counts + degrees, self.d)

    def statistics_of(self, params: GaussianParams, weight: float) -> GaussianStatistics:
        """Moments of rows of that total weight whose M step gives exactly these parameters.

        What the M step adds to the moments of the rows (pseudo-rows of the priors, ``reg``) is
        subtracted again.
        """
        structure, priors, k = self.structure, self.priors, len(params.weights)
        counts = counts_of(params.weights, weight, priors.concentration)
        reference = params.reference
        means = params.means - reference
        kappa = priors.mean_precision
        own = structure.square(means)
        own = own * expand(counts + kappa, own)
        sums = counts[:, None] * means
        degrees = 0.0
        if priors.mean is not None:
            sums = sums + kappa * (params.means - priors.mean)
            own = own - kappa * structure.square(priors.mean - reference)
            degrees += priors.mean_rows * (k if self.tied else 1)
        if priors.scatter is not None:
            degrees += priors.scatter_rows
        group = counts.sum(keepdims=True) if self.tied else counts
        n = structure.directions(self.d)
        squares = params.covariances * n * expand(group + degrees, params.covariances)
        squares = squares - expand(group, squares) * structure.diagonal(self.reg)
        squares = squares + (own.sum(0, keepdims=True) if self.tied else own)
        if priors.scatter is not None:
            squares = squares - priors.scatter
        return GaussianStatistics(0.0, weight, counts, sums, structure.pack(squares), 0.0)

    def log_prior(self, params: GaussianParams) -> float:
        """Log prior density up to a constant, in nats."""
        structure, priors = self.structure, self.priors
        value = 0.0
        if priors.concentration != 1.0:
            log_weights = np.log(np.maximum(params.weights, NOT_ZERO))
            value += float((priors.concentration - 1) * log_weights.sum())
        if priors.mean is None and priors.scatter is None:
            return value
        precisions = structure.precision(params.factors)
        log_det = 2 * structure.log_det_factor(params.factors, self.d)
        if priors.mean is not None:
            away = structure.whiten(params.factors, params.means - priors.mean)
            quadratic = np.square(away).sum(-1)
            of_means = priors.mean_rows * log_det - priors.mean_precision * quadratic
            value += float(of_means.sum()) / 2
        if priors.scatter is not None:
            traces = structure.trace(precisions, priors.scatter[None])
            value += float((priors.scatter_rows * log_det - traces).sum()) / 2
        return value


def expand(values: NDArray, like: NDArray) -> NDArray:
    """``values`` with as many trailing axes as ``like`` has more."""
    return values.reshape(values.shape + (1,) * (like.ndim - values.ndim))
