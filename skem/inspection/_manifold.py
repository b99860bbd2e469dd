"""What the points of a latent space are decoded to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.utils.validation import check_is_fitted

from skem._validation import check_positive_integer
from skem.inspection.drawing._axes import PALETTE, axes_for, verbatim
from skem.inspection.drawing._cells import check_image_shape, draw_images, draw_lines
from skem.inspection.drawing._columns import two_dimensions
from skem.inspection.drawing._steps import fitted_final_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D

MAX_TICKS = 5
"""Labels along an axis, at most."""


class ManifoldDisplay:
    """Decoded points of a grid in two dimensions of a latent space.

    Made by `from_estimator`. The grid is at quantiles of the prior: there is the same probability
    between any two neighbouring cells. Each cell is an image or, without ``image_shape``, a line of
    values over columns, all to the same scale.

    Parameters
    ----------
    decoded : array-like of shape (n_rows, n_columns, n_features)
        Decoded points, from low to high in both directions.
    ticks : tuple of two array-like of shape (n_columns,) and (n_rows,), default=None
        Latent coordinates of the columns and of the rows; their numbers by default.
    image_shape : tuple of int, default=None
        Height and width, and perhaps channels, of the image that a row of data is.
    dimension_names : sequence of two str, default=("z0", "z1")
        Labels of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on; set by `plot`, as are the others.
    figure_ : matplotlib Figure
        The figure of the axes.
    image_ : matplotlib AxesImage or None
        The image of all cells.
    lines_ : list of matplotlib Line2D
        The lines of all cells, row by row from the bottom.

    See Also
    --------
    LatentSpaceDisplay : Where rows are in the latent space.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skem import VAETransformer
    >>> from skem.inspection import ManifoldDisplay
    >>> X = load_digits().data / 16
    >>> vae = VAETransformer(likelihood="bernoulli", max_epochs=5, random_state=0).fit(X)
    >>> display = ManifoldDisplay.from_estimator(vae, n=9, image_shape=(8, 8))
    >>> display.image_.get_array().shape
    (72, 72)
    """

    ax_: Axes
    figure_: Figure
    image_: AxesImage | None
    lines_: list[Line2D]

    def __init__(
        self,
        *,
        decoded: ArrayLike,
        ticks: tuple[ArrayLike, ArrayLike] | None = None,
        image_shape: Sequence[int] | None = None,
        dimension_names: Sequence[str] = ("z0", "z1"),
    ):
        self.decoded = np.asarray(decoded, dtype=np.float64)
        if self.decoded.ndim != 3:
            raise ValueError(
                "decoded must have shape (n_rows, n_columns, n_features), got "
                f"{self.decoded.shape}."
            )
        n_rows, n_columns, n_features = self.decoded.shape
        x, y = (range(n_columns), range(n_rows)) if ticks is None else ticks
        self.ticks = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if [len(tick) for tick in self.ticks] != [n_columns, n_rows]:
            raise ValueError(
                f"ticks must hold {n_columns} and {n_rows} coordinates, one for each column and "
                f"row, got {[len(tick) for tick in self.ticks]}."
            )
        self.image_shape = check_image_shape(image_shape, n_features)
        self.dimension_names = dimension_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        image_shape: Sequence[int] | None = None,
        n: int = 15,
        content: float = 0.9,
        dimensions: Sequence[int] = (0, 1),
        label: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> ManifoldDisplay:
        """Decode a grid of points in two dimensions of the latent space, and draw them.

        The other dimensions stay at the mean of the prior.

        Parameters
        ----------
        estimator : VAETransformer
            Fitted; also a pipeline that ends in one, or a search over such. Rows are then in the
            units of the input of the pipeline.
        image_shape : tuple of int, default=None
            Height and width, and perhaps channels, of the image that a row of data is.
        n : int, default=15
            Points along each dimension.
        content : float in (0, 1), default=0.9
            Probability that the prior has between the ends of the grid, in each dimension.
        dimensions : sequence of two int, default=(0, 1)
            The latent dimensions of the two axes.
        label : label, default=None
            The class to decode, needed if the estimator is ``conditional``. With ``prior='class'``
            the grid is around its mean; without a label, around the mean of all classes, and wider
            by their spread.
        ax : matplotlib Axes, default=None
            Where to draw; new axes by default.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        display : ManifoldDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no ``inverse_transform``.
        ValueError
            If dimensions are not two different ones of the latent space, the label is missing or
            not one of the fit, or the image shape does not fit a row.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "inverse_transform"):
            raise TypeError(
                "ManifoldDisplay draws the output of inverse_transform, and "
                f"{type(estimator).__name__} has none."
            )
        n = check_positive_integer(n, "n")
        if isinstance(content, bool) or not isinstance(content, Real) or not 0 < content < 1:
            raise ValueError(f"content must be a number between 0 and 1, got {content!r}.")
        model, _ = fitted_final_step(estimator, None)
        d = len(model.get_feature_names_out())
        chosen = two_dimensions(dimensions, d)
        mean, std = _prior_moments(model, d, label)
        along = np.linspace(-0.5, 0.5, n) if n > 1 else np.zeros(1)
        steps = norm.ppf(0.5 + content * along)
        grid = np.tile(mean, (n, n, 1))
        x, y = (mean[j] + std[j] * steps for j in chosen)
        grid[:, :, chosen[0]], grid[:, :, chosen[1]] = np.meshgrid(x, y)
        seen = {"labels": label} if getattr(model, "conditional", False) else {}
        decoded = np.asarray(estimator.inverse_transform(grid.reshape(n * n, d), **seen))
        return cls(
            decoded=decoded.reshape(n, n, -1),
            ticks=(x, y),
            image_shape=image_shape,
            dimension_names=[f"z{j}" for j in chosen],
        ).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        image_kw: Mapping[str, Any] | None = None,
        line_kw: Mapping[str, Any] | None = None,
    ) -> ManifoldDisplay:
        """Draw the grid.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; new axes by default.
        image_kw : dict, default=None
            Properties of the image, for matplotlib's ``imshow``.
        line_kw : dict, default=None
            Properties of the lines, for matplotlib's ``plot``.

        Returns
        -------
        display : ManifoldDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = axes_for(self, ax, height=7.2)
        self.image_, self.lines_ = None, []
        if self.image_shape is not None:
            self.image_ = draw_images(ax, self.decoded, self.image_shape, image_kw)
        else:
            style = {"color": PALETTE[0], "linewidth": 1, **(line_kw or {})}
            low, high = self.decoded.min(), self.decoded.max()
            self.lines_ = draw_lines(ax, self.decoded, low, high, style)
        for axis, tick in zip((ax.xaxis, ax.yaxis), self.ticks, strict=True):
            places = np.unique(np.linspace(0, len(tick) - 1, MAX_TICKS).round().astype(int))
            axis.set_ticks(places, [f"{tick[place]:.1f}" for place in places])
        names = self.dimension_names
        verbatim(ax.set_xlabel(names[0]), ax.set_ylabel(names[1]))
        return self


def _prior_moments(model: Any, d: int, label: Any) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of each latent dimension under the prior, (d,) each."""
    means = getattr(model, "class_means_", None)
    if label is not None:
        if not hasattr(model, "classes_"):
            raise ValueError(
                "label was given, but the fit had no labels: set prior='class' or "
                "conditional=True, and give labels to fit."
            )
        classes = model.classes_.tolist()
        if label not in classes:
            raise ValueError(f"label is {label!r}, but those of the fit are {classes}.")
        means = None if means is None else means[[classes.index(label)]]
    elif getattr(model, "conditional", False):
        raise ValueError("conditional=True needs a label: the class to decode.")
    if means is None:
        return np.zeros(d), np.ones(d)
    return means.mean(axis=0), np.sqrt(1 + means.var(axis=0))
