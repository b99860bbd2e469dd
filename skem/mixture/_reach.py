"""What a user gives a Gaussian mixture must not be out of reach of the rows.

All numbers are in working units, where the columns have mean zero and unit variances. What products
of squares would take out of the range of numbers is refused; what is merely far is named if the fit
fails, for then it is likely to be the cause.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FARTHEST = 1e75
"""Standard deviations whose fourth power, which an M step meets, is finite in float64."""

MOST = 1e140
"""Variances, and numbers of rows, whose products with their squares are finite."""


def check_distance(values: NDArray, name: str) -> None:
    """Refuse means that are out of reach.

    Raises
    ------
    ValueError
    """
    farthest = np.abs(values).max()
    if not farthest <= FARTHEST:
        raise ValueError(
            f"{name} is {farthest:.3g} standard deviations away from the mean of X in some column, "
            f"and at most {FARTHEST:.0e} can be computed with. Give {name} in the units of X."
        )


def check_variances(
    variances: NDArray, name: str, *, least: float = 0.0, most: float = MOST
) -> None:
    """Refuse variances, those of ``name`` or that follow from it, that are out of reach.

    Raises
    ------
    ValueError
    """
    low, high = variances.min(), variances.max()
    if not (low >= least and high <= most):
        wrong = high if not high <= most else low
        raise ValueError(
            f"{name} stands for a variance that is {wrong:.3g} times that of a column of X, and "
            f"from {least:.3g} to {most:.3g} times can be computed with. Give {name} in the units "
            "of X."
        )


def check_strengths(strengths: dict[str, float], unit: float) -> None:
    """Refuse priors, by their names and pseudo-rows, that weigh more than any rows.

    The rows have weights that were divided by ``unit``, and so have the priors.

    Raises
    ------
    ValueError
    """
    for name, strength in strengths.items():
        if not strength <= MOST:
            beside = "" if unit == 1 else f" of a sample_weight of about {unit:.3g}"
            raise ValueError(
                f"{name} weighs as much as {strength:.3g} rows{beside}, and at most {MOST:.0e} can "
                f"be computed with. Lower {name}."
            )
