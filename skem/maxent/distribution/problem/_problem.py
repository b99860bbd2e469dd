"""What is to be solved: constraints about expectations on a support."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from skem.maxent.distribution.problem._feasibility import Constraints
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


@dataclass(frozen=True)
class PowerProblem(Problem):
    """Expectations of x, ..., x^m as equalities, on an interval, a half line or the line."""

    support: Interval
    features: Powers
    tau: NDArray
