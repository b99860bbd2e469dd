"""Where topics start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from skem.em._rows import one_blas_thread
from skem.topics._counts import Counts, cut_entries

INITS = ("random", "random_documents", "svd")

# Documents that a topic is made of, and the share of all words together that is added to it.
_DOCUMENTS = 5
_SMOOTHING = 0.3

# Share of what is not preferred that a topic with preferred words has of its own.
_OWN = 0.1


def initial_topics(
    init: str, counts: Counts, weight: NDArray | None, k: int, rng: np.random.RandomState
) -> NDArray:
    """Topics (p, k) to start from, each with a chance for every word that there is.

    'random': all words together, each word's chance times a factor of its own in each topic;
    'random_documents': some documents each; 'svd': singular vectors of the scaled counts, their
    positive or negative parts, whichever weighs more (Boutsidis and Gallopoulos 2008).
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
    topics *= np.where(overall > 0, rng.uniform(0.9, 1.1, size=(p, k)), 0.0)
    return (topics / topics.sum(0)).astype(counts.data.dtype)


def matched(topics: NDArray, prior: NDArray) -> NDArray:
    """Topics (p, k) where the prior (p, k) of some of them prefers words: those start with these.

    Words are preferred by what their parameters have above the least one of any topic, and the
    others begin nearly alike in all topics with a preference, so that the preferred ones decide. A
    topic without stays as it is.
    """
    occur = topics.any(axis=1, keepdims=True)
    preferred = np.where(occur, prior - prior.min(axis=1, keepdims=True), 0.0)
    sums = preferred.sum(axis=0)
    others = (1 - _OWN) * topics.mean(axis=1, keepdims=True) + _OWN * topics
    mixed = preferred / np.where(sums > 0, sums, 1.0) + _SMOOTHING * others
    return np.where(sums > 0, mixed / mixed.sum(axis=0), topics).astype(topics.dtype)


def _of_documents(counts: Counts, w: NDArray, k: int, rng: np.random.RandomState) -> NDArray:
    """Means of documents that are drawn by their weights.

    They are drawn in an order that their words give them, so that neither the order of the rows
    matters, nor whether a document comes twice or has a weight of 2.
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
    """Rows of unit weight, columns in the metric of their frequencies (as correspondence analysis
    has it), the first direction (all words together) left out.

    Directions and their signs are those of the words, so that a weight of 2 is a document twice.
    """
    sizes = np.maximum(counts.sizes(), 1e-300)
    scale = 1 / np.sqrt(np.where(overall[:, 0] > 0, overall[:, 0], 1.0))
    X = counts._replace(data=counts.data.astype(np.float64)).matrix()
    lengths = np.sqrt(w / sizes)
    for rows in cut_entries(counts):  # in blocks: nothing else is as large as the data
        block = counts.rows(rows)
        entries = slice(counts.indptr[rows.start], counts.indptr[rows.stop])
        X.data[entries] *= np.repeat(lengths[rows], np.diff(block.indptr)) * scale[block.indices]
    rank = min(2 + (k - 1) // 2, *X.shape)  # each direction serves two topics
    with one_blas_thread():  # of thin products, which threads slow down
        _, _, V = randomized_svd(
            X, rank, n_iter=2, transpose=False, flip_sign=False, random_state=rng
        )
    V *= np.sign(V[np.arange(len(V)), np.abs(V).argmax(axis=1)])[:, None]
    topics = np.empty((counts.n_features, k))
    for z in range(k):
        v = V[1 + z // 2] if 1 + z // 2 < len(V) else rng.standard_normal(counts.n_features)
        part = np.maximum(v if z % 2 == 0 else -v, 0.0) / scale
        topics[:, z] = part / max(part.sum(), 1e-300)
    return topics
