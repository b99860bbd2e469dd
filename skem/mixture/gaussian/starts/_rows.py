"""The rows of a fit, and the order in which the engine sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem._validation import check_labels, check_weights, in_unit, unit_of
from skem.em import RowBlocks
from skem.mixture._features import plain_features
from skem.mixture._patterns import pattern_order
from skem.mixture._weights import kept_rows
from skem.mixture.gaussian.starts._settings import Settings


class TrainingData:
    """Validated rows as they were given, and the order in which the engine sees them.

    Rows of weight zero are left out; rows with missing values come last, sorted by pattern where
    those of one pattern share factorisations. X is not copied for that: the engine gathers the
    rows, piece by piece.

    Attributes
    ----------
    settings : Settings
    X : ndarray of shape (n_samples, n_features)
    unit : float
        Of the weights, see `unit_of`.
    weight : ndarray of shape (n_samples,) or None
        In that unit.
    labels : ndarray of shape (n_samples,) or None
    order : ndarray of shape (n_rows,) or None
        The rows that are kept, in order; None is all of them, as they come.
    n_rows : int
    incomplete : bool
        Whether values are missing.
    total_weight : float
        In that unit.
    """

    def __init__(
        self,
        settings: Settings,
        X: NDArray,
        sample_weight: Any,
        labels: Any,
        *,
        first: bool = True,
        unit: float | None = None,
    ):
        self.settings = settings
        self.X = X
        weight = check_weights(sample_weight, X, np.float64)  # until they are in their unit
        self.unit = unit_of(weight) if unit is None else unit
        self.weight = in_unit(weight, self.unit, len(X))
        self.labels = check_labels(labels, len(X), settings.n_components)
        kept = kept_rows(self.weight)
        by_pattern = pattern_order(X, kept, by_pattern=settings.structure.correlated)
        self.incomplete = by_pattern is not None
        self.order = by_pattern if self.incomplete else kept
        self.n_rows = len(X) if self.order is None else len(self.order)
        self.total_weight = float(len(X) if self.weight is None else self.weight.sum())
        if first and self.n_rows < settings.n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = "
                f"{settings.n_components}, n_samples = {self.n_rows}. Lower n_components."
            )

    def labelled(self, n_components: int) -> NDArray:
        """Components that have a labelled row."""
        assert self.labels is not None
        weights = np.bincount(self.labels + 1, weights=self.weight, minlength=n_components + 1)
        return np.flatnonzero(weights[1:])

    def row_blocks(self, chosen: NDArray | None = None) -> RowBlocks:
        """The rows, or those at the chosen places of their order, cut into blocks."""
        d, settings = self.X.shape[1], self.settings
        features = plain_features(d) if settings.tied else settings.structure.features(d)
        order = self.order
        if chosen is not None:
            order = chosen if order is None else order[chosen]
        return RowBlocks(
            self.X,
            sample_weight=self.weight,
            labels=self.labels,
            row_values=features.work(settings.n_components),
            min_rows=1024,
            order=order,
            n_jobs=settings.n_jobs,
        )
