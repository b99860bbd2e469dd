"""Rows as small images or lines, many in the same axes.

Conventions: a cell is a square of side 1 with its centre at (column, row); rows go upwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D

INNER = 0.8
"""Share of a cell that a line takes; the rest separates it from its neighbours."""

GAP, MAX_GAP = 45, 3
"""Points of white between images, times the number of images along the longer side; and their
maximum."""


def check_image_shape(image_shape: Sequence[int] | None, n_features: int) -> tuple[int, ...] | None:
    """Height and width of an image of all columns, and perhaps 3 or 4 channels; None stays None."""
    if image_shape is None:
        return None
    shape = tuple(image_shape)
    whole = all(isinstance(side, Integral) and side > 0 for side in shape)
    if not whole or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3, 4)):
        raise ValueError(
            "image_shape must be (height, width) or (height, width, channels) with 1, 3 or 4 "
            f"channels, got {image_shape!r}."
        )
    if math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={shape} has {math.prod(shape)} pixels, and a row has {n_features} "
            "features."
        )
    return shape[:2] if shape[2:] == (1,) else shape


def draw_images(
    ax: Axes, cells: NDArray, image_shape: tuple[int, ...], style: Mapping[str, Any] | None
) -> AxesImage:
    """One image of all cells (n_rows, n_columns, n_features); the first row is at the bottom."""
    n_rows, n_columns = cells.shape[:2]
    height, width, *channels = image_shape
    tiles = cells[::-1].reshape(n_rows, n_columns, height, width, *channels)
    whole = tiles.swapaxes(1, 2).reshape(n_rows * height, n_columns * width, *channels)
    extent = (-0.5, n_columns - 0.5, -0.5, n_rows - 0.5)
    kwargs = {"cmap": "gray_r", "interpolation": "nearest", "extent": extent, **(style or {})}
    image = ax.imshow(whole, **kwargs)
    ax.set_aspect(height / width)
    ax.set_xticks(np.arange(n_columns + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(n_rows + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=min(GAP / max(n_rows, n_columns), MAX_GAP))
    ax.tick_params(which="minor", length=0)
    return image


def draw_lines(
    ax: Axes, cells: NDArray, low: float, high: float, style: Mapping[str, Any]
) -> list[Line2D]:
    """A line per cell (n_rows, n_columns, n_features): values over columns, low at the bottom."""
    n_rows, n_columns, d = cells.shape
    along = INNER * (np.linspace(0, 1, d) - 0.5) if d > 1 else np.zeros(1)
    share = (cells - low) / (high - low if high > low else 1.0)
    lines = []
    for i in range(n_rows):
        for k in range(n_columns):
            lines += ax.plot(k + along, i + INNER * (share[i, k] - 0.5), **style)
    ax.set_xlim(-0.5, n_columns - 0.5)
    ax.set_ylim(-0.5, n_rows - 0.5)
    return lines
