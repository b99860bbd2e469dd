"""Starts of Bernoulli mixtures: those of the user, or an M step on a partition of the rows."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin

from skem._memory import refuse_starts_beyond_memory
from skem._validation import as_numbers
from skem.mixture._given import check_probabilities, check_shares
from skem.mixture._starts import distinct_rows, sample_rows, start_threads
from skem.mixture.bernoulli._model import (
    MARGIN,
    BernoulliModel,
    BernoulliParams,
    BernoulliStatistics,
)
from skem.mixture.bernoulli._rows import BinaryData

INIT_PARAMS = ("k-means++", "random")
AXES = ("n_components", "n_features")

_STEP = 1024
"""Rows whose bits are numbers at the same time."""

_WIDE = 1 << 22
"""Numbers of the points above which they are float32, to save memory: zeros and ones are exact, and
only draws in proportion to distances are rounded."""

_COINS = 0.05, 0.95
"""Range of the random probabilities of coins: near 0 or 1, EM hardly moves at first."""


def make_starts(
    model: BernoulliModel,
    data: BinaryData,
    rng: np.random.RandomState,
    *,
    n_components: int,
    n_init: int,
    init_params: str,
    weights_init: ArrayLike | None,
    probabilities_init: ArrayLike | None,
    n_jobs: int | None,
) -> list[BernoulliParams]:
    """Parameters to start from, including those that the user gave."""
    k = n_components
    given: dict[str, NDArray] = {}
    if weights_init is not None:
        given["weights"] = check_shares(weights_init, "weights_init", (k,))
    if probabilities_init is not None:
        shape = (k, model.d)
        values = check_probabilities(probabilities_init, "probabilities_init", shape, AXES)
        given["probabilities"] = np.clip(values, MARGIN, 1 - MARGIN)
    if len(given) == 2:
        return [BernoulliParams(given["weights"], given["probabilities"])]
    refuse_starts_beyond_memory(n_init, float(np.dtype(np.float64).itemsize) * k * model.d)
    starts = BernoulliStarts(
        model,
        data.X,
        weight=data.weight,
        order=data.order,
        n_components=k,
        init_params=init_params,
        rng=rng,
        n_jobs=n_jobs,
    )
    made = (starts.make() for _ in range(1 if k == 1 else n_init))
    return [start._replace(**given) for start in made]


def coin_starts(
    init: ArrayLike | None, n_init: int, rng: np.random.RandomState
) -> list[BernoulliParams]:
    """The start (pi, p, q) that the user gave for three coins, or random ones."""
    if init is None:
        refuse_starts_beyond_memory(n_init)
        return [_coin_params(*rng.uniform(*_COINS, size=3)) for _ in range(n_init)]
    start = as_numbers(init)
    if start is None or start.shape != (3,) or not ((start >= 0) & (start <= 1)).all():
        raise ValueError(
            "init must be three probabilities (pi, p, q), each between 0 and 1, got "
            f"{reprlib.repr(init)}."
        )
    return [_coin_params(*start)]


def _coin_params(pi: float, p: float, q: float) -> BernoulliParams:
    probabilities = np.clip(np.array([[p], [q]]), MARGIN, 1 - MARGIN)
    return BernoulliParams(np.array([pi, 1 - pi]), probabilities)


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
    order : ndarray of int, default=None
        The rows of X to use; default is all.
    n_jobs : int or None, default=None
        Threads that distances may use.
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
        order: NDArray | None = None,
        n_jobs: int | None = None,
    ):
        self.model, self.k, self.n_jobs = model, n_components, n_jobs
        self.init_params, self.rng = init_params, rng
        chosen = sample_rows(len(X) if order is None else len(order), rng)
        rows = chosen if order is None else order[chosen]
        sample = X[rows]
        w = np.ones(len(sample)) if weight is None else weight[rows]
        bits = [sample > model.threshold]
        if sample.dtype.kind == "f":
            bits.append(~np.isnan(sample))
        self.n_bits = len(bits) * model.d
        self.bits, self.weight = distinct_rows(np.packbits(np.hstack(bits), axis=1), w)
        self.weight = self.weight / self.weight.mean()  # two rows will be added

    def make(self) -> BernoulliParams:
        """One M step on the parts, and on two rows of average composition in each of them.

        Those rows keep all probabilities away from 0 and 1, so each component remains open to all
        rows.
        """
        ones, known = self._sums(self.weight[:, None])
        mean = np.clip((ones[0] + 1) / (known[0] + 2), MARGIN, 1 - MARGIN)
        weighted = self._responsibilities(mean) * self.weight[:, None]
        ones, known = self._sums(weighted)
        statistics = BernoulliStatistics(
            0.0, self.weight.sum(), weighted.sum(0) + 1, ones + 2 * mean, known + 2.0
        )
        return self.model.maximize(statistics)

    def _parts(self) -> Iterator[tuple[slice, NDArray, NDArray]]:
        """Ones and known entries of the distinct rows, as numbers, a few rows at a time."""
        d = self.model.d
        for start in range(0, len(self.bits), _STEP):
            part = slice(start, start + _STEP)
            both = np.unpackbits(self.bits[part], axis=1, count=self.n_bits).astype(np.float64)
            ones = both[:, :d]
            yield part, ones, both[:, d:] if self.n_bits > d else np.ones_like(ones)

    def _sums(self, weighted: NDArray) -> tuple[NDArray, NDArray]:
        """Ones and known entries, each (k, d), of rows with weights (n, k)."""
        shape = weighted.shape[1], self.model.d
        ones, known = np.zeros(shape), np.zeros(shape)
        for part, of_part, known_of_part in self._parts():
            ones += weighted[part].T @ of_part
            known += weighted[part].T @ known_of_part
        return ones, known

    def _responsibilities(self, mean: NDArray) -> NDArray:
        """A first partition; ``mean`` stands where values are missing."""
        n = len(self.weight)
        if self.init_params == "random" or self.k == 1 or n < self.k:
            return self.rng.dirichlet(np.ones(self.k), n)
        wide = n * self.model.d > _WIDE
        points = np.empty((n, self.model.d), np.float32 if wide else np.float64)
        for part, ones, known in self._parts():
            points[part] = np.where(known > 0, ones, mean)
        with start_threads(self.n_jobs):
            seeds, _ = kmeans_plusplus(
                points, self.k, sample_weight=self.weight, random_state=self.rng
            )
            return np.eye(self.k)[pairwise_distances_argmin(points, seeds)]
