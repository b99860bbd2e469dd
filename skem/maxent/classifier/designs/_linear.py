"""The design of linear features, x_j 1[y = c], of dense or sparse rows."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skem.maxent.classifier.designs._column_units import (
    Sizes,
    Units,
    inverse_distances,
    sizes_of,
    typical_rows,
)
from skem.maxent.classifier.designs._design import Design

_CACHED_VALUES = 1 << 16
"""Values of the rows that a kernel works on at a time, which stay in the cache."""

_FEWEST_ROWS, _MOST_ROWS = 16, 512
"""Limits of their number: fewer rows make thin products, and of more the logits leave the cache."""

_SPARSE_ROWS = 64
"""Sparse rows that a kernel works on at a time: their logits stay in the cache."""

_OF_A_VALUE, _SOFTMAX = 6, 8
"""Work of a value of a row for each logit, in the unit of `cut`, and what the softmax adds to it,
as so many values."""


class LinearDesign(Design):
    """One weight a class and column: the features x_j 1[y = c] of dense or CSR rows."""

    def __init__(
        self,
        X: Any,
        y: NDArray,
        weight: NDArray | None,
        *,
        n_classes: int,
        intercept: bool,
        n_jobs: int | None,
        offset: NDArray | None = None,
    ):
        self.X = X
        self.sparse = sp.issparse(X)
        self.n_columns = X.shape[1]
        per_row = X.nnz // max(1, X.shape[0]) + 1 if self.sparse else X.shape[1]
        n_logits = n_classes - (n_classes == 2)
        super().__init__(
            y,
            weight,
            n_classes=n_classes,
            intercept=intercept,
            n_jobs=n_jobs,
            work=_OF_A_VALUE * (per_row + _SOFTMAX) * n_logits,
            reference=n_classes == 2,
            offset=offset,
        )
        self.n_weights = self.n_logits * self.n_columns
        height = _CACHED_VALUES // X.shape[1]
        self.height = int(np.clip(height, _FEWEST_ROWS, _MOST_ROWS))

    def _csr(self, part: slice) -> tuple[NDArray, NDArray, NDArray]:
        return self.X.data, self.X.indices, self.X.indptr[part.start : part.stop + 1]

    def _transposed(self, W: NDArray) -> NDArray:
        """Weights as the kernels of sparse rows take them, (n_columns, width)."""
        from skem.maxent.classifier.designs._sparse_kernels import width

        transposed = np.zeros((self.n_columns, width(self.n_logits)))
        transposed[:, : self.n_logits] = W.T
        return transposed

    def _pulled(self, G: NDArray, gb: NDArray) -> NDArray:
        """What kernels pull back to the parameters, as one vector of them."""
        return self.join(G.T[: self.n_logits] if self.sparse else G, gb)

    def matrix(self, weights: NDArray) -> NDArray:
        """Weights as (n_logits, n_columns)."""
        return weights.reshape(self.n_logits, self.n_columns)

    def features(self, c: int) -> Any:
        own = np.arange(self.n_logits) == c - self.reference
        return sp.kron(own[None] * 1.0, sp.csr_array(self.X, dtype=np.float64), format="csr")

    def evaluate(self, theta: NDArray) -> tuple[float, NDArray]:
        from skem.maxent.classifier.designs import _kernels, _sparse_kernels

        if self.offset is not None:
            return super().evaluate(theta)
        weights, b = self.split(theta)
        W = self.matrix(weights)
        transposed = self._transposed(W) if self.sparse else W

        def one(part: slice) -> tuple:
            P = self.probabilities[:, part]
            w = self.weight[part]
            if self.sparse:
                given = self.y[part], w, transposed, b, P, self.reference, _SPARSE_ROWS
                return _sparse_kernels.sparse_pass(*self._csr(part), *given)
            return _kernels.dense_pass(
                self.X[part], self.y[part], w, W, b, P, self.reference, self.height
            )

        loss, G, gb = self._sums(one)
        return float(loss), self._pulled(G, gb)

    def logits(self, theta: NDArray) -> NDArray:
        from skem.maxent.classifier.designs import _kernels, _sparse_kernels

        weights, b = self.split(theta)
        W = self.matrix(weights)
        transposed = self._transposed(W) if self.sparse else W
        L = np.empty((self.n_logits, self.n_rows))

        def one(part: slice) -> tuple:
            if self.sparse:
                _sparse_kernels.sparse_logits(*self._csr(part), transposed, b, L[:, part])
            else:
                _kernels.dense_logits(self.X[part], W, b, L[:, part], self.height)
            return ()

        self._sums(one)
        return L

    def pull(self, R: NDArray) -> NDArray:
        from skem.maxent.classifier.designs import _kernels

        if self.sparse:
            return self._pulled(*self._sparse_pull(self.X.data, R))

        def one(part: slice) -> tuple:
            return _kernels.dense_pull(self.X[part], R[:, part], self.height)

        return self._pulled(*self._sums(one))

    def _sparse_pull(self, data: NDArray, R: NDArray) -> list[NDArray]:
        """R X transposed, with other entries in X, and the sums of R over the rows."""
        from skem.maxent.classifier.designs._sparse_kernels import sparse_pull, width

        def one(part: slice) -> tuple:
            _, indices, indptr = self._csr(part)
            return sparse_pull(
                data, indices, indptr, R[:, part], self.n_columns, width(self.n_logits)
            )

        return self._sums(one)

    def expectations(self) -> dict[str, NDArray]:
        """Means of x_j 1[y = c] over the rows and of x_j p(c|x), each (n_classes, n_columns)."""
        means = {}
        for name, R in (("empirical", self.targets()), ("model", self.probabilities)):
            sums = self.matrix(self.split(self.pull(self.row_weight * R))[0])
            means[name] = sums / self.total_weight
        if self.reference:
            weight = np.broadcast_to(self.row_weight, (1, self.n_rows))
            both = self.split(self.pull(np.array(weight)))[0] / self.total_weight
            means = {name: np.vstack([both - mean, mean]) for name, mean in means.items()}
        return means

    def moments(self, D: NDArray) -> tuple[NDArray, NDArray]:
        """D X and D X**2, (n_logits, n_columns)."""
        from skem.maxent.classifier.designs import _kernels

        if self.sparse:
            values = self.X.data, np.square(self.X.data)
            first, second = (self._sparse_pull(x, D)[0].T[: self.n_logits] for x in values)
            return first, second

        def one(part: slice) -> tuple:
            return _kernels.dense_moments(self.X[part], D[:, part], self.height)

        first, second = self._sums(one)
        return first, second

    @functools.cached_property
    def sizes(self) -> Sizes:
        weight = np.broadcast_to(self.row_weight, self.n_rows) / self.total_weight
        with np.errstate(over="ignore", invalid="ignore"):
            first, second = self.moments(weight[None])
        return sizes_of(self.X, weight, second[0], first[0] if self.intercept else 0 * first[0])

    @functools.cached_property
    def inverse_distances(self) -> NDArray:
        return inverse_distances(self.X[typical_rows(*self.X.shape)], self.intercept)

    def in_units(self, units: Units) -> LinearDesign:
        return LinearDesign(
            units.of(self.X),
            self.y,
            self.weight if self.weight.size else None,
            n_classes=self.n_logits + self.reference,
            intercept=self.intercept,
            n_jobs=self.n_jobs,
            offset=self.offset,
        )

    def leverages(self, D: NDArray, mean: NDArray, inverse: NDArray) -> NDArray:
        """sum_k D_ki |x_i - mean_k|^2 in the metric of the diagonals ``inverse``; dense rows."""
        from skem.maxent.classifier.designs import _kernels

        out = np.empty(self.n_rows)

        def one(part: slice) -> tuple:
            rows = self.X[part]
            _kernels.dense_leverages(rows, D[:, part], mean, inverse, out[part], self.height)
            return ()

        self._sums(one)
        return out
