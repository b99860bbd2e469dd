"""Topics, as a fitted model, an array or lists of words: rows p(w | z), and the top words."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skem._steps import final_step
from skem._validation import as_numbers, check_positive_integer

Word = int | str  # the number of a column, or a token


def names_known_to(estimator: Any) -> list[str] | None:
    """Names of the columns of the counts, by the steps before the model or by the model itself."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        return [str(name) for name in estimator[:-1].get_feature_names_out()]
    names = getattr(final_step(estimator), "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def components_of(topics: Any, name: str = "topics") -> NDArray:
    """Rows that are proportional to p(w | z), float64 of shape (n_topics, n_features).

    Raises
    ------
    NotFittedError
        If it is an estimator that is not fitted.
    TypeError
        If it is an estimator without ``components_``.
    ValueError
        If the rows are not a matrix of finite numbers, none negative.
    """
    if hasattr(topics, "fit"):
        model = final_step(topics)
        if not hasattr(model, "components_"):
            check_is_fitted(topics)
            raise TypeError(
                f"{name} must be a topic model with components_, an array of shape (n_topics, "
                f"n_features) or lists of words; {type(model).__name__} has no components_."
            )
        topics = model.components_
    rows = as_numbers(getattr(topics, "components_", topics))
    if rows is None or rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(
            f"{name} must be a fitted topic model, an array of shape (n_topics, n_features) or, "
            f"where words are enough, lists of words; got {reprlib.repr(topics)}."
        )
    if not np.isfinite(rows).all() or (rows < 0).any():
        raise ValueError(
            f"{name} must hold finite numbers that are not negative: rows are p(w | z), or "
            "proportional to it. Models of another kind, such as TruncatedSVD, have no topics."
        )
    return rows


def topic_distributions(topics: Any, name: str) -> NDArray:
    """Rows p(w | z) that sum to one, float64 of shape (n_topics, n_features)."""
    rows = components_of(topics, name)
    total = rows.sum(axis=1, keepdims=True)
    empty = np.flatnonzero(total == 0)
    if len(empty):
        raise ValueError(
            f"{name} has no words in topic {empty[0]}: its row is zero throughout, which is not a "
            "distribution. Leave it out, or fit fewer topics."
        )
    return rows / total


def top_words(topics: Any, n_words: int) -> list[list[Word]]:
    """At most n_words words of each topic, the most probable first.

    Words of probability zero do not belong to the topic. Given lists are truncated.

    Raises
    ------
    ValueError
        If `n_words` is not a positive integer or larger than the vocabulary, or a list names a
        word twice.
    """
    n_words = check_positive_integer(n_words, "n_words")
    lists = _given_lists(topics)
    if lists is not None:
        return [words[:n_words] for words in lists]
    components = components_of(topics)
    if n_words > components.shape[1]:
        raise ValueError(
            f"n_words must be at most the number of features, {components.shape[1]}, got {n_words}."
        )
    order = np.argsort(-components, axis=1, kind="stable")[:, :n_words]
    return [
        [int(j) for j in best if row[j] > 0] for row, best in zip(components, order, strict=True)
    ]


def _given_lists(topics: Any) -> list[list[Word]] | None:
    """Lists of word numbers or of words, or None if the topics are given by numbers p(w | z)."""
    if hasattr(topics, "components_") or hasattr(topics, "fit"):
        return None
    if isinstance(topics, np.ndarray):
        if topics.ndim != 2 or topics.dtype.kind not in "iuU":
            return None
        topics = topics.tolist()
    if not isinstance(topics, Iterable) or isinstance(topics, str):
        return None
    lists = []
    for number, topic in enumerate(topics):
        if isinstance(topic, str) or not isinstance(topic, Iterable):
            return None
        words = [_word(word) for word in topic]
        if None in words:
            return None
        if len(set(words)) < len(words):
            twice = next(word for word in words if words.count(word) > 1)
            raise ValueError(
                f"topics lists the word {twice!r} twice in topic {number}. Lists of integers are "
                "numbers of words; if these are rows p(w | z), give them as real numbers."
            )
        lists.append(words)
    kinds = {type(word) for words in lists for word in words}
    return lists if len(kinds) == 1 else None  # type: ignore[return-value]


def _word(word: Any) -> Word | None:
    if isinstance(word, str):
        return str(word)
    return int(word) if isinstance(word, Integral) and not isinstance(word, bool) else None
