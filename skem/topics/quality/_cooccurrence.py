"""Numbers of documents or windows in which words occur together; only given words are counted.

Shapes: together (n_words, n_words), whose diagonal holds the numbers of windows with each word.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skem._sparse import check_sparse_indices
from skem._validation import as_numbers
from skem.topics.quality._words import Word

BLOCK_ENTRIES = 4_000_000
"""Pairs of window and word that are held at a time: some 100 MB."""


def is_tokens(reference: Any) -> bool:
    """Whether it is documents as lists of tokens, and not a matrix of counts.

    Raises
    ------
    ValueError
        If it is texts that are not split into tokens.
    """
    if sp.issparse(reference) or not isinstance(reference, Sequence):
        return False
    if any(isinstance(document, str) for document in reference):
        raise ValueError(
            "reference holds texts: split them into tokens, for instance with "
            "CountVectorizer().build_analyzer(), or count their words with CountVectorizer."
        )
    lists = (document for document in reference if isinstance(document, Iterable))
    return any(isinstance(token, str) for document in lists for token in document)


def names_of_columns(vocabulary: Mapping[str, int] | Sequence[str]) -> list[str]:
    """Tokens in the order of the columns."""
    if isinstance(vocabulary, Mapping):
        return sorted(vocabulary, key=lambda token: vocabulary[token])
    return [str(name) for name in vocabulary]


def count_in_matrix(words: list[Word], reference: Any, names: list[str] | None) -> tuple:
    """Number of documents, and of those in which each pair of words occurs.

    Raises
    ------
    ValueError
        If the counts are not a matrix of numbers, or a word is not one of its columns.
    """
    check_sparse_indices(reference, "reference")
    counts = reference if sp.issparse(reference) else as_numbers(reference)
    if counts is None or counts.ndim != 2 or 0 in counts.shape:
        raise ValueError(
            "reference must be a matrix of document-word counts, or a list of documents, each a "
            f"list of tokens; got {reprlib.repr(reference)}."
        )
    columns = _columns(words, names, counts.shape[1])
    chosen = sp.csc_array(counts)[:, columns] if sp.issparse(counts) else counts[:, columns]
    present = sp.csc_array(chosen > 0, dtype=np.float64)
    return counts.shape[0], (present.T @ present).toarray()


def _columns(words: list[Word], names: list[str] | None, n_features: int) -> list[int]:
    if names is not None and len(names) != n_features:
        raise ValueError(f"vocabulary holds {len(names)} names for the {n_features} columns.")
    number = {} if names is None else {name: j for j, name in enumerate(names)}
    columns = []
    for word in words:
        if isinstance(word, str):
            if word not in number:
                raise ValueError(
                    f"topics holds the word {word!r}, which is not in vocabulary. Give vocabulary "
                    "the name of each column of reference."
                )
            columns.append(number[word])
        elif 0 <= word < n_features:
            columns.append(word)
        else:
            raise ValueError(
                f"topics holds the word {word}, but reference has {n_features} columns, numbered "
                "from 0: both must have the same vocabulary."
            )
    return columns


def count_in_tokens(
    words: list[Word],
    reference: Sequence[Sequence[str]],
    names: list[str] | None,
    window: int | None,
) -> tuple[int, NDArray]:
    """Number of windows, and of those in which each pair of words occurs.

    A document of n tokens has n - window + 1 windows, at least one; all of it is the only window
    if `window` is None.

    Raises
    ------
    ValueError
        If a word has no name.
    """
    number = {token: i for i, token in enumerate(_tokens(words, names))}
    n_windows, together = 0, np.zeros((len(words), len(words)))
    for size, rows, columns in _window_entries(number, reference, window):
        present = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(size, len(words)))
        together += (present.T @ present).toarray()
        n_windows += size
    return n_windows, together


def _tokens(words: list[Word], names: list[str] | None) -> list[str]:
    if names is None and any(not isinstance(word, str) for word in words):
        raise ValueError(
            "vocabulary must name the columns of the topics where reference holds tokens: pass "
            "CountVectorizer's get_feature_names_out() or vocabulary_."
        )
    tokens = []
    for word in words:
        if isinstance(word, str):
            tokens.append(word)
        elif names is not None and 0 <= word < len(names):
            tokens.append(names[word])
        else:
            raise ValueError(
                f"topics holds the word {word}, but vocabulary names {len(names or ())} columns, "
                "numbered from 0."
            )
    return tokens


def _window_entries(
    number: dict[str, int], reference: Sequence[Sequence[str]], window: int | None
) -> Iterator[tuple[int, NDArray, NDArray]]:
    """Blocks of windows: their number, and the (window, word) pairs, each pair once."""
    first: list[int] = []  # the windows that an occurrence brings its word to: first, ..., last
    last: list[int] = []
    column: list[int] = []
    n_windows = n_entries = 0
    for document in reference:
        width = len(document) if window is None else window
        size = max(1, len(document) - width + 1)
        reached: dict[int, int] = {}  # the last window of this document that has the word already
        for position, token in enumerate(document):
            word = number.get(token)
            if word is None:
                continue
            start = max(0, position - width + 1, reached.get(word, -1) + 1)
            end = min(position, size - 1)
            if start <= end:
                reached[word] = end
                first.append(n_windows + start)
                last.append(n_windows + end)
                column.append(word)
                n_entries += end - start + 1
        n_windows += size
        if n_entries >= BLOCK_ENTRIES:
            yield n_windows, *_spread(first, last, column)
            first, last, column, n_windows, n_entries = [], [], [], 0, 0
    if n_windows:
        yield n_windows, *_spread(first, last, column)


def _spread(first: list[int], last: list[int], column: list[int]) -> tuple[NDArray, NDArray]:
    """All windows from each first to its last, and the words beside them."""
    start = np.array(first, dtype=np.int64)
    length = np.array(last, dtype=np.int64) - start + 1
    before = np.cumsum(length) - length
    rows = np.arange(length.sum()) - np.repeat(before - start, length)
    return rows, np.repeat(np.array(column, dtype=np.int64), length)
