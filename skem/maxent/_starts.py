r"""Multipliers with which a density exists, to begin a minimisation of the dual with.

On a half line or the line not every exponent can be normalised. Whether one can is decided by the
tails: near each end, lambda' f(x) must grow faster than log base(x) + log |x| and what the second
moments of f need. Features can help each other, as x and exp(-x) of the Gumbel distribution do, so
that combinations are looked for, by a linear program over points far out.

Shapes: m facts, n points far out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import logsumexp

from skem.maxent._feasibility import FactError
from skem.maxent._features import Features, Functions, Powers
from skem.maxent._inequalities import admissible
from skem.maxent._problem import Problem
from skem.maxent._quadrature import Domain, LineDomain, log_integrand
from skem.maxent._supports import Interval

HUGE = 1e150  # a feature that is larger decides a tail on its own
CUTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # powers of ten, in units of the bulk, where tails begin
LARGEST = (4.0, 64.0)  # multipliers, per unit spread of their function


class Bulk(NamedTuple):
    """Where the facts say that the mass is, and how f spreads there."""

    center: float
    scale: float
    spread: NDArray  # (m,)


def find_start(problem: Problem, domain: Domain) -> NDArray:
    """Multipliers of the basis with which the density can be normalised, inside their domain.

    Raises
    ------
    FactError
        If none were found.
    """
    features = problem.features
    if not (problem.is_unbounded and problem.log_base is None):
        start = features.first_start() if problem.tau is not None else np.zeros(features.n_facts)
        if domain.nodes(start) is not None:
            return start
    if isinstance(features, Powers):
        A, _ = features.linear_map()
        for start in features.starts():
            lam = np.linalg.solve(A.T, start)
            if admissible(lam, problem.facts) and domain.nodes(start) is not None:
                return start
    if isinstance(domain, LineDomain):
        found = _by_tails(problem, domain)
        if found is not None:
            return found
    facts = "; ".join(problem.facts.said(i) for i in range(features.n_facts))
    raise FactError(
        f"No distribution of largest entropy on {problem.support} was found: with {facts} alone, "
        "no multipliers were found for which the density has a normaliser (and its functions "
        "finite variances). Add a fact that bounds the tails, such as E[x^2] on the line, give a "
        "base measure, or make the support bounded."
    )


def _by_tails(problem: Problem, domain: LineDomain) -> NDArray | None:
    bulk = _bulk(problem.features, domain.support)
    facts, A = problem.facts, problem.features.linear_map()[0]
    low = np.where(np.isfinite(facts.upper), -1.0, 0.0)
    high = np.where(np.isfinite(facts.lower), 1.0, 0.0)
    for cut in CUTS:
        rows, needed = _tails(domain, bulk, cut, A)
        for largest in LARGEST:
            lam = _combination(rows, needed, largest * low, largest * high) / bulk.spread
            if lam.any() and domain.nodes(A.T @ lam) is not None:
                return _best_multiple(problem, domain, A.T @ lam)
    return None


def _bulk(features: Features, support: Interval) -> Bulk:
    """Center and scale for which means of the basis are nearest to what the facts say: to zero."""
    y = np.linspace(-2, 2, 16)
    sizes = 2.0 ** np.arange(-40, 41)
    if support.kind == "line":
        centers = np.concatenate([-sizes[::-2], [0.0], sizes[::2]])
    else:
        end, sign = (support.low, 1.0) if np.isfinite(support.low) else (support.high, -1.0)
        if support.kind == "interval":
            sizes = (support.high - support.low) * 2.0 ** -np.arange(1, 20)
        centers, y = np.array([end]), sign * (y + 2.2) / 2.2
    center, scale = (a.ravel() for a in np.meshgrid(centers, sizes, indexing="ij"))
    x = center[:, None] + scale[:, None] * y
    f = _values(features, x.ravel()).reshape(*x.shape, -1)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        spread = f.std(axis=1)
        off = ((f.mean(axis=1) / np.abs(f).mean(axis=1)) ** 2).sum(axis=1)
    fit = np.isfinite(off) & ((spread > 0) & (spread < HUGE)).all(axis=1)
    off[~fit] = np.inf
    if not np.isfinite(off).any():
        return Bulk(float(centers[len(centers) // 2]), 1.0, np.ones(features.n_facts))
    best = int(off.argmin())
    return Bulk(float(center[best]), float(scale[best]), spread[best])


def _values(features: Features, x: NDArray) -> NDArray:
    """Functions less what the facts say of them, shape (n, m)."""
    y = (x - features.center[0]) / features.scale[0]
    with np.errstate(all="ignore"):
        values = features.of(x, y)
        if isinstance(features, Functions):
            return values
        A, _ = features.linear_map()
        return values @ A.T


def _tails(domain: LineDomain, bulk: Bulk, cut: float, A: NDArray) -> tuple[NDArray, NDArray]:
    """Functions at points far out, in units of their spread, and what the exponent must exceed."""
    far = 10.0 ** np.concatenate([np.arange(cut, 16, 0.25), np.arange(max(cut, 16), 100, 4.0)])
    support, center, scale = domain.support, bulk.center, bulk.scale
    if support.kind == "line":
        distance = np.concatenate([scale * far, scale * far])
        x = center + np.concatenate([scale * far, -scale * far])
    elif support.kind == "half line":
        distance = np.concatenate([scale * far, scale / far])
        x = center + (1.0 if np.isfinite(support.low) else -1.0) * distance
    else:
        distance = np.concatenate([scale / far, scale / far])
        x = np.concatenate([support.low + scale / far, support.high - scale / far])
    within = (x > support.low) & (x < support.high) & (distance < 1e120)
    x, distance = x[within], distance[within]
    f = _values(domain.features, x) / bulk.spread
    size = np.abs(f).max(axis=1, initial=0.0)
    with np.errstate(all="ignore"):
        needed = np.log(distance / scale) + 2 * np.log(np.maximum(size, 1.0))
        if domain.log_base is not None:
            needed += domain.log_base(x)
    use = np.isfinite(needed) & (size < HUGE)
    return f[use], needed[use]


def _combination(rows: NDArray, needed: NDArray, low: NDArray, high: NDArray) -> NDArray:
    """The mu with the largest d for which rows mu - needed >= d in units of their size, or zero."""
    size = np.maximum(np.maximum(np.abs(rows).max(axis=1, initial=0.0), np.abs(needed)), 1.0)
    m = rows.shape[1]
    if not len(rows):
        return np.zeros(m)
    result = linprog(
        np.append(np.zeros(m), -1.0),
        A_ub=np.column_stack([-rows / size[:, None], np.ones(len(rows))]),
        b_ub=-needed / size,
        bounds=[*zip(low, high, strict=True), (None, None)],
        method="highs",
    )
    if result.status != 0 or result.x[-1] <= 0:
        return np.zeros(m)
    return result.x[:-1]


def _best_multiple(problem: Problem, domain: LineDomain, start: NDArray) -> NDArray:
    """The multiple by a power of four that has the least dual, where facts are equalities."""
    tau = problem.tau
    if tau is None:
        return start

    def dual(multiple: float) -> float:
        theta = multiple * start
        nodes = domain.nodes(theta)
        if nodes is None:
            return np.inf
        return float(logsumexp(log_integrand(nodes, theta)) + theta @ tau)

    best, least = 1.0, dual(1.0)
    for factor in (4.0, 0.25):
        while best * factor < 1e12 and (value := dual(best * factor)) < least:
            best, least = best * factor, value
    return best * start
