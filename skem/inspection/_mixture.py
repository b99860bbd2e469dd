"""A Gaussian mixture in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from skem._steps import final_step_and_rows
from skem.inspection.drawing._artists import draw_density, draw_ellipses, draw_legend, draw_points
from skem.inspection.drawing._axes import axes_for, component_colors, verbatim
from skem.inspection.drawing._columns import all_feature_names, check_contents, two_columns
from skem.inspection.drawing._plane import PlaneMixture, mixed_colors
from skem.inspection.drawing._steps import fitted_final_step
from skem.mixture.gaussian._density import dense_covariances

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.contour import QuadContourSet
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.patches import Ellipse

DENSITY_CONTENTS = (0.25, 0.5, 0.75, 0.9, 0.99)
"""Probabilities inside the contours of the density by default."""


class MixtureDisplay:
    """A Gaussian mixture in two dimensions: rows, ellipses of the components, density.

    Made by `from_estimator`. If the mixture has more features, two are chosen, and the marginal
    mixture of these is drawn: sub-vectors of the means and sub-matrices of the covariances.

    Parameters
    ----------
    weights : array-like of shape (n_components,)
        Weights of the components.
    means : array-like of shape (n_components, 2)
        Means in the units of the two columns.
    covariances : array-like of shape (n_components, 2, 2)
        Covariances of the two columns.
    points : array-like of shape (n_samples, 2), default=None
        Rows to scatter.
    responsibilities : array-like of shape (n_samples, n_components), default=None
        Posterior p(k | x) of each row. The colour of a row is the mean of the components' colours
        under it, the greyer the larger its entropy. By default, the posterior given the two
        columns.
    feature_names : tuple of two str, default=("x0", "x1")
        Labels of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on; set by `plot`, as are the others.
    figure_ : matplotlib Figure
        The figure of the axes.
    scatter_ : matplotlib PathCollection or None
        The points.
    ellipses_ : list of list of matplotlib Ellipse
        For each component its ellipses, in the order of `contents`.
    contours_ : matplotlib QuadContourSet or None
        The contours of the density.
    legend_ : matplotlib Legend
        The components with their weights.

    See Also
    --------
    BoundDisplay : The trace of the bound over the EM maps.

    Examples
    --------
    >>> from skem import GaussianMixtureEM
    >>> from skem.datasets import load_old_faithful
    >>> from skem.inspection import MixtureDisplay
    >>> X = load_old_faithful(as_frame=True).data
    >>> mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    >>> display = MixtureDisplay.from_estimator(mixture, X, density=True)
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
    ('eruptions', 'waiting')
    """

    ax_: Axes
    figure_: Figure
    scatter_: PathCollection | None
    ellipses_: list[list[Ellipse]]
    contours_: QuadContourSet | None
    legend_: Legend

    def __init__(
        self,
        *,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike,
        points: ArrayLike | None = None,
        responsibilities: ArrayLike | None = None,
        feature_names: Sequence[str] = ("x0", "x1"),
    ):
        self.weights = np.asarray(weights, dtype=np.float64)
        self.means = np.asarray(means, dtype=np.float64)
        self.covariances = np.asarray(covariances, dtype=np.float64)
        self.points = None if points is None else np.asarray(points, dtype=np.float64)
        self.responsibilities = None if responsibilities is None else np.asarray(responsibilities)
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike | None = None,
        *,
        columns: Sequence[int | str] = (0, 1),
        feature_names: Sequence[str] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> MixtureDisplay:
        """Draw two columns of a fitted Gaussian mixture.

        Parameters
        ----------
        estimator : GaussianMixtureEM or sklearn.mixture.GaussianMixture
            Fitted, with any covariance type; also a pipeline that ends in one, or a search over
            such. What is drawn is then the output of the steps before the mixture.
        X : array-like of shape (n_samples, n_features), default=None
            Rows to scatter, with all columns of the fit (or what the pipeline takes), which
            determine their responsibilities. Rows in which one of the two columns is missing (NaN)
            are left out.
        columns : sequence of two int or str, default=(0, 1)
            The columns of the two axes, by number or by feature name.
        feature_names : sequence of str of length n_features, default=None
            Names of all features; those that the estimator saw in `fit` by default.
        ax : matplotlib Axes, default=None
            Where to draw; new axes by default.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        display : MixtureDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is not a Gaussian mixture.
        ValueError
            If the columns are not two different ones of the mixture, or X does not match it.
        ImportError
            If matplotlib is not installed.
        """
        model, feature_names = fitted_final_step(estimator, feature_names)
        if not all(hasattr(model, name) for name in ("means_", "covariances_", "weights_")):
            raise TypeError(
                "MixtureDisplay draws Gaussian mixtures (weights_, means_, covariances_), got "
                f"{type(model).__name__}."
            )
        k, d = model.means_.shape
        names = all_feature_names(model, feature_names, d)
        chosen = two_columns(columns, names)
        fitted_type = getattr(model, "_fitted_type", model.covariance_type)
        covariances = dense_covariances(model.covariances_, fitted_type, k, d)
        points, responsibilities = None, None
        if X is not None:
            _, rows = final_step_and_rows(estimator, X)
            responsibilities = model.predict_proba(rows)
            points = check_array(rows, ensure_all_finite="allow-nan")[:, chosen]
        return cls(
            weights=model.weights_,
            means=model.means_[:, chosen],
            covariances=covariances[:, chosen][:, :, chosen],
            points=points,
            responsibilities=responsibilities,
            feature_names=[names[j] for j in chosen],
        ).plot(ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        contents: Sequence[float] = (0.5, 0.9),
        density: bool | Sequence[float] = False,
        colors: Any = None,
        scatter_kw: Mapping[str, Any] | None = None,
    ) -> MixtureDisplay:
        """Draw points, ellipses and density.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; new axes by default.
        contents : sequence of float in (0, 1), default=(0.5, 0.9)
            Probability of a component inside each of its ellipses. Content c corresponds to the
            Mahalanobis distance r with r^2 = -2 log(1 - c), the quantile of chi-square with two
            degrees of freedom.
        density : bool or sequence of float in (0, 1), default=False
            Probability of the mixture inside each contour of its density: the highest density
            regions of Hyndman (1996), from 10 000 draws. True stands for 0.25, 0.5, 0.75, 0.9 and
            0.99.
        colors : sequence of colours, default=None
            One per component; by default a palette that is safe for colour-blind readers.
        scatter_kw : dict, default=None
            Properties of the points, for matplotlib's ``scatter``.

        Returns
        -------
        display : MixtureDisplay
            The display itself.

        Raises
        ------
        ValueError
            If a content is not between 0 and 1, or there are too few colours.
        ImportError
            If matplotlib is not installed.
        """
        held = check_contents(contents, "contents")
        if isinstance(density, bool):
            density = DENSITY_CONTENTS if density else ()
        regions = check_contents(density, "density")
        ax = axes_for(self, ax)
        rgb = component_colors(len(self.weights), colors)
        mixture = PlaneMixture(self.weights, self.means, self.covariances)
        self.scatter_ = self.contours_ = None
        if self.points is not None:
            resp = self.responsibilities
            resp = mixture.responsibilities(self.points) if resp is None else resp
            self.scatter_ = draw_points(ax, self.points, mixed_colors(resp, rgb), scatter_kw)
        self.ellipses_ = draw_ellipses(ax, mixture, rgb, held)
        if len(regions):
            self.contours_ = draw_density(ax, mixture, regions)
        self.legend_ = draw_legend(ax, mixture.weights, rgb, held)
        names = self.feature_names
        verbatim(ax.set_xlabel(names[0]), ax.set_ylabel(names[1]))
        return self
