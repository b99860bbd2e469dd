"""Curvature of joint features: in each row, the covariance of the features under p(c|x).

    H = sum_i s_i sum_c p_ic (f_ic - fbar_i)(f_ic - fbar_i)',      fbar_i = sum_c p_ic f_ic,

with 1[c = k] among the features of an intercept. Nothing changes where all intercepts move by the
same, so H has no curvature there, and steps do not go there.

Conventions:
    D.shape = (K, n)   weight x probability (plus damping) of each pair
    m                  features, K classes
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from skem.maxent.classifier.designs._column_units import SPREADLESS, inverse_diagonal
from skem.maxent.classifier.designs._joint import JointDesign
from skem.maxent.classifier.solvers._curvature import CERTAIN, positive_factor
from skem.maxent.classifier.solvers._objective import Objective

_HEIGHT = 2048
"""Rows whose dense features are worked on at a time."""


class _Joint:
    """What curvatures of a `JointDesign` share."""

    def __init__(self, objective: Objective[JointDesign], damping: float):
        design = objective.design
        self.objective, self.design = objective, design
        self.l2 = objective.l2[: design.n_weights]
        weight = design.row_weight / design.total_weight
        self.D = (design.probabilities + damping * design.possible()) * weight

    def solve(self, gradient: NDArray) -> NDArray:
        # On both sides, so that the whole is symmetric.
        return self.objective.centre(self._solve(self.objective.centre(gradient)))

    def _solve(self, gradient: NDArray) -> NDArray:
        raise NotImplementedError


class JointDiagonal(_Joint):
    """The diagonal alone."""

    lasting, growth, memory, rough, scaled = 10, 1, 20, True, True

    def __init__(self, objective: Objective[JointDesign], damping: float = 0.0):
        super().__init__(objective, damping)
        design, D = self.design, self.D
        _, second = design.moments(D)
        total = D.sum(0)
        squares = np.zeros(design.n_columns)
        for start in range(0, design.n_rows, _HEIGHT):
            rows = slice(start, start + _HEIGHT)
            mean = mean_features(design, rows, D[:, rows])
            squared = mean.multiply(mean) if sp.issparse(mean) else mean * mean
            squares += squared.T @ total[rows]
        spread = second - squares
        self.inverse = inverse_diagonal(
            np.where(spread > SPREADLESS * second, spread, 0.0) + self.l2
        )
        self.inverse_totals = inverse_diagonal((D * (1 - D / total)).sum(1), CERTAIN)

    def _solve(self, gradient: NDArray) -> NDArray:
        w, b = self.design.split(gradient)
        return self.design.join(w * self.inverse, b * self.inverse_totals)


class JointFull(_Joint):
    """All of it, out of a sample of rows."""

    growth, memory, rough, scaled = 1, 20, False, False

    def __init__(
        self,
        objective: Objective[JointDesign],
        damping: float,
        n_sampled: int,
        rng: np.random.RandomState,
        lasting: int = 1,
    ):
        super().__init__(objective, damping)
        self.lasting = lasting
        design, D = self.design, self.D
        n, m, n_classes = design.n_rows, design.n_columns, design.n_logits
        sample = np.arange(n)
        if n_sampled < n:
            sample = np.sort(rng.choice(n, n_sampled, replace=False))
            D = D * (D.sum() / D[:, sample].sum())
        height = n if design.sparse else _HEIGHT
        H = np.zeros((m + n_classes, m + n_classes))
        for start in range(0, len(sample), height):
            rows = sample[start : start + height]
            H += covariance(design, rows, D[:, rows])
        if design.intercept:
            H[m:, m:] += np.trace(H[m:, m:]) / n_classes**2
        else:
            H = H[:m, :m]
        diagonal = np.diag_indices(len(H))
        H[np.arange(m), np.arange(m)] += self.l2
        self.inverse_units = np.sqrt(inverse_diagonal(H[diagonal]))
        H *= self.inverse_units[:, None] * self.inverse_units
        H[diagonal] = 1.0
        self.factor = positive_factor(H)

    def _solve(self, gradient: NDArray) -> NDArray:
        right = gradient * self.inverse_units
        solution = scipy.linalg.cho_solve(self.factor, right, check_finite=False)
        return solution * self.inverse_units


def mean_features(design: JointDesign, rows: Any, D: NDArray) -> Any:
    """sum_c D_ic f(x_i, c) / sum_c D_ic, of shape (n_rows, m), sparse where the features are."""
    shares = D / D.sum(0)
    if design.sparse:
        parts = (sp.diags_array(d) @ design.features(c, rows) for c, d in enumerate(shares))
        return sum(parts)
    return sum(share[:, None] * design.features(c, rows) for c, share in enumerate(shares))


def covariance(design: JointDesign, rows: NDArray, D: NDArray) -> NDArray:
    """Sum over the rows of D's total times the covariance of (f, 1[c = k]), (m + K, m + K)."""
    m, n_classes = design.n_columns, len(D)
    mean = mean_features(design, rows, D)
    H = np.zeros((m + n_classes, m + n_classes))
    for c, d in enumerate(D):
        F = design.features(c, rows)
        if design.sparse:
            H[:m, :m] += (F.T @ sp.diags_array(d) @ F).toarray()
            H[:m, m + c] = F.T @ d - mean.T @ d
        else:
            Z = F - mean
            H[:m, :m] += Z.T @ (d[:, None] * Z)
            H[:m, m + c] = Z.T @ d
    if design.sparse:
        H[:m, :m] -= (mean.T @ sp.diags_array(D.sum(0)) @ mean).toarray()
    H[m:, :m] = H[:m, m:].T
    H[m:, m:] = np.diag(D.sum(1)) - (D / D.sum(0)) @ D.T
    return H
