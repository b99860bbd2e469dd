"""A solved density: its logarithm, expectations under it, and draws from it.

Shapes: n points, k functions of the basis, P panels of ORDER nodes, S draws.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.polynomial.legendre import legint, legval, legvander
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import logsumexp

from skem.maxent.distribution.problem._features import Extended, Nothing, Powers, evaluate
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._quadrature import (
    NODES,
    ORDER,
    WEIGHTS,
    BoxDomain,
    Domain,
    LineDomain,
    LogBase,
    Nodes,
    PointDomain,
    log_integrand,
)
from skem.maxent.distribution.problem._supports import Interval, Points
from skem.maxent.distribution.solvers._minimise import Solved

# Values at the nodes of a panel to Legendre coefficients of their polynomial.
_TO_LEGENDRE = (legvander(NODES, ORDER - 1) * WEIGHTS[:, None]) * (np.arange(ORDER) + 0.5)
_CHUNK = 2_000_000  # numbers at once


class Density:
    """The distribution of largest entropy on one support.

    It keeps what is asked of it later. The quadrature, which only draws and expectations need, is
    made again when they do, and is no part of a pickle.

    Parameters
    ----------
    problem : Problem
    solved : Solved
    """

    def __init__(self, problem: Problem, solved: Solved):
        self.problem = problem._replace(seen=None, tau=None)
        self.theta, self.multipliers, self.form = solved.theta, solved.multipliers, solved.form
        self.boundary, self.log_z = solved.boundary, solved.state.log_z
        A, b = problem.features.linear_map()
        self.moments = A @ solved.mean + b
        if isinstance(problem.support, Points) and isinstance(problem.features, Powers):
            # The sums themselves: a point much nearer to zero than the others keeps its digits.
            p = solved.state.probability
            x, powers = problem.support.points[p > 0], np.arange(1, problem.features.m + 1)
            self.moments = (p[p > 0] @ (x.T[..., None] ** powers)).ravel()
        self.active = _active(problem, solved)
        self._log_scale, self._n_panels = 0.0, 0
        if not isinstance(problem.support, Points):
            self._log_scale = float(np.log(np.abs(problem.features.scale)).sum())
        if isinstance(solved.domain, BoxDomain):
            self._n_panels = solved.domain.n_panels
        nodes, p = solved.state.nodes, solved.state.probability
        self.log_partition = self.log_z + self._log_scale + solved.constant
        log_ratio = -float(self.log_z + self._log_scale + solved.theta @ solved.mean)
        self.entropy = -log_ratio - float(p[p > 0] @ nodes.log_base[p > 0])
        self.log_mass = _log_mass(problem, solved.domain)
        self.divergence = log_ratio + self.log_mass
        if isinstance(problem.support, Points):
            self.probability = p
            self._log_probability = log_integrand(nodes, solved.theta) - self.log_z

    def __getstate__(self) -> dict[str, Any]:
        left = {"domain", "nodes"}
        return {name: value for name, value in vars(self).items() if name not in left}

    @cached_property
    def domain(self) -> LineDomain | BoxDomain:
        """Where integrals are taken."""
        support, features, log_base = self.problem.support, self.problem.features, self._log_base
        if isinstance(support, Interval):
            return LineDomain(support, features, log_base)
        assert not isinstance(support, Points)
        return BoxDomain(support, features, log_base, self._n_panels)

    @cached_property
    def nodes(self) -> Nodes:
        """Nodes that suit the density."""
        nodes = self.domain.nodes(self.theta)
        assert nodes is not None
        return nodes

    @property
    def _log_base(self) -> LogBase:
        return self.problem.log_base

    def _probability(self) -> NDArray:
        """Of each node."""
        log_p = log_integrand(self.nodes, self.theta)
        p = np.exp(log_p - log_p.max())
        return p / p.sum()

    # ------------------------------------------------------------------ points
    def log_density(self, x: NDArray) -> NDArray:
        """Log p at rows x of shape (n,) on a line, else (n, n_columns); -inf off the support."""
        support = self.problem.support
        result = np.full(len(x), -np.inf)
        if isinstance(support, Points):
            index = match(support.points, x)
            result[index >= 0] = self._log_probability[index[index >= 0]]
            return result
        inside = self._inside(x)
        if inside.any():
            log_base = 0.0 if self._log_base is None else self._log_base(x[inside])
            result[inside] = log_base + self._log_tilt(x[inside]) - self._log_scale
        return result

    def log_ratio(self, x: NDArray) -> NDArray:
        """Log p / base at rows x, also where they are no points of a finite support."""
        support = self.problem.support
        if not isinstance(support, Points):
            result, inside = np.full(len(x), -np.inf), self._inside(x)
            if inside.any():
                result[inside] = self._log_tilt(x[inside]) - self._log_scale + self.log_mass
            return result
        result = self._log_tilt(x[:, 0] if support.flat else x) + self.log_mass
        if self.boundary:
            index = match(support.points, x)
            if (index < 0).any():
                raise ValueError(
                    f"X[{np.argmax(index < 0)}] is not a point of support, and the constraints "
                    "lie on the boundary of what is possible there (boundary_): the distribution "
                    "is a limit, which says nothing about other rows. Leave such rows out, or give "
                    "constraints in the interior."
                )
            result[self.probability[index] == 0] = -np.inf
        return result

    def _inside(self, x: NDArray) -> NDArray:
        support = self.problem.support
        assert not isinstance(support, Points)
        columns = x.reshape(len(x), -1)
        return np.all((columns >= support.low) & (columns <= support.high), axis=1)

    def _log_tilt(self, x: NDArray) -> NDArray:
        """-theta' phi - log Z of the basis in y."""
        features = self.problem.features
        rows = x[:, None] if isinstance(self.problem.support, Points) and x.ndim == 1 else x
        y = (rows - features.center) / features.scale
        with np.errstate(invalid="ignore", over="ignore"):
            return -(features.of(x, y) @ self.theta) - self.log_z

    def expectation(self, f: Callable) -> float:
        """E f(x), with nodes that suit f too."""
        support = self.problem.support
        if isinstance(support, Points):
            x = support.points[:, 0] if support.flat else support.points
            possible = self.probability > 0
            return float(self.probability[possible] @ evaluate(f, x[possible], "f"))
        if not isinstance(support, Interval):
            p = self._probability()
            possible = p > 0
            return float(p[possible] @ evaluate(f, self.nodes.x[possible], "f"))
        extended = Extended(self.problem.features, f)
        finer = LineDomain(support, extended, self._log_base)  # type: ignore[arg-type]
        theta = np.append(self.theta, 0.0)
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
        support = self.problem.support
        if isinstance(support, Points):
            p = self.probability
            return support.points[rng.choice(len(p), n, p=p / p.sum())]
        if self.form is not None:
            return self._draw_closed_form(n, rng)
        domain = self.domain
        if isinstance(domain, BoxDomain):
            return self._draw_in_box(domain, n, rng)
        low, high, p = self.nodes.low, self.nodes.high, self._probability()
        weights = np.tile(WEIGHTS, len(low)) * np.repeat(high - low, ORDER) / 2
        values = np.where(p > 0, p / weights, 0.0)
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
        if self.form == "normal":
            return center[0] + scale[0] * rng.standard_normal(n)
        if self.form == "exponential":
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


def attributes(densities: list[Density], solved: list[Solved], *, product: bool) -> dict[str, Any]:
    """Fitted attributes; facts of columns are stacked where columns are on their own."""

    def stacked(rows: list[NDArray]) -> NDArray:
        return np.array(rows) if product else rows[0]

    return {
        "multipliers_": stacked([s.multipliers for s in solved]),
        "log_partition_": float(sum(density.log_partition for density in densities)),
        "entropy_": float(sum(density.entropy for density in densities)),
        "kl_divergence_": float(sum(density.divergence for density in densities)),
        "moments_": stacked([density.moments for density in densities]),
        "active_": stacked([density.active for density in densities]),
        "boundary_": any(s.boundary for s in solved),
        "optimality_gap_": float(sum(s.gap for s in solved)),
        "converged_": all(s.converged for s in solved),
        "n_iter_": max(s.n_iter for s in solved),
    }


def _active(problem: Problem, solved: Solved) -> NDArray:
    """Which bound of each fact decides: by its multiplier, or by the points that it removes."""
    sign = np.sign(solved.multipliers)
    if solved.removing is not None:
        sign = np.where(sign == 0, solved.removing, sign)
    bound = np.where(sign > 0, "upper", np.where(sign < 0, "lower", "none"))
    return np.where(problem.facts.equal, "equal", bound)


def _log_mass(problem: Problem, domain: Domain) -> float:
    """Log of the sum or integral of the base; zero without a base, or where it is infinite."""
    log_base = problem.log_base
    if log_base is None:
        return 0.0
    if isinstance(domain, LineDomain):
        nothing = Nothing(domain.features)
        nodes = LineDomain(domain.support, nothing, log_base).nodes(np.zeros(0))  # type: ignore[arg-type]
        if nodes is None:
            return 0.0
        return float(logsumexp(log_integrand(nodes, np.zeros(0))) + np.log(abs(domain.scale)))
    if isinstance(domain, PointDomain):
        return float(logsumexp(log_base(domain.x)))
    nodes = domain.nodes(np.zeros(problem.features.n_facts))
    assert nodes is not None
    mass = logsumexp(nodes.log_weight + nodes.log_base)
    return float(mass + np.log(np.abs(problem.features.scale)).sum())


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
