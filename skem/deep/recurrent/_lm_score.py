"""Probabilities that a fitted recurrent language model gives to documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skem.deep.recurrent._base import Part, in_own_order
from skem.deep.recurrent._lm_use import LanguageModelUseMixin
from skem.deep.sequences._sequences import blocks
from skem.deep.sequences._spelling import Spelling
from skem.deep.sequences._text import Documents, Sequences


class LanguageModelScoreMixin(LanguageModelUseMixin):
    """Scores of documents by a fitted `RNNLanguageModel`, in nats."""

    unknown_score: str
    spelling_: Spelling | None

    def score_samples(self, X: Any) -> NDArray:
        """Log-probability of each sequence, in nats.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,), float32
            Sums over tokens. With an end token log p of the sequence among those of all lengths,
            otherwise among those of its length. Strings that are not in the vocabulary have the
            probability of the unknown token times that of their spelling, see ``unknown_score``.
        """
        check_is_fitted(self)
        return self._log_probs(self._read_documents(X, reset=False)).astype(np.float32)

    def score_tokens(self, X: Any) -> list[NDArray]:
        """Log-probability of each token given those before it, in nats: minus its surprise.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        log_prob : list of ndarray of shape (n_tokens,), float32
            For each document; the last one is that of its end, if there is an end token. Their sum
            is `score_samples`.
        """
        check_is_fitted(self)
        texts = self._read_documents(X, reset=False)
        sequences, _, back = in_own_order(self.vocabulary_.compact(texts))
        lengths = sequences.lengths + (self.vocabulary_.end is not None)
        starts = torch.from_numpy(np.cumsum(lengths) - lengths)
        found = np.empty(lengths.sum(), dtype=np.float32)

        def take(part: Part, log_p: Tensor) -> None:
            steps = part.first + torch.arange(len(log_p))
            at = starts[part.documents] + steps[:, None]
            valid = part.valid().cpu()
            found[at[valid].numpy()] = log_p.cpu()[valid].numpy()

        self._visit(sequences, take)
        documents = np.split(found, np.cumsum(lengths)[:-1])
        own = [documents[i].copy() for i in back]
        spelled = self._spelled(texts)
        if spelled is not None:
            for log_p, tokens in zip(own, texts.sequences, strict=True):
                log_p[: len(tokens)] += spelled[tokens]
        return own

    def _log_probs(self, texts: Documents) -> NDArray:
        """Log-probability of each document, (n_samples,), float64."""
        sequences, _, back = in_own_order(self.vocabulary_.compact(texts))
        total = torch.zeros(len(sequences), dtype=torch.float64)

        def add(part: Part, log_p: Tensor) -> None:
            total[part.documents] += log_p.double().masked_fill(~part.valid(), 0.0).sum(0).cpu()

        self._visit(sequences, add)
        log_p, spelled = total.numpy()[back], self._spelled(texts)
        if spelled is not None:
            for part, own, lengths in blocks(texts.sequences.offsets):
                document = np.repeat(np.arange(len(lengths)), lengths)
                values = spelled[texts.sequences.tokens[part]]
                log_p[own] += np.bincount(document, values, minlength=len(lengths))
        return log_p

    def _spelled(self, texts: Documents) -> NDArray | None:
        """What spelling adds to the log-probability of each different token; None for nothing."""
        if self.unknown_score == "symbol" or self.spelling_ is None:
            return None
        unknown = np.array([token not in self.vocabulary_ for token in texts.types], dtype=bool)
        if not unknown.any():
            return None
        added = np.zeros(len(unknown))
        words = [texts.types[i] for i in np.flatnonzero(unknown).tolist()]
        added[unknown] = self.spelling_.log_prob(words)
        return added

    def _visit(self, sequences: Sequences, function: Callable[[Part, Tensor], None]) -> None:
        """Give the function the log-probabilities (T, B) of the targets of each part."""
        module, dataset = self._module, self._next_tokens(sequences, self.vocabulary_)
        if not dataset.n_predictions:  # documents without tokens, of which no end is predicted
            return

        def one(part: Part) -> tuple[Tensor, ...]:
            log_p, state = module.log_prob_steps(part.tokens, part.targets, part.state)
            function(part, log_p)
            return state

        with self._inference() as device:
            self._in_parts(dataset, self._width, device, one)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-probability of a token over all documents, in nats: higher is better.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            Sum of `score_samples` divided by the number of tokens, including ends of documents if
            there is an end token.
        """
        check_is_fitted(self)
        texts = self._read_documents(X, reset=False)
        ends = 0 if self.vocabulary_.end is None else len(texts)
        n = len(texts.sequences.tokens) + ends
        if n == 0:
            raise ValueError("X has no tokens: every document is empty, and no end is predicted.")
        return float(self._log_probs(texts).sum() / n)

    def perplexity(self, X: Any) -> float:
        """Exponential of minus `score`; lower is better.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        perplexity : float
            Per token.
        """
        return float(np.exp(-self.score(X)))

    def bits_per_character(self, X: Any) -> float:
        """Compute bits per character, -log2 p divided by the length of the strings.

        Parameters
        ----------
        X : str or sequence of str
            Documents. Whatever the tokens, and with the ends of documents if they are predicted.

        Returns
        -------
        bits : float

        Raises
        ------
        ValueError
            If documents are not strings, or all of them empty.
        """
        check_is_fitted(self)
        texts = self._read_documents(X, reset=False)
        if texts.n_characters is None:
            raise ValueError(
                "bits_per_character needs documents that are strings, and X has tokens. "
                "perplexity takes any."
            )
        n = int(texts.n_characters.sum())
        if n == 0:
            raise ValueError("X has no characters: every document is empty.")
        return float(-self._log_probs(texts).sum() / n / np.log(2))
