"""More columns than rows: solve in the space of the rows, where the weights of least norm are."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers._objective import Objective
from skem.maxent.classifier.solvers._smooth import Each, Result


def column_penalty(objective: Objective[LinearDesign]) -> NDArray | None:
    """L2 penalty of each column, (n_columns,), all positive or all zero; None if not so."""
    design = objective.design
    l2 = design.matrix(objective.l2[: design.n_weights])
    alike = (l2 == l2[:1]).all() and ((l2 > 0).all() or not l2.any())
    return l2[0] if alike else None


class _RowSpace(NamedTuple):
    """Rows X in an orthonormal basis of their space: as many columns as rows.

    With X X' = U diag(s^2) U' they are U diag(s). Columns of X are in units in which they have one
    penalty.
    """

    design: LinearDesign
    X: NDArray  # (n, n_columns)
    U: NDArray  # (n, rank)
    scale: NDArray  # (rank,)
    units: NDArray  # (n_columns,)

    @classmethod
    def of(cls, design: LinearDesign, units: NDArray) -> _RowSpace:
        X = np.asarray(design.X, dtype=np.float64) / units
        squares, U = scipy.linalg.eigh(X @ X.T, check_finite=False, driver="evd")
        keep = squares > max(squares[-1], 0.0) * len(X) * np.finfo(np.float64).eps
        return cls(design, X, U[:, keep], np.sqrt(squares[keep]), units)

    def reduced(self, n_jobs: int | None) -> LinearDesign:
        design = self.design
        return LinearDesign(
            self.U * self.scale,
            design.y,
            design.weight if design.weight.size else None,
            n_classes=design.n_logits + design.reference,
            intercept=design.intercept,
            n_jobs=n_jobs,
            offset=design.offset,
        )

    def start(self, theta: NDArray, reduced: LinearDesign) -> NDArray:
        """Parameters of the reduced design that give the same logits."""
        weights, intercepts = self.design.split(theta)
        within = ((self.design.matrix(weights) * self.units) @ self.X.T) @ self.U / self.scale
        return reduced.join(within, intercepts)

    def all_columns(self, theta: NDArray, reduced: LinearDesign) -> NDArray:
        """Parameters of the design, of least norm, that give the same logits."""
        weights, intercepts = reduced.split(theta)
        whole = ((reduced.matrix(weights) / self.scale) @ self.U.T) @ self.X / self.units
        return self.design.join(whole, intercepts)


def row_space(
    objective: Objective[LinearDesign],
    theta: NDArray,
    *,
    inner: Callable[[Objective[LinearDesign]], Callable[..., Result]],
    outer: Callable[[Objective[LinearDesign]], Callable[..., Result]],
    n_jobs: int | None,
    tol: float,
    max_iter: int,
    each: Each,
) -> Result:
    """Solve for weights w = X' a, where those of least norm are, and prove it for all weights.

    Parameters
    ----------
    objective : Objective of a `LinearDesign`
        With one penalty a column, see `column_penalty`.
    theta : ndarray of shape (n_params,)
        Start.
    inner, outer : callable
        From an objective to a solver of it: of the one for a, and of the one for all weights.
    n_jobs : int or None
    tol : float
        Gap in nats per unit of sample weight.
    max_iter : int
    each : callable
        Called after each step; True stops.
    """
    design, l2 = objective.design, column_penalty(objective)
    if l2 is None:
        raise ValueError(
            "row_space needs one L2 penalty for each column, the same for all classes."
        )
    level = float(np.median(l2))
    units = np.sqrt(l2 / level) if level else np.ones(design.n_columns)
    space = _RowSpace.of(design, units)
    if not len(space.scale):  # no row is other than zero, and so no weight
        return outer(objective)(objective, theta, tol=tol, max_iter=max_iter, each=each)
    reduced = space.reduced(n_jobs)
    penalty = np.full(reduced.n_weights, level)
    problem = Objective(reduced, penalty, np.zeros_like(penalty))
    try:
        with reduced:
            within = inner(problem)(
                problem,
                space.start(theta, reduced),
                tol=tol / 2,
                max_iter=max_iter,
                each=lambda n_iter, value, gap, where: each(
                    n_iter, value, gap, lambda: space.all_columns(where(), reduced)
                ),
            )
        full = space.all_columns(within.theta, reduced)
    except KeyboardInterrupt:
        if problem.best is not None:  # for whoever takes the best parameters
            objective.smooth(space.all_columns(problem.best[1], reduced))
        raise
    result = outer(objective)(
        objective,
        full,
        tol=tol,
        max_iter=max(1, max_iter - within.n_iter),
        each=lambda n_iter, value, gap, where: each(within.n_iter + n_iter, value, gap, where),
    )
    result.n_iter += within.n_iter
    result.values = within.values + result.values[1:]
    return result
