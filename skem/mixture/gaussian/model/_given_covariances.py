"""Covariances and precisions that a user gives."""

from __future__ import annotations

import reprlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem._validation import check_numbers
from skem.mixture.gaussian.model._covariances import COVARIANCE_TYPES, Structure, structure_of
from skem.mixture.gaussian.model._full_covariances import NotPositiveDefiniteError

_CROOKED = 1e-5
"""Largest difference of a matrix from its transpose, as a share of its largest entry: matrices that
were computed in float32 pass, and are made symmetric."""


def check_covariances(
    covariances: ArrayLike, name: str, covariance_type: str, k: int, d: int
) -> NDArray:
    """Covariances, or precisions, of a type as (k or 1, structure): positive definite.

    Raises
    ------
    ValueError
        If the shape is wrong or a matrix is not symmetric and positive definite.
    """
    structure, tied = _structure(covariance_type)
    shape = structure.shape(d)
    axes = ("n_features",) * len(shape)
    if not tied:
        shape, axes = (k, *shape), ("n_components", *axes)
    values = check_numbers(covariances, name, shape, axes)
    values = values[None] if tied else values
    if structure.correlated:
        transposed = values.swapaxes(-1, -2)
        size = np.abs(values).max(axis=(-1, -2))
        crooked = np.abs(values - transposed).max(axis=(-1, -2)) > _CROOKED * size
        if crooked.any():
            raise _not_positive_definite(name, int(crooked.argmax()), covariance_type)
        values = values / 2 + transposed / 2
    try:
        structure.factor(values)
    except NotPositiveDefiniteError as error:
        raise _not_positive_definite(name, error.index, covariance_type) from None
    return values


def _structure(covariance_type: str) -> tuple[Structure, bool]:
    if covariance_type not in COVARIANCE_TYPES:
        raise ValueError(
            f"covariance_type must be one of {COVARIANCE_TYPES}, got "
            f"{reprlib.repr(covariance_type)}."
        )
    return structure_of(covariance_type)


def _not_positive_definite(name: str, index: int, covariance_type: str) -> ValueError:
    what = "inverse covariances" if "precision" in name else "covariances"
    return ValueError(
        f"{name}: matrix {index} is not symmetric and positive definite "
        f"(covariance_type={covariance_type!r}). Give {what}, each positive definite."
    )
