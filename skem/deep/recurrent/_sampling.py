"""How the next token is drawn from its distribution."""

from __future__ import annotations

from numbers import Integral, Real
from typing import NamedTuple

import torch
from torch import Tensor

from skem.deep.modules import draws

_COLDEST = 1e-30  # beyond it nothing changes, and float32 ends


class Choice(NamedTuple):
    """Among which tokens is drawn, and how boldly; see `RNNLanguageModel.generate`."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def check(self) -> Choice:
        """Refuse what is out of range.

        Raises
        ------
        ValueError
            It names the parameter.
        """
        t, k, p = self
        if not isinstance(t, Real) or not 0 < t < float("inf"):
            raise ValueError(
                f"temperature must be a number above 0, got {t!r}. top_k=1 takes the likeliest."
            )
        if k is not None and (not isinstance(k, Integral) or k < 1):
            raise ValueError(f"top_k must be an integer of at least 1, or None; got {k!r}.")
        if p is not None and (not isinstance(p, Real) or not 0 < p <= 1):
            raise ValueError(f"top_p must be a number above 0, and 1 at most, or None; got {p!r}.")
        return self


def restricted(log_p: Tensor, choice: Choice) -> Tensor:
    """Log-probabilities of what is drawn from, (n, V), from those of the model.

    top_k and top_p are taken after the temperature, top_k first.
    """
    # Relative to the likeliest, which stays at zero however cold it is.
    temperature = min(max(choice.temperature, _COLDEST), 1 / _COLDEST)
    log_p = ((log_p - log_p.amax(-1, keepdim=True)) / temperature).log_softmax(-1)
    order = log_p.argsort(dim=-1, descending=True, stable=True)
    rank = order.argsort(-1)
    if choice.top_k is not None:
        log_p = log_p.masked_fill(rank >= choice.top_k, -torch.inf).log_softmax(-1)
    if choice.top_p is not None:
        p = log_p.exp().gather(-1, order)
        before = (p.cumsum(-1) - p).gather(-1, rank)  # of likelier ones
        log_p = log_p.masked_fill((before >= choice.top_p) & (rank > 0), -torch.inf)
    return log_p.log_softmax(-1)


def chosen(log_p: Tensor, choice: Choice) -> Tensor:
    """Ids that are drawn, (n,), by the random state of the call."""
    if choice.top_k == 1:
        return log_p.argmax(-1)
    return draws.choice(restricted(log_p, choice).exp())
