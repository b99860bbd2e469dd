"""What the recurrent estimators share: documents in, sequences through the module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skem._input import validate_data
from skem._sklearn import Interval, StrOptions
from skem._warnings import warn_user
from skem.deep.modules.recurrent import CELLS
from skem.deep.sequences._documents import is_table
from skem.deep.sequences._segments import NextTokens, Segments, buckets
from skem.deep.sequences._sequences import in_content_order, unlike_the_one_before
from skem.deep.sequences._text import (
    TOKENIZERS,
    Sequences,
    Tokenizer,
    Vocabulary,
    check_tokens,
    learn_vocabulary,
    read,
)
from skem.deep.sequences._text import Documents as Texts
from skem.deep.training._base import DeepEstimatorMixin

GATES = 4
"""Numbers that a cell has for each unit, at most: the gates of an LSTM."""

_VALUES = 1 << 22
"""Numbers that a layer may hold for one batch of inference."""

_STEPS = 512
"""Steps that go through the layers at once."""

_DOCUMENTS = 256
"""Documents that go through the layers at once, at most."""

# What parameters of all of them may be, besides those of training.
RECURRENT: dict[str, list] = {
    "cell": [StrOptions(set(CELLS))],
    "n_layers": [Interval(Integral, 1, None, closed="left")],
    "hidden_size": [Interval(Integral, 1, None, closed="left"), list, tuple],
    "tokenizer": [StrOptions(set(TOKENIZERS)), callable, None],
    "min_frequency": [Interval(Integral, 1, None, closed="left")],
    "max_vocabulary": [Interval(Integral, 2, None, closed="left"), None],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "dropout_embedding": [Interval(Real, 0, 1, closed="left")],
    "dropout_input": [Interval(Real, 0, 1, closed="left")],
    "dropout_hidden": [Interval(Real, 0, 1, closed="left")],
    "dropout_weights": [Interval(Real, 0, 1, closed="left")],
}


class Part(NamedTuple):
    """Steps of some documents beside each other, the longest first."""

    documents: Tensor  # (B,): their numbers
    first: int  # number of the first of these steps
    tokens: Tensor  # (T, B)
    targets: Tensor  # (T, B)
    lengths: Tensor  # (B,): steps of the whole documents
    state: tuple[Tensor, ...] | None

    def valid(self) -> Tensor:
        """Which steps there are, (T, B)."""
        steps = torch.arange(self.first, self.first + len(self.tokens), device=self.lengths.device)
        return steps[:, None] < self.lengths


class SequenceEstimatorMixin(DeepEstimatorMixin):
    """Documents as sequences of ids, and what is done with them batch by batch.

    The estimator has the parameters ``hidden_size``, ``n_layers``, ``tokenizer``, ``min_frequency``
    and ``max_vocabulary``, besides those of `DeepEstimatorMixin`.
    """

    hidden_size: int | Sequence[int]
    n_layers: int
    tokenizer: Tokenizer
    min_frequency: int
    max_vocabulary: int | None
    validation_fraction: float
    vocabulary_: Vocabulary

    _defining: tuple[str, ...] = (
        *("cell", "embedding_dim", "hidden_size", "n_layers"),
        *("tokenizer", "min_frequency", "max_vocabulary"),
    )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags

    # ------------------------------------------------------------------ input
    def _read_documents(self, X: Any, *, reset: bool, name: str = "X") -> Texts:
        """Cut documents into tokens; a 2-D array is checked by scikit-learn's habits."""
        X = check_tokens(self, X, reset=reset)
        if reset and getattr(X, "ndim", 0) == 2 and X.shape[1] < 2:
            raise ValueError(
                f"X has {X.shape[1]} feature(s), and a sequence needs at least two tokens. Give "
                "texts in a column of a frame as that column, X['name']."
            )
        return read(X, self._as_fitted("tokenizer"), name=name)

    def _learn_vocabulary(self, texts: Texts, **special: Any) -> Vocabulary:
        return learn_vocabulary(
            texts,
            min_frequency=self.min_frequency,
            max_vocabulary=self.max_vocabulary,
            **special,
        )

    def _encode(self, X: Any) -> Sequences:
        """Sequences of ids of a fitted estimator's vocabulary, without start and end.

        Some may be empty.
        """
        return self.vocabulary_.compact(self._read_documents(X, reset=False))

    # ------------------------------------------------------------------ fit
    def _hidden_sizes(self) -> tuple[int, ...]:
        """Units of each layer.

        Raises
        ------
        ValueError
            If ``hidden_size`` is no such list.
        """
        if isinstance(self.hidden_size, (int, np.integer)):
            return (int(self.hidden_size),) * self.n_layers
        sizes = tuple(self.hidden_size)
        if len(sizes) != self.n_layers:
            raise ValueError(
                f"hidden_size={self.hidden_size!r} has {len(sizes)} layers, and n_layers="
                f"{self.n_layers}. Give one size for each layer, or one integer for all."
            )
        if any(not isinstance(size, (int, np.integer)) or size < 1 for size in sizes):
            raise ValueError(
                f"hidden_size must be an integer of at least 1, or hold such; got {sizes!r}."
            )
        return sizes

    # ------------------------------------------------------------------ use
    def _size_of_inference(self, width: int, n_steps: int) -> int:
        """Documents that go through the layers at once."""
        return max(1, min(_VALUES // (max(width, 1) * max(min(n_steps, _STEPS), 1)), _DOCUMENTS))

    def _in_parts(
        self,
        dataset: NextTokens,
        width: int,
        device: torch.device,
        function: Callable[[Part], tuple[Tensor, ...]],
    ) -> None:
        """Go over all documents, in batches of about equally long ones, cut after some steps.

        Parameters
        ----------
        dataset : NextTokens
        width : int
            Numbers that a layer has for one step.
        device : torch.device
        function : callable
            From a part to the state after it, from which the next part of the same documents
            starts.
        """
        mean = int(dataset.lengths.float().mean()) + 1
        size = self._size_of_inference(width, mean)
        groups = iter(buckets(dataset.lengths, size))
        documents, first = torch.empty(0, dtype=torch.int64), 0
        state: tuple[Tensor, ...] | None = None
        for segment in Segments(dataset, size, device=device, bptt=_STEPS, layout="documents"):
            if segment.fresh:
                documents, state, first = next(groups), None, 0
            n = segment.tokens.shape[1]
            own = None if state is None else tuple(s[:, :n].contiguous() for s in state)
            lengths = dataset.lengths[documents[:n]].to(device)
            part = Part(documents[:n], first, segment.tokens, segment.targets, lengths, own)
            state = function(part)
            first += len(segment.tokens)


class NumbersAsTokensMixin(SequenceEstimatorMixin):
    """Sequences whose tokens may also be numbers that are no integers."""

    def _read_documents(self, X: Any, *, reset: bool, name: str = "X") -> Texts:
        """Cut documents into tokens.

        Numbers that are no integers are tokens too, each different one, if they were in ``fit``. A
        list of equally long lists of integers tells how wide arrays must be later.
        """
        known = not reset and hasattr(self, "vocabulary_")
        values = known and any(isinstance(t, float) for t in self.vocabulary_.tokens_)
        if is_table(X) and (values or not known):
            table = validate_data(self, X, reset=reset, dtype="numeric")
            if values or (table.dtype.kind == "f" and (table != np.floor(table)).any()):
                return self._values(table, warn=not values)
        checked = check_tokens(self, X, reset=reset)
        texts = read(checked, self._as_fitted("tokenizer"), name=name)
        if reset and texts.kind == "int" and isinstance(X, (list, tuple)):
            widths = {len(row) for row in X}
            if len(widths) == 1:
                self.n_features_in_ = widths.pop()
        return texts

    def _values(self, table: NDArray, warn: bool) -> Texts:
        if warn:
            warn_user(
                "X has numbers that are no integers, and each different one is a token of its own, "
                "near ones as different as others. Bin them first (KBinsDiscretizer), if they are "
                "measured.",
                UserWarning,
            )
        types, ids = np.unique(table.astype(np.float64), return_inverse=True)
        sequences = Sequences.of_lengths(ids.ravel(), np.full(len(table), table.shape[1]))
        return Texts("int", types.tolist(), sequences)


def in_own_order(sequences: Sequences) -> tuple[Sequences, NDArray, NDArray]:
    """Different sequences in an order of their own.

    With the number of one of the given ones that is equal to each, and where each of the given
    ones is.

    The last digit of a product of matrices depends on the place of a row; so it does not depend on
    the order in which documents came.
    """
    order = in_content_order(sequences)
    new = unlike_the_one_before(sequences, order)
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.cumsum(new) - 1
    return sequences.take(order[new]), order[new], back


def repeat_equal(values: NDArray, first: NDArray, back: NDArray) -> NDArray:
    """Fill the rows of sequences that are equal to others, from those of ``first``."""
    same = first[back]
    again = np.flatnonzero(same != np.arange(len(same)))
    values[again] = values[same[again]]
    return values
