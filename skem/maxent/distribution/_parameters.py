"""The parameters of an estimator, checked, and the problems that they make of constraints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem._input import refuse_masks_and_dates
from skem.maxent.distribution.problem._feasibility import Constraints
from skem.maxent.distribution.problem._features import (
    Features,
    Functions,
    Powers,
    check_features,
    evaluate,
)
from skem.maxent.distribution.problem._problem import PowerProblem, Problem
from skem.maxent.distribution.problem._quadrature import LogBase
from skem.maxent.distribution.problem._supports import Interval, Points, Support, parse_support

NARROW = 0.3  # standard deviation of y below which a bulk gets a basis of its own: [-1, 1] has 0.58


class Parameters(NamedTuple):
    """The parameters of `MaxEntDistribution`, checked and parsed."""

    support: Support
    features: int | list[Callable]
    log_base: LogBase
    tol: float
    max_iter: int

    def problem(
        self,
        features: Features,
        constraints: Constraints,
        tau: NDArray | None = None,
        seen: NDArray | None = None,
    ) -> Problem:
        """The problem of one column, or of all columns together."""
        support, log_base, tol, max_iter = self.support, self.log_base, self.tol, self.max_iter
        if isinstance(support, Interval) and isinstance(features, Powers) and tau is not None:
            return PowerProblem(support, features, log_base, constraints, tau, tol, max_iter)
        return Problem(support, features, log_base, constraints, tau, tol, max_iter, seen)

    @property
    def n_powers(self) -> int | None:
        """Powers of each column; None where features are functions."""
        return self.features if isinstance(self.features, int) else None

    @property
    def n_constraints(self) -> int:
        """Constraints about one column, or about all columns together."""
        if isinstance(self.features, int):
            return self.features * (self.support.n_columns or 1)
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


def read_parameters(
    features: Any, support: Any, base: Any, tol: float, max_iter: int
) -> Parameters:
    """Check the parameters of an estimator.

    Raises
    ------
    ValueError
        If one of them is wrong, or they do not fit each other.
    """
    parsed = parse_support(support)
    return Parameters(parsed, check_features(features), _log_base(base, parsed), tol, max_iter)


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
    if isinstance(support, Points) and not np.isfinite(log_base(support.x)).any():
        raise ValueError("base is zero at every point of support.")
    return log_base
