"""Solvers for joint features."""

from __future__ import annotations

import functools

import numpy as np

from skem.maxent.classifier.designs._joint import JointDesign
from skem.maxent.classifier.solvers._joint_curvature import JointDiagonal, JointFull
from skem.maxent.classifier.solvers._objective import Objective
from skem.maxent.classifier.solvers._smooth import minimise

# Up to so many features a Cholesky factor is cheap.
_FEW = 1000


def choose_joint(design: JointDesign) -> str:
    return "newton-cholesky" if design.n_params <= _FEW else "diagonal-lbfgs"


def joint_solver(name: str, objective: Objective, rng: np.random.RandomState) -> functools.partial:
    """The solver of that name, ready to be called."""
    design = objective.design
    assert isinstance(design, JointDesign)
    if name == "diagonal-lbfgs":
        return functools.partial(
            minimise, make_curvature=lambda damping: JointDiagonal(objective, damping)
        )
    n, m, K = design.n_rows, design.n_columns, design.n_logits
    per_row = K * (design.X.nnz / (K * n) if design.sparse else m)
    factor, one_pass = m**3 / 3, n * (4 * per_row + 30 * K)
    gram = per_row * (per_row / K if design.sparse else m)  # flops a row
    n_rows = int(min(n, max((4 * one_pass + factor) / max(gram, 1), 20 * (m + K))))
    lasting = int(np.clip((n_rows * gram + factor) / one_pass, 1, 10))

    def full(damping: float) -> JointFull:
        return JointFull(objective, damping, n_rows, rng, lasting)

    damping = 0.0 if n_rows == n else 1e-2
    return functools.partial(minimise, make_curvature=full, first_damping=damping)
