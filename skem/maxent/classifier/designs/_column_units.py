r"""Units of the columns of a design: what is invariant to them, and columns in units of their own.

A model does not change where a column is multiplied by a number and its weight divided by it, nor,
with intercepts, where a number is taken from it. Rounding does: sums of squares lose what is small
beside what is large. So columns that are far from one in size are divided by a power of two, which
changes no digit, and columns that are far from zero beside their spread are centred. Penalties go
along: l2 w^2 / 2 of a weight w = v / unit is (l2 / unit^2) v^2 / 2.

Conventions:
    X.shape = (n, p)   rows; for joint features pairs of a class and a row
    weight.shape = (n,)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

_NEAR = 16
_FAR_OFF = 2.0**12
"""Columns within 2^-16 to 2^16 stay as they are, and means of up to 2^12 deviations."""

_LARGEST = 480
"""Units are kept where their squares, and penalties divided by them, are numbers."""

_CANCELLED = 1e-6
"""Share of its second moment below which a variance is computed again, without cancellation."""

_LEAST_SQUARE = 1e-280
"""A mean of squares below which their digits are lost, for a square may be a subnormal number."""

SPREADLESS = 1e-13
"""Share of its second moment below which the spread of a column is rounding."""

_OF_DISTANCE = 4
"""Distances from the median that are rounding, in units of eps times the size of the value."""

_SAMPLE, _FEWEST, _VALUES = 1000, 50, 1_000_000
"""Rows that typical distances are taken from, at most and at least, and their values."""

_FLAT = 1e-250
"""A curvature of which the inverse might overflow: of rows whose classes are certain."""


class Sizes(NamedTuple):
    """Of each column: root mean square, mean, and what of it tells classes apart."""

    size: NDArray  # (p,)
    mean: NDArray  # (p,) zeros where no intercept takes it
    deviation: NDArray  # (p,) exactly zero for columns that tell nothing


class Units(NamedTuple):
    """A column x is unit z + offset."""

    unit: NDArray  # (p,) powers of two
    offset: NDArray  # (p,)

    def of(self, X: Any) -> Any:
        """Columns in these units, a copy in float64."""
        if sp.issparse(X):
            scaled = sp.csr_array(X, copy=True)
            scaled.data = (scaled.data / self.unit[scaled.indices]).astype(np.float64)
            return scaled
        return np.ascontiguousarray((X - self.offset) / self.unit)


def units_of(sizes: Sizes, centre: bool) -> Units | None:
    """Units in which columns are near one in size and, if ``centre``, near zero.

    None where they are already.
    """
    scale = np.where(sizes.deviation > 0, sizes.deviation, sizes.size)
    known = (scale > 0) & np.isfinite(scale)
    exponent = np.rint(np.log2(np.where(known, scale, 1.0)))
    exponent = np.where(np.abs(exponent) > _NEAR, np.clip(exponent, -_LARGEST, _LARGEST), 0.0)
    far = centre & (np.abs(sizes.mean) > _FAR_OFF * sizes.deviation)
    offset = np.where(far, sizes.mean, 0.0)
    if not exponent.any() and not offset.any():
        return None
    return Units(np.exp2(exponent), offset)


def sizes_of(X: Any, weight: NDArray, second: NDArray, mean: NDArray) -> Sizes:
    """Sizes from moments, taken again where they cancel or leave the range of numbers.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, p)
    weight : ndarray of shape (n,)
        With a sum of one.
    second, mean : ndarray of shape (p,)
        Weighted means of squares and of the columns; zeros in ``mean`` without intercepts.
    """
    mean = mean.copy()
    variance = second - mean**2
    size, deviation = np.sqrt(second), np.sqrt(np.maximum(variance, 0.0))
    doubtful = ~np.isfinite(second) | (second < _LEAST_SQUARE) | (variance < _CANCELLED * second)
    centred = bool(mean.any())
    largest_of = np.asarray(abs(X).max(axis=0).todense()).ravel() if sp.issparse(X) else None
    for j in np.flatnonzero(doubtful).tolist():
        if largest_of is not None and largest_of[j] == 0:  # of hashed words there may be millions
            continue
        x = _column(X, j)
        largest = float(np.abs(x).max(initial=0.0))
        if largest == 0:
            continue
        x = x / largest
        middle = float(weight @ x) if centred else 0.0
        middle += float(weight @ (x - middle)) if centred else 0.0
        spread = float(np.sqrt(weight @ np.square(x - middle)))
        constant = centred and np.ptp(x[weight > 0]) == 0
        size[j] = largest * float(np.sqrt(weight @ np.square(x)))
        mean[j], deviation[j] = largest * middle, 0.0 if constant else largest * spread
    return Sizes(size, mean, deviation)


def _column(X: Any, j: int) -> NDArray:
    column = X[:, [j]].toarray().ravel() if sp.issparse(X) else X[:, j]
    return np.asarray(column, dtype=np.float64)


def inverse_diagonal(diagonal: NDArray, flat: float = _FLAT) -> NDArray:
    """1 / diagonal, and zero for what is flat: nothing tells how far to go there, nor whether."""
    return np.divide(1, diagonal, out=np.zeros_like(diagonal), where=diagonal > flat)


def typical_rows(n: int, p: int) -> NDArray:
    """Some of n rows of p columns, evenly spaced: few enough to cost little, however wide."""
    size = min(n, max(_FEWEST, min(_SAMPLE, _VALUES // max(p, 1))))
    return np.unique(np.linspace(0, n - 1, size).astype(np.int64))


def inverse_distances(X: Any, centre: bool) -> NDArray:
    """Mean of 1 / distance of the values of each column from its median, or from zero, (p,).

    Of a weight by which logits of a typical row move by one, this is the size, also where a few
    values are so large that they make the standard deviation. Values without a distance are left
    out, and a column that has no others has zero.
    """
    with np.errstate(divide="ignore", over="ignore"):
        if sp.issparse(X):
            part = sp.csr_array(X)
            column, inverse = part.indices, 1 / np.abs(part.data.astype(np.float64))
        else:
            part = np.asarray(X, dtype=np.float64)
            distance = np.abs(part - np.median(part, axis=0)) if centre else np.abs(part)
            rounding = _OF_DISTANCE * np.finfo(np.float64).eps * np.abs(part)
            distance[distance <= rounding] = 0.0
            column = np.broadcast_to(np.arange(part.shape[1]), part.shape).ravel()
            inverse = 1 / distance.ravel()
    some = np.isfinite(inverse)
    total = np.bincount(column[some], inverse[some], minlength=X.shape[1])
    return total / np.maximum(np.bincount(column[some], minlength=X.shape[1]), 1)
