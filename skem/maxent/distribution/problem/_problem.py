"""What is to be solved: constraints about expectations on a support."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skem.maxent.distribution.problem._feasibility import (
    ConstraintError,
    Constraints,
    check_moment_sequence,
    moment_range,
)
from skem.maxent.distribution.problem._features import Features, Powers
from skem.maxent.distribution.problem._quadrature import LogBase
from skem.maxent.distribution.problem._supports import Interval, Support


@dataclass(frozen=True)
class Problem:
    """Constraints about expectations on a support."""

    support: Support
    features: Features
    log_base: LogBase
    constraints: Constraints
    tau: NDArray | None  # expectations of the basis, where all constraints are equalities
    tol: float
    max_iter: int
    seen: NDArray | None = None  # (n_points,) of bool: points that the constraints are taken from

    @property
    def is_unbounded(self) -> bool:
        """Whether not every exponent can be normalised."""
        return not self.support.is_bounded

    def check(self) -> None:
        """Raise a ConstraintError if it can be told without a fit that they cannot hold."""


@dataclass(frozen=True)
class PowerProblem(Problem):
    """Expectations of x, ..., x^m as equalities, on an interval, a half line or the line."""

    support: Interval
    features: Powers
    tau: NDArray

    def check(self) -> None:
        """Raise a ConstraintError that names the first power whose moment no density can have."""
        features, constraints = self.features, self.constraints
        moments_of_z = features.power_moments(self.tau)
        k = check_moment_sequence(moments_of_z, features.ends)
        if not k:
            return
        ends = np.array(moment_range(moments_of_z[:k], features.ends)) - moments_of_z[k]
        low, high = sorted(constraints.lower[k - 1] + features.unit**k * ends)
        between = f"between {low:.10g} and {high:.10g}"
        if np.isinf(high):
            between = f"larger than {low:.10g}"
        elif np.isinf(low):
            between = f"smaller than {high:.10g}"
        given = ":" if k == 1 else ", given the lower powers:"
        raise ConstraintError(
            f"{constraints.said(k - 1)} cannot hold for a density on {self.support}{given} "
            f"{constraints.name[k - 1]} must be {between}. Correct this constraint, or leave it "
            "out."
        )
