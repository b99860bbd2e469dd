"""One exact Newton step, for proofs: by conjugate gradients, without a matrix.

The second derivative H may be singular: nothing changes where all classes move together, along
weights of columns that depend on each other, or along those of a constant column. The gradient is
no less singular than H but for rounding, so there are steps v with H v = -gradient, until what is
left of the gradient is rounding. Going on from there would divide by curvatures that are rounding
too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem.maxent.classifier.designs._joint import JointDesign
from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers._curvature import DiagonalCurvature
from skem.maxent.classifier.solvers._joint_curvature import JointDiagonal
from skem.maxent.classifier.solvers._objective import Objective

_EPS = np.finfo(np.float64).eps

_MAX_PRODUCTS = 500
"""Products with the curvature for a step, at most."""

# The diagonal of the curvature of each kind of design.
DIAGONALS: dict[type, Any] = {LinearDesign: DiagonalCurvature, JointDesign: JointDiagonal}


class NewtonStep(NamedTuple):
    """A step, always finite, and whether it meets its equations to the accuracy asked for."""

    step: NDArray  # (n_params,)
    solved: bool


def newton_step(
    objective: Objective,
    gradient: NDArray,
    free: NDArray | None = None,
    *,
    accuracy: float = 1e-10,
    precondition: Callable[[NDArray], NDArray] | None = None,
) -> NewtonStep:
    """Newton step at the parameters evaluated last.

    Parameters
    ----------
    objective : Objective
    gradient : ndarray of shape (n_params,)
        Of the smooth part, plus what is linear near the parameters.
    free : ndarray of bool of shape (n_params,), default=None
        Parameters that move, the others stay; default all.
    accuracy : float, default=1e-10
        What may be left of the gradient, relative to it, in units of the curvature.
    precondition : callable, default=None
        An approximate solve with the curvature; default its diagonal.

    Returns
    -------
    step : NewtonStep
    """
    design = objective.design
    move = np.ones(design.n_params) if free is None else free.astype(np.float64)
    if precondition is None:
        precondition = DIAGONALS[type(design)](objective, 0.0).solve
    approximate = precondition
    return conjugate_gradients(
        lambda v: move * objective.curvature_product(v),
        -move * gradient,
        lambda v: move * approximate(v),
        accuracy=accuracy,
        max_products=int(min(10 * move.sum(), _MAX_PRODUCTS)),
    )


def proven_gap(
    objective: Objective,
    theta: NDArray,
    value: float,
    gradient: NDArray,
    step: NDArray,
    *,
    enough: float,
    precondition: Callable[[NDArray], NDArray] | None = None,
) -> float:
    """The gap that a step proves, made exact where weights without penalty ask for it.

    Their expectations are to be those of the data to rounding. A step of a solver, good enough to
    lower the objective, leaves more; conjugate gradients take it away.

    Parameters
    ----------
    objective : Objective
        Evaluated last at theta.
    theta : ndarray of shape (n_params,)
    value : float
        F(theta).
    gradient : ndarray of shape (n_params,)
        Of the smooth part.
    step : ndarray of shape (n_params,)
        A Newton step, or near it.
    enough : float
        A gap that needs no better step.
    precondition : callable, default=None
        As in `newton_step`.

    Returns
    -------
    gap : float
        In nats per unit of sample weight.
    """
    gap = objective.gap(theta, value, step)
    if gap <= enough:
        return gap
    aim = theta + step
    free = (aim != 0) | ~objective.kinked
    left = gradient + objective.l1 * np.sign(aim) + objective.curvature_product(step)
    rest = newton_step(objective, left, free, precondition=precondition).step
    return min(gap, objective.gap(theta, value, step + rest))


def conjugate_gradients(
    product: Callable[[NDArray], NDArray],
    right: NDArray,
    precondition: Callable[[NDArray], NDArray],
    *,
    accuracy: float,
    max_products: int,
) -> NewtonStep:
    """Solve H v = right, for H and a preconditioner M that may be singular.

    With r what is left of the right side, r'Mr is twice the fall that a gradient step would bring,
    in nats. It ends

    - where that is at most accuracy^2 of what it was,
    - or at most n (4 eps)^2: r is a mean over rows of differences of probabilities, so that in
      units of the curvature each of its n entries has an error of a few eps,
    - or where a direction d has no curvature but rounding, d'Hd <= 4 n eps d'M^-1 d: sums of n
      products that cancel. (d'M^-1 d needs no M^-1, as d is conjugate to what was left before.)

    Parameters
    ----------
    product : callable
        H v of v.
    right : ndarray of shape (n,)
    precondition : callable
        M r of r.
    accuracy : float
    max_products : int

    Returns
    -------
    step : NewtonStep
    """
    step, left = np.zeros_like(right), right
    direction, metric = np.zeros_like(right), 0.0
    uphill = precondition(left)
    square, before = float(left @ uphill), np.inf
    goal = max(accuracy**2 * square, len(right) * (4 * _EPS) ** 2)
    for _ in range(max_products):
        if square <= goal:
            break
        direction = uphill + square / before * direction
        metric = square + (square / before) ** 2 * metric
        bent = product(direction)
        curvature = float(direction @ bent)
        if not curvature > 4 * len(right) * _EPS * metric:
            break
        step = step + square / curvature * direction
        left = left - square / curvature * bent
        uphill = precondition(left)
        square, before = float(left @ uphill), square
    return NewtonStep(step, square <= goal)
