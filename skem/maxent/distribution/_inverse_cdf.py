"""Draws from densities that are known at the nodes of panels.

Shapes: P panels of ORDER nodes, S draws.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.legendre import legint, legval, legvander
from numpy.typing import NDArray

from skem._numbers import NOT_ZERO
from skem.maxent.distribution.problem._quadrature import NODES, ORDER, WEIGHTS

CHUNK = 2_000_000  # numbers at once, 16 MB
MAX_STEPS = 60  # bisections alone reach double precision in as many
SMALLEST_STEP = 1e-15  # step on [-1, 1] that is rounding

# Values at the nodes of a panel to Legendre coefficients of their polynomial.
_TO_LEGENDRE = (legvander(NODES, ORDER - 1) * WEIGHTS[:, None]) * (np.arange(ORDER) + 0.5)


def inverse_cdf(values: NDArray, low: NDArray, high: NDArray, uniform: NDArray) -> NDArray:
    """Where distribution functions reach the given values.

    On each panel the density is the polynomial through its nodes, which the quadrature made as
    accurate as its integrals; its integral is inverted by Newton's method between brackets.

    values of shape (S, P * ORDER), or (1, P * ORDER) for one density; uniform of shape (S,).
    """
    values = values.reshape(len(values), len(low), ORDER)
    mass = (values @ WEIGHTS) * (high - low) / 2  # (S, P)
    cumulative = np.cumsum(mass, axis=1)
    target = uniform * cumulative[:, -1]
    panel = np.minimum((cumulative < target[:, None]).sum(axis=1), len(low) - 1)
    row = np.arange(len(uniform)) if len(values) > 1 else np.zeros(len(uniform), dtype=int)
    rest = target - (cumulative - mass)[row, panel]
    half = (high - low)[panel] / 2
    density = (values[row, panel] * half[:, None]) @ _TO_LEGENDRE  # (S, ORDER)
    integral = legint(density.T, lbnd=-1)
    left, right = np.full(len(uniform), -1.0), np.ones(len(uniform))
    s = 2 * np.clip(rest / np.maximum(mass[row, panel], NOT_ZERO), 0, 1) - 1
    for _ in range(MAX_STEPS):
        error = legval(s, integral, tensor=False) - rest
        left, right = np.where(error < 0, s, left), np.where(error < 0, right, s)
        slope = np.maximum(legval(s, density.T, tensor=False), NOT_ZERO)
        new = s - error / slope
        new = np.where((new > left) & (new < right), new, (left + right) / 2)
        if np.abs(new - s).max() < SMALLEST_STEP:
            break
        s = new
    return low[panel] + half * (1 + s)
