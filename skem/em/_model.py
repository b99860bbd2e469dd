"""What a model tells the engine.

A model is three pure functions::

    expected_statistics(params, rows)  -> statistics      E step on one block of rows
    maximize(statistics, params)       -> params          M step, with the model's priors
    to_vector(params), from_vector(v)                     unconstrained coordinates
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from numpy.typing import NDArray

from skem.em._geometry import Geometry
from skem.em._state import EMState

Params = TypeVar("Params")


@dataclass(frozen=True, slots=True)
class Rows:
    """A block of rows and all that belongs to them.

    Parameters
    ----------
    start : int
        Position of the first row of the block among all rows of its source.
    X : array or sparse matrix of shape (n_rows, n_features)
        The rows, as they were given to the source of rows.
    weight : ndarray of shape (n_rows,) or None, default=None
        Weight of each row; None is a weight of one.
    labels : ndarray of shape (n_rows,) or None, default=None
        Known component of each row, -1 where it is unknown; None where all are unknown.
    memo : dict, default={}
        What a model wants to keep with these rows from one E step to the next and that does
        not depend on the parameters (a scatter matrix, the pattern of missing values).

    Examples
    --------
    >>> import numpy as np
    >>> from skem.em import Rows
    >>> rows = Rows(0, np.array([[1.0, 2.0], [3.0, 4.0]]), weight=np.array([2.0, 1.0]))
    >>> rows.weight @ rows.X
    array([5., 8.])
    """

    start: int
    X: Any
    weight: NDArray | None = None
    labels: NDArray | None = None
    memo: dict = field(default_factory=dict)


class ManyMaps(NamedTuple):
    """Some EM maps that were made in one call: where they led, and one entry for each.

    Parameters
    ----------
    params : Any
        The parameters after the last map.
    bounds : list of float
        Bound at the parameters that entered each map, in nats per unit of weight.
    rounding : list of float
        Rounding error of each bound, in the same unit.
    sizes : list of float
        Squared length of each EM step in the metric of the complete-data information, gradient x
        step, in nats per unit of weight.

    Examples
    --------
    >>> from skem.em import ManyMaps
    >>> maps = ManyMaps(params=0.5, bounds=[-2.0, -1.5], rounding=[1e-14] * 2, sizes=[0.6, 0.2])
    >>> len(maps.bounds)
    2
    """

    params: Any
    bounds: list[float]
    rounding: list[float]
    sizes: list[float]


class EMModel(Protocol[Params]):
    """The protocol of a model that the engine can fit.

    ``params`` are whatever the model makes of them. ``statistics`` are a `NamedTuple` whose first
    two fields are ``log_likelihood``, the sum over the rows of weight x log p(row) (or of its lower
    bound) in nats, and ``weight``, the sum of the weights. Every field is a number or an array,
    which are summed over blocks of rows, or a tuple, which is concatenated in the order of the
    rows: in that way local parameters (one entry per row: p(z|d) of PLSA, the variational
    parameters of LDA) come back from the E step and become part of the next ``params``.

    What a model can do beyond E step and M step is declared by `EMModelBase`, from which a model
    derives, and is off there. No method may change the parameters that it is given.

    Examples
    --------
    What a model that derives from `EMModelBase` has to write itself, the last two only for
    accelerations and online EM:

    >>> from skem.em import EMModel, EMModelBase
    >>> for name in vars(EMModel):
    ...     if not name.startswith("_") and not hasattr(EMModelBase, name):
    ...         print(name)
    expected_statistics
    maximize
    to_vector
    from_vector
    """

    @property
    def monotone(self) -> bool:
        """Whether the bound never falls. If it may, a run ends when it hardly changes any more."""

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
        """E step on one block of rows: its expected sufficient statistics.

        It is called in several threads at once, for different blocks.

        Parameters
        ----------
        params : Any
            Parameters of the model.
        rows : Rows
            A block of rows.

        Returns
        -------
        statistics : NamedTuple
            Sums over the rows of the block.
        """

    def maximize(self, statistics: Any, params: Params) -> Params:
        """M step: the parameters that maximise the expected log-likelihood plus log prior.

        Parameters
        ----------
        statistics : NamedTuple
            Statistics of all rows.
        params : Any
            The parameters at which the statistics were taken.

        Returns
        -------
        new : Any
            New parameters.

        Raises
        ------
        DegenerateFitError
            If there is no finite maximum, such as in a component without rows.
        """

    def bound(self, statistics: Any, params: Params) -> float:
        """The objective at ``params``, log prior included; EM maps never lower it.

        Parameters
        ----------
        statistics : NamedTuple
            Statistics of all rows, taken at ``params``.
        params : Any
            Parameters of the model.

        Returns
        -------
        bound : float
            In nats per unit of weight.
        """

    def rounding(self, statistics: Any, params: Params) -> float:
        """An estimate of the rounding error of `bound`; the engine ignores smaller changes.

        Parameters
        ----------
        statistics : NamedTuple
            Statistics of all rows, taken at ``params``.
        params : Any
            Parameters of the model.

        Returns
        -------
        error : float
            In nats per unit of weight.
        """

    def to_vector(self, params: Params) -> NDArray:
        """Unconstrained coordinates in which the accelerations extrapolate.

        Parameters
        ----------
        params : Any
            Parameters of the model.

        Returns
        -------
        vector : ndarray of shape (p,)
            For instance log weights, means, and log-Cholesky factors of covariances.
        """

    def from_vector(self, vector: NDArray, params: Params) -> Params | None:
        """Inverse of `to_vector`.

        Parameters
        ----------
        vector : ndarray of shape (p,)
            Any finite coordinates.
        params : Any
            Other parameters of the model, which give the shapes.

        Returns
        -------
        params : Any
            None where there are no parameters that can be computed with, such as where a covariance
            overflows.
        """

    def several_maps(self, params: Params, rows: Rows, n_maps: int) -> ManyMaps | None:
        """Several plain EM maps in one call; the engine asks only where `at_once` is true.

        Parameters
        ----------
        params : Any
            The parameters to begin at.
        rows : Rows
            All rows, as one block.
        n_maps : int
            At most so many maps are made.

        Returns
        -------
        maps : ManyMaps or None
            At least one map, the same as the engine would make; None where it has to make the next
            one itself. Where there have been maps, fewer can be made from the same parameters.
        """

    def refine(self, params: Params, new: Params | None) -> Params | None:
        """The same parameters in a form whose statistics are more precise, if ``new`` needs it.

        Parameters
        ----------
        params : Any
            The parameters that entered the EM map.
        new : Any
            What the M step made of them; None if it raised `DegenerateFitError`.

        Returns
        -------
        params : Any
            Parameters at which E step and M step are repeated; None if the map is good as it is.
        """

    def repair(self, state: EMState) -> Params | None:
        """Other parameters to go on from where something has collapsed.

        Called after each M step, also when it raises `DegenerateFitError`.

        Parameters
        ----------
        state : EMState
            The run after the M step; its ``failure`` is the error of the M step, or None.

        Returns
        -------
        params : Any
            None if there is nothing to repair, or no way to.
        """

    def ready(self, statistics: Any) -> bool:
        """Whether there are enough data for an M step; asked by online EM.

        Parameters
        ----------
        statistics : NamedTuple
            Running statistics of the batches so far.

        Returns
        -------
        ready : bool
            If false, online EM only gathers statistics.
        """
