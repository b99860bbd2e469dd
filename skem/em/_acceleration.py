"""Accelerations of EM: each looks at pairs (x, EM(x)) and proposes where to go on.

An acceleration is an object with two methods, and knows neither the model nor the bound:

- ``propose(x, fx)``: given a point and its EM image, an extrapolated point, or None to go on
  from ``fx`` (a plain EM step);
- ``rejected()``: the engine tells that the last proposal lowered the bound and was undone.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Acceleration(Protocol):
    def propose(self, x: NDArray, fx: NDArray) -> NDArray | None: ...

    def rejected(self) -> None: ...


class Squarem:
    r"""SQUAREM, scheme S3 (Varadhan and Roland 2008, Scand. J. Stat. 35, eq. 12).

    With r = F(x) - x and v = F(F(x)) - F(x) - r, the proposal is x - 2 alpha r + alpha^2 v with
    alpha = -\|r\| / \|v\|, at most ``-1`` (which is the plain step) and not below ``-max_step``;
    the cap grows by 4 each time it is reached and shrinks when a proposal is undone. The EM map
    of the proposed point, which the engine takes in any case, is the stabilising step.
    """

    def __init__(self, max_step: float = 4.0, growth: float = 4.0):
        self.max_step = max_step
        self.growth = growth
        self._first: tuple[NDArray, NDArray] | None = None
        self._skip = False
        self._step = 1.0

    def propose(self, x: NDArray, fx: NDArray) -> NDArray | None:
        if self._skip:  # the stabilising EM step after an extrapolation
            self._skip = False
            return None
        if self._first is None:
            self._first = (x, fx)
            return None
        x0, x1 = self._first
        self._first = None
        r = x1 - x0
        v = fx - x1 - r
        v_norm = float(np.linalg.norm(v))
        if v_norm == 0.0:
            return None
        step = max(1.0, float(np.linalg.norm(r)) / v_norm)
        if step >= self.max_step:
            step = self.max_step
            self.max_step *= self.growth
        self._step = step
        if step == 1.0:
            return None
        self._skip = True
        return x0 + 2 * step * r + step**2 * v

    def rejected(self) -> None:
        self._skip = False
        self.max_step = max(4.0, min(self.max_step, self._step) / self.growth)


ACCELERATIONS: dict[str, type] = {"squarem": Squarem}


def make_acceleration(name: str | None) -> Acceleration | None:
    """A fresh acceleration by its name; None is plain EM."""
    return None if name is None else ACCELERATIONS[name]()
