"""One minimisation of the dual: where it begins, what it finds, and what went wrong."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem.maxent.distribution.problem._feasibility import (
    SAME_NUMBER,
    ConstraintError,
    check_reachable,
)
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._quadrature import Domain
from skem.maxent.distribution.solvers._dual import DualFit, are_within, newton
from skem.maxent.distribution.solvers._inequalities import newton_with_bounds
from skem.maxent.distribution.solvers._starts import find_start
from skem.maxent.distribution.solvers._white import Moments, White, whiten

QUADRATURE_TOLERANCE = 1e-8  # relative error of an integral with which results are still given
DEPENDENCE = 1e-8  # standard deviations that constraints may miss a linear dependence by
FLAT = 1e-13  # multipliers in white coordinates below which a density is uniform
GRID_SLACK = 1e-4  # half ranges of a function that a grid may not reach of what it attains
GRIDS = (801, 41, 15)  # points a side, with both ends, in one, two and three dimensions
MISSED = 1e-6  # dual minus entropy, in nats, where constraints should be met


class Solved(NamedTuple):
    """Multipliers, and how they were found."""

    domain: Domain
    theta: NDArray  # (k,) of the basis
    multipliers: NDArray  # (m,) of f
    constant: float  # log Z of f minus that of the basis
    state: Moments
    mean: NDArray  # (k,) E phi
    gap: float
    n_iter: int
    converged: bool
    form: str | None = None  # 'normal', 'exponential' or 'uniform'
    boundary: bool = False  # whether constraints leave points of the base no probability
    removing: NDArray | None = None  # (m,) 1 for an upper bound that does so, -1 for a lower one


def minimise(
    problem: Problem,
    domain: Domain,
    *,
    floor: float = -np.inf,
    start: NDArray | None = None,
) -> Solved:
    """Minimise the dual, from multipliers of the basis with which a density exists.

    Raises
    ------
    ConstraintError
        If it has no minimum, or none that double precision can tell.
    """
    start = find_start(problem, domain) if start is None else start
    white = whiten(domain, start)
    A, _ = problem.features.linear_map()
    if problem.tau is None:
        return _minimise_with_bounds(problem, domain, white, start, floor)
    _check_dependence(problem, problem.tau, domain, white)
    fit = newton(
        domain,
        white,
        problem.tau @ white.B,
        tol=problem.tol,
        max_iter=problem.max_iter,
        floor=floor,
    )
    theta = fit.white.theta(fit.eta)
    return _conclude(problem, domain, fit, np.linalg.solve(A.T, theta))


def _minimise_with_bounds(
    problem: Problem, domain: Domain, white: White, start: NDArray, floor: float
) -> Solved:
    A, b = problem.features.linear_map()
    found = newton_with_bounds(
        domain,
        white,
        A,
        b,
        problem.constraints,
        tol=problem.tol,
        max_iter=problem.max_iter,
        start=np.linalg.solve(A.T, start),
        floor=floor,
    )
    return _conclude(problem, domain, found.fit, found.multipliers)


def _check_dependence(problem: Problem, tau: NDArray, domain: Domain, white: White) -> None:
    """Constraints about functions that depend on each other must agree."""
    if domain.independent:
        return
    _, b = problem.features.linear_map()
    size = np.abs(tau) + (np.abs(b) if problem.features.has_rounding_of_f else 0)
    off = white.contradiction(tau) / (DEPENDENCE * white.deviation + SAME_NUMBER * size)
    if off.max() > 1:
        i = int(off.argmax())
        raise ConstraintError(
            f"{problem.constraints.said(i)} contradicts the other constraints on "
            f"{problem.support}, where its function depends linearly on theirs (or is constant). "
            "Leave it out or correct it."
        )


def _conclude(problem: Problem, domain: Domain, fit: DualFit, multipliers: NDArray) -> Solved:
    A, b = problem.features.linear_map()
    missed = abs(float(fit.eta @ (fit.target - fit.moments.mean)))
    if fit.status == "converged" and missed > MISSED:
        fit = fit._replace(status="stalled", gap=missed)
    if fit.status == "converged" and not are_within(fit.moments, A, b, problem.constraints):
        fit = fit._replace(status="stalled")
    if fit.status != "converged":
        _explain(problem, domain, fit)
    error = fit.moments.nodes.error
    if error > QUADRATURE_TOLERANCE:
        raise ValueError(
            f"The density could be integrated only to a relative {error:.1g}: a feature or the "
            "base jumps or has a pole too often. Make the support smaller, or give points."
        )
    white = fit.white
    theta = white.theta(fit.eta)
    mean = fit.moments.probability @ fit.moments.nodes.basis
    constant = float(theta @ white.mean - multipliers @ (A @ white.mean + b))
    form = None
    if not domain.is_sum and problem.log_base is None:
        flat = np.abs(fit.eta).max(initial=0.0) < FLAT
        form = "uniform" if flat and not problem.is_unbounded else None
    return Solved(
        domain, theta, multipliers, constant, fit.moments, mean,
        fit.gap, fit.n_iter, fit.status == "converged", form,
    )  # fmt: skip


def _explain(problem: Problem, domain: Domain, fit: DualFit) -> None:
    """Raise an error unless a density was found that only needs more iterations."""
    constraints = problem.constraints
    said = "; ".join(constraints.said(i) for i in range(len(constraints.lower)))
    if domain.is_sum:
        if fit.status == "stalled":
            raise ConstraintError(
                f"No distribution on {problem.support} was found that meets {said}: the "
                "constraints contradict each other, or are too near to the boundary of what is "
                "possible for double precision. Correct them, or give fewer."
            )
        return
    if problem.is_unbounded:
        raise ConstraintError(
            f"No distribution of largest entropy was found on {problem.support} under {said}: the "
            f"dual was still {fit.gap:.2g} nats or more above its limit after {fit.n_iter} steps. "
            "The constraints contradict each other, or no maximum is attained under them, or they "
            "are too near to such a case for double precision. Leave out the last constraint, make "
            "the support bounded, or increase max_iter."
        )
    A, b = problem.features.linear_map()
    f = _grid(problem) @ A.T + b
    check_reachable(f, constraints, problem.support, slack=GRID_SLACK)
    if fit.status == "stalled":
        raise ConstraintError(
            f"No density on {problem.support} was found that meets {said}: the dual has no minimum "
            "that double precision can tell. The constraints lie on or very near the boundary of "
            "what is possible, where only point masses meet them. Correct them, give fewer, or "
            "give points as support."
        )


def _grid(problem: Problem) -> NDArray:
    """The basis on a grid that stands for a bounded support, denser at the ends."""
    features, support = problem.features, problem.support
    d = support.n_columns or 1
    y = -np.cos(np.linspace(0, np.pi, GRIDS[d - 1]))[1:-1]
    rows = np.stack(np.meshgrid(*[y] * d, indexing="ij"), axis=-1).reshape(-1, d)
    x = features.center + features.scale * rows
    basis = features.of(support.arguments(x), rows)
    return basis[np.isfinite(basis).all(axis=1)]
