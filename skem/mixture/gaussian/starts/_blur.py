"""Columns in which reg_covar decides, because it is most of the variance of the components there.

``reg_covar`` is in squared units of X, so that its default is negligible for columns of ordinary
size, and dominates in columns in small units.
"""

from __future__ import annotations

import reprlib

import numpy as np
from numpy.typing import NDArray

from skem._numbers import NOT_ZERO
from skem.mixture.gaussian.model._collapse import AT_FLOOR, WIDE
from skem.mixture.gaussian.model._model import GaussianModel
from skem.mixture.gaussian.model._params import GaussianParams

OF_COLUMN = 0.2
"""Share of the variance of a column from which ``reg`` decides."""

OF_COMPONENTS = 0.25
"""Share of the mean variance of the components from which it does.

Measured on two and four clusters 3 and 4 standard deviations apart, 3000 rows: up to a tenth of
either, clusters and scores (0.006 nats) are those without ``reg``; at 0.25 of the column, which is
0.2 of the components, the clusters that are 3 apart are lost; at a half of the components all are.
Raw tables of scikit-learn, 1 to 8 components of each type, stay below 0.15 and 0.22 (of breast
cancer, whose smallest column has a standard deviation of 0.0026).
"""

A_LITTLE = 1e-3
"""Largest ``reg_covar`` that is taken for a safeguard; a larger one is a choice of the variance."""

ENOUGH = 1e-6
"""Share of the smallest variance that the message proposes for ``reg_covar``: that of the default
in columns of unit variance."""


def blurred_columns(model: GaussianModel, params: GaussianParams) -> NDArray:
    """Numbers of the columns in which ``reg`` decides; constant ones are never among them.

    Components that have collapsed in a column are left out there: they have a warning of their own.
    """
    k = len(params.weights)
    dense = model.structure.dense(params.covariances, model.d)
    variances = np.broadcast_to(np.diagonal(dense, axis1=1, axis2=2), (k, model.d))
    offsets = params.means - params.weights @ params.means
    total = params.weights @ (variances + np.square(offsets))
    sound = (variances >= AT_FLOOR * model.reg) | (total <= WIDE * AT_FLOOR * model.reg)
    weights = params.weights[:, None] * sound
    within = (weights * variances).sum(axis=0) / np.maximum(weights.sum(axis=0), NOT_ZERO)
    of_column = model.reg > OF_COLUMN  # whose variance is one in working units
    of_components = (model.reg > OF_COMPONENTS * within) & (within > 0)
    return np.flatnonzero(model.varies & (of_column | of_components))


def blur_message(
    model: GaussianModel, params: GaussianParams, reg_covar: float, names: NDArray | None
) -> str | None:
    """What to say about the columns in which ``reg_covar`` decides; None if there are none.

    Nothing is said about a ``reg_covar`` so large that it must have been intended.
    """
    columns = blurred_columns(model, params)
    if not len(columns) or reg_covar > A_LITTLE:
        return None
    listed = reprlib.repr([int(j) if names is None else str(names[j]) for j in columns])
    reg = model.reg[columns]
    enough = ENOUGH * reg_covar / float(reg.max())
    return (
        f"reg_covar={reg_covar:g} decides the fit in columns {listed}: it is more than a fifth of "
        "their variance, or more than a quarter of the mean variance of the components there. It "
        "is in squared units of X. Give these columns units in which their standard deviation is "
        "about one (sklearn.preprocessing.StandardScaler), or set reg_covar to "
        f"{enough:.1g} (a millionth of the smallest of their variances), or to 0."
    )
