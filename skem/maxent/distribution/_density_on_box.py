"""A solved density on a box."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from skem.maxent.distribution._continuous_density import ContinuousDensity
from skem.maxent.distribution._inverse_cdf import CHUNK, inverse_cdf
from skem.maxent.distribution.problem._features import evaluate
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._quadrature import BoxDomain
from skem.maxent.distribution.problem._supports import Box
from skem.maxent.distribution.solvers._minimise import Solved


class DensityOnBox(ContinuousDensity):
    """A density of up to three columns together.

    Parameters
    ----------
    domain : BoxDomain
        With as many panels as it was solved with.
    problem : Problem
    solved : Solved
    """

    support: Box

    def __init__(self, domain: BoxDomain, problem: Problem, solved: Solved):
        super().__init__(problem, solved, log_mass=_log_mass(domain, problem))
        self.support, self._n_panels = domain.support, domain.n_panels

    @cached_property
    def domain(self) -> BoxDomain:
        """Where integrals are taken."""
        return BoxDomain(self.support, self.features, self.log_base, self._n_panels)

    def expectation(self, f: Callable) -> float:
        """E f(x)."""
        p = self.probability()
        possible = p > 0
        return float(p[possible] @ evaluate(f, self.nodes.x[possible], "f"))

    def draw(self, n: int, rng: np.random.RandomState) -> NDArray:
        """N rows: side after side, each given those before, by inverse distribution functions."""
        d = self.support.n_columns
        if self.form == "uniform":
            return rng.uniform(self.support.low, self.support.high, size=(n, d))
        domain = self.domain
        grid = domain.axis()
        rows = np.empty((n, 0))
        uniform = rng.uniform(size=(d, n))
        for j in range(d):
            later = np.stack(np.meshgrid(*[grid] * (d - j), indexing="ij"), axis=-1)
            later = later.reshape(-1, d - j)
            log_weight = domain.log_weights(d - j - 1)
            if j == 0:
                p = self._conditional(rows[:1], later, log_weight)
                rows = inverse_cdf(p, domain.low, domain.high, uniform[0])[:, None]
                continue
            column = np.empty(n)
            step = max(CHUNK // len(later), 1)
            for i in range(0, n, step):
                p = self._conditional(rows[i : i + step], later, log_weight)
                u = uniform[j, i : i + step]
                column[i : i + step] = inverse_cdf(p, domain.low, domain.high, u)
            rows = np.column_stack([rows, column])
        return self.features.center + self.features.scale * rows

    def _conditional(self, rows: NDArray, later: NDArray, log_weight: NDArray) -> NDArray:
        """Density of the next side at its nodes given the sides so far, the later ones summed."""
        y = np.column_stack([np.repeat(rows, len(later), axis=0), np.tile(later, (len(rows), 1))])
        log_p = self.log_density(self.features.center + self.features.scale * y)
        log_p = log_p.reshape(len(rows), -1, len(log_weight)) + log_weight
        return np.exp(log_p - log_p.max(axis=(1, 2), keepdims=True)).sum(axis=2)


def _log_mass(domain: BoxDomain, problem: Problem) -> float:
    """Log of the integral of the base; zero without a base."""
    if problem.log_base is None:
        return 0.0
    nodes = domain.nodes(np.zeros(problem.features.n_constraints))
    mass = logsumexp(nodes.log_weight + nodes.log_base)
    return float(mass + np.log(np.abs(problem.features.scale)).sum())
