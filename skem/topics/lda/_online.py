"""LDA on batches of documents, whose own counts are inferred in the E step and not kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem.em import EMModelBase, Rows
from skem.topics._counts import Counts
from skem.topics._limits import counts_of_type
from skem.topics.lda._model import CVB0Model, LDAModel, LDAParams, LDAStatistics, VBModel


class SharedStatistics(NamedTuple):
    """Statistics of a batch, without those of its documents."""

    log_likelihood: float
    weight: float
    words: NDArray
    gains: NDArray
    loss: float


class OnlineLDAModel(EMModelBase):
    """An `LDAModel` for stepwise EM (Hoffman et al. 2010; Foulds et al. 2013).

    Parameters
    ----------
    model : VBModel or CVB0Model
    """

    keeps_order = True

    def __init__(self, model: LDAModel):
        self.model = model

    def expected_statistics(self, params: LDAParams, rows: Rows) -> SharedStatistics:
        counts: Counts = rows.X
        own = params._replace(docs=self.model.new_docs(counts, params))
        block = rows if rows.start == 0 else Rows(0, rows.X, rows.weight)
        s: LDAStatistics = self.model.expected_statistics(own, block)
        # in float64, because the counts of old batches fade with each new one
        shared = SharedStatistics(s.log_likelihood, s.weight, s.words, s.gains, s.loss)
        return shared._replace(words=s.words.astype(np.float64))

    @property
    def extra(self) -> NDArray | None:
        """``extra`` of the model."""
        return self.model.extra

    def statistics_of(self, params: LDAParams, total: float) -> SharedStatistics:
        """Statistics of documents of so many tokens; those for the priors are not known."""
        words = params.words.astype(np.float64)
        if self.extra is not None:
            words = np.maximum(words - self.extra, 0.0)
        return SharedStatistics(0.0, total, words, np.zeros(len(params.alpha)), 0.0)

    def bound(self, statistics: SharedStatistics, params: LDAParams) -> float:
        return statistics.log_likelihood / statistics.weight

    def maximize(self, statistics: SharedStatistics, params: LDAParams) -> LDAParams:
        dtype = params.words.dtype
        full = LDAStatistics(*statistics, (params.docs,))
        full = full._replace(words=counts_of_type(full.words, dtype))
        return self.model.maximize(full, params)

    def to_vector(self, params: LDAParams) -> NDArray:
        """Shares of the expected counts: the counts themselves grow from batch to batch."""
        shares = params.words / params.words.sum(dtype=np.float64)
        return np.concatenate([shares.ravel(), params.alpha, [params.eta]])

    def from_vector(self, vector: NDArray, params: LDAParams) -> LDAParams:
        split, k = params.words.size, len(params.alpha)
        shares = vector[:split].reshape(params.words.shape)
        words = shares * params.words.sum(dtype=np.float64)
        return params._replace(
            words=counts_of_type(words, params.words.dtype),
            alpha=vector[split : split + k],
            eta=float(vector[split + k]),
        )


def make_model(
    inference: str,
    *,
    learn_priors: bool,
    max_doc_iter: int,
    doc_tol: float,
    extra: NDArray | None = None,
) -> LDAModel:
    """The model of that kind of inference."""
    kind = VBModel if inference == "vb" else CVB0Model
    return kind(learn_priors=learn_priors, max_doc_iter=max_doc_iter, doc_tol=doc_tol, extra=extra)
