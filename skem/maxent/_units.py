"""Where the mass is, and in what units: from supports, and from what facts say.

Shapes: m facts, s candidates (center, scale), n points for each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem.maxent._feasibility import FactError
from skem.maxent._features import Functions
from skem.maxent._supports import Interval, Points, Support

HUGE = 1e150  # a function this large has no mass near it
GOOD = 0.25  # square of E phi / E |phi|
POINTS = np.linspace(-2, 2, 16)


def interval_units(support: Interval, mean: float, deviation: float) -> tuple[float, float]:
    """Center and scale of y; mean and deviation are NaN where not known."""
    if support.kind == "interval":
        return (support.low + support.high) / 2, (support.high - support.low) / 2
    if support.kind == "line":
        return (mean, deviation if deviation > 0 else 1.0) if np.isfinite(mean) else (0.0, 1.0)
    end, sign = (support.low, 1.0) if np.isfinite(support.low) else (support.high, -1.0)
    distance = abs(mean - end)
    return end, sign * (distance if distance > 0 else 1.0)


def box_units(support: Support) -> tuple[NDArray, NDArray]:
    """Center and half range of each column."""
    if isinstance(support, Points):
        low, high = support.points.min(axis=0), support.points.max(axis=0)
    else:
        low, high = np.atleast_1d(support.low), np.atleast_1d(support.high)
    with np.errstate(invalid="ignore"):
        half = (high - low) / 2
        return (low + high) / 2, np.where(half > 0, half, 1.0)


def units_of_facts(
    n_powers: int | None, support: Interval, low: NDArray, high: NDArray, where: tuple[str, ...]
) -> tuple[float, float]:
    """Center and scale that facts about powers suggest."""
    if support.kind == "interval" or n_powers is None:
        return interval_units(support, np.nan, np.nan)
    known = low == high
    mean = _representative(low[0], high[0])
    if support.kind == "half line":
        end = support.low if np.isfinite(support.low) else support.high
        side = "above" if np.isfinite(support.low) else "below"
        if known[0] and not (mean > end if side == "above" else mean < end):
            raise FactError(
                f"{where[0]}: E[x] = {mean:.10g} cannot hold on {support}: it must be {side} "
                f"{end:.10g}. Correct the fact or the support."
            )
        return interval_units(support, mean, np.nan)
    deviation = 1.0
    if n_powers >= 2:
        square = _representative(low[1], high[1])
        variance = square - mean**2
        if known[0] and high[1] <= mean**2 * (1 + 1e-15):
            raise FactError(
                f"{where[1]}: E[x^2] = {high[1]:.10g} cannot hold for a density with E[x] = "
                f"{mean:.10g}: it must be larger than E[x]^2 = {mean**2:.10g}. Correct one of "
                "them, or leave it out."
            )
        deviation = np.sqrt(variance) if variance > 0 else 1.0
    return mean, deviation


def bulk_of_facts(low: NDArray, high: NDArray) -> tuple[float, float]:
    """Mean and standard deviation that the first two powers say; NaN where they are absurd."""
    if len(low) < 2 or low[1] <= low[0] ** 2:
        return np.nan, np.nan
    return float(low[0]), float(np.sqrt(low[1] - low[0] ** 2))


def bulk_of_columns(n_powers: int | None, tau: NDArray) -> tuple[NDArray, NDArray]:
    """The same for each column of points."""
    if n_powers is None:
        return np.array(np.nan), np.array(np.nan)
    rows = tau.reshape(-1, n_powers)
    bulks = np.array([bulk_of_facts(row, row) for row in rows])
    return bulks[:, 0], bulks[:, 1]


def values_of_facts(low: NDArray, high: NDArray) -> NDArray:
    """A value that each expectation may have, zero where nothing is said."""
    return np.array([_representative(*ends) for ends in zip(low, high, strict=True)])


def _representative(low: float, high: float) -> float:
    """A value that an expectation may have."""
    if np.isinf(low) and np.isinf(high):
        return 0.0
    if np.isinf(low) or np.isinf(high):
        return float(high if np.isinf(low) else low)
    return float((low + high) / 2)


def bulk_of_functions(features: Functions, support: Interval) -> tuple[float, float]:
    """Center and scale at which functions are as large as the facts say, without a base.

    Of uniform distributions on center + [-2, 2] scale (on a half line, of such distributions of the
    logarithm of the distance to its end) the one with the smallest sum of squares of E phi / E |phi|, where phi = f - tau. With
    E |phi| as their unit, too wide ones, for which a few far points decide, are as bad as can be.
    It is looked for on a grid, then nearer and nearer to the best one. Where all are as good, as
    for x alone on the line, those next to 0 and 1 are taken, and so they are where none is good.
    """
    if support.kind == "line":
        sizes = 2.0 ** np.arange(-60, 61)
        distances = 2.0 ** np.arange(-40, 41, 0.5)
        centers = np.concatenate([-distances, [0.0], distances])
        grid = np.stack(np.meshgrid(centers, sizes, indexing="ij"), axis=-1).reshape(-1, 2)
        shifts, y = np.linspace(-2, 2, 41), POINTS
    else:
        end, sign = (support.low, 1.0) if np.isfinite(support.low) else (support.high, -1.0)
        grid = np.column_stack([np.full(241, end), sign * 2.0 ** np.arange(-120, 121)])
        shifts, y = np.zeros(1), np.exp(1.5 * POINTS / 2 - 0.5)
    best, least = (0.0, 1.0), np.inf
    for _ in range(60):
        off = _misfit(features, grid, y)
        i = int(off.argmin())
        if not off[i] < least:
            break
        best, least = (float(grid[i, 0]), float(grid[i, 1])), off[i]
        steps = np.meshgrid(shifts, 2.0 ** np.linspace(-2, 2, 17), indexing="ij")
        grid = np.column_stack([best[0] + best[1] * steps[0].ravel(), best[1] * steps[1].ravel()])
    return best if least < GOOD * features.n_facts else interval_units(support, np.nan, np.nan)


def _misfit(features: Functions, grid: NDArray, y: NDArray) -> NDArray:
    """Sum of squares of E phi / E |phi| for each (center, scale), shape (s,)."""
    x = grid[:, :1] + grid[:, 1:] * y
    with np.errstate(all="ignore"):
        phi = features.of(x.ravel(), x.ravel()).reshape(*x.shape, -1)
        off = ((phi.mean(axis=1) / np.abs(phi).mean(axis=1)) ** 2).sum(axis=1)
        off += 1e-4 * np.abs(np.log2(np.abs(grid[:, 1])))
    fits = np.isfinite(off) & (np.abs(phi).max(axis=(1, 2)) < HUGE)
    return np.where(fits, off, np.inf)
