"""Edit distances of sequences, and the error rate that comes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem._kernel_cache import njit
from skem._validation import check_weights
from skem.deep.sequences._documents import Documents, Tokenizer
from skem.deep.sequences._targets import read_targets


def edit_distances(found: Documents, wanted: Documents) -> NDArray:
    """Fewest insertions, deletions and substitutions of tokens, (n_documents,).

    From each document to the one beside it (Wagner and Fischer 1974).
    """
    n = len(wanted.types)
    number = {token: i for i, token in enumerate(wanted.types)}
    table = np.array([number.get(token, n) for token in found.types], dtype=np.int64)
    tokens = found.sequences.mapped(table).tokens if len(table) else np.empty(0, np.int64)
    return _distances(
        tokens,
        found.sequences.offsets,
        wanted.sequences.tokens.astype(np.int64),
        wanted.sequences.offsets,
    )


@njit(nogil=True, cache=True)
def _distances(a: NDArray, a_at: NDArray, b: NDArray, b_at: NDArray) -> NDArray:
    n = len(a_at) - 1
    found = np.empty(n, dtype=np.int64)
    longest = 0
    for i in range(n):
        longest = max(longest, b_at[i + 1] - b_at[i])
    row = np.empty(longest + 1, dtype=np.int64)  # distances to beginnings of b
    for i in range(n):
        m = b_at[i + 1] - b_at[i]
        for j in range(m + 1):
            row[j] = j
        for s in range(a_at[i], a_at[i + 1]):
            before = row[0]  # of both without their last token
            row[0] += 1
            for j in range(m):
                above = row[j + 1]
                substituted = before + (a[s] != b[b_at[i] + j])
                row[j + 1] = min(substituted, above + 1, row[j] + 1)
                before = above
        found[i] = row[m]
    return found


def rate_of(edits: NDArray, lengths: NDArray, sample_weight: ArrayLike | None) -> float:
    """Weighted edits over the weighted number of tokens."""
    weight = check_weights(sample_weight, np.empty((len(edits), 0)))
    weight = np.ones(len(edits)) if weight is None else weight
    total = float(weight @ lengths)
    if not total:
        raise ValueError("y has no tokens: there is nothing that an error rate could be of.")
    return float(weight @ edits) / total


def token_error_rate(
    y_true: Any,
    y_pred: Any,
    *,
    tokenizer: Tokenizer = "char",
    sample_weight: ArrayLike | None = None,
) -> float:
    """Edit distance from predicted sequences to the true ones, a token of the latter.

    The phone, character or word error rate: the fewest insertions, deletions and substitutions of
    tokens that make the true sequences of the predicted ones, over the number of tokens of the
    former. It may be above one.

    Parameters
    ----------
    y_true, y_pred : sequence of str, sequence of sequences, or array-like of int
        Sequences of one kind.
    tokenizer : {'char', 'word'} or callable or None, default='char'
        How strings are cut.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the sequences.

    Returns
    -------
    rate : float
        0 where all are right; more than 1 where outputs are far too long.

    Raises
    ------
    ValueError
        If there are not as many of one as of the other, or all true sequences are empty.
    TypeError
        If they are of different kinds.

    Examples
    --------
    >>> from skem.deep import token_error_rate
    >>> token_error_rate(["kitten", "a"], ["sitting", "a"])
    0.42857142857142855
    """
    wanted, _ = read_targets(y_true, tokenizer, name="y_true")
    found, _ = read_targets(y_pred, tokenizer, len(wanted), name="y_pred", of="y_true")
    if found.types and wanted.types and found.kind != wanted.kind:
        raise TypeError(
            "y_true and y_pred must be of one kind: strings, lists of strings, or integers; got "
            f"{wanted.kind!r} and {found.kind!r} tokens."
        )
    return rate_of(edit_distances(found, wanted), wanted.sequences.lengths, sample_weight)


def token_error_rate_scorer(
    estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None = None
) -> float:
    """Score what an estimator predicts by minus its error rate, as a ``scoring`` for searches.

    Parameters
    ----------
    estimator : estimator
        With ``predict``; an `RNNSeq2Seq`, a pipeline that ends with one, or another one. Strings
        are cut by its ``target_tokenizer``, and into characters if it has none.
    X : array-like
        What it predicts from.
    y : sequence of str, sequence of sequences, or array-like of int
        The true sequences.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the sequences.

    Returns
    -------
    score : float
        `token_error_rate` times -1: larger is better.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skem import RNNSeq2Seq
    >>> from skem.deep import token_error_rate_scorer
    >>> grid = {"hidden_size": [64, 128]}
    >>> search = GridSearchCV(RNNSeq2Seq(), grid, scoring=token_error_rate_scorer)
    """
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    tokenizer = getattr(last, "target_tokenizer", "char")
    found = estimator.predict(X)
    return -token_error_rate(y, found, tokenizer=tokenizer, sample_weight=sample_weight)
