"""Sparse counts: their checks, and blocks of documents of about equal numbers of entries."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from skem._input import validate_data
from skem._validation import check_numbers
from skem.em import Rows, total
from skem.em._rows import MAX_BLOCKS, BlockMap

_ENTRIES_PER_WORD = 32
"""Entries of a block for each word of the vocabulary: adding the (n_features, n_components) numbers
of each block is then a small part of the work. Two blocks are made in any case, if they have
`_MIN_ENTRIES`."""

_MIN_ENTRIES = 1 << 14
"""Least number of entries of a block, if there is more than one."""

_LEAST, _MOST = 1e-290, 1e290
"""Range of the sum of all counts: it is multiplied by logs of probabilities, and divided by."""


class Counts(NamedTuple):
    """CSR rows without a copy of the data."""

    data: NDArray
    indices: NDArray
    indptr: NDArray
    n_features: int

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.indptr) - 1, self.n_features

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    @property
    def arrays(self) -> tuple[NDArray, NDArray, NDArray]:
        """What the kernels take."""
        return self.data, self.indices, self.indptr

    def rows(self, part: slice) -> Counts:
        """Some of the rows, as views."""
        first, last = self.indptr[part.start], self.indptr[part.stop]
        indptr = self.indptr[part.start : part.stop + 1] - first
        return Counts(self.data[first:last], self.indices[first:last], indptr, self.n_features)

    def chosen(self, rows: NDArray) -> Counts:
        """Some of the rows, in that order, as a copy."""
        kept = self.matrix()[rows]
        return Counts(kept.data, kept.indices, kept.indptr, self.n_features)

    def sizes(self) -> NDArray:
        """Tokens of each row, (n,), float64."""
        sizes, starts = np.zeros(self.shape[0]), self.indptr[:-1]
        filled = starts < self.indptr[1:]
        sizes[filled] = np.add.reduceat(self.data, starts[filled], dtype=np.float64)
        return sizes

    def kept(self, data: NDArray) -> Counts:
        """Other data in the same places, without zeros."""
        keep = data > 0
        indptr = np.concatenate([[0], np.cumsum(keep)])[self.indptr]
        return Counts(data[keep], self.indices[keep], indptr, self.n_features)

    def matrix(self) -> sp.csr_array:
        return sp.csr_array(self.arrays, shape=self.shape)


def weights_of(rows: Rows) -> NDArray:
    """Weights of the documents of a block in the form of the kernels: empty is all ones."""
    return np.empty(0) if rows.weight is None else rows.weight


def tokens_of(rows: Rows) -> float:
    """Tokens of a block, times the weights of their documents; kept with the block."""
    if "tokens" not in rows.memo:
        sizes = rows.X.sizes()
        rows.memo["tokens"] = float(sizes.sum() if rows.weight is None else rows.weight @ sizes)
    return rows.memo["tokens"]


def check_counts(estimator: Any, X: Any, *, reset: bool) -> Counts:
    """Counts as CSR without duplicates and zeros; X itself is not changed.

    Raises
    ------
    ValueError
        If an entry is negative, NaN or infinite, their sum is near the end of the range of numbers,
        a sparse matrix is broken, or the number of columns is not that of the fit.
    """
    _refuse_texts(X)
    dtypes = [np.float64, np.float32]
    X = validate_data(estimator, X, reset=reset, accept_sparse="csr", dtype=dtypes)
    _refuse_negative(X.data if sp.issparse(X) else X)
    if not sp.issparse(X):
        X = sp.csr_array(X)
    elif not X.has_canonical_format or (X.data == 0).any():
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
    n_entries = X.indptr[-1]  # arrays may be longer
    indices = X.indices[:n_entries].astype(np.int32, copy=False)  # one type for the kernels
    indptr = X.indptr.astype(np.int64, copy=False)
    _refuse_extremes(X.data[:n_entries])
    return Counts(X.data[:n_entries], indices, indptr, X.shape[1])


def _refuse_texts(X: Any) -> None:
    first: Any = X[:1] if isinstance(X, (list, tuple)) else []
    if getattr(X, "ndim", 0) == 1:
        first = np.asarray(X[:1], dtype=object)
    if len(first) and isinstance(first[0], str):
        raise ValueError(
            "X holds texts, but counts of words are expected. Count them first, for instance by "
            "make_pipeline(CountVectorizer(), ...) of scikit-learn."
        )


def _refuse_negative(data: NDArray) -> None:
    smallest = data.min(initial=0)
    if smallest < 0:
        raise ValueError(
            f"Negative values in data passed to X (smallest {smallest:g}): X must hold counts of "
            "words, or other weights that are not negative. HashingVectorizer gives negative "
            "values unless it has alternate_sign=False; scaled or centred columns have them too."
        )


def _refuse_extremes(data: NDArray) -> None:
    with np.errstate(over="ignore"):
        total = float(data.sum(dtype=np.float64))
    if len(data) and not _LEAST <= total <= _MOST:
        raise ValueError(
            f"The counts of X add up to {total:.3g}; their sum must be from {_LEAST:.0e} to "
            f"{_MOST:.0e}. Divide X by a constant, so that an entry is about 1."
        )


def cut_entries(counts: Counts) -> list[slice]:
    """Blocks of documents with about as many entries each, which depend on the data alone."""
    n_rows, n_entries = counts.shape[0], len(counts.data)
    wanted = max(n_entries // (_ENTRIES_PER_WORD * counts.n_features), 2)
    n_blocks = 1
    while 2 * n_blocks <= min(wanted, n_entries // _MIN_ENTRIES, MAX_BLOCKS, n_rows):
        n_blocks *= 2
    targets = np.arange(1, n_blocks) * (n_entries / n_blocks)
    edges = [0, *np.searchsorted(counts.indptr, targets).tolist(), n_rows]
    return [slice(a, b) for a, b in itertools.pairwise(edges) if b > a]


class CountBlocks:
    """Blocks of documents, reduced on all cores; a context manager that holds the threads.

    Parameters
    ----------
    counts : Counts
    weight : ndarray of shape (n,) or None
    n_jobs : int or None
    """

    def __init__(self, counts: Counts, weight: NDArray | None, n_jobs: int | None):
        self.counts = counts
        self.blocks = [
            Rows(
                start=part.start,
                X=counts.rows(part),
                weight=None if weight is None else weight[part],
            )
            for part in cut_entries(counts)
        ]
        self.map = BlockMap(n_jobs, len(self.blocks))

    def __enter__(self) -> CountBlocks:
        self.map.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.map.__exit__(*exc_info)

    def reduce(self, function: Callable[[Rows], Any]) -> Any:
        return total(self.map(function, self.blocks), fresh=True)

    def each(self, function: Callable[[slice, Counts], Any]) -> None:
        """Call ``function(rows, counts)`` for each block."""

        def one(rows: Rows) -> None:
            n_rows = rows.X.shape[0]
            function(slice(rows.start, rows.start + n_rows), rows.X)

        for _ in self.map(one, self.blocks):
            pass


class TrainingCounts:
    """Documents of positive weight, validated.

    Parameters
    ----------
    counts : Counts
        Divided by 2 ** ``power``.
    weight : ndarray of shape (n,) or None
        Divided by ``unit``.
    unit : float
    power : int
    n_jobs : int or None

    Attributes
    ----------
    sizes : ndarray of shape (n,)
        Tokens of each document, times its weight.
    total_weight : float
        Their sum.
    """

    def __init__(
        self,
        counts: Counts,
        weight: NDArray | None,
        *,
        unit: float = 1.0,
        power: int = 0,
        n_jobs: int | None,
    ):
        self.counts, self.weight = counts, weight
        self.unit, self.power, self.n_jobs = unit, power, n_jobs
        with np.errstate(over="ignore"):  # which is refused where the unit is known
            self.sizes = counts.sizes() if weight is None else weight * counts.sizes()
            self.total_weight = float(self.sizes.sum())

    def row_blocks(self) -> CountBlocks:
        """The documents, cut into blocks."""
        return CountBlocks(self.counts, self.weight, self.n_jobs)


def each_block(
    counts: Counts, function: Callable[[slice, Counts], Any], n_jobs: int | None
) -> None:
    """Call ``function(rows, counts)`` for each block of documents, on all cores."""
    with CountBlocks(counts, None, n_jobs) as blocks:
        blocks.each(function)


def dyads_to_counts(
    documents: ArrayLike, words: ArrayLike, counts: ArrayLike | None = None
) -> tuple[sp.csr_array, NDArray, NDArray]:
    """Count how often two things were seen together.

    Parameters
    ----------
    documents, words : array-like of shape (n_dyads,)
        The two parts of each observation, such as document and word, user and item, or verb and
        noun.
    counts : array-like of shape (n_dyads,), default=None
        How often, or with what weight, each was seen; once by default.

    Returns
    -------
    X : sparse array of shape (n_documents, n_words)
        Their sums.
    document_names : ndarray of shape (n_documents,)
        What the rows are, sorted.
    word_names : ndarray of shape (n_words,)
        What the columns are, sorted.

    Raises
    ------
    ValueError
        If the lengths differ, or counts are negative or not finite.

    Examples
    --------
    >>> from skem.topics import dyads_to_counts
    >>> X, rows, columns = dyads_to_counts(["ann", "bob", "ann"], ["tea", "tea", "tea"])
    >>> X.toarray(), rows.tolist(), columns.tolist()
    (array([[2.],
           [1.]]), ['ann', 'bob'], ['tea'])
    """
    rows, row_codes = np.unique(np.asarray(documents), return_inverse=True)
    columns, column_codes = np.unique(np.asarray(words), return_inverse=True)
    if row_codes.ndim != 1 or row_codes.shape != column_codes.shape:
        raise ValueError(
            "documents and words must be one-dimensional and of one length, got shapes "
            f"{row_codes.shape} and {column_codes.shape}."
        )
    values = np.ones(row_codes.size)
    if counts is not None:
        values = check_numbers(counts, "counts", row_codes.shape, ("n_dyads",))
    if (values < 0).any():
        raise ValueError(f"counts must not be negative, got {values.min():g} as the smallest.")
    shape = (len(rows), len(columns))
    return sp.coo_array((values, (row_codes, column_codes)), shape=shape).tocsr(), rows, columns
