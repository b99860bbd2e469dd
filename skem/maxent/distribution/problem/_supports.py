"""Where a distribution may put its mass: points, an interval of the line, or a box."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skem._input import refuse_masks_and_dates
from skem._numbers import NOT_ZERO
from skem.maxent.distribution.problem._features import Powers

MAX_BOX_DIMENSIONS = 3  # the nodes of a product rule are a power of those of a side

# Numbers whose squares, and those of their inverses, are normal numbers.
LARGEST_NUMBER = 1e150

# Share of the largest coordinate within which a row is taken to be a point of the support: far
# above the rounding of a computed row, and below the distance of points that differ.
SAME_POINT = 1e-9

NARROW = 0.3  # standard deviation of y below which a bulk gets a basis of its own: [-1, 1] has 0.58

_HOW = (
    "A tuple (low, high) is an interval (either end may be infinite), a tuple of such tuples a "
    "box, and a list or an array a finite set of points (1-D, or one point a row)."
)


class Support(ABC):
    """Where a distribution may put its mass, and how rows, a base and powers are read there."""

    low: Any  # the smallest x: a number, or one a column of shape (n_columns,)
    high: Any  # the largest
    n_columns: int | None  # of X, described together; None where each is described on its own
    flat: bool  # whether functions get numbers, not rows
    kind = "interval"  # where y lives: on the 'line', the 'half line' [0, inf) or [-1, 1]

    @property
    def by_column(self) -> bool:
        """Whether each column of X has a distribution of its own."""
        return self.n_columns is None

    @property
    def is_bounded(self) -> bool:
        """Whether neither end is infinite: then every exponent can be normalised."""
        return self.kind == "interval"

    def arguments(self, rows: NDArray) -> NDArray:
        """Rows of shape (n, n_columns) as functions get them."""
        return rows[:, 0] if self.flat else rows

    def locate(self, X: NDArray, name: str = "X") -> tuple[NDArray, NDArray | None]:
        """Rows on the support, and which points of a finite one they are, of shape (n_points,).

        Raises
        ------
        ValueError
            If a row is off the support.
        """
        inside = (self.low <= X) & (self.high >= X)
        if not inside.all():
            i = np.argwhere(~inside)[0]
            where = f"row {i[0]}" if X.ndim == 1 else f"row {i[0]}, column {i[1]}"
            raise ValueError(
                f"{name} holds {X[tuple(i)]:.6g} ({where}), which is not in {self}. Make the "
                "support larger, or leave the row out."
            )
        return X, None

    def units(self, mean: Any = np.nan, deviation: Any = np.nan) -> tuple[Any, Any]:
        """Center and scale of y; mean and deviation of x are NaN where not known."""
        half = (self.high - self.low) / 2
        return (self.low + self.high) / 2, np.where(half > 0, half, 1.0)

    @abstractmethod
    def powers(self, m: int, center: Any, scale: Any, mean: Any, deviation: Any) -> Powers:
        """x, ..., x^m in the coordinates y = (x - center) / scale.

        A bulk that is narrow beside the support gets a basis of its own, so that its moments lose
        no digits; its mean and deviation are NaN where not known.
        """

    def base_of_points(self, base: Any) -> NDArray:
        """A base given as numbers.

        Raises
        ------
        ValueError
            If the support has no points that they belong to, or not as many.
        """
        raise ValueError(
            "base must be a function of x where support is not a set of points: its density."
        )

    def has_mass(self, log_base: Callable[[NDArray], NDArray]) -> bool:
        """Whether a base is positive anywhere, where that can be told."""
        return True

    @abstractmethod
    def __str__(self) -> str:
        """The support in words, as errors name it."""


class Points(Support):
    """Finitely many points, of shape (n_points, n_columns); ``flat`` if they are numbers."""

    n_columns: int

    def __init__(self, points: NDArray, *, flat: bool):
        self.points, self.flat = points, flat
        self.low, self.high = points.min(axis=0), points.max(axis=0)
        self.n_columns = points.shape[1]

    @property
    def x(self) -> NDArray:
        """The points as functions get them."""
        return self.arguments(self.points)

    def find(self, rows: NDArray) -> NDArray:
        """Index of the point that each row is, -1 where it is none."""
        reach = np.abs(self.points).max() * SAME_POINT + NOT_ZERO
        distance, index = cKDTree(self.points).query(rows.reshape(len(rows), -1))
        return np.where(distance <= reach, index, -1)

    def locate(self, X: NDArray, name: str = "X") -> tuple[NDArray, NDArray | None]:
        """The points that the rows are, and which of all points occur."""
        index = self.find(X)
        if (index < 0).any():
            i = np.argmax(index < 0)
            raise ValueError(
                f"{name}[{i}] = {X[i]} is not a point of support. Add it to support, or leave the "
                "row out."
            )
        seen = np.zeros(len(self.points), dtype=bool)
        seen[index] = True
        return self.points[index], seen

    def powers(self, m: int, center: Any, scale: Any, mean: Any, deviation: Any) -> Powers:
        """Powers of each column; those of narrow bulks are made for the whole line."""
        narrow = np.zeros(len(center), dtype=bool)
        if m == 1 and np.isfinite(mean).all():
            # What is missed of a mean keeps its digits where points are of many sizes.
            return Powers(1, mean, scale, "line")
        if m > 1:
            narrow |= (deviation > 0) & (deviation < NARROW * np.abs(scale))
        center, scale = np.where(narrow, mean, center), np.where(narrow, deviation, scale)
        return Powers(m, center, scale, "line" if narrow.any() else self.kind, narrow=narrow)

    def base_of_points(self, base: Any) -> NDArray:
        """A base given as one number a point."""
        refuse_masks_and_dates(base, "base")
        base = np.asarray(base, dtype=np.float64)
        if base.shape != (len(self.points),):
            raise ValueError(
                f"base has shape {base.shape}, expected ({len(self.points)},): one number for "
                "each point of support."
            )
        return base

    def has_mass(self, log_base: Callable[[NDArray], NDArray]) -> bool:
        """Whether a base is positive at any point."""
        return bool(np.isfinite(log_base(self.x)).any())

    def __str__(self) -> str:
        return f"the {len(self.points)} points of support"


class Interval(Support):
    """An interval; half a line or the line where ends are infinite."""

    n_columns = None
    flat = True

    def __init__(self, low: float, high: float):
        self.low, self.high = low, high
        self.kind = ("line", "half line", "interval")[np.isfinite([low, high]).sum()]

    def units(self, mean: Any = np.nan, deviation: Any = np.nan) -> tuple[Any, Any]:
        """Center and scale of y; a negative scale turns a half line around."""
        if self.kind == "interval":
            return (self.low + self.high) / 2, (self.high - self.low) / 2
        if self.kind == "line":
            return (mean, deviation if deviation > 0 else 1.0) if np.isfinite(mean) else (0.0, 1.0)
        end, sign = (self.low, 1.0) if np.isfinite(self.low) else (self.high, -1.0)
        distance = abs(mean - end)
        return end, sign * (distance if distance > 0 else 1.0)

    def powers(self, m: int, center: Any, scale: Any, mean: Any, deviation: Any) -> Powers:
        """Powers of one column; a narrow bulk is told to them."""
        bulk = None
        if self.kind != "line" and m > 1 and deviation / abs(scale) < NARROW:
            bulk = (float((mean - center) / scale), float(deviation / abs(scale)))
        return Powers(m, center, scale, self.kind, bulk)

    def __str__(self) -> str:
        if self.kind == "line":
            return "the whole line"
        return f"the {self.kind} ({self.low:.6g}, {self.high:.6g})"


class Box(Support):
    """A product of intervals, whose ends have shape (n_columns,)."""

    n_columns: int
    flat = False

    def __init__(self, low: NDArray, high: NDArray):
        self.low, self.high = low, high
        self.n_columns = len(low)

    def powers(self, m: int, center: Any, scale: Any, mean: Any, deviation: Any) -> Powers:
        """Powers of each column; a box gives no bulk a basis of its own."""
        return Powers(m, center, scale, self.kind)

    def __str__(self) -> str:
        sides = zip(self.low, self.high, strict=True)
        return "the box " + " x ".join(f"[{a:.6g}, {b:.6g}]" for a, b in sides)


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
