"""Pairs of sequences as batches for an encoder and a decoder."""

from __future__ import annotations

from collections.abc import Iterator

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
    start, end : int
        Ids of the start and the end of y.
    weight : ndarray of shape (n_sequences,), default=None
    """

    def __init__(
        self,
        source: Sequences,
        target: Sequences,
        *,
        start: int,
        end: int,
        weight: NDArray | None = None,
    ):
        self.source = Inputs(source)
        self.inputs = Inputs(target.framed(start=start))
        self.targets = Inputs(target.framed(end=end))
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
