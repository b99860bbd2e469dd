"""What every estimator that is fitted by EM has in common."""

from __future__ import annotations

import contextlib
import copy
import reprlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from numbers import Integral, Real
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skem._callbacks import CallbackSupportMixin, IterationCallbacks
from skem._interrupts import interrupts_later
from skem._sklearn import Interval, StrOptions
from skem._validation import set_fitted, unchanged_on_error
from skem._warnings import warn_user
from skem.em._acceleration import ACCELERATIONS
from skem.em._model import EMModel
from skem.em._online import StepwiseEM
from skem.em._rows import RowSource
from skem.em._starts import SHORT_RUN, fit_from_starts
from skem.em._state import EMState

FIRST_BATCH_TOL = 1e-3
"""Least ``tol`` in the fit of the first batch of `partial_fit`, in nats per unit of weight: it only
gives a start, which the next batches improve."""
FIRST_BATCH_MAPS = 10 * SHORT_RUN
"""At most so many EM maps of that fit, for the same reason."""
_TIMES = 2
"""Level of ``verbose`` from which on lines tell the time, the gain and the gap, too."""


class TrainingData(Protocol):
    """Validated rows of a fit or of a batch."""

    total_weight: float  # sum of the weights, in the unit below
    unit: float  # what the weights were divided by, see `unit_of`

    def row_blocks(self) -> AbstractContextManager[RowSource]:
        """The rows as the engine takes them."""


class Problem(NamedTuple):
    """What a fit is to solve."""

    model: Any  # EMModel
    starts: list
    sample: AbstractContextManager[RowSource] | None = None  # of many rows, for the short runs
    max_iter: int | None = None  # of the estimator if None


class EMEstimatorMixin(CallbackSupportMixin):
    """`fit` and `partial_fit` of every estimator that is fitted by EM, and what they report.

    The estimator has the parameters ``tol``, ``max_iter``, ``acceleration``, ``n_jobs``,
    ``verbose`` and ``verbose_interval``. It says what is its own by these methods:

    - ``_training_data(X, sample_weight, *, first, unit, **given)`` validates rows, of a fit or the
      first batch, or of a later one, whose weights are in the unit of the first.
    - ``_problem(data, online=False)`` makes the model and its starts; ``online`` is for the first
      batch of `partial_fit`.
    - ``_attributes(model, params)`` gives fitted attributes as a dict: they are computed in full
      before the first one is set, so a failed fit leaves the estimator as it was.
    - ``_online_model(data)`` makes the model of batches, and its parameters, after a fit.
    """

    tol: float
    max_iter: int
    acceleration: str | None
    verbose: int
    verbose_interval: int
    lower_bounds_: list[float]
    n_components: int
    _online_settings: dict[str, Any]
    _total_weight: float  # of all rows seen, in the unit below
    _weight_unit: float  # what the weights were divided by, see `unit_of`
    _attributes: Callable[[Any, Any], dict[str, Any]]

    _training_data: Callable[..., Any]
    _problem: Callable[..., Problem]
    _online_model: Callable[[Any], tuple[Any, Any]]

    _keep_path = False
    _stale: tuple[str, ...] = ()  # attributes that another fit may not set again
    _fixed_online: tuple[str, ...] = ()  # parameters that cannot change between batches

    _parameter_constraints: dict = {
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "acceleration": [StrOptions({"auto", *ACCELERATIONS}), None],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    def _acceleration_name(self, model: EMModel) -> str | None:
        """The acceleration asked for; 'auto' is what was measured best for such a model."""
        if self.acceleration != "auto":
            return self.acceleration
        return "squarem" if model.geometry is None else "quasi-newton"

    # ------------------------------------------------------------------ fit
    def _fit_em(self, X: Any, sample_weight: Any, **given: Any) -> None:
        """`fit`: all is computed before the first attribute is set."""
        with unchanged_on_error(self):
            data: TrainingData = self._training_data(
                X, sample_weight, first=True, unit=None, **given
            )
            problem = self._problem(data)
            with contextlib.ExitStack() as stack:
                rows = stack.enter_context(data.row_blocks())
                sample = None
                if problem.sample is not None and self.max_iter > SHORT_RUN:
                    sample = stack.enter_context(problem.sample)
                state, attributes = self._run_em(problem, rows, sample, X, sample_weight)
                attributes |= self._more_attributes(problem.model, state, data, rows)
            attributes |= {"_total_weight": data.total_weight, "_weight_unit": data.unit}
            set_fitted(self, attributes, stale=("_online", *self._stale))
            self._say_how_it_ended(state, data)

    def _more_attributes(
        self, model: Any, state: EMState, data: Any, rows: RowSource
    ) -> dict[str, Any]:
        """Attributes that are known at the end of a fit only."""
        return {}

    def _say_how_it_ended(self, state: EMState, data: Any) -> None:
        """Warnings of a fit."""
        self._warn_if_not_converged(state)

    def _run_em(
        self,
        problem: Problem,
        rows: RowSource,
        sample: RowSource | None,
        X: Any,
        sample_weight: Any,
    ) -> tuple[EMState, dict[str, Any]]:
        """Run the engine; return the best run and all fitted attributes, none of them set yet."""
        max_iter = self.max_iter if problem.max_iter is None else problem.max_iter
        model = problem.model
        callbacks = IterationCallbacks(
            self,
            n_starts=1 if sample is not None else len(problem.starts),
            max_iter=max_iter,
            X=X,
            metadata=None if sample_weight is None else {"sample_weight": sample_weight},
        )
        state = fit_from_starts(
            model,
            rows,
            problem.starts,
            tol=self.tol,
            max_iter=max_iter,
            acceleration=self._acceleration_name(model),
            observe=lambda number: (
                _FitObserver(self, model, number, callbacks)
                if self.verbose or callbacks.active
                else None
            ),
            keep_path=self._keep_path,
            sample=sample,
        )
        with interrupts_later() as noted:
            attributes = self._attributes(model, state.params) | {
                "converged_": state.converged,
                "n_iter_": state.n_iter,
                "lower_bound_": state.bound,
                "lower_bounds_": list(state.bounds),
                "optimality_gap_": state.gap,
            }
        state.interrupted |= noted.pressed
        callbacks.finish(attributes)
        return state, attributes

    # ------------------------------------------------------------------ partial_fit
    def _partial_fit_em(self, X: Any, sample_weight: Any, **given: Any) -> None:
        """`partial_fit`: one step of online EM, after a short fit of the first batch."""
        with unchanged_on_error(self):
            first = not hasattr(self, "n_iter_")
            if not first:
                self._check_goes_on()
                self._check_online_settings()
            unit = None if first else self._weight_unit
            data: TrainingData = self._training_data(
                X, sample_weight, first=first, unit=unit, **given
            )
            online = getattr(self, "_online", None)
            if online is not None:
                online = online.copy()
                self._admit(online, data)
            elif first:
                online = self._begin_online(data)
            else:
                model, params = self._online_model(data)
                online = StepwiseEM(model, params)
                online.seed(model.statistics_of(params, self._total_weight), data.total_weight)
            with data.row_blocks() as rows:
                params, attributes = self._update_online(online, rows)
            attributes |= self._batch_attributes(online, params, first=first)
            set_fitted(self, attributes | {"_weight_unit": data.unit})
            self._say_of_batch(data, first=first)

    def _check_goes_on(self) -> None:
        """Refuse batches for a fit of another number of components."""
        n_fitted = self._n_fitted()
        if n_fitted != self.n_components:
            raise ValueError(
                f"n_components={self.n_components} cannot go on from the fitted model, which has "
                f"{n_fitted}. Set it back, or begin anew with a clone."
            )

    def _n_fitted(self) -> int:
        """Components of the fitted model."""
        raise NotImplementedError

    def _begin_online(self, data: Any) -> StepwiseEM:
        """Online EM from the best start after a short run on the first batch."""
        problem = self._problem(data, online=True)
        with data.row_blocks() as rows:
            return StepwiseEM(problem.model, self._short_fit(problem, rows).params)

    def _admit(self, online: StepwiseEM, data: Any) -> None:
        """Look at another batch before it is taken in."""

    def _batch_attributes(self, online: StepwiseEM, params: Any, *, first: bool) -> dict[str, Any]:
        """Attributes after a batch, beside those of each fit."""
        return {}

    def _say_of_batch(self, data: Any, *, first: bool) -> None:
        """Warnings after a batch."""

    def _check_online_settings(self) -> None:
        """Refuse to go on with batches under other parameters than those of the running statistics.

        Raises
        ------
        ValueError
            If one of `_fixed_online` has been set to something else since the first batch.
        """
        if not hasattr(self, "_online"):
            return
        for name, before in self._online_settings.items():
            now = getattr(self, name)
            if not _same(before, now):
                raise ValueError(
                    f"partial_fit began with {name}={reprlib.repr(before)}, which cannot change "
                    f"between batches; it is {reprlib.repr(now)} now. Set it back, or begin anew "
                    "with a clone."
                )

    def _short_fit(self, problem: Problem, rows: RowSource) -> EMState:
        """The best of the starts after a short run on the first batch."""
        return fit_from_starts(
            problem.model,
            rows,
            problem.starts,
            tol=max(self.tol, FIRST_BATCH_TOL),
            max_iter=FIRST_BATCH_MAPS,
            acceleration=self._acceleration_name(problem.model),
        )

    def _update_online(self, online: StepwiseEM, rows: RowSource) -> tuple[Any, dict[str, Any]]:
        """One step of online EM: the parameters, and fitted attributes, none of them set yet.

        The trace begins anew with the first batch: bounds of batches are not bounds of a fit.
        """
        model, current = online.model, online.current
        statistics = rows.reduce(lambda block: model.expected_statistics(current, block))
        bound = model.bound(statistics, current)
        params = online.update(statistics)
        bounds = [*(self.lower_bounds_ if hasattr(self, "_online") else []), bound]
        settings = {name: copy.deepcopy(getattr(self, name)) for name in self._fixed_online}
        return params, self._attributes(model, params) | {
            "_online": online,
            "_online_settings": settings,
            "_total_weight": online.weight,
            "converged_": False,
            "n_iter_": len(bounds),
            "lower_bound_": bound,
            "lower_bounds_": bounds,
            "optimality_gap_": np.inf,
        }

    def _warn_if_not_converged(self, state: EMState) -> None:
        """Say what ended the fit, and what to do, unless it ended at the limit."""
        if state.interrupted:
            warn_user(
                f"Fit interrupted after {state.n_iter} EM iterations; the estimator holds the "
                f"best parameters so far, {_distance(state.gap, state.n_iter)} the limit. Set "
                "warm_start=True, where there is one, to go on from here.",
                ConvergenceWarning,
            )
        elif not state.converged and not state.stopped and self.max_iter > 0:
            where = f"the bound is {_distance(state.gap, state.n_iter)} its limit"
            if state.gap <= self.tol:
                where += ", an estimate that was not confirmed yet"
            elif np.isfinite(state.gap):
                where += f", more than tol={self.tol:.3g}"
            warn_user(
                f"EM did not converge in max_iter={self.max_iter} iterations: {where}. "
                "Increase max_iter, or tol if that is near enough; try other "
                "starts, or check for degenerate data.",
                ConvergenceWarning,
            )


_FEW_MAPS = 10
"""Maps with which there may be no estimate of the distance yet, whatever they have gained."""


def _distance(gap: float, n_maps: int) -> str:
    """An estimated gap in words."""
    if not np.isfinite(gap):
        few = "there were too few maps for an estimate"
        why = few if n_maps < _FEW_MAPS else "its gains have not shrunk over the last maps"
        return f"an unknown distance ({why}) below"
    return f"an estimated {gap:.3g} nats per unit of weight below"


def _same(before: Any, now: Any) -> bool:
    """Whether two values of a parameter say the same."""
    return before is now or np.array_equal(np.asarray(before), np.asarray(now))


class _FitObserver:
    """Prints and calls back for one start of a fit."""

    def __init__(self, estimator: Any, model: EMModel, start: int, callbacks: IterationCallbacks):
        self._estimator = estimator
        self._model = model
        self._start = start
        self._callbacks = callbacks
        self._task: Any = None
        self._time = perf_counter()
        self._said_hello = False

    def begin(self, state: EMState) -> None:
        if self._estimator.verbose and not self._said_hello:
            print(f"Initialization {self._start}")
            self._said_hello = True
        if self._callbacks.active:
            self._task = self._callbacks.begin(self._start)

    def end(self, state: EMState) -> bool:
        if self._estimator.verbose:
            self._print(state)
        if not self._callbacks.active:
            return False
        return self._callbacks.end(
            self._task, lambda: self._estimator._attributes(self._model, state.params)
        )

    def _print(self, state: EMState) -> None:
        verbose, interval = self._estimator.verbose, self._estimator.verbose_interval
        if state.n_iter % interval == 0:
            line = f"  Iteration {state.n_iter}"
            if verbose >= _TIMES:
                now = perf_counter()
                gain = np.diff(state.bounds[-2:]).sum()
                line += (
                    f"\t time lapse {now - self._time:.5f}s\t ll change {gain:.5f}"
                    f"\t estimated gap {state.gap:.2g}"
                )
                self._time = now
            print(line)
        if state.converged:
            print(f"Initialization converged. Lower bound {state.bound:.5f}.")
