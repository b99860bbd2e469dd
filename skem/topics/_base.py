"""What every fitted topic model can do, from p(w|z) and p(z|d) alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skem._input import refuse_masks
from skem._validation import check_numbers, check_positive_integer, check_weights, unit_of
from skem.em._estimator import EMEstimatorMixin
from skem.topics._counts import Counts, check_counts, each_block
from skem.topics._split import split_tokens

_HALF = 0.5
"""Share of the tokens that document completion hides."""

_SUM_TOL = 1e-6
"""Largest distance of a sum of probabilities from one: room for mixtures in float32."""


class BaseTopicModel(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, EMEstimatorMixin, BaseEstimator
):
    """Methods that need ``components_``, ``topic_prior_`` and ``_infer(counts)``.

    ``_infer`` returns p(z|d), (n, k), of documents that have words, and `topic_prior_` for others.
    """

    components_: NDArray
    topic_prior_: NDArray
    n_features_in_: int
    n_components: int
    init: Any
    doc_topic_prior: Any
    topic_word_prior: Any
    random_state: Any
    fit: Callable[..., Any]
    n_jobs: int | None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _order(self, sizes: NDArray) -> Any:
        """Most frequent topic first, unless parameters were given for particular topics."""
        alike = np.ndim(self.doc_topic_prior) == 0 and np.ndim(self.topic_word_prior) < 2
        nameless = isinstance(self.init, str) and alike
        return np.argsort(-sizes, kind="stable") if nameless else slice(None)

    def _infer(self, counts: Counts) -> NDArray:
        raise NotImplementedError

    def _topics(self) -> NDArray:
        """p(w|z) as kernels take it, (n_features, n_components)."""
        return np.ascontiguousarray(self.components_.T)

    def _fitted_counts(self, X: Any) -> Counts:
        check_is_fitted(self)
        counts = check_counts(self, X, reset=False)
        return counts._replace(data=counts.data.astype(self.components_.dtype, copy=False))

    def _training_counts(
        self, X: Any, sample_weight: ArrayLike | None, *, reset: bool
    ) -> tuple[Counts, NDArray | None]:
        """Documents of positive weight, and their weights."""
        counts = check_counts(self, X, reset=reset)
        weight = check_weights(sample_weight, counts)
        if weight is not None and not weight.all():
            counts = counts.chosen(np.flatnonzero(weight))
            weight = weight[weight > 0]
        if not len(counts.data):
            raise ValueError(
                "X has no counts: all entries are zero (of documents with positive weight). Give "
                "at least one document with words; a vectorizer with another vocabulary may help."
            )
        if reset and len(counts.data) < self.n_components:
            raise ValueError(
                f"n_components={self.n_components} topics need at least as many entries of X above "
                f"zero, one for each to explain, but X has {len(counts.data)} (n_samples = "
                f"{counts.shape[0]}). Lower n_components."
            )
        return counts, weight

    def fit_transform(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> NDArray:
        """Fit topics, and return p(z|d) of the training documents.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Counts, or other weights that are not negative.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each document; default is one for each.

        Returns
        -------
        doc_topic : ndarray of shape (n_samples, n_components)
            Each row sums to one; the same as `transform` returns, also for documents of weight
            zero.
        """
        return self.fit(X, y, sample_weight=sample_weight).transform(X)

    def transform(self, X: Any) -> NDArray:
        """Return the topics of documents, p(z|d).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Counts, or other weights that are not negative.

        Returns
        -------
        doc_topic : ndarray of shape (n_samples, n_components)
            Each row sums to one. A document without words gets `topic_prior_`.
        """
        return self._infer(self._fitted_counts(X))

    def inverse_transform(self, X: ArrayLike) -> NDArray:
        """Return the words of documents, p(w|d) = sum_z p(z|d) p(w|z).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Their topics p(z|d), as returned by `transform`.

        Returns
        -------
        doc_word : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        refuse_masks(X, "X")
        X = np.asarray(X)
        shape = (X.shape[0] if X.ndim == 2 else -1, len(self.components_))
        mixtures = check_numbers(X, "X", shape, ("n_samples", "n_components"))
        return mixtures.astype(self.components_.dtype) @ self.components_

    def _log_likelihoods(self, counts: Counts, mixtures: NDArray) -> NDArray:
        """Log p(words of d|d) of each document, in nats."""
        from skem.topics._kernels import log_likelihoods

        topics, values = self._topics(), np.empty(counts.shape[0])

        def one(part: slice, some: Counts) -> None:
            log_likelihoods(*some.arrays, topics, mixtures[part], values[part])

        each_block(counts, one, self.n_jobs)
        return values

    def score_samples(self, X: Any) -> NDArray:
        """Log-likelihood of each document, sum_w x_w log p(w|d) in nats, at its own p(z|d).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            Without the multinomial coefficient. A word that no topic has gives -inf.

        Notes
        -----
        p(z|d) is fitted to the same words, so this is optimistic, and more so with more topics:
        choose their number by document completion (`perplexity`, `skem.topics.completion_score`).
        """
        counts = self._fitted_counts(X)
        return self._log_likelihoods(counts, self._infer(counts))

    def score(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean log-likelihood of a token, in nats; see `score_samples`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each document; default is one for each.

        Returns
        -------
        score : float
            Nats per token; higher is better.
        """
        counts = self._fitted_counts(X)
        return _per_token(self.score_samples(X), counts.sizes(), sample_weight, counts)

    def perplexity(
        self,
        X: Any,
        sample_weight: ArrayLike | None = None,
        *,
        method: str = "in-sample",
        random_state: Any = 0,
    ) -> float:
        """Exponential of minus the mean log-likelihood of a token; lower is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each document; default is one for each.
        method : {'in-sample', 'completion'}, default='in-sample'
            'in-sample' scores the words that p(z|d) is fitted to, and is optimistic; 'completion'
            fits p(z|d) to one half of the tokens of each document and scores the other half
            (Wallach, Murray, Salakhutdinov and Mimno 2009).
        random_state : int, RandomState instance or None, default=0
            Determines the halves.

        Returns
        -------
        perplexity : float

        Raises
        ------
        ValueError
            If ``method`` is another one, or no document has two tokens to split.
        """
        if method == "in-sample":
            return _exponential(-self.score(X, sample_weight=sample_weight))
        if method != "completion":
            raise ValueError(f"method must be 'in-sample' or 'completion', got {method!r}.")
        counts = self._fitted_counts(X)
        seen, hidden = split_tokens(counts, _HALF, check_random_state(random_state))
        if not len(hidden.data) or not len(seen.data):
            raise ValueError(
                "method='completion' needs documents of at least two tokens: X has none that "
                "could be split."
            )
        values = self._log_likelihoods(hidden, self._infer(seen))
        return _exponential(-_per_token(values, hidden.sizes(), sample_weight, counts))

    def sample(
        self,
        n_samples: int = 1,
        *,
        n_tokens: int = 100,
        doc_topic: ArrayLike | None = None,
        random_state: Any = None,
    ) -> tuple[sp.csr_array, NDArray]:
        """Draw documents from the fitted model.

        Parameters
        ----------
        n_samples : int, default=1
            Number of documents; not used if ``doc_topic`` is given.
        n_tokens : int, default=100
            Tokens of each document.
        doc_topic : array-like of shape (n_samples, n_components), default=None
            Topics p(z|d) of each document; by default, all have `topic_prior_` (PLSA), or they are
            drawn from the Dirichlet prior (LDA).
        random_state : int, RandomState instance or None, default=None
            Seed of this call; None is that of the estimator.

        Returns
        -------
        X : sparse array of shape (n_samples, n_features)
            Counts.
        doc_topic : ndarray of shape (n_samples, n_components)
            Topics p(z|d) of each document.
        """
        check_is_fitted(self)
        seed = self.random_state if random_state is None else random_state
        rng = check_random_state(seed)
        n_tokens = check_positive_integer(n_tokens, "n_tokens")
        if doc_topic is None:
            mixtures = self._draw_mixtures(check_positive_integer(n_samples, "n_samples"), rng)
        else:
            given = np.asarray(doc_topic)
            shape = (given.shape[0] if given.ndim == 2 else -1, len(self.components_))
            axes = ("n_samples", "n_components")
            mixtures = check_numbers(doc_topic, "doc_topic", shape, axes)
            if (mixtures < 0).any() or (abs(mixtures.sum(1) - 1) > _SUM_TOL).any():
                raise ValueError("doc_topic must hold probabilities; each row sums to 1.")
        rows = [
            sp.csr_array(rng.multinomial(n_tokens, p / p.sum())[None].astype(np.float64))
            for p in (m @ self.components_.astype(np.float64) for m in mixtures)
        ]
        return sp.vstack(rows, format="csr"), mixtures

    def _draw_mixtures(self, n: int, rng: np.random.RandomState) -> NDArray:
        """p(z|d) of documents to be drawn."""
        return np.tile(self.topic_prior_.astype(np.float64), (n, 1))


def _exponential(value: float) -> float:
    with np.errstate(over="ignore"):  # infinite if a prior outweighs the tokens
        return float(np.exp(value))


def _per_token(
    values: NDArray, sizes: NDArray, sample_weight: ArrayLike | None, counts: Counts
) -> float:
    """Weighted sum of the values over that of the sizes, without documents that have no tokens."""
    weight = check_weights(sample_weight, counts)
    w = np.ones(len(values)) if weight is None else weight / unit_of(weight)
    use = (sizes > 0) & (w > 0)
    if not use.any():
        raise ValueError("X has no tokens: all documents (of positive weight) are empty.")
    return float((w[use] @ values[use]) / (w[use] @ sizes[use]))
