"""A run of EM as others see it: where it stands, who watches it, and what can go wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class GeometryError(RuntimeError):
    """The gradient of a model's ``geometry`` contradicts what its EM maps do."""


class BoundDecreasedError(RuntimeError):
    """An EM step lowered the bound: the model's E step and M step are not consistent."""


class DegenerateFitError(ValueError):
    """The model has no finite maximum where this run went (a collapsed component).

    Parameters
    ----------
    message : str
    components : sequence of int, default=()
        Components that the M step cannot make, for a `repair` of the model.
    """

    def __init__(self, message: str, components: Sequence[int] = ()):
        super().__init__(message)
        self.components = tuple(components)


@dataclass
class EMState:
    """The state of a run of EM, and its history.

    Attributes
    ----------
    params : Any
        The parameters after the last M step (or before the first).
    bounds : list of float
        Bound, per unit of weight, at the parameters that entered each EM map; a map whose start
        was undone repeats the bound before it. Never falls, unless the model says that it has no
        bound (``monotone`` is False).
    n_iter : int
        Number of EM maps (E steps), those undone included.
    gap : float
        Estimated distance from the last bound to its limit.
    converged, interrupted, stopped : bool
        ``gap <= tol``; ended by Ctrl-C; ended by the observer.
    statistics : Any
        Statistics of the last accepted E step.
    path : list or None
        With ``keep_path``: the parameters that entered each EM map, in step with ``bounds``.
    n_repairs : int
        How often the model has mended its parameters in this run.
    failure : DegenerateFitError or None
        While the model mends an M step that failed: its error; ``params`` are then those that
        entered it.
    """

    params: Any
    bounds: list[float] = field(default_factory=list)
    n_iter: int = 0
    gap: float = math.inf
    converged: bool = False
    interrupted: bool = False
    stopped: bool = False
    statistics: Any = None
    path: list | None = None
    n_repairs: int = 0
    failure: DegenerateFitError | None = None
    bound_before_repair: float = -math.inf

    @property
    def bound(self) -> float:
        return self.bounds[-1] if self.bounds else self.bound_before_repair


class Observer(Protocol):
    """What watches a run: a progress bar, a printer, an early stop."""

    def begin(self, state: EMState) -> None:
        """Called before each EM map."""

    def end(self, state: EMState) -> bool:
        """Called after each EM map; true ends the run."""
