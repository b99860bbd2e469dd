"""Stepwise EM: running statistics, one M step a batch (Cappé and Moulines 2009)."""

from __future__ import annotations

import copy
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from skem.em._model import EMModel, check_declares, scale

# Batches, of those that a fit counts as, beside which a new one weighs next to nothing.
_MOST = 2.0**53


M = TypeVar("M", bound=EMModel)


class StepwiseEM(Generic[M]):
    r"""Online EM on batches of rows.

    The statistics of batch t, per unit of weight, enter a running mean,
    s <- (1 - gamma_t) s + gamma_t s_t with gamma_t = (t + offset)^-exponent, and each batch is
    followed by one M step on the running mean. The parameters are averaged over the batches
    (Polyak and Ruppert), in the model's unconstrained coordinates, which makes the result
    insensitive to the choice of the exponent.

    Parameters
    ----------
    model : EMModel
        Its ``ready(statistics)`` says whether every component has seen enough
        data for an M step; until then statistics are only gathered (Liang and Klein 2009).
    params : Any
        The start.
    exponent : float, default=0.6
        Forgetting of older batches; 0.5 < exponent <= 1, and 1 forgets nothing.
    offset : float, default=2.0
        Weakens the first steps.
    average_from : int, default=10
        Batch from which on the parameters are averaged.

    Attributes
    ----------
    statistics : Any
        Running statistics, scaled to the weight seen so far.
    n_batches : int
    weight : float
        Sum of the weights of all rows seen.
    """

    def __init__(
        self,
        model: M,
        params: Any,
        *,
        exponent: float = 0.6,
        offset: float = 2.0,
        average_from: int = 10,
    ):
        check_declares(model)
        self.model = model
        self.current = params
        self.exponent = exponent
        self.offset = offset
        self.average_from = average_from
        self.n_batches = 0
        self.weight = 0.0
        self._mean: Any = None
        self._average: NDArray | None = None
        self._n_averaged = 0
        self._n_updates = 0

    @property
    def params(self) -> Any:
        """The averaged parameters, or the current ones while there is no average."""
        if self._average is None:
            return self.current
        return self.model.from_vector(self._average, self.current)

    @property
    def statistics(self) -> Any:
        return scale(self._mean, self.weight)

    def seed(self, statistics: Any, batch_weight: float) -> None:
        """Begin with statistics that rows seen before have given, at `current`.

        They count as so many batches of ``batch_weight`` as they weigh; without weight they count
        for nothing.
        """
        if statistics.weight > 0:
            self._mean = scale(statistics, 1 / statistics.weight)
            self.weight = statistics.weight
            self.n_batches = max(1, round(min(statistics.weight / batch_weight, _MOST)))

    def copy(self) -> StepwiseEM[M]:
        """A copy that can be updated without touching this one."""
        return copy.copy(self)

    def update(self, statistics: Any) -> Any:
        """Take in the statistics of a batch, computed at `current`; return the new `params`."""
        batch = scale(statistics, 1 / statistics.weight)
        step = 1.0 if self._mean is None else (self.n_batches + self.offset) ** -self.exponent
        self._mean = batch if self._mean is None else mix(self._mean, batch, step)
        self.n_batches += 1
        self.weight += statistics.weight
        if self.model.ready(self.statistics):
            self.current = self.model.maximize(self.statistics, self.current)
            self._n_updates += 1
            if self._n_updates >= self.average_from:
                vector = self.model.to_vector(self.current)
                self._n_averaged += 1
                old = vector if self._average is None else self._average
                self._average = old + (vector - old) / self._n_averaged
        return self.params


def mix(old: Any, new: Any, step: float) -> Any:
    """(1 - step) old + step new, field by field; tuples (local parameters) are the new ones."""
    return type(old)(
        *(
            y if y is None or isinstance(y, tuple) else (1 - step) * x + step * y
            for x, y in zip(old, new, strict=True)
        )
    )
