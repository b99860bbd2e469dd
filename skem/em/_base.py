"""The base class of models: what a model does unless it says otherwise."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from skem.em._model import EMModel, ManyMaps, Rows
from skem.em._state import EMState

_ROUNDING = 64
"""Rounding error of a bound, in eps of its size. Sums of 1e5 to 1e7 numbers of one sign are off by
less than 2 eps if they are added in panels of 256 and then in blocks, as kernels do, and by less
than 6 if each of 64 blocks is added row by row (measured); the rest is room for the terms."""


class EMModelBase:
    """Defaults for what most models share: no prior, rounding of a well-conditioned sum.

    It also declares what a model can do beyond E step and M step, all of it off: a model that can
    do more overrides it. `EMModel` says what each method is for.

    Examples
    --------
    Shares of two kinds of rows whose densities are known: the columns of X are p(x|z), and the only
    parameter is the share w of the first kind.

    >>> from typing import NamedTuple
    >>> import numpy as np
    >>> from skem.em import EMModelBase, EMRun, RowBlocks
    >>> class Statistics(NamedTuple):
    ...     log_likelihood: float
    ...     weight: float
    ...     first: float  # expected rows of the first kind
    >>> class Share(EMModelBase):
    ...     def expected_statistics(self, w, rows):
    ...         p_x_first = w * rows.X[:, 0]
    ...         p_x = p_x_first + (1 - w) * rows.X[:, 1]
    ...         return Statistics(np.log(p_x).sum(), len(p_x), (p_x_first / p_x).sum())
    ...
    ...     def maximize(self, statistics, w):
    ...         return statistics.first / statistics.weight
    >>> X = np.array([[0.9, 0.1]] * 6 + [[0.1, 0.9]] * 4)
    >>> with RowBlocks(X) as rows:
    ...     state = EMRun(Share(), rows, 0.5, tol=1e-9).run(max_iter=100)
    >>> round(float(state.params), 3)
    0.625
    """

    geometry: ClassVar[Any] = None

    @property
    def monotone(self) -> bool:
        """True: the bound never falls."""
        return True

    @property
    def settled_after(self) -> int:
        """Zero: there are no EM maps before which the model must not be stopped."""
        return 0

    @property
    def at_once(self) -> bool:
        """False: the model cannot make several EM maps in one call."""
        return False

    def several_maps(self, params: Any, rows: Rows, n_maps: int) -> ManyMaps | None:
        """Leave the EM maps to the engine.

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
        maps : None
            The engine makes the maps one by one.
        """
        return None

    def refine(self, params: Any, new: Any) -> Any:
        """Leave each EM map as it is.

        Parameters
        ----------
        params : Any
            The parameters that entered the EM map.
        new : Any
            What the M step made of them; None if it raised `DegenerateFitError`.

        Returns
        -------
        params : None
            The statistics are precise enough.
        """
        return None

    def repair(self, state: EMState) -> Any:
        """Repair nothing: a run whose M step fails is given up.

        Parameters
        ----------
        state : EMState
            The run after the M step.

        Returns
        -------
        params : None
            There are no other parameters to go on from.
        """
        return None

    def ready(self, statistics: Any) -> bool:
        """Allow an M step after each batch.

        Parameters
        ----------
        statistics : NamedTuple
            Running statistics of the batches so far.

        Returns
        -------
        ready : bool
            True.
        """
        return True

    def bound(self, statistics: Any, params: Any) -> float:
        """Mean log-likelihood; a model with a prior adds its logarithm.

        Parameters
        ----------
        statistics : NamedTuple
            Statistics of all rows, taken at ``params``.
        params : Any
            Parameters of the model.

        Returns
        -------
        bound : float
            ``log_likelihood / weight``, in nats per unit of weight.
        """
        return float(statistics.log_likelihood / statistics.weight)

    def rounding(self, statistics: Any, params: Any) -> float:
        """Rounding error of a bound that is a sum in float64 without cancellation.

        Parameters
        ----------
        statistics : NamedTuple
            Statistics of all rows, taken at ``params``.
        params : Any
            Parameters of the model.

        Returns
        -------
        error : float
            64 eps x max(1, size of the bound), in nats per unit of weight.
        """
        return _ROUNDING * np.finfo(np.float64).eps * max(1.0, abs(self.bound(statistics, params)))


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
