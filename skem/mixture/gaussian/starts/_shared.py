"""Partitions that the candidates of a selection share as their starts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state

from skem._validation import check_weights
from skem.mixture._starts import start_threads
from skem.mixture.gaussian.starts._candidates import coordinates
from skem.mixture.gaussian.starts._units import column_units

SYSTEMS = ("standardised", "whitened", "raw")


class SharedPartitions:
    """An ``init_params`` that gives all covariance types the same k-means partitions.

    For each number of components there are ``n_init`` partitions, in turn of the rows with unit
    variances, whitened, and as given. They are computed once and kept.

    Parameters
    ----------
    n_init : int
    sample_weight : array-like of shape (n_samples,) or None
    random_state : int, RandomState instance or None
    n_jobs : int or None
        Threads that k-means may use.
    """

    def __init__(
        self,
        n_init: int,
        sample_weight: ArrayLike | None,
        random_state: Any,
        n_jobs: int | None,
    ):
        self._n_init = n_init
        self._n_jobs = n_jobs
        self._weight = sample_weight
        self._rng = check_random_state(random_state)
        self._labels: dict[int, list[NDArray]] = {}
        self._calls = 0

    def restart(self) -> None:
        """The next call gives the first partition again."""
        self._calls = 0

    def __call__(self, X: NDArray, n_components: int, random_state: Any) -> NDArray:
        if n_components not in self._labels:
            with start_threads(self._n_jobs):
                self._labels[n_components] = self._partitions(X, n_components)
        partitions = self._labels[n_components]
        labels = partitions[self._calls % len(partitions)]
        self._calls += 1
        return np.eye(n_components)[labels]

    def _partitions(self, X: NDArray, k: int) -> list[NDArray]:
        weight = check_weights(self._weight, X)
        center, scale, *_ = column_units(X, weight, common_scale=False)
        Z = (X.astype(np.float64) - center) * scale
        Z, which = np.unique(np.where(np.isnan(Z), 0.0, Z), axis=0, return_inverse=True)
        w = np.bincount(which.ravel(), weights=weight, minlength=len(Z)).astype(np.float64)
        points = [coordinates(Z, w, scale, system) for system in SYSTEMS[: self._n_init]]
        labels = []
        for i in range(self._n_init):
            if len(Z) < k:  # fewer distinct rows than components
                labels.append((np.arange(len(Z)) % k)[which.ravel()])
                continue
            kmeans = KMeans(k, n_init=1, random_state=self._rng)
            kmeans.fit(points[i % len(points)], sample_weight=w)
            labels.append(kmeans.labels_[which.ravel()])
        return labels
