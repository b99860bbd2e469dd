"""Checks of what a display should show: numbers and names of columns, probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def all_feature_names(estimator: Any, given: Sequence[str] | None, n_features: int) -> list[str]:
    """Names of all features: those given, those that the estimator knows, or x0, x1, ..."""
    if given is None:
        for attribute in ("feature_names_in_", "feature_names_"):
            known = getattr(estimator, attribute, ())
            if len(known) == n_features:
                return [str(name) for name in known]
        return [f"x{j}" for j in range(n_features)]
    if len(given) != n_features:
        raise ValueError(
            f"feature_names holds {len(given)} names for the {n_features} features of "
            f"{type(estimator).__name__}."
        )
    return [str(name) for name in given]


def two_columns(columns: Sequence[int | str], names: Sequence[str]) -> list[int]:
    """Numbers of two different columns, given by number or by name."""
    if len(names) < 2:
        raise ValueError(
            "The mixture has one feature, and the display needs two columns. Plot its "
            "score_samples on a grid instead."
        )
    numbers = []
    for column in [columns] if isinstance(columns, str) else columns:
        number = names.index(column) if column in names else column
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
            raise ValueError(f"columns names {column!r}, but the features are {list(names)}.")
        if not 0 <= number < len(names):
            raise ValueError(
                f"columns holds {column!r}, but the columns are numbered from 0 to "
                f"{len(names) - 1}."
            )
        numbers.append(int(number))
    if len(numbers) != 2 or numbers[0] == numbers[1]:
        raise ValueError(f"columns must be two different columns of X, got {columns!r}.")
    return numbers


def two_dimensions(dimensions: Sequence[int], n: int) -> list[int]:
    """Numbers of two different dimensions of a latent space of n."""
    if n < 2:
        raise ValueError(
            "The latent space has one dimension, and the display needs two. Plot transform(X) "
            "itself, or fit with a larger n_components."
        )
    chosen = chosen_numbers(dimensions, n, "dimensions")
    if len(chosen) != 2 or chosen[0] == chosen[1]:
        raise ValueError(
            f"dimensions must be two different numbers from 0 to {n - 1}, got {dimensions!r}."
        )
    return chosen


def check_contents(contents: ArrayLike, name: str) -> NDArray:
    """Probabilities strictly between 0 and 1, as an array."""
    array = np.asarray(contents, dtype=np.float64)
    if array.ndim != 1 or not ((array > 0) & (array < 1)).all():
        raise ValueError(
            f"{name} must be a sequence of probabilities, each between 0 and 1 (exclusive), got "
            f"{contents!r}."
        )
    return array


def check_proportions(rows: NDArray, name: str) -> NDArray:
    """Rows divided by their sums; rows that are zero throughout remain so."""
    if rows.ndim != 2 or not np.isfinite(rows).all() or (rows < 0).any():
        raise ValueError(
            f"{name} must be a matrix of probabilities, or of numbers proportional to them; got "
            f"{'negative or infinite numbers, or NaN' if rows.ndim == 2 else rows.shape}."
        )
    total = rows.sum(axis=1, keepdims=True)
    return rows / np.where(total > 0, total, 1.0)


def chosen_numbers(chosen: Sequence[int] | None, n: int, name: str) -> list[int]:
    """Numbers from 0 to n - 1, all by default."""
    numbers = np.arange(n) if chosen is None else np.asarray(chosen)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not len(numbers):
        raise ValueError(f"{name} must be a sequence of numbers from 0 to {n - 1}, got {chosen!r}.")
    if numbers.min() < 0 or numbers.max() >= n:
        raise ValueError(f"{name} must be numbers from 0 to {n - 1}, got {chosen!r}.")
    return numbers.tolist()
