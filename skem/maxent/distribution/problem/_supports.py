"""Where a distribution may put its mass: points, an interval of the line, or a box."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skem._input import refuse_masks_and_dates
from skem._numbers import NOT_ZERO

MAX_BOX_DIMENSIONS = 3  # the nodes of a product rule are a power of those of a side

# Numbers whose squares, and those of their inverses, are normal numbers.
LARGEST_NUMBER = 1e150

# Share of the largest coordinate within which a row is taken to be a point of the support: far
# above the rounding of a computed row, and below the distance of points that differ.
SAME_POINT = 1e-9

_HOW = (
    "A tuple (low, high) is an interval (either end may be infinite), a tuple of such tuples a "
    "box, and a list or an array a finite set of points (1-D, or one point a row)."
)


class Points(NamedTuple):
    """Finitely many points; ``flat`` if functions see them as numbers, not as rows."""

    points: NDArray  # (n_points, n_columns)
    flat: bool

    @property
    def n_columns(self) -> int:
        """Columns of X."""
        return self.points.shape[1]

    @property
    def x(self) -> NDArray:
        """The points as functions see them."""
        return self.points[:, 0] if self.flat else self.points

    def find(self, rows: NDArray) -> NDArray:
        """Index of the point that each row is, -1 where it is none."""
        reach = np.abs(self.points).max() * SAME_POINT + NOT_ZERO
        distance, index = cKDTree(self.points).query(rows.reshape(len(rows), -1))
        return np.where(distance <= reach, index, -1)

    def __str__(self) -> str:
        return f"the {len(self.points)} points of support"


class Interval(NamedTuple):
    """An interval; half a line or the line where ends are infinite."""

    low: float
    high: float

    @property
    def n_columns(self) -> None:
        """Any number of columns: each has a distribution of its own."""
        return None

    @property
    def kind(self) -> str:
        """'line', 'half line' or 'interval'."""
        return ("line", "half line", "interval")[np.isfinite(self).sum()]

    def __str__(self) -> str:
        if self.kind == "line":
            return "the whole line"
        return f"the {self.kind} ({self.low:.6g}, {self.high:.6g})"


class Box(NamedTuple):
    """A product of intervals."""

    low: NDArray  # (n_columns,)
    high: NDArray  # (n_columns,)

    @property
    def n_columns(self) -> int:
        """Columns of X."""
        return len(self.low)

    def __str__(self) -> str:
        sides = zip(self.low, self.high, strict=True)
        return "the box " + " x ".join(f"[{a:.6g}, {b:.6g}]" for a, b in sides)


Support = Points | Interval | Box


def parse_support(support: Any) -> Support:
    """What the parameter ``support`` says.

    Raises
    ------
    ValueError
        If it is none of the forms, an end is not below the other, or a point is there twice.
    """
    if isinstance(support, tuple):
        return _interval_or_box(support)
    points = _numbers(support)
    if points.ndim not in (1, 2) or points.size == 0:
        raise ValueError(f"support has shape {points.shape}, expected points. {_HOW}")
    if not np.isfinite(points).all():
        raise ValueError(f"support as a list or array must hold finite points. {_HOW}")
    _refuse_extremes(points)
    rows = points.reshape(len(points), -1)
    if len(np.unique(rows, axis=0)) < len(rows):
        raise ValueError("support holds a point more than once: give such a point more base.")
    return Points(rows, flat=points.ndim == 1)


def _interval_or_box(support: tuple) -> Interval | Box:
    ends = _numbers(support)
    if ends.shape == (2,):
        low, high = map(float, ends)
        if not low < high:
            raise ValueError(f"support=({low:g}, {high:g}): low must be below high. {_HOW}")
        _refuse_extremes(ends)
        return Interval(low, high)
    if ends.ndim != 2 or ends.shape[1] != 2:
        raise ValueError(f"support is a tuple of shape {ends.shape}, expected (low, high). {_HOW}")
    if len(ends) > MAX_BOX_DIMENSIONS:
        raise ValueError(
            f"support is a box in {len(ends)} dimensions, at most {MAX_BOX_DIMENSIONS} can be "
            "integrated over. Give an array of points instead, such as a sample of the base."
        )
    if not np.isfinite(ends).all() or not (ends[:, 0] < ends[:, 1]).all():
        raise ValueError(f"support={support!r}: a box needs finite sides with low < high. {_HOW}")
    _refuse_extremes(ends)
    return Box(ends[:, 0], ends[:, 1])


def _refuse_extremes(numbers: NDArray) -> None:
    """Refuse numbers with whose squares nothing can be computed; an infinite end has none."""
    finite = np.isfinite(numbers)
    largest = np.abs(numbers[finite]).max(initial=0)
    least = 1 / LARGEST_NUMBER if finite.all() and largest > 0 else 0.0
    if not least <= largest <= LARGEST_NUMBER:
        raise ValueError(
            f"support holds {largest:.3g} as its largest number, which must be from "
            f"{1 / LARGEST_NUMBER:.0e} to {LARGEST_NUMBER:.0e}. Change the unit of X and of "
            "support."
        )


def _numbers(support: Any) -> NDArray:
    refuse_masks_and_dates(support, "support")
    try:
        numbers = np.asarray(support, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"support={support!r} does not hold numbers. {_HOW}") from None
    if np.isnan(numbers).any():
        raise ValueError(f"support must not hold NaN. {_HOW}")
    return numbers
