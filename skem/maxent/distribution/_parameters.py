"""The parameters of an estimator, checked, and the problems that they make of constraints."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem.maxent.distribution.problem._feasibility import Constraints
from skem.maxent.distribution.problem._features import Features, evaluate
from skem.maxent.distribution.problem._given_features import GivenFeatures, read_features
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._quadrature import LogBase
from skem.maxent.distribution.problem._supports import Support, parse_support


class Parameters(NamedTuple):
    """The parameters of `MaxEntDistribution`, checked and parsed."""

    support: Support
    features: GivenFeatures
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
        """The problem of one column, or of all columns together.

        Raises
        ------
        ConstraintError
            If its constraints cannot hold, as far as that can be told without a fit.
        """
        support, log_base, tol, max_iter = self.support, self.log_base, self.tol, self.max_iter
        make = self.features.problem_class(support, tau)
        problem = make(support, features, log_base, constraints, tau, tol, max_iter, seen)
        problem.check()
        return problem


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
    return Parameters(parsed, read_features(features), _log_base(base, parsed), tol, max_iter)


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
    log_base = Base(base if callable(base) else support.base_of_points(base))
    if not support.has_mass(log_base):
        raise ValueError("base is zero at every point of support.")
    return log_base
