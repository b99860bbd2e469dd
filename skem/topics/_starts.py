"""Where topics start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from skem._numbers import NOT_ZERO
from skem.em._rows import one_blas_thread
from skem.topics._counts import Counts, cut_entries

INITS = ("random", "random_documents", "svd")

_DOCUMENTS = 5
"""Documents whose mean a topic starts with: one alone has too few words."""

_SMOOTHING = 0.3
"""Share of the distribution of all words that is added to a topic, so that none starts at zero."""

_OWN = 0.1
"""Share of its own start that a topic keeps for words that its prior does not prefer: the rest is
the same in all topics, so that the preferred words decide."""

_JITTER = 0.9, 1.1
"""Range of the random factors of all probabilities: equal topics would stay equal."""

_POWER_ITERATIONS = 2
"""Of the randomised SVD: a start needs directions only roughly."""


def initial_topics(
    init: str,
    counts: Counts,
    weight: NDArray | None,
    k: int,
    rng: np.random.RandomState,
    *,
    prior: NDArray | None = None,
) -> NDArray:
    """Topics (p, k) to start from, in which every word that occurs has a positive probability.

    'random': the distribution of all words, times a random factor for each word and topic;
    'random_documents': means of a few documents; 'svd': the positive or negative parts of singular
    vectors of the scaled counts (after Boutsidis and Gallopoulos 2008). Where a Dirichlet ``prior``
    is given, (p, k), topics start with the words that it prefers.
    """
    p = counts.n_features
    w = np.ones(counts.shape[0]) if weight is None else weight
    totals = counts.matrix().T @ w
    overall = (totals / totals.sum())[:, None]
    if init == "random":
        topics = overall * rng.gamma(1.0, size=(p, k))
    elif init == "random_documents":
        topics = _of_documents(counts, w, k, rng) + _SMOOTHING * overall
    else:
        topics = _of_svd(counts, w, overall, k, rng) + _SMOOTHING * overall
    topics *= np.where(overall > 0, rng.uniform(*_JITTER, size=(p, k)), 0.0)
    topics = (topics / topics.sum(0)).astype(counts.data.dtype)
    return topics if prior is None else _matched(topics, prior)


def _matched(topics: NDArray, prior: NDArray) -> NDArray:
    """Topics (p, k) of which those whose prior (p, k) prefers words start with these words.

    The preference for a word is what its parameter has above the least one of any topic. All other
    words start nearly alike in all topics with a preference, so that the preferred ones decide. A
    topic without a preference is unchanged.
    """
    occur = topics.any(axis=1, keepdims=True)
    preferred = np.where(occur, prior - prior.min(axis=1, keepdims=True), 0.0)
    sums = preferred.sum(axis=0)
    others = (1 - _OWN) * topics.mean(axis=1, keepdims=True) + _OWN * topics
    mixed = preferred / np.where(sums > 0, sums, 1.0) + _SMOOTHING * others
    return np.where(sums > 0, mixed / mixed.sum(axis=0), topics).astype(topics.dtype)


def _of_documents(counts: Counts, w: NDArray, k: int, rng: np.random.RandomState) -> NDArray:
    """Means of documents that are drawn with probabilities proportional to their weights.

    They are drawn in an order that depends on their words, so that the order of the rows does not
    matter, and a weight of 2 is equivalent to repeating the document.
    """
    X, sizes = counts.matrix(), counts.sizes()
    order = np.argsort(X @ rng.uniform(size=counts.n_features), kind="stable")
    upto = np.cumsum((w * (sizes > 0))[order])
    drawn = order[np.searchsorted(upto, rng.uniform(size=(k, _DOCUMENTS)) * upto[-1])]
    topics = [(X[rows].multiply(1 / sizes[rows][:, None])).mean(axis=0) for rows in drawn]
    return np.asarray(topics).T.astype(np.float64)


def _of_svd(
    counts: Counts, w: NDArray, overall: NDArray, k: int, rng: np.random.RandomState
) -> NDArray:
    """Parts of singular vectors of rows of unit weight, with columns in the metric of their
    frequencies, as in correspondence analysis; the first direction (all words) is left out.

    Directions and their signs are determined by the words, so that a weight of 2 is equivalent to
    repeating the document.
    """
    sizes = np.maximum(counts.sizes(), NOT_ZERO)
    scale = 1 / np.sqrt(np.where(overall[:, 0] > 0, overall[:, 0], 1.0))
    X = counts._replace(data=counts.data.astype(np.float64)).matrix()
    lengths = np.sqrt(w / sizes)
    for rows in cut_entries(counts):  # in blocks, to save memory
        block = counts.rows(rows)
        entries = slice(counts.indptr[rows.start], counts.indptr[rows.stop])
        X.data[entries] *= np.repeat(lengths[rows], np.diff(block.indptr)) * scale[block.indices]
    rank = min(2 + (k - 1) // 2, *X.shape)  # each direction serves two topics
    with one_blas_thread():  # threads slow thin products down
        _, _, V = randomized_svd(
            X, rank, n_iter=_POWER_ITERATIONS, transpose=False, flip_sign=False, random_state=rng
        )
    V *= np.sign(V[np.arange(len(V)), np.abs(V).argmax(axis=1)])[:, None]
    topics = np.empty((counts.n_features, k))
    for z in range(k):
        v = V[1 + z // 2] if 1 + z // 2 < len(V) else rng.standard_normal(counts.n_features)
        part = np.maximum(v if z % 2 == 0 else -v, 0.0) / scale
        topics[:, z] = part / max(part.sum(), NOT_ZERO)
    return topics
