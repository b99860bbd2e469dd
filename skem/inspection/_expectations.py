"""Empirical against model expectations of the features of a maximum-entropy model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem.inspection.drawing._axes import axes_for, component_colors, legend_for, verbatim
from skem.inspection.drawing._classes import chosen_classes
from skem.inspection.drawing._columns import all_feature_names
from skem.inspection.drawing._steps import fitted_final_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation

DECADES = 2
"""Spread of the expectations from which the axes are logarithmic by default."""

VISIBLE = 0.005
"""Share of the axes: a point nearer to the diagonal looks as if it were on it."""

APART = np.array([0.25, 0.04])
"""Shares of the axes: names that are nearer to each other, across and up, cannot be read."""

ROOM_LEFT, ROOM_RIGHT = 0.45, 0.15
"""Shares of the axes that a name needs at each side of its point; it is on the side away from the
diagonal, if there is room."""

MANY = 300
"""Number of points above which they are drawn smaller."""

MARGIN = 0.05
"""Share of the axes that is left free at each end."""


class ExpectationsDisplay:
    """Expectation of each feature under the model, plotted over that in the data.

    Made by `from_estimator`, for any estimator with ``feature_expectations_``. Maximum entropy
    requires that they are equal: without a penalty all points are on the diagonal, and a penalty
    determines how far they may be from it. The points that are drawn farthest from it are labelled.

    Parameters
    ----------
    empirical : array-like of shape (n_classes, n_features) or (n_features,)
        Means of the features over the data: x_j 1[y = c], or joint features f(x, c).
    model : array-like of the same shape
        Their means under the model.
    classes : sequence of length n_classes, default=None
        Names of the classes; 0, 1, ... by default.
    feature_names : sequence of str of length n_features, default=None
        Names of the features; x0, x1, ... by default.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on; set by `plot`, as are the others.
    figure_ : matplotlib Figure
        The figure of the axes.
    scatters_ : list of matplotlib PathCollection
        The points of each class.
    diagonal_ : matplotlib Line2D
        Where both expectations are equal.
    annotations_ : list of matplotlib Annotation
        The names of the farthest points, the farthest first.

    See Also
    --------
    WeightsDisplay : The largest weights of each class.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skem import MaxEntClassifier
    >>> from skem.inspection import ExpectationsDisplay
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> classifier = MaxEntClassifier(C=1e-4).fit(X, y)  # a strong penalty
    >>> display = ExpectationsDisplay.from_estimator(classifier)
    >>> display.ax_.get_xscale()
    'log'
    >>> display.annotations_[0].get_text()
    'flavanoids'
    """

    ax_: Axes
    figure_: Figure
    scatters_: list[PathCollection]
    diagonal_: Line2D
    annotations_: list[Annotation]

    def __init__(
        self,
        *,
        empirical: ArrayLike,
        model: ArrayLike,
        classes: Sequence[Any] | None = None,
        feature_names: Sequence[str] | None = None,
    ):
        shapes = np.shape(empirical), np.shape(model)
        if shapes[0] != shapes[1]:
            raise ValueError(f"empirical and model must have one shape, got {shapes}.")
        self.empirical = np.atleast_2d(np.asarray(empirical, dtype=np.float64))
        self.model = np.atleast_2d(np.asarray(model, dtype=np.float64))
        n_rows, n_features = self.empirical.shape
        if classes is None and len(shapes[0]) == 2:
            classes = range(n_rows)
        self.classes = None if classes is None else [str(name) for name in classes]
        self.feature_names = all_feature_names(self, feature_names, n_features)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        feature_names: Sequence[str] | None = None,
        classes: ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> ExpectationsDisplay:
        """Draw the expectations of a fitted estimator.

        Parameters
        ----------
        estimator : estimator with ``feature_expectations_``
            Fitted; also a pipeline that ends in one, or a search over such.
        feature_names : sequence of str of length n_features, default=None
            Names of the features; by default those that the pipeline or the classifier knows
            (``feature_names_in_``, ``feature_names_``), else x0, x1, ...
        classes : sequence of classes, default=None
            The classes that are drawn; all by default.
        ax : matplotlib Axes, default=None
            Where to draw; new axes by default.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        display : ExpectationsDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no ``feature_expectations_``.
        ValueError
            If there are too few or too many names, or a class is not one of the fit.
        ImportError
            If matplotlib is not installed.
        """
        classifier, feature_names = fitted_final_step(estimator, feature_names)
        if not hasattr(classifier, "feature_expectations_"):
            raise TypeError(
                "ExpectationsDisplay draws maximum-entropy models (feature_expectations_), got "
                f"{type(classifier).__name__}."
            )
        empirical, model = (
            np.asarray(classifier.feature_expectations_[name]) for name in ("empirical", "model")
        )
        names = all_feature_names(classifier, feature_names, empirical.shape[-1])
        if empirical.ndim == 1:
            if classes is not None:
                raise ValueError(
                    "classes must be None for joint features: one expectation is of all classes."
                )
            drawn = None
        else:
            chosen = chosen_classes(classes, classifier.classes_)
            empirical, model = empirical[chosen], model[chosen]
            drawn = [classifier.classes_[c] for c in chosen]
        display = cls(empirical=empirical, model=model, classes=drawn, feature_names=names)
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        n_names: int = 5,
        scale: str = "auto",
        colors: Any = None,
        scatter_kw: Mapping[str, Any] | None = None,
    ) -> ExpectationsDisplay:
        """Draw points, diagonal and names.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; new axes by default.
        n_names : int, default=5
            Maximum number of points that are labelled: those that are drawn farthest from the
            diagonal, so on log axes those of the largest ratio. A point that seems to be on it has
            no name, and neither has a point whose name would cover another one.
        scale : {'auto', 'linear', 'log'}, default='auto'
            Scale of both axes. 'auto' is log if all expectations are positive and spread over two
            decades or more, otherwise linear. On log axes, expectations that are not positive are
            not drawn.
        colors : sequence of colours, default=None
            One per class; by default a palette that is safe for colour-blind readers.
        scatter_kw : dict, default=None
            Properties of the points, for matplotlib's ``scatter``.

        Returns
        -------
        display : ExpectationsDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `n_names` or `scale` is invalid, or there are too few colours.
        ImportError
            If matplotlib is not installed.
        """
        if isinstance(n_names, bool) or not isinstance(n_names, Integral) or n_names < 0:
            raise ValueError(f"n_names must be an integer of at least 0, got {n_names!r}.")
        scale = self._scale(scale)
        ax = axes_for(self, ax)
        rgb = component_colors(len(self.empirical), colors)
        names = [None] * len(rgb) if self.classes is None else self.classes
        many = self.empirical.size > MANY
        self.scatters_ = []
        for c, name in enumerate(names):
            style = {
                "s": 8 if many else 18,
                "linewidths": 0,
                "alpha": 0.6 if many else 0.8,
                "label": name,
                "color": rgb[c],
                **(scatter_kw or {}),
            }
            self.scatters_.append(ax.scatter(self.empirical[c], self.model[c], **style))
        ax.set_xscale(scale)
        ax.set_yscale(scale)
        limits = self._limits(ax)
        (self.diagonal_,) = ax.plot(limits, limits, color="0.6", linewidth=1, zorder=0)
        ax.set(xlim=limits, ylim=limits, aspect="equal")
        self._name_farthest(ax, rgb, int(n_names))
        ax.set_xlabel("expectation in the data")
        ax.set_ylabel("expectation under the model")
        if self.classes is not None:
            legend_for(ax, self.scatters_, self.classes)
        return self

    def _scale(self, scale: str) -> str:
        values = np.concatenate([self.empirical.ravel(), self.model.ravel()])
        if scale == "log" and not (values > 0).any():
            raise ValueError("scale must not be 'log': no expectation is positive.")
        if scale in ("linear", "log"):
            return scale
        if scale != "auto":
            raise ValueError(f"scale must be 'auto', 'linear' or 'log', got {scale!r}.")
        spread = values.min() > 0 and values.max() >= 10**DECADES * values.min()
        return "log" if spread else "linear"

    def _limits(self, ax: Axes) -> NDArray:
        """The ends of both axes: those of all values, and a margin."""
        values = np.concatenate([self.empirical.ravel(), self.model.ravel()])
        if ax.get_xscale() == "log":
            values = values[values > 0]
        transform = ax.xaxis.get_transform()
        low, high = transform.transform(np.array([values.min(), values.max()]))
        margin = MARGIN * (high - low) or 0.5
        return transform.inverted().transform(np.array([low - margin, high + margin]))

    def _name_farthest(self, ax: Axes, rgb: NDArray, n_names: int) -> None:
        points = np.stack([self.empirical.ravel(), self.model.ravel()], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            places = (ax.transScale + ax.transLimits).transform(points)
        distance = np.abs(places[:, 1] - places[:, 0])
        distance[(points <= 0).any(axis=1) & (ax.get_xscale() == "log")] = 0
        named: list[NDArray] = []
        self.annotations_ = []
        for i in np.argsort(-distance, kind="stable"):
            if len(named) == n_names or distance[i] < VISIBLE:
                break
            if any((np.abs(places[i] - other) < APART).all() for other in named):
                continue
            named.append(places[i])
            c, j = divmod(int(i), len(self.feature_names))
            above = points[i, 1] > points[i, 0]
            left = bool(places[i, 0] > (ROOM_LEFT if above else 1 - ROOM_RIGHT))
            self.annotations_.append(
                _annotate(ax, self.feature_names[j], points[i], left, 0.75 * rgb[c])
            )


def _annotate(ax: Axes, name: str, point: NDArray, left: bool, color: NDArray) -> Annotation:
    """A name at its point, to the left and up or to the right and down."""
    annotation = ax.annotate(
        name,
        (point[0], point[1]),
        xytext=(-5, 3) if left else (5, -3),
        textcoords="offset points",
        ha="right" if left else "left",
        va="bottom" if left else "top",
        fontsize="small",
        color=tuple(color),
    )
    verbatim(annotation)
    return annotation
