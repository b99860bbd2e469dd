"""Scores of pairs by a fitted encoder–decoder, and where it looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skem._validation import check_weights
from skem.deep.modules.beam import Chances, mean_of_members
from skem.deep.modules.sequence import Tokens
from skem.deep.seq2seq._error_rate import edit_distances, rate_of
from skem.deep.seq2seq._use import Seq2SeqUseMixin
from skem.deep.sequences._documents import Documents, Tokenizer
from skem.deep.sequences._labelled import Inputs, inference_groups
from skem.deep.sequences._pairs import beside, next_tokens
from skem.deep.sequences._targets import read_targets
from skem.deep.sequences._text import Sequences


class Seq2SeqScoreMixin(Seq2SeqUseMixin):
    """Scores of pairs, and attention, of a fitted `RNNSeq2Seq`."""

    target_tokenizer: Tokenizer

    # ------------------------------------------------------------------ log p
    def score_samples(self, X: Any, y: Any = None) -> NDArray:
        """Log-probability of each y given its x, log p(y | x), in nats.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Sequences, as in `fit`, of at least one token.
        y : sequence of documents, or array-like of int, default=None
            Outputs, as targets were in `fit`; they may be empty. Those that are predicted if None.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Sums over the tokens of y and its end. Over all outputs of all lengths p sums to one;
            if targets were an array of numbers without padding, over those of its number of
            columns, and there is no end.

        Raises
        ------
        ValueError
            If X and y have different lengths, an x is empty, or a token of y is not in the
            vocabulary and there is no unknown one.
        """
        log_p, targets = self._log_p_of_tokens(X, y)
        owner = np.repeat(np.arange(len(targets)), targets.lengths)
        return np.bincount(owner, log_p, minlength=len(targets))

    def score_tokens(self, X: Any, y: Any = None) -> list[NDArray]:
        """Log-probability of each token of y, given x and the tokens before it, in nats.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Sequences, as in `fit`, of at least one token.
        y : sequence of documents, or array-like of int, default=None
            Outputs, as targets were in `fit`; they may be empty. Those that are predicted if None.

        Returns
        -------
        log_prob : list of ndarray of shape (n_tokens + 1,)
            For each pair; the last one is that of the end, if there is one. Their sum is
            `score_samples`.
        """
        log_p, targets = self._log_p_of_tokens(X, y)
        return [part.copy() for part in np.split(log_p, targets.offsets[1:-1])]

    def predict_next_proba(self, X: Any, y: Any) -> NDArray:
        """Give the probabilities of the token that follows each beginning y of an output.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Sequences, as in `fit`, of at least one token.
        y : sequence of documents
            Beginnings of outputs: strings or lists of tokens, as targets were in `fit`; they may be
            empty.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_vocabulary)
            Columns are those of ``target_vocabulary_.tokens_``.
        """
        source, target = self._pairs(X, y, whole=False)
        wanted = self._form.n_tokens
        if wanted is not None and (target.lengths >= wanted).any():
            raise ValueError(
                f"y must have fewer tokens than the {wanted} of a whole output: nothing follows."
            )
        found = np.empty((len(source), self.target_vocabulary_.size))
        inputs, at = Inputs(target.framed(start=self.target_vocabulary_.size)), target.lengths

        def take(rows: Tensor, x: Tokens) -> None:
            ids, _ = inputs.inputs(rows, x.ids.device)
            last = torch.from_numpy(at)[rows], torch.arange(len(rows))
            log_p = [m.log_chances(m.features(x, ids.ids)[last]) for m in self._members]
            found[rows] = mean_of_members(log_p).double().exp().cpu().numpy()

        self._visit(source, target, take)
        return found

    def _log_p_of_tokens(self, X: Any, y: Any) -> tuple[NDArray, Sequences]:
        """Of all tokens, one pair after the other, float64, and the targets with their ends."""
        source, target = self._pairs(X, y)
        steps = next_tokens(target, self.target_vocabulary_.size, self.target_vocabulary_.end)
        inputs, targets = map(Inputs, steps)
        found = np.empty(len(steps[1].tokens))

        def take(rows: Tensor, x: Tokens) -> None:
            ids, wanted = (
                inputs.inputs(rows, x.ids.device)[0],
                targets.inputs(rows, x.ids.device)[0],
            )
            parts = [member.log_prob(x, ids.ids, wanted.ids) for member in self._members]
            log_p = mean_of_members(parts).cpu()
            there = wanted.valid().cpu()
            found[targets.positions(rows)[there].numpy()] = log_p[there].numpy()

        self._visit(source, target, take)
        return found, steps[1]

    def _pairs(self, X: Any, y: Any, *, whole: bool = True) -> tuple[Sequences, Sequences]:
        """Ids of x and y, the latter without start and end.

        Raises
        ------
        ValueError
            If they do not belong together, or ``whole`` outputs do not have the length of all.
        """
        source = self._read_sources(X)
        if y is None:
            outputs = self._search(source, self._beam_width(), 1)
            return source, Sequences.from_list([ids for ((ids, _),) in outputs])
        target = self.target_vocabulary_.compact(self._read_outputs(y, len(source)), name="y")
        if whole:
            self._check_width(target)
        return source, target

    def _check_width(self, targets: Sequences) -> None:
        wanted = self._form.n_tokens
        if wanted is not None and (targets.lengths != wanted).any():
            raise ValueError(
                f"y must have {wanted} token{'s' * (wanted > 1)} in each row, as in fit."
            )

    def _read_outputs(self, y: Any, n: int) -> Documents:
        return read_targets(y, self._as_fitted("target_tokenizer"), n)[0]

    def _visit(
        self, source: Sequences, target: Sequences, function: Callable[[Tensor, Tokens], None]
    ) -> None:
        """Give the function numbers of pairs of about equally long sequences, and their x."""
        dataset = Inputs(source)
        with self._inference() as device:
            for rows in inference_groups(beside(source, target), self._width):
                function(rows, dataset.inputs(rows, device)[0])

    # ------------------------------------------------------------------ how many are right
    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Share of sequences whose output is right as a whole.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Sequences, as in `fit`, of at least one token.
        y : sequence of documents, or array-like of int
            Their targets, as in `fit`. Those with tokens that were not in `fit` are never right.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the pairs.

        Returns
        -------
        score : float
        """
        edits, _ = self._edits(X, y)
        weight = check_weights(sample_weight, np.empty((len(edits), 0)))
        return float(np.average(edits == 0, weights=weight))

    def error_rate(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Edit distance from outputs to targets, a token of the targets: lower is better.

        Insertions, deletions and substitutions of tokens over the number of tokens of y: the phone,
        character or word error rate. `token_error_rate_scorer` is its negative for searches.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Sequences, as in `fit`, of at least one token.
        y : sequence of documents, or array-like of int
            Their targets, as in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the pairs.

        Returns
        -------
        rate : float

        Raises
        ------
        ValueError
            If all of y is empty.
        """
        return rate_of(*self._edits(X, y), sample_weight)

    def _edits(self, X: Any, y: Any) -> tuple[NDArray, NDArray]:
        """Edit distances, and tokens of y, (n_samples,)."""
        sequences = self._read_sources(X)
        wanted = self._read_outputs(y, len(sequences))
        self.target_vocabulary_.check_kind(wanted, "y")
        self._check_width(wanted.sequences)
        outputs = self._search(sequences, self._beam_width(), 1)
        found = Sequences.from_list([ids for ((ids, _),) in outputs])
        vocabulary = self.target_vocabulary_
        documents = Documents(vocabulary.kind, vocabulary.tokens_, found)
        return edit_distances(documents, wanted), wanted.sequences.lengths

    # ------------------------------------------------------------------ attention
    def attention_weights(self, X: Any, y: Any = None) -> list[NDArray]:
        """How much each token of y has looked at each token of x.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Sequences, as in `fit`, of at least one token.
        y : sequence of documents, or array-like of int, default=None
            Outputs; those that are predicted if None.

        Returns
        -------
        weights : list of ndarray of shape (n_target_tokens + 1, n_source_tokens)
            For each pair the weights by which the step that gives each token of y, and last its
            end if there is one, has averaged the states of x: rows sum to one. Of an ensemble the
            mean of its members.

        Raises
        ------
        ValueError
            If the model has no attention.
        """
        check_is_fitted(self)
        if self._as_fitted("attention") is None:
            raise ValueError(
                "attention=None: the decoder sees one context, and there are no weights. Fit with "
                "attention='dot' or 'bilinear'."
            )
        source, target = self._pairs(X, y)
        steps = next_tokens(target, self.target_vocabulary_.size, self.target_vocabulary_.end)
        inputs, found = Inputs(steps[0]), [np.empty((0, 0))] * len(source)

        def take(rows: Tensor, x: Tokens) -> None:
            ids, lengths = inputs.inputs(rows, x.ids.device)[0]
            weights = torch.stack(list(self._looks(x, ids)), dim=1).cpu().numpy()
            for i, row in enumerate(rows.tolist()):
                found[row] = weights[i, : lengths[i], : x.lengths[i]].copy()

        self._visit(source, target, take)
        return found

    def _looks(self, x: Tokens, inputs: Tensor) -> Iterator[Tensor]:
        """Weights of each step, (B, S)."""
        chances = Chances(self._members, x)
        for ids in inputs:
            chances.next(ids)
            yield chances.attention
