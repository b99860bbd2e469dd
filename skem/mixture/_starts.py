"""The rows that starts use: distinct rows, in an order that depends only on their values.

A start draws random numbers row by row. So that a weight of 2 is equivalent to repeating the row,
and the order of the rows does not matter, equal rows are merged, with the sum of their weights, and
the distinct rows are sorted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skem.em._rows import effective_n_jobs, one_blas_thread, threadpools

MAX_ROWS = 20_000
"""Rows that a start uses, at most; from more rows a random sample is drawn."""

MAX_VALUES, FEWEST = 4_000_000, 1000
"""Where covariances are not full, the number of values that these rows may have, and the number of
rows that are used however many columns there are."""


@contextlib.contextmanager
def start_threads(n_jobs: int | None) -> Iterator[None]:
    """Limit k-means and distances to the threads that a fit may use, and BLAS to one."""
    n_threads = effective_n_jobs(n_jobs)
    with one_blas_thread(), threadpools().limit(limits=n_threads, user_api="openmp"):
        yield


def sample_rows(
    n_rows: int, rng: np.random.RandomState, labels: NDArray | None = None, n_columns: int = 1
) -> slice | NDArray[np.int64]:
    """All rows, or a random sample of about `MAX_ROWS` of them, fewer if there are many columns.

    Labelled rows are few and valuable: those of each label are kept, up to its share of the sample.
    """
    size = min(MAX_ROWS, max(MAX_VALUES // n_columns, FEWEST))
    if n_rows <= size:
        return slice(None)
    chosen = rng.choice(n_rows, size, replace=False)
    if labels is not None:
        known = np.unique(labels[labels >= 0])
        for label in known:
            own = np.flatnonzero(labels == label)
            share = size // len(known)
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
    order, first = _sorted(X)
    starts = np.flatnonzero(first)
    return X[order[starts]], np.add.reduceat(np.asarray(weight, np.float64)[order], starts)


def _sorted(X: NDArray) -> tuple[NDArray, NDArray]:
    """An order that sorts the rows by their columns, and a mask of where in it a new row begins.

    Most rows differ in the first columns already, so each column sorts only rows that are equal so
    far.
    """
    order = np.argsort(X[:, 0], kind="stable")
    values = X[order, 0]
    first = np.concatenate([[True], values[1:] != values[:-1]])
    for j in range(1, X.shape[1]):
        tied = np.flatnonzero(~(first & np.append(first[1:], True)))
        if not len(tied):
            break
        group = np.cumsum(first)[tied]
        values = X[order[tied], j]
        within = np.lexsort((values, group))
        order[tied] = order[tied][within]
        values = values[within]
        changes = (values[1:] != values[:-1]) & (group[1:] == group[:-1])
        first[tied[1:][changes]] = True
    return order, first
