"""From facts to a distribution, for each kind of support."""

from __future__ import annotations

import numpy as np

from skem.maxent._feasibility import FactError, check_reachable, possible_points
from skem.maxent._features import Powers
from skem.maxent._minimise import Problem, Solved, minimise
from skem.maxent._powers import check_powers, powers_on_unbounded
from skem.maxent._quadrature import BoxDomain, LineDomain, PointDomain
from skem.maxent._supports import Box, Points


def solve_facts(problem: Problem) -> Solved:
    """The distribution of largest entropy.

    Raises
    ------
    FactError
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
    for stop in (False, True):
        domain = PointDomain(x, basis, np.where(use, log_base, -np.inf))
        try:
            solved = minimise(problem, domain, floor=float(log_base[use].min()) - 1e-9)
        except FactError:
            if stop:
                raise
        else:
            p = solved.state.probability[use]
            if stop or (solved.converged and (p * len(p) > 1e-8).all()):
                return solved._replace(boundary=stop)
        check_reachable(f[use], problem.facts, support)
        possible = possible_points(f[use], problem.facts)
        if possible.all():
            return minimise(problem, domain)
        use[use] = possible
        if not use.any():
            raise FactError(f"The facts contradict each other on {support}.")
    raise AssertionError


def _on_box(problem: Problem) -> Solved:
    """Twice as many nodes, until that changes nothing."""
    assert isinstance(problem.support, Box)
    domain: BoxDomain | None = BoxDomain(problem.support, problem.features, problem.log_base)
    before = None
    while domain is not None:
        solved = minimise(problem, domain)
        white = np.append(solved.mean, solved.state.log_z)
        if before is not None and np.abs(white - before).max() <= 1e-10 * (1 + np.abs(white).max()):
            finer = minimise(problem, domain)
            return finer
        before, domain = white, domain.finer()
    raise ValueError(
        "The density on the box could not be integrated to 1e-10: it is too concentrated, or a "
        "feature or the base has a jump. Make the box smaller, or give points as support."
    )
