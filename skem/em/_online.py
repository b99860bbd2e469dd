"""Stepwise EM: running statistics, one M step a batch (Cappé and Moulines 2009)."""

from __future__ import annotations

import copy
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from skem.em._base import check_declares
from skem.em._model import EMModel
from skem.em._statistics import mix, scale

_MOST = 2.0**53
"""Seen rows count as at most so many batches: one more does not change a float of this size."""

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
        The model, which derives from `EMModelBase`. Its ``ready(statistics)`` says whether every
        component has seen enough data for an M step; until then statistics are only gathered
        (Liang and Klein 2009).
    params : Any
        The start.
    exponent : float, default=0.6
        Forgetting of older batches; 0.5 < exponent <= 1, and 1 forgets nothing.
    offset : float, default=2.0
        Added to the number of the batch, which weakens the first steps.
    average_from : int, default=10
        M step from which on the parameters are averaged, with equal weights.

    Attributes
    ----------
    current : Any
        Parameters after the last M step, at which the statistics of the next batch are to be taken.
    n_batches : int
        Number of batches, with those that `seed` counts as.
    weight : float
        Sum of the weights of all rows seen.

    Raises
    ------
    TypeError
        If the model does not declare what it can do.

    References
    ----------
    O. Cappé and E. Moulines (2009). "On-line expectation-maximization algorithm for latent data
    models." Journal of the Royal Statistical Society B 71, 593-613.

    P. Liang and D. Klein (2009). "Online EM for unsupervised models." Proceedings of NAACL HLT,
    611-619.

    Examples
    --------
    Half of the rows are normal with mean m and variance one, the others with mean -m:

    >>> from typing import NamedTuple
    >>> import numpy as np
    >>> from skem.em import EMModelBase, Rows, StepwiseEM
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
    ...
    ...     def to_vector(self, m):
    ...         return np.array([m])
    ...
    ...     def from_vector(self, vector, m):
    ...         return vector[0]
    >>> rng = np.random.default_rng(0)
    >>> model = TwoSides()
    >>> online = StepwiseEM(model, 0.5)
    >>> for start in range(0, 20_000, 100):
    ...     X = rng.normal(rng.choice([-2.0, 2.0], size=100), 1.0)[:, None]
    ...     batch = model.expected_statistics(online.current, Rows(start, X))
    ...     m = online.update(batch)
    >>> bool(abs(m - 2.0) < 0.05)
    True
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
        """Running statistics, scaled to the weight seen so far."""
        return scale(self._mean, self.weight)

    def seed(self, statistics: Any, batch_weight: float) -> None:
        """Begin with statistics that rows seen before have given, at `current`.

        They count as so many batches of ``batch_weight`` as they weigh; without weight they count
        for nothing.

        Parameters
        ----------
        statistics : NamedTuple
            Statistics of the rows seen before.
        batch_weight : float
            Sum of the weights of a typical batch, in the unit of ``statistics.weight``.
        """
        if statistics.weight > 0:
            self._mean = scale(statistics, 1 / statistics.weight)
            self.weight = statistics.weight
            self.n_batches = max(1, round(min(statistics.weight / batch_weight, _MOST)))

    def copy(self) -> StepwiseEM[M]:
        """Make a copy that can be updated without touching this one.

        Returns
        -------
        other : StepwiseEM
            It shares the model, the parameters and the arrays, which are replaced and not changed.
        """
        return copy.copy(self)

    def update(self, statistics: Any) -> Any:
        """Take in a batch: move the running statistics, and do an M step.

        Parameters
        ----------
        statistics : NamedTuple
            Statistics of all rows of the batch, taken at `current`.

        Returns
        -------
        params : Any
            The new `params`.

        Raises
        ------
        DegenerateFitError
            If the M step of the model does.
        """
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
