"""Rows in two dimensions of a latent space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skem.inspection.drawing._axes import axes_for, component_colors, legend_for, verbatim
from skem.inspection.drawing._columns import two_dimensions
from skem.inspection.drawing._steps import fitted_final_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.text import Text

LEGEND_ROWS = 12
"""Classes in a column of the legend, at most: as many as fit beside the axes."""


class LatentSpaceDisplay:
    """Rows in two dimensions of a latent space, coloured by their labels.

    Made by `from_estimator`, for anything with ``transform``. The prior means of a
    `VAETransformer` with ``prior='class'`` are drawn as the names of their classes.

    Parameters
    ----------
    points : array-like of shape (n_samples, 2)
        Rows in the latent space.
    labels : array-like of shape (n_samples,), default=None
        Class of each row; one colour for all by default.
    class_means : array-like of shape (n_classes, 2), default=None
        Prior mean of each class.
    classes : array-like of shape (n_classes,), default=None
        Names of those classes; by default the distinct labels, in sorted order.
    dimension_names : sequence of two str, default=("z0", "z1")
        Labels of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on; set by `plot`, as are the others.
    figure_ : matplotlib Figure
        The figure of the axes.
    scatters_ : list of matplotlib PathCollection
        The rows of each class, in sorted order.
    means_ : list of matplotlib Text
        The names of the classes at their prior means.
    legend_ : matplotlib Legend or None
        The classes with their colours.

    See Also
    --------
    ManifoldDisplay : What the points of the latent space are decoded to.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skem import VAETransformer
    >>> from skem.inspection import LatentSpaceDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> vae = VAETransformer(2, hidden_layer_sizes=(32,), max_epochs=20, random_state=0).fit(X)
    >>> display = LatentSpaceDisplay.from_estimator(vae, X, labels=y)
    >>> display.ax_.get_xlabel(), [text.get_text() for text in display.legend_.get_texts()]
    ('z0', ['0', '1', '2'])
    """

    ax_: Axes
    figure_: Figure
    scatters_: list[PathCollection]
    means_: list[Text]
    legend_: Legend | None

    def __init__(
        self,
        *,
        points: ArrayLike,
        labels: ArrayLike | None = None,
        class_means: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        dimension_names: Sequence[str] = ("z0", "z1"),
    ):
        self.points = np.asarray(points, dtype=np.float64)
        if self.points.ndim != 2 or self.points.shape[1] != 2:
            raise ValueError(f"points must have shape (n_samples, 2), got {self.points.shape}.")
        self.labels = None if labels is None else np.asarray(labels)
        if self.labels is not None and self.labels.shape != (len(self.points),):
            raise ValueError(
                f"labels has shape {self.labels.shape}, expected (n_samples,) = "
                f"({len(self.points)},): one for each row."
            )
        means = np.empty((0, 2)) if class_means is None else np.asarray(class_means, np.float64)
        self.class_means = means
        if classes is None:
            classes = () if self.labels is None else np.unique(self.labels)
        self.classes = np.asarray(classes)
        if len(means) and len(means) != len(self.classes):
            raise ValueError(f"classes holds {len(self.classes)} names for {len(means)} means.")
        self.dimension_names = dimension_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        labels: ArrayLike | None = None,
        dimensions: Sequence[int] = (0, 1),
        ax: Any = None,
        **kwargs: Any,
    ) -> LatentSpaceDisplay:
        """Draw rows in two dimensions of the latent space of a fitted transformer.

        Parameters
        ----------
        estimator : transformer
            Fitted, such as `VAETransformer`; also a pipeline that ends in one, or a search over
            such.
        X : array-like of shape (n_samples, n_features)
            Rows, or what the pipeline takes.
        labels : array-like of shape (n_samples,), default=None
            Class of each row, for the colours. A `VAETransformer` that is ``conditional`` gets
            them too.
        dimensions : sequence of two int, default=(0, 1)
            The latent dimensions of the two axes.
        ax : matplotlib Axes, default=None
            Where to draw; new axes by default.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        display : LatentSpaceDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no ``transform``.
        ValueError
            If dimensions are not two different ones of the latent space, or there are too few or
            too many labels.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "transform"):
            raise TypeError(
                "LatentSpaceDisplay draws the output of a transformer, and "
                f"{type(estimator).__name__} has no transform. For a pipeline that ends in a "
                "predictor, give the steps before it: pipeline[:-1]."
            )
        model, _ = fitted_final_step(estimator, None)
        seen = {"labels": labels} if getattr(model, "conditional", False) else {}
        points = np.asarray(estimator.transform(X, **seen))
        chosen = two_dimensions(dimensions, points.shape[1])
        means = getattr(model, "class_means_", None)
        return cls(
            points=points[:, chosen],
            labels=labels,
            class_means=None if means is None else means[:, chosen],
            classes=None if means is None else model.classes_,
            dimension_names=[f"z{j}" for j in chosen],
        ).plot(ax, **kwargs)

    def plot(
        self, ax: Any = None, *, colors: Any = None, scatter_kw: Mapping[str, Any] | None = None
    ) -> LatentSpaceDisplay:
        """Draw the rows, the prior means of classes, and a legend.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; new axes by default.
        colors : sequence of colours, default=None
            One for each class, in sorted order; by default up to seven of a palette that is safe
            for colour-blind readers, up to twenty of tab10 and tab20, and more in hues far apart.
        scatter_kw : dict, default=None
            Properties of the points, for matplotlib's ``scatter``.

        Returns
        -------
        display : LatentSpaceDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there are too few colours.
        ImportError
            If matplotlib is not installed.
        """
        ax = axes_for(self, ax, height=5.4)
        names, number = self._groups()
        rgb = component_colors(len(names), colors)
        style = {"s": 12, "linewidths": 0, "alpha": 0.7, "zorder": 2, **(scatter_kw or {})}
        self.scatters_ = [
            ax.scatter(*self.points[number == k].T, **{"color": rgb[k], "label": name, **style})
            for k, name in enumerate(names)
        ]
        self.means_ = []
        for name, (x, y) in zip(self.classes.tolist(), self.class_means, strict=False):
            edge = tuple(rgb[names.index(str(name))]) if str(name) in names else "0.3"
            box = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": edge}
            kind: dict[str, Any] = {"ha": "center", "va": "center", "bbox": box, "zorder": 4}
            self.means_.append(ax.text(x, y, str(name), clip_on=True, **kind))
        verbatim(*self.means_)
        if len(self.class_means):
            ax.update_datalim(self.class_means)
            ax.autoscale_view()
        names_of_axes = self.dimension_names
        verbatim(ax.set_xlabel(names_of_axes[0]), ax.set_ylabel(names_of_axes[1]))
        self.legend_ = None
        if self.labels is not None:
            self.legend_ = legend_for(
                ax,
                self.scatters_,
                names,
                loc="upper left",
                bbox_to_anchor=(1.0, 1.0),
                ncols=-(-len(names) // LEGEND_ROWS),
                markerscale=2,
            )
        return self

    def _groups(self) -> tuple[list[str], NDArray]:
        """Names of the classes that rows have, and the number of each row's."""
        if self.labels is None:
            return ["rows"], np.zeros(len(self.points), dtype=np.intp)
        names, number = np.unique(self.labels, return_inverse=True)
        return [str(name) for name in names.tolist()], number
