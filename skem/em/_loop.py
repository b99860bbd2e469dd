"""The loop: EM maps from a start to the limit of the bound."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem._interrupts import plain_interrupts
from skem.em._acceleration import ACCELERATIONS, make_acceleration
from skem.em._base import check_declares
from skem.em._geometry import Acceleration, GradientWatch, Map
from skem.em._model import EMModel, ManyMaps, Rows
from skem.em._rows import RowBlocks, RowSource
from skem.em._state import (
    BoundDecreasedError,
    DegenerateFitError,
    EMState,
    Observer,
)
from skem.em._stopping import STILL, DriftEstimator, GapEstimator

HITS = 2
"""Consecutive small estimates of the gap that are believed."""
HITS_ACCELERATED = 4
"""The same with an acceleration that has no estimate of its own, whose maps gain unequally: more
than a cycle of SQUAREM, which is three."""
CHECKS = 3
"""Plain EM maps that confirm an estimate which an acceleration has made itself."""


class _Candidate(NamedTuple):
    """Where an acceleration wants to go on, instead of the EM image."""

    params: Any
    acceleration: Acceleration


def block_of_maps(model: EMModel, rows: RowSource) -> Rows | None:
    """The rows as one block, if the model can make several EM maps of it in one call, or None."""
    return rows.single if model.at_once and isinstance(rows, RowBlocks) else None


class EMRun:
    """EM from one start, which can be run for some iterations, evaluated, and continued.

    Parameters
    ----------
    model : EMModel
        The model, which derives from `EMModelBase`.
    rows : RowSource
        The rows of the fit; `RowBlocks` for arrays in memory.
    params : Any
        The start.
    tol : float
        Stop when the estimated distance to the limit of the bound is at most this, in nats per
        unit of weight.
    acceleration : str or None, default=None
        A key of `ACCELERATIONS`; None is plain EM, and "quasi-newton" needs a model with
        ``geometry``.
    observer : Observer, default=None
        Its ``begin(state)`` is called before each EM map, and its ``end(state)`` after it; if this
        returns true, the run ends.
    keep_path : bool, default=False
        Keep the parameters of each iteration.
    plain : int, default=0
        EM maps to take before the acceleration begins. Where the model has ``several_maps``, the
        rows are one block and nothing looks at each map, these are made in one call, as are those
        that confirm the gap.

    Attributes
    ----------
    state : EMState
        Where the run stands.

    Raises
    ------
    TypeError
        If the model does not declare what it can do.
    ValueError
        If there is no such acceleration, or the model lacks what it needs.

    Examples
    --------
    Half of the rows are normal with mean m and variance one, the others with mean -m:

    >>> from typing import NamedTuple
    >>> import numpy as np
    >>> from skem.em import EMModelBase, EMRun, RowBlocks
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
    ...     state = EMRun(TwoSides(), rows, 0.5, tol=1e-6).run(max_iter=100)
    >>> state.converged, round(float(state.params), 2)
    (True, 2.0)
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
        self._candidate: _Candidate | None = None  # in place of state.params
        self._rounding = 0.0  # of the last bound
        self._watch = GradientWatch(type(self.model).__name__)
        self._hits = 0  # consecutive iterations whose estimated gap was at most tol
        self._checks = 0  # plain EM maps still to take, to confirm the gap
        self.state.gap = math.inf

    @property
    def finished(self) -> bool:
        """Whether the run has converged, or was ended by Ctrl-C or by its observer."""
        return self.state.converged or self.state.interrupted or self.state.stopped

    def run(self, max_iter: int) -> EMState:
        """Continue until convergence, or until ``max_iter`` EM maps have been done in total.

        Ctrl-C ends the run with the result of the last whole EM map; before there is one, it is
        passed on.

        Parameters
        ----------
        max_iter : int
            At most so many EM maps of the run, those of earlier calls included.

        Returns
        -------
        state : EMState
            The state of the run, the same object in each call.

        Raises
        ------
        BoundDecreasedError
            If a plain EM map lowers the bound of a monotone model by more than its rounding error.
        DegenerateFitError
            If the M step fails and the model does not repair it.
        FloatingPointError
            If the bound is not a number.
        GeometryError
            If the gradient of the model's geometry contradicts its EM maps.
        KeyboardInterrupt
            On Ctrl-C before the first map has ended.
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
        if n_maps <= 0 or state.path is not None:
            return False
        block = block_of_maps(self.model, self.rows)
        if block is None:
            return False
        start, n_maps = state.params, n_maps if self.observer is None else 1
        maps: ManyMaps | None = self.model.several_maps(start, block, n_maps)
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
                    maps = self._maps_again(start, block, number)
                break
        self._watch.skip()
        state.params = maps.params
        return True

    def _maps_again(self, start: Any, block: Rows, n_maps: int) -> ManyMaps:
        """The first ``n_maps`` of the maps that the model has just made from ``start``."""
        maps = self.model.several_maps(start, block, n_maps)
        if maps is None:
            raise RuntimeError(
                f"several_maps of {type(self.model).__name__} returned None for {n_maps} maps, "
                "after it had made more of them from the same parameters. This is a bug of the "
                "model, not of the data: please report it."
            )
        return maps

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
        candidate = self._candidate
        plain = candidate is None
        params = state.params if candidate is None else candidate.params
        statistics = self.rows.reduce(lambda rows: model.expected_statistics(params, rows))
        bound = model.bound(statistics, params)
        state.n_iter += 1
        if candidate is not None and not bound >= state.bound:
            self._undo(candidate.acceleration)
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
            self._go_to(self._acceleration.propose(), self._acceleration)

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
        risen = plain and self.model.monotone and len(state.bounds) > 1
        gain = state.bounds[-1] - state.bounds[-2] if risen else None
        self._watch.compare(size, gain, rounding)
        state.gap = self._gap.update(bound, plain=plain, rounding=rounding, size=size)
        own = None if self._acceleration is None else self._acceleration.gap
        if own is None or self._checks:
            hits = HITS if self._acceleration is None else HITS_ACCELERATED
            return self._is_small_for(hits, rounding)
        if self._no_step_left(rounding):
            return state.gap <= self.tol
        state.gap = max(own, 0.0)
        self._hits = self._hits + 1 if state.gap <= self.tol else 0
        if self._hits >= HITS:
            self._checks = CHECKS
        return False

    def _go_to(self, proposal: NDArray | None, acceleration: Acceleration) -> None:
        """Make the first proposal that is a point the next one; without any, it is the EM image."""
        self._candidate = None
        while proposal is not None:
            with np.errstate(all="ignore"):
                finite = np.isfinite(proposal).all()
                params = self.model.from_vector(proposal, self.state.params) if finite else None
            if params is not None:
                self._candidate = _Candidate(params, acceleration)
                return
            proposal = acceleration.rejected()

    def _undo(self, acceleration: Acceleration) -> None:
        """The proposal lowered the bound: try what the acceleration says, or the EM image."""
        state = self.state
        state.bounds.append(state.bound)
        if state.path is not None:
            state.path.append(state.path[-1])
        self._go_to(acceleration.rejected(), acceleration)
