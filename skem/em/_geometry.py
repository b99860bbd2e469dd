"""EM maps and their geometry, as the engine shows them to an acceleration, and a check of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from numpy.typing import NDArray

from skem.em._state import GeometryError
from skem.em._stopping import STILL

_SEEN = 1e3
"""Rounding errors that a gain exceeds which no rounding explains."""
_AGAINST = 20
"""EM steps running that a gradient may point against: of long steps some do, of 2600 fits of data
with far rows at most two running."""


class Geometry(NamedTuple):
    """First and second order of the objective around a point, per unit of weight.

    A model's ``geometry(statistics, params, new)`` returns it, in the coordinates of the model's
    `to_vector`; p is their number. The EM step is ``solve(gradient)`` to first order.

    Parameters
    ----------
    gradient : ndarray of shape (p,)
        Gradient of the objective, in nats per unit of weight and of the coordinate. It is exact:
        by Fisher's identity it is that of the expected complete-data log-likelihood, which the E
        step and the M step give.
    solve : callable(ndarray of shape (p,)) -> ndarray of shape (p,)
        Multiplies a vector by the inverse of the complete-data information.

    Examples
    --------
    An objective -(4 x**2 + y**2) / 2 at (2, -1). Nothing is missing here, so the EM step leads to
    the maximum:

    >>> import numpy as np
    >>> from skem.em import Geometry
    >>> x, information = np.array([2.0, -1.0]), np.array([4.0, 1.0])
    >>> geometry = Geometry(-information * x, lambda q: q / information)
    >>> x + geometry.solve(geometry.gradient)
    array([0., 0.])
    """

    gradient: NDArray
    solve: Callable[[NDArray], NDArray]


class Map(NamedTuple):
    """One EM map: from ``x`` to ``image``, with the geometry at ``x`` where the model gives it."""

    x: NDArray  # (p,) in the coordinates of the model's `to_vector`
    image: NDArray  # (p,)
    geometry: Geometry | None


class Acceleration(Protocol):
    """What the engine needs of an acceleration."""

    def observe(self, em_map: Map) -> None:
        """Take in an accepted EM map."""

    def propose(self) -> NDArray | None:
        """Where to go on from the map just seen; None is the EM image."""

    def rejected(self) -> NDArray | None:
        """The proposal lowered the bound: another one, or None for the EM image."""

    @property
    def gap(self) -> float | None:
        """Own estimate of the distance to the limit, None if it has none."""


class GradientWatch:
    """Compares the gradients of a model's geometry with what its plain EM maps do."""

    def __init__(self, model_name: str):
        self._model_name = model_name
        self._last: float | None = None  # gradient x EM step of the map before
        self._n_against = 0  # plain maps running whose gradient pointed against the EM step

    def skip(self) -> None:
        """Of the map before nothing is known."""
        self._last = None

    def compare(self, size: float | None, gain: float | None, rounding: float) -> None:
        """Refuse a gradient that says the last map had no step to take, though it rose.

        Parameters
        ----------
        size : float or None
            Gradient x EM step of the map that begins here, None without a geometry.
        gain : float or None
            What the map before has added to the bound, in nats per unit of weight, None if that
            was not a plain map of a monotone model.
        rounding : float
            Rounding error of the bound, in the same unit.

        Raises
        ------
        GeometryError
            Also if gradients have pointed against many EM steps running.
        """
        last, self._last = self._last, size
        if gain is None or last is None or size is None:
            return
        against = self._n_against + 1 if size < -rounding else 0
        self._n_against = against
        if against > _AGAINST:
            what = f"has pointed against {against} EM steps running"
        elif abs(last) <= STILL * rounding and gain > _SEEN * rounding:
            what = f"said that an EM map had no step to take, which raised the bound by {gain:.3g}"
        else:
            return
        raise GeometryError(
            f"The geometry of {self._model_name} is wrong: its gradient {what}. "
            "skem.em.check_model tells more."
        )
