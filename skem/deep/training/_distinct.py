"""Equal rows put together: a weight of 2 is a row twice, also for training by batches."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skem._warnings import warn_user

_MANY, _MOST = 10, 2e9
"""Times the rows that were given above which those of an epoch are hardly wanted, and rows of an
epoch above which they cannot be."""

_BLOCK = 1 << 17
"""Numbers that are keyed at once, in cache."""

_ODD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 through the golden ratio, an odd number whose multiples mix all bits (Knuth, sec. 6.4)."""


class Rows(Protocol):
    """An array, or what makes rows of one when they are read."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, rows: Any, /) -> NDArray: ...


def distinct(
    X: NDArray, weight: NDArray | None, labels: NDArray | None
) -> tuple[NDArray, NDArray | None]:
    """Numbers of the rows that are kept, in an order of their own, and their weights.

    Rows of zero weight are left out. Without weights and without equal rows the weights stay None.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Of float32 or float64.
    weight : ndarray of shape (n,) or None
    labels : ndarray of int of shape (n,) or None
        Rows with different labels are different.

    Returns
    -------
    rows : ndarray of int of shape (n_kept,)
    weight : ndarray of shape (n_kept,) or None
    """
    keys = row_keys(X, labels)
    kept = None if weight is None else np.flatnonzero(weight > 0)
    if kept is not None:
        keys = keys[kept]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = keys[1:] != keys[:-1]
    del keys
    order = order if kept is None else kept[order]
    again = np.flatnonzero(~new)
    if not _all_equal(X, labels, order[again - 1], order[again]):
        columns = [*X.T, *([] if labels is None else [labels])]
        kept = np.arange(len(X)) if kept is None else kept
        order = kept[np.lexsort([column[kept] for column in columns])]
        new[1:] = np.any([column[order[1:]] != column[order[:-1]] for column in columns], axis=0)
    if weight is None and new.all():
        return order, None
    w = np.ones(len(order)) if weight is None else weight[order]
    return order[new], np.add.reduceat(w, np.flatnonzero(new))


def repeated(weight: NDArray | None, n_given: int) -> tuple[NDArray | None, NDArray | None]:
    """How often rows that were merged come in an epoch: as their weights say.

    Parameters
    ----------
    weight : ndarray of shape (n,) or None
        Weights of different rows; None is one for each.
    n_given : int
        Rows before equal ones were merged.

    Returns
    -------
    rows : ndarray of int of shape (n_times,) or None
        Numbers of the rows, each at least once; None is each once.
    weight : ndarray of shape (n,) or None
        Weight of a row each time, with a mean of one over the times; None is one for each.

    Raises
    ------
    ValueError
        If the weights are so large that an epoch would have more than two billion rows.

    Warns
    -----
    UserWarning
        If an epoch has more than ten times as many rows as were given.
    """
    if weight is None:
        return None, None
    times = np.maximum(np.rint(weight), 1)
    total = float(times.sum())
    if total > _MOST:
        raise ValueError(
            f"sample_weight counts rows, and an epoch would have {total:.3g} of them. Divide the "
            "weights by their mean."
        )
    if total > _MANY * n_given:
        warn_user(
            f"sample_weight counts rows: an epoch has {int(total)} of them, and X has {n_given}. "
            "If the weights are no counts, divide them by their mean.",
            UserWarning,
        )
    each = weight / times
    rows = None if (times == 1).all() else np.repeat(np.arange(len(times)), times.astype(np.int64))
    return rows, None if (each == each[0]).all() else each * (total / weight.sum())


def arranged(X: Rows, labels: NDArray | None) -> NDArray:
    """An order of rows that are all different, as if shuffled, however they came."""
    return np.argsort(row_keys(X, labels), kind="stable")


def row_keys(X: Rows, labels: NDArray | None) -> NDArray:
    """A number for each row, equal for equal rows wherever they stand.

    A random linear form of the mixed bits modulo 2^64: a sum of floats may depend on the place of
    the row in the array.
    """
    n, d = X.shape
    bits = np.uint32 if X.dtype == np.float32 else np.uint64
    factors = np.random.default_rng(0).integers(2**63, size=d + 1, dtype=np.uint64) * 2 + 1
    keys = np.empty(n, dtype=np.uint64)
    step = max(1, _BLOCK // d)
    for start in range(0, n, step):
        part = slice(start, start + step)
        block = np.ascontiguousarray(X[part]) + X.dtype.type(0)  # -0.0 is 0.0
        keys[part] = _mixed(block.view(bits).astype(np.uint64)) @ factors[:-1]
    if labels is not None:
        keys += _mixed(labels.astype(np.uint64)) * factors[-1]
    return keys


def row_uniforms(X: NDArray, d: int, seed: int) -> NDArray:
    """Numbers in [0, 1), (n, d), float32, that the bits of each row give, as if drawn."""
    first = _mixed(np.array([seed], dtype=np.uint64))
    keys = _mixed(row_keys(X, None) ^ first)[:, None] + np.arange(1, d + 1, dtype=np.uint64)
    return (_mixed(keys * _ODD) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def _mixed(bits: NDArray) -> NDArray:
    """One to one, and all bits of the input reach the low ones, which the factors keep."""
    shift = np.uint64(32)
    bits ^= bits >> shift
    bits *= _ODD
    bits ^= bits >> shift
    return bits


def _all_equal(X: NDArray, labels: NDArray | None, a: NDArray, b: NDArray) -> bool:
    """Whether those rows are equal, pair by pair."""
    if labels is not None and (labels[a] != labels[b]).any():
        return False
    step = max(1, _BLOCK // X.shape[1])
    parts = (slice(start, start + step) for start in range(0, len(a), step))
    return all(np.array_equal(X[a[part]], X[b[part]]) for part in parts)
