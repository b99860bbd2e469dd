"""Minimise a smooth objective: L-BFGS from a curvature that is renewed on the way.

L-BFGS (Nocedal 1980) with an initial inverse Hessian that is a Cholesky solve, built again when
as much work has gone into steps as it costs. With the exact curvature, renewed every step, this is
Newton's method; with one out of a sample of rows it costs little and L-BFGS corrects it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skem.maxent.classifier.solvers._curvature import Curvature
from skem.maxent.classifier.solvers._newton_step import newton_step, proven_gap
from skem.maxent.classifier.solvers._objective import Objective

_PATIENCE, _LAST_DIGITS = 8, 4
"""So many steps that together lower the value by no more than these units of its last digit have
reached its rounding."""

_OF_GAP = 1e-13
"""Gap that rounding may leave, in nats or as a share of the value."""

_CURVED = 1e-14
"""A step and the change of the gradient along it whose product is a smaller share of their lengths
tell no curvature: it is rounding."""

_LEAST_PROMISE, _MOST_PROMISE = 0.1, 0.5
"""Decrement at which the gap is proven again, as a share of the last: what the last proof asks for,
within these limits."""

_FIRST_DAMPING, _RAISED_FROM, _NO_DAMPING, _MOST_DAMPING = 1e-3, 1e-5, 1e-6, 0.1
"""Damping of the first curvature, and the limits of the next ones: where it was too little, at
least the first of them counts before it is raised; below the second it is none."""

_AS_EXPECTED, _LESS_DAMPING = 0.7, 10
"""Ratio of the curvature of the last steps to what was expected, from which on it is as large as it
seems; the damping is then divided by the second number."""

_ENOUGH, _MAX_TRIALS = 1e-4, 25
_SHORTEST, _LONGEST = 0.1, 0.5
"""Share of the fall that the slope promises with which a step is content (Armijo), and lengths that
are tried. The next length is where a parabola is least, within these shares of the last one."""

_LOOSE = 100.0
"""A gap so many times the Newton decrement is that of an expectation that misses the data's."""


@dataclass
class Result:
    """Where a minimisation ended.

    Attributes
    ----------
    theta : ndarray of shape (n_params,)
    value, gap : float
        Objective and duality gap there, in nats per unit of sample weight.
    n_iter : int
    values : list of float
        Objective at the start and after each step.
    interrupted : bool
        Whether Ctrl-C has ended it.
    """

    theta: NDArray
    value: float
    gap: float
    n_iter: int
    values: list[float] = field(default_factory=list)
    interrupted: bool = False

    def converged(self, tol: float) -> bool:
        """Whether the gap is at most tol, or what rounding leaves of it."""
        return bool(self.gap <= max(tol, _OF_GAP * max(1.0, abs(self.value))))


# Called after each step with its number, value, gap, and a function that gives the parameters (of
# the objective as the estimator knows it); True stops.
Each = Callable[[int, float, float, Callable[[], NDArray]], bool]


def go_on(n_iter: int, value: float, gap: float, where: Callable[[], NDArray]) -> bool:
    """Nothing stops the solver."""
    return False


def at(theta: NDArray) -> Callable[[], NDArray]:
    """A function that gives these parameters."""
    return lambda: theta


class Pairs:
    """Steps and changes of the gradient, for the two-loop recursion."""

    def __init__(self, memory: int) -> None:
        self.pairs: deque[tuple[NDArray, NDArray, float]] = deque(maxlen=memory)
        self.scales: list[float] = []

    def add(self, step: NDArray, change: NDArray) -> None:
        curvature = float(step @ change)
        if curvature > _CURVED * np.linalg.norm(step) * np.linalg.norm(change):
            self.pairs.append((step, change, curvature))

    def solve(self, gradient: NDArray, curvature: Curvature) -> NDArray:
        """The approximate Newton step, without its sign."""
        from skem.maxent.classifier.designs._kernels import subtract_share

        q = gradient.copy()
        shares = [
            subtract_share(q, step, change, product, 0.0)
            for step, change, product in reversed(self.pairs)
        ]
        q = curvature.solve(q)
        if curvature.scaled and self.pairs:  # in the unit of the last step (Nocedal & Wright, 7.20)
            _, change, product = self.pairs[-1]
            expected = float(change @ curvature.solve(change))
            if expected > 0:  # zero where the change is rounding alone
                self.scales.append(product / expected)
                q *= product / expected
        for (step, change, product), share in zip(self.pairs, reversed(shares), strict=True):
            subtract_share(q, change, step, product, share)
        return q


def minimise(
    objective: Objective,
    theta: NDArray,
    make_curvature: Callable[[float], Curvature],
    *,
    tol: float,
    max_iter: int,
    first_damping: float = _FIRST_DAMPING,
    each: Each = go_on,
) -> Result:
    """Minimise until the duality gap is at most ``tol``.

    Parameters
    ----------
    objective : Objective
        Without absolute values.
    theta : ndarray of shape (n_params,)
        Start.
    make_curvature : callable
        From a damping to a curvature at the parameters evaluated last.
    tol : float
        Gap in nats per unit of sample weight.
    max_iter : int
    first_damping : float
        Added to each p (1 - p) by the first curvature; for the next ones see `_next_damping`.
    each : callable
        Called after each step; True stops.
    """
    theta = objective.centre(theta)  # where steps stay
    value, gradient = objective.smooth(theta)
    result = Result(theta, value, np.inf, 0, [value])
    damping, curvature = first_damping, make_curvature(first_damping)
    pairs, n_steps, n_renewals = Pairs(curvature.memory), 0, 0
    promising = tol  # decrement at which the gap is worth its price
    while result.n_iter < max_iter and not _at_rounding(result.values):
        step = -pairs.solve(gradient, curvature)
        slope = float(gradient @ step)
        if -slope / 2 <= promising:
            gap = _proof(objective, theta, value, gradient, step, curvature, tol)
            result.gap = min(result.gap, gap)
            if result.gap <= tol:
                break
            promising = -slope / 2 * min(max(tol / gap, _LEAST_PROMISE), _MOST_PROMISE)
        moved = _search(objective, theta, step, value, slope)
        stuck = moved is None
        if moved is None:
            if not pairs.pairs and damping == 0:
                break  # rounding: no step lowers the value
            pairs, damping = Pairs(curvature.memory), 0.0
            objective.smooth(theta)
        else:
            length, new_value, new_gradient = moved
            theta = theta + length * step
            pairs.add(length * step, new_gradient - gradient)
            value, gradient = new_value, new_gradient
            n_steps += 1
            result.n_iter += 1
            result.values.append(value)
            if each(result.n_iter, value, result.gap, at(theta)):
                break
        if stuck or n_steps >= curvature.lasting * curvature.growth**n_renewals:
            n_renewals += 1
            damping = _next_damping(damping, pairs.scales)
            curvature = make_curvature(damping)
            pairs = pairs if curvature.rough else Pairs(curvature.memory)
            n_steps = 0
    result.theta, result.value = theta, value
    at_end = result.n_iter >= max_iter and not result.converged(tol)  # the last step is unproven
    if at_end or not np.isfinite(result.gap):
        step = -pairs.solve(gradient, curvature)
        gap = _last_gap(objective, theta, value, gradient, step, curvature, tol)
        result.gap = min(result.gap, gap)
    if result.n_iter < max_iter and not result.converged(tol):  # at the optimum, but no proof yet
        _, gradient = objective.smooth(theta)
        gap = objective.gap(theta, value, newton_step(objective, gradient).step)
        result.gap = min(result.gap, gap)
    return result


def _last_gap(
    objective: Objective,
    theta: NDArray,
    value: float,
    gradient: NDArray,
    step: NDArray,
    curvature: Curvature,
    tol: float,
) -> float:
    """The gap where the steps have ended, the smaller of those by the next step and by none."""
    if -float(gradient @ step) / 2 <= tol:
        gap = _proof(objective, theta, value, gradient, step, curvature, tol)
    else:
        gap = objective.gap(theta, value, step)
    return min(gap, objective.gap(theta, value, np.zeros_like(theta)))


def _proof(
    objective: Objective,
    theta: NDArray,
    value: float,
    gradient: NDArray,
    step: NDArray,
    curvature: Curvature,
    tol: float,
) -> float:
    """The gap, made exact if it is far above what the Newton decrement says."""
    decrement = -float(gradient @ step) / 2
    enough = max(tol, _LOOSE * max(decrement, tol))
    return proven_gap(
        objective, theta, value, gradient, step, enough=enough, precondition=curvature.solve
    )


def _next_damping(damping: float, scales: list[float]) -> float:
    """Less while the curvature is as large as it seems, more where it is larger.

    It is much larger where classes come apart: p (1 - p) vanishes for the rows of a class that are
    told apart already, until a step mixes them up again.
    """
    typical = float(np.exp(np.mean(np.log(scales)))) if scales else 1.0
    if typical > _AS_EXPECTED:
        damping = damping / _LESS_DAMPING
    else:
        damping = min(max(damping, _RAISED_FROM) / typical, _MOST_DAMPING)
    return damping if damping > _NO_DAMPING else 0.0


def _at_rounding(values: list[float]) -> bool:
    """Whether the last steps lowered the value by rounding alone."""
    recent = values[-_PATIENCE:]
    rounding = _LAST_DIGITS * np.spacing(abs(recent[0]))
    return len(recent) == _PATIENCE and recent[0] - recent[-1] <= rounding


def _search(
    objective: Objective, theta: NDArray, step: NDArray, value: float, slope: float
) -> tuple[float, float, NDArray] | None:
    """Length of a step that lowers the value enough, with value and gradient there."""
    if not slope < 0:  # rounding: the value does not fall along this step
        return None
    length = 1.0
    for _ in range(_MAX_TRIALS):
        new_value, new_gradient = objective.smooth(theta + length * step)
        if new_value <= value + _ENOUGH * length * slope:
            return length, new_value, new_gradient
        excess = new_value - value - slope * length
        best = -slope * length * length / (2 * excess) if excess > 0 else 0.5 * length
        length = float(np.clip(best, _SHORTEST * length, _LONGEST * length))
    return None
