"""The parts of a picture of a Gaussian mixture in the plane. Shapes are those of `_plane`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skem.inspection.drawing._plane import PlaneMixture, ellipse_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.contour import QuadContourSet
    from matplotlib.legend import Legend
    from matplotlib.patches import Ellipse

N_GRID = 200
"""Points of the grid along each axis: contours look smooth at the usual sizes of figures."""


def draw_points(
    ax: Axes, points: NDArray, colors: NDArray, scatter_kw: Mapping[str, Any] | None
) -> PathCollection:
    """Scatter the points that have both coordinates."""
    placed = ~np.isnan(points).any(axis=1)
    style = {"s": 16, "linewidths": 0, "alpha": 0.85, "zorder": 2, **(scatter_kw or {})}
    style.setdefault("c", colors[placed])
    return ax.scatter(*points[placed].T, **style)


def draw_ellipses(
    ax: Axes, mixture: PlaneMixture, rgb: NDArray, contents: NDArray
) -> list[list[Ellipse]]:
    """Ellipses of each component, and its number at its mean."""
    from matplotlib.patches import Ellipse

    ellipses = []
    for k, (mean, covariance) in enumerate(zip(mixture.means, mixture.covariances, strict=True)):
        color = tuple(rgb[k])
        own = []
        for content in contents:
            major, minor, angle = ellipse_axes(covariance, content)
            ellipse = Ellipse(
                tuple(mean),
                major,
                minor,
                angle=angle,
                facecolor=(*color, 0.1),
                edgecolor=color,
                linewidth=1.5,
                zorder=3,
            )
            ax.add_patch(ellipse)
            own.append(ellipse)
        ellipses.append(own)
        box = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": color}
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": "small", "bbox": box}
        ax.text(mean[0], mean[1], str(k), zorder=5, clip_on=True, **style)
    ax.update_datalim(mixture.means)
    ax.autoscale_view()
    return ellipses


def draw_density(ax: Axes, mixture: PlaneMixture, contents: NDArray) -> QuadContourSet:
    """Contours of the density inside which the mixture has these probabilities."""
    (left, bottom), (right, top) = mixture.extent()
    x, y = np.linspace(left, right, N_GRID), np.linspace(bottom, top, N_GRID)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    density = mixture.density(grid.reshape(-1, 2)).reshape(N_GRID, N_GRID)
    levels = mixture.density_levels(contents)
    return ax.contour(x, y, density, levels, colors="0.35", linewidths=0.8, zorder=1)


def draw_legend(ax: Axes, weights: NDArray, rgb: NDArray, contents: NDArray) -> Legend:
    """A legend of the components with their weights, and the contents of the ellipses."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=tuple(color), marker="o", label=f"{k}: weight {weight:.2f}")
        for k, (weight, color) in enumerate(zip(weights, rgb, strict=True))
    ]
    held = ", ".join(f"{100 * content:g} %" for content in contents)
    return ax.legend(handles=handles, title=f"ellipses hold {held}" if held else None)
