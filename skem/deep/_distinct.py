"""Equal rows put together: a weight of 2 is a row twice, also for training by batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def distinct(
    X: NDArray, weight: NDArray | None, labels: NDArray | None
) -> tuple[NDArray, NDArray | None]:
    """Numbers of the rows that are kept, in an order of their own, and their weights.

    Rows of zero weight are left out. Without weights and without equal rows the weights stay None.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weight : ndarray of shape (n,) or None
    labels : ndarray of int of shape (n,) or None
        Rows with different labels are different.

    Returns
    -------
    rows : ndarray of int of shape (n_kept,)
    weight : ndarray of shape (n_kept,) or None
    """
    from skem.deep._distinct_kernels import hash_rows

    rng = np.random.default_rng(0)
    factors = rng.integers(2**63, size=X.shape[1], dtype=np.uint64) * 2 + 1
    keys = np.empty(len(X), np.uint64)
    bits = np.ascontiguousarray(X, dtype=np.float32).view(np.uint32)
    hash_rows(bits, factors, keys)
    if labels is not None:
        keys += labels.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    order = np.argsort(keys, kind="stable")
    if weight is not None:
        order = order[weight[order] > 0]
    new = np.ones(len(order), dtype=bool)
    new[1:] = keys[order[1:]] != keys[order[:-1]]
    for i in np.flatnonzero(~new):  # equal keys may still be different rows
        a, b = order[i - 1], order[i]
        new[i] = not np.array_equal(X[a], X[b]) or (labels is not None and labels[a] != labels[b])
    if weight is None and new.all():
        return order, None
    w = np.ones(len(order)) if weight is None else weight[order]
    return order[new], np.add.reduceat(w, np.flatnonzero(new))
