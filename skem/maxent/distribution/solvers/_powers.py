"""Powers as constraints on a half line or the line, where a maximum need not be attained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy.special import logsumexp

from skem.maxent.distribution.problem._feasibility import ConstraintError
from skem.maxent.distribution.problem._problem import PowerProblem
from skem.maxent.distribution.problem._quadrature import LineDomain, log_integrand
from skem.maxent.distribution.solvers._minimise import Solved, minimise
from skem.maxent.distribution.solvers._white import plain, required_moments

RISE = 1e-6  # nats, far above the error of an integral
STANDARD = 1e-12  # E phi of Exp(1) or N(0, 1) is zero but for that rounding
# Multipliers that `_start_from` tries, of the top power and of the one before: each is a quarter of
# the last, and the smallest, 4e-12 and 2e-7, are next to the boundary where the top power has none.
TOP_LENGTHS = 4.0 ** -np.arange(20)
BEFORE_SIZES = 4.0 ** -np.arange(12)
SAME_MOMENT = 1e-10  # a moment that agrees with another one, in standard deviations


def powers_on_unbounded(problem: PowerProblem, domain: LineDomain) -> Solved:
    """Powers without a base, where the maximum need not be attained.

    With the top multiplier at zero the density is that of the lower powers. Its own top moment is
    the largest that is attained: above it, a speck of mass far out meets the constraint at no cost
    of entropy, and the supremum is not attained (Junk 2000; Frontini and Tagliani 2011).
    """
    features = problem.features
    closed = _closed_form(problem, domain)
    if closed is not None:
        return closed
    m, line = features.m, features.kind == "line"
    below = m - 2 if line and m % 2 == 0 else m - 1
    lower = _lower_solution(problem, below)
    if lower is None:
        if line and m % 2:
            raise _odd_top(problem)
        return _from_either_start(
            problem, domain, None if line else _lower_solution(problem, m - 2)
        )
    theta = _pad(lower.theta, m)
    excess, deviation = _excess(problem, domain, theta)
    agrees = np.abs(excess) <= SAME_MOMENT * deviation
    if agrees[below:].all():
        return _padded(problem, domain, theta, lower)
    if line and m % 2:
        raise _odd_top(problem)
    if agrees[below:-1].all() and excess[-1] > 0:
        raise _too_heavy(problem, excess[-1])
    if agrees[below:-1].all():
        return minimise(problem, domain, start=_start_from(problem, domain, lower))
    return _from_either_start(problem, domain, lower)


def _from_either_start(problem: PowerProblem, domain: LineDomain, lower: Solved | None) -> Solved:
    """The usual start and, where that leads nowhere, the costlier one near the lower powers."""
    try:
        return minimise(problem, domain)
    except ConstraintError:
        start = _start_from(problem, domain, lower)
        if start is None:
            raise
        return minimise(problem, domain, start=start)


def _pad(theta: NDArray, m: int) -> NDArray:
    return np.concatenate([theta, np.zeros(m - len(theta))])


def _start_from(problem: PowerProblem, domain: LineDomain, lower: Solved | None) -> NDArray | None:
    """A start with a smaller dual than the lower powers reach; None for the usual start.

    Theirs is the least where the top multiplier is zero. No descent from a point below it can come
    back to that boundary, where steps would get stuck. It is looked for with small multipliers of
    the top power and, where that is free, of the one before, whose sign is that of the news in it.
    The dual is convex: where it has risen along a line, it rises on.
    """
    if lower is None:
        return None
    features, tau = problem.features, problem.tau
    theta = _pad(lower.theta, features.m)
    before = np.zeros(len(theta))
    sizes = [0.0]
    if len(lower.theta) == features.m - 2:
        news = _excess(problem, domain, theta)[0][-2]
        before = -np.sign(news) * features.monomial(features.m - 1)
        sizes = [0.0, *BEFORE_SIZES]
    top = features.monomial(features.m)
    best, least = None, np.inf
    for size in sizes:
        lowest = np.inf
        for length in TOP_LENGTHS:
            trial = theta + size * before + length * top
            nodes = domain.nodes(trial)
            if nodes is None:
                continue
            value = float(logsumexp(log_integrand(nodes, trial)) + trial @ tau)
            if value < least:
                best, least = trial, value
            if value > lowest + RISE:
                break
            lowest = min(lowest, value)
    return best


def _closed_form(problem: PowerProblem, domain: LineDomain) -> Solved | None:
    """The exponential and the normal distribution, where y has them as Exp(1) and N(0, 1)."""
    m, kind = problem.features.m, problem.features.kind
    if (kind, m) not in (("line", 2), ("half line", 1)):
        return None
    # exp(-y) and exp(-y^2 / 2) up to a constant: L_1 = 1 - y, He_2 = y^2 - 1, y = 1 + deviation z.
    standard = np.abs(problem.tau).max() < STANDARD
    if not standard:
        return None
    bulk = problem.features.bulk
    theta = np.array([0.0, 0.5] if kind == "line" else [bulk[1] if bulk else -1.0])
    log_z = 0.5 + 0.5 * np.log(2 * np.pi) if kind == "line" else 1.0
    form = "normal" if kind == "line" else "exponential"
    solved = _exact(problem, domain, theta, form)
    return solved._replace(state=solved.state._replace(log_z=log_z), mean=problem.tau)


def _exact(problem: PowerProblem, domain: LineDomain, theta: NDArray, form: str | None) -> Solved:
    """A solution with multipliers of the basis that are known."""
    A, b = problem.features.linear_map()
    k = len(theta)
    white = plain(k)
    state = required_moments(domain, white, theta)
    multipliers = np.linalg.solve(A.T, theta)
    return Solved(
        domain, theta, multipliers, float(-multipliers @ b), state, state.mean, 0.0, 0, True, form
    )


def _lower_solution(problem: PowerProblem, m: int) -> Solved | None:
    """The distribution of largest entropy under the first m powers; None if there is none."""
    if m == 0:
        return None
    constraints = problem.constraints._replace(
        lower=problem.constraints.lower[:m], upper=problem.constraints.upper[:m]
    )
    features = problem.features.lower(m)
    part = replace(problem, features=features, constraints=constraints, tau=problem.tau[:m])
    try:
        return powers_on_unbounded(part, LineDomain(problem.support, features, None))
    except ConstraintError:
        return None


def _excess(problem: PowerProblem, domain: LineDomain, theta: NDArray) -> tuple[NDArray, NDArray]:
    """By how much constraints exceed the moments of z under theta, and standard deviations."""
    k = len(theta)
    white = plain(k)
    state = required_moments(domain, white, theta)
    leading = np.array([problem.features.family.basis(j).convert(kind=Polynomial).coef[-1]
                        for j in range(1, k + 1)])  # fmt: skip
    deviation = np.sqrt(np.diag(state.covariance)) / np.abs(leading)
    return (problem.tau - state.mean) / leading, deviation


def _padded(problem: PowerProblem, domain: LineDomain, theta: NDArray, lower: Solved) -> Solved:
    """The solution of the lower powers is that of all."""
    solved = _exact(problem, domain, theta, lower.form)
    return solved._replace(
        state=solved.state._replace(log_z=lower.state.log_z),
        gap=lower.gap, n_iter=lower.n_iter, converged=lower.converged,
    )  # fmt: skip


def _odd_top(problem: PowerProblem) -> ConstraintError:
    k = problem.features.n_constraints - 1
    constraints = problem.constraints
    if k == 0:
        why = "a density that is as flat as one likes has this mean: the entropy has no bound"
        cure = "Give E[x^2] too, a base measure, or a bounded or half-bounded support"
    else:
        why = (
            "exp of a polynomial of odd degree cannot be normalised there, and without this "
            "constraint its expectation is another one"
        )
        power = problem.features.name(0).replace("x", f"x^{k + 2}")
        cure = f"Add {power}, or leave this constraint out"
    return ConstraintError(
        f"{constraints.said(k)} as the last constraint has no distribution of largest entropy on "
        f"{problem.support}: {why}. {cure}."
    )


def _too_heavy(problem: PowerProblem, excess: float) -> ConstraintError:
    k = problem.features.m - 1
    value = problem.constraints.lower[k]
    largest = value - problem.features.unit ** (k + 1) * excess
    return ConstraintError(
        f"{problem.constraints.said(k)} has no distribution of largest entropy on "
        f"{problem.support}: under the lower powers alone the expectation is {largest:.10g}. A "
        "larger one is met by a vanishing amount of mass far out at no cost of entropy, so that "
        "the largest entropy is not attained. Leave this constraint out (or bound it, "
        "`lower=`/`upper=`), or make the support bounded."
    )
