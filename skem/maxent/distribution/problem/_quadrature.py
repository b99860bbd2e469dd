r"""Integrals over a support, by nodes that suit the density.

Shapes: n nodes, k functions of the basis, P panels of ORDER nodes. All integrals are those of
exp(-theta' phi(y)) base(x) dy in the coordinate y = (x - center) / scale, in log space.

One dimension: Gauss-Legendre panels in a variable r, each halved until its halves agree with it.
An end at infinity is reached exponentially, y = sinh r on the line and y = exp r on a half line,
so that tails like those of 1 / x^2 and poles like that of 1 / sqrt(x) are resolved too. On an
interval r is the distance to the nearer end, positive from the lower and negative from the upper.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem._numbers import NOT_ZERO
from skem.maxent.distribution.problem._feasibility import ConstraintError
from skem.maxent.distribution.problem._features import REACH, Basis
from skem.maxent.distribution.problem._supports import Box, Interval, Points, Support

ORDER = 16  # nodes of a panel: the rule is exact for polynomials up to degree 31
NODES, WEIGHTS = np.polynomial.legendre.leggauss(ORDER)
ACCURACY = 1e-13  # of a panel against its halves, relative to the whole integral
UNRESOLVED = 1e-4  # an integral with a larger error is taken to be infinite
EXPONENT_ROUNDING = 2e-16  # of an exponent, relative to its terms: panels cannot agree more closely
NARROWEST = 1e-14  # width of a panel, relative to its place, below which it holds few numbers
MAX_LEVELS = 120  # halvings, to 1e-36 of a panel, for poles at an end of it
MAX_PANELS = 2000  # of one level: an integrand that needs more jumps too often
MAX_BOX_NODES = 2_200_000  # room for 8 panels a side in three dimensions, 128^3 nodes
FIRST_PANELS = 16  # of an interval
FIRST_PANELS_OF_BOX = 2  # of each side, doubled until that changes nothing
FIRST_PANELS_UNBOUNDED = 64  # of a half line or the line, where most of them see only tails
LOOKS = 1202  # places from end to end at which functions are checked for being too large
NEAR_OVERFLOW = 1e200  # a function of this size ends the range: its products with others overflow
LEAST_LOG_BASE = -NEAR_OVERFLOW / 10  # stands for log 0: a base of zero does not end the range
PEAK = 1.0  # nats below the largest value of an integrand that still belong to its peak
TAIL = 36.0  # exp(-36) = 2e-16: what a tail may still hold at the last node

LogBase = Callable[[NDArray], NDArray] | None


class Nodes(NamedTuple):
    """Nodes of a quadrature; in one dimension in the order of the panels."""

    x: NDArray  # (n,) or (n, n_columns)
    log_weight: NDArray  # (n,) of the quadrature alone, in y
    log_base: NDArray  # (n,)
    basis: NDArray  # (n, k)
    low: NDArray  # (P,) ends of the panels in r
    high: NDArray  # (P,)
    error: float  # estimated, relative to the integral


class Domain(ABC):
    """What is summed or integrated over."""

    support: Support
    is_sum = False  # whether it is a sum over points: exact, whatever theta, and cheap
    independent = False  # whether no combination of the basis is known to be constant
    exact_zeros = True  # whether multipliers that are only rounding must be zero

    @abstractmethod
    def nodes(self, theta: NDArray) -> Nodes | None:
        """Nodes for the density with multipliers theta; None if it cannot be normalised."""


class PointDomain(Domain):
    """A sum over points; ``independent`` if no combination of the basis is constant on them."""

    support: Points
    is_sum = True

    def __init__(self, support: Points, basis: NDArray, log_base: NDArray, *, independent: bool):
        n = len(basis)
        self.support, self.independent, self.log_base = support, independent, log_base
        self._nodes = Nodes(support.x, np.zeros(n), log_base, basis, np.empty(0), np.empty(0), 0.0)

    def nodes(self, theta: NDArray) -> Nodes:
        """The points, whatever theta."""
        return self._nodes


class LineDomain(Domain):
    """An integral over an interval, a half line or the line."""

    support: Interval

    def __init__(self, support: Interval, features: Basis, log_base: LogBase):
        self.support = support
        self.features = features
        self.exact_zeros = features.exact_zeros
        self.log_base = log_base
        self.center, self.scale = float(features.center[0]), float(features.scale[0])
        self.edges = self._first_edges()

    def place(self, r: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """x, y and log dy / dr at r."""
        if self.support.kind == "interval":
            end = np.where(r > 0, self.support.low, self.support.high)
            return end + self.scale * r, r - np.sign(r), np.zeros_like(r)
        if self.support.kind == "line":
            y, log_jacobian = np.sinh(r), np.logaddexp(r, -r) - np.log(2)
        else:
            y, log_jacobian = np.exp(r), r
        return self.center + self.scale * y, y, log_jacobian

    def _first_edges(self) -> NDArray:
        if self.support.kind == "interval":
            return np.linspace(-1, 1, FIRST_PANELS + 1)
        reach = self.features.reach
        low, high = (-reach if self.support.kind == "line" else -REACH), reach
        r = np.linspace(low, high, LOOKS)
        x, y, _ = self.place(r)
        values = self.features.of(x, y)
        if self.log_base is not None:
            values = np.column_stack([values, np.maximum(self.log_base(x), LEAST_LOG_BASE)])
        with np.errstate(invalid="ignore"):
            bad = r[~(np.abs(values) < NEAR_OVERFLOW).all(axis=1)]
        low = max([low, *bad[bad < 0]])
        high = min([high, *bad[bad > 0]])
        return np.linspace(low, high, FIRST_PANELS_UNBOUNDED + 1)

    def _evaluate(self, low: NDArray, high: NDArray) -> Nodes:
        """Nodes of the panels [low, high], without an estimate of the error."""
        half = (high - low)[:, None] / 2
        x, y, log_jacobian = self.place((low[:, None] + half * (1 + NODES)).ravel())
        basis = self.features.of(x, y)
        log_base = np.zeros(len(x)) if self.log_base is None else self.log_base(x)
        infinite = ~np.isfinite(basis).all(axis=1)
        basis[infinite], log_base = 0.0, np.where(infinite, -np.inf, log_base)
        log_weight = log_jacobian + np.log(half * WEIGHTS).ravel()
        return Nodes(x, log_weight, log_base, basis, low, high, 0.0)

    def nodes(self, theta: NDArray) -> Nodes | None:
        """Nodes for the density with multipliers theta; None if it cannot be normalised."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return self._refine(theta)

    def _refine(self, theta: NDArray) -> Nodes | None:
        parents = self._evaluate(self.edges[:-1], self.edges[1:])
        if not self._falls_off(parents, theta):
            return None
        done: list[Nodes] = []
        top, settled = -np.inf, np.zeros(parents.basis.shape[1] + 2)
        error = np.inf
        for _ in range(MAX_LEVELS):
            middle = (parents.low + parents.high) / 2
            children = self._evaluate(
                np.column_stack([parents.low, middle]).ravel(),
                np.column_stack([middle, parents.high]).ravel(),
            )
            logs = [log_integrand(nodes, theta) for nodes in (parents, children)]
            new_top = max(top, *(values.max() for values in logs))
            if not np.isfinite(new_top):
                return None
            settled, top = settled * np.exp(top - new_top), new_top
            before, _ = _integrals(parents, logs[0], top)
            after, size = _integrals(children, logs[1], top)
            pairs = after.reshape(len(before), 2, -1).sum(axis=1)
            total = settled + size.sum(axis=0)
            terms = np.abs(children.basis[logs[1] > top - PEAK]) @ np.abs(theta)
            errors = (np.abs(before - pairs) / np.maximum(total, NOT_ZERO)).max(axis=1)
            narrow = parents.high - parents.low <= NARROWEST * np.abs(middle)
            good = (errors <= max(ACCURACY, EXPONENT_ROUNDING * terms.max(initial=0.0))) | narrow
            both = np.repeat(good, 2)
            done.append(_choose(children, both))
            settled = settled + size[both].sum(axis=0)
            parents, error = _choose(children, ~both), float(errors[~good].sum())
            if good.all() or len(parents.low) > MAX_PANELS:
                break
        if error > UNRESOLVED:
            return None
        result = _join([*done, parents])._replace(error=error)
        return result if self._tails_vanish(result, theta, top) else None

    def _falls_off(self, nodes: Nodes, theta: NDArray) -> bool:
        """Whether the first nodes and the last are not where the integrand is largest."""
        if self.support.kind == "interval":
            return True
        values = log_integrand(nodes, theta)
        return bool(np.isfinite(values.max()) and max(values[0], values[-1]) < values.max() - PEAK)

    def _tails_vanish(self, nodes: Nodes, theta: NDArray, top: float) -> bool:
        """Whether nothing is left beyond the last nodes."""
        if self.support.kind == "interval":
            return True
        ends = [0, -1]
        size = 2 * np.log(np.maximum(np.abs(nodes.basis[ends]).max(axis=1, initial=1.0), 1.0))
        rest = log_integrand(nodes, theta)[ends] - np.log(nodes.high - nodes.low)[ends] + size
        return bool((rest < top - TAIL).all())


class BoxDomain(Domain):
    """An integral over a box: the same panels along each side, as many as are needed."""

    support: Box

    def __init__(
        self, support: Box, features: Basis, log_base: LogBase, n_panels: int = FIRST_PANELS_OF_BOX
    ):
        self.support = support
        self.n_panels = n_panels
        edges = np.linspace(-1, 1, n_panels + 1)
        self.low, self.high = edges[:-1], edges[1:]
        d = support.n_columns
        self.shape = (n_panels * ORDER,) * d
        rows = np.stack(np.meshgrid(*[self.axis()] * d, indexing="ij"), axis=-1).reshape(-1, d)
        x = features.center + features.scale * rows
        basis = features.of(x, rows)
        if not np.isfinite(basis).all():
            raise ValueError("features must be finite on a box. Make the support a little smaller.")
        base = np.zeros(len(x)) if log_base is None else log_base(x)
        self._nodes = Nodes(x, self.log_weights(d), base, basis, self.low, self.high, 0.0)
        self._make = (support, features, log_base)

    def nodes(self, theta: NDArray) -> Nodes:
        """The nodes, whatever theta."""
        return self._nodes

    def axis(self) -> NDArray:
        """Y of the nodes along one side."""
        return ((self.low + self.high)[:, None] / 2 + NODES / self.n_panels).ravel()

    def log_weights(self, d: int) -> NDArray:
        """Log weights of the nodes of d sides, shape (n,)."""
        side = np.tile(np.log(WEIGHTS / self.n_panels), self.n_panels)
        return np.sum(np.meshgrid(*[side] * d, indexing="ij"), axis=0).ravel() if d else np.zeros(1)

    def finer(self) -> BoxDomain | None:
        """Twice as many panels a side; None if that were too many."""
        if len(self._nodes.x) * 2 ** len(self.shape) > MAX_BOX_NODES:
            return None
        return BoxDomain(*self._make, n_panels=2 * self.n_panels)


def normalised_nodes(domain: Domain, theta: NDArray) -> Nodes:
    """Nodes for multipliers with which the density must have a normaliser.

    Raises
    ------
    ConstraintError
        If it has none.
    """
    nodes = domain.nodes(theta)
    if nodes is None:
        raise ConstraintError(
            "No multipliers were found that double precision can tell from those for which the "
            "density has no normaliser. Change the units or the origin of the features."
        )
    return nodes


def log_integrand(nodes: Nodes, theta: NDArray) -> NDArray:
    """Log of weight, base and exp(-theta' phi) at the nodes."""
    return nodes.log_weight + nodes.log_base - nodes.basis @ theta


def _integrals(nodes: Nodes, log_values: NDArray, top: float) -> tuple[NDArray, NDArray]:
    """Integrals of (1, phi, |phi|^2) and of their absolute values, a row a panel."""
    p = np.exp(log_values - top)
    square = (nodes.basis**2).sum(axis=1, keepdims=True)
    functions = np.column_stack([np.ones(len(p)), nodes.basis, square])
    values = np.where(p[:, None] > 0, p[:, None] * functions, 0.0)
    values = values.reshape(-1, ORDER, values.shape[1])
    return values.sum(axis=1), np.abs(values).sum(axis=1)


def _choose(nodes: Nodes, panels: NDArray) -> Nodes:
    """Those of the panels where the mask is true."""
    each = np.repeat(panels, ORDER)
    x, log_weight, log_base, basis = (a[each] for a in nodes[:4])
    return Nodes(x, log_weight, log_base, basis, nodes.low[panels], nodes.high[panels], 0.0)


def _join(parts: list[Nodes]) -> Nodes:
    """All panels, from the lowest to the highest."""
    low = np.concatenate([part.low for part in parts])
    order = np.argsort(low)
    each = (order[:, None] * ORDER + np.arange(ORDER)).ravel()
    x, log_weight, log_base, basis = (
        np.concatenate([part[i] for part in parts])[each] for i in range(4)
    )
    high = np.concatenate([part.high for part in parts])
    return Nodes(x, log_weight, log_base, basis, low[order], high[order], 0.0)
