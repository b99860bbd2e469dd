"""Working units: columns of mean zero and unit variance."""

from __future__ import annotations

import reprlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem.mixture._features import plain_rows

_LARGEST, _SMALLEST = 1e280, 1e-280
"""Variances between which products of squares stay normal numbers."""

_ROUNDINGS = 64
"""Deviations from the mean, in units of eps times the largest value or the mean, up to which a
column counts as constant: room for a few operations before the values came here."""


class ColumnUnits(NamedTuple):
    """Working units: z = (x - center) * scale."""

    center: NDArray  # (d,) weighted means
    scale: NDArray  # (d,) inverse standard deviations, or a common one; 1 of constant columns
    varies: NDArray  # (d,) whether the column is more than a constant and its rounding errors
    lost: NDArray  # (d,) whether it varies, but so little that its variance is not a normal number


def column_spread(X: NDArray, weight: NDArray | None) -> tuple[NDArray, NDArray, NDArray]:
    """Weighted mean, variance and weight of the known values of each column, without a copy of X.

    Rows of weight zero are left out.
    """
    from skem.mixture.gaussian.kernels._columns import column_moments

    weight = np.empty(0) if weight is None else weight.astype(np.float64, copy=False)
    center, squares, count = column_moments(plain_rows(X), weight)
    return center, squares / np.where(count > 0, count, 1.0), count


def column_units(X: NDArray, weight: NDArray | None, *, common_scale: bool) -> ColumnUnits:
    """Working units of each column; with ``common_scale``, all have the same scale.

    Raises
    ------
    ValueError
        If a column holds no value, or values too large to square.
    """
    center, variance, count = column_spread(X, weight)
    if (count == 0).any():
        raise ValueError(
            f"Columns {shown(count == 0)} of X hold no value at all (all NaN). Drop them."
        )
    if not (variance <= _LARGEST).all():
        raise ValueError(
            f"Columns {shown(~(variance <= _LARGEST))} of X hold values too large for their "
            "squares to be finite. Change their units."
        )
    lost = variance < _SMALLEST
    for j in np.flatnonzero(lost):
        lost[j] = _differs(X[:, j], weight)
    noise = np.square(_ROUNDINGS * np.finfo(X.dtype).eps * np.abs(center))
    variance = np.where((variance > noise) & (variance >= _SMALLEST), variance, 0.0)
    varies = (variance > 0) | lost
    if common_scale:
        variance = np.full_like(variance, variance.mean())
    scale = np.where(variance > 0, 1 / np.sqrt(np.where(variance > 0, variance, 1)), 1.0)
    return ColumnUnits(center, scale, varies, lost)


def _differs(x: NDArray, weight: NDArray | None) -> bool:
    """Whether the values of a column differ by more than rounding."""
    x = x if weight is None else x[weight > 0]
    low, high = float(np.nanmin(x)), float(np.nanmax(x))
    return high - low > _ROUNDINGS * np.finfo(x.dtype).eps * max(abs(low), abs(high))


def shown(which: NDArray) -> str:
    """Numbers of the columns where ``which`` is true, the first few of them."""
    return reprlib.repr(np.flatnonzero(which).tolist())
