"""Designs: how the rows of a conditional maximum-entropy model make its logits.

A design holds rows, classes and weights of rows, and does the passes over them in blocks of rows
on every core. Its parameters are one vector: the weights, then the intercepts (if it has them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, xlogy

from skem.em._rows import BlockMap, cut
from skem.maxent.classifier.designs._column_units import (
    Sizes,
    Units,
)


class Design:
    """Rows x classes; a context manager that holds the threads.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Classes 0 ... n_classes - 1.
    weight : ndarray of shape (n,) or None
    n_classes : int
    intercept : bool
    n_jobs : int or None
    work : int
        Values that a pass handles per row.
    reference : bool
        Whether class 0 has no logit.
    offset : ndarray of shape (n_classes, n) or None
        Added to the logits; -inf for classes that a row cannot have.

    Attributes
    ----------
    n_logits : int
        Two classes have one logit, that of class 1 against class 0; else each has its own.
    n_weights : int
        Length of the parameters without the intercepts.
    probabilities : ndarray of shape (n_logits, n)
        Of the classes that have a logit, at the parameters evaluated last.
    """

    X: Any  # features as the estimator has them: rows, or pairs of a class and a row
    sparse: bool
    n_columns: int  # of X
    n_weights: int

    def __init__(
        self,
        y: NDArray,
        weight: NDArray | None,
        *,
        n_classes: int,
        intercept: bool,
        n_jobs: int | None,
        work: int,
        reference: bool,
        offset: NDArray | None = None,
    ):
        self.offset = offset
        self.n_jobs = n_jobs
        self.y = y.astype(np.int64)
        self.weight = np.empty(0) if weight is None else weight.astype(np.float64)
        self.n_rows = len(y)
        self.total_weight = float(self.n_rows if weight is None else self.weight.sum())
        self.reference = int(reference)
        self.n_logits = n_classes - self.reference
        self.intercept = intercept
        self.probabilities = np.empty((self.n_logits, self.n_rows))
        self.parts = cut(self.n_rows, max(1, work))
        self.map = BlockMap(n_jobs, len(self.parts))

    def __enter__(self) -> Design:
        self.map.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.map.__exit__(*exc_info)

    @property
    def n_params(self) -> int:
        return self.n_weights + self.n_logits * self.intercept

    @property
    def row_weight(self) -> NDArray | float:
        return self.weight if self.weight.size else 1.0

    def curvature_weights(self) -> NDArray:
        """Weight x p (1 - p), of shape (n_logits, n): the diagonal of each row's curvature."""
        return self.row_weight * self.probabilities * (1 - self.probabilities)

    def curve(self, L: NDArray) -> NDArray:
        """Directions L (n_logits, n) of the logits through the curvature of each row."""
        return self.row_weight * self.change_of_probabilities(L)

    def change_of_probabilities(self, L: NDArray) -> NDArray:
        """The derivative of the probabilities evaluated last in the direction L of the logits."""
        P = self.probabilities
        centred = L - (P * L).sum(0)
        if not self.reference:
            # P sums to one but for rounding, and what all logits have in common may be large: the
            # mean of what is left is zero, so that changes of probabilities add up to zero.
            centred -= (P * centred).sum(0)
        return P * centred

    def targets(self) -> NDArray:
        """1[y = class] of the classes that have a logit, (n_logits, n)."""
        return (self.y == np.arange(self.n_logits)[:, None] + self.reference).astype(np.float64)

    def entropy(self, probabilities: NDArray | None = None) -> float:
        """Mean entropy of the rows, in nats; of those evaluated last by default."""
        P = self.probabilities if probabilities is None else probabilities
        entropy = -xlogy(P, P).sum(0)
        if self.reference:
            rest = 1 - P.sum(0)
            entropy -= xlogy(rest, rest)
        return float((self.row_weight * entropy).sum() / self.total_weight)

    def dual_value(self, probabilities: NDArray) -> float:
        """Mean entropy plus what the offsets are worth beside those of the observed classes."""
        value = self.entropy(probabilities)
        if self.offset is None:
            return value
        P = np.vstack([1 - probabilities.sum(0), probabilities][1 - self.reference :])
        possible = np.isfinite(self.offset)
        if (P[~possible] > 0).any():
            return -np.inf
        worth = (np.where(possible, P, 0.0) * np.where(possible, self.offset, 0.0)).sum(0)
        worth -= self.offset[self.y, np.arange(self.n_rows)]
        return value + float((self.row_weight * worth).sum() / self.total_weight)

    def possible(self) -> NDArray:
        """Which classes that have a logit each row can have, (n_logits, n)."""
        if self.offset is None:
            return np.ones((self.n_logits, self.n_rows), dtype=bool)
        return np.isfinite(self.offset[self.reference :])

    def matrix(self, weights: NDArray) -> NDArray:
        """Weights in the shape of the estimator's."""
        raise NotImplementedError

    def split(self, theta: NDArray) -> tuple[NDArray, NDArray]:
        """Weights and intercepts (zeros where there are none)."""
        if self.intercept:
            return theta[: self.n_weights], theta[self.n_weights :]
        return theta, np.zeros(self.n_logits)

    def join(self, weights: NDArray, intercepts: NDArray) -> NDArray:
        if self.intercept:
            return np.concatenate([weights.ravel(), intercepts])
        return weights.ravel()

    def _sums(self, function: Callable[[slice], tuple]) -> list[Any]:
        """Sum of tuples over the blocks of rows."""
        results: Iterator[tuple] = iter(self.map(function, self.parts))
        totals = list(next(results))
        for result in results:
            for i, value in enumerate(result):
                totals[i] = totals[i] + value
        return totals

    def evaluate(self, theta: NDArray) -> tuple[float, NDArray]:
        """Weighted sum of -log p(y|x) in nats, and its gradient; sets ``probabilities``."""
        L = self.logits(theta)
        if self.reference:
            L = np.vstack([np.zeros(self.n_rows), L])
        if self.offset is not None:
            L += self.offset
        norm = logsumexp(L, axis=0)
        own = self.y, np.arange(self.n_rows)
        loss = float((self.row_weight * (norm - L[own])).sum())
        R = np.exp(L - norm)
        self.probabilities[:] = R[self.reference :]
        R[own] -= 1
        return loss, self.pull(R[self.reference :] * self.row_weight)

    @property
    def sizes(self) -> Sizes:
        """Sizes of the columns."""
        raise NotImplementedError

    @property
    def inverse_distances(self) -> NDArray:
        """Of the columns, see `inverse_distances`."""
        raise NotImplementedError

    def in_units(self, units: Units) -> Design:
        """The same design with columns in these units."""
        raise NotImplementedError

    def raw(self, theta: NDArray, units: Units) -> NDArray:
        """Parameters for the columns as they were, out of those for columns in these units."""
        weights, b = self.split(theta)
        W = self.matrix(weights) / units.unit
        return self.join(W, b - (W @ units.offset if units.offset.any() else 0.0))

    def scaled(self, theta: NDArray, units: Units) -> NDArray:
        """Parameters for columns in these units, out of those for the columns as they are."""
        weights, b = self.split(theta)
        W = self.matrix(weights)
        b = b + W @ units.offset if units.offset.any() else b
        return self.join(W * units.unit, b)

    def features(self, c: int) -> Any:
        """f(x_i, c) of all rows, without intercepts, (n, n_weights)."""
        raise NotImplementedError

    def logits(self, theta: NDArray) -> NDArray:
        """Logits (n_logits, n)."""
        raise NotImplementedError

    def pull(self, R: NDArray) -> NDArray:
        """Gradient of sum(R * logits)."""
        raise NotImplementedError

    def moments(self, D: NDArray) -> tuple[NDArray, NDArray]:
        """Sums over the rows of features and of their squares, weighted by D (n_logits, n)."""
        raise NotImplementedError
