"""What models of mixtures share for weights of components and of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem._numbers import NOT_ZERO


def row_numbers(rows: NDArray, n_rows: int) -> NDArray:
    """Numbers of rows, one for each row, in the smallest type that holds them."""
    return rows.astype(np.int32 if n_rows <= np.iinfo(np.int32).max else np.int64, copy=False)


def kept_rows(weight: NDArray | None) -> NDArray | None:
    """Numbers of the rows of positive weight; None if these are all."""
    if weight is None or weight.all():
        return None
    return row_numbers(np.flatnonzero(weight), len(weight))


def solve_weights(q: NDArray, weights: NDArray, total: float) -> NDArray:
    """Inverse information of log weights (which are free up to a constant) times q."""
    step = q / np.maximum(total * weights, NOT_ZERO)
    return step - weights @ step


def counts_of(weights: NDArray, total: float, concentration: float) -> NDArray:
    """Counts of rows, ``total`` in all, whose M step under a Dirichlet prior gives these weights.

    Counts are not negative: for weights that are more uneven than rows can make them under the
    prior, these are the nearest counts.
    """
    extra = concentration - 1
    counts = np.maximum(weights * (total + len(weights) * extra) - extra, 0.0)
    return counts * (total / max(counts.sum(), np.finfo(np.float64).tiny))
