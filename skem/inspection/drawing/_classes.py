"""What the displays of classifiers have in common: the choice of classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def chosen_classes(classes: ArrayLike | None, known: NDArray) -> list[int]:
    """Numbers of the classes asked for, all by default.

    Raises
    ------
    ValueError
        If no class is given, or one is not among those of the fit.
    """
    if classes is None:
        return list(range(len(known)))
    if isinstance(classes, str) or np.ndim(classes) != 1 or np.size(classes) == 0:
        raise ValueError(f"classes must be a sequence of classes, got {classes!r}.")
    positions = {name: number for number, name in enumerate(known.tolist())}
    names = np.asarray(classes).tolist()
    for name in names:
        if name not in positions:
            raise ValueError(f"classes holds {name!r}, but those of the fit are {list(positions)}.")
    return [positions[name] for name in names]
