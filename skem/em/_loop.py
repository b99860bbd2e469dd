"""The loop: EM maps from a start to the limit of the bound."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skem._interrupts import plain_interrupts
from skem.em._acceleration import ACCELERATIONS, Acceleration, Map, make_acceleration
from skem.em._model import EMModel, ManyMaps, check_declares
from skem.em._rows import RowBlocks, RowSource
from skem.em._state import (
    BoundDecreasedError,
    DegenerateFitError,
    EMState,
    GeometryError,
    Observer,
)
from skem.em._stopping import STILL, DriftEstimator, GapEstimator

HITS = 2
"""Consecutive small estimates of the gap that are believed."""
CHECKS = 3
"""Plain EM maps that confirm an estimate which an acceleration has made itself."""


_SEEN = 1e3
"""Rounding errors that a gain exceeds which no rounding explains."""
_AGAINST = 20
"""EM steps running that a gradient may point against: of long steps some do, of 2600 fits of data
with far rows at most two running."""


def makes_maps_at_once(model: EMModel, rows: Any) -> bool:
    """Whether the model can make several EM maps of these rows in one call (`several_maps`)."""
    return model.at_once and isinstance(rows, RowBlocks) and rows.single is not None


class EMRun:
    """EM from one start, which can be run for some iterations, evaluated, and continued.

    Parameters
    ----------
    model : EMModel
    rows : RowSource
    params : Any
        The start.
    tol : float
        Stop when the estimated distance to the limit of the bound is at most this.
    acceleration : str or None, default=None
        Name of an acceleration; None is plain EM.
    observer : Observer, default=None
        Called before and after each EM map.
    keep_path : bool, default=False
        Keep the parameters of each iteration.
    plain : int, default=0
        EM maps to take before the acceleration begins. Where the model has ``several_maps``, the
        rows are one block and nothing looks at each map, these are made in one call, as are those
        that confirm the gap.
    """

    def __init__(
        self,
        model: EMModel,
        rows: RowSource,
        params: Any,
        *,
        tol: float,
        acceleration: str | None = None,
        observer: Observer | None = None,
        keep_path: bool = False,
        plain: int = 0,
    ):
        check_declares(model)
        if acceleration is not None and acceleration not in ACCELERATIONS:
            raise ValueError(
                f"acceleration must be None or one of {sorted(ACCELERATIONS)}, got "
                f"{acceleration!r}."
            )
        if acceleration == "quasi-newton" and model.geometry is None:
            raise ValueError(
                f"acceleration='quasi-newton' needs a model with a method `geometry`, which "
                f"{type(model).__name__} does not have. Use 'squarem' or None."
            )
        self.model = model
        self.rows = rows
        self.tol = tol
        self.observer = observer
        self.state = EMState(params, path=[] if keep_path else None)
        self._acceleration_name = acceleration
        self._plain = plain
        self._reset()

    def _reset(self) -> None:
        self._acceleration: Acceleration | None = None
        if self.state.n_iter >= self._plain:
            self._acceleration = make_acceleration(self._acceleration_name)
        self._gap: GapEstimator | DriftEstimator = GapEstimator()
        if not self.model.monotone:
            self._gap = DriftEstimator(self.model.settled_after)
        self._candidate: Any = None  # where an acceleration wants to go on, instead of params
        self._rounding = 0.0  # of the last bound
        self._size: float | None = None  # of the last EM step, if the last map was plain
        self._n_against = 0  # plain maps running whose gradient pointed against the EM step
        self._hits = 0  # consecutive iterations whose estimated gap was at most tol
        self._checks = 0  # plain EM maps still to take, to confirm the gap
        self.state.gap = math.inf

    @property
    def finished(self) -> bool:
        return self.state.converged or self.state.interrupted or self.state.stopped

    def run(self, max_iter: int) -> EMState:
        """Continue until convergence, or until ``max_iter`` EM maps have been done in total.

        Ctrl-C ends the run with the result of the last whole EM map; before there is one, it is
        passed on.
        """
        state = self.state
        self._keep()
        try:
            with plain_interrupts():
                while not self.finished and state.n_iter < max_iter:
                    if self.observer is not None:
                        self.observer.begin(state)
                    if not self._several_steps(max_iter):
                        self._step()
                    self._keep()
                    if self._acceleration is None and state.n_iter >= self._plain:
                        self._acceleration = make_acceleration(self._acceleration_name)
                    if self.observer is not None and self.observer.end(state):
                        state.stopped = True
        except KeyboardInterrupt:
            self._go_back()
            if not state.bounds:
                raise
            state.interrupted, state.converged = True, False
        return state

    def _keep(self) -> None:
        """Remember the state between two EM maps, for `_go_back`."""
        state = self.state
        n_path = 0 if state.path is None else len(state.path)
        self._kept = dict(vars(state)), len(state.bounds), n_path

    def _go_back(self) -> None:
        """To the end of the last whole EM map: an interrupt may come in the middle of one."""
        attributes, n_bounds, n_path = self._kept
        vars(self.state).update(attributes)
        del self.state.bounds[n_bounds:]
        if self.state.path is not None:
            del self.state.path[n_path:]

    def _several_steps(self, max_iter: int) -> bool:
        """Plain EM maps in one call of the model; false if it has to be asked step by step."""
        state = self.state
        checks = self._checks if self._candidate is None else 0
        n_maps = min(max(self._plain - state.n_iter, checks), max_iter - state.n_iter)
        if n_maps <= 0 or state.path is not None or not makes_maps_at_once(self.model, self.rows):
            return False
        make, block = self.model.several_maps, self.rows.single  # type: ignore[attr-defined]
        start, n_maps = state.params, n_maps if self.observer is None else 1
        maps: ManyMaps | None = make(start, block, n_maps)
        if maps is None:
            return False
        for number, (bound, rounding, size) in enumerate(zip(*maps[1:], strict=True), 1):
            self._check(bound, rounding)
            state.bounds.append(max([bound, *state.bounds[-1:]]))
            state.n_iter += 1
            state.gap = self._gap.update(bound, plain=True, rounding=rounding, size=size)
            if self._is_small_for(HITS, rounding):
                state.converged = True
                if number < len(maps.bounds):  # the parameters of this map, not of the last one
                    maps = make(start, block, number)
                    assert maps is not None
                break
        state.params, self._size = maps.params, None
        return True

    def _is_small_for(self, hits: int, rounding: float) -> bool:
        """Whether the gap has been small for so many maps running, or no step is left to take.

        Where plain maps confirm another estimate, only the last of them decides.
        """
        gap, tol = self.state.gap, self.tol
        if self._no_step_left(rounding):
            return gap <= tol
        self._hits = self._hits + 1 if gap <= tol else 0
        if self._checks:
            self._checks -= 1
            return self._checks == 0 and self._hits >= HITS
        return self._hits >= hits

    def _no_step_left(self, rounding: float) -> bool:
        """Whether the last map has stood still; never of the first, which nothing confirms."""
        still = self.state.gap <= STILL * rounding and self.model.monotone
        return still and len(self.state.bounds) > 1

    def _step(self) -> None:
        """One EM map: E step at the current point, gate, M step, and where to go on."""
        state, model = self.state, self.model
        plain = self._candidate is None
        params = state.params if plain else self._candidate
        statistics = self.rows.reduce(lambda rows: model.expected_statistics(params, rows))
        bound = model.bound(statistics, params)
        state.n_iter += 1
        if not plain and not bound >= state.bound:
            self._undo()
            return
        self._candidate = None
        rounding = model.rounding(statistics, params)
        self._check(bound, rounding)
        state.bounds.append(max([bound, *state.bounds[-1:]]) if self.model.monotone else bound)
        if state.path is not None:
            state.path.append(params)
        try:
            state.statistics, state.params = self._maximize(statistics, params)
        except DegenerateFitError as error:
            state.statistics, state.params, state.failure = statistics, params, error
            if not self._repair():
                raise
            return
        if self._repair():
            return
        em_map = self._map(state.statistics, params)
        if self._acceleration is not None and em_map is not None:
            self._acceleration.observe(em_map)
        if self._has_converged(em_map, bound, rounding, plain=plain):
            state.converged = True
        elif self._acceleration is not None and not self._checks:
            proposal = self._acceleration.propose()
            if proposal is not None:
                self._go_to(proposal)

    def _maximize(self, statistics: Any, params: Any) -> tuple[Any, Any]:
        """M step, on finer statistics where the model asks for them; and the statistics."""
        model = self.model
        try:
            new = model.maximize(statistics, params)
        except DegenerateFitError:
            finer = model.refine(params, None)
            if finer is None:
                raise
        else:
            finer = model.refine(params, new)
            if finer is None:
                return statistics, new
        statistics = self.rows.reduce(lambda rows: model.expected_statistics(finer, rows))
        return statistics, model.maximize(statistics, finer)

    def _check(self, bound: float, rounding: float) -> None:
        if math.isnan(bound):
            raise FloatingPointError(
                f"The bound is not a number at EM iteration {self.state.n_iter}. Check the data "
                "for values of extreme size."
            )
        fall = self.state.bounds[-1] - bound if self.state.bounds else 0.0
        before, self._rounding = self._rounding, rounding
        if fall > rounding + before and self.model.monotone:
            raise BoundDecreasedError(
                f"EM iteration {self.state.n_iter} lowered the bound of "
                f"{type(self.model).__name__} by {fall:.3g} (rounding error "
                f"{rounding + before:.3g}). This is a bug of the model, not of the data: please "
                "report it."
            )

    def _repair(self) -> bool:
        """Let the model mend its parameters (a collapsed component); the trace begins anew."""
        mended = self.model.repair(self.state)
        self.state.failure = None
        if mended is None:
            return False
        self.state.n_repairs += 1
        self.state.params = mended
        self.state.bound_before_repair = self.state.bound
        self.state.bounds = []
        if self.state.path is not None:
            self.state.path = []
        self._reset()
        return True

    def _map(self, statistics: Any, params: Any) -> Map | None:
        """The EM map that was just taken, in the model's coordinates; None if nobody asks."""
        model = self.model
        geometry = model.geometry
        if geometry is None and self._acceleration is None:
            return None
        return Map(
            model.to_vector(params),
            model.to_vector(self.state.params),
            None if geometry is None else geometry(statistics, params, self.state.params),
        )

    def _has_converged(
        self, em_map: Map | None, bound: float, rounding: float, *, plain: bool
    ) -> bool:
        """Estimate the gap, and decide whether it is small and stays so.

        A small estimate is believed when it has come several times running. With an acceleration
        that estimates its own gap, some plain EM maps then confirm it: near a saddle the EM steps
        are short but do not shrink.
        """
        state = self.state
        size = None
        if em_map is not None and em_map.geometry is not None:
            size = float(em_map.geometry.gradient @ (em_map.image - em_map.x))
        self._compare_with_gain(size, rounding, plain=plain)
        state.gap = self._gap.update(bound, plain=plain, rounding=rounding, size=size)
        own = None if self._acceleration is None else self._acceleration.gap
        if own is None or self._checks:
            return self._is_small_for(HITS if self._acceleration is None else HITS + 1, rounding)
        if self._no_step_left(rounding):
            return state.gap <= self.tol
        state.gap = max(own, 0.0)
        self._hits = self._hits + 1 if state.gap <= self.tol else 0
        if self._hits >= HITS:
            self._checks = CHECKS
        return False

    def _compare_with_gain(self, size: float | None, rounding: float, *, plain: bool) -> None:
        """Refuse a gradient that says the last plain map had no step to take, though it rose."""
        bounds, last, self._size = self.state.bounds, self._size, size
        if not plain or last is None or size is None or len(bounds) < 2 or not self.model.monotone:
            return
        gain = bounds[-1] - bounds[-2]
        against = self._n_against + 1 if size < -rounding else 0
        self._n_against = against
        if against > _AGAINST:
            what = f"has pointed against {against} EM steps running"
        elif abs(last) <= STILL * rounding and gain > _SEEN * rounding:
            what = f"said that an EM map had no step to take, which raised the bound by {gain:.3g}"
        else:
            return
        raise GeometryError(
            f"The geometry of {type(self.model).__name__} is wrong: its gradient {what}. "
            "skem.em.check_model tells more."
        )

    def _go_to(self, proposal: Any) -> None:
        """Make the proposal the next point, if it is one; the EM image stays in the state."""
        params = self.state.params
        with np.errstate(all="ignore"):
            finite = np.isfinite(proposal).all()
            self._candidate = self.model.from_vector(proposal, params) if finite else None
        if self._candidate is None:
            assert self._acceleration is not None
            again = self._acceleration.rejected()
            if again is not None:
                self._go_to(again)

    def _undo(self) -> None:
        """The proposal lowered the bound: try what the acceleration says, or the EM image."""
        state = self.state
        state.bounds.append(state.bound)
        if state.path is not None:
            state.path.append(state.path[-1])
        assert self._acceleration is not None
        self._candidate = None
        again = self._acceleration.rejected()
        if again is not None:
            self._go_to(again)
