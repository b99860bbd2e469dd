"""Randomness that is a fit's own: torch's global state stays as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from sklearn.utils import check_random_state
from torch import Tensor

from skem.deep.modules.draws import own_generators

_LEAST = 2.0**-25
"""Half the step of float32 below 1; the normal quantile of 0 is not finite."""

SEEDS = 2**31 - 1
"""Seeds are below it, so that all generators take them."""


def draw_seed(random_state: Any) -> int:
    """A seed for torch, by ``random_state`` as everywhere in scikit-learn."""
    return int(check_random_state(random_state).randint(SEEDS))


@contextlib.contextmanager
def training(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, a fit draws by the seed, and gradients are kept, wherever it was called from.

    Neither `torch.no_grad` nor `torch.inference_mode` nor `torch.autocast` round the call reaches
    the fit; torch's global generators are left alone.

    Parameters
    ----------
    seed : int
    device : torch.device
    """
    with (
        own_generators(seed, device),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
    ):
        yield


def spread_uniform(n: int, d: int, seed: int) -> Tensor:
    """Points that cover the unit cube evenly, (n, d), float32: Sobol points.

    Dimensions beyond those that Sobol points have are drawn independently.
    """
    d_even = min(d, torch.quasirandom.SobolEngine.MAXDIM)
    sobol = torch.quasirandom.SobolEngine(d_even, scramble=True, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    others = torch.rand(n, d - d_even, dtype=torch.float32, generator=generator)
    return torch.cat([sobol.draw(n, dtype=torch.float32), others], dim=1)


def normal_at(points: Tensor, shift: Tensor) -> Tensor:
    """Standard normal draws from points of the unit cube that are moved round it.

    Parameters
    ----------
    points, shift : Tensor of float32, of shapes that broadcast
        With a shift that is uniform each draw is standard normal, and draws from the same points
        with other shifts are nearly independent (Cranley and Patterson 1976).
    """
    return torch.special.ndtri(torch.frac(points + shift).clamp(_LEAST, 1 - 2 * _LEAST))
