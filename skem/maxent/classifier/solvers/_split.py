"""Minimise an objective with absolute values for any design: split weights, then Newton steps.

A weight with an absolute value is the difference of two that are not negative, w = w+ - w-, with
|w| = w+ + w-: a smooth problem with bounds (Kazama & Tsujii 2003), for L-BFGS-B; where the sign of
a weight is given, one of the two is zero. It finds which
weights are zero. Newton steps of the others by conjugate gradients, with signs kept, then make
the optimum as exact as the duality gap asks.
"""

from __future__ import annotations

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from skem.maxent.classifier.solvers._newton_step import newton_step, proven_gap
from skem.maxent.classifier.solvers._objective import Objective
from skem.maxent.classifier.solvers._smooth import Each, Result, go_on

_MEMORY = 20
_MAX_ROUNDS = 12
"""Rounds of L-BFGS-B and Newton steps, with ever less tolerance."""

_PRECISION = 1e-5
"""Relative tolerance of the first round; each next one has a tenth."""

_CALLS_A_STEP = 20
"""Calls of the objective that L-BFGS-B may make for each step."""

_NEAR, _NEAR_SHARE = 10, 1e-3
"""A proof of the gap is worth its price where a step promises no more than so many times ``tol``,
or this share of the value."""

_LOOSE = 100
"""A gap so many times what a step promises needs no better proof before the step is taken."""

_LEAST_ACCURACY = 1e-3
"""Least accuracy of a Newton step, as a share of the gradient."""

_ENOUGH = 1e-4
"""Share of the promised fall with which a step is content (Armijo)."""


class _Stop(Exception):
    """``each`` said so."""


def split_lbfgs(
    objective: Objective,
    theta: NDArray,
    *,
    tol: float,
    max_iter: int,
    each: Each = go_on,
) -> Result:
    """Minimise until the duality gap is at most ``tol``.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (n_params,)
        Start.
    tol : float
        Gap in nats per unit of sample weight.
    max_iter : int
        Maximum number of L-BFGS-B and Newton steps.
    each : callable
        Called after each step; True stops.
    """
    run = _Run(objective, theta, max_iter, each)
    precision = _PRECISION
    try:
        for _ in range(_MAX_ROUNDS):
            before = run.result.value
            run.lbfgs(max(precision * before, tol / 10))
            moved = run.newton(tol)
            if run.result.gap <= tol or (not moved and run.result.value >= before):
                break
            if run.result.n_iter >= max_iter:
                break
            precision /= 10
    except _Stop:
        pass
    return run.end()


class _Run:
    """A minimisation on its way."""

    def __init__(self, objective: Objective, theta: NDArray, max_iter: int, each: Each):
        self.objective, self.max_iter, self.each = objective, max_iter, each
        theta = np.where(theta * objective.signs < 0, 0.0, theta)
        smooth, self.gradient = objective.smooth(theta)
        value = smooth + objective.absolute(theta)
        self.lower = -np.inf
        self.result = Result(theta, value, np.inf, 0, [value])
        self.split = np.flatnonzero(objective.kinked)
        self.width = objective.l1[self.split]

    def _record(self, theta: NDArray, value: float) -> None:
        result = self.result
        result.theta, result.value, result.gap = theta, value, value - self.lower
        result.n_iter += 1
        result.values.append(value)
        if self.each(result.n_iter, value, result.gap, lambda: theta):
            raise _Stop

    def _joined(self, v: NDArray) -> NDArray:
        theta = v[: self.result.theta.size].copy()
        theta[self.split] -= v[theta.size :]
        return theta

    def lbfgs(self, enough: float) -> None:
        """L-BFGS-B until a step lowers the objective by no more than ``enough``."""
        objective, split = self.objective, self.split
        theta = self.result.theta
        if self.result.n_iter >= self.max_iter:
            return

        last = theta, self.result.value

        def value_of(v: NDArray) -> tuple[float, NDArray]:
            nonlocal last
            new = self._joined(v)
            smooth, gradient = objective.smooth(new)
            last = new, smooth + objective.absolute(new)
            both = np.concatenate([gradient, -gradient[split]])
            both[split] += self.width
            both[theta.size :] += self.width
            return smooth + self.width @ (v[split] + v[theta.size :]), both

        def after(v: NDArray) -> None:
            # |w| may be less than w+ + w-: F is that of w, and may be lower.
            if last[1] < self.result.value:
                self._record(*last)

        start = np.concatenate([theta, np.maximum(-theta[split], 0.0)])
        start[split] = np.maximum(theta[split], 0.0)
        low = np.full(len(start), -np.inf)
        low[split] = low[theta.size :] = 0.0
        high, signs = np.full(len(start), np.inf), objective.signs[split]
        high[split[signs < 0]] = high[theta.size :][signs > 0] = 0.0
        scipy.optimize.minimize(
            value_of,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=scipy.optimize.Bounds(low, high),
            callback=after,
            options={
                "maxiter": self.max_iter - self.result.n_iter,
                "maxfun": _CALLS_A_STEP * self.max_iter,
                "maxcor": _MEMORY,
                "ftol": enough / max(abs(self.result.value), 1.0),
                "gtol": 0.0,
            },
        )

    def newton(self, tol: float) -> bool:
        """Newton steps of the weights that are not zero while they pay; whether any was taken."""
        taken = False
        while True:
            theta, value = self.result.theta, self.result.value
            _, self.gradient = self.objective.smooth(theta)
            step, promised = self._step(theta)
            if promised <= max(_NEAR * tol, _NEAR_SHARE * value):
                gap = proven_gap(
                    self.objective,
                    theta,
                    value,
                    self.gradient,
                    step,
                    enough=max(_LOOSE * promised, tol),
                )
                self.lower = max(self.lower, value - gap)
                self.result.gap = value - self.lower
            if self.result.gap <= tol or self.result.n_iter >= self.max_iter:
                return taken
            if not self._search(theta, value, step, promised):
                return taken
            taken = True

    def _step(self, theta: NDArray) -> tuple[NDArray, float]:
        """Newton step of the weights that are not zero, and what it would lower F by."""
        objective = self.objective
        slope = self.gradient + objective.l1 * np.sign(theta)
        free = (theta != 0) | ~objective.kinked
        # Ever more exact: quadratic convergence.
        accuracy = min(_LEAST_ACCURACY, float(np.linalg.norm(slope[free])))
        step = newton_step(objective, slope, free, accuracy=accuracy).step
        return step, -float(slope @ step) / 2

    def _search(self, theta: NDArray, value: float, step: NDArray, promised: float) -> bool:
        objective, length = self.objective, 1.0
        kinked = objective.kinked
        while promised * length > np.finfo(np.float64).eps * value / 4:
            new = theta + length * step
            new[kinked & (new * theta < 0)] = 0.0
            smooth, _ = objective.smooth(new)
            new_value = smooth + objective.absolute(new)
            if new_value < value and new_value <= value - _ENOUGH * length * promised:
                self._record(new, new_value)
                return True
            length /= 2
        return False

    def end(self) -> Result:
        """The result, with a gap at its parameters where there is none yet."""
        result = self.result
        if not np.isfinite(self.lower):
            theta, value = result.theta, result.value
            _, gradient = self.objective.smooth(theta)
            zero = np.zeros_like(theta)
            gap = proven_gap(self.objective, theta, value, gradient, zero, enough=0.0)
            self.lower = value - gap
        result.gap = max(result.value - self.lower, 0.0)
        return result
