"""A solved density: its logarithm, expectations under it, and draws from it.

Shapes: n points, k functions of the basis, P panels of ORDER nodes, S draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.polynomial.legendre import legint, legval, legvander
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skem.maxent._features import Extended, evaluate
from skem.maxent._minimise import Solved
from skem.maxent._problem import Problem
from skem.maxent._quadrature import NODES, ORDER, WEIGHTS, BoxDomain, LineDomain, log_integrand
from skem.maxent._supports import Interval, Points

# Values at the nodes of a panel to Legendre coefficients of their polynomial.
_TO_LEGENDRE = (legvander(NODES, ORDER - 1) * WEIGHTS[:, None]) * (np.arange(ORDER) + 0.5)
_CHUNK = 2_000_000  # numbers at once


class Density:
    """The distribution of largest entropy on one support.

    Parameters
    ----------
    problem : Problem
    solved : Solved
    """

    def __init__(self, problem: Problem, solved: Solved):
        self.problem, self.solved = problem, solved
        self._log_scale = 0.0
        if not isinstance(problem.support, Points):
            self._log_scale = float(np.log(np.abs(problem.features.scale)).sum())

    @property
    def moments(self) -> NDArray:
        """E f."""
        A, b = self.problem.features.linear_map()
        return A @ self.solved.mean + b

    @property
    def log_partition(self) -> float:
        """Log of the integral of base exp(-multipliers' f)."""
        return self.solved.state.log_z + self._log_scale + self.solved.constant

    @property
    def divergence(self) -> float:
        """E log p / base."""
        solved = self.solved
        return -float(solved.state.log_z + self._log_scale + solved.theta @ solved.mean)

    @property
    def entropy(self) -> float:
        """-E log p."""
        p, log_base = self.solved.state.probability, self.solved.state.nodes.log_base
        return -self.divergence - float(p[p > 0] @ log_base[p > 0])

    @property
    def active(self) -> NDArray:
        """Which bound of each fact decides."""
        facts, multipliers = self.problem.facts, self.solved.multipliers
        bound = np.where(multipliers > 0, "upper", np.where(multipliers < 0, "lower", "none"))
        return np.where(facts.equal, "equal", bound)

    # ------------------------------------------------------------------ points
    def log_density(self, x: NDArray) -> NDArray:
        """Log p at rows x of shape (n,) on a line, else (n, n_columns); -inf off the support."""
        support = self.problem.support
        result = np.full(len(x), -np.inf)
        if isinstance(support, Points):
            index = match(support.points, x)
            log_p = log_integrand(self.solved.state.nodes, self.solved.theta)
            log_p -= self.solved.state.log_z
            result[index >= 0] = log_p[index[index >= 0]]
            return result
        within = np.logical_and(x >= support.low, x <= support.high)
        inside = within if x.ndim == 1 else within.all(axis=1)
        x, features = x[inside], self.problem.features
        if len(x):
            y = (x - features.center) / features.scale
            log_base = 0.0 if self.problem.log_base is None else self.problem.log_base(x)
            with np.errstate(invalid="ignore", over="ignore"):
                exponent = features.of(x, y) @ self.solved.theta
            result[inside] = log_base - exponent - self.solved.state.log_z - self._log_scale
        return result

    def expectation(self, f: Callable) -> float:
        """E f(x), with nodes that suit f too."""
        state, domain = self.solved.state, self.solved.domain
        if not isinstance(domain, LineDomain):
            possible = state.probability > 0
            values = evaluate(f, state.nodes.x[possible], "f")
            return float(state.probability[possible] @ values)
        extended = Extended(self.problem.features, f)
        finer = LineDomain(domain.support, extended, domain.log_base)  # type: ignore[arg-type]
        theta = np.append(self.solved.theta, 0.0)
        nodes = finer.nodes(theta)
        if nodes is None or nodes.error > 1e-6:
            raise ValueError(
                "The expectation of f could not be computed: f grows too fast for the tails of "
                "the density (the expectation is infinite), or jumps too often."
            )
        log_p = log_integrand(nodes, theta)
        p = np.exp(log_p - log_p.max())
        return float(p @ nodes.basis[:, -1] / p.sum())

    # ------------------------------------------------------------------ draws
    def draw(self, n: int, rng: np.random.RandomState) -> NDArray:
        """N rows, of shape (n,) on a line, else (n, n_columns)."""
        support, state = self.problem.support, self.solved.state
        if isinstance(support, Points):
            p = state.probability
            return support.points[rng.choice(len(p), n, p=p / p.sum())]
        if self.solved.form is not None:
            return self._draw_closed_form(n, rng)
        domain = self.solved.domain
        if isinstance(domain, BoxDomain):
            return self._draw_in_box(domain, n, rng)
        assert isinstance(domain, LineDomain)
        low, high = state.nodes.low, state.nodes.high
        weights = np.tile(WEIGHTS, len(low)) * np.repeat(high - low, ORDER) / 2
        values = np.where(state.probability > 0, state.probability / weights, 0.0)
        if domain.support.kind == "interval":  # the upper half has the negative r: put it last
            first = int((low < 0).sum())
            low, high = np.roll(low, -first), np.roll(high, -first)
            values = np.roll(values, -first * ORDER)
        uniform = rng.uniform(size=n)
        step = max(_CHUNK // ORDER**2, 1)
        return np.concatenate(
            [
                domain.place(inverse_cdf(values[None], low, high, uniform[i : i + step]))[0]
                for i in range(0, n, step)
            ]
        )

    def _draw_closed_form(self, n: int, rng: np.random.RandomState) -> NDArray:
        support, features = self.problem.support, self.problem.features
        center, scale = features.center, features.scale
        if self.solved.form == "normal":
            return center[0] + scale[0] * rng.standard_normal(n)
        if self.solved.form == "exponential":
            return center[0] + scale[0] * rng.standard_exponential(n)
        if isinstance(support, Interval):
            return rng.uniform(support.low, support.high, size=n)
        assert not isinstance(support, Points)
        return rng.uniform(support.low, support.high, size=(n, len(support.low)))

    def _draw_in_box(self, domain: BoxDomain, n: int, rng: np.random.RandomState) -> NDArray:
        """Side after side, each given those before: inverses of conditional distributions."""
        features, d = self.problem.features, len(domain.shape)
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
            step = max(_CHUNK // len(later), 1)
            for i in range(0, n, step):
                p = self._conditional(rows[i : i + step], later, log_weight)
                u = uniform[j, i : i + step]
                column[i : i + step] = inverse_cdf(p, domain.low, domain.high, u)
            rows = np.column_stack([rows, column])
        return features.center + features.scale * rows

    def _conditional(self, rows: NDArray, later: NDArray, log_weight: NDArray) -> NDArray:
        """Density of the next side at its nodes given the sides so far, the later ones summed."""
        features = self.problem.features
        y = np.column_stack([np.repeat(rows, len(later), axis=0), np.tile(later, (len(rows), 1))])
        log_p = self.log_density(features.center + features.scale * y)
        log_p = log_p.reshape(len(rows), -1, len(log_weight)) + log_weight
        return np.exp(log_p - log_p.max(axis=(1, 2), keepdims=True)).sum(axis=2)


def match(points: NDArray, x: NDArray) -> NDArray:
    """Index of the point that each row is, -1 where it is none."""
    reach = np.abs(points).max() * 1e-9 + 1e-300
    distance, index = cKDTree(points).query(x.reshape(len(x), -1))
    return np.where(distance <= reach, index, -1)


def inverse_cdf(values: NDArray, low: NDArray, high: NDArray, uniform: NDArray) -> NDArray:
    """Where distribution functions reach the given values.

    On each panel the density is the polynomial through its nodes, which the quadrature made as
    accurate as its integrals; its integral is inverted by Newton's method between brackets.

    values of shape (S, P * ORDER), or (1, P * ORDER) for one density; uniform of shape (S,).
    """
    values = values.reshape(len(values), len(low), ORDER)
    mass = (values @ WEIGHTS) * (high - low) / 2  # (S, P)
    cumulative = np.cumsum(mass, axis=1)
    target = uniform * cumulative[:, -1]
    panel = np.minimum((cumulative < target[:, None]).sum(axis=1), len(low) - 1)
    row = np.arange(len(uniform)) if len(values) > 1 else np.zeros(len(uniform), dtype=int)
    rest = target - (cumulative - mass)[row, panel]
    half = (high - low)[panel] / 2
    density = (values[row, panel] * half[:, None]) @ _TO_LEGENDRE  # (S, ORDER)
    integral = legint(density.T, lbnd=-1)
    left, right = np.full(len(uniform), -1.0), np.ones(len(uniform))
    s = 2 * np.clip(rest / np.maximum(mass[row, panel], 1e-300), 0, 1) - 1
    for _ in range(60):
        error = legval(s, integral, tensor=False) - rest
        left, right = np.where(error < 0, s, left), np.where(error < 0, right, s)
        slope = np.maximum(legval(s, density.T, tensor=False), 1e-300)
        new = s - error / slope
        new = np.where((new > left) & (new < right), new, (left + right) / 2)
        if np.abs(new - s).max() < 1e-15:
            break
        s = new
    return low[panel] + half * (1 + s)
