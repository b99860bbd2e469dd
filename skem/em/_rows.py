"""Blocks of rows, reduced on every core that the context allows."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Protocol, TypeVar

import joblib
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from skem._interrupts import plain_interrupts
from skem._sklearn import n_jobs_was_set, openmp_threads
from skem.em._model import Rows
from skem.em._statistics import total

T = TypeVar("T")

MIN_BLOCK_VALUES = 1 << 21
"""Least numbers of a block: enough to make the cost of a Python call vanish. The cut depends
on the shape alone, so results do not depend on the number of threads."""
MAX_BLOCKS = 64
"""At most so many blocks: enough for the cores of a machine, and few statistics to add."""
MAPPED_PARTS = 4
"""Blocks of `map_rows` are smaller than others by this, since there are no statistics to add."""
MIN_MAPPED_ROWS = 64
"""Least rows of a block in `map_rows`, however many numbers each has."""

MAX_THREADS = 1024
"""Threads, whatever n_jobs says: libraries count them in integers of 32 bits, and some in less."""

GATHERED_VALUES = 1 << 18
"""Numbers of the rows that are gathered at a time: a few MiB a thread, however many rows."""


class RowSource(Protocol):
    """A source of rows: any object that can sum a function over its rows.

    `RowBlocks` does it for arrays in memory; a reader of files, or a cluster that maps the
    function over its partitions and adds the results, does it for the engine just as well.

    Examples
    --------
    Chunks that are read one after the other:

    >>> from typing import NamedTuple
    >>> import numpy as np
    >>> from skem.em import Rows, total
    >>> class Chunks:
    ...     def reduce(self, function):
    ...         return total(function(Rows(start, np.arange(start, start + 3.0)[:, None]))
    ...                      for start in (0, 3, 6))
    >>> class Sums(NamedTuple):
    ...     n: int
    ...     x: np.ndarray
    >>> Chunks().reduce(lambda rows: Sums(len(rows.X), rows.X.sum(axis=0)))
    Sums(n=9, x=array([36.]))
    """

    def reduce(self, function: Callable[[Rows], Any]) -> Any:
        """Sum of ``function(rows)`` over all blocks of rows.

        Parameters
        ----------
        function : callable(Rows) -> NamedTuple
            Gives the statistics of a block; it may be called in several threads at once.

        Returns
        -------
        sums : NamedTuple
            Statistics of all rows, as `total` adds them in the order of the blocks.
        """


def effective_n_jobs(n_jobs: int | None) -> int:
    """Number of threads to use, as joblib's context allows.

    Parameters
    ----------
    n_jobs : int or None
        Threads; -1 is all cores, -2 all but one, and so on. None is the number that a context of
        joblib sets, or else all cores that the process may use; in a worker of joblib, its share.

    Returns
    -------
    n_threads : int
        At least one, at most 1024.

    Raises
    ------
    ValueError
        If n_jobs is 0.

    Examples
    --------
    >>> from skem.em import effective_n_jobs
    >>> effective_n_jobs(2)
    2
    """
    if n_jobs is not None:
        return min(joblib.effective_n_jobs(int(n_jobs)), MAX_THREADS)
    backend, context_n_jobs = joblib.parallel.get_active_backend(prefer="threads")
    if n_jobs_was_set():
        return backend.effective_n_jobs(context_n_jobs)
    if backend.nesting_level and threading.current_thread() is not threading.main_thread():
        return 1  # one of joblib's own threads: the others have the other cores
    if backend.nesting_level:  # inside a joblib worker: its share, which it gets as OpenMP's
        return max(1, min(backend.effective_n_jobs(-1), openmp_threads()))
    return max(1, min(_n_cores(*_cores_key()), openmp_threads()))


def _cores_key() -> tuple[Any, Any]:
    """What joblib's number of cores depends on, as far as it changes while a process runs."""
    affinity = getattr(os, "sched_getaffinity", None)
    allowed = os.cpu_count() if affinity is None else len(affinity(0))
    return allowed, os.environ.get("LOKY_MAX_CPU_COUNT")


@functools.cache
def _n_cores(*_key: Any) -> int:
    return joblib.cpu_count()  # reads the limits of the container from files


def cut(n_rows: int, row_values: int, min_rows: int = 1) -> list[slice]:
    """Cut rows of ``row_values`` numbers each into blocks of about equal size."""
    n_blocks = min(MAX_BLOCKS, n_rows // min_rows, n_rows * row_values // MIN_BLOCK_VALUES)
    n_blocks = max(n_blocks, 1)
    edges = np.linspace(0, n_rows, n_blocks + 1).astype(int).tolist()
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


@functools.cache
def threadpools() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401  (the BLAS that compiled kernels call)

    return ThreadpoolController()


_limit_lock = threading.Lock()
_n_limiting = 0
_limiter: Any = None


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread: the blocks of rows are the parallelism.

    The limit is the process's own, so fits that overlap in several threads share it: the first
    sets it and the last restores what was there.
    """
    global _n_limiting, _limiter
    with _limit_lock:
        if _n_limiting == 0:
            _limiter = threadpools().limit(limits=1, user_api="blas")
        _n_limiting += 1
    try:
        yield
    finally:
        with _limit_lock:
            _n_limiting -= 1
            if _n_limiting == 0:
                _limiter.restore_original_limits()


class BlockMap:
    """Maps a function over blocks with a pool of threads; a context manager.

    BLAS has one thread meanwhile. A single block is small, and so are the matrices of an M step:
    threads gain nothing there (measured with up to 600 columns), and took forty times as long on a
    busy machine, where they wait for each other.

    Parameters
    ----------
    n_jobs : int or None
        Threads; None uses all cores that joblib's context allows.
    n_blocks : int
        Number of blocks to come; a single one needs no pool.
    """

    def __init__(self, n_jobs: int | None, n_blocks: int):
        if n_jobs == 0:
            raise ValueError("n_jobs must be None, a positive number of threads, or negative.")
        self.allowed = effective_n_jobs(n_jobs)
        self.n_threads = max(1, min(self.allowed, n_blocks))
        self._stack = contextlib.ExitStack()
        self._pool: ThreadPoolExecutor | None = None
        self._running: list[Future] = []  # of the last call, the first block last

    def __enter__(self) -> BlockMap:
        self._stack.enter_context(plain_interrupts())
        self._stack.enter_context(one_blas_thread())
        if self.n_threads > 1:
            self._pool = ThreadPoolExecutor(self.n_threads, thread_name_prefix="skem")
            self._stack.callback(self._pool.shutdown, wait=True, cancel_futures=True)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._pool, self._running = None, []
        self._stack.__exit__(*exc_info)

    def __call__(self, function: Callable[[Any], T], blocks: Iterable[Any]) -> Iterator[T]:
        if self._pool is None:
            return map(function, blocks)
        self._settle()
        for block in blocks:
            self._running.append(self._pool.submit(function, block))
        self._running.reverse()
        return self._results(self._running)

    def _settle(self) -> None:
        """Wait for blocks of a call that was interrupted: they write to arrays that it shares."""
        for future in self._running:
            future.cancel()
        wait(self._running)
        self._running = []

    @staticmethod
    def _results(futures: list[Future[T]]) -> Iterator[T]:
        """Results in the order of the blocks, none of them kept."""
        while futures:
            wait(futures[-1:])
            yield futures.pop().result()


class RowBlocks:
    """The rows of arrays in memory, cut into blocks; a context manager that holds the threads.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, n_features)
        The rows, which are not checked.
    sample_weight : ndarray of shape (n_samples,) or None, default=None
        Weight of each row; None is a weight of one.
    labels : ndarray of shape (n_samples,) or None, default=None
        Known component of each row, -1 where it is unknown; None where all are unknown.
    row_values : int, default=None
        Numbers that the E step handles per row, as a measure of work; default ``X.shape[1]``.
    min_rows : int, default=1
        Least rows of a block: enough to make up for its statistics where these are large.
    order : ndarray of int, default=None
        The rows to take, in this order; default is all, as they come. They are gathered piece by
        piece while a function works on them, so that X is never copied as a whole.
    n_jobs : int or None, default=None
        Threads; None uses all cores that joblib's context allows.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    work : int
        Numbers that one pass over the rows handles.
    blocks : list
        The blocks.

    Raises
    ------
    ValueError
        If n_jobs is 0.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> import numpy as np
    >>> from skem.em import RowBlocks
    >>> class Sums(NamedTuple):
    ...     weight: float
    ...     x: np.ndarray
    >>> X, weight = np.array([[1.0, 0.0], [3.0, 1.0]]), np.array([2.0, 1.0])
    >>> with RowBlocks(X, sample_weight=weight) as rows:
    ...     rows.reduce(lambda block: Sums(float(block.weight.sum()), block.weight @ block.X))
    Sums(weight=3.0, x=array([5., 1.]))
    """

    def __init__(
        self,
        X: Any,
        *,
        sample_weight: NDArray | None = None,
        labels: NDArray | None = None,
        row_values: int | None = None,
        min_rows: int = 1,
        order: NDArray | None = None,
        n_jobs: int | None = None,
    ):
        self.X, self.sample_weight, self.labels, self.order = X, sample_weight, labels, order
        self.n_rows = X.shape[0] if order is None else len(order)
        self.work = self.n_rows * (row_values or X.shape[1])  # of one pass, in numbers
        parts = cut(self.n_rows, row_values or X.shape[1], min_rows)
        self.blocks: list[Any] = [
            self._rows(part, {}) if order is None else self._pieces(part) for part in parts
        ]
        self.map = BlockMap(n_jobs, len(self.blocks))

    def _rows(self, part: slice, memo: dict) -> Rows:
        chosen: Any = part if self.order is None else self.order[part]
        return Rows(
            start=part.start,
            X=self.X[chosen],
            weight=None if self.sample_weight is None else self.sample_weight[chosen],
            labels=None if self.labels is None else self.labels[chosen],
            memo=memo,
        )

    def _pieces(self, part: slice) -> list[tuple[slice, dict]]:
        """The parts of a block that are gathered at a time, each with its memo."""
        step = max(1, GATHERED_VALUES // self.X.shape[1])
        starts = range(part.start, part.stop, step)
        return [(slice(start, min(start + step, part.stop)), {}) for start in starts]

    def __enter__(self) -> RowBlocks:
        self.map.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.map.__exit__(*exc_info)

    @functools.cached_property
    def single(self) -> Rows | None:
        """The rows, if they are one block of few values; whether they have an order or not."""
        if len(self.blocks) > 1 or self.n_rows * self.X.shape[1] > GATHERED_VALUES:
            return None
        return self.blocks[0] if self.order is None else self._rows(*self.blocks[0][0])

    def reduce(self, function: Callable[[Rows], Any]) -> Any:
        """Sum of ``function(rows)`` over all blocks, in their order, whatever the threads.

        Parameters
        ----------
        function : callable(Rows) -> NamedTuple
            Gives the statistics of a block; it may be called in several threads at once.

        Returns
        -------
        sums : NamedTuple
            Statistics of all rows, as `total` adds them.
        """
        if self.order is None:
            return total(self.map(function, self.blocks))

        def gathered(pieces: list[tuple[slice, dict]]) -> Any:
            return total(function(self._rows(*piece)) for piece in pieces)

        return total(self.map(gathered, self.blocks), fresh=True)


def map_rows(
    function: Callable[[Any], NDArray],
    X: Any,
    *,
    row_values: int,
    n_jobs: int | None,
    order: NDArray | None = None,
    dtype: Any = None,
) -> NDArray:
    """Apply ``function`` to blocks of rows and put what it returns, one entry per row, together.

    Parameters
    ----------
    function : callable(X) -> ndarray of shape (n_rows, ...)
    X : array or sparse matrix of shape (n_samples, n_features)
    row_values : int
        Numbers that the function handles per row.
    n_jobs : int or None
    order : ndarray of shape (n_samples,), default=None
        The order in which the rows are handled, so that rows of a block have something in common;
        default is as they come. The result is in the order of X.
    dtype : dtype, default=None
        Of the result; default is that of what the function returns.

    Returns
    -------
    values : ndarray of shape (n_samples, ...)
    """
    height = max(MIN_MAPPED_ROWS, MIN_BLOCK_VALUES // (MAPPED_PARTS * row_values))
    edges = range(0, X.shape[0], height)
    parts: list[Any] = [slice(start, start + height) for start in edges]
    if order is not None:
        parts = [order[part] for part in parts]
    values: list[NDArray] = []
    lock = threading.Lock()

    def put(part: Any) -> None:
        result = function(X[part])
        with lock:
            if not values:
                shape = (X.shape[0], *result.shape[1:])
                values.append(np.empty(shape, result.dtype if dtype is None else dtype))
        values[0][part] = result

    with BlockMap(n_jobs, len(parts)) as block_map:
        for _ in block_map(put, parts):  # so that an error is raised
            pass
    return values[0]
