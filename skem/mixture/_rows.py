"""The rows of a fit, and their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem._validation import check_weights, in_unit, unit_of
from skem.em import RowBlocks
from skem.mixture._weights import kept_rows


class TrainingRows:
    """Validated rows in the given order; those of weight zero are left out, without a copy.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    sample_weight : array-like of shape (n_samples,) or None
        As given by the user.
    unit : float or None
        What the weights are divided by; computed from them if None, see `unit_of`.
    n_components : int
        Number of components; the first batch must have at least as many rows.
    first : bool
        Whether this is the first batch, or a whole fit.
    row_values : int
        Numbers that an E step computes for a row.
    n_jobs : int or None
    min_rows : int, default=1
        Of a block.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
    unit : float
    weight : ndarray of shape (n_samples,) or None
        In that unit.
    labels : ndarray of shape (n_samples,) or None
        Known components, -1 where unknown.
    order : ndarray of shape (n_rows,) or None
        The rows that are kept, in order; None is all of them, in the given order.
    total_weight : float
        In that unit.

    Raises
    ------
    ValueError
        If weights are not valid, or rows are fewer than components.
    """

    def __init__(
        self,
        X: NDArray,
        sample_weight: Any,
        unit: float | None,
        *,
        n_components: int,
        first: bool,
        row_values: int,
        n_jobs: int | None,
        min_rows: int = 1,
    ):
        weight = check_weights(sample_weight, X, np.float64)  # until they are in their unit
        self.unit = unit_of(weight) if unit is None else unit
        self.X, self.weight = X, in_unit(weight, self.unit, len(X))
        self.labels: NDArray | None = None
        self.order = kept_rows(self.weight)
        self.total_weight = float(len(X) if self.weight is None else self.weight.sum())
        self._cut: dict[str, Any] = {
            "row_values": row_values,
            "n_jobs": n_jobs,
            "min_rows": min_rows,
        }
        if first and self.n_rows < n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {n_components}, "
                f"n_samples = {self.n_rows}. Lower n_components."
            )

    @property
    def n_rows(self) -> int:
        """Rows that are kept."""
        return len(self.X) if self.order is None else len(self.order)

    def row_blocks(self, chosen: NDArray | None = None) -> RowBlocks:
        """The rows, or those at the chosen positions in their order, cut into blocks."""
        order = self.order
        if chosen is not None:
            order = chosen if order is None else order[chosen]
        return RowBlocks(
            self.X,
            sample_weight=self.weight,
            labels=self.labels,
            order=order,
            **self._cut,
        )
