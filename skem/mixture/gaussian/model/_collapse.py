"""Components of a Gaussian mixture that collapse: found, restarted or removed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skem.em import EMState
from skem.mixture.gaussian.model._covariances import Structure
from skem.mixture.gaussian.model._params import GaussianParams

MAX_REPAIRS = 20
"""Restarts and removals of one run; after these, a collapse is only reported."""

AT_FLOOR = 2.0
"""A variance below so many ``reg`` is all regularisation.

Measured with the default ``reg_covar`` on Old Faithful, iris and small random sets, 3 to 12
components, 15 maps or 2000: what collapses ends within 1% of ``reg``, what does not above ten times
that. With ``reg_covar=1e-3`` there is no such gap, and a larger factor would call thin components
of many rows collapsed.
"""

WIDE = 100
"""Where all rows together have a variance of more than so many such floors, a component at the
floor has collapsed; where they have less, no model has a variance there."""

_ROUNDING = 1e-12
"""Share of the mean variance within components that is never more than rounding: the floor where
``reg`` is zero."""


@dataclass(frozen=True)
class Collapse:
    """Finds components that collapse, and repairs them if that is asked for.

    Parameters
    ----------
    structure : Structure
    tied : bool
        Whether all components have one covariance.
    reg : ndarray of shape (d,)
        Added to the diagonal of the covariances by the M step.
    varies : ndarray of bool of shape (d,)
        Which columns are not constant.
    row_weight : float
        Weight that counts as one row.
    what_to_do : {"report", "restart", "remove"}
    protected : ndarray of int
        Components that are not restarted or removed.
    rng : RandomState
        For restarts.
    """

    structure: Structure
    tied: bool
    reg: NDArray
    varies: NDArray
    row_weight: float
    what_to_do: str
    protected: NDArray
    rng: np.random.RandomState

    def found(self, params: GaussianParams, counts: NDArray) -> NDArray:
        """Components that hold less than one row, or whose variance is all regularisation.

        In some direction the component's own variance is below ``reg`` (its covariance, of which
        ``reg`` is a part, below `AT_FLOOR` times that), while the variance of all rows together is
        more than `WIDE` times as large, or the component has too few rows to have a variance there:
        the likelihood would be infinite without ``reg``. Columns that are constant or follow from
        others have no variance under any model, and no component is blamed for that. With a shared
        covariance all components collapse together.
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
        floor = np.maximum(AT_FLOOR * self.reg[: total.size], _ROUNDING * within.mean())
        return ((variances < floor) & (total > WIDE * floor)).any(axis=1)

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
            floor = np.maximum(AT_FLOOR * reg, _ROUNDING * np.trace(within) / len(within))
            spread = np.einsum("ji,jk,ki->i", vectors, total, vectors)
            low = values < floor
            few = low.any() and free[k] < n_varied
            at_floor[k] = few or (low & (spread > WIDE * floor)).any()
        return at_floor

    def repaired(self, state: EMState) -> tuple[NDArray, NDArray, NDArray] | None:
        """Weights, means and covariances without the collapsed components, or with them restarted.

        None if there is nothing to repair, or nothing to be done about it.
        """
        if self.what_to_do == "report" or state.n_repairs >= MAX_REPAIRS:
            return None
        params = state.params
        collapsed = self.found(params, state.statistics.counts)
        failed = () if state.failure is None else state.failure.components
        bad = np.setdiff1d(np.union1d(collapsed, failed).astype(int), self.protected)
        if not len(bad) or len(bad) == len(params.weights):
            return None
        if self.what_to_do == "remove":
            keep = np.setdiff1d(np.arange(len(params.weights)), bad)
            covariances = params.covariances if self.tied else params.covariances[keep]
            weights = params.weights[keep]
            return weights / weights.sum(), params.means[keep], covariances
        return self._split_largest(params, bad)

    def _split_largest(
        self, params: GaussianParams, bad: NDArray
    ) -> tuple[NDArray, NDArray, NDArray]:
        """Give each collapsed component half of the largest one, a step to the side of it."""
        weights, means = params.weights.copy(), params.means.copy()
        covariances = params.covariances.copy()
        d = means.shape[1]
        weights[bad] = 0
        for k in bad:
            j = int(weights.argmax())
            own = covariances[0 if self.tied else j]
            dense = self.structure.dense(own[None], d)[0]
            step = np.linalg.cholesky(dense) @ self.rng.standard_normal(d)
            weights[k] = weights[j] = weights[j] / 2
            means[k], means[j] = means[j] + step / 2, means[j] - step / 2
            if not self.tied:
                covariances[k] = own
        return weights / weights.sum(), means, covariances
