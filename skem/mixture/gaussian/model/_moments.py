"""The M step of a Gaussian mixture: parameters out of moments, priors included, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skem.mixture._weights import counts_of
from skem.mixture.gaussian.model._params import GaussianParams, GaussianStatistics, Priors

if TYPE_CHECKING:
    from skem.mixture.gaussian.model._covariances import Structure


class MomentsMixin:
    """What `GaussianModel` does with moments; in working coordinates."""

    structure: Structure
    tied: bool
    d: int
    reg: NDArray
    priors: Priors
    params: Callable[..., GaussianParams]

    def maximize(self, statistics: GaussianStatistics, params: GaussianParams) -> GaussianParams:
        weights, means, covariances = self._moments_to_parameters(
            statistics, self._reference(params)
        )
        empty = statistics.counts == 0
        if empty.any():  # no row says anything about such a component: it stays where it is
            if self.priors.mean is None:
                means[empty] = params.means[empty]
            if not self.tied and self.priors.scatter is None:
                covariances[empty] = params.covariances[empty]
        share = statistics.pairs / (statistics.weight * len(weights))
        return self.params(weights, means, covariances, share=share)

    def _moments_to_parameters(
        self, statistics: GaussianStatistics, reference: NDArray
    ) -> tuple[NDArray, NDArray, NDArray]:
        structure, priors = self.structure, self.priors
        counts = np.maximum(statistics.counts, 10 * np.finfo(np.float64).tiny)
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

    def start(
        self,
        counts: NDArray,
        means: NDArray,
        squares: NDArray,
        *,
        n_rows: NDArray,
        pooled: NDArray,
    ) -> GaussianParams:
        """Parameters out of a first partition of the rows, with squares about its means.

        A component whose covariance its `n_rows` rows do not determine starts with the pooled one.
        """
        packed = self.structure.pack(squares.sum(0, keepdims=True) if self.tied else squares)
        about = GaussianStatistics(0.0, counts.sum(), counts, np.zeros_like(means), packed, 0.0)
        weights, means, covariances = self._moments_to_parameters(about, means)
        ridge = 1e-6 * np.trace(self.structure.dense(pooled[None], self.d)[0]) / self.d
        proper = pooled + self.structure.diagonal(np.full(self.d, ridge))  # if pooled is singular
        enough = self.enough_rows(n_rows)
        for k in range(len(covariances)):
            if not (enough[k] and self._well_determined(covariances[k])):
                covariances[k] = proper
        return self.params(weights, means, covariances)

    def pooled(self, counts: NDArray, means: NDArray, squares: NDArray) -> NDArray:
        """The covariance of all rows, out of their squares about the mean."""
        packed = self.structure.pack(squares)
        about = GaussianStatistics(0.0, counts.sum(), counts, np.zeros_like(means), packed, 0.0)
        _, _, covariances = self._moments_to_parameters(about, means)
        return covariances[0]

    def statistics_of(self, params: GaussianParams, weight: float) -> GaussianStatistics:
        """Moments of rows of that total weight whose M step gives exactly these parameters.

        What the M step adds to the moments of the rows (pseudo-rows of the priors, ``reg``) is
        taken off again.
        """
        structure, priors, k = self.structure, self.priors, len(params.weights)
        counts = counts_of(params.weights, weight, priors.concentration)
        reference = self._reference(params)
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

    def enough_rows(self, n_rows: NDArray) -> NDArray:
        """Whether parts of so many rows span all directions; ``reg`` alone would fill in the rest.

        A covariance prior fills it in as well, and is meant to.
        """
        free = np.maximum(n_rows - 1, 0)
        free = free.sum(keepdims=True) if self.tied else free
        needed = self.d if self.structure.correlated else 1
        return (free >= needed) | (self.priors.scatter is not None)

    def _well_determined(self, covariance: NDArray) -> bool:
        values = covariance
        if self.structure.correlated:
            values = np.linalg.eigvalsh(covariance)
        return bool(values.min() > 1e-8 * values.max() and values.max() > 1e-24)

    def _reference(self, params: GaussianParams) -> NDArray:
        """Points that the moments are taken about, (k, d)."""
        return np.zeros_like(params.means) if params.theta is not None else params.means

    def log_prior(self, params: GaussianParams) -> float:
        """Log prior density up to a constant, in nats."""
        structure, priors = self.structure, self.priors
        value = 0.0
        if priors.concentration != 1.0:
            log_weights = np.log(np.maximum(params.weights, 1e-300))
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
