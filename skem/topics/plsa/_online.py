"""PLSA on batches of documents, whose p(z|d) is fitted in the E step and not kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem.em import EMModelBase, Rows
from skem.topics._counts import Counts, tokens_of, weights_of
from skem.topics.plsa._model import FLOOR, PLSAParams

_STEPS, _TOL = 50, 1e-4
"""EM maps for each document of a batch, and their tolerance in nats per token."""

_BEFOREHAND = 0.01
"""Pseudo-counts of all words in all topics together, as a share of the tokens of the first batch.
Without them, words that are not in the first batches could never get a probability."""


class TopicParams(NamedTuple):
    """What all documents share."""

    topics: NDArray  # (p, k)
    topic_prior: NDArray  # (k,)

    @classmethod
    def of(cls, params: PLSAParams, sizes: NDArray) -> TopicParams:
        """The parameters without those of the documents, which have so many tokens each."""
        return cls(params.topics, (sizes / sizes.sum()) @ params.mixtures)


class TopicStatistics(NamedTuple):
    """Expected counts: of words in topics (p, k), and of topics (k,)."""

    log_likelihood: float
    weight: float
    words: NDArray
    topics: NDArray


class OnlinePLSAModel(EMModelBase):
    """PLSA for stepwise EM.

    Parameters
    ----------
    doc_prior, word_prior : ndarray
        Exponents of Dirichlet densities, see `PLSAModel`.
    size : float
        Tokens of the first batch, times the weights of their documents.
    shape : tuple
        (p, k).
    power : int
        Counts are divided by 2 ** power.
    """

    keeps_order = True
    temperature = 1.0

    def __init__(
        self,
        doc_prior: NDArray,
        word_prior: NDArray,
        size: float,
        shape: tuple[int, int],
        power: int,
    ):
        self.doc_prior, self.power = doc_prior, power
        beforehand = _BEFOREHAND * size / (shape[0] * shape[1])
        self.word_prior = np.where(word_prior == 0, beforehand, word_prior)

    def expected_statistics(self, params: TopicParams, rows: Rows) -> TopicStatistics:
        from skem.topics._fold_in_kernels import fold_in
        from skem.topics._kernels import e_step

        counts: Counts = rows.X
        weight = weights_of(rows)
        topics, start = params.topics, params.topic_prior.astype(params.topics.dtype)
        mixtures = np.empty((counts.shape[0], len(start)), topics.dtype)
        fold_in(*counts.arrays, topics, start, self.doc_prior, FLOOR, 1.0, _TOL, _STEPS, mixtures)
        words, local = np.zeros(topics.shape, topics.dtype), np.empty_like(mixtures)
        value = e_step(*counts.arrays, weight, topics, mixtures, words, local)
        w = weight if weight.size else np.ones(len(local))
        words = np.multiply(words, topics, dtype=np.float64)  # float64: they fade with each batch
        return TopicStatistics(value, tokens_of(rows), words, w @ local)

    def maximize(self, statistics: TopicStatistics, params: TopicParams) -> TopicParams:
        from skem.topics._kernels import maximize_columns

        old, words = params.topics, statistics.words
        topics = np.empty_like(old)
        maximize_columns(words, np.ones_like(old), self.word_prior, old, FLOOR, topics)
        if self.word_prior.min() < 0:  # zeros would remain, though a later batch may have the word
            topics = np.maximum(topics, FLOOR / len(topics))
            topics /= topics.sum(0)
        prior = statistics.topics + FLOOR * statistics.weight
        return TopicParams(topics, prior / prior.sum())

    def topic_prior(self, params: TopicParams) -> NDArray:
        """p(z)."""
        return params.topic_prior

    def after_fit(self, components: NDArray, topic_prior: NDArray, total: float) -> TopicParams:
        """Parameters of a fitted model, from which batches continue."""
        params = TopicParams(np.ascontiguousarray(components.T), topic_prior.astype(np.float64))
        return self.maximize(self.statistics_of(params, total), params)

    def statistics_of(self, params: TopicParams, total: float) -> TopicStatistics:
        """Expected counts of documents of so many tokens."""
        topics = params.topic_prior * total
        return TopicStatistics(0.0, total, params.topics.astype(np.float64) * topics, topics)

    def to_vector(self, params: TopicParams) -> NDArray:
        return np.concatenate([params.topics.ravel(), params.topic_prior])

    def from_vector(self, vector: NDArray, params: TopicParams) -> TopicParams:
        split = params.topics.size
        topics = vector[:split].reshape(params.topics.shape).astype(params.topics.dtype)
        return TopicParams(topics, vector[split:])
