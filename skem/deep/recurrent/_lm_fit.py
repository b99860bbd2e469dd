"""How a recurrent language model is built from parameters and documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skem.deep.modules.language_model import LanguageModel
from skem.deep.modules.softmax import FullSoftmax
from skem.deep.recurrent._lm_generate import LanguageModelGenerateMixin
from skem.deep.sequences import _segments
from skem.deep.sequences._segments import Segments
from skem.deep.sequences._spelling import Spelling, learn_spelling
from skem.deep.sequences._text import Documents, Sequences, Vocabulary, check_lengths
from skem.deep.training._base import GOES_ON, WAY_OUT
from skem.deep.training._net import Net
from skem.deep.training._nt_asgd import AveragedSGD, StartAveraging

OPTIMIZERS = ("adam", "nt-asgd")
_RATES = {"adam": 6e-3, "nt-asgd": 30.0}
_LARGE = 50_000  # tokens from which on a softmax is adaptive
_NEVER = -1e30  # the logit of a token that is never predicted


class LanguageModelFitMixin(LanguageModelGenerateMixin):
    """Checks, sequences and modules of a fit of `RNNLanguageModel`, whose parameters these are."""

    cell: str
    embedding_dim: int | None
    hidden_size: int | Sequence[int]
    n_layers: int
    tie_weights: bool
    cutoffs: str | Sequence[int] | None
    unknown_token: bool
    end_token: bool | str
    dropout: float
    dropout_embedding: float
    dropout_input: float
    dropout_hidden: float
    dropout_weights: float
    activation_regularization: float
    temporal_activation_regularization: float
    bptt: int
    truncation: str
    teacher_forcing: float
    teacher_forcing_steps: int
    optimizer: str
    averaging_patience: int
    history_: list[dict[str, float]]
    n_iter_: int

    _defining: tuple[str, ...] = (
        *LanguageModelGenerateMixin._defining,
        *("tie_weights", "cutoffs", "unknown_token", "end_token"),
    )

    # ------------------------------------------------------------------ checks
    def _check_parameters(self) -> None:
        """Refuse parameters that do not fit each other."""
        self._hidden_sizes()
        if self.truncation == "random" and self.bptt < 2:
            raise ValueError("truncation='random' needs bptt of at least 2, its mean length.")
        if self.teacher_forcing_steps and self.teacher_forcing == 1:
            raise ValueError(
                "teacher_forcing_steps is the fall of teacher_forcing from 1, and this is 1. Set "
                "teacher_forcing below 1, or teacher_forcing_steps=0."
            )

    def _cutoffs(self, n_tokens: int) -> tuple[int, ...]:
        if self.cutoffs is None:
            return ()
        if not isinstance(self.cutoffs, str):
            cuts = tuple(self.cutoffs)
            integers = all(isinstance(cut, (int, np.integer)) for cut in cuts)
            if not integers or sorted({0, *cuts, n_tokens}) != [0, *cuts, n_tokens]:
                raise ValueError(
                    f"cutoffs must be rising integers from 1 to {n_tokens - 1}, the vocabulary "
                    f"having {n_tokens} tokens; got {cuts!r}."
                )
            return tuple(int(cut) for cut in cuts)
        return (n_tokens // 15, 3 * n_tokens // 15) if n_tokens > _LARGE else ()

    # ------------------------------------------------------------------ documents
    def _training(self, X: Any, *, goes_on: bool) -> tuple[Vocabulary, Spelling | None, Sequences]:
        """Vocabulary, spelling of what is not in it, and sequences."""
        self._check_parameters()
        texts = self._read_documents(X, reset=not goes_on or not hasattr(self, "n_features_in_"))
        if goes_on:
            vocabulary, spelling = self.vocabulary_, self.spelling_
        else:
            vocabulary = self._learn_vocabulary(
                texts, start=True, end=self._has_end(texts), unknown=self.unknown_token
            )
            spelling = learn_spelling(texts, vocabulary)
        sequences = vocabulary.compact(texts)
        check_lengths(sequences, 2 if vocabulary.end is None else 0)
        return vocabulary, spelling, sequences

    def _has_end(self, texts: Documents) -> bool:
        """Documents of different lengths have an end to be predicted."""
        if self.end_token != "auto":
            return bool(self.end_token)
        return len(np.unique(texts.sequences.lengths)) > 1

    def _datasets(
        self, sequences: Sequences, vocabulary: Vocabulary, X_val: Any
    ) -> tuple[_segments.NextTokens, _segments.NextTokens | None]:
        """Sequences to train on and, with early stopping, those that are held out."""
        train, valid = sequences, None
        if X_val is not None:
            texts = self._read_documents(X_val, reset=False)
            valid = vocabulary.compact(texts, name="X_val")
            check_lengths(valid, 1 if vocabulary.end is None else 0, "X_val")
        elif self.early_stopping and not self._is_partial:
            train, valid = self._split(sequences)
        own = self._predictions(train, vocabulary)
        return own, None if valid is None else self._predictions(valid, vocabulary)

    def _split(self, sequences: Sequences) -> tuple[Sequences, Sequences]:
        """Documents to train on, and those that are held out."""
        if len(sequences) == 1:
            return self._cut(sequences)
        train, valid = self._held_out(len(sequences))
        return sequences.take(train), sequences.take(valid)

    def _cut(self, sequences: Sequences) -> tuple[Sequences, Sequences]:
        """The last part of one long sequence is held out."""
        tokens = sequences[0]
        n = len(tokens) - max(1, round(self.validation_fraction * len(tokens)))
        if n < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction:g} of one sequence of "
                f"{len(tokens)} tokens leaves too few to train on. Lower it, or set "
                "early_stopping=False."
            )
        return Sequences.of_lengths(tokens[:n], [n]), Sequences(tokens[n:], [0, len(tokens) - n])

    def _predictions(self, sequences: Sequences, vocabulary: Vocabulary) -> _segments.NextTokens:
        return _segments.NextTokens(
            sequences.tokens, sequences.offsets, vocabulary.start, vocabulary.end
        )

    def _size_of_batches(self, train: _segments.NextTokens) -> int:
        """With 'auto' an epoch has 16 segments and more, also of few tokens."""
        if isinstance(self.batch_size, str):
            return min(max(train.n_predictions // (16 * self.bptt), 8), 64)
        return self.batch_size

    # ------------------------------------------------------------------ module
    def _make_module(self, vocabulary: Vocabulary) -> LanguageModel:
        sizes = self._hidden_sizes()
        module = LanguageModel(
            vocabulary.size,
            sizes[-1] if self.embedding_dim is None else self.embedding_dim,
            sizes,
            cell=self.cell,
            tie_weights=self.tie_weights,
            cutoffs=self._cutoffs(vocabulary.size),
            start=vocabulary.start,
            dropout_embedding=self.dropout_embedding,
            dropout_input=self.dropout_input,
            dropout_between=self.dropout_hidden,
            dropout_weights=self.dropout_weights,
            dropout_output=self.dropout,
            activation_regularization=self.activation_regularization,
            temporal_activation_regularization=self.temporal_activation_regularization,
            teacher_forcing=self.teacher_forcing,
            teacher_forcing_steps=self.teacher_forcing_steps,
        )
        _start_at_frequencies(module, vocabulary)
        return module

    def _load_weights(self, module: torch.nn.Module) -> None:
        sizes = self.vocabulary_.size, self.net_.module_.embedding.num_embeddings
        if sizes[0] != sizes[1]:
            raise ValueError(f"{GOES_ON} tokens. {WAY_OUT}")
        super()._load_weights(module)

    # ------------------------------------------------------------------ training
    @property
    def _learning_rate(self) -> float:
        rate: Any = self.learning_rate
        return _RATES[self.optimizer] if rate == "auto" else rate

    @property
    def _schedule(self) -> Callable[[float], float] | None:
        return super()._schedule if self.optimizer == "adam" and not self._is_partial else None

    def _optimizer_options(self, device: torch.device) -> dict[str, Any]:
        if self.optimizer == "adam":
            return super()._optimizer_options(device)
        return {"optimizer": AveragedSGD, "optimizer__weight_decay": self.weight_decay}

    def _own_callbacks(self) -> list[tuple[str, Any]]:
        if self.optimizer == "adam":
            return []
        return [("averaging", StartAveraging(self.averaging_patience))]

    def _iterator_options(self, device: torch.device) -> dict[str, Any]:
        options: dict[str, Any] = {"iterator_train__shuffle": True}
        for name in ("iterator_train", "iterator_valid"):
            options |= {name: Segments, f"{name}__bptt": self.bptt, f"{name}__device": device}
        options["iterator_train__truncation"] = self.truncation
        return options

    @property
    def _n_epochs(self) -> int:
        return 1 if self._is_partial else self.max_epochs

    def _before_training(self, net: Net) -> None:
        """A partial fit goes on with the moments of Adam."""
        if not (self._is_partial and hasattr(self, "net_")):
            return
        if type(net.optimizer_) is type(self.net_.optimizer_):
            net.optimizer_.load_state_dict(self.net_.optimizer_.state_dict())
        for group in net.optimizer_.param_groups:
            group["lr"] = self._learning_rate

    @property
    def _is_partial(self) -> bool:
        """Whether `partial_fit` is at work."""
        return getattr(self, "_partial", False)


def _start_at_frequencies(module: LanguageModel, vocabulary: Vocabulary) -> None:
    """Chances start at how often tokens are; that of the start of a document stays zero."""
    softmax = module.softmax
    if isinstance(softmax, FullSoftmax):
        counts = torch.as_tensor(vocabulary.counts_, dtype=torch.float32) + 0.5
        bias: Tensor = softmax.bias
        bias.data.copy_(counts.log() - counts.log().mean())
    else:
        bias = softmax.tree.head.bias
    bias.data[vocabulary.start] = _NEVER
