"""How far is the bound from its limit? An estimate from the bounds that EM has passed.

Near its limit EM converges linearly: the gains of the bound shrink by a factor a < 1 a step, so
the gains still to come add up to ``gain * a / (1 - a)`` (Aitken; Böhning, Dietz, Schaub,
Schlattmann and Lindsay 1994, eq. 5). The last gain alone says little: with a = 0.99 the limit is
99 times as far away as the last step was long.
"""

from __future__ import annotations

import math
from collections import deque

HISTORY = 3
"""Estimated rates that are looked back on: the slowest of them counts."""


class GapEstimator:
    """Estimates the distance from the current bound to the limit of the bound.

    Bounds are fed in the order of the iterations. An estimate needs two gains of consecutive EM
    maps; after an extrapolated step the sequence of gains begins anew, but rates that have been
    seen stay in the memory, because an extrapolation removes the slow direction from the next
    gains without making it any faster.
    """

    def __init__(self) -> None:
        self.gap = math.inf
        self._last: float | None = None
        self._last_gain: float | None = None
        self._rates: deque[float] = deque(maxlen=HISTORY)

    def update(self, bound: float, *, plain: bool, rounding: float) -> float:
        """Take in a new bound; return the estimated distance from it to the limit.

        Parameters
        ----------
        bound : float
            The bound now, per unit of weight.
        plain : bool
            Whether one EM map led from the previous bound to this one.
        rounding : float
            Rounding error of the bounds: a gain below it counts as none.

        Returns
        -------
        gap : float
            Estimated distance to the limit, >= 0; inf as long as there is no estimate.
        """
        if self._last is not None:
            gain = bound - self._last
            if not plain:
                self._last_gain = None
                self.gap = math.inf
            elif gain <= rounding:  # EM stands still only where it has arrived
                self._last_gain = None
                self.gap = max(gain, 0.0)
            else:
                if self._last_gain is not None:
                    self._rates.append(gain / self._last_gain)
                self._last_gain = gain
                rate = max(self._rates, default=math.inf)
                self.gap = gain * rate / (1 - rate) if rate < 1 else math.inf
        self._last = bound
        return self.gap
