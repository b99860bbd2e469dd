"""The largest weights of a linear classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from skem.inspection.drawing._axes import PALETTE, panels_for, verbatim
from skem.inspection.drawing._classes import chosen_classes
from skem.inspection.drawing._columns import all_feature_names
from skem.inspection.drawing._steps import fitted_final_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure

POSITIVE, NEGATIVE = PALETTE[0], PALETTE[4]


class WeightsDisplay:
    """The largest weights of a linear classifier, by absolute value, as bars with their signs.

    Made by `from_estimator`, for anything with ``coef_`` and ``classes_``. A positive weight
    favours the class of its panel the more the larger the feature is. Two classes have one panel,
    for the second against the first, and joint features f(x, c) have one for all classes. Weights
    that are zero are not drawn. Weights of features in different units are not comparable; `scale`
    converts them.

    Parameters
    ----------
    weights : array-like of shape (n_panels, n_features)
        Weights.
    titles : sequence of str of length n_panels, default=None
        Titles of the panels.
    labels : sequence of str of length n_panels, default=None
        Labels of their horizontal axes, "weight" by default.
    feature_names : sequence of str of length n_features, default=None
        Names of the features; x0, x1, ... by default.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        The axes drawn on; set by `plot`, as are the others.
    figure_ : matplotlib Figure
        The figure of the axes.
    bars_ : list of matplotlib BarContainer
        The bars of each panel, the largest first.

    See Also
    --------
    ExpectationsDisplay : Empirical against model expectations of the features.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skem import MaxEntClassifier
    >>> from skem.inspection import WeightsDisplay
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> classifier = MaxEntClassifier(C=0.1).fit(X, y)
    >>> display = WeightsDisplay.from_estimator(classifier, n_weights=5, scale=X.std())
    >>> [ax.get_title() for ax in display.axes_]
    ['0', '1', '2']
    >>> [label.get_text() for label in display.axes_[0].get_yticklabels()][:2]
    ['proline', 'alcalinity_of_ash']
    """

    axes_: NDArray
    figure_: Figure
    bars_: list[BarContainer]

    def __init__(
        self,
        *,
        weights: ArrayLike,
        titles: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
    ):
        self.weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))
        n_panels, n_features = self.weights.shape
        self.titles = [""] * n_panels if titles is None else titles
        self.labels = ["weight"] * n_panels if labels is None else labels
        self.feature_names = all_feature_names(self, feature_names, n_features)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        feature_names: Sequence[str] | None = None,
        n_weights: int = 10,
        classes: ArrayLike | None = None,
        scale: ArrayLike | None = None,
        axes: Any = None,
        **kwargs: Any,
    ) -> WeightsDisplay:
        """Draw the largest weights of a fitted classifier.

        Parameters
        ----------
        estimator : classifier with ``coef_`` and ``classes_``
            Fitted; also a pipeline that ends in one, or a search over such.
        feature_names : sequence of str of length n_features, default=None
            Names of the features; by default those that the pipeline or the classifier knows
            (``feature_names_in_``, ``feature_names_``), else x0, x1, ...
        n_weights : int, default=10
            Maximum number of weights in a panel.
        classes : sequence of classes, default=None
            The classes that have a panel; all by default, or the second of two. The weights of the
            first of two classes are those of the second with the opposite sign.
        scale : array-like of shape (n_features,), default=None
            Factors for the weights. With the standard deviations of the features, weights are per
            standard deviation, and features in different units are comparable.
        axes : matplotlib Axes or array-like of them, default=None
            Where to draw, one for each panel; a new figure by default.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        display : WeightsDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no ``coef_`` and ``classes_``, or weights of pairs of classes.
        ValueError
            If there are too few or too many names, scales or axes, or a class is not one of the
            fit.
        ImportError
            If matplotlib is not installed.
        """
        classifier, feature_names = fitted_final_step(estimator, feature_names)
        weights = _weights(classifier)
        names = all_feature_names(classifier, feature_names, weights.shape[-1])
        if scale is not None:
            weights = weights * _check_scale(scale, len(names))
        weights, titles, labels = _panels(weights, classifier, classes)
        if scale is not None:
            labels = [label.replace("weight", "weight × scale") for label in labels]
        display = cls(weights=weights, titles=titles, labels=labels, feature_names=names)
        return display.plot(axes, n_weights=n_weights, **kwargs)

    def plot(
        self,
        axes: Any = None,
        *,
        n_weights: int = 10,
        bar_kw: Mapping[str, Any] | None = None,
    ) -> WeightsDisplay:
        """Draw the bars.

        Parameters
        ----------
        axes : matplotlib Axes or array-like of them, default=None
            Where to draw, one for each panel; a new figure by default.
        n_weights : int, default=10
            Maximum number of weights in a panel.
        bar_kw : dict, default=None
            Properties of all bars, for matplotlib's ``barh``.

        Returns
        -------
        display : WeightsDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the number of `axes` is not that of the panels, or `n_weights` is not a positive
            integer.
        ImportError
            If matplotlib is not installed.
        """
        if isinstance(n_weights, bool) or not isinstance(n_weights, Integral) or n_weights < 1:
            raise ValueError(f"n_weights must be a positive integer, got {n_weights!r}.")
        shown = min(int(n_weights), self.weights.shape[1])
        panels = panels_for(self, axes, len(self.weights), height=1.2 + 0.24 * shown)
        self.bars_ = [self._draw(ax, panel, shown, bar_kw or {}) for panel, ax in enumerate(panels)]
        return self

    def _draw(self, ax: Axes, panel: int, shown: int, bar_kw: Mapping[str, Any]) -> BarContainer:
        """Bars of one panel, the largest at the top."""
        weights = self.weights[panel]
        largest = np.argsort(-np.abs(weights), kind="stable")[:shown]
        largest = largest[weights[largest] != 0]
        colors = np.where(weights[largest] > 0, POSITIVE, NEGATIVE)
        bars = ax.barh(np.arange(len(largest)), weights[largest], **{"color": colors, **bar_kw})
        names = [self.feature_names[j] for j in largest]
        ax.set_yticks(np.arange(len(largest)), names, parse_math=False)
        ax.set_ylim(shown - 0.4, -0.6)
        ax.axvline(0, color="0.3", linewidth=0.8)
        verbatim(ax.set_xlabel(self.labels[panel]), ax.set_title(self.titles[panel]))
        return bars


def _weights(classifier: Any) -> NDArray:
    """``coef_``, of shape (1 or n_classes, n_features), or (n_features,) for joint features."""
    if not all(hasattr(classifier, name) for name in ("coef_", "classes_")):
        raise TypeError(
            "WeightsDisplay draws linear classifiers (coef_, classes_), got "
            f"{type(classifier).__name__}."
        )
    weights = classifier.coef_
    weights = weights.toarray() if sp.issparse(weights) else np.asarray(weights, dtype=np.float64)
    n_classes = len(classifier.classes_)
    pairs = hasattr(classifier, "support_vectors_") and n_classes > 2
    if weights.ndim == 1 or (len(weights) == n_classes - (n_classes == 2) and not pairs):
        return weights
    raise TypeError(
        f"WeightsDisplay needs one row of weights for each of the {n_classes} classes, or one in "
        f"all for two classes; {type(classifier).__name__} has coef_ of shape {weights.shape}"
        f"{', one row for each pair of classes' if pairs else ''}."
    )


def _check_scale(scale: ArrayLike, n_features: int) -> NDArray:
    scales = np.asarray(scale, dtype=np.float64)
    if scales.shape != (n_features,):
        raise ValueError(
            f"scale must hold one number for each of the {n_features} features, got an array of "
            f"shape {scales.shape}."
        )
    return scales


def _panels(
    weights: NDArray, classifier: Any, classes: ArrayLike | None
) -> tuple[NDArray, list[str], list[str]]:
    """Weights, title and label of each panel."""
    names = [str(name) for name in classifier.classes_]
    if weights.ndim == 1:
        if classes is not None:
            raise ValueError("classes must be None for joint features: all have the same weights.")
        return weights[None], [""], ["weight"]
    if len(names) > 2:
        chosen = chosen_classes(classes, classifier.classes_)
        return weights[chosen], [names[c] for c in chosen], ["weight"] * len(chosen)
    chosen = [1] if classes is None else chosen_classes(classes, classifier.classes_)
    titles = [f"{names[c]} against {names[1 - c]}" for c in chosen]
    labels = [f"weight (positive: {names[c]})" for c in chosen]
    return np.vstack([-weights, weights])[chosen], titles, labels
