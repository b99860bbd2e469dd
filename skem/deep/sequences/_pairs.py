"""Pairs of sequences as batches for an encoder and a decoder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from skem.deep.modules.sequence import Tokens
from skem.deep.sequences._labelled import BatchesByLength, Inputs
from skem.deep.sequences._sequences import Sequences


class Pairs(Dataset):
    """Sequences x, and for each a sequence y, which the decoder is told up to each of its tokens.

    Parameters
    ----------
    source, target : Sequences
        Ids of x, at least one each, and of y, without start and end.
    start : int
        Id of the start of y.
    end : int or None
        Id of the end; None if all y are of one length, so that the end says nothing.
    weight : ndarray of shape (n_sequences,), default=None
    """

    def __init__(
        self,
        source: Sequences,
        target: Sequences,
        *,
        start: int,
        end: int | None,
        weight: NDArray | None = None,
    ):
        self.source = Inputs(source)
        self.inputs, self.targets = map(Inputs, next_tokens(target, start, end))
        self.weight = None if weight is None else torch.from_numpy(weight).float()

    def __len__(self) -> int:
        return len(self.source)

    @property
    def lengths(self) -> Tensor:
        """Steps of the decoder, which take most of the time."""
        return self.inputs.lengths

    @property
    def total(self) -> float:
        """Weight of all tokens of y, their ends among them."""
        if self.weight is None:
            return float(self.lengths.sum())
        return float(self.weight.double() @ self.lengths.double())

    def batch(
        self, rows: Tensor, device: torch.device
    ) -> tuple[Tokens, Tokens, Tensor, Tensor | None]:
        """Those x, inputs of the decoder, targets of the same shape, and weights."""
        x, _ = self.source.inputs(rows, device)
        y, _ = self.inputs.inputs(rows, device)
        targets, _ = self.targets.inputs(rows, device)
        weight = None if self.weight is None else self.weight[rows].to(device)
        return x, y, targets.ids, weight


def next_tokens(y: Sequences, start: int, end: int | None) -> tuple[Sequences, Sequences]:
    """What the decoder gets at each step, and what it is to predict there.

    Without an end the last token is predicted, and nothing after it; y are then of equal length.
    """
    if end is not None:
        return y.framed(start=start), y.framed(end=end)
    n_tokens = len(y.tokens) // len(y)
    before = y.framed(start=start).tokens.reshape(len(y), n_tokens + 1)[:, :-1]
    return Sequences(before.ravel(), y.offsets), y


class PairBatches(BatchesByLength):
    """The batches of `Pairs`.

    Parameters
    ----------
    dataset : Pairs
    batch_size, shuffle, device
        See `BatchesByLength`.
    """

    def __iter__(self) -> Iterator[tuple]:
        for rows in self.groups():
            yield (*self.dataset.batch(rows, self.device), self.size)


def beside(x: Sequences, y: Sequences) -> Sequences:
    """Each x with its y after it, as one sequence: what makes two pairs equal."""
    tokens = np.empty(len(x.tokens) + len(y.tokens), np.promote_types(x.tokens.dtype, np.int32))
    tokens[np.arange(len(x.tokens)) + np.repeat(y.offsets[:-1], x.lengths)] = x.tokens
    after = np.arange(len(y.tokens)) + np.repeat(x.offsets[1:], y.lengths)
    tokens[after] = -1 - y.tokens.astype(tokens.dtype)
    return Sequences(tokens, x.offsets + y.offsets)
