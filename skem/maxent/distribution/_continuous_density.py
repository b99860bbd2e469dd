"""What solved densities on an interval and on a box have in common."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem.maxent.distribution._density import Density
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._quadrature import (
    BoxDomain,
    LineDomain,
    Nodes,
    log_integrand,
    normalised_nodes,
)
from skem.maxent.distribution.problem._supports import Box, Interval
from skem.maxent.distribution.solvers._minimise import Solved


class ContinuousDensity(Density):
    """A density with respect to Lebesgue measure.

    The quadrature, which only draws and expectations need, is made again when they do, and is no
    part of a pickle.
    """

    support: Interval | Box

    def __init__(self, problem: Problem, solved: Solved, *, log_mass: float):
        log_scale = float(np.log(np.abs(problem.features.scale)).sum())
        super().__init__(problem, solved, log_scale=log_scale, log_mass=log_mass)
        self.log_base, self.form = problem.log_base, solved.form

    def __getstate__(self) -> dict[str, Any]:
        left = {"domain", "nodes"}
        return {name: value for name, value in vars(self).items() if name not in left}

    @property
    @abstractmethod
    def domain(self) -> LineDomain | BoxDomain:
        """Where integrals are taken."""

    @cached_property
    def nodes(self) -> Nodes:
        """Nodes that suit the density."""
        return normalised_nodes(self.domain, self.theta)

    def probability(self) -> NDArray:
        """Of each node."""
        log_p = log_integrand(self.nodes, self.theta)
        p = np.exp(log_p - log_p.max())
        return p / p.sum()

    def log_density(self, x: NDArray) -> NDArray:
        """Log p at rows x of shape (n,) on a line, else (n, n_columns); -inf off the support."""
        result, inside = np.full(len(x), -np.inf), self._inside(x)
        if inside.any():
            x = x[inside]
            log_base = 0.0 if self.log_base is None else self.log_base(x)
            result[inside] = log_base + self._log_tilt(x, x) - self.log_scale
        return result

    def log_ratio(self, x: NDArray) -> NDArray:
        """Log p / base at rows x; -inf off the support."""
        result, inside = np.full(len(x), -np.inf), self._inside(x)
        if inside.any():
            x = x[inside]
            result[inside] = self._log_tilt(x, x) - self.log_scale + self.log_mass
        return result

    def _inside(self, x: NDArray) -> NDArray:
        columns = x.reshape(len(x), -1)
        return np.all((columns >= self.support.low) & (columns <= self.support.high), axis=1)
