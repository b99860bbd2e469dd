"""Where a model is trained and used."""

from __future__ import annotations

import contextlib
import threading
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
    """Hold torch to one thread on the CPU where layers are small, or the module starts threads.

    On cores that others use too, threads wait for each other at every small layer: fits were 40
    times slower than with one.

    torch gives a new thread the number that was set last in any thread: a fit that begins in one
    while another holds the number down brings back what there was before both.
    """
    largest = max((p.numel() for p in module.parameters() if p.ndim > 1), default=0)
    if n_rows * largest >= _LARGE and getattr(module, "n_threads", 1) == 1:
        yield
        return
    with _one_thread.lock:
        mine = torch.get_num_threads()
        if _one_thread.n_fits == 0:
            _one_thread.before = mine
        before = _one_thread.before if mine == 1 else mine
        _one_thread.n_fits += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _one_thread.lock:
            _one_thread.n_fits -= 1
            torch.set_num_threads(before)


class _OneThread:
    """How many fits hold torch to one thread, and how many threads there were before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_fits = 0
        self.before = 1


_one_thread = _OneThread()
