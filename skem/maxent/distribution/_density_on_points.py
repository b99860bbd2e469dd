"""A solved distribution on finitely many points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from skem.maxent.distribution._density import Density
from skem.maxent.distribution.problem._features import evaluate
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._quadrature import log_integrand
from skem.maxent.distribution.problem._supports import Points
from skem.maxent.distribution.solvers._minimise import Solved


class DensityOnPoints(Density):
    """Probabilities of points.

    Parameters
    ----------
    support : Points
    problem : Problem
    solved : Solved
    """

    support: Points

    def __init__(self, support: Points, problem: Problem, solved: Solved):
        log_base = problem.log_base
        log_mass = 0.0 if log_base is None else float(logsumexp(log_base(support.x)))
        super().__init__(problem, solved, log_scale=0.0, log_mass=log_mass)
        self.support, self.boundary = support, solved.boundary
        self.probability = p = solved.state.probability
        self.moments = self.features.moments_on_points(support.points, p, self.moments)
        self._log_probability = log_integrand(solved.state.nodes, solved.theta) - self.log_z

    def attributes(self) -> dict[str, Any]:
        """The points and their probabilities."""
        return {"points_": self.support.x, "probabilities_": self.probability}

    def log_density(self, x: NDArray) -> NDArray:
        """Log-probability of rows x of shape (n, n_columns); -inf where they are no points."""
        result = np.full(len(x), -np.inf)
        index = self.support.find(x)
        result[index >= 0] = self._log_probability[index[index >= 0]]
        return result

    def log_ratio(self, x: NDArray) -> NDArray:
        """Log p / base at rows x, also where they are no points."""
        result = self._log_tilt(x, self.support.arguments(x)) + self.log_mass
        if self.boundary:
            index = self.support.find(x)
            if (index < 0).any():
                raise ValueError(
                    f"X[{np.argmax(index < 0)}] is not a point of support, and the constraints "
                    "lie on the boundary of what is possible there (boundary_): the distribution "
                    "is a limit, which says nothing about other rows. Leave such rows out, or give "
                    "constraints in the interior."
                )
            result[self.probability[index] == 0] = -np.inf
        return result

    def expectation(self, f: Callable) -> float:
        """E f(x), of points that have a probability."""
        possible = self.probability > 0
        return float(self.probability[possible] @ evaluate(f, self.support.x[possible], "f"))

    def draw(self, n: int, rng: np.random.RandomState) -> NDArray:
        """N rows, of shape (n, n_columns)."""
        p = self.probability
        return self.support.points[rng.choice(len(p), n, p=p / p.sum())]
