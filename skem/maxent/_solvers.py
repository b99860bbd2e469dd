"""Which solver suits a problem, and its call."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from skem.em._rows import effective_n_jobs
from skem.maxent._curvature import BlockCurvature, DiagonalCurvature, FullCurvature
from skem.maxent._designs import LinearDesign
from skem.maxent._joint import JointDesign
from skem.maxent._joint_solvers import choose_joint, joint_solver
from skem.maxent._objective import Objective
from skem.maxent._scaling import (
    check_scalable,
    generalized_iterative_scaling,
    improved_iterative_scaling,
)
from skem.maxent._smooth import Result, minimise

SCALINGS = {"gis": generalized_iterative_scaling, "iis": improved_iterative_scaling}
SOLVERS = ("newton-cholesky", "block-lbfgs", "diagonal-lbfgs", *SCALINGS)

# Solvers that need the features x_j 1[y = c].
LINEAR_ONLY = ("block-lbfgs",)

# A solver called as solve(objective, theta, tol=, max_iter=, each=).
Solver = Callable[..., Result]


def choose(objective: Objective) -> str:
    """The solver measured best for a problem of that shape and penalty (benchmarks/maxent.py)."""
    design = objective.design
    if isinstance(design, JointDesign):
        return choose_joint(design)
    assert isinstance(design, LinearDesign)
    n, p, m = design.n_rows, design.n_columns, design.n_logits
    if m * (p + 1) <= 2000 and _full_flops(design) <= max(10 * _pass_flops(design), 2e7):
        return "newton-cholesky"
    if design.sparse or (p > 3000 and p < n):
        return "diagonal-lbfgs"
    return "block-lbfgs"


def check_solver(name: str, objective: Objective) -> None:
    """Refuse a solver that does not suit the problem.

    Raises
    ------
    ValueError
    """
    if name in LINEAR_ONLY and isinstance(objective.design, JointDesign):
        others = ", ".join(repr(other) for other in SOLVERS if other not in LINEAR_ONLY)
        raise ValueError(
            f"solver={name!r} is for the features x_j 1[y = c] only. With feature_function take "
            f"'auto' or one of {others}."
        )
    if name in SCALINGS:
        check_scalable(name, objective)


def _pass_flops(design: LinearDesign) -> float:
    per_row = design.X.nnz / design.n_rows if design.sparse else design.n_columns
    return design.n_rows * (4 * per_row + 30) * design.n_logits


def _full_rows(design: LinearDesign) -> int:
    """Rows for a `FullCurvature`: what a few passes cost, and enough for its rank."""
    p, m = design.n_columns, design.n_logits
    affordable = 4 * _pass_flops(design) / (m * (m + 1) * p * p)
    return int(min(design.n_rows, max(affordable, 20 * m * (p + 1))))


def _full_flops(design: LinearDesign) -> float:
    p, m = design.n_columns, design.n_logits
    return m * (m + 1) * p * p * _full_rows(design) + (m * (p + 1)) ** 3 / 3


def solver_of(
    name: str, objective: Objective, rng: np.random.RandomState, n_jobs: int | None
) -> Solver:
    """The solver of that name, ready to be called."""
    design = objective.design
    if name in SCALINGS:
        return SCALINGS[name]
    if isinstance(design, JointDesign):
        return joint_solver(name, objective, rng)
    if name == "newton-cholesky":
        assert isinstance(design, LinearDesign)
        n_rows = _full_rows(design)
        lasting = int(np.clip(_full_flops(design) / _pass_flops(design), 1, 10))

        def full(damping: float) -> FullCurvature:
            return FullCurvature(objective, damping, n_rows, rng, lasting)

        return functools.partial(minimise, make_curvature=full)
    if name == "diagonal-lbfgs":
        return functools.partial(
            minimise, make_curvature=lambda damping: DiagonalCurvature(objective, damping)
        )
    return functools.partial(_block_lbfgs, rng=rng, n_jobs=n_jobs)


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
