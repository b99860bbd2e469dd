"""Randomness that is a fit's own: torch's global state stays as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from sklearn.utils import check_random_state


@contextlib.contextmanager
def local_seed(random_state: Any, device: torch.device) -> Iterator[None]:
    """Torch draws by ``random_state`` inside, on the CPU and that device, and goes on as before.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        As everywhere in scikit-learn.
    device : torch.device
    """
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
