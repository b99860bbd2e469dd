"""Tags of tokens: lists of lists as one array of numbers."""

from __future__ import annotations

import itertools
import numbers
import reprlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from skem._input import refuse_masks
from skem.deep.sequences._sequences import id_type


class TokenLists(list):
    """Lists of tags or tokens, one for each document.

    As an array of NumPy, which `cross_val_predict` puts together, it has one object for each list,
    also where all of them happen to be of the same length.
    """

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        if copy is False:
            raise ValueError("Lists are no array: copy=False is not possible.")
        found = np.empty(len(self), dtype=object)
        for i, tags in enumerate(self):
            found[i] = tags
        return found


class Tags(NamedTuple):
    """Tags of all tokens, one document after the other."""

    classes: NDArray  # (n_tags,): the different ones, ascending
    codes: NDArray  # (n_tokens,): numbers of those, see `id_type`


_IGNORED = -100  # what other libraries write where a token has no label


def read_tags(y: Any, lengths: NDArray, *, padded: bool = False) -> Tags:
    """Check that each token has a tag.

    Parameters
    ----------
    y : sequence of sequences of str or int
        For each document.
    lengths : ndarray of int of shape (n_documents,)
        Tokens of documents.
    padded : bool, default=False
        Whether tags of what was padding are left out: those after the tokens.

    Raises
    ------
    ValueError
        If y is None, lengths differ, or a token has None, NaN or -100 in place of a tag.
    TypeError
        If y holds no sequences, or tags that are neither all strings nor all integers.
    """
    if y is None:
        raise ValueError("RNNTagger requires y to be passed, but the target y is None.")
    refuse_masks(y, "y")
    documents = _documents(y)
    if len(documents) != len(lengths):
        raise ValueError(
            f"X has {len(lengths)} documents, and y has tags of {len(documents)}. Give a list of "
            "tags for each document."
        )
    for i, (tags, n) in enumerate(zip(documents, lengths.tolist(), strict=True)):
        if len(tags) == n:
            continue
        if not padded or len(tags) < n:
            raise ValueError(
                f"Document {i} has {n} token{'s' * (n != 1)}, and y[{i}] has {len(tags)} "
                f"tag{'s' * (len(tags) != 1)}. Give one for each token."
            )
        documents[i] = tags[:n]
    return _numbered(documents)


def may_be_padded(X: Any) -> bool:
    """Whether rows of X, being those of a matrix, may be padded at their ends."""
    return getattr(X, "ndim", 1) == 2


def _documents(y: Any) -> list[Sequence]:
    if isinstance(y, (str, bytes, dict, set)) or not hasattr(y, "__iter__"):
        raise TypeError(f"y must be a list of lists of tags; got {reprlib.repr(y)}.")
    documents: list[Sequence] = []
    for i, tags in enumerate(np.asarray(y) if getattr(y, "ndim", 1) == 2 else y):
        if isinstance(tags, (str, bytes, dict, set)) or not hasattr(tags, "__iter__"):
            raise TypeError(
                f"y must be a list of lists of tags, one for each token; y[{i}] is "
                f"{reprlib.repr(tags)}."
            )
        tags = tags.tolist() if hasattr(tags, "tolist") else tags
        documents.append(tags if isinstance(tags, (list, tuple)) else list(tags))
    return documents


def _numbered(documents: list[Sequence]) -> Tags:
    """The different tags, and each tag as a number of those."""
    kinds = set(map(type, itertools.chain.from_iterable(documents)))
    _refuse_missing(documents, kinds)
    n = sum(map(len, documents))
    if all(issubclass(kind, str) for kind in kinds):
        types = list(dict.fromkeys(itertools.chain.from_iterable(documents)))
        classes, places = np.unique(np.array(types), return_inverse=True)
        number = dict(zip(types, places.tolist(), strict=True))
        each = map(number.__getitem__, itertools.chain.from_iterable(documents))
        return Tags(classes, np.fromiter(each, id_type(len(classes)), n))
    if all(issubclass(kind, (numbers.Integral, np.bool_)) for kind in kinds):
        flat = np.array(list(itertools.chain.from_iterable(documents)))
        if (flat == _IGNORED).any():
            _refuse_ignored(documents)
        classes, codes = np.unique(flat, return_inverse=True)
        return Tags(classes, codes.astype(id_type(len(classes))))
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise TypeError(f"Tags must be all strings or all integers; those in y are of type {names}.")


def _refuse_missing(documents: list[Sequence], kinds: set[type]) -> None:
    """Say where a tag is None, NaN or the like."""
    if all(issubclass(kind, (str, numbers.Integral, np.bool_)) for kind in kinds):
        return
    for i, j, tag in _places(documents):
        if _is_missing(tag):
            raise ValueError(
                f"Input y contains missing values: y[{i}][{j}] is {tag!r}, and each token needs a "
                "tag. Give tokens without one a tag of their own, such as 'O'."
            )


def _refuse_ignored(documents: list[Sequence]) -> NoReturn:
    i, j = next((i, j) for i, j, tag in _places(documents) if tag == _IGNORED)
    raise ValueError(
        f"y[{i}][{j}] is {_IGNORED}, which other libraries leave out of the loss. Here each token "
        "needs a tag: give those without one a tag of their own, or leave them out of X and y. If "
        f"{_IGNORED} is a tag like others, write tags as strings."
    )


def _places(documents: list[Sequence]) -> Iterator[tuple[int, int, Any]]:
    """Numbers of document and token, and the tag there."""
    return ((i, j, tag) for i, tags in enumerate(documents) for j, tag in enumerate(tags))


def _is_missing(tag: Any) -> bool:
    try:
        return tag is None or bool(tag != tag)
    except TypeError:  # pandas.NA
        return True
