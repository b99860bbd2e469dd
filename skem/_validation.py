"""Checks of input that all estimators share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import _check_sample_weight, check_array


@contextlib.contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Leave the estimator as it was if what is done inside fails."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def check_weights(sample_weight: ArrayLike | None, X: Any) -> NDArray | None:
    """Weights as float64 of shape (n_samples,), or None for all ones.

    Raises
    ------
    ValueError
        If the shape is wrong, or if weights are negative, not finite, or all zero.
    """
    if sample_weight is None:
        return None
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError(
            f"Negative values in data passed to `sample_weight` (smallest {weight.min():g}): "
            "weights are counts of rows and cannot be negative. Leave rows out by a weight of 0."
        )
    return weight


def check_labels(labels: ArrayLike | None, n_samples: int, n_components: int) -> NDArray | None:
    """Component labels, -1 where unknown, as int64 of shape (n_samples,); None if none is known.

    Raises
    ------
    ValueError
        If the shape is wrong or a label is not an integer in [-1, n_components).
    """
    if labels is None:
        return None
    values = check_array(labels, ensure_2d=False, dtype=None, input_name="labels")
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"labels must be integers, -1 for unknown; got dtype {values.dtype}. Encode the names "
            "of classes first (sklearn.preprocessing.LabelEncoder)."
        )
    if values.shape != (n_samples,):
        raise ValueError(f"labels has shape {values.shape}, expected ({n_samples},).")
    integers = values.astype(np.int64)
    if (integers != values).any() or (integers < -1).any() or (integers >= n_components).any():
        raise ValueError(
            f"labels must be integers from 0 to n_components - 1 = {n_components - 1}, or -1 for "
            f"unknown; got values from {values.min()} to {values.max()}."
        )
    return None if (integers < 0).all() else integers


def check_positive_integer(value: Any, name: str) -> int:
    """A count of at least one."""
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
    return int(value)
