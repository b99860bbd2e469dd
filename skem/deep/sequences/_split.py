"""Sequences that early stopping holds out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from skem.deep.modules.draws import generator
from skem.deep.sequences._sequences import Sequences


def held_out(n: int, fraction: float) -> tuple[NDArray, NDArray]:
    """Numbers of sequences to train on, and of those that are held out, drawn as the fit draws.

    Raises
    ------
    ValueError
        If none is left to train on.
    """
    n_held_out = max(1, round(fraction * n))
    if n_held_out >= n:
        raise ValueError(
            f"validation_fraction={fraction:g} of {n} sequences leaves none to train on. Lower "
            "it, or set early_stopping=False."
        )
    order = torch.randperm(n, generator=generator()).numpy()
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def split(sequences: Sequences, fraction: float) -> tuple[Sequences, Sequences]:
    """To train on, and what is held out: of one long sequence its last part.

    Raises
    ------
    ValueError
        If too little is left to train on.
    """
    if len(sequences) == 1:
        return _cut(sequences, fraction)
    train, valid = held_out(len(sequences), fraction)
    return sequences.take(train), sequences.take(valid)


def _cut(sequences: Sequences, fraction: float) -> tuple[Sequences, Sequences]:
    tokens = sequences[0]
    n = len(tokens) - max(1, round(fraction * len(tokens)))
    if n < 2:
        raise ValueError(
            f"validation_fraction={fraction:g} of one sequence of {len(tokens)} tokens leaves too "
            "few to train on. Lower it, or set early_stopping=False."
        )
    return Sequences.of_lengths(tokens[:n], [n]), Sequences(tokens[n:], [0, len(tokens) - n])
