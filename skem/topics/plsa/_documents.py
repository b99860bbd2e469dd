"""What a fitted PLSA says about documents."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem._numbers import NOT_ZERO
from skem.topics._base import BaseTopicModel
from skem.topics._counts import Counts, each_block
from skem.topics._limits import relative_powers
from skem.topics._units import divided, power_of, prior_of_documents
from skem.topics.plsa._model import FLOOR

_FOLD_IN_STEPS = 200
"""Maximum number of EM maps for the topics of one document."""

_FOLD_IN_SHARE, _FOLD_IN_TOL = 0.02, 1e-6
"""Tolerance of these maps in nats per token: this share of ``tol``, so that their error is small
compared with that of the topics, but at least the second, which makes no practical difference."""


class PLSADocuments(BaseTopicModel):
    """Mixtures of documents under fixed topics; for the estimator."""

    tol: float
    temperature_: float
    _doc_exponents: NDArray  # of the Dirichlet prior that `components_` were fitted under

    def _infer(self, counts: Counts) -> NDArray:
        """Each document in a unit of its own, so that none depends on the other documents."""
        powers = power_of(counts.sizes())
        if (powers == powers[0]).all():
            return self._fold_in(counts, int(powers[0]))
        mixtures = np.empty((counts.shape[0], len(self.components_)), self.components_.dtype)
        for power in np.unique(powers):
            rows = np.flatnonzero(powers == power)
            mixtures[rows] = self._fold_in(counts.chosen(rows), int(power))
        return mixtures

    def _fold_in(self, counts: Counts, unit: int) -> NDArray:
        """Mixtures of documents that are divided by 2 ** unit."""
        from skem.topics._fold_in_kernels import fold_in

        counts, prior = divided(counts, unit), prior_of_documents(self._doc_exponents, unit)
        k, dtype = len(self.components_), self.components_.dtype
        power, topics, start = 1 / self.temperature_, self._topics(), self.topic_prior_
        if power != 1:
            topics, _ = relative_powers(topics, power, 1)
        mixtures = np.empty((counts.shape[0], k), dtype)

        def one(part: slice, some: Counts) -> None:
            fold_in(
                *some.arrays,
                topics,
                start,
                prior,
                FLOOR,
                float(power),
                max(_FOLD_IN_SHARE * self.tol, _FOLD_IN_TOL),
                _FOLD_IN_STEPS,
                mixtures[part],
            )

        each_block(counts, one, self.n_jobs)
        return mixtures

    def symmetric_factors(self, X: Any) -> tuple[NDArray, NDArray, NDArray]:
        """The symmetric view, p(d, w) = sum_z p(z) p(d|z) p(w|z), of some documents.

        p(d) is the share of all tokens that the document has.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        topic_prior : ndarray of shape (n_components,)
            Topics of these documents together, p(z).
        doc_given_topic : ndarray of shape (n_components, n_samples)
            Documents of each topic, p(d|z); each row sums to one.
        word_given_topic : ndarray of shape (n_components, n_features)
            Words of each topic, p(w|z): `components_`.
        """
        counts = self._fitted_counts(X)
        sizes = counts.sizes()
        if not sizes.any():
            raise ValueError("X has no counts: all entries are zero.")
        joint = (self._infer(counts) * (sizes / sizes.sum())[:, None]).T
        prior = joint.sum(1)
        return prior, joint / np.maximum(prior, NOT_ZERO)[:, None], self.components_
