"""Accelerations of EM: each sees where EM is and where it would go, and proposes to go elsewhere.

An acceleration knows neither the model nor the rows. The engine shows it each EM map as a `Map`,
takes what it proposes only if the bound does not fall, and tells it when that was not so.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import scipy.linalg
from numpy.typing import NDArray


class Geometry(NamedTuple):
    """First and second order of the objective around a point, per unit of weight.

    Attributes
    ----------
    gradient : ndarray of shape (p,)
        Of the objective in the model's coordinates, exact: by Fisher's identity it is that of the
        expected complete-data log-likelihood, which the E step and the M step give.
    solve : callable
        Multiplies a vector (p,) by the inverse of the complete-data information. The EM step is
        ``solve(gradient)`` to first order.
    """

    gradient: NDArray
    solve: Callable[[NDArray], NDArray]


class Map(NamedTuple):
    """One EM map: from ``x`` to ``image``, with the geometry at ``x`` where the model gives it."""

    x: NDArray
    image: NDArray
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


class Squarem:
    r"""SQUAREM, scheme S3 (Varadhan and Roland 2008, Scand. J. Stat. 35, eq. 12).

    With r = F(x) - x and v = F(F(x)) - F(x) - r, the proposal is x - 2 alpha r + alpha^2 v with
    alpha = -\|r\| / \|v\|, at most ``-1`` (which is the plain step) and not below ``-max_step``;
    the cap grows by 4 each time it is reached and shrinks when a proposal is undone. The EM map
    of the proposed point, which the engine takes in any case, is the stabilising step.
    """

    gap = None

    def __init__(self, max_step: float = 4.0, growth: float = 4.0):
        self.max_step = max_step
        self.growth = growth
        self._maps: list[Map] = []
        self._stabilise = False
        self._step = 1.0

    def observe(self, em_map: Map) -> None:
        if self._stabilise:  # the EM step after an extrapolation
            self._stabilise = False
        else:
            self._maps.append(em_map)

    def propose(self) -> NDArray | None:
        if len(self._maps) < 2:
            return None
        first, second = self._maps
        self._maps = []
        x = first.x
        r = first.image - x
        v = second.image - first.image - r
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
        self._stabilise = True
        return x + 2 * step * r + step**2 * v

    def rejected(self) -> NDArray | None:
        self._stabilise = False
        self.max_step = max(4.0, min(self.max_step, self._step) / self.growth)
        return None


class QuasiNewton:
    """L-BFGS that begins with the complete-data information (Jamshidian and Jennrich 1997, QN2).

    The inverse complete-data information is the first inverse Hessian, so with an empty memory the
    step is the EM step, and the memory then approximates the effect of the missing information.
    Needs a model with ``geometry``.

    Where the objective is not concave along the last step there is no Newton step; the EM step is
    then lengthened, twice as far each time. Steps are capped in proportion to the EM step.

    Parameters
    ----------
    memory : int, default=10
        Pairs of steps and changes of the gradient.
    onset : float, default=1e-2
        Proposals begin when gradient x EM step is at most this, in nats per unit of weight. Before
        that, plain EM determines which maximum is approached.
    """

    def __init__(self, memory: int = 10, onset: float = 1e-2):
        self._pairs: deque[tuple[NDArray, NDArray]] = deque(maxlen=memory)
        self._onset = onset
        self._rest = 0  # plain EM maps to take now
        self._penalty = 1  # ... and after the next failure
        self._cap = 4.0
        self._stretch = 1.0
        self._last: tuple[NDArray, NDArray] | None = None  # point and gradient of the last map
        self._em_step = np.empty(0)
        self._newton: NDArray | None = None  # None where the objective is not concave
        self._proposed: tuple[NDArray, NDArray, NDArray] | None = None  # x, EM step, step
        self._retried = False
        self.gap: float | None = None

    def observe(self, em_map: Map) -> None:
        geometry = em_map.geometry
        assert geometry is not None
        gradient = geometry.gradient
        self._em_step = em_map.image - em_map.x
        length = float(gradient @ self._em_step)  # below zero only where the step is a long one
        if math.isfinite(self._onset) and not 0 <= length <= self._onset:
            self._last, self.gap = (em_map.x, gradient), math.inf
            return
        self._onset = math.inf
        concave = self._learn(em_map.x, geometry)
        newton = self._newton_step(geometry)
        gain = float(gradient @ newton)  # twice the gain that the quadratic model promises
        usable = concave and bool(self._pairs) and gain > 0
        self._newton = newton if usable else None
        self.gap = max(gain, length) / 2 if usable and length >= 0 else math.inf
        self._last = (em_map.x, gradient)
        self._proposed = None

    def propose(self) -> NDArray | None:
        assert self._last is not None
        if math.isfinite(self._onset):
            return None
        if self._rest:
            self._rest -= 1
            return None
        if self._newton is not None:
            direction = self._newton
        elif self._stretch > 1:
            direction = self._stretch * self._em_step
        else:
            return None
        if not np.isfinite(direction).all():  # no information in some direction
            return None
        direction = self._capped(direction, self._em_step)
        x = self._last[0]
        self._proposed = (x, self._em_step, direction)
        return x + direction

    def rejected(self) -> NDArray | None:
        """Try once nearer to the EM step; then forget, and take some EM steps."""
        assert self._proposed is not None
        x, step, direction = self._proposed
        self._cap = max(2.0, min(self._cap, _ratio(direction, step)) / 4)
        if not self._retried:
            self._retried = True
            return x + step + (direction - step) / 4
        self._proposed, self._retried, self._stretch = None, False, 1.0
        self._pairs.clear()
        self._rest, self._penalty = self._penalty, min(2 * self._penalty, 16)
        return None

    def _learn(self, x: NDArray, geometry: Geometry) -> bool:
        """Take in the change of the gradient; return whether the objective is concave there.

        The information that is observed is the complete-data information less what is missing, so
        near the maximum y' I^-1 y <= s'y with the complete-data information I. Where a pair says
        otherwise, the objective was no quadratic along it, and the pair is left out.
        """
        if self._last is None:
            return True
        if self._proposed is not None and not self._retried:
            _, step, direction = self._proposed
            if _ratio(direction, step) >= 0.999 * self._cap:
                self._cap *= 4
        if self._proposed is not None:
            self._penalty = 1
        self._retried = False
        s, y = x - self._last[0], self._last[1] - geometry.gradient
        curvature, slope = float(s @ y), float(s @ self._last[1])
        with np.errstate(over="ignore", invalid="ignore"):
            expected = float(y @ geometry.solve(y))
        if curvature > 1e-8 * abs(slope) and expected <= curvature:
            self._pairs.append((s, y))
        concave = curvature > 0 or slope <= 1e-9
        self._stretch = 1.0 if concave else min(2 * self._stretch, 64.0)
        return concave

    def _newton_step(self, geometry: Geometry) -> NDArray:
        """The two-loop recursion (Nocedal 1980)."""
        q = geometry.gradient.copy()
        weights = []
        for s, y in reversed(self._pairs):
            weights.append(float(s @ q) / float(s @ y))
            q -= weights[-1] * y
        with np.errstate(over="ignore", invalid="ignore"):  # see `propose`
            step = geometry.solve(q)
            for (s, y), weight in zip(self._pairs, reversed(weights), strict=True):
                step = step + s * (weight - float(y @ step) / float(s @ y))
        return step

    def _capped(self, direction: NDArray, step: NDArray) -> NDArray:
        ratio = _ratio(direction, step)
        return direction * (self._cap / ratio) if ratio > self._cap else direction


def _ratio(direction: NDArray, step: NDArray) -> float:
    """Length of a step against that of the EM step."""
    lengths = [float(scipy.linalg.norm(v, check_finite=False)) for v in (direction, step)]
    return lengths[0] / max(lengths[1], 1e-300)  # by BLAS, which does not overflow


class Extrapolation:
    r"""EM with a momentum that grows while the bound rises (after Ang and Gillis 2019, alg. 3).

    The proposal is F(x) + beta (F(x) - F(x')), with F(x') the EM image before this one. After each
    step that the bound accepts, beta grows, up to a ceiling that grows more slowly; after one that
    it does not, beta shrinks, the ceiling is put there, and EM goes on without momentum. It needs
    no more memory than two points, and suits models of very many parameters.
    """

    gap = None

    def __init__(
        self,
        start: float = 0.5,
        growth: float = 1.1,
        ceiling_growth: float = 1.05,
        shrink: float = 1.5,
        largest: float = 2.0,
    ):
        self.beta, self.ceiling, self.largest = start, 1.0, largest
        self.growth, self.ceiling_growth, self.shrink = growth, ceiling_growth, shrink
        self._images: deque[NDArray] = deque(maxlen=2)
        self._proposed = False

    def observe(self, em_map: Map) -> None:
        self._images.append(em_map.image)
        if self._proposed:
            self.ceiling = min(self.largest, self.ceiling_growth * self.ceiling)
            self.beta = min(self.ceiling, self.growth * self.beta)
        self._proposed = False

    def propose(self) -> NDArray | None:
        if len(self._images) < 2:
            return None
        before, image = self._images
        self._proposed = True
        return image + self.beta * (image - before)

    def rejected(self) -> NDArray | None:
        self._proposed = False
        self.ceiling = self.beta
        self.beta /= self.shrink
        self._images.popleft()
        return None


ACCELERATIONS: dict[str, type] = {
    "extrapolation": Extrapolation,
    "quasi-newton": QuasiNewton,
    "squarem": Squarem,
}


def make_acceleration(name: str | None) -> Acceleration | None:
    """A fresh acceleration by its name; None is plain EM."""
    return None if name is None else ACCELERATIONS[name]()
