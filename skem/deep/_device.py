"""Where a model is trained and used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def resolve_device(name: str | torch.device) -> torch.device:
    """A device by its name; 'auto' is CUDA where there is one.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={str(name)!r} is not a device that torch can use here ({error}). Use 'auto' "
            "or 'cpu'."
        ) from error
    return device


def device_named(name: str) -> torch.device | None:
    """The device of that name; None if it says 'auto', or there is no such device here."""
    if name == "auto":
        return None
    try:
        return resolve_device(name)
    except ValueError:
        return None


def same_device(wanted: torch.device, device: torch.device) -> bool:
    """Whether a device is the one wanted, which may be any of a type ('cuda')."""
    return wanted.type == device.type and wanted.index in (None, device.index)


# Products of a layer, rows x inputs x outputs, from which on threads are worth their barriers.
_LARGE = 1 << 23


@contextlib.contextmanager
def threads_for(module: torch.nn.Module, n_rows: int) -> Iterator[None]:
    """Hold torch to one thread on the CPU where layers are small.

    On cores that others use too, threads wait for each other at every small layer: fits were 40
    times slower than with one.
    """
    before = torch.get_num_threads()
    largest = max((p.numel() for p in module.parameters() if p.ndim > 1), default=0)
    if n_rows * largest < _LARGE:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
