"""What a fitted recurrent tagger is asked: tags, their probabilities, and how many are right."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skem.deep._labelled import Labelled
from skem.deep._letters import lowered, spelled
from skem.deep._rnn_labels import LabelledSequencesMixin
from skem.deep._tags import Tags, may_be_padded, read_tags
from skem.deep._text import Documents, Sequences, Vocabulary, check_lengths


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
        log_p, sequences = self._log_probs(X)
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
        log_p, sequences = self._log_probs(X)
        return np.split(np.exp(log_p), sequences.offsets[1:-1])

    def predict(self, X: Any) -> list[list]:
        """The most probable tag of each token.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        y : list of list of tags
            For each document.
        """
        log_p, sequences = self._log_probs(X)
        tags = self.classes_[log_p.argmax(1)].tolist()
        bounds = sequences.offsets.tolist()
        return [tags[start:stop] for start, stop in itertools.pairwise(bounds)]

    def score(self, X: Any, y: Any) -> float:
        """Share of tokens whose tag is right.

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
        log_p, sequences = self._log_probs(X)
        tags = read_tags(y, sequences.lengths, padded=may_be_padded(X))
        self._check_same_kind(tags)
        return float(np.mean(self.classes_[log_p.argmax(1)] == tags.classes[tags.codes]))

    def _check_same_kind(self, tags: Tags) -> None:
        if (tags.classes.dtype.kind in "US") != (self.classes_.dtype.kind in "US"):
            raise ValueError(
                f"y has tags such as {tags.classes[0].item()!r}, and those of fit are such as "
                f"{self.classes_[0].item()!r}. Give tags of that kind."
            )

    def _log_probs(self, X: Any) -> tuple[NDArray, Sequences]:
        """Of all tokens, one document after the other, (n_tokens, n_tags)."""
        check_is_fitted(self)
        texts = self._read_documents(X, reset=False)
        check_lengths(texts.sequences, 1)
        sequences, letters = self._arrays(texts, self.vocabulary_, self.letters_)
        dataset = Labelled(
            sequences, types=None if letters is None else texts.sequences, letters=letters
        )
        log_p = np.empty((len(sequences.tokens), len(self.classes_)))
        for rows, found in self._logits(dataset, sequences):
            at = dataset.positions(rows)
            valid = np.arange(len(at))[:, None] < sequences.lengths[rows]
            log_p[at.numpy()[valid]] = found
        return log_p, sequences

    def _arrays(
        self, texts: Documents, words: Vocabulary, letters: Vocabulary | None
    ) -> tuple[Sequences, Sequences | None]:
        """Words of documents, and the letters of each different word."""
        sequences = words.encode(lowered(texts) if self.lowercase else texts)
        return sequences, None if letters is None else spelled(texts, letters)
