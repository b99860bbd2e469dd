"""From the parameters of a VAETransformer to its modules."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
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
