"""Where the mass is, and in what units: from supports, and from what constraints say.

Shapes: m constraints, s candidates (center, scale), n points for each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem.maxent.distribution.problem._feasibility import ConstraintError
from skem.maxent.distribution.problem._features import Functions
from skem.maxent.distribution.problem._supports import Support

SQUARE_ROUNDING = 1e-15  # relative, of the square of a mean: a variance below that is none

# The search of `bulk_of_functions`.
NO_MASS_ABOVE = 1e150  # a function this large has no mass near it
BEAM = 32  # centers that are kept: the best for a wide scale need not lead to a narrow bulk
GOOD = 0.25  # square of E phi / E |phi|, for each function; it is 1 where phi has one sign
PER_OCTAVE = 1e-4  # added to the misfit for each octave by which a scale is off 1, to decide ties
DIGITS = 6  # decimals of a misfit: what agrees to these is a tie
OCTAVES = np.arange(60, -61, -1)  # of scales on the line, from 1e18 to 1e-18
STEPS = np.linspace(-2, 2, 17)  # from a center to those next to it, in units of the scale
FINE_STEPS = np.linspace(-0.5, 0.5, 11)  # the same at the end, around the best center
FINE_OCTAVES = np.linspace(-1, 1, 9)  # the same at the end, around the best scale
HALF_LINE_OCTAVES = np.arange(-120, 120, 0.25)  # more than on the line: the center is known
# Dense near the center, so that wide distributions see what is there.
POINTS = 2 * np.linspace(-1, 1, 24) ** 3
HALF_LINE_POINTS = np.exp(0.75 * POINTS - 0.5)  # distances from the end, between 0.14 and 2.7


def units_of_moments(
    n_powers: int, support: Support, low: NDArray, high: NDArray, where: tuple[str, ...]
) -> tuple[float, float]:
    """Center and scale that constraints about powers of one column suggest."""
    if support.is_bounded:
        return support.units()
    known = low == high
    mean = _representative(low[0], high[0])
    if support.kind == "half line":
        end = support.low if np.isfinite(support.low) else support.high
        side = "above" if np.isfinite(support.low) else "below"
        if known[0] and not (mean > end if side == "above" else mean < end):
            raise ConstraintError(
                f"{where[0]}: E[x] = {mean:.10g} cannot hold on {support}: it must be {side} "
                f"{end:.10g}. Correct the constraint or the support."
            )
        return support.units(mean)
    deviation = 1.0
    if n_powers >= 2:
        square = _representative(low[1], high[1])
        variance = square - mean * mean  # a power of a float that is too large is an error
        if known[0] and high[1] <= mean * mean * (1 + SQUARE_ROUNDING):
            raise ConstraintError(
                f"{where[1]}: E[x^2] = {high[1]:.10g} cannot hold for a density with E[x] = "
                f"{mean:.10g}: it must be larger than E[x]^2 = {mean * mean:.10g}. Correct one of "
                "them, or leave it out."
            )
        deviation = np.sqrt(variance) if variance > 0 else 1.0
    return mean, deviation


def bulk_of_moments(low: NDArray, high: NDArray) -> tuple[float, float]:
    """Mean and standard deviation that the first two powers say; NaN where they are absurd."""
    with np.errstate(over="ignore"):  # a square that is infinite is absurd too
        if len(low) < 2 or low[1] <= low[0] ** 2:
            return np.nan, np.nan
    return float(low[0]), float(np.sqrt(low[1] - low[0] ** 2))


def bulk_of_columns(n_powers: int, tau: NDArray) -> tuple[NDArray, NDArray]:
    """The same for each column of points."""
    rows = tau.reshape(-1, n_powers)
    if n_powers == 1:
        return rows[:, 0], np.full(len(rows), np.nan)
    bulks = np.array([bulk_of_moments(row, row) for row in rows])
    return bulks[:, 0], bulks[:, 1]


def possible_values(low: NDArray, high: NDArray) -> NDArray:
    """A value that each expectation may have, zero where nothing is said."""
    return np.array([_representative(*ends) for ends in zip(low, high, strict=True)])


def _representative(low: float, high: float) -> float:
    """A value that an expectation may have."""
    if np.isinf(low) and np.isinf(high):
        return 0.0
    if np.isinf(low) or np.isinf(high):
        return float(high if np.isinf(low) else low)
    return float((low + high) / 2)


def bulk_of_functions(features: Functions, support: Support) -> tuple[float, float]:
    """Center and scale at which functions are as large as the constraints say, without a base.

    Of distributions on center + [-2, 2] scale (on a half line, of the logarithm of the distance to
    its end) the one with the smallest sum of squares of E phi / E |phi|, where phi = f - tau. With
    E |phi| as their unit, too wide ones, for which a few far points decide, are as bad as can be.
    It is looked for from wide to narrow, each time next to the centers that were best before. Where
    all are as good, as for x alone on the line, those next to 0 and 1 are taken, and so they are
    where none is good.
    """
    best, least = (0.0, 1.0), np.inf
    if support.kind == "line":
        y, centers = POINTS, np.zeros(1)
        for scale in 2.0**OCTAVES:
            near = np.unique(centers[:, None] + scale * STEPS)
            grid = np.column_stack([near, np.full(len(near), scale)])
            off = _misfit(features, grid, y)
            order = np.lexsort((np.abs(near), off.round(DIGITS)))
            if off[order[0]] < least:
                best, least = (float(near[order[0]]), scale), off[order[0]]
            centers = np.append(near[order[:BEAM]], 0.0)
        steps = np.meshgrid(FINE_STEPS, 2.0**FINE_OCTAVES)
        fine = best[1] * np.column_stack([step.ravel() for step in steps]) + [best[0], 0.0]
    else:
        end, sign = (support.low, 1.0) if np.isfinite(support.low) else (support.high, -1.0)
        y, scales = HALF_LINE_POINTS, sign * 2.0**HALF_LINE_OCTAVES
        fine = np.column_stack([np.full(len(scales), end), scales])
    off = _misfit(features, fine, y)
    if off.min() < least:
        best, least = tuple(fine[off.argmin()].tolist()), off.min()
    return best if least < GOOD * features.n_constraints else support.units()


def _misfit(features: Functions, grid: NDArray, y: NDArray) -> NDArray:
    """Sum of squares of E phi / E |phi| for each (center, scale), shape (s,)."""
    x = grid[:, :1] + grid[:, 1:] * y
    with np.errstate(all="ignore"):
        phi = features.of(x.ravel(), x.ravel()).reshape(*x.shape, -1)
        off = ((phi.mean(axis=1) / np.abs(phi).mean(axis=1)) ** 2).sum(axis=1)
        off += PER_OCTAVE * np.abs(np.log2(np.abs(grid[:, 1])))
    fits = np.isfinite(off) & (np.abs(phi).max(axis=(1, 2)) < NO_MASS_ABOVE)
    return np.where(fits, off, np.inf)
