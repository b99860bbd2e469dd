"""A run of EM as others see it: where it stands, who watches it, and what can go wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class GeometryError(RuntimeError):
    """The gradient of a model's ``geometry`` contradicts what its EM maps do.

    `EMRun` raises it where the gradient of some map is zero, though the map raises the bound, and
    where gradients have pointed against many EM steps running. The model is wrong, not the data.

    Examples
    --------
    A gradient that is always zero:

    >>> from typing import NamedTuple
    >>> import numpy as np
    >>> from skem.em import EMModelBase, EMRun, Geometry, RowBlocks
    >>> class Statistics(NamedTuple):
    ...     log_likelihood: float
    ...     weight: float
    ...     x: float
    >>> class Wrong(EMModelBase):
    ...     def expected_statistics(self, mean, rows):
    ...         x = rows.X[:, 0]
    ...         return Statistics(-((x - mean) ** 2).sum() / 2, len(x), x.sum())
    ...
    ...     def maximize(self, statistics, mean):
    ...         return statistics.x / statistics.weight
    ...
    ...     def to_vector(self, mean):
    ...         return np.array([mean])
    ...
    ...     def geometry(self, statistics, mean, new):
    ...         return Geometry(np.zeros(1), lambda q: q)
    >>> EMRun(Wrong(), RowBlocks(np.array([[1.0], [3.0]])), 0.0, tol=1e-6).run(max_iter=10)
    Traceback (most recent call last):
        ...
    skem.em._state.GeometryError: The geometry of Wrong is wrong: its gradient said that ...
    """


class BoundDecreasedError(RuntimeError):
    """An EM step lowered the bound: the model's E step and M step are not consistent.

    `EMRun` raises it if the fall of the bound exceeds the rounding error that the model gives, and
    the model is monotone.

    Examples
    --------
    An M step that moves a mean by one instead of to the mean of the rows:

    >>> from typing import NamedTuple
    >>> import numpy as np
    >>> from skem.em import EMModelBase, EMRun, RowBlocks
    >>> class Statistics(NamedTuple):
    ...     log_likelihood: float
    ...     weight: float
    >>> class Wrong(EMModelBase):
    ...     def expected_statistics(self, mean, rows):
    ...         return Statistics(-((rows.X - mean) ** 2).sum() / 2, len(rows.X))
    ...
    ...     def maximize(self, statistics, mean):
    ...         return mean + 1.0
    >>> EMRun(Wrong(), RowBlocks(np.array([[1.0], [3.0]])), 2.0, tol=1e-6).run(max_iter=10)
    Traceback (most recent call last):
        ...
    skem.em._state.BoundDecreasedError: EM iteration 2 lowered the bound of Wrong by 0.5 ...
    """


class DegenerateFitError(ValueError):
    """The model has no finite maximum where this run went (a collapsed component).

    Parameters
    ----------
    message : str
        What has collapsed, and what a user can do.
    components : sequence of int, default=()
        Components that the M step cannot make, for a ``repair`` of the model.

    Attributes
    ----------
    components : tuple of int
        The same.

    Examples
    --------
    The M step of a model raises it:

    >>> import numpy as np
    >>> from skem.em import DegenerateFitError
    >>> def maximize(counts):
    ...     empty = np.flatnonzero(counts == 0).tolist()
    ...     if empty:
    ...         raise DegenerateFitError(f"Components {empty} have no rows.", empty)
    ...     return counts / counts.sum()
    >>> maximize(np.array([3.0, 0.0, 1.0]))
    Traceback (most recent call last):
        ...
    skem.em._state.DegenerateFitError: Components [1] have no rows.
    """

    def __init__(self, message: str, components: Sequence[int] = ()):
        super().__init__(message)
        self.components = tuple(components)


@dataclass
class EMState:
    """The state of a run of EM, and its history.

    Parameters
    ----------
    params : Any
        The parameters after the last M step (or before the first).
    bounds : list of float
        Bound, in nats per unit of weight, at the parameters that entered each EM map; a map whose
        start was undone repeats the bound before it. Never falls, unless the model says that it has
        no bound (``monotone`` is False).
    n_iter : int, default=0
        Number of EM maps (E steps), those undone included.
    gap : float, default=inf
        Estimated distance from the last bound to its limit, in nats per unit of weight.
    converged : bool, default=False
        Whether the gap is believed to be at most ``tol``.
    interrupted : bool, default=False
        Whether Ctrl-C has ended the run.
    stopped : bool, default=False
        Whether an observer has ended the run.
    statistics : Any
        Statistics of the last accepted E step.
    path : list or None
        With ``keep_path``: the parameters that entered each EM map, in step with ``bounds``.
    n_repairs : int, default=0
        How often the model has mended its parameters in this run.
    failure : DegenerateFitError or None
        While the model mends an M step that failed: its error; ``params`` are then those that
        entered it.
    bound_before_repair : float, default=-inf
        The last bound before the model has mended its parameters, when ``bounds`` began anew.

    Examples
    --------
    >>> from skem.em import EMState
    >>> state = EMState(params=0.5)
    >>> state.bound
    -inf
    >>> state.bounds += [-2.0, -1.5]
    >>> state.bound
    -1.5
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
        """The last bound, in nats per unit of weight; -inf before the first."""
        return self.bounds[-1] if self.bounds else self.bound_before_repair


class Observer(Protocol):
    """What watches a run: a progress bar, a printer, an early stop."""

    def begin(self, state: EMState) -> None:
        """Called before each EM map."""

    def end(self, state: EMState) -> bool:
        """Called after each EM map; true ends the run."""
