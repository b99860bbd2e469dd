"""The rows that starts look at: distinct ones, in an order of their own.

A start uses random numbers row by row. So that a weight of 2 is a row twice, and the order of the
rows does not matter, in the start too, equal rows are put together with the sum of their weights,
and the distinct rows are sorted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skem.em._rows import effective_n_jobs, one_blas_thread, threadpools

MAX_ROWS = 20_000
"""Rows that a start looks at; a random sample of them where there are more."""


@contextlib.contextmanager
def start_threads(n_jobs: int | None) -> Iterator[None]:
    """Hold k-means and distances to the threads that a fit may take, and BLAS to one."""
    n_threads = effective_n_jobs(n_jobs)
    with one_blas_thread(), threadpools().limit(limits=n_threads, user_api="openmp"):
        yield


def sample_rows(
    n_rows: int, rng: np.random.RandomState, labels: NDArray | None = None
) -> slice | NDArray[np.int64]:
    """All rows, or a random sample of about `MAX_ROWS` of them.

    Labelled rows are few and precious: of each label all are kept, up to its share of `MAX_ROWS`.
    """
    if n_rows <= MAX_ROWS:
        return slice(None)
    chosen = rng.choice(n_rows, MAX_ROWS, replace=False)
    if labels is not None:
        known = np.unique(labels[labels >= 0])
        for label in known:
            own = np.flatnonzero(labels == label)
            share = MAX_ROWS // len(known)
            kept = own if len(own) <= share else rng.choice(own, share, replace=False)
            chosen = np.union1d(chosen, kept)
    return np.sort(chosen)


def distinct_rows(X: NDArray, weight: NDArray) -> tuple[NDArray, NDArray]:
    """The distinct rows of X, sorted, and the sum of the weights of each.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Without missing values.
    weight : ndarray of shape (n,)

    Returns
    -------
    rows : ndarray of shape (n_distinct, d)
    weight : ndarray of shape (n_distinct,)
    """
    rows, which = np.unique(X, axis=0, return_inverse=True)
    return rows, np.bincount(which.ravel(), weights=weight, minlength=len(rows))
