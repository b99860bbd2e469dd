"""Accelerations of EM: each sees where EM is and where it would go, and proposes to go elsewhere.

An acceleration knows neither the model nor the rows. The engine shows it each EM map as a `Map`,
takes what it proposes only if the bound does not fall, and tells it when that was not so.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from skem.em._geometry import Acceleration, Map
from skem.em._quasi_newton import QuasiNewton

_LEAST_MAX_STEP = 4.0
"""The cap on SQUAREM's steps does not shrink below this; `mstep` of the R package SQUAREM."""

_FIRST_CEILING = 1.0
"""Ceiling of the momentum at first, as in Ang and Gillis (2019): no more than the last step."""


class Squarem:
    r"""SQUAREM, scheme S3 (Varadhan and Roland 2008, Scand. J. Stat. 35, eq. 12).

    With r = F(x) - x and v = F(F(x)) - F(x) - r, the proposal is x - 2 alpha r + alpha^2 v with
    alpha = -\|r\| / \|v\|, at most ``-1`` (which is the plain step) and not below ``-max_step``;
    the cap grows by 4 each time it is reached and shrinks when a proposal is undone. The EM map
    of the proposed point, which the engine takes in any case, is the stabilising step.

    Parameters
    ----------
    max_step : float, default=4.0
        The first cap on -alpha.
    growth : float, default=4.0
        The cap is multiplied by this when it is reached, and divided when a proposal is undone.

    Attributes
    ----------
    gap : None
        SQUAREM has no estimate of the distance to the limit of its own.

    References
    ----------
    R. Varadhan and C. Roland (2008). "Simple and globally convergent methods for accelerating the
    convergence of any EM algorithm." Scandinavian Journal of Statistics 35, 335-353.

    Examples
    --------
    Estimators and `EMRun` choose an acceleration by its name:

    >>> from sklearn.datasets import load_iris
    >>> from skem import GaussianMixtureEM
    >>> X = load_iris().data
    >>> plain, fast = (
    ...     GaussianMixtureEM(2, acceleration=name, tol=1e-8, max_iter=1000, random_state=0).fit(X)
    ...     for name in (None, "squarem")
    ... )
    >>> bool(abs(fast.lower_bound_ - plain.lower_bound_) < 1e-6)
    True
    """

    gap = None

    def __init__(self, max_step: float = 4.0, growth: float = 4.0):
        self.max_step = max_step
        self.growth = growth
        self._maps: list[Map] = []
        self._stabilise = False
        self._step = 1.0

    def observe(self, em_map: Map) -> None:
        """Take in an accepted EM map; the one after a proposal is the stabilising step.

        Parameters
        ----------
        em_map : Map
            The map from ``x`` to ``image``, both of shape (p,).
        """
        if self._stabilise:  # the EM step after an extrapolation
            self._stabilise = False
        else:
            self._maps.append(em_map)

    def propose(self) -> NDArray | None:
        """Propose to extrapolate the last two EM maps.

        Returns
        -------
        point : ndarray of shape (p,) or None
            None, which is the EM image, until two maps have been seen since the last proposal, and
            where the step is the plain one.
        """
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
        """Lower the cap, since the proposal has lowered the bound.

        Returns
        -------
        point : None
            EM goes on from the EM image.
        """
        self._stabilise = False
        self.max_step = max(_LEAST_MAX_STEP, min(self.max_step, self._step) / self.growth)
        return None


class Extrapolation:
    r"""EM with a momentum that grows while the bound rises (after Ang and Gillis 2019, alg. 3).

    The proposal is F(x) + beta (F(x) - F(x')), with F(x') the EM image before this one. After each
    step that the bound accepts, beta grows, up to a ceiling that grows more slowly; after one that
    it does not, beta shrinks, the ceiling is put there, and EM goes on without momentum. It needs
    no more memory than two points, and suits models of very many parameters.

    Parameters
    ----------
    start : float, default=0.5
        The first beta.
    growth : float, default=1.1
        Factor of beta after a step that the bound accepts.
    ceiling_growth : float, default=1.05
        Factor of the ceiling after such a step.
    shrink : float, default=1.5
        Divisor of beta after a step that was undone.
    largest : float, default=2.0
        The ceiling, which is 1 at first, does not grow beyond this.

    Attributes
    ----------
    beta : float
        Momentum of the next proposal.
    ceiling : float
        Largest beta at present.
    gap : None
        It has no estimate of the distance to the limit of its own.

    References
    ----------
    A. M. S. Ang and N. Gillis (2019). "Accelerating nonnegative matrix factorization algorithms
    using extrapolation." Neural Computation 31, 417-439.

    Examples
    --------
    Estimators and `EMRun` choose an acceleration by its name:

    >>> from sklearn.datasets import load_iris
    >>> from skem import GaussianMixtureEM
    >>> X = load_iris().data
    >>> plain, fast = (
    ...     GaussianMixtureEM(2, acceleration=name, tol=1e-8, max_iter=1000, random_state=0).fit(X)
    ...     for name in (None, "extrapolation")
    ... )
    >>> bool(abs(fast.lower_bound_ - plain.lower_bound_) < 1e-6)
    True
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
        self.beta, self.ceiling, self.largest = start, _FIRST_CEILING, largest
        self.growth, self.ceiling_growth, self.shrink = growth, ceiling_growth, shrink
        self._images: deque[NDArray] = deque(maxlen=2)
        self._proposed = False

    def observe(self, em_map: Map) -> None:
        """Take in an accepted EM map; one that began at a proposal raises beta and its ceiling.

        Parameters
        ----------
        em_map : Map
            The map from ``x`` to ``image``, both of shape (p,).
        """
        self._images.append(em_map.image)
        if self._proposed:
            self.ceiling = min(self.largest, self.ceiling_growth * self.ceiling)
            self.beta = min(self.ceiling, self.growth * self.beta)
        self._proposed = False

    def propose(self) -> NDArray | None:
        """Propose to go beyond the EM image, by beta times its change.

        Returns
        -------
        point : ndarray of shape (p,) or None
            None, which is the EM image, until two maps have been seen.
        """
        if len(self._images) < 2:
            return None
        before, image = self._images
        self._proposed = True
        return image + self.beta * (image - before)

    def rejected(self) -> NDArray | None:
        """Shrink beta, and put the ceiling at the beta that has lowered the bound.

        Returns
        -------
        point : None
            EM goes on from the EM image, without momentum.
        """
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
"""The accelerations by their names."""


def make_acceleration(name: str | None) -> Acceleration | None:
    """Make a fresh acceleration, for one run, by its name.

    Parameters
    ----------
    name : str or None
        A key of `ACCELERATIONS`; None is plain EM.

    Returns
    -------
    acceleration : Acceleration or None
        None for plain EM.

    Raises
    ------
    KeyError
        If there is no acceleration of that name.

    Examples
    --------
    >>> from skem.em import make_acceleration
    >>> make_acceleration("squarem").max_step
    4.0
    """
    return None if name is None else ACCELERATIONS[name]()
