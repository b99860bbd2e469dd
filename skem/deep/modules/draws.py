"""Random draws of modules: from generators of the fit or call that runs in this thread.

torch's own layers draw from one generator for the whole process, so that two fits in two threads
would take numbers from each other. `own_generators` gives the thread generators of its own for a
while; outside of it these functions draw from torch's global one, as torch does.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor


class _Own(threading.local):
    """Generators of this thread by type of device, and others for callbacks; None is torch's."""

    main: dict[str, torch.Generator] | None = None
    aside: dict[str, torch.Generator] | None = None


_own = _Own()
_borrowing = threading.RLock()


def _seeded(seed: int, device: torch.device) -> dict[str, torch.Generator]:
    devices = {"cpu": torch.device("cpu"), device.type: device}
    return {kind: torch.Generator(d).manual_seed(seed) for kind, d in devices.items()}


@contextlib.contextmanager
def own_generators(seed: int, device: torch.device) -> Iterator[None]:
    """In this thread draws on the CPU and on that device follow the seed."""
    before = _own.main, _own.aside
    _own.main, _own.aside = _seeded(seed, device), _seeded(seed + 1, device)
    try:
        yield
    finally:
        _own.main, _own.aside = before


@contextlib.contextmanager
def set_aside() -> Iterator[None]:
    """What is drawn inside, by a callback that calls the module, is not missing afterwards."""
    before = _own.main
    _own.main = _own.aside
    try:
        yield
    finally:
        _own.main = before


def generator(device: torch.device | None = None) -> torch.Generator | None:
    """What this thread draws from on a device (default: the CPU); None is torch's global one."""
    if _own.main is None:
        return None
    return _own.main.get("cpu" if device is None else device.type)


@contextlib.contextmanager
def borrowed(device: torch.device) -> Iterator[None]:
    """Code that only knows torch's global generators draws from those of this thread.

    For networks of the user's own, whose dropout takes no generator. One thread at a time: the
    global ones get the state of this thread's, and are afterwards as they were.
    """
    if _own.main is None:
        yield
        return
    lenders = _own.main
    with _borrowing:
        pairs = [(torch.default_generator, lenders["cpu"])]
        if device.type == "cuda":
            index = torch.cuda.current_device() if device.index is None else device.index
            pairs.append((torch.cuda.default_generators[index], lenders["cuda"]))
        before = [shared.get_state() for shared, _ in pairs]
        for shared, own in pairs:
            shared.set_state(own.get_state())
        _own.main = None  # draws of skem's own layers are in one sequence with those of the others
        try:
            yield
        finally:
            _own.main = lenders
            for (shared, own), state in zip(pairs, before, strict=True):
                own.set_state(shared.get_state())
                shared.set_state(state)


class OwnInitialisation(torch.overrides.TorchFunctionMode):
    """Inside, torch's layers draw their first weights from the generator of this thread.

    And they are float32, whatever torch's default is.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _INITIALISERS and kwargs.get("generator") is None:
            tensor = next((a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)), None)
            kwargs["generator"] = generator(None if tensor is None else tensor.device)
        if func in _FLOATS and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32
        return func(*args, **kwargs)


_FLOATS = frozenset([torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn])
_INITIALISERS = frozenset(
    [
        *("normal_", "uniform_", "trunc_normal_", "bernoulli_", "randn", "rand", "randperm"),
        *("kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_"),
        *("orthogonal_", "sparse_"),
    ]
)


# ---------------------------------------------------------------------- draws
def _outside_of_compiled(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Draw apart from a compiled module, which knows no generator but the global ones."""
    apart = torch.compiler.disable(draw)

    @functools.wraps(draw)
    def drawn(*args: Any) -> Tensor:
        return apart(*args) if torch.compiler.is_compiling() else draw(*args)

    return drawn


@_outside_of_compiled
def normal(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Standard normal numbers of that shape, in the type and on the device of ``like``."""
    own = generator(like.device)
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=own)


@_outside_of_compiled
def uniform(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Numbers in [0, 1) of that shape, float32."""
    return torch.rand(shape, dtype=torch.float32, device=device, generator=generator(device))


@_outside_of_compiled
def bernoulli(chances: Tensor) -> Tensor:
    """Zeros and ones with these chances of a one."""
    return torch.bernoulli(chances, generator=generator(chances.device))


@_outside_of_compiled
def integers(n: int, size: int, device: torch.device) -> Tensor:
    """Numbers in 0, ..., n - 1, (size,)."""
    return torch.randint(n, (size,), device=device, generator=generator(device))


@_outside_of_compiled
def choice(chances: Tensor) -> Tensor:
    """A number in each row (..., K) of chances, (...)."""
    rows = chances.reshape(-1, chances.shape[-1])
    drawn = torch.multinomial(rows, 1, generator=generator(chances.device))
    return drawn.reshape(chances.shape[:-1])


@_outside_of_compiled
def dropout_mask(shape: tuple[int, ...], rate: float, like: Tensor) -> Tensor:
    """Zeros with that chance, 1 / (1 - rate) otherwise."""
    kept = like.new_empty(shape).bernoulli_(1 - rate, generator=generator(like.device))
    return kept.div_(1 - rate)


def dropout(x: Tensor, rate: float, training: bool = True) -> Tensor:
    """Each number zero with that chance in training, and larger in return otherwise."""
    if not (training and rate):
        return x
    return x * dropout_mask(tuple(x.shape), rate, x)
