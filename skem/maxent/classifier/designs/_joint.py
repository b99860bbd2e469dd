"""Joint features f(x, c): one vector of weights for all classes.

    z_ic = f(x_i, c)'w + b_c,        p(c|x_i) = exp(z_ic) / sum_k exp(z_ik)

What the features of a row have in common in all classes cancels, but for rounding: it is taken away
before anything is computed (`centred`).

Conventions:
    X.shape = (K n, m)   features of all pairs, class after class: row c n + i is f(x_i, c)
    P.shape = (K, n)     probabilities; every class has a logit
"""

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
from skem.maxent.classifier.designs._linear import LinearDesign


class JointDesign(Design):
    """A design of joint features: a linear one of a single logit over all pairs (x_i, c).

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_classes * n, m)
        Features of the pairs, class after class.
    y : ndarray of shape (n,)
        Classes 0 ... n_classes - 1.
    weight : ndarray of shape (n,) or None
    n_classes : int
    intercept : bool
        One intercept a class.
    n_jobs : int or None
    """

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
        super().__init__(
            y,
            weight,
            n_classes=n_classes,
            intercept=intercept,
            n_jobs=n_jobs,
            work=n_classes,
            reference=False,
            offset=offset,
        )
        self.pairs = LinearDesign(
            X, np.zeros(X.shape[0]), None, n_classes=2, intercept=False, n_jobs=n_jobs
        )
        self.X = X
        self.sparse = sp.issparse(X)
        self.n_weights = self.n_columns = X.shape[1]

    def __enter__(self) -> JointDesign:
        self.pairs.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.pairs.__exit__(*exc_info)

    def matrix(self, weights: NDArray) -> NDArray:
        """Weights in the shape of the estimator's: one vector."""
        return weights

    def features(self, c: int, rows: Any = slice(None)) -> Any:
        """f(x_i, c) of those rows, (n_rows, m)."""
        return self.X[c * self.n_rows : (c + 1) * self.n_rows][rows]

    def logits(self, theta: NDArray) -> NDArray:
        weights, b = self.split(theta)
        return self.pairs.logits(weights).reshape(self.n_logits, self.n_rows) + b[:, None]

    def pull(self, R: NDArray) -> NDArray:
        return self.join(self.pairs.pull(R.reshape(1, -1)), R.sum(1))

    @functools.cached_property
    def sizes(self) -> Sizes:
        """Sizes of the features less what they have in common in all classes of a row."""
        X, _ = centred(self.X, self.offset, self.n_logits)
        weight = np.where(self.possible(), self.row_weight, 0.0)
        weight = (weight / weight.sum()).ravel()
        none = np.zeros(self.n_columns)
        square = X.multiply(X) if self.sparse else np.square(X, dtype=np.float64)
        within = sizes_of(X, weight, square.T @ weight, none)
        return within

    @functools.cached_property
    def inverse_distances(self) -> NDArray:
        """The largest difference between classes of a row."""
        rows = typical_rows(self.n_rows, self.n_logits * self.n_columns)
        pairs = (np.arange(self.n_logits)[:, None] * self.n_rows + rows).ravel()
        offset = None if self.offset is None else self.offset[:, rows]
        X, _ = centred(self.X[pairs], offset, self.n_logits)
        by_class = [abs(X[i : i + len(rows)]) for i in range(0, len(pairs), len(rows))]
        maximum = sp.csr_array.maximum if self.sparse else np.maximum
        return inverse_distances(functools.reduce(maximum, by_class), centre=False)

    def in_units(self, units: Units) -> JointDesign:
        return JointDesign(
            units.of(self.X),
            self.y,
            self.weight if self.weight.size else None,
            n_classes=self.n_logits,
            intercept=self.intercept,
            n_jobs=self.n_jobs,
            offset=self.offset,
        )

    def moments(self, D: NDArray) -> tuple[NDArray, NDArray]:
        """Sums of D_ic f(x_i, c) and of D_ic f(x_i, c)**2, each (m,)."""
        first, second = self.pairs.moments(D.reshape(1, -1))
        return first[0], second[0]

    def expectations(self) -> dict[str, NDArray]:
        """Means over the rows of f(x_i, y_i) and of sum_c p(c|x_i) f(x_i, c), each (m,)."""
        sums = {
            "empirical": self.pull(self.targets() * self.row_weight),
            "model": self.pull(self.probabilities * self.row_weight),
        }
        return {name: self.split(both)[0] / self.total_weight for name, both in sums.items()}


def centred(X: Any, offset: NDArray | None, n_classes: int) -> tuple[Any, Any]:
    """Features of pairs less their mean over the classes that a row can have.

    Sparse features keep their zeros: the mean is taken from those that all classes of a row have.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_classes * n, m)
        Zeros for pairs that cannot be.
    offset : ndarray of shape (n_classes, n) or None
        -inf for pairs that cannot be.
    n_classes : int

    Returns
    -------
    X : ndarray or CSR matrix of shape (n_classes * n, m)
        In float64.
    mean : ndarray or CSR matrix of shape (n, m)
        What was taken away.
    """
    n, m = X.shape[0] // n_classes, X.shape[1]
    possible = np.ones((n_classes, n)) if offset is None else 1.0 * np.isfinite(offset)
    count = possible.sum(0)
    is_first = 1.0 * (np.arange(n_classes)[:, None] == possible.argmax(0))
    # First the features of one class, without rounding where they are alike, then the mean.
    if not sp.issparse(X):
        F = np.array(X, dtype=np.float64).reshape(n_classes, n, m)
        first = F[possible.argmax(0), np.arange(n)]
        F -= first
        F *= possible[:, :, None]
        mean = F.sum(0) / count[:, None]
        F -= mean
        F *= possible[:, :, None]
        return F.reshape(-1, m), first + mean
    X = sp.csr_array(X, dtype=np.float64)
    X.sum_duplicates()
    ones = sp.csr_array((np.ones(X.nnz), X.indices, X.indptr), shape=X.shape)
    have = _over_classes(ones, np.ones_like(possible)).tocoo()
    common = have.data == count[have.row]
    shared = sp.csr_array(
        (np.ones(int(common.sum())), (have.row[common], have.col[common])), (n, m)
    )
    if not shared.nnz:
        return X, shared
    taken = _over_classes(X, is_first).multiply(shared).tocsr()
    X = X - _to_classes(taken, possible)
    mean = _over_classes(X, possible / count).multiply(shared).tocsr()
    return sp.csr_array(X - _to_classes(mean, possible)), taken + mean


def _over_classes(X: sp.csr_array, weight: NDArray) -> sp.csr_array:
    """Sum over the classes of sparse features of pairs, (n, m), weighted by (n_classes, n)."""
    n = weight.shape[1]
    return sum(sp.diags_array(w) @ X[c * n : (c + 1) * n] for c, w in enumerate(weight))


def _to_classes(mean: sp.csr_array, possible: NDArray) -> sp.csr_array:
    """The same for all classes that a row can have, as features of pairs."""
    return sp.vstack([sp.diags_array(p) @ mean for p in possible], format="csr")
