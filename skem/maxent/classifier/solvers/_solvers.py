"""Which solver suits a problem: what each needs, and the one that was measured best."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from skem.em._rows import effective_n_jobs
from skem.maxent.classifier.designs._joint import JointDesign
from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers._coordinate import coordinate_descent
from skem.maxent.classifier.solvers._curvature import BlockCurvature, FullCurvature, StandardRows
from skem.maxent.classifier.solvers._joint_curvature import JointFull
from skem.maxent.classifier.solvers._newton_step import DIAGONALS
from skem.maxent.classifier.solvers._objective import Objective
from skem.maxent.classifier.solvers._row_space import column_penalty, row_space
from skem.maxent.classifier.solvers._scaling import (
    generalized_iterative_scaling,
    improved_iterative_scaling,
)
from skem.maxent.classifier.solvers._smooth import Result, minimise
from skem.maxent.classifier.solvers._split import split_lbfgs

_FEW_PARAMS, _FEW_FEATURES = 2000, 1000
"""Parameters, and features of pairs, up to which one Cholesky factor of all is cheap."""

_MAX_BLOCK = 3000
_MAX_GRAM = 5000
"""Columns of which a Cholesky factor a class is made, and rows whose products are."""

_CALL = 1e6
_LITTLE = 2e7
"""What a call costs beside its arithmetic, as arithmetic; and what costs nothing to speak of."""

_PASSES = 10
_ROWS_A_PARAM = 20
"""Passes over the rows that a full curvature may cost; and rows of a sample, a parameter of which
it is made."""

_DAMPING = 1e-2
"""Of a curvature from a sample of rows, as probabilities: it keeps classes that the sample has not.
"""

# A solver called as solve(objective, theta, tol=, max_iter=, each=).
Solver = Callable[..., Result]


class Resources(NamedTuple):
    """What a solver may use besides its problem."""

    rng: np.random.RandomState
    n_jobs: int | None


Make = Callable[[Objective[Any], Resources], Solver]


class SolverKind(NamedTuple):
    """A solver, and the problems that it can minimise."""

    make: dict[type, Make]  # for each kind of design that it knows
    absolute: bool = False  # absolute values of weights
    signs: bool = False  # bounds of weights at zero
    sparse: bool = True  # rows in CSR form
    class_penalties: bool = True  # L2 penalties that differ between classes
    as_given: bool = False  # takes the features in the user's units, and none that is negative

    def __call__(self, objective: Objective[Any], resources: Resources) -> Solver:
        return self.make[type(objective.design)](objective, resources)


# ---------------------------------------------------------------------- how they are made
def _newton_cholesky(objective: Objective[LinearDesign], resources: Resources) -> Solver:
    design = objective.design
    n_rows = _full_rows(design)
    lasting = int(np.clip(_full_flops(design) / _pass_flops(design), 1, 10))
    kept: list[StandardRows] = []

    def full(damping: float) -> FullCurvature:
        rows = kept[0] if kept else None
        curvature = FullCurvature(objective, damping, n_rows, resources.rng, lasting, rows)
        if curvature.rows.all:
            kept[:] = [curvature.rows]
        return curvature

    damping = 0.0 if n_rows == design.n_rows else _DAMPING
    return functools.partial(minimise, make_curvature=full, first_damping=damping)


def _joint_newton_cholesky(objective: Objective[JointDesign], resources: Resources) -> Solver:
    design = objective.design
    n, m, K = design.n_rows, design.n_columns, design.n_logits
    per_row = K * (design.X.nnz / (K * n) if design.sparse else m)
    factor, one_pass = m**3 / 3, n * (4 * per_row + 30 * K)
    gram = per_row * (per_row / K if design.sparse else m)  # flops a row
    affordable = (4 * one_pass + factor) / max(gram, 1)
    n_rows = int(min(n, max(affordable, _ROWS_A_PARAM * (m + K))))
    lasting = int(np.clip((n_rows * gram + factor) / one_pass, 1, 10))

    def full(damping: float) -> JointFull:
        return JointFull(objective, damping, n_rows, resources.rng, lasting)

    damping = 0.0 if n_rows == n else _DAMPING
    return functools.partial(minimise, make_curvature=full, first_damping=damping)


def _block_lbfgs(objective: Objective[LinearDesign], resources: Resources) -> Solver:
    design = objective.design
    n_rows = int(max(10 * design.n_columns, 20 * design.n_rows / design.n_columns))
    n_threads = effective_n_jobs(resources.n_jobs)

    def block(damping: float) -> BlockCurvature:
        return BlockCurvature(objective, damping, n_rows, resources.rng, n_threads)

    return functools.partial(minimise, make_curvature=block)


def _diagonal_lbfgs(objective: Objective[Any], resources: Resources) -> Solver:
    kind = DIAGONALS[type(objective.design)]
    return functools.partial(minimise, make_curvature=lambda damping: kind(objective, damping))


def _row_space(objective: Objective[LinearDesign], resources: Resources) -> Solver:
    return functools.partial(
        row_space,
        inner=lambda problem: SOLVERS[choose(problem)](problem, resources),
        outer=lambda problem: _diagonal_lbfgs(problem, resources),
        n_jobs=resources.n_jobs,
    )


def _of_any(solver: Solver) -> dict[type, Make]:
    """A solver that only asks a design what all designs answer."""
    return dict.fromkeys((LinearDesign, JointDesign), lambda objective, resources: solver)


SOLVERS: dict[str, SolverKind] = {
    "newton-cholesky": SolverKind(
        {LinearDesign: _newton_cholesky, JointDesign: _joint_newton_cholesky}
    ),
    "block-lbfgs": SolverKind({LinearDesign: _block_lbfgs}, sparse=False),
    "diagonal-lbfgs": SolverKind({LinearDesign: _diagonal_lbfgs, JointDesign: _diagonal_lbfgs}),
    "row-space": SolverKind({LinearDesign: _row_space}, sparse=False, class_penalties=False),
    "coordinate-descent": SolverKind(
        {LinearDesign: lambda objective, resources: coordinate_descent}, absolute=True
    ),
    "split-lbfgs": SolverKind(_of_any(split_lbfgs), absolute=True, signs=True),
    "gis": SolverKind(_of_any(generalized_iterative_scaling), as_given=True),
    "iis": SolverKind(_of_any(improved_iterative_scaling), as_given=True),
}


# ---------------------------------------------------------------------- which one suits
class _Need(NamedTuple):
    """Something that a problem may have and not every solver can deal with."""

    has: Callable[[Objective[Any]], bool]
    can: Callable[[SolverKind, Objective[Any]], bool]
    refusal: str  # what the solver cannot, and the way out; {others} are those that can
    found: Callable[[Objective[Any]], Any] = lambda objective: None  # for the refusal


_NEEDS = (
    _Need(
        lambda objective: bool(objective.signs.any()),
        lambda kind, objective: kind.signs,
        "cannot bound signs of weights. With weight_signs use solver='auto' or one of {others}.",
    ),
    _Need(
        lambda objective: True,
        lambda kind, objective: type(objective.design) in kind.make,
        "is for the features x_j 1[y = c] only. With feature_function take 'auto' or one of "
        "{others}.",
    ),
    _Need(
        lambda objective: bool(objective.l1.any()),
        lambda kind, objective: kind.absolute,
        "cannot minimise absolute values of weights, of which there are some as l1_ratio > 0 or "
        "expectation_box is given. Use solver='auto' or one of {others}, or l1_ratio=0 and "
        "expectation_box=None.",
    ),
    _Need(
        lambda objective: objective.design.sparse,
        lambda kind, objective: kind.sparse,
        "is for dense X. Use solver='auto' or one of {others}, or give X.toarray() if that fits "
        "in memory.",
    ),
    _Need(
        lambda objective: True,
        lambda kind, objective: kind.class_penalties or column_penalty(objective) is not None,
        "needs an L2 penalty for each column, the same for all classes. Use solver='auto' or one "
        "of {others}, or leave prior_variance out.",
    ),
    _Need(
        lambda objective: True,
        lambda kind, objective: not kind.as_given or objective.design.X.min() >= 0,
        "needs features of at least zero, and the smallest is {found:.3g}. Scale them "
        "(sklearn.preprocessing.MinMaxScaler; HashingVectorizer has alternate_sign=False), or use "
        "solver='auto' or one of {others}.",
        lambda objective: objective.design.X.min(),
    ),
)


def _meets(kind: SolverKind, objective: Objective[Any]) -> bool:
    return all(not need.has(objective) or need.can(kind, objective) for need in _NEEDS)


def check_solver(name: str, objective: Objective[Any]) -> None:
    """Refuse a solver that does not suit the problem.

    Raises
    ------
    ValueError
        With the solvers that do.
    """
    for need in _NEEDS:
        if need.has(objective) and not need.can(SOLVERS[name], objective):
            suited = [repr(other) for other in SOLVERS if _meets(SOLVERS[other], objective)]
            said = need.refusal.format(others=", ".join(suited), found=need.found(objective))
            raise ValueError(f"solver={name!r} {said}")


def solver_of(name: str, objective: Objective[Any], resources: Resources) -> Solver:
    """The solver of that name, ready to be called.

    Raises
    ------
    ValueError
        If it cannot minimise this objective.
    """
    check_solver(name, objective)
    return SOLVERS[name](objective, resources)


def choose(objective: Objective[Any]) -> str:
    """The solver measured best for a problem of that shape and penalty (benchmarks/maxent.py)."""
    if objective.signs.any():
        return "split-lbfgs"
    if objective.l1.any():
        linear = type(objective.design) in SOLVERS["coordinate-descent"].make
        return "coordinate-descent" if linear else "split-lbfgs"
    return _SMOOTH[type(objective.design)](objective)


def _choose_linear(objective: Objective[LinearDesign]) -> str:
    design = objective.design
    n, p = design.n_rows, design.n_columns
    affordable = max(_PASSES * _pass_flops(design), _LITTLE)
    if design.n_logits * (p + 1) <= _FEW_PARAMS and _full_flops(design) <= affordable:
        return "newton-cholesky"
    if not design.sparse and p > n and n <= _MAX_GRAM and column_penalty(objective) is not None:
        return "row-space"
    if design.sparse or p > _MAX_BLOCK:
        return "diagonal-lbfgs"
    return "block-lbfgs"


def _choose_joint(objective: Objective[JointDesign]) -> str:
    return "newton-cholesky" if objective.design.n_params <= _FEW_FEATURES else "diagonal-lbfgs"


_SMOOTH: dict[type, Callable[[Objective[Any]], str]] = {
    LinearDesign: _choose_linear,
    JointDesign: _choose_joint,
}


def _pass_flops(design: LinearDesign) -> float:
    per_row = design.X.nnz / design.n_rows if design.sparse else design.n_columns
    return design.n_rows * (4 * per_row + 30) * design.n_logits + _CALL


def _full_rows(design: LinearDesign) -> int:
    """Rows for a `FullCurvature`: what a few passes cost, and enough for its rank."""
    p, m = design.n_columns, design.n_logits
    affordable = _pass_flops(design) / (m * (m + 1) * p * p)
    return int(min(design.n_rows, max(affordable, _ROWS_A_PARAM * m * (p + 1))))


def _full_flops(design: LinearDesign) -> float:
    p, m = design.n_columns, design.n_logits
    return m * (m + 1) * p * p * _full_rows(design) + (m * (p + 1)) ** 3 / 3 + 2 * _CALL
