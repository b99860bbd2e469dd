"""Ragged sequences of integers: one array of tokens, and where each sequence begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Sequences:
    """Integer sequences of different lengths, end to end.

    Parameters
    ----------
    tokens : array-like of int of shape (n_tokens,)
    offsets : array-like of int of shape (n_sequences + 1,)
        Sequence i is ``tokens[offsets[i]:offsets[i + 1]]``.
    """

    def __init__(self, tokens: ArrayLike, offsets: ArrayLike):
        self.tokens = np.asarray(tokens, dtype=np.int64)
        self.offsets = np.asarray(offsets, dtype=np.int64)

    @classmethod
    def from_list(cls, sequences: Sequence[ArrayLike]) -> Sequences:
        """Put sequences end to end."""
        arrays = [np.asarray(sequence, dtype=np.int64).ravel() for sequence in sequences]
        tokens = np.concatenate(arrays) if arrays else np.empty(0, dtype=np.int64)
        return cls.of_lengths(tokens, [len(array) for array in arrays])

    @classmethod
    def of_lengths(cls, tokens: ArrayLike, lengths: ArrayLike) -> Sequences:
        """Cut tokens into sequences of those lengths."""
        return cls(tokens, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    @property
    def lengths(self) -> NDArray:
        """Tokens of each sequence, (n_sequences,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray:
        """One sequence, as a view."""
        i = range(len(self))[index]
        return self.tokens[self.offsets[i] : self.offsets[i + 1]]

    def __iter__(self) -> Iterator[NDArray]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Sequences({len(self)} sequences, {len(self.tokens)} tokens)"

    def take(self, order: ArrayLike) -> Sequences:
        """Sequences by their numbers, in that order."""
        order = np.asarray(order, dtype=np.int64)
        lengths = self.lengths[order]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        shift = np.repeat(self.offsets[:-1][order] - offsets[:-1], lengths)
        return Sequences(self.tokens[np.arange(offsets[-1]) + shift], offsets)

    def mapped(self, table: NDArray) -> Sequences:
        """Sequences of ``table[token]``."""
        return Sequences(table[self.tokens], self.offsets)

    def framed(self, start: int | None = None, end: int | None = None) -> Sequences:
        """Sequences with a token before and a token after each of them, where these are given."""
        before, after = start is not None, end is not None
        offsets = self.offsets + np.arange(len(self) + 1) * (before + after)
        tokens = np.empty(offsets[-1], dtype=np.int64)
        own = np.ones(len(tokens), dtype=bool)
        for place, token in ((offsets[:-1], start), (offsets[1:] - 1, end)):
            if token is not None:
                own[place] = False
                tokens[place] = token
        tokens[own] = self.tokens
        return Sequences(tokens, offsets)


def check_lengths(sequences: Sequences, at_least: int, name: str = "X") -> None:
    """Refuse sequences that are too short.

    Raises
    ------
    ValueError
        If a sequence has fewer tokens; the message says which one.
    """
    short = np.flatnonzero(sequences.lengths < at_least)
    if len(short):
        i = int(short[0])
        n = int(sequences.lengths[i])
        has = "no tokens" if n == 0 else f"{n} token{'s' * (n != 1)}"
        others = f" ({len(short)} of {len(sequences)} are too short)" if len(short) > 1 else ""
        raise ValueError(
            f"Sequence {i} of {name} has {has}, and at least {at_least} must be there{others}. "
            "Leave such sequences out."
        )


def distinct_sequences(
    sequences: Sequences, weight: NDArray | None = None, labels: NDArray | None = None
) -> tuple[NDArray, NDArray | None]:
    """Numbers of the sequences that are kept, in an order of their own, and their weights.

    Equal sequences are put together, and those of zero weight are left out, so that a weight of 2
    is a sequence twice. Without weights and without equal sequences the weights stay None.

    Parameters
    ----------
    sequences : Sequences
    weight : ndarray of shape (n_sequences,), default=None
    labels : ndarray of int of shape (n_sequences,), default=None
        Sequences with different labels are different.

    Returns
    -------
    rows : ndarray of int of shape (n_kept,)
        The order does not depend on how the sequences came.
    weight : ndarray of shape (n_kept,) or None
    """
    first: dict[Any, int] = {}
    total: dict[Any, float] = {}
    for i, sequence in enumerate(sequences):
        w = 1.0 if weight is None else float(weight[i])
        if w > 0:
            key = (sequence.tobytes(), None if labels is None else int(labels[i]))
            first.setdefault(key, i)
            total[key] = total.get(key, 0.0) + w
    keys = sorted(total)
    rows = np.array([first[key] for key in keys], dtype=np.int64)
    if weight is None and len(rows) == len(sequences):
        return rows, None
    return rows, np.array([total[key] for key in keys])
