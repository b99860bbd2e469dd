"""Parameters of the user that may be the cause if a fit fails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem.mixture.gaussian.model._params import Priors

_FAR, _WIDE = 1e3, 1e12
"""Standard deviations, and ratios of variances, that make a failure likely."""


def suspects(priors: Priors, total_weight: float, given: dict[str, NDArray]) -> str:
    """A sentence that names the parameters far from the rows; empty if there are none.

    Parameters
    ----------
    priors : Priors
    total_weight : float
    given : dict of str to ndarray
        Means and variances that the user gave to start from, by the names of these parameters.
    """
    found = []
    if priors.mean is not None and np.abs(priors.mean).max() > _FAR:
        found.append(_far("mean_prior", priors.mean))
    if priors.scatter_rows > _FAR * total_weight:
        found.append(
            f"degrees_of_freedom_prior weighs as much as {priors.scatter_rows:.3g} rows, and "
            "covariance_prior is divided by that"
        )
    for name, values in given.items():
        if name == "means_init" and np.abs(values).max() > _FAR:
            found.append(_far(name, values))
        if name == "precisions_init" and not (1 / _WIDE < values.min() <= values.max() < _WIDE):
            found.append(
                f"precisions_init stands for variances from {values.min():.3g} to "
                f"{values.max():.3g} times those of X"
            )
    return f" The cause may be that {'; and '.join(found)}." if found else ""


def _far(name: str, values: NDArray) -> str:
    return f"{name} is {np.abs(values).max():.3g} standard deviations away from the mean of X"
