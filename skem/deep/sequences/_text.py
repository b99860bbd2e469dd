"""The vocabulary of documents: which tokens there are, and their ids."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem.deep.sequences._documents import (
    NEGATIVE,
    TOKENIZERS,
    Documents,
    Tokenizer,
    check_tokens,
    read,
)
from skem.deep.sequences._sequences import (
    Sequences,
    check_lengths,
    distinct_sequences,
    id_type,
    looked_up,
)
from skem.deep.sequences._words import join_words

__all__ = [
    "TOKENIZERS",
    "Documents",
    "Sequences",
    "Vocabulary",
    "check_lengths",
    "check_tokens",
    "distinct_sequences",
    "learn_vocabulary",
    "read",
]

START, END, UNKNOWN = "<s>", "</s>", "<unk>"

_SHOWN = 5
"""Tokens that an error names, at most."""


class Vocabulary:
    """Tokens and their ids, 0, 1, ..., size - 1.

    Special tokens come first, in the order start, end, unknown, so far as they are used; then come
    the tokens by falling frequency, and among equally frequent ones by their own order.

    Parameters
    ----------
    tokens : sequence of str or int
        Special tokens among them.
    counts : array-like of shape (size,)
        How often each of them was met in training; those of 'unknown' were dropped.
    kind : {'char', 'word', 'callable', 'str', 'int'}
        What tokens are, see `Documents`.
    tokenizer : {'char', 'word'} or callable or None
        How text is cut.
    start, end, unknown : int or None
        Ids of the special tokens; None for those that are not used.

    Attributes
    ----------
    tokens_ : list of str or int
        Token of each id; special ones are '<s>', '</s>', '<unk>'.
    counts_ : ndarray of shape (size,)
        Of each token in training: '</s>' counts documents, '<unk>' the tokens that were dropped,
        '<s>' is never to be predicted and has 0.
    size : int
        Number of ids.
    """

    def __init__(
        self,
        tokens: Sequence[Any],
        counts: ArrayLike,
        kind: str,
        tokenizer: Tokenizer = None,
        *,
        start: int | None = None,
        end: int | None = None,
        unknown: int | None = None,
    ):
        self.tokens_ = list(tokens)
        self.counts_ = np.asarray(counts)
        self.kind = kind
        self.tokenizer = tokenizer
        self.start = start
        self.end = end
        self.unknown = unknown
        self._ids = {token: i for i, token in enumerate(self.tokens_)}

    @property
    def size(self) -> int:
        return len(self.tokens_)

    def __len__(self) -> int:
        return len(self.tokens_)

    def __contains__(self, token: Any) -> bool:
        return token in self._ids

    def __repr__(self) -> str:
        return f"Vocabulary({self.size} tokens, kind={self.kind!r})"

    @property
    def special(self) -> list[int]:
        """Ids of the special tokens that are used."""
        return [i for i in (self.start, self.end, self.unknown) if i is not None]

    def id_of(self, token: Any) -> int:
        """Id of a token, that of 'unknown' if it is not in the vocabulary.

        Raises
        ------
        KeyError
            If there is neither the token nor an unknown one.
        """
        i = self._ids.get(token, self.unknown)
        if i is None:
            raise KeyError(token)
        return i

    def encode(self, X: Any, *, name: str = "X") -> Sequences:
        """Ids of documents, without start and end.

        A token that reads '<unk>' is the unknown one, if there is one.

        Parameters
        ----------
        X : Documents, or anything that `read` takes
        name : str, default='X'
            What errors call the documents.

        Returns
        -------
        sequences : Sequences

        Raises
        ------
        ValueError
            If a token is not in the vocabulary, and there is no unknown token; if a
            token is one that stands for the start or the end of documents.
        TypeError
            If X has strings where there were integers in training, or the other way round, or text
            where there were lists of tokens.
        """
        found = self.compact(X, name=name)
        return Sequences(found.tokens.astype(np.int64), found.offsets)

    def compact(self, X: Any, *, name: str = "X") -> Sequences:
        """The same as `encode`, with ids of the smallest type that holds them."""
        documents = X if isinstance(X, Documents) else read(X, self.tokenizer, name=name)
        self.check_kind(documents, name)
        self._refuse_ends(documents.types, name)
        table = np.array([self._ids.get(token, -1) for token in documents.types], dtype=np.int64)
        absent = table < 0
        if absent.any():
            if self.unknown is None and (absent := absent & _used(documents)).any():
                self._refuse(documents, absent, name)
            table[table < 0] = 0 if self.unknown is None else self.unknown
        return documents.sequences.mapped(table.astype(id_type(self.size)))

    def _refuse_ends(self, types: list, name: str) -> None:
        """Refuse tokens that say where a document starts and ends, which the model adds."""
        ends = [self.tokens_[i] for i in (self.start, self.end) if i is not None]
        refuse_ends(types, ends, name)

    def check_kind(self, documents: Documents, name: str) -> None:
        """Refuse documents of other tokens than in training: integers, strings, or lists of these.

        Raises
        ------
        TypeError
            It names the documents.
        """
        if documents.types and (documents.kind == "int") != (self.kind == "int"):
            has, had = ("integers", "strings") if documents.kind == "int" else ("text", "integers")
            raise TypeError(f"{name} has {has}, and tokens were {had} in fit. Give {had}.")
        if self.kind == "str" and documents.kind not in ("str", "int"):
            raise TypeError(f"{name} has text, and tokens were in lists in fit. Give such lists.")

    def _refuse(self, documents: Documents, absent: NDArray, name: str) -> NoReturn:
        """Name the tokens that are not in the vocabulary."""
        tokens = [documents.types[i] for i in np.flatnonzero(absent)]
        place = int(np.argmax(looked_up(absent, documents.sequences.tokens)))
        document = int(np.searchsorted(documents.sequences.offsets, place, side="right")) - 1
        some = ", ".join(map(repr, tokens[:_SHOWN])) + (", ..." if len(tokens) > _SHOWN else "")
        many = len(tokens) > 1
        raise ValueError(
            f"{name} has {'tokens that are' if many else 'a token that is'} not in the vocabulary "
            f"of {self.size}: {some}, first in document {document}. "
            f"{'Leave them' if many else 'Leave it'} out, or fit on documents that have "
            f"{'them' if many else 'it'}."
        )

    def tokens(self, ids: ArrayLike) -> list:
        """Tokens of ids.

        Raises
        ------
        ValueError
            If an id is not from 0 to size - 1.
        """
        numbers = np.asarray(ids)
        if numbers.size and numbers.dtype.kind not in "iu":
            raise ValueError(f"ids must be integers, got {reprlib.repr(ids)}.")
        outside = (numbers < 0) | (numbers >= self.size)
        if outside.any():
            raise ValueError(
                f"ids must be from 0 to {self.size - 1}, the last of the vocabulary; got "
                f"{numbers[outside].flat[0]}."
            )
        return [self.tokens_[i] for i in numbers.ravel().tolist()]

    def decode(self, ids: ArrayLike) -> Any:
        """Put ids back into what the user gave.

        Start and end are left out. An unknown token is '<unk>', and -1 among integers.

        Parameters
        ----------
        ids : array-like of int of shape (n_tokens,)

        Returns
        -------
        document : str or list
            A string if documents were text (words with blanks where they are usual, tokens of a
            callable with blanks between them); else a list of tokens.
        """
        left_out = {self.tokens_[i] for i in (self.start, self.end) if i is not None}
        tokens = [token for token in self.tokens(ids) if token not in left_out]
        if self.kind == "char":
            return "".join(tokens)
        if self.kind == "word":
            return join_words(tokens)
        if self.kind == "callable":
            return " ".join(tokens)
        if self.kind == "int" and self.unknown is not None:
            return [NEGATIVE if token == UNKNOWN else token for token in tokens]
        return tokens


def _used(documents: Documents) -> NDArray:
    """Which types there are in the documents, of which some may have been taken away."""
    return documents.sequences.counts(len(documents.types)) > 0


def refuse_ends(types: list, ends: list, name: str) -> None:
    """Refuse documents with the tokens that stand for the start and the end of each.

    Raises
    ------
    ValueError
        They would have a meaning of their own: nothing comes before a start, nor after an end.
    """
    for token in ends:
        if token in types:
            raise ValueError(
                f"{name} has the token {token!r}, which stands for the "
                f"{'start' if token == START else 'end'} of a document here and is added to each. "
                "Leave it out, or give it another name."
            )


def learn_vocabulary(
    documents: Documents,
    *,
    min_frequency: int = 1,
    max_vocabulary: int | None = None,
    start: bool = True,
    end: bool = True,
    unknown: bool = True,
    sample_weight: NDArray | None = None,
    name: str = "X",
) -> Vocabulary:
    """Learn which tokens there are.

    Parameters
    ----------
    documents : Documents
    min_frequency : int, default=1
        Tokens that occur less often are dropped: they become unknown.
    max_vocabulary : int or None, default=None
        The most tokens that are kept, special ones not counted: the most frequent, and among
        equally frequent ones the first in their own order. None keeps all.
    start, end, unknown : bool, default=True
        Which special tokens there are.
    sample_weight : ndarray of shape (n_documents,), default=None
        Weights of documents: counts are of ``sample_weight`` copies.
    name : str, default='X'
        What errors call the documents.

    Returns
    -------
    vocabulary : Vocabulary

    Raises
    ------
    ValueError
        If no tokens are left, or one only; if tokens are dropped and there is no unknown one.
    """
    tokens, counts, n_documents = _counts(documents, sample_weight)
    special = [token for token, used in ((START, start), (END, end), (UNKNOWN, unknown)) if used]
    refuse_ends(tokens, [token for token in special if token != UNKNOWN], name)
    # An unknown token in the documents is no other token; nor is a negative integer.
    own = np.array([t not in special and t != NEGATIVE for t in tokens], dtype=bool)
    order = [i for i in _by_frequency(tokens, counts) if own[i]]
    often = order if min_frequency == 1 else [i for i in order if counts[i] >= min_frequency]
    kept = often[:max_vocabulary]
    if len(order) < 2:
        raise ValueError(_too_few(tokens, order, len(documents), name))
    _check_left(counts, order, kept, min_frequency, max_vocabulary)
    dropped = order[len(kept) :] + [i for i in range(len(tokens)) if tokens[i] == NEGATIVE]
    if dropped and not unknown:
        raise ValueError(_no_unknown([tokens[i] for i in dropped], name))
    of_special = {START: 0 * n_documents, END: n_documents, UNKNOWN: counts[dropped].sum()}
    for i in np.flatnonzero(~own).tolist():
        if tokens[i] in special:
            of_special[tokens[i]] += counts[i]
    ids = {token: i for i, token in enumerate(special)}
    return Vocabulary(
        special + [tokens[i] for i in kept],
        np.array([*[of_special[token] for token in special], *counts[kept]]),
        documents.kind,
        documents.tokenizer,
        start=ids.get(START),
        end=ids.get(END),
        unknown=ids.get(UNKNOWN),
    )


def _counts(documents: Documents, weight: NDArray | None) -> tuple[list, NDArray, Any]:
    """Different tokens of positive weight, their counts, and the number of documents."""
    sequences, types = documents.sequences, documents.types
    counts = sequences.counts(len(types), weight)
    total: Any = len(documents) if weight is None else float(np.sum(weight))
    there = np.flatnonzero(counts > 0)
    return [types[i] for i in there.tolist()], counts[there], total


def _by_frequency(tokens: list, counts: NDArray) -> list[int]:
    """The most frequent first, then in the order of the tokens."""
    by_token = sorted(range(len(tokens)), key=tokens.__getitem__)
    return sorted(by_token, key=(-counts).tolist().__getitem__)


def _too_few(tokens: list, order: list[int], n_documents: int, name: str) -> str:
    if not order:
        return f"{name} has no tokens: every document is empty. Give documents that have some."
    samples = f"{n_documents} sample{'s' * (n_documents > 1)}"
    return (
        f"{name} has a vocabulary of one token, {tokens[order[0]]!r}, in {samples}, so there is "
        "nothing to tell apart. Give documents with at least two different tokens."
    )


def _check_left(
    counts: NDArray,
    order: list[int],
    kept: list[int],
    min_frequency: int,
    max_vocabulary: int | None,
) -> None:
    """Refuse a vocabulary with which there is nothing to model."""
    if len(kept) < 2:
        raise ValueError(
            f"Of {len(order)} tokens min_frequency={min_frequency} and max_vocabulary="
            f"{max_vocabulary} leave {len(kept)}, and at least two are needed. The most frequent "
            f"ones occur {counts[order[0]]:g} and {counts[order[1]]:g} times; lower min_frequency, "
            "or raise max_vocabulary."
        )


def _no_unknown(dropped: list, name: str) -> str:
    if dropped == [NEGATIVE]:
        return (
            f"{name} has negative token ids before the end of a sequence, and there is no unknown "
            "token they could be. Give ids of 0 or more; -1 may only pad a row at its end."
        )
    return (
        f"min_frequency and max_vocabulary drop {len(dropped)} tokens, {reprlib.repr(dropped)}, "
        "and there is no unknown token they could be. Set min_frequency=1 and max_vocabulary=None."
    )
