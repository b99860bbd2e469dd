"""Parameters of a Dirichlet distribution from expected logarithms (Minka 2000, sec. 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, zeta

# Steps of the fixed point; each raises the likelihood, so any number of them is an M step.
_STEPS = 20
# Parameters stay within these, or where they are.
SMALLEST, LARGEST = 1e-4, 1e3


def inverse_digamma(y: NDArray) -> NDArray:
    """X with digamma(x) = y, by Newton's method (Minka 2000, appendix C)."""
    y = np.asarray(y, dtype=np.float64)
    x = np.where(y >= -2.22, np.exp(np.minimum(y, 700.0)) + 0.5, -1 / (y - digamma(1.0)))
    for _ in range(5):
        x = x - (digamma(x) - y) / zeta(2.0, x)  # which is trigamma
    return x


def fit_dirichlet(mean_log: NDArray, alpha: NDArray) -> NDArray:
    """Steps from ``alpha`` towards the likeliest parameters, given the means of log theta (k,).

    digamma(alpha_z) = digamma(sum of alpha) + mean_log_z; the likelihood never falls.
    """
    low, high = np.minimum(SMALLEST, alpha), np.maximum(LARGEST, alpha)
    for _ in range(_STEPS):
        new = np.clip(inverse_digamma(digamma(alpha.sum()) + mean_log), low, high)
        if (abs(new - alpha) <= 1e-8 * alpha).all():
            break
        alpha = new
    return alpha


def fit_symmetric(mean_log: float, eta: float, p: int) -> float:
    """The same for p equal parameters, given the mean of all expected logarithms."""
    low, high = min(SMALLEST, eta), max(LARGEST, eta)
    for _ in range(_STEPS):
        value = inverse_digamma(np.array(digamma(p * eta) + mean_log))
        new = float(np.clip(value, low, high))
        if abs(new - eta) <= 1e-8 * eta:
            break
        eta = new
    return eta
