"""From the parameters of a VAETransformer to its modules."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import gen_batches
from torch import Tensor, nn

from skem.deep.modules.draws import borrowed
from skem.deep.modules.likelihoods import (
    Bernoulli,
    Categorical,
    Gaussian,
    Likelihood,
    Mixed,
    Multinomial,
)

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}
LIKELIHOODS = ("gaussian", "bernoulli", "multinomial")
_BLOCK = 1 << 18  # numbers that are looked at, or summed, at once
COLUMN_LIKELIHOODS = ("gaussian", "bernoulli", "categorical")


def check_range(X: NDArray, likelihood: str | Sequence[str]) -> None:
    """Refuse values that a likelihood cannot have.

    Raises
    ------
    ValueError
        That names the likelihood, a column and the way out.
    """
    kinds = [likelihood] * X.shape[1] if isinstance(likelihood, str) else list(likelihood)
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


# Units of a column at the most: squares of such numbers are still finite in float32.
_FARTHEST = 1e15


class UnitRows:
    """Rows as networks see them, float32 in units of the columns, made when they are read.

    A whole array of them beside the one that was given would be as large, and the float64 between
    twice that.

    Parameters
    ----------
    X : ndarray of shape (n_given, d)
    center, scale : ndarray of shape (d,), default=None
        Units; None for those of X.
    rows : ndarray of int of shape (n,), default=None
        Which rows of X, and in which order; all if None.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        X: NDArray,
        center: NDArray | None = None,
        scale: NDArray | None = None,
        rows: NDArray | None = None,
    ):
        self.X, self.center, self.scale, self.rows = X, center, scale, rows
        self.shape = (len(X if rows is None else rows), *X.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: Any) -> NDArray:
        """Rows by a slice or an array of numbers; not to be written to."""
        block = self.X[part if self.rows is None else self.rows[part]]
        if self.center is not None:
            block = (block - self.center) / self.scale
            np.clip(block, -_FARTHEST, _FARTHEST, out=block)
        return np.require(block, np.float32, ["C", "W"])

    def in_order(self, order: NDArray | None) -> NDArray:
        """All of them as one array, in that order; None for their own."""
        found = np.empty(self.shape, np.float32)
        for part in gen_batches(len(found), max(1, _BLOCK // self.shape[1])):
            found[part] = self[part if order is None else order[part]]
        return found


def units(
    X: NDArray,
    rows: NDArray,
    weight: NDArray | None,
    likelihood: str | Sequence[str],
    common: bool = False,
) -> tuple[NDArray, NDArray]:
    """Means and standard deviations of 'gaussian' columns, float64; 0 and 1 for others.

    Those of the rows of X with these numbers, and with these weights. The deviation of a column
    that does not vary is 1. A common unit is the root of the mean variance.
    """
    kinds = [likelihood] * X.shape[1] if isinstance(likelihood, str) else list(likelihood)
    real = np.flatnonzero(np.asarray(kinds) == "gaussian")
    center, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
    if not len(real):
        return center, scale
    n = len(rows)
    w = np.full(n, 1 / n) if weight is None else weight / weight.sum()
    parts = list(gen_batches(n, max(1, _BLOCK // len(real))))
    first = X[rows[0], real].astype(np.float64)  # taken off: exact where a column does not vary
    mean = first + sum(w[p] @ (X[rows[p]][:, real] - first) for p in parts)
    deviation = np.sqrt(sum(w[p] @ np.square(X[rows[p]][:, real] - mean) for p in parts))
    varies = deviation > 10 * np.finfo(X.dtype).eps * np.abs(mean)
    center[real], scale[real] = mean, np.where(varies, deviation, 1.0)
    if common and varies.any():
        scale[real] = np.sqrt(np.mean(np.where(varies, deviation, 0.0) ** 2))
    return center, scale


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
    if isinstance(likelihood, str):
        return _one_kind(likelihood, log_scale, variance, binarize)
    kinds = np.asarray(list(likelihood))
    parts: list[tuple[Likelihood, list[int]]] = []
    for kind in ("gaussian", "bernoulli"):
        columns = np.flatnonzero(kinds == kind).tolist()
        if columns:
            parts.append((_one_kind(kind, log_scale[columns], variance, binarize), columns))
    for column in np.flatnonzero(kinds == "categorical").tolist():
        parts.append((Categorical(int(X[:, column].max()) + 1), [column]))
    return Mixed(parts)


def _one_kind(kind: str, log_scale: Tensor, variance: str | float, binarize: bool) -> Likelihood:
    if kind == "bernoulli":
        return Bernoulli(len(log_scale), dynamic=binarize)
    if kind == "multinomial":
        return Multinomial(len(log_scale))
    return Gaussian(log_scale, variance)


def network(
    given: Any, name: str, sizes: Sequence[int], activation: str, n_outputs: int | None
) -> tuple[nn.Module, int]:
    """A network of the user, or layers of those sizes; and how many numbers it gives.

    Parameters
    ----------
    given : callable or None
        ``given(n_inputs, n_outputs)`` returns a module; for an encoder n_outputs is None and the
        module says its own by an attribute ``n_outputs``.
    name : str
        The parameter.
    sizes : sequence of int
        From the inputs on, without the outputs.
    n_outputs : int or None
        Of a last linear layer; None adds none.
    """
    if given is not None:
        with borrowed(torch.device("cpu")):
            module = given(sizes[0], n_outputs)
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"{name}(n_inputs, n_outputs) must return a torch.nn.Module, got "
                f"{type(module).__name__}."
            )
        width = n_outputs if n_outputs is not None else getattr(module, "n_outputs", None)
        if width is None:
            raise TypeError(
                f"The module that {name} returns needs an attribute n_outputs: how many numbers "
                "it gives for each row."
            )
        return module.float(), int(width)
    kind = ACTIVATIONS[activation]
    pairs = itertools.pairwise(sizes)
    modules = [m for a, b in pairs for m in (nn.Linear(a, b), kind())]
    if n_outputs is not None:
        modules.append(nn.Linear(sizes[-1], n_outputs))
    return nn.Sequential(*modules), sizes[-1] if n_outputs is None else n_outputs
