"""Axes, colours and texts of the displays. matplotlib is imported only when one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend
    from matplotlib.text import Text

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
"""Okabe and Ito (2008), "Color universal design": distinguishable with any colour vision."""

MAX_COLUMNS = 4
"""Panels next to each other, at most: more would be too narrow for their labels."""

GOLDEN = (5**0.5 - 1) / 2
"""Distance of successive hues of many components, as a share of the circle: the golden section."""


def axes_for(display: Any, ax: Any, height: float | None = None, width: float = 7.2) -> Axes:
    """The axes to draw on, new ones if None; sets ``display.ax_`` and ``display.figure_``.

    With a height in inches (and a width), a new figure makes room for what is outside the axes.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    plt = _pyplot(display)
    if ax is None:
        own = {} if height is None else {"figsize": (width, height), "layout": "constrained"}
        _, ax = plt.subplots(**own)
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def panels_for(display: Any, axes: Any, n_panels: int, height: float) -> NDArray:
    """One axes per panel, new ones of a height in inches if None; sets ``axes_`` and ``figure_``.

    Raises
    ------
    ValueError
        If the number of `axes` is not that of the panels.
    ImportError
        If matplotlib is not installed.
    """
    plt = _pyplot(display)
    if axes is None:
        n_rows = -(-n_panels // MAX_COLUMNS)
        n_columns = -(-n_panels // n_rows)
        size = (max(6.4, 3.6 * n_columns), height * n_rows)
        _, axes = plt.subplots(
            n_rows, n_columns, figsize=size, sharex=True, squeeze=False, layout="constrained"
        )
        for ax in axes.flat[n_panels:]:
            ax.remove()
        axes = axes.flat[:n_panels]
        for ax in axes:
            ax.xaxis.set_tick_params(labelbottom=True)
    axes = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if len(axes) != n_panels:
        raise ValueError(f"axes holds {len(axes)} axes for {n_panels} panels: give one for each.")
    display.axes_, display.figure_ = axes, axes[0].figure
    return axes


def _pyplot(display: Any) -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__}.plot needs matplotlib: install it "
            "(`pip install matplotlib`, or the extra `skem[plot]`)."
        ) from error
    return plt


def component_colors(n_components: int, colors: ArrayLike | None = None) -> NDArray:
    """A colour per component, RGB in [0, 1], of shape (n_components, 3).

    Without `colors`, they are the palette's; up to twenty are those of tab10 or tab20, and more are
    hues far apart. All are qualitative: components have no order, and should not look alike.

    Raises
    ------
    ValueError
        If `colors` holds fewer than n_components colours, or something that is not a colour.
    """
    import matplotlib
    from matplotlib.colors import hsv_to_rgb, to_rgba_array

    if colors is None:
        if n_components <= len(PALETTE):
            colors = PALETTE
        elif n_components <= 10:
            colors = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
        elif n_components <= 20:
            pairs = matplotlib.colormaps["tab20"].colors  # type: ignore[attr-defined]
            colors = pairs[::2] + pairs[1::2]  # of dark and light
        else:
            k = np.arange(n_components)
            parts = (
                k * GOLDEN % 1,
                np.array([0.9, 0.55])[k % 2],
                np.array([0.85, 0.95, 0.6])[k % 3],
            )
            colors = hsv_to_rgb(np.stack(parts, axis=1))
    rgb = to_rgba_array(colors)[:, :3]
    if len(rgb) < n_components:
        raise ValueError(
            f"colors holds {len(rgb)} colours for {n_components} components: give one for each."
        )
    return rgb[:n_components]


def verbatim(*texts: Text) -> None:
    """Draw names literally: a dollar sign, an underscore or a backslash is not mathematics."""
    for text in texts:
        text.set_parse_math(False)
        text.set_usetex(False)


def legend_for(ax: Axes, handles: Sequence[Any], names: Sequence[str], **style: Any) -> Legend:
    """A legend that shows names literally, also those that begin with an underscore."""
    legend = ax.legend(handles, [" "] * len(names), **style)
    for text, name in zip(legend.get_texts(), names, strict=True):
        verbatim(text)
        text.set_text(name)
    return legend
