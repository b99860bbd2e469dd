"""Which solver suits a problem, and its call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from skem.em._rows import effective_n_jobs
from skem.maxent.classifier.designs._designs import LinearDesign
from skem.maxent.classifier.designs._joint import JointDesign
from skem.maxent.classifier.solvers._coordinate import coordinate_descent
from skem.maxent.classifier.solvers._curvature import (
    BlockCurvature,
    DiagonalCurvature,
    FullCurvature,
    StandardRows,
)
from skem.maxent.classifier.solvers._joint_solvers import choose_joint, joint_solver
from skem.maxent.classifier.solvers._objective import Objective
from skem.maxent.classifier.solvers._scaling import (
    check_scalable,
    generalized_iterative_scaling,
    improved_iterative_scaling,
)
from skem.maxent.classifier.solvers._smooth import Each, Result, minimise
from skem.maxent.classifier.solvers._split import split_lbfgs

SMOOTH_SOLVERS = ("newton-cholesky", "block-lbfgs", "diagonal-lbfgs", "row-space")
L1_SOLVERS = ("coordinate-descent", "split-lbfgs")
SCALINGS = {"gis": generalized_iterative_scaling, "iis": improved_iterative_scaling}
SOLVERS = (*SMOOTH_SOLVERS, *L1_SOLVERS, *SCALINGS)

# Solvers that need the features x_j 1[y = c].
LINEAR_ONLY = ("block-lbfgs", "row-space", "coordinate-descent")

# Columns of which a Cholesky factor a class is made, and rows whose products are.
_MAX_BLOCK = 3000
_MAX_GRAM = 5000

# What a call costs beside its arithmetic, as arithmetic.
_CALL = 1e6

# A solver called as solve(objective, theta, tol=, max_iter=, each=).
Solver = Callable[..., Result]


def choose(objective: Objective) -> str:
    """The solver measured best for a problem of that shape and penalty (benchmarks/maxent.py)."""
    design = objective.design
    linear = isinstance(design, LinearDesign)
    if objective.signs.any():
        return "split-lbfgs"
    if objective.l1.any():
        return "coordinate-descent" if linear else "split-lbfgs"
    if isinstance(design, JointDesign):
        return choose_joint(design)
    assert isinstance(design, LinearDesign)
    n, p, m = design.n_rows, design.n_columns, design.n_logits
    if m * (p + 1) <= 2000 and _full_flops(design) <= max(10 * _pass_flops(design), 2e7):
        return "newton-cholesky"
    if not design.sparse and p > n and n <= _MAX_GRAM and _column_penalty(objective) is not None:
        return "row-space"
    if design.sparse or p > _MAX_BLOCK:
        return "diagonal-lbfgs"
    return "block-lbfgs"


def check_solver(name: str, objective: Objective) -> None:
    """Refuse a solver that does not suit the problem.

    Raises
    ------
    ValueError
        With the solvers that do.
    """
    design, absolute = objective.design, bool(objective.l1.any())
    if objective.signs.any() and name != "split-lbfgs":
        raise ValueError(
            f"solver={name!r} cannot bound signs of weights. With weight_signs use solver='auto' "
            "or 'split-lbfgs'."
        )
    if name in LINEAR_ONLY and not isinstance(design, LinearDesign):
        suited = L1_SOLVERS if absolute else SOLVERS
        others = ", ".join(repr(other) for other in suited if other not in LINEAR_ONLY)
        raise ValueError(
            f"solver={name!r} is for the features x_j 1[y = c] only. With feature_function take "
            f"'auto' or one of {others}."
        )
    if name in SMOOTH_SOLVERS and absolute:
        raise ValueError(
            f"solver={name!r} cannot minimise absolute values of weights, of which there are some "
            "as l1_ratio > 0 or expectation_box is given. Use solver='auto', or one of "
            f"{', '.join(map(repr, L1_SOLVERS))}, or l1_ratio=0 and no expectation_box."
        )
    if name == "block-lbfgs":
        assert isinstance(design, LinearDesign)
        if design.sparse:
            raise ValueError(
                "solver='block-lbfgs' is for dense X. Use solver='auto' or 'diagonal-lbfgs', or "
                "give X.toarray() if that fits in memory."
            )
    if name == "row-space":
        assert isinstance(design, LinearDesign)
        if design.sparse or _column_penalty(objective) is None:
            raise ValueError(
                "solver='row-space' is for dense X with an L2 penalty for each column, the same "
                "for all classes. Use solver='auto', or leave prior_variance out."
            )
    if name in SCALINGS:
        check_scalable(name, objective)


def _pass_flops(design: LinearDesign) -> float:
    per_row = design.X.nnz / design.n_rows if design.sparse else design.n_columns
    return design.n_rows * (4 * per_row + 30) * design.n_logits + _CALL


def _full_rows(design: LinearDesign) -> int:
    """Rows for a `FullCurvature`: what a few passes cost, and enough for its rank."""
    p, m = design.n_columns, design.n_logits
    affordable = _pass_flops(design) / (m * (m + 1) * p * p)
    return int(min(design.n_rows, max(affordable, 20 * m * (p + 1))))


def _full_flops(design: LinearDesign) -> float:
    p, m = design.n_columns, design.n_logits
    return m * (m + 1) * p * p * _full_rows(design) + (m * (p + 1)) ** 3 / 3 + 2 * _CALL


def solver_of(
    name: str, objective: Objective, rng: np.random.RandomState, n_jobs: int | None
) -> Solver:
    """The solver of that name, ready to be called.

    Raises
    ------
    ValueError
        If it cannot minimise this objective.
    """
    design = objective.design
    check_solver(name, objective)
    if name in SCALINGS:
        return SCALINGS[name]
    if name == "coordinate-descent":
        return coordinate_descent
    if name == "split-lbfgs":
        return split_lbfgs
    if isinstance(design, JointDesign):
        return joint_solver(name, objective, rng)
    if name == "newton-cholesky":
        assert isinstance(design, LinearDesign)
        n_rows = _full_rows(design)
        lasting = int(np.clip(_full_flops(design) / _pass_flops(design), 1, 10))

        kept: list[StandardRows] = []

        def full(damping: float) -> FullCurvature:
            rows = kept[0] if kept else None
            curvature = FullCurvature(objective, damping, n_rows, rng, lasting, rows)
            if curvature.rows.all:
                kept[:] = [curvature.rows]
            return curvature

        damping = 0.0 if n_rows == design.n_rows else 1e-2
        return functools.partial(minimise, make_curvature=full, first_damping=damping)
    if name == "row-space":
        return functools.partial(_row_space, rng=rng, n_jobs=n_jobs)
    if name == "diagonal-lbfgs":
        return _diagonal(objective)
    return functools.partial(_block_lbfgs, rng=rng, n_jobs=n_jobs)


def _diagonal(objective: Objective) -> Solver:
    return functools.partial(
        minimise, make_curvature=lambda damping: DiagonalCurvature(objective, damping)
    )


def _block_lbfgs(
    objective: Objective,
    theta: NDArray,
    *,
    rng: np.random.RandomState,
    n_jobs: int | None,
    **options,
) -> Result:
    design = objective.design
    assert isinstance(design, LinearDesign)
    n_rows = int(max(10 * design.n_columns, 20 * design.n_rows / design.n_columns))
    n_threads = effective_n_jobs(n_jobs)

    def block(damping: float) -> BlockCurvature:
        return BlockCurvature(objective, damping, n_rows, rng, n_threads)

    return minimise(objective, theta, make_curvature=block, **options)


def _column_penalty(objective: Objective) -> NDArray | None:
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


def _row_space(
    objective: Objective,
    theta: NDArray,
    *,
    rng: np.random.RandomState,
    n_jobs: int | None,
    tol: float,
    max_iter: int,
    each: Each,
) -> Result:
    """Solve for weights w = X' a, where those of least norm are, and prove it for all weights."""
    design = objective.design
    assert isinstance(design, LinearDesign)
    l2 = _column_penalty(objective)
    assert l2 is not None
    level = float(np.median(l2))
    units = np.sqrt(l2 / level) if level else np.ones(design.n_columns)
    space = _RowSpace.of(design, units)
    if not len(space.scale):  # no row is other than zero, and so no weight
        return _diagonal(objective)(objective, theta, tol=tol, max_iter=max_iter, each=each)
    reduced = space.reduced(n_jobs)
    penalty = np.full(reduced.n_weights, level)
    problem = Objective(reduced, penalty, np.zeros_like(penalty))
    try:
        with reduced:
            solve = solver_of(choose(problem), problem, rng, n_jobs)
            inner = solve(
                problem,
                space.start(theta, reduced),
                tol=tol / 2,
                max_iter=max_iter,
                each=lambda n_iter, value, gap, where: each(
                    n_iter, value, gap, lambda: space.all_columns(where(), reduced)
                ),
            )
        full = space.all_columns(inner.theta, reduced)
    except KeyboardInterrupt:
        if problem.best is not None:  # for whoever takes the best parameters
            objective.smooth(space.all_columns(problem.best[1], reduced))
        raise
    result = _diagonal(objective)(
        objective,
        full,
        tol=tol,
        max_iter=max(1, max_iter - inner.n_iter),
        each=lambda n_iter, value, gap, where: each(inner.n_iter + n_iter, value, gap, where),
    )
    result.n_iter += inner.n_iter
    result.values = inner.values + result.values[1:]
    return result
