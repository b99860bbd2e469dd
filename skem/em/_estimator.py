"""What every estimator that is fitted by EM has in common."""

from __future__ import annotations

import copy
import reprlib
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skem._callbacks import CallbackSupportMixin, IterationCallbacks
from skem._interrupts import interrupts_later
from skem._sklearn import Interval, StrOptions
from skem._warnings import warn_user
from skem.em._acceleration import ACCELERATIONS
from skem.em._model import EMModel
from skem.em._online import M, StepwiseEM
from skem.em._rows import RowSource
from skem.em._starts import SHORT_RUN, fit_from_starts
from skem.em._state import EMState


class EMEstimatorMixin(CallbackSupportMixin):
    """Runs the engine for an estimator and reports how the fit went.

    The estimator has the parameters ``tol``, ``max_iter``, ``acceleration``, ``n_jobs``,
    ``verbose`` and ``verbose_interval``, and a method ``_attributes(model, params)`` that gives
    its fitted attributes as a dict: they are computed in full before the first one is set, so a
    failed fit leaves the estimator as it was.
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

    _keep_path = False
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

    def _run_em(
        self,
        model: EMModel,
        rows: RowSource,
        starts: Iterable[Any],
        *,
        n_starts: int,
        X: Any = None,
        sample_weight: Any = None,
        max_iter: int | None = None,
        sample: RowSource | None = None,
    ) -> tuple[EMState, dict[str, Any]]:
        """Run the engine; return the best run and all fitted attributes, none of them set yet."""
        max_iter = self.max_iter if max_iter is None else max_iter
        callbacks = IterationCallbacks(
            self,
            n_starts=n_starts,
            max_iter=max_iter,
            X=X,
            metadata=None if sample_weight is None else {"sample_weight": sample_weight},
        )
        state = fit_from_starts(
            model,
            rows,
            starts,
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

    def _check_goes_on(self, n_fitted: int) -> None:
        """Refuse batches for a fit of another number of components (0: none), or other settings."""
        if n_fitted not in (0, self.n_components):
            raise ValueError(
                f"n_components={self.n_components} cannot go on from the fitted model, which has "
                f"{n_fitted}. Set it back, or begin anew with a clone."
            )
        self._check_online_settings()

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

    def _start_online(self, model: M, rows: RowSource, starts: Iterable[Any]) -> StepwiseEM[M]:
        """Online EM from the best of the starts after a short run on the first batch."""
        state = fit_from_starts(
            model,
            rows,
            starts,
            tol=max(self.tol, 1e-3),
            max_iter=10 * SHORT_RUN,
            acceleration=self._acceleration_name(model),
        )
        return StepwiseEM(model, state.params)

    def _update_online(self, online: StepwiseEM, rows: RowSource) -> Any:
        """One step of online EM; sets the fitted attributes and returns the parameters.

        The trace begins anew with the first batch: bounds of batches are not bounds of a fit.
        """
        model, current = online.model, online.current
        statistics = rows.reduce(lambda block: model.expected_statistics(current, block))
        bound = model.bound(statistics, current)
        params = online.update(statistics)
        bounds = [*(self.lower_bounds_ if hasattr(self, "_online") else []), bound]
        settings = {name: copy.deepcopy(getattr(self, name)) for name in self._fixed_online}
        self.__dict__.update(
            self._attributes(model, params),
            _online=online,
            _online_settings=settings,
            _total_weight=online.weight,
            converged_=False,
            n_iter_=len(bounds),
            lower_bound_=bound,
            lower_bounds_=bounds,
            optimality_gap_=np.inf,
        )
        return params

    def _warn_if_not_converged(self, state: EMState) -> None:
        """Say what ended the fit, and what to do, unless it ended at the limit."""
        if state.interrupted:
            warn_user(
                f"Fit interrupted after {state.n_iter} EM iterations; the estimator holds the "
                f"best parameters so far, {_distance(state.gap)} the limit. Set warm_start=True, "
                "where there is one, to go on from here.",
                ConvergenceWarning,
            )
        elif not state.converged and not state.stopped and self.max_iter > 0:
            where = f"the bound is {_distance(state.gap)} its limit"
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


def _distance(gap: float) -> str:
    """An estimated gap in words."""
    if not np.isfinite(gap):
        return "an unknown distance (there were too few maps for an estimate) below"
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
            if verbose >= 2:
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
