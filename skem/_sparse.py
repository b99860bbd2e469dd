"""Broken sparse matrices are refused before any conversion or compiled kernel sees them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


def check_sparse_indices(X: Any, name: str = "X") -> None:
    """Refuse a sparse matrix with indices out of range; other input is accepted.

    Neither SciPy's conversions nor compiled kernels check them: they would read and write elsewhere
    in memory. ``check_format(full_check=True)`` does for some formats, but truncates arrays of the
    matrix. This takes two passes over the indices, and copies nothing (except for lists of lists).

    Raises
    ------
    ValueError
        If an index is out of range, or the lengths of arrays do not match.
    """
    if not sp.issparse(X):
        return
    if X.format in ("csr", "csc", "bsr"):
        _check_compressed(X, name)
    elif X.format == "coo":
        for axis, (index, size) in enumerate(zip(X.coords, X.shape, strict=True)):
            _check_lengths(name, "coords", len(index), len(X.data))
            _check_range(index, size, name, "row" if axis == 0 and X.ndim == 2 else "column")
    elif X.format == "lil":
        for row, data in zip(X.rows, X.data, strict=True):
            _check_lengths(name, "rows", len(row), len(data))
        _check_range(np.array([*itertools.chain.from_iterable(X.rows)]), X.shape[-1], name)
    elif X.format == "dok":
        keys = np.array([*X.keys()]).reshape(-1, X.ndim)
        for axis, size in enumerate(X.shape):
            _check_range(
                keys[:, axis], size, name, "row" if axis == 0 and X.ndim == 2 else "column"
            )
    elif X.format == "dia":
        _check_lengths(name, "offsets", len(X.offsets), len(X.data))
        if X.offsets.dtype.kind not in "iu":
            raise ValueError(f"{name} is a broken sparse matrix: offsets must hold integers.")


def _check_compressed(X: Any, name: str) -> None:
    """The same for compressed rows, columns or blocks."""
    block = X.blocksize if X.format == "bsr" else (1, 1)
    shape = (1, *X.shape)[-2:]
    major, minor = (size // step for size, step in zip(shape, block, strict=True))
    what = "column" if X.format == "csr" else "block of columns"
    if X.format == "csc":
        major, minor, what = minor, major, "row"
    indptr, indices = X.indptr, X.indices
    if indptr.ndim != 1 or indptr.dtype.kind not in "iu" or len(indptr) != major + 1:
        raise ValueError(
            f"{name} is a broken sparse matrix: indptr must hold {major + 1} integers, got "
            f"{len(indptr)} of {indptr.dtype}."
        )
    _check_lengths(name, "indices", len(indices), len(X.data))
    last = int(indptr[-1])
    if indptr[0] != 0 or last > len(indices) or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(
            f"{name} is a broken sparse matrix: indptr must rise from 0 to at most the number of "
            f"entries, {len(indices)}; got values from {indptr.min()} to {indptr.max()}."
        )
    _check_range(indices[:last], minor, name, what)


def _check_lengths(name: str, which: str, got: int, expected: int) -> None:
    if got != expected:
        raise ValueError(
            f"{name} is a broken sparse matrix: {which} and data must have the same length, got "
            f"{got} and {expected}."
        )


def _check_range(index: NDArray, size: int, name: str, what: str = "column") -> None:
    """Refuse numbers of rows or columns that do not exist."""
    if not len(index):
        return
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise ValueError(
            f"{name} is a broken sparse matrix: indices of a {what} must be integers, got "
            f"{index.dtype}."
        )
    low, high = int(index.min()), int(index.max())
    if low < 0 or high >= size:
        wrong = low if low < 0 else high
        raise ValueError(
            f"{name} is a broken sparse matrix: it has the {what} index {wrong}, but its size "
            f"there is {size}: indices go from 0 to {size - 1}. Subtract 1 from numbers that start "
            "at 1, or give a larger shape."
        )
