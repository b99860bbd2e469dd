"""What the names in ``likelihood`` stand for: modules, and columns that suit them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skem.deep.modules.likelihoods import (
    Bernoulli,
    Categorical,
    Gaussian,
    Likelihood,
    Mixed,
    Multinomial,
)


class Columns(NamedTuple):
    """Some columns, and the parameters that say more of their likelihood."""

    X: NDArray  # (n, d), with all columns
    numbers: NDArray  # of those columns
    log_scale: Tensor  # of those columns
    variance: str | float
    binarize: bool


class Range(NamedTuple):
    """Which numbers some columns hold."""

    numbers: NDArray  # of those columns
    low: float
    high: float
    codes: NDArray  # which of them hold codes 0, 1, ... only


class Kind(NamedTuple):
    """One name."""

    make: Callable[[Columns], Likelihood]
    check: Callable[[Range], None] | None = None  # refuses columns that it cannot be of
    for_all: bool = True  # whether it may be named for all columns at once,
    for_one: bool = True  # or for one of them
    apart: bool = False  # whether each column has a likelihood of its own
    has_units: bool = False  # whether networks see columns in units of their own
    positive_only: bool = False  # whether no number may be negative


# ---------------------------------------------------------------------- what is refused
def _check_chances(found: Range) -> None:
    if found.low < 0 or found.high > 1:
        raise ValueError(
            "likelihood='bernoulli' needs X in [0, 1], zeros and ones or chances of ones; got "
            f"values from {found.low:g} to {found.high:g}. Scale X (MinMaxScaler), or use "
            "likelihood='gaussian'."
        )


def _check_counts(found: Range) -> None:
    if found.low < 0:
        raise ValueError(
            "Negative values in data passed to VAETransformer: likelihood='multinomial' needs "
            f"counts; got {found.low:g}. Use likelihood='gaussian' for real values."
        )


def _check_codes(found: Range) -> None:
    if not found.codes.all():
        raise ValueError(
            f"likelihood='categorical' of column {found.numbers[~found.codes][0]} needs codes 0, "
            "1, 2, ...; got other numbers. Encode categories first (OrdinalEncoder)."
        )


# ---------------------------------------------------------------------- the kinds
def _categorical(part: Columns) -> Likelihood:
    return Categorical(int(part.X[:, part.numbers].max()) + 1)


KINDS: dict[str, Kind] = {
    "gaussian": Kind(lambda part: Gaussian(part.log_scale, part.variance), has_units=True),
    "bernoulli": Kind(
        lambda part: Bernoulli(len(part.numbers), dynamic=part.binarize),
        _check_chances,
        positive_only=True,
    ),
    "multinomial": Kind(
        lambda part: Multinomial(len(part.numbers)),
        _check_counts,
        for_one=False,
        positive_only=True,
    ),
    "categorical": Kind(_categorical, _check_codes, for_all=False, apart=True, positive_only=True),
}
LIKELIHOODS = tuple(name for name, kind in KINDS.items() if kind.for_all)
COLUMN_LIKELIHOODS = tuple(name for name, kind in KINDS.items() if kind.for_one)


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


def columns_by_kind(likelihood: str | Sequence[str], n_features: int) -> list[tuple[Kind, NDArray]]:
    """The kinds that there are, in the order of the table, and the numbers of their columns."""
    names = np.asarray(kinds_of(likelihood, n_features))
    return [(kind, np.flatnonzero(names == name)) for name, kind in KINDS.items() if name in names]


def make_likelihood(
    X: NDArray,
    scale: NDArray,
    *,
    likelihood: str | Sequence[str],
    variance: str | float,
    binarize: bool,
) -> Likelihood:
    """The likelihood of rows like X, standardised by the scale; a sequence has a kind a column."""
    log_scale = torch.tensor(np.log(scale), dtype=torch.float32)
    parts: list[tuple[Likelihood, list[int]]] = []
    for kind, columns in columns_by_kind(likelihood, X.shape[1]):
        for numbers in np.split(columns, len(columns)) if kind.apart else [columns]:
            part = Columns(X, numbers, log_scale[numbers], variance, binarize)
            parts.append((kind.make(part), numbers.tolist()))
    return parts[0][0] if isinstance(likelihood, str) else Mixed(parts)
