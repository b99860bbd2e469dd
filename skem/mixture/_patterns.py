"""Patterns of missing values: which columns of a row are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem.mixture._weights import row_numbers

_STEP = 4096
"""Rows whose missing values are found at the same time, so that masks stay small."""


def patterns(X: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """Pairs (observed columns as a mask, row numbers) of the patterns of missing values."""
    known, which = np.unique(~np.isnan(X), axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    edges = np.searchsorted(which.ravel()[order], np.arange(len(known) + 1))
    for p, observed in enumerate(known):
        yield observed, order[edges[p] : edges[p + 1]]


def pattern_order(
    X: NDArray, kept: NDArray | None = None, *, by_pattern: bool = True
) -> NDArray | None:
    """An order of the rows that puts complete rows first, and then equal patterns together.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    kept : ndarray of int, default=None
        The rows to use; default is all.
    by_pattern : bool, default=True
        Whether to sort incomplete rows by pattern, or keep their order.

    Returns
    -------
    order : ndarray of int or None
        The rows that are kept, in order; None if none of their values is missing.
    """
    n, d = len(X) if kept is None else len(kept), X.shape[1]
    parts = [slice(start, start + _STEP) for start in range(0, n, _STEP)]

    def missing(part: slice) -> NDArray:
        rows: Any = part if kept is None else kept[part]
        return np.isnan(X[rows])

    if not any(missing(part).any() for part in parts):
        return None
    if by_pattern:
        packed = np.empty((n, -(-d // 8)), np.uint8)
        for part in parts:
            packed[part] = np.packbits(missing(part), axis=1)
        order = np.lexsort((*packed.T, packed.any(axis=1)))
    else:
        incomplete = np.concatenate([missing(part).any(axis=1) for part in parts])
        order = np.argsort(incomplete, kind="stable")
    return row_numbers(order if kept is None else kept[order], len(X))


def pattern_edges(X: NDArray) -> NDArray:
    """Positions in sorted rows where a new pattern begins; the last one is n_rows."""
    missing = np.isnan(X)
    changes = np.flatnonzero((missing[1:] != missing[:-1]).any(axis=1)) + 1
    return np.concatenate([[0], changes, [len(X)]]).astype(np.int64)
