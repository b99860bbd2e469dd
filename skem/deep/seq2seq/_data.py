"""What a fit of an encoder–decoder trains on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem._warnings import warn_user
from skem.deep.recurrent._base import in_own_order
from skem.deep.sequences._documents import Documents
from skem.deep.sequences._pairs import Pairs
from skem.deep.sequences._sequences import id_type
from skem.deep.sequences._targets import Form
from skem.deep.sequences._text import Sequences, Vocabulary, distinct_sequences
from skem.deep.training._distinct import repeated


class TrainingPairs(NamedTuple):
    """Pairs as ids, and what these mean."""

    source: Sequences
    target: Sequences
    weight: NDArray | None
    valid: tuple[Sequences, Sequences] | None  # that the user gave
    vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    form: Form

    def pairs(self, rows: NDArray) -> Pairs:
        """Those of them, as batches are made of them."""
        weight = None if self.weight is None else self.weight[rows]
        return self.as_pairs(self.source.take(rows), self.target.take(rows), weight)

    def as_pairs(
        self, source: Sequences, target: Sequences, weight: NDArray | None = None
    ) -> Pairs:
        vocabulary = self.target_vocabulary
        return Pairs(source, target, start=vocabulary.size, end=vocabulary.end, weight=weight)


class Range(NamedTuple):
    """Which outputs there are."""

    n_kinds: int  # different tokens
    n_tokens: int  # that an output has, at most
    ends: bool  # whether it may have fewer

    def count(self, enough: int) -> int:
        """How many outputs; counting ends where there are enough."""
        total, n = 0, 0 if self.ends else self.n_tokens
        while n <= self.n_tokens and total < enough:
            total, n = total + self.n_kinds**n, n + 1
        return total

    def check(self, wanted: int, name: str) -> None:
        """Refuse to look for more.

        Raises
        ------
        ValueError
            It names the parameter.
        """
        n = self.count(wanted)
        if wanted > n:
            raise ValueError(
                f"{name}={wanted} is more than the {n} outputs that there are, of "
                f"{'at most ' if self.ends else ''}{self.n_tokens} of {self.n_kinds} different "
                f"tokens. Lower {name}{', or raise max_length' if self.ends else ''}."
            )


def range_of(vocabulary: Vocabulary, n_tokens: int) -> Range:
    """Outputs of at most so many tokens of a vocabulary."""
    return Range(vocabulary.size - len(vocabulary.special), n_tokens, vocabulary.end is not None)


def epoch(
    source: Sequences, target: Sequences, weight: NDArray | None
) -> tuple[Sequences, Sequences, NDArray | None]:
    """Pairs as often as their weights say, in an order of their own; and what is left to weigh."""
    n, (_, _, number) = len(source), in_own_order(target)
    rows, weight = distinct_sequences(source, weight, number)
    times, weight = repeated(weight, n)
    if times is not None:
        rows, weight = rows[times], None if weight is None else weight[times]
    return source.take(rows), target.take(rows), weight


def joined(a: Documents, b: Documents) -> Documents:
    """The documents of one after those of the other.

    Raises
    ------
    TypeError
        If one has integers, and the other strings.
    """
    if (a.kind == "int") != (b.kind == "int"):
        raise TypeError(
            "share_vocabulary=True needs X and y of one kind; one has integers, the other strings."
        )
    number = {token: i for i, token in enumerate(a.types)}
    table = [number.setdefault(token, len(number)) for token in b.types]
    own = b.sequences.mapped(np.array(table, dtype=id_type(len(number))))
    both = Sequences.of_lengths(
        np.concatenate([a.sequences.tokens.astype(np.int64), own.tokens]),
        np.concatenate([a.sequences.lengths, own.lengths]),
    )
    return Documents(a.kind, list(number), both)


def for_side(shared: Vocabulary, documents: Documents) -> Vocabulary:
    """The same ids for documents that are cut in another way."""
    return Vocabulary(
        shared.tokens_,
        shared.counts_,
        documents.kind,
        documents.tokenizer,
        end=shared.end,
        unknown=shared.unknown,
    )


def known_pairs(
    source: Documents, target: Documents, vocabulary: Vocabulary
) -> tuple[Documents, Documents]:
    """Pairs whose targets the model can give; the others have no finite loss.

    Raises
    ------
    ValueError
        If none is left.
    """
    if vocabulary.unknown is not None:
        return source, target
    known = np.array([token in vocabulary for token in target.types], dtype=bool)
    tokens, owner = (
        target.sequences.tokens,
        np.repeat(np.arange(len(target)), target.sequences.lengths),
    )
    unknown = np.zeros(len(target), dtype=bool)
    unknown[owner[~known[tokens]]] = True
    if not unknown.any():
        return source, target
    if unknown.all():
        raise ValueError("y_val has tokens in each sequence that are not in y: no loss is finite.")
    warn_user(
        f"{unknown.sum()} of {len(target)} sequences of y_val have tokens that are not in y; they "
        "are left out of the validation loss, which would be infinite.",
        UserWarning,
    )
    rows = np.flatnonzero(~unknown)
    return source.take(rows), target.take(rows)
