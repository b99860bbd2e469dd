r"""Standard errors of weights by the observed information.

The information is S times the second derivative of the objective: that of the log-likelihood, and
of the log-posterior density where there is an L2 penalty, whose inverse is the covariance of the
normal approximation to the posterior (Laplace).

Weights without penalty of several classes are known up to what all classes have in common; the
fit's sum to zero over the classes, and the errors are those of such weights: with an orthonormal
basis B of the contrasts, the covariance is B (B'IB)^-1 B'.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem.maxent._column_units import inverse_diagonal
from skem.maxent._objective import Objective
from skem.maxent._scaled_problem import Problem

# Of a matrix with a unit diagonal, eigenvalues below this times its size are rounding.
_ROUNDING = 1e-13

# A parameter with a larger part in a direction without information has no finite error.
_PART = 1e-5


def standard_errors(problem: Problem, objective: Objective, theta: NDArray) -> dict[str, NDArray]:
    """Standard errors at the parameters of the design.

    Parameters
    ----------
    problem : Problem
    objective : Objective
        Without absolute values and signs.
    theta : ndarray of shape (n_params,)

    Returns
    -------
    errors : dict of two ndarray
        'coef' and 'intercept', in the shapes of ``coef_`` and ``intercept_``; infinite where the
        data say nothing. Zeros for intercepts that are not fitted.
    """
    objective.smooth(theta)
    design = objective.design
    B = _contrasts(objective)
    H = B.T @ np.array([objective.curvature_product(v) for v in np.ascontiguousarray(B.T)]).T
    units = np.sqrt(inverse_diagonal(np.maximum(H.diagonal(), 0.0)))
    flat = units == 0
    units[flat] = 1.0
    H = (H + H.T) / 2 * units[:, None] * units
    H[flat], H[:, flat] = 0.0, 0.0
    values, vectors = np.linalg.eigh(H)
    known = values > _ROUNDING * len(H)
    back = problem.derivative() @ (B * units)
    V = back @ vectors
    variance = np.square(V[:, known]) @ (1 / values[known]) / design.total_weight
    sizes = np.sqrt(np.square(back).sum(1))
    lost = (np.abs(V[:, ~known]) > _PART * sizes[:, None]).any(1)
    errors = np.where(lost, np.inf, np.sqrt(variance))
    weights, intercepts = design.split(errors)
    return {"coef": design.matrix(weights).copy(), "intercept": intercepts.copy()}


def _contrasts(objective: Objective) -> NDArray:
    """An orthonormal basis of the parameters that sum to zero where they do, (n_params, rank)."""
    design = objective.design
    index = np.arange(design.n_params)
    weights, intercepts = design.split(index)
    groups = []
    if not design.reference:
        if design.intercept:
            groups.append(intercepts)
        matrix = design.matrix(weights)
        free = objective.centred & (objective.l2[matrix] == 0).all(0) if matrix.ndim == 2 else []
        groups += [matrix[:, j] for j in np.flatnonzero(free)]
    together = np.concatenate(groups) if groups else index[:0]
    columns = [np.eye(design.n_params)[:, np.setdiff1d(index, together)]]
    for group in groups:
        k = len(group)
        basis = np.zeros((design.n_params, k - 1))
        basis[group] = np.linalg.qr(np.eye(k)[:, 1:] - 1 / k)[0]
        columns.append(basis)
    return np.hstack(columns)
