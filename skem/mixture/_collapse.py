"""Components of a Gaussian mixture that collapse: found, restarted or removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skem.em import EMState
from skem.mixture._gaussian_params import GaussianParams

if TYPE_CHECKING:
    from skem.mixture._covariances import Structure

MAX_REPAIRS = 20
"""Restarts and removals of one run; then a collapse is only reported."""

AT_FLOOR = 2.0
"""A variance below so many ``reg`` is all regularisation.

Measured with the default ``reg_covar`` on Old Faithful, iris and small random sets, 3 to 12
components, 15 maps or 2000: what collapses ends within 1% of ``reg``, what does not above ten times
that. With ``reg_covar=1e-3`` there is no such gap, and a larger factor would call thin components
of many rows collapsed.
"""


class CollapseMixin:
    """What `GaussianModel` does about components that collapse."""

    structure: Structure
    tied: bool
    d: int
    reg: NDArray
    row_weight: float
    collapse: str
    rng: Any
    protected: NDArray
    params: Callable[..., GaussianParams]

    def collapsed(self, params: GaussianParams, counts: NDArray) -> NDArray:
        """Components that hold less than one row, or whose variance is all regularisation.

        In some direction the component's own variance is below ``reg`` (its covariance, of which
        ``reg`` is a part, below `AT_FLOOR` times that), while the component's peers have a hundred
        times that: the likelihood would be infinite there without ``reg``.
        """
        starved = counts < self.row_weight
        if self.tied or len(counts) == 1:
            return np.flatnonzero(starved)
        if self.structure.name != "full":
            variances = params.covariances.reshape(len(counts), -1)
            pooled = params.weights @ variances
            floor = np.maximum(AT_FLOOR * self.reg[: pooled.size], 1e-12 * pooled.mean())
            at_floor = ((variances < floor) & (pooled > 100 * floor)).any(axis=1)
            return np.flatnonzero(starved | at_floor)
        dense = params.covariances
        pooled = np.einsum("k,kij->ij", params.weights, dense)
        at_floor = np.zeros(len(counts), bool)
        for k, covariance in enumerate(dense):
            values, vectors = np.linalg.eigh(covariance)
            reg = np.square(vectors.T) @ self.reg
            floor = np.maximum(AT_FLOOR * reg, 1e-12 * np.trace(pooled) / self.d)
            spread = np.einsum("ji,jk,ki->i", vectors, pooled, vectors)
            at_floor[k] = ((values < floor) & (spread > 100 * floor)).any()
        return np.flatnonzero(starved | at_floor)

    def repair(self, state: EMState) -> GaussianParams | None:
        """Restart or remove collapsed components, if that was asked for."""
        if self.collapse == "report" or state.n_repairs >= MAX_REPAIRS:
            return None
        params = state.params
        collapsed = self.collapsed(params, state.statistics.counts)
        failed = () if state.failure is None else state.failure.components
        bad = np.setdiff1d(np.union1d(collapsed, failed).astype(int), self.protected)
        if not len(bad) or len(bad) == len(params.weights):
            return None
        if self.collapse == "remove":
            keep = np.setdiff1d(np.arange(len(params.weights)), bad)
            covariances = params.covariances if self.tied else params.covariances[keep]
            weights = params.weights[keep]
            return self.params(weights / weights.sum(), params.means[keep], covariances)
        return self._split_largest(params, bad)

    def _split_largest(self, params: GaussianParams, bad: NDArray) -> GaussianParams:
        """Give each collapsed component half of the largest one, a step to the side of it."""
        weights, means = params.weights.copy(), params.means.copy()
        covariances = params.covariances.copy()
        weights[bad] = 0
        assert self.rng is not None
        for k in bad:
            j = int(weights.argmax())
            own = covariances[0 if self.tied else j]
            dense = self.structure.dense(own[None], self.d)[0]
            step = np.linalg.cholesky(dense) @ self.rng.standard_normal(self.d)
            weights[k] = weights[j] = weights[j] / 2
            means[k], means[j] = means[j] + step / 2, means[j] - step / 2
            if not self.tied:
                covariances[k] = own
        return self.params(weights / weights.sum(), means, covariances)
