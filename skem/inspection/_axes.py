"""Axes and colours of the displays. matplotlib is imported here, and only when one is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008), "Color universal design": told apart with any colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")


def axes_for(display: Any, ax: Any) -> Axes:
    """The axes to draw on, new ones if None; sets ``display.ax_`` and ``display.figure_``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__}.plot needs matplotlib: install it "
            "(`pip install matplotlib`, or the extra `skem[plot]`)."
        ) from error
    if ax is None:
        _, ax = plt.subplots()
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def component_colors(n_components: int, colors: ArrayLike | None = None) -> NDArray:
    """A colour per component, RGB in [0, 1], of shape (n_components, 3).

    Without `colors` they are the palette's, or as many steps of viridis if it is too short.

    Raises
    ------
    ValueError
        If `colors` holds fewer than n_components colours, or something that is no colour.
    """
    import matplotlib
    from matplotlib.colors import to_rgba_array

    if colors is None:
        if n_components <= len(PALETTE):
            colors = PALETTE[:n_components]
        else:
            colors = matplotlib.colormaps["viridis"](np.linspace(0, 1, n_components))
    rgb = to_rgba_array(colors)[:, :3]
    if len(rgb) < n_components:
        raise ValueError(
            f"colors holds {len(rgb)} colours for {n_components} components: give one for each."
        )
    return rgb[:n_components]
