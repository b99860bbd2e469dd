"""Outputs of a fitted encoder–decoder, and the states that it makes of x."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skem._sklearn import check_parameters
from skem._validation import check_positive_integer
from skem.deep.modules.beam import Chances, beam_search
from skem.deep.modules.encoder_decoder import EncoderDecoder
from skem.deep.modules.sequence import Tokens
from skem.deep.recurrent._base import (
    GATES,
    NumbersAsTokensMixin,
    in_own_order,
    repeat_equal,
)
from skem.deep.recurrent._sampling import Choice, chosen
from skem.deep.seq2seq._data import Range, range_of
from skem.deep.sequences._labelled import Inputs, inference_groups
from skem.deep.sequences._targets import Form
from skem.deep.sequences._text import Sequences, Vocabulary, check_lengths
from skem.deep.training._random import draw_seed

_BEAM = 5
"""Width of a beam of size 'auto'."""

_LONGER = 2
"""How much longer than the longest target of the fit outputs may be, with a length of 'auto'."""

_ROWS = 256
"""Beginnings of outputs that go through the layers at once, at most."""


class Lengths(NamedTuple):
    """Of the longest sequences of a fit."""

    source: int
    target: int


class Seq2SeqUseMixin(NumbersAsTokensMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Outputs and states of a fitted `RNNSeq2Seq`."""

    hidden_size: int
    beam_size: int | str
    length_penalty: float
    max_length: int | str
    n_members: int
    target_vocabulary_: Vocabulary
    _form: Form
    _lengths: Lengths

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    # ------------------------------------------------------------------ what a fit has left
    @property
    def _members(self) -> list[EncoderDecoder]:
        return list(self.net_.module_.members)

    @property
    def _width(self) -> int:
        """Numbers of the widest layer for one step."""
        return GATES * self._members[0].decoder.cells.size

    @property
    def _n_features_out(self) -> int:
        return sum(member.encoder.output_size for member in self._members)

    @property
    def max_length_(self) -> int:
        """Tokens of an output, at most, for an x that is no longer than those of the fit."""
        return self._longest(self._form, self._lengths.target)

    def _longest(self, form: Form, longest: int) -> int:
        """Tokens of an output, at most, after a fit to targets of that form and length."""
        if form.n_tokens is not None:
            return form.n_tokens
        return _LONGER * longest if isinstance(self.max_length, str) else self.max_length

    def _limits(self, sequences: Sequences) -> Tensor:
        """Tokens of an output, at most, (n_sequences,)."""
        factor = np.ones(len(sequences))
        if self._form.n_tokens is None and isinstance(self.max_length, str):
            factor = np.maximum(factor, sequences.lengths / self._lengths.source)
        return torch.from_numpy(np.ceil(self.max_length_ * factor).astype(np.int64))

    @property
    def _range(self) -> Range:
        """Which outputs there are."""
        return range_of(self.target_vocabulary_, self.max_length_)

    def _beam_width(self) -> int:
        check_is_fitted(self)
        check_parameters(self, "beam_size", "length_penalty", "max_length")
        return self._width_within(self._range)

    def _width_within(self, outputs: Range) -> int:
        """Width of the beam.

        Raises
        ------
        ValueError
            If ``beam_size`` is larger than the number of outputs.
        """
        if isinstance(self.beam_size, str):
            return min(_BEAM, outputs.count(_BEAM))
        outputs.check(self.beam_size, "beam_size")
        return self.beam_size

    # ------------------------------------------------------------------ x through the layers
    def _read_sources(self, X: Any) -> Sequences:
        """Ids of x, none of which is empty."""
        check_is_fitted(self)
        sequences = self._encode(X)
        check_lengths(sequences, 1)
        return sequences

    def _batches(
        self, sequences: Sequences, device: torch.device, n_beams: int = 1
    ) -> Iterator[tuple[Tensor, Tokens]]:
        """Numbers of sequences that go through the layers at once, and these."""
        dataset = Inputs(sequences)
        most = max(1, _ROWS // n_beams)
        for rows in inference_groups(sequences, self._width * n_beams, most):
            yield rows, dataset.inputs(rows, device)[0]

    # ------------------------------------------------------------------ outputs
    def predict(self, X: Any) -> Any:
        """The likeliest output for each sequence that beam search finds.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Sequences, as in `fit`, of at least one token. Arrays are as wide as in `fit`; lists may
            be of any length.

        Returns
        -------
        y : ndarray of str, list of lists of tokens, or ndarray of int
            Outputs as targets were given in `fit`: strings (in an array of shape (n_samples,));
            lists of tokens; or, if targets were an array of numbers without padding, one of its
            number of columns.

        Raises
        ------
        ValueError
            If a sequence is empty, or ``beam_size`` larger than the number of outputs.
        """
        outputs = self._search(self._read_sources(X), self._beam_width(), 1)
        return self._form.given_back([ids for ((ids, _),) in outputs], self.target_vocabulary_)

    def predict_n_best(self, X: Any, n: int = 5) -> list[list[tuple[Any, float]]]:
        """The n likeliest outputs that beam search finds, with their log-probabilities.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Sequences, as in `fit`, of at least one token.
        n : int, default=5
            How many; the beam is as wide at least.

        Returns
        -------
        outputs : list of list of (output, log_p)
            For each sequence n outputs as targets were given in `fit`, the best first, and
            log p(y | x) in nats, as in `score_samples`; other outputs have what exp(log p) of these
            leaves of one. With ``length_penalty`` the best are those with the largest
            log p / length ** length_penalty.

        Raises
        ------
        ValueError
            If there are fewer outputs.
        """
        width = self._beam_width()
        check_positive_integer(n, "n")
        self._range.check(n, "n")
        outputs = self._search(self._read_sources(X), max(n, width), n)
        flat = [ids for some in outputs for ids, _ in some]
        given = iter(self._form.given_back(flat, self.target_vocabulary_))
        log_p = ([p for _, p in some] for some in outputs)
        return [list(zip(itertools.islice(given, n), some, strict=True)) for some in log_p]

    def _search(
        self, sequences: Sequences, width: int, n: int
    ) -> list[list[tuple[NDArray, float]]]:
        """The n best outputs of each sequence, ids and log p."""
        sequences, _, back = in_own_order(sequences)
        limits, vocabulary = self._limits(sequences), self.target_vocabulary_
        found: list[list[tuple[NDArray, float]]] = [[] for _ in range(len(sequences))]
        with self._inference() as device:
            for rows, x in self._batches(sequences, device, width):
                outputs = beam_search(
                    self._members,
                    x,
                    width=width,
                    end=vocabulary.end,
                    max_length=limits[rows],
                    length_penalty=self.length_penalty,
                    never=[i for i in vocabulary.special if i != vocabulary.end],
                    n_best=n,
                )
                ids, lengths, log_p = (o.cpu().numpy() for o in outputs)
                for i, row in enumerate(rows.tolist()):
                    found[row] = [
                        (ids[i, k, : lengths[i, k]].copy(), float(log_p[i, k])) for k in range(n)
                    ]
        return [found[i] for i in back]

    def sample(
        self,
        X: Any,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        random_state: Any = None,
    ) -> Any:
        """Draw an output for each sequence, token by token.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Sequences, as in `fit`, of at least one token. Repeat one for more than one draw.
        temperature : float, default=1.0
            Logits are divided by it: below 1, probable tokens become more probable.
        top_k : int, default=None
            Draw among this number of most probable tokens; 1 takes the most probable one.
        top_p : float, default=None
            Draw among the smallest set of most probable tokens with at least this total
            probability.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws; that of the estimator if None.

        Returns
        -------
        y : ndarray of str, list of lists of tokens, or ndarray of int
            As `predict` gives them. One that has not ended after ``max_length_`` tokens is cut.
            The draws are those of the whole call: of fewer sequences they are others.
        """
        check_is_fitted(self)
        check_parameters(self, "max_length")
        choice = Choice(temperature, top_k, top_p).check()
        sequences = self._read_sources(X)
        seed = draw_seed(self.random_state if random_state is None else random_state)
        limits, outputs = self._limits(sequences), [np.empty(0, np.int64)] * len(sequences)
        with self._inference(seed) as device:
            for rows, x in self._batches(sequences, device):
                ids, lengths = self._drawn(x, int(limits[rows].max()), choice)
                lengths = torch.minimum(lengths, limits[rows])
                for i, row in enumerate(rows.tolist()):
                    outputs[row] = ids[i, : lengths[i]].numpy()
        return self._form.given_back(outputs, self.target_vocabulary_)

    def _drawn(self, x: Tokens, n_steps: int, choice: Choice) -> tuple[Tensor, Tensor]:
        """Ids of outputs, (N, T), and tokens before the end, (N,)."""
        vocabulary, chances = self.target_vocabulary_, Chances(self._members, x)
        never = [i for i in vocabulary.special if i != vocabulary.end]
        n, device = x.ids.shape[1], x.ids.device
        last = torch.full((n,), vocabulary.size, device=device)
        ended, drawn = torch.zeros(n, dtype=torch.bool, device=device), []
        lengths = torch.zeros(n, dtype=torch.int64, device=device)
        for _ in range(n_steps):
            log_p = chances.next(last)
            log_p[:, never] = -torch.inf
            last = chosen(log_p, choice)
            drawn.append(last)
            if vocabulary.end is not None:
                ended |= last == vocabulary.end
            lengths += ~ended
            if ended.all():
                break
        return torch.stack(drawn, dim=1).cpu(), lengths.cpu()

    # ------------------------------------------------------------------ states
    def transform(self, X: Any) -> NDArray:
        """Give the encoder's context of each sequence, h_S.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Sequences, as in `fit`, of at least one token.

        Returns
        -------
        context : ndarray of shape (n_samples, n_members * hidden_size), float32
            The last state of the encoder: after the last token forwards, beside that after the
            first token backwards. Those of the members are beside each other.
        """
        sequences, first, back = in_own_order(self._read_sources(X))
        found = np.empty((len(back), self._n_features_out), dtype=np.float32)
        with self._inference() as device:
            for rows, x in self._batches(sequences, device):
                last = [member.encode(x)[0].last for member in self._members]
                found[first[rows]] = torch.cat(last, dim=1).cpu().numpy()
        return repeat_equal(found, first, back)
