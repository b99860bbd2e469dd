"""Joint features f(x, c): one vector of weights for all classes.

    z_ic = f(x_i, c)'w + b_c,        p(c|x_i) = exp(z_ic) / sum_k exp(z_ik)

Conventions:
    X.shape = (K n, m)   features of all pairs, class after class: row c n + i is f(x_i, c)
    P.shape = (K, n)     probabilities; every class has a logit
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import logsumexp

from skem.maxent._designs import Design, LinearDesign


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
    ):
        super().__init__(
            y,
            weight,
            n_classes=n_classes,
            intercept=intercept,
            n_jobs=n_jobs,
            work=n_classes,
            reference=False,
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

    def evaluate(self, theta: NDArray) -> tuple[float, NDArray]:
        L = self.logits(theta)
        norm = logsumexp(L, axis=0)
        own = self.y, np.arange(self.n_rows)
        loss = float((self.row_weight * (norm - L[own])).sum())
        np.exp(L - norm, out=self.probabilities)
        R = self.probabilities.copy()
        R[own] -= 1
        return loss, self.pull(R * self.row_weight)

    def logits(self, theta: NDArray) -> NDArray:
        weights, b = self.split(theta)
        return self.pairs.logits(weights).reshape(self.n_logits, self.n_rows) + b[:, None]

    def pull(self, R: NDArray) -> NDArray:
        return self.join(self.pairs.pull(R.reshape(1, -1)), R.sum(1))

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
