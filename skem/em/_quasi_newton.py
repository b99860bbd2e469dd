"""Quasi-Newton acceleration of EM, from the complete-data information."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from skem._numbers import NOT_ZERO
from skem.em._geometry import Geometry, Map

_FIRST_CAP = 4.0
"""Greatest length of the first proposals, in EM steps: the first cap of SQUAREM too."""
_LEAST_CAP = 2.0
"""The cap does not shrink below this length in EM steps, so a proposal may exceed the EM step."""
_CAP_FACTOR = 4
"""The cap is multiplied by this when it is reached, and divided when a proposal is undone, like
that of SQUAREM."""
_NEARER = 4
"""The second proposal is nearer to the EM image than the one undone, by this factor."""
_REACHED = 0.999
"""A step of this share of the cap was cut to it, or hardly longer without it."""
_MOST_REST = 16
"""At most so many plain EM maps after a failure; they double with each failure in a row."""
_MOST_STRETCH = 64.0
"""Greatest length, in EM steps, of a step where the objective is not concave. It doubles each
time, so it would overflow on a long plateau."""
_CURVED = 1e-8
"""Share of the slope along a step below which its curvature is rounding error (about the root of
that of float64)."""
_NO_SLOPE = 1e-9
"""Nats per unit of weight. Along a step with less slope, the sign of the curvature says nothing."""


class _Seen(NamedTuple):
    """The last EM map."""

    x: NDArray  # (p,)
    gradient: NDArray  # (p,) at x
    em_step: NDArray  # (p,) from x to the EM image
    newton: NDArray | None  # (p,) the step from x, None where there is no Newton step to trust


class _Proposal(NamedTuple):
    """A proposal: ``x + step``."""

    x: NDArray  # (p,)
    em_step: NDArray  # (p,)
    step: NDArray  # (p,)


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

    Attributes
    ----------
    gap : float or None
        Estimated distance from the last bound to its limit, in nats per unit of weight: half of
        gradient x Newton step. It is inf where there is no Newton step, and None before the first
        map.

    References
    ----------
    M. Jamshidian and R. I. Jennrich (1997). "Acceleration of the EM algorithm by using quasi-Newton
    methods." Journal of the Royal Statistical Society B 59, 569-587.

    Examples
    --------
    Estimators and `EMRun` choose an acceleration by its name:

    >>> from sklearn.datasets import load_iris
    >>> from skem import GaussianMixtureEM
    >>> X = load_iris().data
    >>> plain, fast = (
    ...     GaussianMixtureEM(2, acceleration=name, tol=1e-8, max_iter=1000, random_state=0).fit(X)
    ...     for name in (None, "quasi-newton")
    ... )
    >>> bool(abs(fast.lower_bound_ - plain.lower_bound_) < 1e-6)
    True
    """

    def __init__(self, memory: int = 10, onset: float = 1e-2):
        self._pairs: deque[tuple[NDArray, NDArray]] = deque(maxlen=memory)
        self._onset = onset
        self._rest = 0  # plain EM maps to take now
        self._penalty = 1  # ... and after the next failure
        self._cap = _FIRST_CAP
        self._stretch = 1.0
        self._last: _Seen | None = None
        self._proposed: _Proposal | None = None  # since the last map
        self._retried = False
        self.gap: float | None = None

    def observe(self, em_map: Map) -> None:
        """Take in an accepted EM map: learn from the change of the gradient, find the next step.

        Parameters
        ----------
        em_map : Map
            The map from ``x`` to ``image``, both of shape (p,), with the ``geometry`` at ``x``.

        Raises
        ------
        ValueError
            If the map has no geometry.
        """
        geometry = em_map.geometry
        if geometry is None:
            raise ValueError(
                "QuasiNewton needs EM maps with a geometry, got one without. Give the model a "
                "method `geometry`, or use Squarem."
            )
        x, gradient = em_map.x, geometry.gradient
        em_step = em_map.image - x
        length = float(gradient @ em_step)  # below zero only where the step is a long one
        if math.isfinite(self._onset) and not 0 <= length <= self._onset:
            self._last, self.gap = _Seen(x, gradient, em_step, None), math.inf
            return
        self._onset = math.inf
        concave = self._learn(x, geometry)
        newton = self._newton_step(geometry)
        gain = float(gradient @ newton)  # twice the gain that the quadratic model promises
        usable = concave and bool(self._pairs) and gain > 0
        self.gap = max(gain, length) / 2 if usable and length >= 0 else math.inf
        self._last = _Seen(x, gradient, em_step, newton if usable else None)
        self._proposed = None

    def propose(self) -> NDArray | None:
        """Propose the end of the Newton step, or of a lengthened EM step.

        Returns
        -------
        point : ndarray of shape (p,) or None
            None, which is the EM image, before the first map and before the onset, for some maps
            after a failure, and where the step is the EM step or not finite.
        """
        last = self._last
        if last is None or math.isfinite(self._onset):
            return None
        if self._rest:
            self._rest -= 1
            return None
        if last.newton is not None:
            step = last.newton
        elif self._stretch > 1:
            step = self._stretch * last.em_step
        else:
            return None
        if not np.isfinite(step).all():  # no information in some direction
            return None
        step = self._capped(step, last.em_step)
        self._proposed = _Proposal(last.x, last.em_step, step)
        return last.x + step

    def rejected(self) -> NDArray | None:
        """Try once nearer to the EM step; then forget, and take some EM steps.

        Returns
        -------
        point : ndarray of shape (p,) or None
            The second proposal, or None, which is the EM image, after that.

        Raises
        ------
        RuntimeError
            If nothing has been proposed since the last map.
        """
        if self._proposed is None:
            raise RuntimeError(
                "QuasiNewton.rejected was called without a proposal. Call it only after `propose` "
                "or `rejected` has returned a point."
            )
        x, em_step, step = self._proposed
        self._cap = max(_LEAST_CAP, min(self._cap, _ratio(step, em_step)) / _CAP_FACTOR)
        if not self._retried:
            self._retried = True
            return x + em_step + (step - em_step) / _NEARER
        self._proposed, self._retried, self._stretch = None, False, 1.0
        self._pairs.clear()
        self._rest, self._penalty = self._penalty, min(2 * self._penalty, _MOST_REST)
        return None

    def _learn(self, x: NDArray, geometry: Geometry) -> bool:
        """Take in the change of the gradient; return whether the objective is concave there.

        The information that is observed is the complete-data information less what is missing, so
        near the maximum y' I^-1 y <= s'y with the complete-data information I. Where a pair says
        otherwise, the objective was no quadratic along it, and the pair is left out.
        """
        if self._last is None:
            return True
        if self._proposed is not None:
            if not self._retried:
                _, em_step, step = self._proposed
                if _ratio(step, em_step) >= _REACHED * self._cap:
                    self._cap *= _CAP_FACTOR
            self._penalty = 1
        self._retried = False
        before = self._last.gradient
        s, y = x - self._last.x, before - geometry.gradient
        curvature, slope = float(s @ y), float(s @ before)
        with np.errstate(over="ignore", invalid="ignore"):
            expected = float(y @ geometry.solve(y))
        if curvature > _CURVED * abs(slope) and expected <= curvature:
            self._pairs.append((s, y))
        concave = curvature > 0 or slope <= _NO_SLOPE
        self._stretch = 1.0 if concave else min(2 * self._stretch, _MOST_STRETCH)
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

    def _capped(self, step: NDArray, em_step: NDArray) -> NDArray:
        ratio = _ratio(step, em_step)
        return step * (self._cap / ratio) if ratio > self._cap else step


def _ratio(step: NDArray, em_step: NDArray) -> float:
    """Length of a step against that of the EM step."""
    lengths = [float(scipy.linalg.norm(v, check_finite=False)) for v in (step, em_step)]
    return lengths[0] / max(lengths[1], NOT_ZERO)  # by BLAS, which does not overflow
