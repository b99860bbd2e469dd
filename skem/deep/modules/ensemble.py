"""Members of an ensemble: encoder–decoders of different first weights, trained beside each other.

Each member has a loss of its own, and sees the same batches. Members draw their dropout from
generators of their own, so that what a fit gives does not depend on how many threads there are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

from skem.deep.modules import draws
from skem.deep.modules.encoder_decoder import EncoderDecoder

_SEEDS = 1 << 31


class Ensemble(nn.Module):
    """One member or more.

    Parameters
    ----------
    members : iterable of EncoderDecoder
    n_threads : int, default=1
        Members that are trained at once on the CPU.
    """

    step: Tensor
    parts = EncoderDecoder.parts

    def __init__(self, members: Iterable[EncoderDecoder], n_threads: int = 1):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.n_threads = min(n_threads, len(self.members))
        self.register_buffer("step", torch.zeros(()), persistent=False)

    @property
    def separate(self) -> list[nn.Module]:
        """Modules whose gradients are clipped apart."""
        return list(self.members)

    def forward(self, *batch: Any) -> tuple[Tensor, tuple]:
        """Sum of the losses of a batch, and sums over its tokens and the members."""
        for member in self.members:
            own: Any = member.step
            own.copy_(self.step)
        if len(self.members) == 1:
            return self.members[0](*batch)
        device = self.step.device
        seeds = draws.integers(_SEEDS, len(self.members), device).tolist() if self.training else []
        if seeds and self.n_threads > 1 and device.type == "cpu":
            return _summed(self._trained_at_once(batch, seeds))
        found = []
        for i, member in enumerate(self.members):
            with draws.own_generators(seeds[i], device) if seeds else contextlib.nullcontext():
                found.append(member(*batch))
        return _summed(found)

    def _trained_at_once(self, batch: tuple, seeds: list[int]) -> list[tuple[Tensor, tuple]]:
        """Losses whose gradients the threads have found already."""

        def one(member: nn.Module, seed: int) -> tuple[Tensor, tuple]:
            weights = list(member.parameters())
            with draws.own_generators(seed, torch.device("cpu")):
                loss, parts = member(*batch)
                gradients = torch.autograd.grad(loss, weights)
            return _Known.apply(loss.detach(), gradients, *weights), parts

        with ThreadPoolExecutor(self.n_threads) as threads:
            return list(threads.map(one, self.members, seeds))


def _summed(found: list[tuple[Tensor, tuple]]) -> tuple[Tensor, tuple]:
    losses, parts = zip(*found, strict=True)
    return sum(losses[1:], losses[0]), tuple(sum(part) for part in zip(*parts, strict=True))


class _Known(torch.autograd.Function):
    """A loss, whose gradients by the weights are given."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: tuple[Tensor, ...], *weights: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(g * factor for g in ctx.gradients)
