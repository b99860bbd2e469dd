"""Randomness that is a fit's own: torch's global state stays as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from sklearn.utils import check_random_state


def draw_seed(random_state: Any) -> int:
    """A seed for torch, by ``random_state`` as everywhere in scikit-learn."""
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextlib.contextmanager
def local_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Torch draws by the seed inside, on the CPU and that device, and goes on as before.

    Other devices are left alone, which `torch.manual_seed` would seed too.

    Parameters
    ----------
    seed : int
    device : torch.device
    """
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif device.type != "cpu":
            torch.get_device_module(device).manual_seed(seed)
        yield
