"""From the parameters of an estimator, and data or given expectations, to problems to solve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem._input import refuse_masks_and_dates
from skem.maxent.distribution._density import match
from skem.maxent.distribution.problem._feasibility import ConstraintError, Facts
from skem.maxent.distribution.problem._features import (
    Features,
    Functions,
    Powers,
    check_features,
    evaluate,
)
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._quadrature import LogBase
from skem.maxent.distribution.problem._supports import Box, Interval, Points, Support, parse_support
from skem.maxent.distribution.problem._units import (
    box_units,
    bulk_of_columns,
    bulk_of_facts,
    bulk_of_functions,
    interval_units,
    units_of_facts,
    values_of_facts,
)

NARROW = 0.3  # standard deviation of y


class Setting(NamedTuple):
    """What the parameters of an estimator say."""

    support: Support
    features: int | list[Callable]
    log_base: LogBase
    tol: float
    max_iter: int

    def problem(
        self,
        features: Features,
        facts: Facts,
        tau: NDArray | None = None,
        seen: NDArray | None = None,
    ) -> Problem:
        """The problem of one column, or of all columns together."""
        return Problem(
            self.support, features, self.log_base, facts, tau, self.tol, self.max_iter, seen
        )  # fmt: skip

    @property
    def n_columns(self) -> int | None:
        """Columns of X; None where any number is: each is then a distribution of its own."""
        if isinstance(self.support, Interval):
            return None
        return self.support[0].shape[-1] if isinstance(self.support, Points) else len(
            self.support.low
        )  # fmt: skip

    @property
    def n_powers(self) -> int | None:
        """Powers of each column; None where features are functions."""
        return self.features if isinstance(self.features, int) else None

    @property
    def n_facts(self) -> int:
        """Facts about one column, or about all columns together."""
        if isinstance(self.features, int):
            return self.features * (self.n_columns or 1)
        return len(self.features)

    def make_features(
        self, center: Any, scale: Any, mean: Any = np.nan, deviation: Any = np.nan
    ) -> Features:
        """The functions, in the coordinates y = (x - center) / scale.

        A bulk that is narrow beside the support gets a basis of its own; mean and deviation are
        those of each column where support is points.
        """
        if isinstance(self.features, int) and isinstance(self.support, Points):
            narrow = np.zeros(len(center), dtype=bool)
            if self.features == 1 and np.isfinite(mean).all():
                # What is missed of a mean keeps its digits where points are of many sizes.
                return Powers(1, mean, scale, "line")
            if self.features > 1:
                narrow |= (deviation > 0) & (deviation < NARROW * np.abs(scale))
            center, scale = np.where(narrow, mean, center), np.where(narrow, deviation, scale)
            kind = "line" if narrow.any() else "interval"
            return Powers(self.features, center, scale, kind, narrow=narrow)
        if isinstance(self.features, int):
            kind = self.support.kind if isinstance(self.support, Interval) else "interval"
            bulk = None
            if kind != "line" and self.features > 1 and deviation / np.max(np.abs(scale)) < NARROW:
                bulk = (float((mean - center) / scale), float(deviation / abs(scale)))
            return Powers(self.features, center, scale, kind, bulk)
        return Functions(self.features, center, scale)


def read_parameters(features: Any, support: Any, base: Any, tol: float, max_iter: int) -> Setting:
    """Check the parameters of an estimator.

    Raises
    ------
    ValueError
        If one of them is wrong, or they do not fit each other.
    """
    parsed = parse_support(support)
    return Setting(parsed, check_features(features), _log_base(base, parsed), tol, max_iter)


class Base:
    """log of a base given by the user as a function or as numbers, one a point."""

    def __init__(self, base: Any):
        self._base = base

    def __call__(self, x: NDArray) -> NDArray:
        density = evaluate(self._base, x, "base") if callable(self._base) else self._base
        if not ((density >= 0) & np.isfinite(density)).all():
            raise ValueError(
                f"base must be finite and not negative on the support, got {density.min():g} to "
                f"{density.max():g}."
            )
        with np.errstate(divide="ignore"):
            return np.log(density)


def _log_base(base: Any, support: Support) -> LogBase:
    if base is None:
        return None
    if not callable(base):
        if not isinstance(support, Points):
            raise ValueError(
                "base must be a function of x where support is not a set of points: its density."
            )
        refuse_masks_and_dates(base, "base")
        base = np.asarray(base, dtype=np.float64)
        if base.shape != (len(support.points),):
            raise ValueError(
                f"base has shape {base.shape}, expected ({len(support.points)},): one number for "
                "each point of support."
            )
    log_base = Base(base)
    if isinstance(support, Points):
        x = support.points[:, 0] if support.flat else support.points
        if not np.isfinite(log_base(x)).any():
            raise ValueError("base is zero at every point of support.")
    return log_base


def fact_names(features: Features) -> tuple[str, ...]:
    """The expectations in words."""
    return tuple(features.name(i) for i in range(features.n_facts))


# ---------------------------------------------------------------------- from data
def from_data(setting: Setting, X: NDArray, weight: NDArray | None) -> Iterator[Problem]:
    """The problems whose facts are weighted means over rows; one a column on an interval.

    Raises
    ------
    ValueError
        If X has rows off the support, or the wrong number of columns.
    """
    support = setting.support
    if setting.n_columns is not None and X.shape[1] != setting.n_columns:
        raise ValueError(
            f"X has {X.shape[1]} columns, but support is about {setting.n_columns}. Give the "
            "support of all columns: points as rows of a matrix, or a box with a pair a column."
        )
    if isinstance(support, Interval):
        for j, x in enumerate(X.T):
            yield _of_column(setting, support, x, weight, j)
        return
    if isinstance(support, Points):
        index = match(support.points, X)
        if (index < 0).any():
            raise ValueError(
                f"X[{np.argmax(index < 0)}] = {X[np.argmax(index < 0)]} is not a point of support. "
                "Add it to support, or leave the row out."
            )
        X = support.points[index]
    else:
        _check_inside((support.low <= X) & (support.high >= X), X, support)
    center, scale = box_units(support)
    if isinstance(support, Box):
        features = setting.make_features(center, scale)
        yield _with_means(setting, features, X, (X - center) / scale, weight, "X")
        return
    mean = np.average(X, axis=0, weights=weight)
    deviation = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    features = setting.make_features(center, scale, mean, deviation)
    y = (X - features.center) / features.scale
    x = X[:, 0] if support.flat else X
    seen = np.zeros(len(support.points), dtype=bool)
    seen[index] = True
    yield _with_means(setting, features, x, y, weight, "X", seen)


def _of_column(
    setting: Setting, support: Interval, x: NDArray, weight: NDArray | None, j: int
) -> Problem:
    inside = (x >= support.low) & (x <= support.high)
    _check_inside(inside, x, support, f"X[:, {j}]")
    if np.abs(x).max() > 1e150:
        raise ValueError(f"X[:, {j}] is too large for its powers. Change its units.")
    mean = float(np.average(x, weights=weight))
    deviation = float(np.sqrt(np.average((x - mean) ** 2, weights=weight)))
    size = float(np.abs(x).max())
    constant = deviation <= 1e-13 * size or deviation == 0
    if constant and not (support.kind == "half line" and setting.features == 1 and mean != 0):
        raise ConstraintError(
            f"X[:, {j}] is constant ({mean:.6g}): no density on {support} has expectations of a "
            "single value. Drop the column, or give points as support."
        )
    center, scale = interval_units(support, mean, deviation)
    if isinstance(setting.features, int) and setting.features * np.log10(max(size, 1)) > 300:
        raise ValueError(f"X[:, {j}] is too large for its powers. Change its units.")
    features = setting.make_features(center, scale, mean, deviation)
    return _with_means(setting, features, x, (x - center) / scale, weight, f"column {j} of X")


def _with_means(
    setting: Setting,
    features: Features,
    x: NDArray,
    y: NDArray,
    weight: NDArray | None,
    where: str,
    seen: NDArray | None = None,
) -> Problem:
    """Facts that hold in the data; taken of the basis, where they lose no digits."""
    values = features.of(x, y)
    if not np.isfinite(values).all():
        i, j = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"{features.name(j)} is infinite at row {i} of X. Leave the row or the feature out."
        )
    tau = np.average(values, axis=0, weights=weight)
    if isinstance(features, Functions):
        features = features.shifted(tau)
        tau = np.average(values - tau, axis=0, weights=weight)
    A, b = features.linear_map()
    raw = A @ tau + b
    facts = Facts(raw, raw, (where,) * len(raw), fact_names(features))
    return setting.problem(features, facts, tau, seen)


def _check_inside(inside: NDArray, X: NDArray, support: Interval | Box, name: str = "X") -> None:
    if not inside.all():
        i = np.argwhere(~inside)[0]
        where = f"row {i[0]}" if X.ndim == 1 else f"row {i[0]}, column {i[1]}"
        raise ValueError(
            f"{name} holds {X[tuple(i)]:.6g} ({where}), which is not in {support}. Make the "
            "support larger, or leave the row out."
        )


# ---------------------------------------------------------------------- from given expectations
class Given(NamedTuple):
    """Bounds of expectations, each of shape (n_facts,) or (n_columns, n_facts)."""

    lower: NDArray
    upper: NDArray


def read_facts(
    setting: Setting, moments: ArrayLike | None, lower: ArrayLike | None, upper: ArrayLike | None
) -> Given:
    """Facts as bounds, equal ones for equalities.

    Raises
    ------
    ValueError
        If shapes do not agree, or a bound is above the other.
    """
    given = {"moments": moments, "lower": lower, "upper": upper}
    for name, values in given.items():
        refuse_masks_and_dates(values, name)
    arrays = {k: np.asarray(v, dtype=np.float64) for k, v in given.items() if v is not None}
    if not arrays:
        raise ValueError("Give constraints: moments, or lower and upper bounds of them.")
    shape = next(iter(arrays.values())).shape
    n = setting.n_facts
    for name, values in arrays.items():
        allowed = (n,) if setting.n_columns is not None else (*shape[:-1], n)
        if values.shape != shape or values.shape != allowed or values.ndim > 2:
            raise ValueError(
                f"{name} has shape {values.shape}, expected ({n},), one number for each constraint"
                + (f" or (n_columns, {n})." if setting.n_columns is None else ".")
            )
    tau = arrays.get("moments", np.full(shape, np.nan))
    low = arrays.get("lower", np.full(shape, -np.inf))
    high = arrays.get("upper", np.full(shape, np.inf))
    low = np.where(np.isnan(low), -np.inf, low)
    high = np.where(np.isnan(high), np.inf, high)
    _check_bounds(tau, low, high)
    known = ~np.isnan(tau)
    return Given(np.where(known, tau, low), np.where(known, tau, high))


def _check_bounds(tau: NDArray, low: NDArray, high: NDArray) -> None:
    if np.isinf(tau).any():
        raise ValueError("moments must be finite, or NaN where a constraint is not given.")
    for at in np.argwhere(~np.isnan(tau) & ((low > -np.inf) | (high < np.inf))):
        raise ValueError(f"moments{_at(at)} is given, and a bound of it too: leave one out.")
    for at in np.argwhere((low > high) | (low == np.inf) | (high == -np.inf)):
        raise ValueError(
            f"lower{_at(at)} = {low[tuple(at)]:g} and upper{_at(at)} = {high[tuple(at)]:g} leave "
            "no expectation between them."
        )


def _parameter(low: float, high: float) -> str:
    """The parameter of `fit_moments` that such bounds come from."""
    if low == high:
        return "moments"
    if np.isinf(low) != np.isinf(high):
        return "upper" if np.isinf(low) else "lower"
    return "lower and upper"


def _at(index: Any) -> str:
    return "[" + ", ".join(str(int(i)) for i in index) + "]"


def from_facts(setting: Setting, given: Given) -> Iterator[Problem]:
    """The problems with given facts; one a row of them on an interval."""
    support = setting.support
    rows = zip(np.atleast_2d(given.lower), np.atleast_2d(given.upper), strict=True)
    for j, (low, high) in enumerate(rows):
        index = () if given.lower.ndim == 1 else (j,)
        where = tuple(
            _parameter(a, b) + _at((*index, i))
            for i, (a, b) in enumerate(zip(low, high, strict=True))
        )

        center: Any
        scale: Any
        center, scale = box_units(support)
        bulk: tuple[Any, Any] = (np.nan, np.nan)
        if isinstance(support, Interval):
            center, scale = units_of_facts(setting.n_powers, support, low, high, where)
            bulk = bulk_of_facts(low, high) if (low == high).all() else bulk
        elif isinstance(support, Points) and (low == high).all():
            bulk = bulk_of_columns(setting.n_powers, low)
        if isinstance(setting.features, int):
            largest = max(np.abs(center).max(), np.abs(scale).max(), 1.0)
            if not setting.features * np.log10(largest) < 300:
                raise ValueError("moments are too large for the powers. Change their units.")
        features = setting.make_features(center, scale, *bulk)
        facts = Facts(low, high, where, fact_names(features))
        tau = None
        if isinstance(features, Functions):
            features = features.shifted(values_of_facts(low, high))
            if (
                isinstance(support, Interval)
                and support.kind != "interval"
                and setting.log_base is None
            ):
                features = features.at(*bulk_of_functions(features, support))
        if facts.equal.all():
            A, b = features.linear_map()
            tau = np.linalg.solve(A, low - b)
        yield setting.problem(features, facts, tau)
