"""From constraints to a distribution, for each kind of support."""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from skem.maxent.distribution.problem._feasibility import (
    ConstraintError,
    Constraints,
    are_independent,
    check_reachable,
    cone_of_bounds,
    cone_of_equalities,
    possible_points,
)
from skem.maxent.distribution.problem._problem import PowerProblem, Problem
from skem.maxent.distribution.problem._quadrature import BoxDomain, LineDomain, PointDomain
from skem.maxent.distribution.problem._supports import Box, Interval, Points, Support
from skem.maxent.distribution.solvers._minimise import Solved, minimise
from skem.maxent.distribution.solvers._powers import powers_on_unbounded

TINY = 1e-8  # probability that may be that of a point which vanishes in the limit
FLOOR_ROUNDING = 1e-9  # nats: rounding of a dual that is as low as the least log of the base
CLEARLY = 1e-4  # tolerance of `are_independent` for points that span all directions beyond doubt
BOX_ACCURACY = 1e-10  # change of results, relative to the largest, at twice as many panels a side


def maximise_entropy(problem: Problem) -> Solved:
    """The distribution of largest entropy.

    Raises
    ------
    ConstraintError
        If there is none.
    """
    return _on(problem.support, problem)


@singledispatch
def _on(support: Support, problem: Problem) -> Solved:
    """A solver for each kind of support, registered below."""
    raise NotImplementedError(f"No solver is registered for {support}.")


@_on.register
def _on_interval(support: Interval, problem: Problem) -> Solved:
    return _on_line(problem, LineDomain(support, problem.features, problem.log_base))


@singledispatch
def _on_line(problem: Problem, domain: LineDomain) -> Solved:
    """A solver for each kind of problem on an interval, a half line or the line."""
    return minimise(problem, domain)


@_on_line.register
def _powers_on_line(problem: PowerProblem, domain: LineDomain) -> Solved:
    if problem.is_unbounded and problem.log_base is None:
        return powers_on_unbounded(problem, domain)
    return minimise(problem, domain)


@_on.register
def _on_points(support: Points, problem: Problem) -> Solved:
    """A face of the convex hull is found by linear programming, and its limit distribution."""
    x, features = support.x, problem.features
    y = (support.points - features.center) / features.scale
    basis = features.of(x, y)
    A, b = features.linear_map()
    f = basis @ A.T + b
    if not np.isfinite(f).all():
        raise ValueError("features must be finite at all points of support.")
    log_base = np.zeros(len(x)) if problem.log_base is None else problem.log_base(x)
    use = log_base > -np.inf
    domain = _among(support, basis, log_base, use)
    found: Solved | ConstraintError
    try:
        found = _minimise_among(problem, domain)
        if found.converged and _is_inside(found, domain, use):
            return found
    except ConstraintError as error:
        found = error
    possible = use.copy()
    possible[use] = _possible(problem, basis[use], f[use], use)
    if not possible.any():
        check_reachable(f[use], problem.constraints, support)
        raise ConstraintError(f"The constraints contradict each other on {support}.")
    if (possible == use).all():
        if isinstance(found, ConstraintError):
            raise found
        return found
    solved = _minimise_among(problem, _among(support, basis, log_base, possible))
    return solved._replace(boundary=True, removing=_removing(problem, f[use], possible[use]))


def _among(support: Points, basis: NDArray, log_base: NDArray, use: NDArray) -> PointDomain:
    """Sums over some of the points."""
    return PointDomain(
        support, basis, np.where(use, log_base, -np.inf), independent=are_independent(basis[use])
    )


def _minimise_among(problem: Problem, domain: PointDomain) -> Solved:
    """The distribution on the points of the domain.

    Where some distribution meets the constraints, the dual is at least its entropy relative to the
    base, which on points is at least the least log of the base. Below that, none meets them.
    """
    log_base = domain.log_base[domain.log_base > -np.inf]
    return minimise(problem, domain, floor=float(log_base.min()) - FLOOR_ROUNDING)


def _is_inside(solved: Solved, domain: PointDomain, use: NDArray) -> bool:
    """Whether the constraints lie in the interior of what is possible on the points.

    They do where they are met with positive probabilities of points that span all directions.
    """
    p = solved.state.probability
    if (p[use] * use.sum() > TINY).all():
        return True
    plenty = solved.state.nodes.basis[p > TINY]
    return domain.independent and are_independent(plenty, tolerance=CLEARLY)


def _removing(problem: Problem, f: NDArray, possible: NDArray) -> NDArray:
    """Bounds that remove points, alone or because without them there were more: 1 if upper, or -1.

    Parameters
    ----------
    f : ndarray of shape (n_points, m)
    possible : ndarray of bool of shape (n_points,)
    """
    constraints = problem.constraints
    sign = np.zeros(len(constraints.lower))
    only_equal = constraints._replace(
        lower=np.where(constraints.equal, constraints.lower, -np.inf),
        upper=np.where(constraints.equal, constraints.upper, np.inf),
    )
    bounds = [(i, s) for i in np.flatnonzero(~constraints.equal).tolist() for s in (1, -1)]
    bounds = [
        (i, s)
        for i, s in bounds
        if np.isfinite((constraints.upper if s > 0 else constraints.lower)[i])
    ]
    if not bounds:
        return sign
    without_any = possible_points(cone_of_bounds(f, only_equal)).sum()
    for i, s in bounds:
        alone, without = (
            _set_bound(only_equal, i, s, constraints),
            _set_bound(constraints, i, s, only_equal),
        )
        if (
            possible_points(cone_of_bounds(f, alone)).sum() < without_any
            or possible_points(cone_of_bounds(f, without)).sum() > possible.sum()
        ):
            sign[i] = s
    return sign


def _set_bound(constraints: Constraints, i: int, sign: int, other: Constraints) -> Constraints:
    """Constraints of which one bound is that of others."""
    name = "upper" if sign > 0 else "lower"
    values = getattr(constraints, name).copy()
    values[i] = getattr(other, name)[i]
    return constraints._replace(**{name: values})


def _possible(problem: Problem, basis: NDArray, f: NDArray, use: NDArray) -> NDArray:
    """Which of the points in use can have positive probability."""
    if problem.tau is None:
        return possible_points(cone_of_bounds(f, problem.constraints))
    known = None if problem.seen is None else problem.seen[use]
    if problem.features.has_rounding_of_f:
        return possible_points(cone_of_equalities(f, problem.constraints.lower), known)
    return possible_points(cone_of_equalities(basis, problem.tau), known)


@_on.register
def _on_box(support: Box, problem: Problem) -> Solved:
    """Twice as many nodes a side, until that changes nothing."""
    domain: BoxDomain | None = BoxDomain(support, problem.features, problem.log_base)
    before = None
    while domain is not None:
        solved = minimise(problem, domain)
        found = np.append(solved.mean, solved.state.log_z)
        if before is not None:
            allowed = BOX_ACCURACY * (1 + np.abs(found).max())
            if np.abs(found - before).max() <= allowed:
                return solved
        before, domain = found, domain.finer()
    raise ValueError(
        f"The density on the box could not be integrated to {BOX_ACCURACY:g}: it is too "
        "concentrated, or a feature or the base has a jump. Make the box smaller, or give points "
        "as support."
    )
