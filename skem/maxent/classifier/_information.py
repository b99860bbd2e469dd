r"""Standard errors of weights by the observed information.

The information is S times the second derivative of the objective: that of the log-likelihood, and
of the log-posterior density where there is an L2 penalty, whose inverse is the covariance of the
normal approximation to the posterior (Laplace).

What several classes have in common in their weights, or intercepts, changes no probability. The
intercepts of a fit sum to zero over the classes, and so do weights without penalty; the errors are
those of such parameters: with an orthonormal basis B of the contrasts, the covariance is
B (B'IB)^-1 B'. Weights of K classes with one penalty l2 have a common part that is independent of
all else, with the variance 1 / (K l2 S) that the prior gives it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem.maxent.classifier._scaled_problem import Problem
from skem.maxent.classifier.designs._column_units import inverse_diagonal
from skem.maxent.classifier.solvers._objective import Objective

_ROUNDING = 1e-13
"""Of a matrix with a unit diagonal, eigenvalues below this times its size are rounding."""

_PART = 1e-5
"""A parameter with a larger part in a direction without information has no finite error."""


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
        'coef' and 'intercept', in the shapes of ``coef_`` and ``intercept_``; infinite where
        neither the data nor a penalty determine a parameter. Zeros for intercepts that are not
        fitted.
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
    B = B * units
    values, vectors = _with_prior_alone(*np.linalg.eigh(H), B, objective.l2)
    known = values > 0
    back = problem.derivative() @ B
    V = back @ vectors
    variance = np.square(V[:, known]) @ (1 / values[known]) + _of_common_parts(problem, objective)
    sizes = np.sqrt(np.square(back).sum(1))
    lost = (np.abs(V[:, ~known]) > _PART * sizes[:, None]).any(1)
    errors = np.where(lost, np.inf, np.sqrt(variance / design.total_weight))
    weights, intercepts = design.split(errors)
    return {"coef": design.matrix(weights).copy(), "intercept": intercepts.copy()}


def _with_prior_alone(
    values: NDArray, vectors: NDArray, B: NDArray, l2: NDArray
) -> tuple[NDArray, NDArray]:
    """Eigenvalues of the information, with those of the prior where the data's are rounding.

    Zero where there is none either.
    """
    values, vectors = values.copy(), vectors.copy()
    lost = values <= _ROUNDING * len(values)
    if lost.any():
        directions = B @ vectors[:, lost]
        of_prior, turn = np.linalg.eigh((directions.T * l2) @ directions)
        none = of_prior <= _ROUNDING * of_prior.max(initial=0.0)
        values[lost] = np.where(none, 0.0, of_prior)
        vectors[:, lost] = vectors[:, lost] @ turn
    return values, vectors


def _of_common_parts(problem: Problem, objective: Objective) -> NDArray:
    """Variance, times S, of what all classes have in common, of parameters as they were given."""
    design = objective.design
    variance = np.zeros(design.n_params)
    if not objective.centred.any():
        return variance
    weights = variance[: design.n_weights]
    l2 = design.matrix(objective.l2[: design.n_weights])[0]
    common = inverse_diagonal(np.where(objective.centred, l2, 0.0)) / design.n_logits
    if problem.units is not None:
        common = common / problem.units.unit / problem.units.unit
    design.matrix(weights)[...] = common
    return variance


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
        groups += [matrix[:, j] for j in np.flatnonzero(objective.centred) if matrix.ndim == 2]
    together = np.concatenate(groups) if groups else index[:0]
    columns = [np.eye(design.n_params)[:, np.setdiff1d(index, together)]]
    for group in groups:
        k = len(group)
        basis = np.zeros((design.n_params, k - 1))
        basis[group] = np.linalg.qr(np.eye(k)[:, 1:] - 1 / k)[0]
        columns.append(basis)
    return np.hstack(columns)
