"""PLSA as the engine sees it: p(w|z) for all documents, p(z|d) for each its own.

    log p(X) = sum_d s_d sum_w x_dw log sum_z p(z|d) p(w|z)

Conventions:
    topics (p, k)      p(w|z), each column sums to one
    mixtures (n, k)    p(z|d), each row sums to one: local parameters
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem.em import EMModelBase, Rows
from skem.topics._counts import Counts, tokens_of, weights_of
from skem.topics._derived import Derived
from skem.topics._limits import relative_powers

FLOOR = 1e-6
"""Probability below which the density of a prior that asks for sparsity no longer grows."""

_LEAST = 0.85
"""Smallest ratio of the root of an extrapolated probability to that of its EM image. Measured on
AP: values from 0.3 to 0.95 work, 0.85 was best."""

_UNITS = 1e-3, 1e3
"""Range of the unit of weights in coordinates: extremes would exceed the range of float32."""

_OF_BOUND = 32
"""Rounding error of a bound in units of eps times its size: tokens are summed within documents, and
sums of documents in float64."""


class PLSAParams(NamedTuple):
    """Parameters, in the dtype of the counts."""

    topics: NDArray
    mixtures: NDArray


class PLSAStatistics(NamedTuple):
    """Sums over documents; the expected counts of each document are its own."""

    log_likelihood: float
    weight: float
    words: NDArray  # (p, k): expected counts n_wz / p(w|z)
    local: tuple  # of (n_rows, k): expected counts of topics in each document


class PLSAModel(EMModelBase):
    """PLSA, tempered and with Dirichlet priors.

    Parameters
    ----------
    temperature : float
        The E step takes p(z|d, w) to the power of 1 / temperature (Hofmann 1999), and the bound is
        the free energy, temperature x log of the sum of the powers.
    doc_prior : ndarray of shape (k,)
        Exponents of the Dirichlet density of p(z|d): its parameters less one.
    word_prior : ndarray of shape (p, k)
        The same of p(w|z); of shape (1, 1) where all are equal.
    weight : ndarray of shape (n,) or None
        Weights of the documents, and of their priors.
    unit : float
        What the weights were divided by.
    sizes : ndarray of shape (n,), default=None
        Tokens of each document, times its weight.
    power : int
        Counts were divided by 2 ** power.
    """

    keeps_order = False  # of the topics: batches keep that of the first one

    def __init__(
        self,
        *,
        temperature: float,
        doc_prior: NDArray,
        word_prior: NDArray,
        weight: NDArray | None,
        unit: float = 1.0,
        sizes: NDArray | None = None,
        power: int = 0,
    ):
        self.sizes, self.power = sizes, power
        self.temperature = temperature
        self.doc_prior = doc_prior
        self.word_prior = word_prior
        self.doc_weight = weight
        # in coordinates, a weight of 2 is equivalent to repeating the document
        self._coordinate_unit = float(np.clip(unit, *_UNITS))
        self._derived = Derived()

    def topic_prior(self, params: PLSAParams) -> NDArray:
        """Tokens of each topic, which is p(z) but for a factor."""
        return self.sizes @ params.mixtures

    def _tempered(self, params: PLSAParams) -> tuple[PLSAParams, NDArray, NDArray]:
        """Powers 1 / temperature, relative to the largest of each word and of each document.

        Logs of the largest follow, (p,) and (n,).
        """
        power = 1 / self.temperature
        topics, words = relative_powers(params.topics, power, 1)
        mixtures, documents = relative_powers(params.mixtures, power, 1)
        return PLSAParams(topics, mixtures), words, documents

    def expected_statistics(self, params: PLSAParams, rows: Rows) -> PLSAStatistics:
        from skem.topics._kernels import e_step

        counts: Counts = rows.X
        part = slice(rows.start, rows.start + counts.shape[0])
        value = 0.0
        (topics, mixtures), weight = params, weights_of(rows)
        if self.temperature != 1:
            (topics, mixtures), *tops = self._derived.of(params, self._tempered)
            value = _divided_out(counts, weight, tops[0], tops[1][part])
        words = np.zeros(topics.shape, topics.dtype)
        local = np.empty_like(mixtures[part])
        value += self.temperature * e_step(
            *counts.arrays, weight, topics, mixtures[part], words, local
        )
        return PLSAStatistics(value, tokens_of(rows), words, (local,))

    def maximize(self, statistics: PLSAStatistics, params: PLSAParams) -> PLSAParams:
        from skem.topics._kernels import maximize_columns, maximize_rows

        topics = params.topics
        if self.temperature != 1:
            topics = self._derived.of(params, self._tempered)[0].topics
        local = statistics.local
        counts = local[0] if len(local) == 1 else np.concatenate(local)
        maximize_rows(counts, self.doc_prior, params.mixtures, FLOOR, counts)
        new = np.empty_like(params.topics)
        maximize_columns(statistics.words, topics, self.word_prior, params.topics, FLOOR, new)
        return PLSAParams(new, counts)

    def bound(self, statistics: PLSAStatistics, params: PLSAParams) -> float:
        value = statistics.log_likelihood
        if self.doc_prior.any():
            terms = _log_prior(params.mixtures, self.doc_prior).sum(1)
            value += terms.sum() if self.doc_weight is None else self.doc_weight @ terms
        if self.word_prior.any():
            value += _log_prior(params.topics, self.word_prior).sum()
        return float(value / statistics.weight)

    def rounding(self, statistics: PLSAStatistics, params: PLSAParams) -> float:
        eps = np.finfo(params.topics.dtype).eps
        return float(_OF_BOUND * eps * max(1.0, abs(self.bound(statistics, params))))

    def to_vector(self, params: PLSAParams) -> NDArray:
        """Square roots: points on spheres, on which extrapolation does not reach zero.

        The squared length of those of a document is its weight, so that a weight of 2 is equivalent
        to repeating it.
        """
        mixtures = params.mixtures * self._scale(params)
        return np.sqrt(np.concatenate([params.topics.ravel(), mixtures.ravel()]))

    def _scale(self, params: PLSAParams) -> NDArray:
        """Weights of the documents, (n, 1), in the dtype of the parameters."""
        if self.doc_weight is None:
            return np.ones((1, 1), params.mixtures.dtype)
        least = np.finfo(params.mixtures.dtype).tiny ** 0.5  # no document is at the origin
        scale = np.maximum(self._coordinate_unit * self.doc_weight, least)
        return scale.astype(params.mixtures.dtype)[:, None]

    def from_vector(self, vector: NDArray, params: PLSAParams) -> PLSAParams:
        split = params.topics.size
        topics = _probabilities(vector[:split], params.topics)
        mixtures = _probabilities(vector[split:], params.mixtures * self._scale(params))
        topics /= topics.sum(0)
        mixtures /= mixtures.sum(1, keepdims=True)
        return PLSAParams(topics, mixtures)


def _divided_out(counts: Counts, weight: NDArray, words: NDArray, documents: NDArray) -> float:
    """Sum of weight x count x the logs by which the powers of words and documents were reduced."""
    sizes = counts.sizes()
    each = counts.matrix() @ words + sizes * documents
    return float(weight @ each if weight.size else each.sum())


def _probabilities(roots: NDArray, near: NDArray) -> NDArray:
    """Squares, not far below the EM image: EM could not leave zero."""
    return np.square(np.maximum(roots.reshape(near.shape), _LEAST * np.sqrt(near)))


def _log_prior(q: NDArray, exponents: NDArray) -> NDArray:
    """Exponent x log q, and exponent x log(q + FLOOR) where the exponent is negative."""
    shifted = np.where(exponents < 0, q + FLOOR, q)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 x log 0, which is corrected below
        terms = exponents * np.log(shifted, dtype=np.float64)
    return np.where(exponents == 0, 0.0, terms)
