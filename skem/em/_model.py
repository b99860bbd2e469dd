"""What a model tells the engine, and the arithmetic of sufficient statistics.

A model is three pure functions. `Statistics` of two sets of rows add, whatever the model::

    expected_statistics(params, rows)  -> statistics      E step on one block of rows
    maximize(statistics, params)       -> params          M step, with the model's priors
    to_vector(params), from_vector(v)                     unconstrained coordinates
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from skem.em._acceleration import Geometry
from skem.em._state import EMState

Params = TypeVar("Params")
S = TypeVar("S", bound=tuple)


@dataclass(frozen=True, slots=True)
class Rows:
    """A block of rows and all that belongs to them.

    Attributes
    ----------
    start : int
        Position of the first row of the block among all rows of its source.
    X : array or sparse matrix of shape (n_rows, n_features)
    weight : ndarray of shape (n_rows,) or None
        Weight of each row; None is a weight of one.
    labels : ndarray of shape (n_rows,) or None
        Known component of each row, -1 where it is unknown.
    memo : dict
        What a model wants to keep with these rows from one E step to the next and that does
        not depend on the parameters (a scatter matrix, the pattern of missing values).
    """

    start: int
    X: Any
    weight: NDArray | None = None
    labels: NDArray | None = None
    memo: dict = field(default_factory=dict)


class ManyMaps(NamedTuple):
    """Some EM maps that were made in one call: where they led, and one entry for each."""

    params: Any
    bounds: list[float]
    rounding: list[float]
    sizes: list[float]  # squared lengths of the EM steps: gradient x step


class EMModel(Protocol[Params]):
    """The protocol of a model that the engine can fit.

    ``statistics`` are a `NamedTuple` whose first two fields are ``log_likelihood``, the sum over
    the rows of weight x log p(row) (or of its lower bound) in nats, and ``weight``, the sum of the
    weights. Every field is a number or an array, which are summed over blocks of rows, or a
    tuple, which is concatenated in the order of the rows: in that way local parameters (one
    entry per row: p(z|d) of PLSA, the variational parameters of LDA) come back from the E step
    and become part of the next ``params``.

    What a model can do beyond E step and M step is declared by `EMModelBase`, from which a model
    derives, and is off there.
    """

    @property
    def monotone(self) -> bool:
        """Whether the bound never falls; if not, the engine does not check or accelerate."""

    @property
    def settled_after(self) -> int:
        """EM maps before which a model that is not monotone must not be stopped."""

    @property
    def at_once(self) -> bool:
        """Whether `several_maps` can make maps of rows that are one block."""

    @property
    def geometry(self) -> Callable[[Any, Params, Params], Geometry] | None:
        """Gradient and information at (statistics, params, new), for quasi-Newton, or None."""

    def expected_statistics(self, params: Params, rows: Rows) -> Any:
        """E step on one block of rows: its expected sufficient statistics."""

    def maximize(self, statistics: Any, params: Params) -> Params:
        """M step: the parameters that maximise the expected log-likelihood plus log prior.

        ``params`` are those at which the statistics were taken.
        """

    def bound(self, statistics: Any, params: Params) -> float:
        """The objective at ``params`` per unit of weight, log prior included; never falls."""

    def rounding(self, statistics: Any, params: Params) -> float:
        """An estimate of the rounding error of ``bound``, in its own unit."""

    def to_vector(self, params: Params) -> NDArray:
        """Unconstrained coordinates in which the accelerations extrapolate."""

    def from_vector(self, vector: NDArray, params: Params) -> Params:
        """Inverse of `to_vector`; ``params`` gives shapes."""

    def several_maps(self, params: Params, rows: Rows, n_maps: int) -> ManyMaps | None:
        """Up to n_maps plain EM maps of one block in one call, or None."""

    def refine(self, params: Params, new: Params | None) -> Params | None:
        """The same parameters in a form whose statistics are more precise, if ``new`` needs it."""

    def repair(self, state: EMState) -> Params | None:
        """Other parameters to go on from where something has collapsed, or None."""

    def ready(self, statistics: Any) -> bool:
        """Whether there are enough data for an M step (online EM)."""


class EMModelBase:
    """Defaults for what most models share: no prior, rounding of a well-conditioned sum.

    It also declares what a model can do beyond E step and M step, all of it off: a model that can
    do more overrides it.
    """

    geometry: ClassVar[Any] = None

    @property
    def monotone(self) -> bool:
        return True

    @property
    def settled_after(self) -> int:
        return 0

    @property
    def at_once(self) -> bool:
        return False

    def several_maps(self, params: Any, rows: Rows, n_maps: int) -> ManyMaps | None:
        return None

    def refine(self, params: Any, new: Any) -> Any:
        return None

    def repair(self, state: EMState) -> Any:
        return None

    def ready(self, statistics: Any) -> bool:
        return True

    def bound(self, statistics: Any, params: Any) -> float:
        return float(statistics.log_likelihood / statistics.weight)

    def rounding(self, statistics: Any, params: Any) -> float:
        return 64 * np.finfo(np.float64).eps * max(1.0, abs(self.bound(statistics, params)))


_DECLARED = (
    *("monotone", "settled_after", "at_once", "geometry"),
    *("several_maps", "refine", "repair", "ready"),
)


def check_declares(model: EMModel) -> None:
    """Refuse a model that does not say what it can do.

    Raises
    ------
    TypeError
        It says what is missing.
    """
    missing = [name for name in _DECLARED if not hasattr(model, name)]
    if missing:
        raise TypeError(
            f"{type(model).__name__} does not declare {', '.join(missing)}. Derive it from "
            "skem.em.EMModelBase, which has defaults for them."
        )


def add(a: S, b: S) -> S:
    """Statistics of two sets of rows together: numbers and arrays add, tuples concatenate."""
    fields = (None if x is None else x + y for x, y in zip(a, b, strict=True))
    return type(a)(*fields)  # type: ignore[arg-type]


def total(parts: Iterable[S], *, fresh: bool = False) -> S:
    """Statistics of all parts together, added in the order given.

    Parameters
    ----------
    parts : iterable of statistics
    fresh : bool, default=False
        Whether the arrays of the first are nobody else's, so that the others may be added to them.
    """
    iterator = iter(parts)
    try:
        first = next(iterator)
    except StopIteration:
        raise ValueError("No rows: there are no statistics to add.") from None
    sums = [x.copy() if isinstance(x, np.ndarray) and not fresh else x for x in first]
    for part in iterator:
        for i, x in enumerate(part):
            if isinstance(x, np.ndarray):
                sums[i] += x  # in place: the arrays may be large
            elif x is not None:
                sums[i] = sums[i] + x
    return type(first)(*sums)


def scale(statistics: S, factor: float) -> S:
    """Statistics as if every weight were multiplied by ``factor``; tuples stay as they are."""
    fields = (x if x is None or isinstance(x, tuple) else x * factor for x in statistics)
    return type(statistics)(*fields)  # type: ignore[arg-type]
