"""What rows and labels of a VAETransformer must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import gen_batches

from skem._input import refuse_masks
from skem._validation import check_known
from skem.deep.modules.likelihoods import Categorical, Likelihood, Mixed

LIKELIHOODS = ("gaussian", "bernoulli", "multinomial")
COLUMN_LIKELIHOODS = ("gaussian", "bernoulli", "categorical")
_BLOCK = 1 << 18  # numbers that are looked at at once


def kinds_of(likelihood: str | Sequence[str], n_features: int) -> list[str]:
    """The likelihood of each column.

    Raises
    ------
    ValueError
        If a sequence does not name one for each.
    """
    if isinstance(likelihood, str):
        return [likelihood] * n_features
    kinds = list(likelihood)
    if len(kinds) != n_features or not set(kinds) <= set(COLUMN_LIKELIHOODS):
        raise ValueError(
            f"likelihood must name one of {COLUMN_LIKELIHOODS} for each of the {n_features} "
            f"columns of X, or one of {LIKELIHOODS} for all; got {kinds!r}."
        )
    return kinds


def check_range(X: NDArray, likelihood: str | Sequence[str]) -> None:
    """Refuse values that a likelihood cannot have.

    Raises
    ------
    ValueError
        That names the likelihood, a column and the way out.
    """
    kinds = kinds_of(likelihood, X.shape[1])
    for kind in sorted({*kinds} - {"gaussian"}):
        columns = np.flatnonzero(np.asarray(kinds) == kind)
        low, high, codes = _extremes(X, columns)
        if kind == "bernoulli" and (low < 0 or high > 1):
            raise ValueError(
                "likelihood='bernoulli' needs X in [0, 1], zeros and ones or chances of ones; got "
                f"values from {low:g} to {high:g}. Scale X (MinMaxScaler), or use "
                "likelihood='gaussian'."
            )
        if kind == "multinomial" and low < 0:
            raise ValueError(
                "Negative values in data passed to VAETransformer: likelihood='multinomial' needs "
                f"counts; got {low:g}. Use likelihood='gaussian' for real values."
            )
        if kind == "categorical" and not codes.all():
            raise ValueError(
                f"likelihood='categorical' of column {columns[~codes][0]} needs codes 0, 1, 2, "
                "...; got other numbers. Encode categories first (OrdinalEncoder)."
            )


def _extremes(X: NDArray, columns: NDArray) -> tuple[float, float, NDArray]:
    """Least and largest number of the columns, and which of them hold codes 0, 1, ... only."""
    low, high, codes = np.inf, -np.inf, np.ones(len(columns), dtype=bool)
    for rows in _blocks(X, columns):
        part = X[rows][:, columns]
        low, high = min(low, part.min()), max(high, part.max())
        codes &= ((part >= 0) & (part == np.floor(part))).all(axis=0)
    return low, high, codes


def _blocks(X: NDArray, columns: NDArray) -> Iterator[slice]:
    """Rows that are looked at together."""
    return gen_batches(len(X), max(1, _BLOCK // len(columns)))


def check_codes(X: NDArray, likelihood: Likelihood) -> None:
    """Refuse codes of 'categorical' columns that the fit did not have.

    Raises
    ------
    ValueError
        That names the column and the codes.
    """
    if not isinstance(likelihood, Mixed):
        return
    for part, (column, *_) in zip(likelihood.parts, likelihood.columns, strict=True):
        if isinstance(part, Categorical) and X[:, column].max() >= part.n_outputs:
            raise ValueError(
                f"Column {column} has code {X[:, column].max():g}, but the largest of the fit is "
                f"{part.n_outputs - 1}. Fit with rows that have it, or encode unknown categories "
                "as one (OrdinalEncoder(handle_unknown='use_encoded_value', unknown_value=...))."
            )


def read_labels(labels: ArrayLike | None, n: int, needed: str) -> tuple[NDArray | None, NDArray]:
    """Labels of the rows of a fit as numbers, int64 of shape (n,), and the classes.

    Parameters
    ----------
    labels : array-like of shape (n,) or None
    n : int
        Rows.
    needed : str
        The parameter that wants labels, as 'name=value'; empty if none does.

    Raises
    ------
    ValueError
        If there are none and one does, or the reverse, or if they are not one for each row.
    """
    if labels is None:
        if needed:
            raise ValueError(f"{needed} needs labels: fit(X, labels=...), one for each row.")
        return None, np.empty(0)
    if not needed:
        raise ValueError(
            "labels were given, but neither prior='class' nor conditional=True uses them."
        )
    refuse_masks(labels, "labels")
    values = check_known(labels, "labels")
    if values.shape != (n,):
        raise ValueError(
            f"labels has shape {values.shape}, expected (n_samples,) = ({n},): one for "
            "each row of X."
        )
    classes, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int64), classes
