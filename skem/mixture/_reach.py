"""Parameters that a user gives to a Gaussian mixture must not be too far from the rows.

All numbers are in working units, where the columns have mean zero and unit variances. Values whose
products of squares would exceed the range of numbers are refused; values that are merely far away
are named if the fit fails, because they are then the likely cause.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FARTHEST = 1e75
"""Standard deviations whose fourth power, which an M step meets, is finite in float64."""

MOST = 1e140
"""Variances, and numbers of rows, whose products with their squares are finite."""


def check_distance(values: NDArray, name: str) -> None:
    """Refuse means that are too far from the rows.

    Raises
    ------
    ValueError
    """
    farthest = np.abs(values).max()
    if not farthest <= FARTHEST:
        raise ValueError(
            f"{name} is {farthest:.3g} standard deviations away from the mean of X in some column, "
            f"and at most {FARTHEST:.0e} are possible. Give {name} in the units of X."
        )


def check_variances(
    variances: NDArray, name: str, *, least: float = 0.0, most: float = MOST
) -> None:
    """Refuse variances, given as ``name`` or derived from it, that are too small or too large.

    Raises
    ------
    ValueError
    """
    low, high = variances.min(), variances.max()
    if not (low >= least and high <= most):
        wrong = high if not high <= most else low
        raise ValueError(
            f"{name} stands for a variance that is {wrong:.3g} times that of a column of X, and "
            f"only {least:.3g} to {most:.3g} times are possible. Give {name} in the units of X."
        )


def check_strengths(strengths: dict[str, float], unit: float) -> None:
    """Refuse priors, by their names and pseudo-rows, that outweigh any number of rows.

    Weights of rows, and the priors with them, were divided by ``unit``.

    Raises
    ------
    ValueError
    """
    for name, strength in strengths.items():
        if not strength <= MOST:
            weighted = "" if unit == 1 else f" with a sample_weight of about {unit:.3g}"
            raise ValueError(
                f"{name} weighs as much as {strength:.3g} rows{weighted}, and at most {MOST:.0e} "
                f"are possible. Lower {name}."
            )
