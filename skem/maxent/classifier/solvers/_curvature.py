"""Approximations of the second derivative, each with a fast solve: preconditioners.

The curvature of sum_i s_i loss_i is sum_i s_i (diag(p_i) - p_i p_i') (x) x_i x_i'. All of it fits
a Cholesky factor where there are few parameters (`FullCurvature`). Else its blocks on the
diagonal, one a class, do (`BlockCurvature`), or the diagonal alone (`DiagonalCurvature`). Solves
stay among weights that sum to zero over the classes, where the minimum is: blocks and diagonals
know nothing of the direction in which all classes move together, which has no curvature, and
would go there.

Columns are centred and scaled to unit curvature first, so speed does not depend on their units.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from skem.maxent.classifier.designs._column_units import SPREADLESS, inverse_diagonal
from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers._objective import Objective

CERTAIN = float(np.finfo(np.float64).eps) ** 2
"""Mean of p(1 - p) below which a class is certain: its gradient, a mean of differences of
probabilities, is then rounding."""

_CACHED_ROWS = 2048
"""Rows at a time, of which products are taken."""

_NO_WEIGHT = 1e-9
"""Share of the largest weight of a row below which rows are left out of a block: what they add is
below the rounding of float32, in which it is computed."""

_LEAST_SQUARE, _LARGEST_DIAGONAL = 1e-12, 1e30
"""Least square of a column of a sample that is divided by, which may have none of its values; and
the largest number on its diagonal, of which float32 can hold products with others."""

_CONSTANT = 1e-10
"""Deviation of a column, as a share of its mean, below which it is rounding."""

_MAX_RAISES, _RAISED, _LEAST_CHANCE = 8, 1.001, 1e-12
"""Chances of rows are raised at most so often, for what those that are sure leave to the others,
and until a factor raises them by no more than this. None is below the last, for weights are
inverse."""


class Curvature(Protocol):
    """An approximation of the second derivative.

    Attributes
    ----------
    lasting : int
        Steps for which the first one serves before it is built again.
    growth : int
        How many times longer each serves than the one before.
    memory : int
        Steps that L-BFGS remembers with it.
    rough : bool
        Whether steps taken under it tell more than a new one would.
    scaled : bool
        Whether the last step tells its scale better than it does.
    """

    lasting: int
    growth: int
    memory: int
    rough: bool
    scaled: bool

    def solve(self, gradient: NDArray) -> NDArray:
        """Approximate Newton step, without its sign."""


class _Linear:
    """What curvatures of a `LinearDesign` share: shapes, and weights that sum to zero."""

    def __init__(self, objective: Objective[LinearDesign]):
        self.objective = objective
        self.design = objective.design
        self.total = self.design.total_weight
        self.l2 = self.design.matrix(objective.l2[: self.design.n_weights])

    def solve(self, gradient: NDArray) -> NDArray:
        # On both sides, so that the whole is symmetric: the gradient sums to zero but for rounding,
        # which classes of unequal curvature would turn into a step.
        weights, intercepts = self.design.split(self.objective.centre(gradient))
        W, b = self._solve(self.design.matrix(weights), intercepts)
        return self.objective.centre(self.design.join(W, b))

    def _solve(self, G: NDArray, gb: NDArray) -> tuple[NDArray, NDArray]:
        raise NotImplementedError

    def _units(self, D: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """One over the weight of each class, weighted means and deviations of its columns.

        All are zero for a class that is certain.
        """
        inverse = inverse_diagonal(D.sum(1), CERTAIN)
        first, second = self.design.moments(D)
        mean = first * inverse[:, None] if self.design.intercept else np.zeros_like(first)
        spread = second - mean * first
        spread = np.where((spread > SPREADLESS * second) & (inverse > 0)[:, None], spread, 0.0)
        return inverse, mean, np.sqrt(spread)


class DiagonalCurvature(_Linear):
    """The diagonal alone, of columns that are centred: an intercept goes with their means."""

    lasting, growth, memory, rough, scaled = 5, 2, 20, True, True

    def __init__(self, objective: Objective[LinearDesign], damping: float = 0.0):
        super().__init__(objective)
        D = (self.design.curvature_weights() + damping) / self.total
        self.inverse_totals, self.means, deviations = self._units(D)
        self.inverse = inverse_diagonal(np.square(deviations) + self.l2)

    def _solve(self, G: NDArray, gb: NDArray) -> tuple[NDArray, NDArray]:
        W = (G - self.means * gb[:, None]) * self.inverse
        if not self.design.intercept:
            return W, gb
        return W, gb * self.inverse_totals - (self.means * W).sum(1)


class BlockCurvature(_Linear):
    """One block a class, out of a sample of rows, with the diagonal out of all rows.

    Rows are drawn by their leverage, so that columns that few rows have are not lost: a sample
    without them would take such columns for independent, and steps would be far too long.
    """

    lasting, growth, memory, rough, scaled = 12, 2, 80, False, True
    # Correlations out of a sample are shrunk by this.
    shrinkage = 0.01

    def __init__(
        self,
        objective: Objective[LinearDesign],
        damping: float,
        n_sampled: int,
        rng: np.random.RandomState,
        n_threads: int = 1,
    ):
        super().__init__(objective)
        D = (self.design.curvature_weights() + damping) / self.total
        self.inverse_totals, self.means, deviations = self._units(D)
        self.scales = np.where(deviations > 0, deviations, 1.0)
        rows, weights = self._sample(D, deviations, n_sampled, rng)
        X = np.asarray(self.design.X[rows], dtype=np.float64)
        D = D[:, rows] * weights
        with ThreadPoolExecutor(n_threads) as pool:
            self.factors = list(pool.map(lambda k: self._factor(k, X, D[k]), range(len(D))))

    def _sample(
        self, D: NDArray, deviations: NDArray, n_sampled: int, rng: np.random.RandomState
    ) -> tuple[NDArray, NDArray]:
        """Rows drawn with probability proportional to their leverage, and 1 / probability."""
        n = self.design.n_rows
        if n_sampled >= n:
            return np.arange(n), np.ones(n)
        inverse = np.square(np.where(deviations > 0, 1 / self.scales, 0.0))
        leverage = self.design.leverages(D, self.means, inverse)
        chance = capped(leverage, n_sampled)
        rows = np.flatnonzero(rng.uniform(size=n) < chance)
        return rows, 1 / chance[rows]

    def _factor(self, k: int, X: NDArray, d: NDArray) -> tuple:
        """Cholesky factor of the block of class k in units of its diagonal."""
        use = d > _NO_WEIGHT * d.max(initial=0.0)
        A = (X[use] - self.means[k]) * (np.sqrt(d[use])[:, None] / self.scales[k])
        A = A.astype(np.float32)  # enough for a preconditioner with a unit diagonal
        R = A.T @ A
        diagonal = np.diag_indices(len(R))
        scale = 1 / np.sqrt(np.maximum(R[diagonal], _LEAST_SQUARE))
        scale *= np.sqrt(1 - self.shrinkage, dtype=np.float32)
        R *= scale[:, None] * scale
        own = 1.0 + self.l2[k] / self.scales[k] ** 2
        R[diagonal] = np.minimum(own, _LARGEST_DIAGONAL)
        return scipy.linalg.cho_factor(R, lower=True, overwrite_a=True, check_finite=False)

    def _solve(self, G: NDArray, gb: NDArray) -> tuple[NDArray, NDArray]:
        W = np.empty_like(G)
        for k, factor in enumerate(self.factors):
            right = (G[k] - self.means[k] * gb[k]) / self.scales[k]
            size = float(np.abs(right).max()) or 1.0
            right = (right / size).astype(np.float32)
            solution = scipy.linalg.cho_solve(factor, right, check_finite=False)
            W[k] = solution * (size / self.scales[k])
        if not self.design.intercept:
            return W, gb
        return W, gb * self.inverse_totals - (self.means * W).sum(1)


class FullCurvature(_Linear):
    """All of it, out of a sample of rows."""

    growth, memory, rough, scaled = 1, 20, False, False

    def __init__(
        self,
        objective: Objective[LinearDesign],
        damping: float,
        n_sampled: int,
        rng: np.random.RandomState,
        lasting: int = 1,
        rows: StandardRows | None = None,
    ):
        super().__init__(objective)
        self.lasting = lasting
        design = self.design
        self.rows = rows if rows is not None else StandardRows(design, n_sampled, rng)
        p, m, q = design.n_columns, design.n_logits, self.rows.width
        P, s = design.probabilities[:, self.rows.indices], self.rows.shares
        blocks = np.zeros((m, q, m, q))
        for part, Z in self.rows.blocks():
            for k in range(m):
                for j in range(k + 1):
                    d = s[part] * P[k, part] * ((k == j) - P[j, part])
                    d += s[part] * damping * (k == j)
                    blocks[k, :, j] += Z.T @ (d[:, None] * Z)
        for k in range(m):
            for j in range(k):
                blocks[j, :, k] = blocks[k, :, j]
        H = blocks.reshape(m * q, m * q)
        diagonal = np.diag_indices(m * q)
        levels = H[diagonal].reshape(m, q).mean(0)
        penalty = np.zeros((m, q))
        penalty[:, :p] = self.l2 / self.rows.scale**2
        H[diagonal] += penalty.ravel()
        if design.reference == 0:
            # All classes together: any value serves, for solves do not go there.
            for a in np.flatnonzero(np.append(objective.centred, [True] * design.intercept)):
                H[a::q, a::q] += levels[a] / m
        # In units of its diagonal: one ridge for all, and no coordinate is lost beside another.
        self.inverse_units = np.sqrt(inverse_diagonal(H[diagonal], CERTAIN))
        H *= self.inverse_units[:, None] * self.inverse_units
        H[diagonal] = 1.0
        self.factor = positive_factor(H)

    def _solve(self, G: NDArray, gb: NDArray) -> tuple[NDArray, NDArray]:
        p, mean, scale = self.design.n_columns, self.rows.mean, self.rows.scale
        right = np.empty((len(G), self.rows.width))
        right[:, :p] = (G - gb[:, None] * mean) / scale
        right[:, p:] = gb[:, None]
        x = scipy.linalg.cho_solve(
            self.factor, right.ravel() * self.inverse_units, check_finite=False
        )
        x = (x * self.inverse_units).reshape(right.shape)
        W = x[:, :p] / scale
        if not self.design.intercept:
            return W, gb
        return W, x[:, p] - W @ mean


def positive_factor(H: NDArray) -> tuple:
    """Cholesky factor of a matrix of unit diagonal, with as small a ridge as it takes."""
    diagonal = np.diag_indices(len(H))
    ridge = 1e-13
    while ridge < 1:
        H[diagonal] += ridge
        try:
            return scipy.linalg.cho_factor(H, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            ridge *= 100
    return np.eye(len(H)), True  # no covariance: the diagonal alone


class StandardRows:
    """A sample of rows, or all of them, with columns centred and scaled, and ones for intercepts.

    Attributes
    ----------
    indices : slice or ndarray of int
        The rows.
    shares : ndarray of shape (n_rows,)
        Their weights, which sum to one.
    mean, scale : ndarray of shape (n_columns,)
    width : int
        Columns with those of the intercepts.
    all : bool
        Whether these are all rows, few enough to be kept.
    """

    def __init__(self, design: LinearDesign, n_sampled: int, rng: np.random.RandomState):
        self.indices: Any = slice(None)
        if n_sampled < design.n_rows:
            self.indices = np.sort(rng.randint(design.n_rows, size=n_sampled))
        X = design.X[self.indices]
        self.X = np.asarray(X.toarray() if design.sparse else X, dtype=np.float64)
        n, p = self.X.shape
        weight = design.weight[self.indices] if design.weight.size else np.ones(n)
        self.shares = weight / weight.sum()
        self.mean = self.shares @ self.X if design.intercept else np.zeros(p)
        variance = self.shares @ np.square(self.X - self.mean)
        deviation = np.sqrt(np.maximum(variance, 0.0))
        self.scale = np.where(deviation > _CONSTANT * np.abs(self.mean), deviation, 1.0)
        self.width = p + design.intercept
        self.all = n_sampled >= design.n_rows and n <= _CACHED_ROWS
        self.kept = [(slice(None), self._block(slice(None)))] if self.all else None

    def _block(self, part: slice) -> NDArray:
        X = self.X[part]
        Z = np.ones((len(X), self.width))
        Z[:, : X.shape[1]] = (X - self.mean) / self.scale
        return Z

    def blocks(self) -> Iterable[tuple[slice, NDArray]]:
        """Some of them at a time."""
        if self.kept is not None:
            return self.kept
        starts = range(0, len(self.X), _CACHED_ROWS)
        parts = (slice(start, start + _CACHED_ROWS) for start in starts)
        return ((part, self._block(part)) for part in parts)


def capped(scores: NDArray, n: int) -> NDArray:
    """Chances proportional to scores, none above one, that sum to about n."""
    total = scores.sum()
    if not total > 0:  # columns without curvature: no row tells more than another
        return np.full(len(scores), min(n / len(scores), 1.0))
    chance = scores * (n / total)
    for _ in range(_MAX_RAISES):
        sure = chance >= 1
        rest = chance[~sure].sum()
        if not sure.any() or rest <= 0:
            break
        factor = (n - sure.sum()) / rest
        if factor <= _RAISED:
            break
        chance = np.where(sure, 1.0, chance * factor)
    return np.clip(chance, _LEAST_CHANCE, 1.0)
