"""What a fitted recurrent tagger is asked: tags, their probabilities, and how many are right."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skem.deep.recurrent._labels import LabelledSequencesMixin
from skem.deep.sequences._labelled import Inputs, Words
from skem.deep.sequences._letters import lowered, spelled
from skem.deep.sequences._sequences import id_type
from skem.deep.sequences._tags import Tags, TokenLists, may_be_padded, read_tags
from skem.deep.sequences._text import Documents, Sequences, Vocabulary

_BLOCK = 1 << 12
"""Tokens whose tags are compared at once."""


class TaggerUseMixin(LabelledSequencesMixin):
    """The methods of `RNNTagger` that need a fit."""

    lowercase: bool
    letters_: Vocabulary | None

    def predict_log_proba(self, X: Any) -> list[NDArray]:
        """Log-probability of each tag of each token, in nats.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        log_proba : list of ndarray of shape (n_tokens, n_tags)
            For each document; columns in the order of ``classes_``.
        """
        log_p, sequences = self._at_tokens(X)
        return np.split(log_p, sequences.offsets[1:-1])

    def predict_proba(self, X: Any) -> list[NDArray]:
        """Probability of each tag of each token.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        proba : list of ndarray of shape (n_tokens, n_tags)
            For each document; columns in the order of ``classes_``.
        """
        log_p, sequences = self._at_tokens(X)
        return np.split(np.exp(log_p, out=log_p), sequences.offsets[1:-1])

    def predict(self, X: Any) -> list[list]:
        """The most probable tag of each token.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        y : list of list of tags
            For each document. `numpy.asarray` makes one object of each list, unless X is a matrix
            without padding, of whose tags it makes a matrix.
        """
        codes, sequences = self._at_tokens(X, likeliest=True)
        tags = self.classes_.tolist()
        bounds = itertools.pairwise(sequences.offsets.tolist())
        found = [[tags[i] for i in codes[start:stop].tolist()] for start, stop in bounds]
        whole = may_be_padded(X) and (sequences.lengths == X.shape[1]).all()
        return found if whole else TokenLists(found)

    def score(self, X: Any, y: Any) -> float:
        """Share of tokens whose tag is predicted correctly.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.
        y : sequence of sequences of tags, or array-like of shape (n_samples, n_tokens)
            Their tags. Tags that were not in `fit` are never right.

        Returns
        -------
        score : float
        """
        codes, sequences = self._at_tokens(X, likeliest=True)
        tags = read_tags(y, sequences.lengths, padded=may_be_padded(X))
        if not len(codes):
            raise ValueError("X has no tokens: every document is empty.")
        self._check_same_kind(tags)
        same = self.classes_[:, None] == tags.classes  # (n_tags of fit, n_tags of y)
        right = sum(
            int(same[codes[p], tags.codes[p]].sum()) for p in gen_batches(len(codes), _BLOCK)
        )
        return right / len(codes)

    def _check_same_kind(self, tags: Tags) -> None:
        if (tags.classes.dtype.kind in "US") != (self.classes_.dtype.kind in "US"):
            raise ValueError(
                f"y has tags such as {tags.classes[0].item()!r}, and those of fit are such as "
                f"{self.classes_[0].item()!r}. Give tags of that kind."
            )

    def _at_tokens(self, X: Any, likeliest: bool = False) -> tuple[NDArray, Sequences]:
        """Log-probabilities of tags, (n_tokens, n_tags), or the likeliest tag, (n_tokens,).

        Of all tokens, one document after the other.
        """
        check_is_fitted(self)
        texts = self._read_documents(X, reset=False)
        given = texts.sequences
        texts = texts.take(np.flatnonzero(given.lengths))
        n_tags = len(self.classes_)
        if not len(texts):
            return np.empty(0 if likeliest else (0, n_tags)), given
        sequences, words = self._arrays(texts, self.vocabulary_, self.letters_)
        dataset = Inputs(sequences, words)
        n, lengths = len(sequences.tokens), sequences.lengths
        found = np.empty(n, id_type(n_tags)) if likeliest else np.empty((n, n_tags))

        def take(rows: Tensor, log_p: Tensor) -> None:
            at = dataset.positions(rows).numpy()
            valid = np.arange(len(at))[:, None] < lengths[rows]
            found[at[valid]] = log_p.numpy().argmax(1) if likeliest else log_p.numpy()

        self._visit(dataset, sequences, take)
        return found, given

    def _arrays(
        self, texts: Documents, vocabulary: Vocabulary, letters: Vocabulary | None
    ) -> tuple[Sequences, Words | None]:
        """Documents as ids of words, and with the letters of each different word."""
        sequences = vocabulary.compact(lowered(texts) if self._as_fitted("lowercase") else texts)
        if letters is None:
            return sequences, None
        return sequences, Words(texts.sequences, spelled(texts, letters))
