"""Latent Dirichlet allocation as the engine sees it.

    theta_d ~ Dirichlet(alpha),  phi_z ~ Dirichlet(eta),  z ~ theta_d,  w ~ phi_z

Variational Bayes takes Dirichlet distributions of theta and phi, and its bound never falls. CVB0
integrates theta and phi out, works with expected counts, and has no bound: what it reports is the
log-likelihood at mean parameters.

Conventions:
    words (p, k)   expected counts of words in topics, without the prior
    docs (n, k)    expected counts of topics in documents: local parameters
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from skem.em import EMModelBase, Rows
from skem.topics._counts import Counts, tokens_of, weights_of
from skem.topics._derived import Derived
from skem.topics.lda._dirichlet import LARGEST, SMALLEST, fit_dirichlet, fit_symmetric

_BEFORE_LEARNING = 10
"""EM maps before priors are learned: earlier ones would be those of the start."""

_LEARN_EVERY = 5
"""EM maps of CVB0 between two updates of the priors, which cost a pass over the documents."""

_FREQUENT_UPDATES = 10
"""Updates of the priors after which they move little, and the interval doubles."""

_OF_BOUND, _OF_TERMS = 64, 4
"""Rounding error of a bound, and of each of its terms that may cancel, in units of eps times the
size: the first as in `EMModelBase.rounding`."""


class LDAParams(NamedTuple):
    """Parameters; ``age`` is the number of M steps that have made them."""

    words: NDArray
    docs: NDArray
    alpha: NDArray  # (k,)
    eta: float
    age: int = 0


class LDAStatistics(NamedTuple):
    """Sums over documents; the counts of each document are its own."""

    log_likelihood: float
    weight: float  # tokens
    words: NDArray  # (p, k)
    gains: NDArray  # (k,): needed to learn alpha
    loss: float  # the same
    local: tuple


class LDAModel(EMModelBase):
    """What both kinds of inference share.

    Parameters
    ----------
    learn_priors : bool
    max_doc_iter : int
        Steps for a document in an E step.
    doc_tol : float
        Those end when its expected counts move by less than this, per topic.
    extra : ndarray of shape (p, k), default=None
        What the Dirichlet parameters of words in topics have above ``eta``. Such a prior is not
        learned; the counts ``words`` of parameters then contain it, those of statistics do not.
    """

    keeps_order = False  # of the topics: batches keep that of the first one

    def __init__(
        self,
        *,
        learn_priors: bool,
        max_doc_iter: int,
        doc_tol: float,
        extra: NDArray | None = None,
    ):
        self.learn_priors = learn_priors
        self.extra = extra
        self.max_doc_iter = max_doc_iter
        self.doc_tol = doc_tol
        self._derived = Derived()

    def expected_statistics(self, params: LDAParams, rows: Rows) -> LDAStatistics:
        raise NotImplementedError

    def maximize(self, statistics: LDAStatistics, params: LDAParams) -> LDAParams:
        raise NotImplementedError

    def _learning(self, params: LDAParams, every: int) -> bool:
        age = params.age + 1 - _BEFORE_LEARNING
        if every > 1 and age >= _FREQUENT_UPDATES * every:
            every *= 2
        return self.learn_priors and age >= 0 and age % every == 0

    def with_prior(self, words: NDArray) -> NDArray:
        """Counts of statistics as those of parameters."""
        return words if self.extra is None else words + self.extra.astype(words.dtype)

    def mean_topics(self, params: LDAParams) -> NDArray:
        """E[p(w|z)], (p, k)."""
        topics = params.words + params.eta
        return topics / topics.sum(0)

    def new_docs(self, counts: Counts, params: LDAParams) -> NDArray:
        """Expected counts of topics in new documents, from which their E step begins."""
        docs = np.outer(counts.sizes(), params.alpha / params.alpha.sum())
        return docs.astype(params.words.dtype)

    def to_vector(self, params: LDAParams) -> NDArray:
        return np.concatenate([params.words.ravel(), params.docs.ravel()])

    def from_vector(self, vector: NDArray, params: LDAParams) -> LDAParams:
        split = params.words.size
        words = np.maximum(vector[:split].reshape(params.words.shape), 0.0)
        docs = np.maximum(vector[split:].reshape(params.docs.shape), 0.0)
        return params._replace(words=words, docs=docs)


class VBModel(LDAModel):
    """Variational Bayes (Blei, Ng and Jordan 2003; Hoffman, Blei and Bach 2010)."""

    def _expectations(self, params: LDAParams) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Exp E[log p(w|z)] relative to the largest of each word, logs of these, and two sums."""
        from skem.topics.lda._kernels import topic_expectations

        p, k = params.words.shape
        phi, tops = np.empty_like(params.words), np.empty(p)
        shift, logs = np.empty(k), np.zeros(k)
        topic_expectations(params.words, params.eta, phi, tops, shift, logs)
        return phi, tops, shift, logs

    def expected_statistics(self, params: LDAParams, rows: Rows) -> LDAStatistics:
        from skem.topics._kernels import multiply_rows
        from skem.topics.lda._vb_kernels import vb_e_step

        phi, tops, shift, _ = self._derived.of(params, self._expectations)
        counts: Counts = rows.X
        weight = weights_of(rows)
        docs = params.docs[rows.start : rows.start + counts.shape[0]].copy()
        words, logs = np.zeros(phi.shape, phi.dtype), np.zeros(len(params.alpha))
        values = np.empty(len(docs))
        vb_e_step(
            *counts.arrays,
            weight,
            phi,
            tops,
            (params.words, float(params.eta), shift),
            params.alpha,
            self.doc_tol,
            self.max_doc_iter,
            docs,
            words,
            logs,
            values,
        )
        multiply_rows(words, phi)
        w = weight if weight.size else np.ones(len(docs))
        size = tokens_of(rows)
        return LDAStatistics(float(w @ values), size, words, logs, float(w.sum()), (docs,))

    def maximize(self, statistics: LDAStatistics, params: LDAParams) -> LDAParams:
        alpha, eta = params.alpha, params.eta
        if self._learning(params, 1):
            alpha = fit_dirichlet(statistics.gains / statistics.loss, alpha)
            if self.extra is None:
                *_, logs = self._derived.of(params, self._expectations)
                eta = fit_symmetric(logs.sum() / params.words.size, eta, len(params.words))
        docs = np.concatenate(statistics.local)
        words = self.with_prior(statistics.words)
        return LDAParams(words, docs, alpha, eta, params.age + 1)

    def bound(self, statistics: LDAStatistics, params: LDAParams) -> float:
        from skem.topics.lda._kernels import dirichlet_columns

        topics = dirichlet_columns(params.words, params.eta)
        if self.extra is not None:
            topics += self._of_extra(params, self.extra)
        return (statistics.log_likelihood + topics) / statistics.weight

    def _of_extra(self, params: LDAParams, extra: NDArray) -> float:
        """Log p(topics) under the prior, less that under the prior without ``extra``."""
        counts, eta = params.words.astype(np.float64), params.eta
        p = len(counts)
        logs = digamma(counts + eta) - digamma(counts.sum(0) + p * eta)
        scale = gammaln((extra + eta).sum(0)) - gammaln(p * eta)
        return float((extra * logs - gammaln(extra + eta) + gammaln(eta)).sum() + scale.sum())

    def rounding(self, statistics: LDAStatistics, params: LDAParams) -> float:
        """That of the bound, and of the terms of words and documents, which may cancel."""
        eps = np.finfo(params.words.dtype).eps
        (p, k), alpha, eta = params.words.shape, params.alpha, params.eta
        terms = k * (p * (1 + abs(gammaln(eta))) + abs(gammaln(p * eta)))
        terms += len(params.docs) * (k + abs(gammaln([*alpha, alpha.sum()])).sum())
        error = _OF_TERMS * np.finfo(np.float64).eps * terms / statistics.weight
        return float(error + _OF_BOUND * eps * max(1.0, abs(self.bound(statistics, params))))


class CVB0Model(LDAModel):
    """Collapsed variational Bayes of order zero (Asuncion, Welling, Smyth and Teh 2009)."""

    monotone = False

    @property
    def settled_after(self) -> int:
        """EM maps before which the fit must not stop, because priors are learned later."""
        return 2 * _BEFORE_LEARNING if self.learn_priors else 0

    def _predictive(self, params: LDAParams) -> tuple[NDArray, NDArray, NDArray]:
        """(n_wz + eta) / (n_z + p eta), 1 / (n_z + p eta) and alpha, in the dtype of the counts."""
        p = len(params.words)
        dtype = params.words.dtype
        totals = params.words.sum(0, dtype=np.float64) + p * params.eta
        inverse = (1 / totals).astype(dtype)
        phi = (params.words + dtype.type(params.eta)) * inverse
        return phi, inverse, params.alpha.astype(dtype)

    def new_docs(self, counts: Counts, params: LDAParams) -> NDArray:
        from skem.topics.lda._kernels import cvb0_fold_in

        dtype = params.words.dtype
        topics = self.mean_topics(params).astype(dtype)
        docs = np.empty((counts.shape[0], len(params.alpha)), dtype)
        alpha = params.alpha.astype(dtype)
        cvb0_fold_in(*counts.arrays, topics, alpha, self.doc_tol, self.max_doc_iter, docs)
        return docs

    def expected_statistics(self, params: LDAParams, rows: Rows) -> LDAStatistics:
        from skem.topics.lda._kernels import cvb0_e_step, minka_terms

        phi, inverse, alpha = self._derived.of(params, self._predictive)
        counts: Counts = rows.X
        weight = weights_of(rows)
        docs = params.docs[rows.start : rows.start + counts.shape[0]].copy()
        words, values = np.zeros(phi.shape, phi.dtype), np.empty(len(docs))
        eta = phi.dtype.type(params.eta)
        cvb0_e_step(*counts.arrays, weight, phi, inverse, eta, alpha, docs, words, values)
        gains, loss = np.zeros(len(alpha)), 0.0
        if self._learning(params, _LEARN_EVERY):
            loss = minka_terms(*counts.arrays, weight, phi, docs, params.alpha, gains)
        w = weight if weight.size else np.ones(len(docs))
        size = tokens_of(rows)
        return LDAStatistics(float(w @ values), size, words, gains, loss, (docs,))

    def maximize(self, statistics: LDAStatistics, params: LDAParams) -> LDAParams:
        from skem.topics.lda._kernels import symmetric_minka_terms

        alpha, eta = params.alpha, params.eta
        if self._learning(params, _LEARN_EVERY):
            if statistics.loss > 0:  # documents of nearly no tokens say nothing about priors
                alpha = np.clip(alpha * statistics.gains / statistics.loss, SMALLEST, LARGEST)
            if self.extra is None:
                gain, loss = symmetric_minka_terms(statistics.words, eta)
                if gain > 0 and loss > 0:
                    eta = float(np.clip(eta * gain / loss, SMALLEST, LARGEST))
        docs = np.concatenate(statistics.local)
        words = self.with_prior(statistics.words)
        return LDAParams(words, docs, alpha, eta, params.age + 1)
