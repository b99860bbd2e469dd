"""One exact Newton step, for proofs: by conjugate gradients, without a matrix."""

from __future__ import annotations

import numpy as np
import scipy.sparse.linalg
from numpy.typing import NDArray

from skem.maxent._curvature import DiagonalCurvature
from skem.maxent._joint import JointDesign
from skem.maxent._joint_curvature import JointDiagonal
from skem.maxent._objective import Objective


def newton_step(objective: Objective, gradient: NDArray, free: NDArray | None = None) -> NDArray:
    """Newton step of the smooth part, at the parameters evaluated last.

    Parameters
    ----------
    objective : Objective
    gradient : ndarray of shape (n_params,)
        Of the smooth part.
    free : ndarray of bool of shape (n_params,), default=None
        Parameters that move, the others stay; default all.

    Returns
    -------
    step : ndarray of shape (n_params,)
    """
    design = objective.design
    move = np.ones(design.n_params) if free is None else free.astype(np.float64)
    kind = JointDiagonal if isinstance(design, JointDesign) else DiagonalCurvature
    curvature = kind(objective, 0.0)

    def product(v: NDArray) -> NDArray:
        v = v.ravel()
        return move * objective.curvature_product(move * v) + (1 - move) * v

    def precondition(v: NDArray) -> NDArray:
        v = v.ravel()
        return move * curvature.solve(move * v) + (1 - move) * v

    size = design.n_params
    step, _ = scipy.sparse.linalg.cg(
        scipy.sparse.linalg.LinearOperator((size, size), product),
        -move * gradient,
        rtol=1e-10,
        atol=0.0,
        maxiter=min(10 * size, 500),
        M=scipy.sparse.linalg.LinearOperator((size, size), precondition),
    )
    return move * step
