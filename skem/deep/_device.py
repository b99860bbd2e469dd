"""Where a model is trained and used."""

from __future__ import annotations

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
