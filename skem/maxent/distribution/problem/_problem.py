"""What is to be solved: facts about expectations on a support."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import NDArray

from skem.maxent.distribution.problem._feasibility import Facts
from skem.maxent.distribution.problem._features import Features
from skem.maxent.distribution.problem._quadrature import LogBase
from skem.maxent.distribution.problem._supports import Box, Interval, Points


class Problem(NamedTuple):
    """Facts about expectations on a support."""

    support: Points | Interval | Box
    features: Features
    log_base: LogBase
    facts: Facts
    tau: NDArray | None  # expectations of the basis, where all facts are equalities
    tol: float
    max_iter: int
    seen: NDArray | None = None  # (n_points,) of bool: points that the facts are taken from

    @property
    def is_unbounded(self) -> bool:
        """Whether not every exponent can be normalised."""
        return isinstance(self.support, Interval) and self.support.kind != "interval"
