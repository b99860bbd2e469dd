"""Ctrl-C during a minimisation: the best weights so far, and a proof of how good they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem._interrupts import interrupts_later, plain_interrupts
from skem.maxent.classifier.solvers._newton_step import newton_step
from skem.maxent.classifier.solvers._objective import Objective
from skem.maxent.classifier.solvers._smooth import Each, Result

INTERRUPTED = (
    "Fit interrupted after {n_iter} steps; the estimator holds the best weights so far, with a "
    "duality gap of {gap:.3g} nats per unit of sample weight. Set warm_start=True to go on from "
    "here."
)


def solve_or_keep_best(
    solve: Callable[..., Result],
    objective: Objective,
    start: NDArray,
    *,
    each: Each,
    **options: Any,
) -> Result:
    """Minimise; Ctrl-C ends it with the lowest objective that was seen.

    Parameters
    ----------
    solve : callable
        A solver, called as ``solve(objective, start, each=, **options)``.
    objective : Objective
    start : ndarray of shape (n_params,)
    each : callable
        Called as ``each(n_iter, value, gap, where)`` after each step; True stops.
    **options : dict
        Of the solver.

    Raises
    ------
    KeyboardInterrupt
        Before the first step is done.
    """
    values: list[float] = []

    def recorded(n_iter: int, value: float, gap: float, where: Callable[[], NDArray]) -> bool:
        values.append(value)
        return each(n_iter, value, gap, where)

    try:
        with plain_interrupts():
            return solve(objective, start, each=recorded, **options)
    except KeyboardInterrupt:
        if not values or objective.best is None:
            raise
    value, theta = objective.best
    if value < values[-1]:  # by the step that was under way
        values.append(value)
    first = sum((objective.smooth(start)[0], objective.absolute(start)))
    result = Result(theta, value, np.inf, len(values), [first, *values], interrupted=True)
    with interrupts_later():
        _, gradient = objective.smooth(theta)
        result.gap = objective.gap(theta, value, np.zeros_like(theta))
    try:
        with plain_interrupts():
            result.gap = min(result.gap, _gap_by_newton(objective, result, gradient))
    except KeyboardInterrupt:  # once more: without a better proof
        pass
    return result


def _gap_by_newton(objective: Objective, result: Result, gradient: NDArray) -> float:
    """The duality gap at the dual point that a Newton step of the weights other than zero gives."""
    theta = result.theta
    slope = gradient + objective.l1 * np.sign(theta)
    free = (theta != 0) | ~objective.kinked
    return objective.gap(theta, result.value, newton_step(objective, slope, free).step)
