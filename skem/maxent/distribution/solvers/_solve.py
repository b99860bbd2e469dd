"""From facts to a distribution, for each kind of support."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem.maxent.distribution.problem._feasibility import (
    ConstraintError,
    Facts,
    are_independent,
    check_reachable,
    cone_of_bounds,
    cone_of_equalities,
    possible_points,
)
from skem.maxent.distribution.problem._features import Powers
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._quadrature import BoxDomain, LineDomain, PointDomain
from skem.maxent.distribution.problem._supports import Box, Points
from skem.maxent.distribution.solvers._minimise import Solved, minimise
from skem.maxent.distribution.solvers._powers import check_powers, powers_on_unbounded

TINY = 1e-8  # probability that may be that of a point which vanishes in the limit


def solve_facts(problem: Problem) -> Solved:
    """The distribution of largest entropy.

    Raises
    ------
    ConstraintError
        If there is none.
    """
    if isinstance(problem.support, Points):
        return _on_points(problem)
    if isinstance(problem.support, Box):
        return _on_box(problem)
    domain = LineDomain(problem.support, problem.features, problem.log_base)
    if isinstance(problem.features, Powers) and problem.tau is not None:
        check_powers(problem)
        if problem.is_unbounded and problem.log_base is None:
            return powers_on_unbounded(problem, domain)
    return minimise(problem, domain)


def _on_points(problem: Problem) -> Solved:
    """A face of the convex hull is found by linear programming, and its limit distribution."""
    support, features = problem.support, problem.features
    assert isinstance(support, Points)
    x = support.points[:, 0] if support.flat else support.points
    y = (support.points - features.center) / features.scale
    basis = features.of(x, y)
    A, b = features.linear_map()
    f = basis @ A.T + b
    if not np.isfinite(f).all():
        raise ValueError("features must be finite at all points of support.")
    log_base = np.zeros(len(x)) if problem.log_base is None else problem.log_base(x)
    use = log_base > -np.inf
    solved, error = None, None
    try:
        solved = _among(problem, x, basis, log_base, use)
        if solved.converged and _is_inside(solved, use):
            return solved
    except ConstraintError as caught:
        error = caught
    possible = use.copy()
    possible[use] = _possible(problem, basis[use], f[use], use)
    if not possible.any():
        check_reachable(f[use], problem.facts, support)
        raise ConstraintError(f"The constraints contradict each other on {support}.")
    if (possible == use).all():
        if solved is None:
            assert error is not None
            raise error
        return solved
    solved = _among(problem, x, basis, log_base, possible)
    return solved._replace(boundary=True, removing=_removing(problem, f[use], possible[use]))


def _among(problem: Problem, x: NDArray, basis: NDArray, log_base: NDArray, use: NDArray) -> Solved:
    """The distribution on some of the points."""
    domain = PointDomain(
        x, basis, np.where(use, log_base, -np.inf), independent=are_independent(basis[use])
    )
    return minimise(problem, domain, floor=float(log_base[use].min()) - 1e-9)


def _is_inside(solved: Solved, use: NDArray) -> bool:
    """Whether the facts lie in the interior of what is possible on the points.

    They do where they are met with positive probabilities of points that span all directions.
    """
    p, domain = solved.state.probability, solved.domain
    assert isinstance(domain, PointDomain)
    if (p[use] * use.sum() > TINY).all():
        return True
    plenty = solved.state.nodes.basis[p > TINY]
    return domain.independent and are_independent(plenty, digits=1e-4)


def _removing(problem: Problem, f: NDArray, possible: NDArray) -> NDArray:
    """Bounds that remove points, alone or because without them there were more: 1 if upper, or -1.

    Parameters
    ----------
    f : ndarray of shape (n_points, m)
    possible : ndarray of bool of shape (n_points,)
    """
    facts = problem.facts
    sign = np.zeros(len(facts.lower))
    only_equal = facts._replace(
        lower=np.where(facts.equal, facts.lower, -np.inf),
        upper=np.where(facts.equal, facts.upper, np.inf),
    )
    bounds = [(i, s) for i in np.flatnonzero(~facts.equal).tolist() for s in (1, -1)]
    bounds = [(i, s) for i, s in bounds if np.isfinite((facts.upper if s > 0 else facts.lower)[i])]
    if not bounds:
        return sign
    without_any = possible_points(cone_of_bounds(f, only_equal)).sum()
    for i, s in bounds:
        alone, without = (_set_bound(only_equal, i, s, facts), _set_bound(facts, i, s, only_equal))
        if (
            possible_points(cone_of_bounds(f, alone)).sum() < without_any
            or possible_points(cone_of_bounds(f, without)).sum() > possible.sum()
        ):
            sign[i] = s
    return sign


def _set_bound(facts: Facts, i: int, sign: int, other: Facts) -> Facts:
    """Facts of which one bound is that of others."""
    name = "upper" if sign > 0 else "lower"
    values = getattr(facts, name).copy()
    values[i] = getattr(other, name)[i]
    return facts._replace(**{name: values})


def _possible(problem: Problem, basis: NDArray, f: NDArray, use: NDArray) -> NDArray:
    """Which of the points in use can have positive probability."""
    if problem.tau is None:
        return possible_points(cone_of_bounds(f, problem.facts))
    known = None if problem.seen is None else problem.seen[use]
    if isinstance(problem.features, Powers):
        return possible_points(cone_of_equalities(basis, problem.tau), known)
    return possible_points(cone_of_equalities(f, problem.facts.lower), known)


def _on_box(problem: Problem) -> Solved:
    """Twice as many nodes, until that changes nothing."""
    assert isinstance(problem.support, Box)
    domain: BoxDomain | None = BoxDomain(problem.support, problem.features, problem.log_base)
    before = None
    while domain is not None:
        solved = minimise(problem, domain)
        white = np.append(solved.mean, solved.state.log_z)
        if before is not None and np.abs(white - before).max() <= 1e-10 * (1 + np.abs(white).max()):
            return solved
        before, domain = white, domain.finer()
    raise ValueError(
        "The density on the box could not be integrated to 1e-10: it is too concentrated, or a "
        "feature or the base has a jump. Make the box smaller, or give points as support."
    )
