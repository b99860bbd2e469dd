"""From the parameters of a VAETransformer to its modules."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import gen_batches
from torch import Tensor, nn

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
_BLOCK = 1 << 18  # numbers that are summed at once
COLUMN_LIKELIHOODS = ("gaussian", "bernoulli", "categorical")


def check_range(X: NDArray, likelihood: str | Sequence[str]) -> None:
    """Refuse values that a likelihood cannot have.

    Raises
    ------
    ValueError
        That names the likelihood, a column and the way out.
    """
    kinds = [likelihood] * X.shape[1] if isinstance(likelihood, str) else list(likelihood)
    for kind in sorted(set(kinds)):
        columns = np.flatnonzero(np.asarray(kinds) == kind)
        part = X if len(columns) == X.shape[1] else X[:, columns]
        if kind == "bernoulli" and (part.min() < 0 or part.max() > 1):
            raise ValueError(
                "likelihood='bernoulli' needs X in [0, 1], zeros and ones or chances of ones; got "
                f"values from {part.min():g} to {part.max():g}. Scale X (MinMaxScaler), or use "
                "likelihood='gaussian'."
            )
        if kind == "multinomial" and part.min() < 0:
            raise ValueError(
                "Negative values in data passed to VAETransformer: likelihood='multinomial' needs "
                f"counts; got {part.min():g}. Use likelihood='gaussian' for real values."
            )
        if kind == "categorical" and (part.min() < 0 or (part != np.floor(part)).any()):
            column = columns[((part < 0) | (part != np.floor(part))).any(0)][0]
            raise ValueError(
                f"likelihood='categorical' of column {column} needs codes 0, 1, 2, ...; got other "
                "numbers. Encode categories first (OrdinalEncoder)."
            )


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


def units(
    X: NDArray, weight: NDArray | None, likelihood: str | Sequence[str], common: bool = False
) -> tuple[NDArray, NDArray]:
    """Means and standard deviations of 'gaussian' columns, float64; 0 and 1 for others.

    The deviation of a column that does not vary is 1. A common unit is the root of the mean
    variance.
    """
    kinds = [likelihood] * X.shape[1] if isinstance(likelihood, str) else list(likelihood)
    real = np.flatnonzero(np.asarray(kinds) == "gaussian")
    center, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
    if not len(real):
        return center, scale
    w = np.full(len(X), 1 / len(X)) if weight is None else weight / weight.sum()
    blocks = list(gen_batches(len(X), max(1, _BLOCK // len(real))))
    first = X[0, real].astype(np.float64)  # taken off: exact where a column does not vary
    mean = first + sum(w[rows] @ (X[rows, real] - first) for rows in blocks)
    deviation = np.sqrt(sum(w[rows] @ np.square(X[rows, real] - mean) for rows in blocks))
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
        return module, int(width)
    kind = ACTIVATIONS[activation]
    pairs = itertools.pairwise(sizes)
    modules = [m for a, b in pairs for m in (nn.Linear(a, b), kind())]
    if n_outputs is not None:
        modules.append(nn.Linear(sizes[-1], n_outputs))
    return nn.Sequential(*modules), sizes[-1] if n_outputs is None else n_outputs
