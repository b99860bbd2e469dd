"""Ragged sequences of integers: one array of tokens, and where each sequence begins.

Texts are long, so ids are of the smallest type that holds them, and what is made of them is made a
block of tokens at a time: indices are int64, eight times as large as most ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCK = 1 << 17  # tokens that are looked at together


def id_type(n: int) -> np.dtype:
    """The smallest integer type that holds 0, ..., n - 1 and that torch takes for all it does."""
    kinds = (np.uint8, np.int16, np.int32, np.int64)
    return np.dtype(next(kind for kind in kinds if n - 1 <= np.iinfo(kind).max))


class Sequences:
    """Integer sequences of different lengths, end to end.

    Parameters
    ----------
    tokens : array-like of int of shape (n_tokens,)
        Of any integer type, which is kept.
    offsets : array-like of int of shape (n_sequences + 1,)
        Sequence i is ``tokens[offsets[i]:offsets[i + 1]]``.
    """

    def __init__(self, tokens: ArrayLike, offsets: ArrayLike):
        own = np.asarray(tokens)
        self.tokens = own if own.dtype.kind in "iu" else own.astype(np.int64)
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
        return Sequences(self.taken(self.tokens, order), self.taken_offsets(order))

    def taken(self, values: NDArray, order: ArrayLike) -> NDArray:
        """What tokens have, (n_tokens,), for the tokens of `take`."""
        order = np.asarray(order, dtype=np.int64)
        offsets = self.taken_offsets(order)
        shift = self.offsets[:-1][order] - offsets[:-1]
        found = np.empty(offsets[-1], dtype=values.dtype)
        for part, own, lengths in blocks(offsets):
            place = np.arange(part.start, part.stop) + np.repeat(shift[own], lengths)
            found[part] = values[place]
        return found

    def taken_offsets(self, order: ArrayLike) -> NDArray:
        lengths = self.lengths[np.asarray(order, dtype=np.int64)]
        return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])

    def mapped(self, table: NDArray) -> Sequences:
        """Sequences of ``table[token]``."""
        return Sequences(looked_up(table, self.tokens), self.offsets)

    def counts(self, n: int, weight: NDArray | None = None) -> NDArray:
        """How often each of n tokens occurs, (n,); with weights of sequences, sums of those."""
        found = np.zeros(n, dtype=np.int64 if weight is None else np.float64)
        for part, own, lengths in blocks(self.offsets):
            if weight is None:
                found += np.bincount(self.tokens[part], minlength=n)
            else:
                np.add.at(found, self.tokens[part], np.repeat(weight[own], lengths))
        return found

    def framed(self, start: int | None = None, end: int | None = None) -> Sequences:
        """Sequences with a token before and a token after each of them, where these are given."""
        before, after = start is not None, end is not None
        offsets = self.offsets + np.arange(len(self) + 1) * (before + after)
        largest = id_type(1 + max(-1 if token is None else token for token in (start, end)))
        tokens = np.empty(offsets[-1], dtype=np.promote_types(self.tokens.dtype, largest))
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
    order = in_content_order(sequences)
    if weight is not None:
        order = order[weight[order] > 0]
    new = unlike_the_one_before(sequences, order)
    if labels is not None:
        codes = labels[order]
        by_label = np.lexsort((codes, np.cumsum(new)))  # within equal sequences
        order, codes = order[by_label], codes[by_label]
        new[1:] |= codes[1:] != codes[:-1]
    if weight is None and new.all():
        return order, None
    each = np.ones(len(order)) if weight is None else weight[order]
    return order[new], np.bincount(np.cumsum(new) - 1, weights=each)


def in_content_order(sequences: Sequences) -> NDArray:
    """Numbers of the sequences in the order of their bytes, equal ones in that of their numbers.

    Few differ in their first bytes only, so that not all of them need be there as strings.
    """
    tokens, starts, lengths = sequences.tokens, sequences.offsets[:-1], sequences.lengths
    own = np.dtype(tokens.dtype).newbyteorder("<")
    n_heads = 8 // own.itemsize
    heads = np.zeros((len(sequences), n_heads), dtype=own)
    for j in range(n_heads):
        long = lengths > j
        heads[long, j] = tokens[starts[long] + j]
    keys = heads.view(">u8")[:, 0].astype(np.uint64)  # compared as their bytes are
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    bounds = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1], [True]]))
    for k in np.flatnonzero(np.diff(bounds) > 1).tolist():
        run = slice(bounds[k], bounds[k + 1])
        order[run] = sorted(order[run].tolist(), key=lambda i: sequences[i].tobytes())
    return order


def unlike_the_one_before(sequences: Sequences, order: NDArray) -> NDArray:
    """Which of the sequences in that order differ from the one before; the first one does."""
    new, before = np.empty(len(order), dtype=bool), None
    for k, i in enumerate(order.tolist()):
        own = sequences[i].tobytes()
        new[k] = own != before
        before = own
    return new


def looked_up(table: NDArray, numbers: NDArray) -> NDArray:
    """``table[numbers]``, a block at a time."""
    found = np.empty(len(numbers), dtype=table.dtype)
    for start in range(0, len(numbers), _BLOCK):
        part = slice(start, start + _BLOCK)
        found[part] = table[numbers[part]]
    return found


def blocks(offsets: NDArray) -> Iterator[tuple[slice, slice, NDArray]]:
    """Blocks of tokens, the sequences that have tokens there, and how many each of these has."""
    for start in range(0, int(offsets[-1]), _BLOCK):
        stop = min(start + _BLOCK, int(offsets[-1]))
        first = int(np.searchsorted(offsets, start, side="right")) - 1
        last = int(np.searchsorted(offsets, stop))
        lengths = np.diff(offsets[first : last + 1].clip(start, stop))
        yield slice(start, stop), slice(first, last), lengths
