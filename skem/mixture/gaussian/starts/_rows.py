"""The rows of a fit of a Gaussian mixture, in the order in which the engine gets them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem._validation import check_labels
from skem.mixture._features import plain_features
from skem.mixture._patterns import pattern_order
from skem.mixture._rows import TrainingRows
from skem.mixture.gaussian.starts._settings import Settings

_MIN_ROWS = 1024
"""Least number of rows of a block: enough to make up for the statistics that each block has."""


class GaussianRows(TrainingRows):
    """Rows in the order in which the engine gets them.

    Rows with missing values come last, sorted by pattern if rows of one pattern share
    factorisations. X is not copied for this: the engine gathers the rows piece by piece.

    Attributes
    ----------
    settings : Settings
    incomplete : bool
        Whether values are missing.
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
        d, k = X.shape[1], settings.n_components
        features = plain_features(d) if settings.tied else settings.structure.features(d)
        super().__init__(
            X,
            sample_weight,
            unit,
            n_components=k,
            first=first,
            row_values=features.work(k),
            n_jobs=settings.n_jobs,
            min_rows=_MIN_ROWS,
        )
        self.labels = check_labels(labels, len(X), k)
        by_pattern = pattern_order(X, self.order, by_pattern=settings.structure.correlated)
        self.incomplete = by_pattern is not None
        if by_pattern is not None:
            self.order = by_pattern

    def labelled(self) -> NDArray | None:
        """Components that have a labelled row; None where there are no labels."""
        if self.labels is None:
            return None
        k = self.settings.n_components
        weights = np.bincount(self.labels + 1, weights=self.weight, minlength=k + 1)
        return np.flatnonzero(weights[1:])
