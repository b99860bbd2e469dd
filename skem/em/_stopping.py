"""How far is the bound from its limit? An estimate from what EM has passed.

Near its limit EM converges linearly: the gains of the bound shrink by a factor c < 1 a step, so
the gains still to come add up to ``gain * c / (1 - c)`` (Aitken; Böhning, Dietz, Schaub,
Schlattmann and Lindsay 1994, eq. 5). The last gain alone says little: with c = 0.99 the limit is
99 times as far away as the last step was long. The squared length of the EM step in the metric of
the complete-data information shrinks by the same factor, and is seen even after one map.

Where many slow directions end one after another, the factor creeps towards one, and what the last
maps show is too little, for topic models by orders of magnitude. The same estimate from windows
that grow with the run sees that: the bounds after n s**2, n s and n maps, s < 1, give the gap
exactly if it is a power of n, and more than the gap if it is geometric. It needs no two plain maps
running, so an acceleration does not disturb it. The largest estimate counts. A plateau, whose end
nothing announces, is beyond all of them.
"""

from __future__ import annotations

import itertools
import math
from collections import deque

HISTORY = 5
"""Maps whose rates are looked back on: the slowest of them counts."""
MIN_RATES = 3
"""Maps that must have shown a rate before any estimate: the first steps of a start say little."""

WINDOWS = (0.7, 0.9)
"""Windows of a run of n maps: from this share of n on, and from this share of the share to there.
Long ones see slow directions, short ones see that a run has slowed down."""
SHORTEST_WINDOW = 3
"""Maps in a window, at least: a cycle of SQUAREM, whose maps gain unequally."""

DRIFT = 10
"""Maps whose changes tell how far an objective without bound still moves."""

STILL = 1e-3
"""A squared EM step below this share of the rounding error of the bound is none."""


class GapEstimator:
    """Estimates the distance from the current bound to the limit of the bound.

    Bounds are fed in the order of the iterations. The estimate is the larger of two. The first
    needs rates: ratios of two gains (or squared lengths of EM steps) of consecutive EM maps. After
    an extrapolated step that sequence begins anew, but rates that have been seen stay in the
    memory, because an extrapolation removes the slow direction from the next gains without making
    it any faster. The second compares the gains over windows, some tenths of all maps so far.

    Attributes
    ----------
    gap : float
        The last estimate, in the unit of the bounds; inf as long as there is none, and where the
        gains do not shrink. After a burst of gains it stays too large for up to four tenths as
        many maps as led up to it: it errs on the safe side.

    References
    ----------
    D. Böhning, E. Dietz, R. Schaub, P. Schlattmann and B. G. Lindsay (1994). "The distribution of
    the likelihood ratio for mixtures of densities from the one-parameter exponential family."
    Annals of the Institute of Statistical Mathematics 46, 373-388.

    Examples
    --------
    Bounds that approach 0, each gain half of the one before. The last one is -1/32:

    >>> from skem.em import GapEstimator
    >>> estimator = GapEstimator()
    >>> for n in range(6):
    ...     gap = estimator.update(-(0.5**n), plain=True, rounding=1e-15)
    >>> gap
    0.03125
    """

    def __init__(self) -> None:
        self.gap = math.inf
        self._bounds: list[float] = []
        self._bound: float | None = None
        self._gain: float | None = None
        self._size: float | None = None
        self._rates: deque[float] = deque(maxlen=HISTORY)

    def update(
        self, bound: float, *, plain: bool, rounding: float, size: float | None = None
    ) -> float:
        """Take in a new bound; return the estimated distance from it to the limit.

        Parameters
        ----------
        bound : float
            The bound now, in nats per unit of weight.
        plain : bool
            Whether one EM map led from the previous bound to this one.
        rounding : float
            Rounding error of the bounds, in their unit: a gain below it is not seen.
        size : float, default=None
            Squared length of the EM step that leads on from here, gradient x step. Below zero it
            is none: the step is a long one.

        Returns
        -------
        gap : float
            Estimated distance to the limit, in nats per unit of weight, >= 0; inf as long as there
            is no estimate.
        """
        gain = None if self._bound is None or not plain else bound - self._bound
        self._bounds.append(bound)
        long = size is not None and size < -STILL * rounding
        if long:  # gradient x step is a squared length of short steps alone
            size = None
        if size is not None and size <= STILL * rounding:
            self.gap = max(size, 0.0)  # no step is left to take
        elif size is None and not long and gain is not None and gain <= rounding:
            self.gap = max(gain, 0.0)  # EM stands still only where it has arrived
        else:
            estimates = self._from_windows(rounding)
            if gain is not None:
                estimates += self._from_rates(gain, size, rounding)
            self.gap = max(estimates, default=math.inf)
        self._bound, self._gain, self._size = bound, gain, size
        return self.gap

    def _from_rates(self, gain: float, size: float | None, rounding: float) -> list[float]:
        """Of a plain map: its gain, and the slowest rate of late; none while too few are known."""
        seen = gain > rounding
        rates = []
        if seen and self._gain is not None and self._gain > rounding:
            rates.append(gain / self._gain)
        if size is not None and self._size:
            rates.append(size / self._size)
        if rates:
            self._rates.append(max(rates))
        if len(self._rates) < MIN_RATES:
            return []
        return [_remainder(gain if seen or size is None else size, max(self._rates))]

    def _from_windows(self, rounding: float) -> list[float]:
        """The same of gains over shares of the run; none while it is too short."""
        n = len(self._bounds)
        gaps = []
        for share in WINDOWS:
            if n * (1 - share) < SHORTEST_WINDOW:
                continue
            late, early = self._at(n * share), self._at(n * share * share)
            gain, before = self._bounds[-1] - late, late - early
            if gain >= before > 0:  # as in a run that began near its limit
                before = late - self._at(n * (2 * share - 1))  # of the same length
            gaps.append(_remainder(gain, gain / before) if gain > rounding and before > 0 else 0.0)
        return gaps

    def _at(self, n: float) -> float:
        """The bound after n maps, between whole numbers on a line."""
        whole = int(n)
        low, high = self._bounds[whole - 1], self._bounds[whole]
        return low + (n - whole) * (high - low)


def _remainder(gain: float, rate: float) -> float:
    """The gains still to come after one, if each is ``rate`` times the one before."""
    return gain * rate / (1 - rate) if rate < 1 else math.inf


class DriftEstimator:
    """In place of `GapEstimator` where there is no bound: how far the objective still moves.

    The mean size of its last `DRIFT` changes, over as many more of them. A model that changes its
    rules on the way (that begins to learn its priors) says for how many maps it is not settled.
    """

    def __init__(self, settled: int) -> None:
        self.gap = math.inf
        self._settled = settled
        self._values: deque[float] = deque(maxlen=DRIFT + 1)

    def update(
        self, bound: float, *, plain: bool, rounding: float, size: float | None = None
    ) -> float:
        """Take in the objective after a map; return the estimate, inf while there is none."""
        self._values.append(bound)
        self._settled -= 1
        values = list(self._values)
        if len(values) > DRIFT and self._settled < 0:
            self.gap = sum(abs(b - a) for a, b in itertools.pairwise(values))
        return self.gap
