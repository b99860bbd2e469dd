"""Starts of a Bernoulli mixture: one M step on a first partition of the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin

from skem.mixture._bernoulli_model import (
    MARGIN,
    BernoulliModel,
    BernoulliParams,
    BernoulliStatistics,
)
from skem.mixture._starts import distinct_rows, sample_rows, start_threads

INIT_PARAMS = ("k-means++", "random")


class BernoulliStarts:
    """Makes starts for a model; each call of `make` makes another.

    Parameters
    ----------
    model : BernoulliModel
    X : ndarray of shape (n_samples, d)
        Entries above the model's threshold are ones; NaN where missing.
    weight : ndarray of shape (n_samples,) or None
    n_components : int
    init_params : {"k-means++", "random"}
    rng : RandomState
    n_jobs : int or None, default=None
        Threads that distances may take.
    """

    def __init__(
        self,
        model: BernoulliModel,
        X: NDArray,
        *,
        weight: NDArray | None,
        n_components: int,
        init_params: str,
        rng: np.random.RandomState,
        n_jobs: int | None = None,
    ):
        self.model, self.k, self.n_jobs = model, n_components, n_jobs
        self.init_params, self.rng = init_params, rng
        chosen = sample_rows(len(X), rng)
        w = np.ones(len(X[chosen])) if weight is None else weight[chosen]
        known = ~np.isnan(X[chosen])
        both = np.column_stack([X[chosen] > model.threshold, known]).astype(np.float64)
        both, self.weight = distinct_rows(both, w)
        self.ones, self.known = both[:, : model.d], both[:, model.d :]

    def make(self) -> BernoulliParams:
        """One M step on the parts, and on two rows of average composition in each of them.

        Those keep each component open to all rows.
        """
        w, ones, known = self.weight, self.ones, self.known
        mean = np.clip((w @ ones + 1) / (w @ known + 2), MARGIN, 1 - MARGIN)
        weighted = self._responsibilities(mean) * w[:, None]
        statistics = BernoulliStatistics(
            0.0,
            w.sum(),
            weighted.sum(0) + 1,
            weighted.T @ ones + 2 * mean,
            weighted.T @ known + 2.0,
        )
        return self.model.maximize(statistics)

    def _responsibilities(self, mean: NDArray) -> NDArray:
        """A first partition; ``mean`` stands where values are missing."""
        if self.init_params == "random" or self.k == 1 or len(self.weight) < self.k:
            return self.rng.dirichlet(np.ones(self.k), len(self.weight))
        points = np.where(self.known > 0, self.ones, mean)
        with start_threads(self.n_jobs):
            seeds, _ = kmeans_plusplus(
                points, self.k, sample_weight=self.weight, random_state=self.rng
            )
            return np.eye(self.k)[pairwise_distances_argmin(points, seeds)]
