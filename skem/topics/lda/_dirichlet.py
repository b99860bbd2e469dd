"""Parameters of a Dirichlet distribution from expected logarithms (Minka 2000, sec. 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, zeta

SMALLEST, LARGEST = 1e-4, 1e3
"""Range of learned parameters, unless they start outside: beyond it, documents hardly differ from
those of one topic, or from those of all topics alike."""

_STEPS = 20
"""Maximum number of steps of the fixed point. Each raises the likelihood, so any number of them is
an M step."""

_SETTLED = 1e-8
"""Relative change of the parameters after which further steps are not needed."""

_BRANCH, _NEWTON_STEPS = -2.22, 5
"""Where the first guess changes, and how many Newton steps give 14 digits (Minka 2000, app. C)."""

_LARGEST_EXPONENT = 700.0
"""Of exp, for the branch that is not taken: it overflows above 709."""


def inverse_digamma(y: NDArray) -> NDArray:
    """X with digamma(x) = y, by Newton's method (Minka 2000, appendix C)."""
    y = np.asarray(y, dtype=np.float64)
    large = np.exp(np.minimum(y, _LARGEST_EXPONENT)) + 0.5
    x = np.where(y >= _BRANCH, large, -1 / (y - digamma(1.0)))
    for _ in range(_NEWTON_STEPS):
        x = x - (digamma(x) - y) / zeta(2.0, x)  # which is trigamma
    return x


def fit_dirichlet(mean_log: NDArray, alpha: NDArray) -> NDArray:
    """Steps from ``alpha`` towards the most likely parameters, given means of log theta (k,).

    digamma(alpha_z) = digamma(sum of alpha) + mean_log_z; the likelihood never falls.
    """
    low, high = np.minimum(SMALLEST, alpha), np.maximum(LARGEST, alpha)
    for _ in range(_STEPS):
        new = np.clip(inverse_digamma(digamma(alpha.sum()) + mean_log), low, high)
        if (abs(new - alpha) <= _SETTLED * alpha).all():
            break
        alpha = new
    return alpha


def fit_symmetric(mean_log: float, eta: float, p: int) -> float:
    """The same for p equal parameters, given the mean of all expected logarithms."""
    low, high = min(SMALLEST, eta), max(LARGEST, eta)
    for _ in range(_STEPS):
        value = inverse_digamma(np.array(digamma(p * eta) + mean_log))
        new = float(np.clip(value, low, high))
        if abs(new - eta) <= _SETTLED * eta:
            break
        eta = new
    return eta
