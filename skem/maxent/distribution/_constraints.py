"""From data, or given expectations, to problems to solve."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem._input import refuse_masks_and_dates
from skem.maxent.distribution._parameters import Parameters
from skem.maxent.distribution.problem._feasibility import ConstraintError, Constraints
from skem.maxent.distribution.problem._features import Features
from skem.maxent.distribution.problem._given_features import LARGEST_EXPONENT
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._supports import LARGEST_NUMBER

CONSTANT_COLUMN = 1e-13  # standard deviation, relative to the size of x, that is only rounding


# ---------------------------------------------------------------------- from data
def from_data(parameters: Parameters, X: NDArray, weight: NDArray | None) -> list[Problem]:
    """The problems whose constraints are weighted means over rows; one a column on an interval.

    Raises
    ------
    ValueError
        If X has rows off the support, or the wrong number of columns.
    """
    support = parameters.support
    if support.n_columns is not None and X.shape[1] != support.n_columns:
        raise ValueError(
            f"X has {X.shape[1]} columns, but support is about {support.n_columns}. Give the "
            "support of all columns: points as rows of a matrix, or a box with a pair a column."
        )
    if support.by_column:
        return [_of_column(parameters, x, weight, j) for j, x in enumerate(X.T)]
    rows, seen = support.locate(X)
    mean = np.average(rows, axis=0, weights=weight)
    deviation = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weight))
    features = parameters.features.for_data(support, mean, deviation)
    y = (rows - features.center) / features.scale
    return [_with_means(parameters, features, support.arguments(rows), y, weight, "X", seen)]


def _of_column(parameters: Parameters, x: NDArray, weight: NDArray | None, j: int) -> Problem:
    support = parameters.support
    support.locate(x, f"X[:, {j}]")
    if np.abs(x).max() > LARGEST_NUMBER:
        raise ValueError(f"X[:, {j}] is too large for its powers. Change its units.")
    mean = float(np.average(x, weights=weight))
    deviation = float(np.sqrt(np.average((x - mean) ** 2, weights=weight)))
    size = float(np.abs(x).max())
    constant = deviation <= CONSTANT_COLUMN * size or deviation == 0
    exponential = support.kind == "half line" and parameters.features.is_mean and mean != 0
    if constant and not exponential:
        raise ConstraintError(
            f"X[:, {j}] is constant ({mean:.6g}): no density on {support} has expectations of a "
            "single value. Drop the column, or give points as support."
        )
    if parameters.features.exponent(max(size, 1)) > LARGEST_EXPONENT:
        raise ValueError(f"X[:, {j}] is too large for its powers. Change its units.")
    features = parameters.features.for_data(support, mean, deviation)
    y = (x - features.center) / features.scale
    return _with_means(parameters, features, x, y, weight, f"column {j} of X")


def _with_means(
    parameters: Parameters,
    features: Features,
    x: NDArray,
    y: NDArray,
    weight: NDArray | None,
    where: str,
    seen: NDArray | None = None,
) -> Problem:
    """Constraints that hold in the data; taken of the basis, where they lose no digits."""
    values = features.of(x, y)
    if not np.isfinite(values).all():
        i, j = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"{features.name(j)} is infinite at row {i} of X. Leave the row or the feature out."
        )
    features, tau = features.at_means(values, weight)
    A, b = features.linear_map()
    raw = A @ tau + b
    constraints = Constraints(raw, raw, (where,) * len(raw), features.names)
    return parameters.problem(features, constraints, tau, seen)


# ---------------------------------------------------------------------- from given expectations
class Given(NamedTuple):
    """Bounds of expectations, each of shape (n_constraints,) or (n_columns, n_constraints)."""

    lower: NDArray
    upper: NDArray


def read_constraints(
    parameters: Parameters,
    moments: ArrayLike | None,
    lower: ArrayLike | None,
    upper: ArrayLike | None,
) -> Given:
    """Constraints as bounds, equal ones for equalities.

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
    support = parameters.support
    n = parameters.features.n_constraints(support)
    for name, values in arrays.items():
        allowed = (*shape[:-1], n) if support.by_column else (n,)
        if values.shape != shape or values.shape != allowed or values.ndim > 2:
            raise ValueError(
                f"{name} has shape {values.shape}, expected ({n},), one number for each constraint"
                + (f" or (n_columns, {n})." if support.by_column else ".")
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


def from_constraints(parameters: Parameters, given: Given) -> list[Problem]:
    """The problems with given constraints; one a row of them on an interval.

    Raises
    ------
    ValueError
        If constraints contradict the support, or are too large.
    """
    support = parameters.support
    problems = []
    rows = zip(np.atleast_2d(given.lower), np.atleast_2d(given.upper), strict=True)
    for j, (low, high) in enumerate(rows):
        index = () if given.lower.ndim == 1 else (j,)
        where = tuple(
            _parameter(a, b) + _at((*index, i))
            for i, (a, b) in enumerate(zip(low, high, strict=True))
        )
        features = parameters.features.for_constraints(
            support, low, high, where, parameters.log_base
        )
        constraints = Constraints(low, high, where, features.names)
        tau = None
        if constraints.equal.all():
            A, b = features.linear_map()
            tau = np.linalg.solve(A, low - b)
        problems.append(parameters.problem(features, constraints, tau))
    return problems
