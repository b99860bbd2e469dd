"""Masks and dates are refused, because NumPy would silently use them as numbers.

The mask of a masked array is lost when it is converted to a plain array, and a date becomes its
number of nanoseconds since 1970.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import validation

from skem._sparse import check_sparse_indices

_DATES = ("date", "time", "duration", "period")
"""How the names of dtypes of NumPy, pandas, pyarrow and polars for dates, times or spans begin."""

_DATE_TYPES = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    np.datetime64,
    np.timedelta64,
)

_LISTED = 5
"""Columns that an error lists at most."""


def refuse_masks(value: Any, name: str) -> None:
    """Refuse a masked array with masked entries, and a sequence that holds one.

    Raises
    ------
    ValueError
        If there is one; the message names the parameter, and says what to give.
    """
    parts = value if isinstance(value, (list, tuple)) else [value]
    n_masked = sum(int(np.ma.getmaskarray(p).sum()) for p in parts if np.ma.is_masked(p))
    if n_masked:
        raise ValueError(
            f"{name} is a masked array, {n_masked} of whose entries are masked, and the mask would "
            "be lost. Leave these rows out, or give filled(numpy.nan) where missing values are "
            "allowed."
        )


def refuse_dates(value: Any, name: str) -> None:
    """Refuse dates, times and spans of time where numbers are expected.

    Raises
    ------
    ValueError
        If there is one; the message names the parameter, and says what to give.
    """
    dtypes: Any = getattr(value, "dtypes", None)
    if np.ndim(dtypes) == 1:  # a frame
        kinds = zip(value.columns, dtypes, strict=True)
        found = [f"column {c!r}" for c, kind in kinds if _is_date(kind, value, c)]
    else:
        found = ["its dtype"] if _is_date(_dtype_of(value), value) else []
    if found:
        listed = ", ".join(found[:_LISTED])
        raise ValueError(
            f"{name} holds dates or times ({listed}), which are not numbers. Give "
            "numbers in a unit of your choice, such as (dates - first) / numpy.timedelta64(1, 'D')."
        )


def _is_date(dtype: Any, value: Any, column: Any = None) -> bool:
    """Whether a dtype is that of dates, or an array (or its column) of objects holds dates."""
    name = str(dtype).lower()
    if name != "object":
        return name.startswith(_DATES)
    objects = np.asarray(value if column is None else value[column], dtype=object)
    return any(isinstance(entry, _DATE_TYPES) for entry in objects.ravel())


def _dtype_of(value: Any) -> Any:
    """The dtype of an array, or of the array that a sequence would become."""
    if isinstance(value, (list, tuple)):
        try:
            return np.asarray(value).dtype
        except ValueError:  # ragged
            return None
    return getattr(value, "dtype", None)


def refuse_masks_and_dates(value: Any, name: str) -> None:
    """Refuse masked arrays as well as dates."""
    refuse_masks(value, name)
    refuse_dates(value, name)


def validate_data(estimator: Any, /, X: Any, y: Any = "no_validation", **options: Any) -> Any:
    """As `sklearn.utils.validation.validate_data`, without masks, and without dates in X.

    Dates may be classes in y. Indices of sparse matrices are checked before anything converts them.
    """
    check_sparse_indices(X)
    refuse_masks_and_dates(X, "X")
    refuse_masks(y, "y")
    return validation.validate_data(estimator, X, y, **options)


def check_array(array: Any, *, input_name: str = "X", **options: Any) -> NDArray:
    """As `sklearn.utils.check_array`, without masks and dates."""
    refuse_masks_and_dates(array, input_name)
    checked: NDArray = validation.check_array(array, input_name=input_name, **options)
    return checked
