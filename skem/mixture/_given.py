"""What a user gives a mixture besides rows: values of some columns, and parameters."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem._validation import as_numbers, check_numbers

_SUM_TOL = 1e-6
"""Largest distance of a sum of probabilities from one: room for weights that were computed in
float32."""


def given_row(given: Any, names: list[str], d: int) -> NDArray:
    """A row of shape (d,) that holds the given values, NaN in the columns that are open.

    Parameters
    ----------
    given : mapping, pandas Series, data frame of one row, or array-like of shape (d,)
        Labelled values are matched by their labels, which are numbers or names of columns.
    names : list of str
        Names of the columns; empty if they have none.
    d : int
        Number of columns.

    Raises
    ------
    ValueError
        If a column is unknown or named twice, a value is not a number, or none or all are given.
    """
    items = _labelled(given)
    if items is None:
        flat = np.ravel(np.asarray(given, dtype=object))
        if flat.shape != (d,):
            raise ValueError(f"given has shape {flat.shape}, expected ({d},).")
        items = enumerate(flat)
    row, seen = np.full(d, np.nan), np.zeros(d, bool)
    for column, value in items:
        index = names.index(column) if column in names else column
        whole = isinstance(index, (int, np.integer)) and not isinstance(index, bool)
        if not whole or not 0 <= index < d:
            raise ValueError(
                f"given names the column {reprlib.repr(column)}; columns are numbers from 0 to "
                f"{d - 1}" + (f" or {names}." if names else ".")
            )
        if seen[index]:
            raise ValueError(f"given names the column {column!r} twice.")
        row[index], seen[index] = _number(value), True
    if np.isnan(row).all() or not np.isnan(row).any() or np.isinf(row).any():
        raise ValueError(
            "given must hold finite values for at least one column and leave at least one "
            "column open."
        )
    return row


def _labelled(given: Any) -> Iterable[tuple[Any, Any]] | None:
    """Pairs of column and value, where the values come with labels."""
    if isinstance(given, Mapping):
        return given.items()
    if hasattr(given, "columns"):  # a data frame
        values = np.asarray(given, dtype=object)
        if len(values) != 1:
            raise ValueError(f"given is a frame of {len(values)} rows; give one row of it.")
        return zip(given.columns, values[0], strict=True)
    if hasattr(given, "index") and hasattr(given, "items"):  # a pandas Series
        return given.items()
    return None


def _number(value: Any) -> float:
    """A value of ``given`` as a float; missing values of pandas become NaN."""
    if value is None or type(value).__name__ == "NAType":
        return np.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"given must hold numbers, got {reprlib.repr(value)}.") from None


def check_shares(weights: ArrayLike, name: str, shape: tuple[int, ...] | None = None) -> NDArray:
    """Weights of components: probabilities that sum to one (to `_SUM_TOL`), divided by their sum.

    ``shape`` is (n_components,); None allows any number of components.
    """
    if shape is None:
        array = as_numbers(weights)
        shape = (-1,) if array is None or array.ndim != 1 or not len(array) else array.shape
    array = check_numbers(weights, name, shape, ("n_components",))
    if (array < 0).any() or (array > 1).any() or abs(array.sum() - 1) > _SUM_TOL:
        raise ValueError(
            f"{name} must be probabilities that sum to 1, got {reprlib.repr(array.tolist())} "
            f"(sum {array.sum():g})."
        )
    return array / array.sum()


def check_names(names: Any, d: int) -> NDArray | None:
    """Names of columns as `feature_names_in_` holds them; None if there are none."""
    if names is None:
        return None
    array = np.asarray(names, dtype=object)
    if array.shape != (d,) or not all(isinstance(name, str) for name in array):
        raise ValueError(
            f"feature_names must be {d} strings, one for each column; got {reprlib.repr(names)}."
        )
    return array


def check_probabilities(
    values: ArrayLike, name: str, shape: tuple[int, ...], axes: tuple[str, ...]
) -> NDArray:
    """Numbers between 0 and 1 of that shape."""
    array = check_numbers(values, name, shape, axes)
    if (array < 0).any() or (array > 1).any():
        raise ValueError(
            f"{name} must hold probabilities, between 0 and 1; got values from {array.min():g} to "
            f"{array.max():g}."
        )
    return array
