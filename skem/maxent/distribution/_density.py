"""A solved density: its logarithm, expectations under it, and draws from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem.maxent.distribution.problem._feasibility import Constraints
from skem.maxent.distribution.problem._features import Features
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._supports import Support
from skem.maxent.distribution.solvers._minimise import Solved


class Density(ABC):
    """The distribution of largest entropy on one support, and what is asked of it later.

    Parameters
    ----------
    problem : Problem
    solved : Solved
    log_scale : float
        Log of dx / dy, of all columns; zero for points.
    log_mass : float
        Log of the sum or integral of the base; zero without a base, or where it is infinite.
    """

    features: Features
    support: Support

    def __init__(self, problem: Problem, solved: Solved, *, log_scale: float, log_mass: float):
        self.features, self.theta = problem.features, solved.theta
        self.log_z, self.log_scale, self.log_mass = solved.state.log_z, log_scale, log_mass
        A, b = self.features.linear_map()
        self.moments = A @ solved.mean + b
        self.active = _active(problem.constraints, solved)
        self.log_partition = self.log_z + log_scale + solved.constant
        log_ratio = -float(self.log_z + log_scale + solved.theta @ solved.mean)
        log_base, p = solved.state.nodes.log_base, solved.state.probability
        self.entropy = -log_ratio - float(p[p > 0] @ log_base[p > 0])
        self.divergence = log_ratio + log_mass

    def attributes(self) -> dict[str, Any]:
        """Attributes that a fit has only on such a support."""
        return {}

    @abstractmethod
    def log_density(self, x: NDArray) -> NDArray:
        """Log p at rows x of shape (n,) on a line, else (n, n_columns); -inf off the support."""

    @abstractmethod
    def log_ratio(self, x: NDArray) -> NDArray:
        """Log p / base at rows x, also where they are no points of a finite support."""

    @abstractmethod
    def expectation(self, f: Callable) -> float:
        """E f(x)."""

    @abstractmethod
    def draw(self, n: int, rng: np.random.RandomState) -> NDArray:
        """N rows, of shape (n,) on a line, else (n, n_columns)."""

    def _log_tilt(self, rows: NDArray, x: NDArray) -> NDArray:
        """-theta' phi - log Z of the basis in y, at rows that functions see as x."""
        y = (rows - self.features.center) / self.features.scale
        with np.errstate(invalid="ignore", over="ignore"):
            return -(self.features.of(x, y) @ self.theta) - self.log_z


def _active(constraints: Constraints, solved: Solved) -> NDArray:
    """Which bound of each constraint decides: by its multiplier, or the points that it removes."""
    sign = np.sign(solved.multipliers)
    if solved.removing is not None:
        sign = np.where(sign == 0, solved.removing, sign)
    bound = np.where(sign > 0, "upper", np.where(sign < 0, "lower", "none"))
    return np.where(constraints.equal, "equal", bound)
