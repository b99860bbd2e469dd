"""Checks of input that all estimators share."""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem._input import refuse_masks, refuse_masks_and_dates
from skem._interrupts import plain_interrupts

_OF_RANGE = 0.75
"""The sum of the weights is between the smallest and the largest number of the type to this power:
the remaining quarter is for the values that they are multiplied by."""


@contextlib.contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Leave the estimator as it was if what is done inside fails, or is interrupted."""
    before = dict(vars(estimator))
    try:
        with plain_interrupts():
            yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def set_fitted(estimator: Any, attributes: Mapping[str, Any], *, stale: Iterable[str] = ()) -> None:
    """Set the attributes of a fit, and drop those of an earlier one that it may not set again.

    Parameters
    ----------
    estimator : object
    attributes : mapping
        Fitted attributes by name.
    stale : iterable of str
        Names of attributes that not every fit sets.
    """
    for name in stale:
        vars(estimator).pop(name, None)
    vars(estimator).update(attributes)


def check_numbers(value: Any, name: str, shape: tuple[int, ...], axes: tuple[str, ...]) -> NDArray:
    """Finite numbers of that shape, as float64.

    Parameters
    ----------
    value : Any
        What the user gave.
    name : str
        The parameter.
    shape : tuple of int
    axes : tuple of str
        Names of the numbers in the shape, such as ("n_components", "n_features").

    Raises
    ------
    ValueError
        If it is anything else; the message names the parameter and says what is allowed.
    """
    words = f"({', '.join(axes)}{',' * (len(axes) == 1)})"
    expected = f"{words} = {shape}" if shape else "(): a single number"
    refuse_masks(value, name)
    array = as_numbers(value)
    if array is None:
        raise ValueError(
            f"{name} must hold real numbers, in shape {expected}; got {reprlib.repr(value)}."
        )
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {expected}.")
    if not np.isfinite(array).all():
        what = "NaN" if np.isnan(array).any() else "infinity"
        raise ValueError(f"{name} contains {what}. It must hold finite numbers, {expected}.")
    return array


def as_numbers(value: Any) -> NDArray | None:
    """An array of float64, or None for text, dates, complex numbers, masks and ragged lists."""
    if np.ma.is_masked(value):
        return None
    try:
        array = np.asarray(value)
        return None if array.dtype.kind in "cmMSUV" else array.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError):
        return None


def check_weights(sample_weight: ArrayLike | None, X: Any, dtype: Any = None) -> NDArray | None:
    """Weights as float64 of shape (n_samples,), or None for all ones.

    ``dtype`` is the type in which they are summed, by default that of X.

    Raises
    ------
    ValueError
        If the shape is wrong, or if weights are not numbers, negative, not finite, all zero, or
        so large or so small that sums over the rows are not finite in that dtype.
    """
    if sample_weight is None:
        return None
    refuse_masks_and_dates(sample_weight, "sample_weight")
    weight = as_numbers(sample_weight)
    if weight is None:
        raise ValueError(
            "sample_weight must hold real numbers, one for each row of X; got "
            f"{reprlib.repr(sample_weight)}."
        )
    if weight.ndim == 0:
        weight = np.full(X.shape[0], weight)
    if weight.shape != (X.shape[0],):
        raise ValueError(
            f"sample_weight has shape {weight.shape}, expected (n_samples,) = ({X.shape[0]},): one "
            "weight for each row of X."
        )
    if not np.isfinite(weight).all():
        what = "NaN" if np.isnan(weight).any() else "infinity"
        raise ValueError(f"sample_weight contains {what}. Leave rows out by a weight of 0.")
    if (weight < 0).any():
        raise ValueError(
            f"Negative values in data passed to `sample_weight` (smallest {weight.min():g}): "
            "weights are counts of rows and cannot be negative. Leave rows out by a weight of 0."
        )
    if not weight.any():
        raise ValueError("sample_weight is zero for all rows. Give some row a positive weight.")
    _check_total(weight, X.dtype if dtype is None else np.dtype(dtype))
    return weight


def _check_total(weight: NDArray, dtype: np.dtype) -> None:
    """Refuse weights whose sum is so near the limits of the dtype that products exceed them."""
    info = np.finfo(dtype)
    low, high = float(info.tiny) ** _OF_RANGE, float(info.max) ** _OF_RANGE
    with np.errstate(over="ignore"):
        total = float(weight.sum())
    if not low <= total <= high:
        raise ValueError(
            f"The sum of sample_weight is {total:.3g}; in {dtype} it must be from {low:.0e} to "
            f"{high:.0e}. Only ratios of weights matter to a fit without priors: "
            "divide them by their mean."
        )


def unit_of(weight: NDArray | None) -> float:
    """A power of two near the mean of the weights that are not zero; 1 without weights.

    A fit that divides its weights by it, and with them the pseudo-counts of its priors, gives the
    same parameters for weights in any unit, to the last digit unless a limit is near.
    """
    if weight is None:
        return 1.0
    return float(2.0 ** np.round(np.log2(weight[weight > 0].mean())))


def in_unit(weight: NDArray | None, unit: float, n_samples: int) -> NDArray | None:
    """Weights divided by ``unit``; no weights are ones.

    Raises
    ------
    ValueError
        If a quotient is not finite: the weights of the batches differ too much.
    """
    if unit == 1:
        return weight
    given = np.ones(n_samples) if weight is None else weight
    with np.errstate(over="ignore"):
        divided = given / unit
    if not np.isfinite(divided).all():
        raise ValueError(
            f"sample_weight holds {given.max():.3g}, too much compared with the weights of the "
            f"first batch, about {unit:.1g}. Give all batches weights in one unit."
        )
    return divided


def check_labels(labels: ArrayLike | None, n_samples: int, n_components: int) -> NDArray | None:
    """Component labels, -1 where unknown, as int64 of shape (n_samples,); None if all are unknown.

    Raises
    ------
    ValueError
        If the shape is wrong or a label is not an integer in [-1, n_components).
    """
    if labels is None:
        return None
    refuse_masks_and_dates(labels, "labels")
    values = np.asarray(labels) if _holds_integers(labels) else as_numbers(labels)
    if values is None:
        raise ValueError(
            f"labels must be integers, -1 for unknown; got {reprlib.repr(labels)}. Encode the "
            "names of classes first (sklearn.preprocessing.LabelEncoder)."
        )
    if values.shape != (n_samples,):
        raise ValueError(
            f"labels has shape {values.shape}, expected (n_samples,) = ({n_samples},): one for "
            "each row of X, -1 where it is unknown."
        )
    if np.isnan(values).any():
        raise ValueError("labels contains NaN. Give -1 where the component of a row is unknown.")
    low, high = values.min(), values.max()
    whole = _holds_integers(values) or (values == np.floor(values)).all()
    if not whole or low < -1 or high >= n_components:
        raise ValueError(
            f"labels must be integers from 0 to n_components - 1 = {n_components - 1}, or -1 for "
            f"unknown; got values from {low:g} to {high:g}."
        )
    return None if high < 0 else values.astype(np.int64, copy=False)


def _holds_integers(labels: Any) -> bool:
    """Whether labels are integers already, which need no copy to be checked."""
    return isinstance(labels, np.ndarray) and labels.dtype.kind == "i"


def check_known(labels: ArrayLike, name: str) -> NDArray:
    """Classes of rows, none of which may be missing.

    Raises
    ------
    ValueError
        If one is None, NaN, or another value that is not equal to itself.
    """
    values = np.asarray(labels)
    if values.dtype.kind in "fc":
        missing = ~np.isfinite(values)
    elif values.dtype.kind in "mM":
        missing = np.isnat(values)
    elif values.dtype.kind == "O":
        missing = np.array([v is None or not _equals_itself(v) for v in values.ravel()], dtype=bool)
    else:
        return values
    if missing.any():
        at, n = int(np.flatnonzero(missing)[0]), int(missing.sum())
        what = "NaN" if values.dtype.kind == "f" else "missing values"
        raise ValueError(
            f"Input {name} contains {what}: {name}[{at}] is {values.ravel()[at]!r}, and {n} of "
            f"{values.size} are missing or infinite. Leave those rows out, or give them a class of "
            "their own."
        )
    return values


def _equals_itself(value: Any) -> bool:
    try:
        return bool(value == value)
    except TypeError:  # pandas.NA is neither true nor false
        return False


def check_positive_integer(value: Any, name: str) -> int:
    """A count of at least one."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {reprlib.repr(value)}.")
    return int(value)
