"""What rows and labels of a VAETransformer must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import gen_batches

from skem._input import refuse_masks
from skem._validation import check_known
from skem.deep.modules.likelihoods import Categorical, Likelihood, Mixed
from skem.deep.modules.priors import PRIORS
from skem.deep.vae._kinds import Range, columns_by_kind

_BLOCK = 1 << 18  # numbers that are looked at at once


def check_range(X: NDArray, likelihood: str | Sequence[str]) -> None:
    """Refuse values that a likelihood cannot have.

    Raises
    ------
    ValueError
        That names the likelihood, a column and the way out.
    """
    for kind, columns in columns_by_kind(likelihood, X.shape[1]):
        if kind.check is not None:
            kind.check(_range(X, columns))


def _range(X: NDArray, columns: NDArray) -> Range:
    low, high, codes = np.inf, -np.inf, np.ones(len(columns), dtype=bool)
    for rows in _blocks(X, columns):
        part = X[rows][:, columns]
        low, high = min(low, part.min()), max(high, part.max())
        codes &= ((part >= 0) & (part == np.floor(part))).all(axis=0)
    return Range(columns, low, high, codes)


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


def priors_that(declared: str, value: bool = True) -> list[str]:
    """Names of the priors that declare that, or that they do not."""
    return [name for name, kind in PRIORS.items() if getattr(kind, declared) == value]


def users_of_labels(joined: str) -> str:
    """The parameters, as 'name=value', that want labels."""
    priors = [f"prior={name!r}" for name in priors_that("needs_labels")]
    return joined.join([*priors, "conditional=True"])


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
        raise ValueError(f"labels were given, but neither {users_of_labels(' nor ')} uses them.")
    refuse_masks(labels, "labels")
    values = check_known(labels, "labels")
    if values.shape != (n,):
        raise ValueError(
            f"labels has shape {values.shape}, expected (n_samples,) = ({n},): one for "
            "each row of X."
        )
    classes, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int64), classes
