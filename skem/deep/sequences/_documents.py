"""Documents as sequences of tokens: text of any kind, token lists, arrays of integers."""

from __future__ import annotations

import itertools
import numbers
import reprlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from skem._input import refuse_masks, validate_data
from skem.deep.sequences._sequences import Sequences, blocks, id_type
from skem.deep.sequences._words import words_of

TOKENIZERS = ("char", "word")
Tokenizer = str | Callable[[str], list[str]] | None

NEGATIVE = -1
"""What all negative token ids are read as."""

_LARGEST = 2**53
"""Integers up to here are exact as floats."""

_PIECE = 1 << 17
"""Characters or ids that are looked at together."""

_SPARSE, _SMALL = 4, 1 << 17
"""Range of ids, for each of them and besides, above which they are sorted: a table of the range
would be larger than they are."""


class Documents:
    """Documents cut into tokens, of which each different one is stored once.

    Attributes
    ----------
    kind : {'char', 'word', 'callable', 'str', 'int'}
        What the tokens are: those of a tokenizer, or strings or integers as given.
    types : list
        The different tokens, in no stated order.
    sequences : Sequences
        Documents as numbers of ``types``.
    n_characters : ndarray of int of shape (n_documents,) or None
        Length of each document that was given as one string.
    tokenizer : {'char', 'word'} or callable or None
        That with which text is cut.
    """

    def __init__(
        self,
        kind: str,
        types: list,
        sequences: Sequences,
        n_characters: NDArray | None = None,
        tokenizer: Tokenizer = None,
    ):
        self.kind = kind
        self.types = types
        self.sequences = sequences
        self.n_characters = n_characters
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, order: ArrayLike) -> Documents:
        """Documents by their numbers, in that order."""
        n = None if self.n_characters is None else self.n_characters[np.asarray(order, dtype=int)]
        return Documents(self.kind, self.types, self.sequences.take(order), n, self.tokenizer)


def is_table(X: Any) -> bool:
    """Whether X has to be an array with a row for each sequence: it is neither text nor ragged."""
    if sp.issparse(X):
        return True
    if isinstance(X, (list, tuple)):
        return len(X) > 0 and all(isinstance(item, numbers.Number) for item in X)
    if getattr(X, "shape", None) is None and not hasattr(X, "__array__"):
        return False
    if hasattr(X, "to_pylist") and not hasattr(X, "shape"):
        return False
    array = np.asarray(X)
    if array.dtype.kind != "O":
        return array.dtype.kind not in "SUT"
    if any(isinstance(item, (str, bytes)) for item in array.flat):
        return False
    return array.ndim > 1 or (len(array) > 0 and isinstance(array[0], numbers.Number))


def check_tokens(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Check X as far as scikit-learn's habits go: what is text or ragged comes back as it is.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` (and ``feature_names_in_``) of a 2-D array, and loses them with
        ``reset`` if X is none.
    X : Any
        A 2-D array, or anything that `read` takes.
    reset : bool
        True in ``fit``, False elsewhere: the width must then be that of ``fit``.

    Returns
    -------
    X : ndarray of int of shape (n_samples, n_tokens), or X itself

    Raises
    ------
    ValueError
        If a 2-D array holds anything but integers, or has another width than in ``fit``.
    TypeError
        If X is sparse.
    """
    refuse_masks(X, "X")
    if is_table(X):
        return whole_numbers(validate_data(estimator, X, reset=reset, ensure_all_finite=False))
    if reset:
        for name in ("n_features_in_", "feature_names_in_"):
            vars(estimator).pop(name, None)
    return X


def whole_numbers(X: NDArray, name: str = "X") -> NDArray:
    """Token ids as integers: X itself if it has such, else int64.

    Raises
    ------
    ValueError
        If X holds NaN, infinity, fractions, or numbers that int64 does not hold exactly.
    """
    if X.dtype.kind == "i" or (X.dtype.kind == "u" and X.dtype.itemsize < 8):
        return X
    if X.dtype.kind == "b":
        return X.astype(np.int8)
    found, refused = np.empty(X.shape, dtype=np.int64), []
    rows_at_once = max(1, _PIECE * len(X) // max(1, X.size))
    for start in range(0, len(X), rows_at_once):
        block = X[start : start + rows_at_once]
        if X.dtype.kind == "u":
            bad = np.iinfo(np.int64).max < block
        else:
            block = block.astype(np.float64, copy=False)
            bad = ~(np.abs(block) <= _LARGEST) | (np.floor(block) != block)
        if bad.any():
            refused.append(block[bad])
        else:
            found[start : start + rows_at_once] = block
    if refused:
        values = np.concatenate(refused)
        raise _no_id(min(values, key=np.isfinite), name)  # the first that is not finite, if any
    return found


def _no_id(value: Any, name: str) -> ValueError:
    shown = {"nan": "NaN", "inf": "infinity", "-inf": "-infinity"}.get(str(value), f"{value:g}")
    return ValueError(
        f"{name} contains {shown}, and tokens that are numbers must be integers. Give ids of 0 or "
        "more, and a negative number where a row is padded or a token is unknown."
    )


def read(X: Any, tokenizer: Tokenizer = None, *, name: str = "X") -> Documents:
    """Cut documents into tokens.

    Parameters
    ----------
    X : str, sequence of str, sequence of sequences, or ndarray of shape (n_samples, n_tokens)
        Text (one string is one document), sequences of string tokens, or of integers. Tokens that
        are given as such are taken as they are, whatever the tokenizer. Negative integers at the
        end of a sequence are padding, and are dropped; elsewhere they are unknown tokens.
    tokenizer : {'char', 'word'} or callable or None, default=None
        How to cut strings; a callable takes a string and returns a list of strings.
    name : str, default='X'
        What errors call the documents.

    Returns
    -------
    documents : Documents

    Raises
    ------
    ValueError
        If X has no documents, or is text and there is no tokenizer.
    TypeError
        If X is neither text nor sequences of strings or of integers.
    """
    documents = _read(X, tokenizer, name)
    documents.tokenizer = tokenizer
    return documents


def _read(X: Any, tokenizer: Tokenizer, name: str) -> Documents:
    if is_table(X):
        return _rows(X, name)
    items = _items(X, name)
    if len(items) == 0:
        raise ValueError(f"{name} has no documents; at least one is needed.")
    if isinstance(items[0], str):
        return _text(items, tokenizer, name)
    return _tokens(items, name)


def _rows(X: Any, name: str) -> Documents:
    """Documents that are rows of equal length."""
    if sp.issparse(X):
        raise TypeError(f"{name} is sparse. Token ids must be in a dense array, or in lists.")
    ids = np.asarray(X)
    if ids.ndim != 2:
        raise ValueError(
            f"{name} is an array of shape {ids.shape}, expected (n_samples, n_tokens). One "
            f"sequence is given as [{name}]."
        )
    ids = whole_numbers(ids, name)
    return _integers(ids.ravel(), np.full(len(ids), ids.shape[1]))


def _items(X: Any, name: str) -> list:
    """The documents of X, one by one."""
    if isinstance(X, str):
        return [X]
    if hasattr(X, "to_pylist") and len(getattr(X, "shape", (0,))) == 1:
        X = X.to_pylist()  # an array of pyarrow has scalars of its own kind
    if len(getattr(X, "shape", ())) == 2:
        X = np.asarray(X)  # a data frame goes over its columns
        if X.shape[1] == 1:
            X = X[:, 0]
    if isinstance(X, (dict, set, frozenset, bytes)) or not isinstance(X, Iterable):
        raise TypeError(
            f"{name} must be a string, a list of strings, a list of token lists, or a 2-D array "
            f"of integers; got {type(X).__name__}."
        )
    return list(X)


def _text(texts: list, tokenizer: Tokenizer, name: str) -> Documents:
    if tokenizer is None:
        parameter = "target_tokenizer" if name in ("y", "y_val") else "tokenizer"
        raise ValueError(
            f"{parameter}=None needs integer token ids or lists of tokens, and {name} has text, "
            f"{reprlib.repr(texts[0])}. Set {parameter} to 'char', 'word' or a callable."
        )
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"{name}[0] is a string, and {name}[{i}] is of type {type(text).__name__}: "
                f"{reprlib.repr(text)}. All documents must be strings."
            )
    n_characters = np.fromiter(map(len, texts), np.int64, len(texts))
    if tokenizer == "char":
        codes, tokens = _characters(texts, int(n_characters.sum()))
        types = [chr(code) for code in codes.tolist()]
        return Documents("char", types, Sequences.of_lengths(tokens, n_characters), n_characters)
    if tokenizer == "word":
        return _strings("word", map(words_of, texts), n_characters)
    if not callable(tokenizer):
        raise ValueError(
            f"tokenizer must be 'char', 'word', None, or a callable; got {tokenizer!r}."
        )
    return _strings("callable", (_cut(text, tokenizer) for text in texts), n_characters)


def _characters(texts: list[str], n: int) -> tuple[NDArray, NDArray]:
    """The different characters, ascending, and each of the n characters as a number of those.

    Texts are gone over twice, in pieces: first for which characters there are.
    """
    there = np.zeros(256, dtype=bool)
    for codes in _pieces(texts):
        if (most := int(codes.max())) >= len(there):
            there = np.concatenate([there, np.zeros(most + 1 - len(there), dtype=bool)])
        there[codes] = True
    found = np.flatnonzero(there)
    number = (np.cumsum(there) - 1).astype(id_type(len(found)))
    tokens, start = np.empty(n, dtype=number.dtype), 0
    for codes in _pieces(texts):
        tokens[start : start + len(codes)] = number[codes]
        start += len(codes)
    return found, tokens


def _pieces(texts: list[str]) -> Iterator[NDArray]:
    """Code points of all characters, some at a time."""
    pieces: list[str] = []
    n = 0
    for text in texts:
        for start in range(0, len(text), _PIECE):
            pieces.append(text[start : start + _PIECE])
            n += len(pieces[-1])
            if n >= _PIECE:
                yield code_points(pieces)
                pieces, n = [], 0
    if pieces:
        yield code_points(pieces)


def code_points(pieces: Iterable[str]) -> NDArray:
    """Code points of all characters of some strings."""
    return np.frombuffer("".join(pieces).encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _cut(text: str, tokenizer: Callable[[str], list[str]]) -> list[str]:
    tokens = tokenizer(text)
    if isinstance(tokens, str) or not isinstance(tokens, Iterable):
        raise TypeError(
            f"tokenizer returned {type(tokens).__name__}, and must return a list of strings."
        )
    tokens = list(tokens)
    if not all(isinstance(token, str) for token in tokens):
        raise TypeError(f"tokenizer must return a list of strings; got {reprlib.repr(tokens)}.")
    return tokens


def _tokens(items: list, name: str) -> Documents:
    """Sequences of strings or of integers."""
    sequences: list[Any] = []
    for i, item in enumerate(items):
        if isinstance(item, (str, bytes, dict, set)) or not isinstance(item, Iterable):
            raise TypeError(
                f"{name}[{i}] must be a list of tokens, as {name}[0] is; got {reprlib.repr(item)}."
                if i
                else f"{name} must hold strings, lists of strings, or lists of integers; "
                f"{name}[0] is {reprlib.repr(item)}."
            )
        if hasattr(item, "__array__"):
            item = np.asarray(item)
        sequences.append(item if isinstance(item, (np.ndarray, list, tuple)) else list(item))
    lengths = [len(sequence) for sequence in sequences]
    if all(isinstance(s, np.ndarray) and s.ndim == 1 and s.dtype.kind in "biuf" for s in sequences):
        return _integers(whole_numbers(np.concatenate(sequences), name), lengths)
    types = set(map(type, itertools.chain.from_iterable(sequences)))
    if types and all(issubclass(kind, str) for kind in types):
        return _strings("str", sequences, None)
    if all(issubclass(kind, (numbers.Real, np.bool_)) for kind in types):
        flat = np.array(list(itertools.chain.from_iterable(sequences)))
        return _integers(whole_numbers(flat, name), lengths)
    names = sorted(kind.__name__ for kind in types)
    raise TypeError(
        f"Tokens must be all strings or all integers; those in {name} are of type "
        f"{', '.join(names)}."
    )


def _strings(
    kind: str, documents: Iterable[Iterable[str]], n_characters: NDArray | None
) -> Documents:
    """Each token is made a number at once: as strings they take ten times the memory."""
    number_of: defaultdict[str, int] = defaultdict()
    number_of.default_factory = number_of.__len__  # the next number, for one that is new
    tokens, offsets = array("i"), array("q", [0])
    for document in documents:
        tokens.extend(map(number_of.__getitem__, document))
        offsets.append(len(tokens))
    sequences = Sequences(
        np.frombuffer(tokens, np.int32) if tokens else np.empty(0, np.int32),
        np.frombuffer(offsets, np.int64),
    )
    return Documents(kind, [str(token) for token in number_of], sequences, n_characters)


def _integers(ids: NDArray, lengths: ArrayLike) -> Documents:
    sequences = Sequences.of_lengths(ids, lengths)
    if ids.size and ids.min() < 0:
        sequences = _without_padding(sequences)
    types, tokens = _factorized(sequences.tokens)
    return Documents("int", types.tolist(), Sequences(tokens, sequences.offsets))


def _without_padding(sequences: Sequences) -> Sequences:
    """Negative ids at the ends are dropped, others become -1."""
    ids, offsets = sequences.tokens, sequences.offsets
    lengths = np.zeros(len(sequences), dtype=np.int64)  # up to the last id that is not negative
    for part, own, sizes in blocks(offsets):
        place = np.arange(part.start, part.stop) + 1 - np.repeat(offsets[:-1][own], sizes)
        document = np.repeat(np.arange(own.start, own.stop), sizes)
        there = ids[part] >= 0
        np.maximum.at(lengths, document[there], place[there])
    kept = Sequences.of_lengths(np.empty(lengths.sum(), dtype=ids.dtype), lengths)
    shift = offsets[:-1] - kept.offsets[:-1]
    for part, own, sizes in blocks(kept.offsets):
        place = np.arange(part.start, part.stop) + np.repeat(shift[own], sizes)
        kept.tokens[part] = np.maximum(ids[place], NEGATIVE)
    return kept


def _factorized(values: NDArray) -> tuple[NDArray, NDArray]:
    """The different values, ascending, and each value as a number of those."""
    if values.size == 0:
        return values, values
    low = int(values.min())
    span = int(values.max()) - low + 1
    if span > _SPARSE * len(values) + _SMALL:
        types, tokens = np.unique(values, return_inverse=True)
        return types, tokens.astype(id_type(len(types)))
    there = np.zeros(span, dtype=bool)
    for start in range(0, len(values), _PIECE):
        there[values[start : start + _PIECE].astype(np.int64) - low] = True
    found = np.flatnonzero(there)
    number = (np.cumsum(there) - 1).astype(id_type(len(found)))
    tokens = np.empty(len(values), dtype=number.dtype)
    for start in range(0, len(values), _PIECE):
        part = slice(start, start + _PIECE)
        tokens[part] = number[values[part].astype(np.int64) - low]
    return found + low, tokens
