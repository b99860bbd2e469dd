"""What a fitted latent Dirichlet allocation says about documents."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem.topics._base import BaseTopicModel
from skem.topics._counts import Counts, each_block
from skem.topics._units import check_tokens

NEW_STEPS, NEW_TOL = 100, 1e-4
"""Maximum number of steps for a new document, and their tolerance, as a share of its tokens that
still change topic."""


class LDADocuments(BaseTopicModel):
    """Mixtures and bounds of documents under fixed topics; for the estimator."""

    inference: str
    doc_topic_prior_: NDArray

    def _fitted_counts(self, X: Any) -> Counts:
        counts = super()._fitted_counts(X)
        check_tokens(counts)
        return counts

    def _expected_counts(self, counts: Counts) -> NDArray:
        """Expected counts of topics in documents, (n, k), without the prior."""
        from skem.topics.lda._kernels import cvb0_fold_in
        from skem.topics.lda._vb_kernels import vb_fold_in

        dtype, alpha = self.components_.dtype, self.doc_topic_prior_
        docs = np.outer(counts.sizes(), alpha / alpha.sum()).astype(dtype)
        topics = self._topics()
        # that of the fit; topics that were set by hand know no other than the parameter
        inference = getattr(self, "_inference", self.inference)

        def one(part: slice, some: Counts) -> None:
            if inference == "cvb0":
                priors = alpha.astype(dtype)
                cvb0_fold_in(*some.arrays, topics, priors, NEW_TOL, NEW_STEPS, docs[part])
            else:
                vb_fold_in(*some.arrays, topics, alpha, NEW_TOL, NEW_STEPS, docs[part])

        each_block(counts, one, self.n_jobs)
        return docs

    def _infer(self, counts: Counts) -> NDArray:
        mixtures = self._expected_counts(counts) + self.doc_topic_prior_
        mixtures /= mixtures.sum(1, keepdims=True)
        return mixtures.astype(self.components_.dtype)

    def score_samples(self, X: Any) -> NDArray:
        """Evidence lower bound of each document on log p(words of d) at `components_`, in nats.

        p(z|d) is integrated out, under the Dirichlet distribution that maximises the bound,
        whatever ``inference`` is. The bound has several maxima, and the highest of three is used:
        they are found from the main topics of the document and from the main topic of each of its
        words, both according to `transform`, and from the single topic that explains it best.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        bound : ndarray of shape (n_samples,)
            Without the multinomial coefficient.
        """
        from skem.topics.lda._vb_kernels import assigned, document_bounds, of_one_topic, vb_fold_in

        counts = self._fitted_counts(X)
        docs, topics, alpha = self._expected_counts(counts), self._topics(), self.doc_topic_prior_
        values = np.full(counts.shape[0], -np.inf)

        def one(part: slice, some: Counts) -> None:
            by_word, alone = np.empty((2, *docs[part].shape), docs.dtype)
            assigned(*some.arrays, topics, alpha, docs[part], by_word)
            of_one_topic(*some.arrays, topics, alpha, alone)
            bounds = np.empty(len(by_word))
            for start in (_sharpened(docs[part]), by_word, alone):
                vb_fold_in(*some.arrays, topics, alpha, NEW_TOL, NEW_STEPS, start)
                document_bounds(*some.arrays, topics, alpha, start, bounds)
                np.maximum(values[part], bounds, out=values[part])

        each_block(counts, one, self.n_jobs)
        return values

    def _draw_mixtures(self, n: int, rng: np.random.RandomState) -> NDArray:
        return rng.dirichlet(self.doc_topic_prior_, n)


def _sharpened(docs: NDArray) -> NDArray:
    """Expected counts (n, k) with the same sums, in which the larger ones are increased."""
    shares = docs / np.maximum(docs.sum(axis=1, keepdims=True), np.finfo(docs.dtype).tiny)
    squares = shares**2
    squares /= np.maximum(squares.sum(axis=1, keepdims=True), np.finfo(docs.dtype).tiny)
    return squares * docs.sum(axis=1, keepdims=True)
