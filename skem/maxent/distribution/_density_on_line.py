"""A solved density on an interval, a half line or the line."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from skem.maxent.distribution._continuous_density import ContinuousDensity
from skem.maxent.distribution._inverse_cdf import CHUNK, inverse_cdf
from skem.maxent.distribution.problem._features import Extended, Features, Nothing
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._quadrature import (
    ORDER,
    WEIGHTS,
    LineDomain,
    LogBase,
    log_integrand,
)
from skem.maxent.distribution.problem._supports import Interval
from skem.maxent.distribution.solvers._minimise import Solved

INACCURATE = 1e-6  # relative error of an integral of f: a larger one means that there is none


class DensityOnLine(ContinuousDensity):
    """A density of one column.

    Parameters
    ----------
    support : Interval
    problem : Problem
    solved : Solved
    """

    support: Interval

    def __init__(self, support: Interval, problem: Problem, solved: Solved):
        log_mass = _log_mass(support, problem.features, problem.log_base)
        super().__init__(problem, solved, log_mass=log_mass)
        self.support = support

    @cached_property
    def domain(self) -> LineDomain:
        """Where integrals are taken."""
        return LineDomain(self.support, self.features, self.log_base)

    def expectation(self, f: Callable) -> float:
        """E f(x), with nodes that suit f too."""
        finer = LineDomain(self.support, Extended(self.features, f), self.log_base)
        theta = np.append(self.theta, 0.0)
        nodes = finer.nodes(theta)
        if nodes is None or nodes.error > INACCURATE:
            raise ValueError(
                "The expectation of f could not be computed: f grows too fast for the tails of "
                "the density (the expectation is infinite), or jumps too often."
            )
        log_p = log_integrand(nodes, theta)
        p = np.exp(log_p - log_p.max())
        return float(p @ nodes.basis[:, -1] / p.sum())

    def draw(self, n: int, rng: np.random.RandomState) -> NDArray:
        """N numbers, of shape (n,)."""
        if self.form is not None:
            return self._draw_closed_form(n, rng)
        low, high, p = self.nodes.low, self.nodes.high, self.probability()
        weights = np.tile(WEIGHTS, len(low)) * np.repeat(high - low, ORDER) / 2
        values = np.where(p > 0, p / weights, 0.0)
        if self.support.kind == "interval":  # the upper half has the negative r: put it last
            first = int((low < 0).sum())
            low, high = np.roll(low, -first), np.roll(high, -first)
            values = np.roll(values, -first * ORDER)
        uniform = rng.uniform(size=n)
        step = max(CHUNK // ORDER**2, 1)
        return np.concatenate(
            [
                self.domain.place(inverse_cdf(values[None], low, high, uniform[i : i + step]))[0]
                for i in range(0, n, step)
            ]
        )

    def _draw_closed_form(self, n: int, rng: np.random.RandomState) -> NDArray:
        center, scale = self.features.center, self.features.scale
        if self.form == "normal":
            return center[0] + scale[0] * rng.standard_normal(n)
        if self.form == "exponential":
            return center[0] + scale[0] * rng.standard_exponential(n)
        return rng.uniform(self.support.low, self.support.high, size=n)


def _log_mass(support: Interval, features: Features, log_base: LogBase) -> float:
    """Log of the integral of the base; zero without a base, or where it is infinite."""
    if log_base is None:
        return 0.0
    none = np.zeros(0)
    nodes = LineDomain(support, Nothing(features), log_base).nodes(none)
    if nodes is None:
        return 0.0
    return float(logsumexp(log_integrand(nodes, none)) + np.log(abs(features.scale[0])))
