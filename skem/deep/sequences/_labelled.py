"""Sequences with classes or tags as batches of about equally long ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from skem.deep.modules.draws import generator
from skem.deep.modules.sequence import Letters, Tokens
from skem.deep.sequences._sequences import Sequences, in_content_order

_SPREAD = 0.1  # by which lengths are blurred in shuffling, so that batches are not the same again
_VALUES = 1 << 22  # numbers that a layer may hold for one batch of inference


class Words(NamedTuple):
    """The words of sequences, letter by letter."""

    types: Sequences  # the sequences, as numbers of words
    letters: Sequences  # of each of these words


class Inputs:
    """Sequences of ids, with the letters of their words if there are any, for the layers.

    Parameters
    ----------
    sequences : Sequences
    words : Words, default=None
    """

    def __init__(self, sequences: Sequences, words: Words | None = None):
        self.tokens = torch.from_numpy(sequences.tokens)
        self.starts = torch.from_numpy(sequences.offsets[:-1])
        self.lengths = torch.from_numpy(sequences.lengths)
        self._words = None if words is None else torch.from_numpy(words.types.tokens)
        self._letters = None if words is None else _columns(words.letters)

    def __len__(self) -> int:
        return len(self.lengths)

    def positions(self, rows: Tensor) -> Tensor:
        """Where the tokens of those sequences are, (T, B); after the end of one any."""
        steps = torch.arange(int(self.lengths[rows].max()))[:, None]
        return (self.starts[rows] + steps).clamp_(max=len(self.tokens) - 1)

    def inputs(self, rows: Tensor, device: torch.device) -> tuple[Tokens, Letters | None]:
        """Those sequences beside each other."""
        at = self.positions(rows)
        tokens = Tokens(self.tokens[at].long().to(device), self.lengths[rows].to(device))
        if self._words is None or self._letters is None:
            return tokens, None
        words, word = torch.unique(self._words[at], return_inverse=True)
        ids, lengths = (t[..., words.long()] for t in self._letters)
        ids = ids[: int(lengths.max())].long()
        return tokens, Letters(ids.to(device), lengths.to(device), word.to(device))


def _columns(letters: Sequences) -> tuple[Tensor, Tensor]:
    """Letters of words beside each other, (L, n_words), and how many there are."""
    lengths = letters.lengths
    steps = np.arange(lengths.max())[:, None]
    at = np.minimum(letters.offsets[:-1] + steps, len(letters.tokens) - 1)
    return torch.from_numpy(letters.tokens[at]), torch.from_numpy(lengths)


class Labelled(Inputs, Dataset):
    """Sequences with their classes, or the tags of their tokens, and weights.

    Parameters
    ----------
    sequences : Sequences
    targets : ndarray of int of shape (n_sequences,) or (n_tokens,)
        As ids, of a type that torch indexes by.
    weight : ndarray of the shape of targets, default=None
    words : Words, default=None
    """

    def __init__(
        self,
        sequences: Sequences,
        targets: NDArray,
        weight: NDArray | None = None,
        words: Words | None = None,
    ):
        super().__init__(sequences, words)
        self.targets = torch.from_numpy(targets)
        self.weight = None if weight is None else torch.from_numpy(weight).float()

    @property
    def total(self) -> float:
        """Weight of all labels."""
        return float(len(self.targets) if self.weight is None else self.weight.sum())

    def labels(
        self, rows: Tensor, device: torch.device, of_tokens: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Targets and weights of those sequences, or of their tokens step by step."""
        where = rows
        if of_tokens:
            at = self.positions(rows)
            where = at[torch.arange(len(at))[:, None] < self.lengths[rows]]
        weight = None if self.weight is None else self.weight[where].to(device)
        return self.targets[where].long().to(device), weight


class BatchesByLength:
    """Batches of about equally long sequences: little of them is padding.

    Parameters
    ----------
    dataset : Dataset
        It has ``lengths``, a Tensor of shape (n_sequences,), and ``total``, the weight of all that
        is predicted.
    batch_size : int
        Sequences, at most.
    shuffle : bool, default=False
        By torch's random state.
    device : torch.device or str, default='cpu'

    Attributes
    ----------
    size : float
        Mean weight of a batch.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        shuffle: bool = False,
        device: torch.device | str = "cpu",
    ):
        self.dataset, self.shuffle = dataset, shuffle
        self.device = torch.device(device)
        self._n_batches = -(-len(dataset) // batch_size)
        self.size = dataset.total / self._n_batches

    def __len__(self) -> int:
        return self._n_batches

    def groups(self) -> list[Tensor]:
        """Numbers of the sequences of each batch."""
        lengths = self.dataset.lengths.float()
        if not self.shuffle:
            return list(lengths.argsort(descending=True, stable=True).tensor_split(len(self)))
        draws = torch.rand(2, len(lengths), dtype=torch.float32, generator=generator())
        blurred = lengths * (1 + _SPREAD * draws[0]) + draws[1]
        groups = blurred.argsort(descending=True).tensor_split(len(self))
        return [groups[i] for i in torch.randperm(len(groups), generator=generator()).tolist()]


class LabelledBatches(BatchesByLength):
    """The batches of `Labelled`.

    Parameters
    ----------
    dataset : Labelled
    batch_size, shuffle, device
        See `BatchesByLength`.
    of_tokens : bool, default=False
        Whether tokens have labels, and not sequences.
    """

    def __init__(
        self,
        dataset: Labelled,
        batch_size: int,
        shuffle: bool = False,
        device: torch.device | str = "cpu",
        of_tokens: bool = False,
    ):
        super().__init__(dataset, batch_size, shuffle, device)
        self.of_tokens = of_tokens

    def __iter__(self) -> Iterator[tuple]:
        for rows in self.groups():
            tokens, letters = self.dataset.inputs(rows, self.device)
            labels = self.dataset.labels(rows, self.device, self.of_tokens)
            yield (tokens, letters, *labels, self.size)


def inference_groups(sequences: Sequences, width: int, most: int = 256) -> list[Tensor]:
    """Numbers of sequences of about the same length, that go through the layers at once.

    Parameters
    ----------
    sequences : Sequences
    width : int
        Numbers that a layer has for one step.
    most : int, default=256
        Sequences at once.

    Returns
    -------
    groups : list of Tensor of int64
        They do not depend on the order in which sequences came: equal ones aside, each stands
        where its length and its tokens put it, so that results are equal to the last bit.
    """
    lengths = sequences.lengths
    order = in_content_order(sequences)
    order = order[np.argsort(-lengths[order], kind="stable")]
    groups, start = [], 0
    while start < len(order):
        n = max(1, min(most, _VALUES // (width * int(lengths[order[start]]))))
        groups.append(torch.from_numpy(order[start : start + n]))
        start += n
    return groups
