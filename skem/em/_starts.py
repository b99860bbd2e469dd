"""Many starts for the price of a few: short runs first, and only the best go on (em-EM)."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from skem._interrupts import plain_interrupts
from skem.em._loop import EMRun, block_of_maps
from skem.em._model import EMModel
from skem.em._rows import RowSource, one_blas_thread
from skem.em._state import DegenerateFitError, EMState, Observer

SHORT_RUN = 10
"""EM maps of the first round; each round doubles them and halves the number of runs."""

SHORT_RUN_AT_ONCE = 2 * SHORT_RUN
"""The same where the model makes them in one call: they cost little, and choose better."""

PLAIN_FIRST = (None, "quasi-newton")
"""Accelerations that gain little before the limit is near: the first round is plain EM where its
maps are made in one call, or on a sample."""

_TIE = 1e-9
"""Difference of bounds, relative or in nats per unit of weight, up to which two starts are equally
good: rounding must not decide between them."""

WORK_OF_A_THREAD = 1 << 16
"""Numbers that a pass handles from which on starts are worth a thread each."""


def fit_from_starts(
    model: EMModel,
    rows: RowSource,
    starts: Iterable[Any],
    *,
    tol: float,
    max_iter: int,
    acceleration: str | None = None,
    observe: Callable[[int], Observer | None] = lambda start: None,
    keep_path: bool = False,
    sample: RowSource | None = None,
) -> EMState:
    """Run EM from each start and return the run with the highest bound.

    Starts are run for a few EM maps each, the better half for twice as many, and so on until one
    is left, which is run to its limit (em-EM, Biernacki, Celeux and Govaert 2003, in rounds of
    successive halving).

    Parameters
    ----------
    model : EMModel
        The model, which derives from `EMModelBase`.
    rows : RowSource
        The rows of the fit; `RowBlocks` for arrays in memory.
    starts : iterable of params
        Parameters to begin at, at least one.
    tol : float
        A run stops when the estimated distance to the limit of its bound is at most this, in nats
        per unit of weight.
    max_iter : int
        At most so many EM maps of a run.
    acceleration : str or None, default=None
        A key of `ACCELERATIONS`; None is plain EM.
    observe : callable(int) -> Observer or None
        Makes the observer of the start with that number, counted from zero, see `EMRun`. By default
        there are none.
    keep_path : bool, default=False
        Keep the parameters of each EM map, in ``state.path``.
    sample : RowSource, default=None
        A sample of the rows, where they are many: the short runs are made on it, and only the best
        start, with what these have made of it, sees all rows.

    Returns
    -------
    state : EMState
        The state of the best run; if Ctrl-C has ended the fit, of the best so far.

    Raises
    ------
    BoundDecreasedError, FloatingPointError, GeometryError
        If a run does, see `EMRun.run`.
    DegenerateFitError
        If every start collapsed.
    KeyboardInterrupt
        On Ctrl-C before the first EM map has ended, or during the runs on a sample.
    TypeError
        If the model does not declare what it can do.
    ValueError
        If there are no starts, there is no such acceleration, or the model lacks what it needs.

    References
    ----------
    C. Biernacki, G. Celeux and G. Govaert (2003). "Choosing starting values for the EM algorithm
    for getting the highest likelihood in multivariate Gaussian mixture models." Computational
    Statistics & Data Analysis 41, 561-575.

    Examples
    --------
    Half of the rows are normal with mean m and variance one, the others with mean -m. EM never
    leaves the start 0, which is a saddle of the likelihood:

    >>> from typing import NamedTuple
    >>> import numpy as np
    >>> from skem.em import EMModelBase, RowBlocks, fit_from_starts
    >>> class Statistics(NamedTuple):
    ...     log_likelihood: float  # up to a constant
    ...     weight: float
    ...     sums: float
    >>> class TwoSides(EMModelBase):
    ...     def expected_statistics(self, m, rows):
    ...         x = rows.X[:, 0]
    ...         log_p = np.log(np.cosh(m * x)) - m**2 / 2
    ...         return Statistics(log_p.sum(), len(x), (x * np.tanh(m * x)).sum())
    ...
    ...     def maximize(self, statistics, m):
    ...         return statistics.sums / statistics.weight
    >>> with RowBlocks(np.array([[-2.2], [-1.6], [1.8], [2.4]])) as rows:
    ...     state = fit_from_starts(TwoSides(), rows, [0.0, 0.5], tol=1e-6, max_iter=100)
    >>> state.converged, round(float(state.params), 2)
    (True, 2.0)
    """
    starts = list(starts)
    if not starts:
        raise ValueError("starts is empty: give the parameters of at least one start.")
    if sample is not None:
        starts = [_best_on_sample(model, sample, starts, tol, acceleration)]
    several = len(starts) > 1
    at_once = several and acceleration in PLAIN_FIRST and block_of_maps(model, rows) is not None
    first = SHORT_RUN_AT_ONCE if at_once else SHORT_RUN
    runs = [
        EMRun(
            model,
            rows,
            params,
            tol=tol,
            acceleration=acceleration,
            observer=observe(number),
            keep_path=keep_path,
            plain=first if at_once else 0,
        )
        for number, params in enumerate(starts)
    ]
    budget = first if several else max_iter
    if at_once:
        try:
            with plain_interrupts():
                _run_side_by_side(runs, rows, min(budget, max_iter))
        except KeyboardInterrupt:
            begun = [run for run in runs if run.state.bounds]
            if not begun:
                raise
            return _interrupted(begun)
    return _best_by_halving(runs, budget, max_iter)


def _best_by_halving(runs: list[EMRun], budget: int, max_iter: int) -> EMState:
    """Run all for ``budget`` maps, the better half for twice as many, until one is at its limit."""
    while True:
        alive: list[EMRun] = []
        failures: list[DegenerateFitError] = []
        for run in runs:
            try:
                run.run(min(budget, max_iter))
            except DegenerateFitError as error:
                failures.append(error)
                continue
            except KeyboardInterrupt:  # before the first map of this start
                if not alive:
                    raise
                return _interrupted(alive)
            alive.append(run)
            if run.state.stopped:  # an observer is content with this run
                return run.state
            if run.state.interrupted:
                return _interrupted(alive)
        if not alive:
            raise failures[-1]
        alive.sort(key=functools.cmp_to_key(lambda a, b: _better(a.state, b.state)))
        if budget >= max_iter or (len(alive) == 1 and alive[0].finished):
            return alive[0].state
        runs = alive[: (len(alive) + 1) // 2]
        budget = max_iter if len(runs) == 1 else 2 * budget


def _better(a: EMState, b: EMState) -> int:
    """Below zero if a is to be preferred, above if b is.

    Of equal bounds the earlier start comes first: rounding must not number the components.
    """
    x, y = a.bound, b.bound
    return 0 if math.isclose(x, y, rel_tol=_TIE, abs_tol=_TIE) else -1 if x > y else 1


def _run_side_by_side(runs: list[EMRun], rows: Any, max_iter: int) -> None:
    """Run each in a thread of its own, where that is allowed and worth it.

    Rows of one block have no other use for the threads. A start that collapses does so again when
    it is asked to go on, and is given up then.
    """
    n_threads = min(rows.map.allowed, len(runs))
    watched = any(run.observer is not None for run in runs)
    if n_threads == 1 or watched or rows.work < WORK_OF_A_THREAD:
        return

    def go(run: EMRun) -> None:
        with contextlib.suppress(DegenerateFitError):
            run.run(max_iter)

    with one_blas_thread(), ThreadPoolExecutor(n_threads, thread_name_prefix="skem") as pool:
        for _ in pool.map(go, runs):
            pass


def _interrupted(runs: list[EMRun]) -> EMState:
    """The best run so far, marked as interrupted: there might have been a better one."""
    state = max(runs, key=lambda run: run.state.bound).state
    state.interrupted, state.converged = True, False
    return state


def _best_on_sample(
    model: EMModel, sample: RowSource, starts: list[Any], tol: float, acceleration: str | None
) -> Any:
    """Parameters of the best start after a short run of each on a sample of the rows."""
    best: EMState | None = None
    for params in starts:
        plain = SHORT_RUN if acceleration in PLAIN_FIRST else 0
        run = EMRun(model, sample, params, tol=tol, acceleration=acceleration, plain=plain)
        try:
            state = run.run(SHORT_RUN)
        except DegenerateFitError:
            continue
        if state.interrupted:
            raise KeyboardInterrupt
        if best is None or _better(state, best) < 0:
            best = state
    return starts[0] if best is None else best.params
