"""From the parameters of a VAETransformer to its encoder and decoder."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from skem.deep.modules.draws import borrowed

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}


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
