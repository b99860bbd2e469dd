r"""Multipliers with which a density exists, to begin a minimisation of the dual with.

On a half line or the line not every exponent can be normalised. Whether one can is decided by the
tails: near each end, lambda' f(x) must grow faster than log base(x) + log |x| and what the second
moments of f need. Features can help each other, as x and exp(-x) of the Gumbel distribution do, so
that combinations are looked for, by a linear program over points far out.

Shapes: m constraints, n points far out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import logsumexp

from skem.maxent.distribution.problem._feasibility import ConstraintError
from skem.maxent.distribution.problem._features import Features
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._quadrature import Domain, LogBase, log_integrand
from skem.maxent.distribution.problem._supports import Support
from skem.maxent.distribution.solvers._inequalities import admissible

DECISIVE = 1e150  # a feature that is larger decides a tail on its own
FARTHEST = 1e120  # distance beyond which no point is looked at: its square must be finite
# Distances from the bulk at which tails are looked at, as powers of ten: densely up to 1e16, where
# functions may still take turns, then sparsely up to 1e100, where the fastest one decides.
SOON, LATER, LAST = 0.25, 4.0, 100
DENSE_UNTIL = 16
CUTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # powers of ten, in units of the bulk, where tails begin
WORTH = 0.1  # nats by which a multiple must be better
FACTORS = (4.0, 0.25)  # of multiples, squared as long as they are better
EXTREME = 1e150  # a factor beyond that, or below its inverse, is not tried
# y between which the mass may be, off ends at which functions may be infinite.
BULK = {"line": (-2, 2), "half line": (0.1, 2), "interval": (-0.9, 0.9)}
N_BULK = 16  # points there
LARGEST_MULTIPLIERS = (4.0, 64.0)  # multipliers, per unit spread of their function


def find_start(problem: Problem, domain: Domain) -> NDArray:
    """Multipliers of the basis with which the density can be normalised, inside their domain.

    Raises
    ------
    ConstraintError
        If none were found.
    """
    features = problem.features
    if not (problem.is_unbounded and problem.log_base is None):
        start = (
            features.first_start() if problem.tau is not None else np.zeros(features.n_constraints)
        )
        if domain.nodes(start) is not None:
            return start
    A, _ = features.linear_map()
    for start in features.starts():
        lam = np.linalg.solve(A.T, start)
        if admissible(lam, problem.constraints) and domain.nodes(start) is not None:
            return start
    found = _by_tails(problem, domain)
    if found is not None:
        return found
    said = "; ".join(problem.constraints.said(i) for i in range(features.n_constraints))
    raise ConstraintError(
        f"No distribution of largest entropy on {problem.support} was found: with {said} alone, "
        "no multipliers were found for which the density has a normaliser (and its functions "
        "finite variances). Add a constraint that bounds the tails, such as E[x^2] on the line, "
        "give a base measure, or make the support bounded."
    )


def _by_tails(problem: Problem, domain: Domain) -> NDArray | None:
    """Multipliers found by the tails of the functions and the base, of one column."""
    spread = _spread(problem.features, problem.support)
    constraints, A = problem.constraints, problem.features.linear_map()[0]
    low = np.where(np.isfinite(constraints.upper), -1.0, 0.0)
    high = np.where(np.isfinite(constraints.lower), 1.0, 0.0)
    for cut in CUTS:
        rows, needed = _tails(problem.features, problem.support, problem.log_base, spread, cut)
        for largest in LARGEST_MULTIPLIERS:
            lam = _combination(rows, needed, largest * low, largest * high) / spread
            if lam.any() and domain.nodes(A.T @ lam) is not None:
                return _improved(problem, domain, A.T @ lam)
    return None


def _spread(features: Features, support: Support) -> NDArray:
    """How each function spreads where the mass may be; one where that cannot be told."""
    center, scale = float(features.center[0]), float(features.scale[0])
    y = np.linspace(*BULK[support.kind], N_BULK)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = _values(features, center + scale * y).std(axis=0)
    return np.where((spread > 0) & (spread < DECISIVE), spread, 1.0)


def _values(features: Features, x: NDArray) -> NDArray:
    """Functions less their values where the mass may be: constants do not matter, shape (n, m)."""
    center, scale = features.center[0], features.scale[0]
    x = np.append(x, center + scale)
    y = (x - center) / scale
    with np.errstate(all="ignore"):
        f = features.up_to_constants(x, y)
        return f[:-1] - f[-1]


def _tails(
    features: Features, support: Support, log_base: LogBase, spread: NDArray, cut: float
) -> tuple[NDArray, NDArray]:
    """Functions at points far out, in units of their spread, and what the exponent must exceed."""
    dense = np.arange(cut, DENSE_UNTIL, SOON)
    sparse = np.arange(max(cut, DENSE_UNTIL), LAST, LATER)
    far = 10.0 ** np.concatenate([dense, sparse])
    center, scale = float(features.center[0]), abs(float(features.scale[0]))
    if support.kind == "line":
        distance = np.concatenate([scale * far, scale * far])
        x = center + np.concatenate([scale * far, -scale * far])
    elif support.kind == "half line":
        distance = np.concatenate([scale * far, scale / far])
        x = center + (1.0 if np.isfinite(support.low) else -1.0) * distance
    else:
        distance = np.concatenate([scale / far, scale / far])
        x = np.concatenate([support.low + scale / far, support.high - scale / far])
    within = (x > support.low) & (x < support.high) & (distance < FARTHEST)
    x, distance = x[within], distance[within]
    f = _values(features, x) / spread
    size = np.abs(f).max(axis=1, initial=0.0)
    with np.errstate(all="ignore"):
        needed = np.log(distance / scale) + 2 * np.log(np.maximum(size, 1.0))
        if log_base is not None:
            needed += log_base(x)
    use = np.isfinite(needed) & (size < DECISIVE)
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


def _improved(problem: Problem, domain: Domain, start: NDArray) -> NDArray:
    """Multiples with a smaller dual, of all multipliers and of each, for equalities.

    Magnitudes are what a start can be wrong in by much, as that of exp(-x) is where the mass is far
    from zero, and what Newton's method is slow to correct. The dual is convex, so that a search
    with growing factors ends.
    """
    tau = problem.tau
    if tau is None:
        return start

    def dual(theta: NDArray) -> float:
        nodes = domain.nodes(theta)
        if nodes is None:
            return np.inf
        return float(logsumexp(log_integrand(nodes, theta)) + theta @ tau)

    best, least = start, dual(start)
    every = np.ones(len(start), dtype=bool)
    for which in [every, *np.eye(len(start), dtype=bool)] * 2:
        if not best[which].any():
            continue
        for first in FACTORS:
            factor = first
            while 1 / EXTREME < factor < EXTREME:
                trial = np.where(which, best * factor, best)
                if not (value := dual(trial)) < least - WORTH:
                    if factor == first:
                        break
                    factor = first
                    continue
                best, least, factor = trial, value, factor**2
    return best
