"""What would not fit into the memory of the machine is refused before it is allocated."""

from __future__ import annotations

import os

_GIB = 2**30

_OF_A_START = 2048
"""Bytes of a start besides its parameters: the run, and the record of its bounds."""


def refuse_beyond_memory(needed: float, what: str, remedy: str) -> None:
    """Refuse what needs more bytes than the machine has; nothing if that is not known.

    Parameters
    ----------
    needed : float
        Bytes.
    what : str
        What needs them, with the name of the parameter, as the subject of a sentence.
    remedy : str
        What to do, as a sentence.

    Raises
    ------
    ValueError
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return
    if needed > memory:
        raise ValueError(
            f"{what} needs about {needed / _GIB:.3g} GiB, and this machine has "
            f"{memory / _GIB:.0f}. {remedy}"
        )


def refuse_starts_beyond_memory(n_init: int, numbers: float = 0.0) -> None:
    """The same for starts, which are all held at once; each needs so many bytes of ``numbers``."""
    refuse_beyond_memory(n_init * (numbers + _OF_A_START), f"n_init={n_init}", "Lower n_init.")
