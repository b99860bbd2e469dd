"""Components of a Gaussian mixture that collapse: found, restarted or removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skem.em import EMState
from skem.mixture.gaussian.model._params import GaussianParams

if TYPE_CHECKING:
    from skem.mixture.gaussian.model._covariances import Structure

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
    varies: NDArray
    row_weight: float
    collapse: str
    rng: Any
    protected: NDArray
    params: Callable[..., GaussianParams]

    def collapsed(self, params: GaussianParams, counts: NDArray) -> NDArray:
        """Components that hold less than one row, or whose variance is all regularisation.

        In some direction the component's own variance is below ``reg`` (its covariance, of which
        ``reg`` is a part, below `AT_FLOOR` times that), while all rows together have a hundred
        times that, or the component has too few rows to have a variance there: the likelihood
        would be infinite without ``reg``. Columns that are constant or follow from others have
        none for any model, and no component is blamed for that. With a shared covariance all
        components collapse together.
        """
        starved = counts < self.row_weight
        if not self.structure.correlated:
            at_floor = self._at_floor_of_columns(params)
        else:
            at_floor = self._at_floor_of_directions(params, counts)
        return np.flatnonzero(starved | at_floor)

    def _at_floor_of_columns(self, params: GaussianParams) -> NDArray:
        variances = params.covariances.reshape(len(params.covariances), -1)
        mean = params.weights @ params.means
        between = params.weights @ np.square(params.means - mean)
        share = np.full(1, 1.0) if self.tied else params.weights
        within = share @ variances
        total = within + (between.mean() if variances.shape[1] == 1 else between)
        floor = np.maximum(AT_FLOOR * self.reg[: total.size], 1e-12 * within.mean())
        return ((variances < floor) & (total > 100 * floor)).any(axis=1)

    def _at_floor_of_directions(self, params: GaussianParams, counts: NDArray) -> NDArray:
        dense, weights = params.covariances, params.weights
        offsets = params.means - weights @ params.means
        within = dense[0] if self.tied else np.einsum("k,kij->ij", weights, dense)
        total = within + (offsets.T * weights) @ offsets
        n_varied = np.count_nonzero(self.varies & (np.diagonal(total) > AT_FLOOR * self.reg))
        n_rows = counts / self.row_weight
        free = np.atleast_1d(n_rows.sum() - len(counts) if self.tied else n_rows - 1)
        at_floor = np.zeros(len(dense), bool)
        for k, covariance in enumerate(dense):
            values, vectors = np.linalg.eigh(covariance)
            reg = np.square(vectors.T) @ self.reg
            floor = np.maximum(AT_FLOOR * reg, 1e-12 * np.trace(within) / self.d)
            spread = np.einsum("ji,jk,ki->i", vectors, total, vectors)
            low = values < floor
            few = low.any() and free[k] < n_varied
            at_floor[k] = few or (low & (spread > 100 * floor)).any()
        return at_floor

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
