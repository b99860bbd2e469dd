"""Rows, and their reconstructions after encoding and decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from skem.inspection.drawing._axes import PALETTE, axes_for
from skem.inspection.drawing._cells import INNER, check_image_shape, draw_images, draw_lines
from skem.inspection.drawing._columns import chosen_numbers
from skem.inspection.drawing._steps import fitted_final_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D

MAX_ROWS = 10
"""Rows that are drawn by default."""

N_TICKS = 5
"""Values that are marked along the axis of lines."""


class ReconstructionDisplay:
    """Rows, and their reconstructions (encoded and decoded) below or over them.

    Made by `from_estimator`, for anything with ``transform`` and ``inverse_transform``. Images are
    drawn with the originals above the reconstructions. Without ``image_shape``, each row of data is
    a line of values over columns, and its reconstruction is another line on top of it, all to the
    same scale.

    Parameters
    ----------
    originals : array-like of shape (n_rows, n_features)
        Rows.
    reconstructions : array-like of shape (n_rows, n_features)
        The same rows, encoded and decoded.
    image_shape : tuple of int, default=None
        Height and width, and perhaps channels, of the image that a row of data is.
    names : sequence of str of length n_rows, default=None
        Names of the rows; their numbers by default.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on; set by `plot`, as are the others.
    figure_ : matplotlib Figure
        The figure of the axes.
    image_ : matplotlib AxesImage or None
        The image of all rows.
    lines_ : list of matplotlib Line2D
        The lines of the originals, then those of the reconstructions.

    See Also
    --------
    LossDisplay : Reconstruction and KL over the epochs.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skem import VAETransformer
    >>> from skem.inspection import ReconstructionDisplay
    >>> X = load_digits().data / 16
    >>> vae = VAETransformer(8, likelihood="bernoulli", max_epochs=5, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(vae, X, rows=range(6), image_shape=(8, 8))
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['reconstruction', 'original']
    """

    ax_: Axes
    figure_: Figure
    image_: AxesImage | None
    lines_: list[Line2D]

    def __init__(
        self,
        *,
        originals: ArrayLike,
        reconstructions: ArrayLike,
        image_shape: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
    ):
        self.originals = np.asarray(originals, dtype=np.float64)
        self.reconstructions = np.asarray(reconstructions, dtype=np.float64)
        if self.originals.ndim != 2 or self.originals.shape != self.reconstructions.shape:
            raise ValueError(
                "originals and reconstructions must have the same shape (n_rows, n_features), got "
                f"{self.originals.shape} and {self.reconstructions.shape}."
            )
        n_rows, n_features = self.originals.shape
        self.image_shape = check_image_shape(image_shape, n_features)
        if names is not None and len(names) != n_rows:
            raise ValueError(f"names holds {len(names)} names for {n_rows} rows.")
        self.names = [str(name) for name in (range(n_rows) if names is None else names)]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        rows: Sequence[int] | None = None,
        image_shape: Sequence[int] | None = None,
        labels: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Encode and decode some rows, and draw them.

        Parameters
        ----------
        estimator : transformer with ``inverse_transform``
            Fitted, such as `VAETransformer`; also a pipeline of such, or a search over such.
        X : array-like of shape (n_samples, n_features)
            Rows.
        rows : sequence of int, default=None
            Numbers of the rows that are drawn; the first 10 by default.
        image_shape : tuple of int, default=None
            Height and width, and perhaps channels, of the image that a row of data is.
        labels : array-like of shape (n_samples,), default=None
            Classes of all rows, needed by a `VAETransformer` that is ``conditional``.
        names : sequence of str of length n_samples, default=None
            Names of all rows; by default their labels, or else their numbers.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no ``transform`` or no ``inverse_transform``.
        ValueError
            If a row does not exist, there are too few or too many names, or the image shape does
            not match a row.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        if not all(hasattr(estimator, name) for name in ("transform", "inverse_transform")):
            raise TypeError(
                "ReconstructionDisplay draws the output of transform and inverse_transform, and "
                f"{type(estimator).__name__} does not have both."
            )
        n = len(X)
        given: Any = labels if names is None else names
        for values, parameter in ((labels, "labels"), (names, "names")):
            if values is not None and len(np.asarray(values)) != n:
                raise ValueError(f"{parameter} must hold one for each of the {n} rows of X.")
        chosen = chosen_numbers(range(min(n, MAX_ROWS)) if rows is None else rows, n, "rows")
        some = _safe_indexing(X, chosen)
        all_names: Any = range(n) if given is None else np.asarray(given)
        model, _ = fitted_final_step(estimator, None)
        seen = {}
        if getattr(model, "conditional", False) and labels is not None:
            seen = {"labels": np.asarray(labels)[chosen]}
        back = estimator.inverse_transform(estimator.transform(some, **seen), **seen)
        return cls(
            originals=some,
            reconstructions=back,
            image_shape=image_shape,
            names=[all_names[i] for i in chosen],
        ).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        image_kw: Mapping[str, Any] | None = None,
        line_kw: Mapping[str, Any] | None = None,
    ) -> ReconstructionDisplay:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        image_kw : dict, default=None
            Properties of the image, for matplotlib's ``imshow``.
        line_kw : dict, default=None
            Properties of all lines, for matplotlib's ``plot``.

        Returns
        -------
        display : ReconstructionDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        n_rows = len(self.originals)
        ax = axes_for(self, ax, height=2.6)
        self.image_, self.lines_ = None, []
        if self.image_shape is not None:
            cells = np.stack([self.reconstructions, self.originals])
            self.image_ = draw_images(ax, cells, self.image_shape, image_kw)
            ax.set_yticks([0, 1], ["reconstruction", "original"])
            ax.tick_params(length=0)
        else:
            self._draw_lines(ax, line_kw or {})
        ax.set_xticks(range(n_rows), self.names, parse_math=False)
        return self

    def _draw_lines(self, ax: Axes, line_kw: Mapping[str, Any]) -> None:
        """Originals and reconstructions over each other, one place for each row."""
        both = np.stack([self.originals, self.reconstructions])
        low, high = float(both.min()), float(both.max())
        for cells, color, mark, label in (
            (self.originals, PALETTE[0], "-", "original"),
            (self.reconstructions, PALETTE[4], "--", "reconstruction"),
        ):
            style = {"color": color, "linestyle": mark, **line_kw}
            lines = draw_lines(ax, cells[None], low, high, style)
            lines[0].set_label(label)
            self.lines_ += lines
        values = np.linspace(low, high, N_TICKS)
        places = INNER * (np.linspace(0, 1, N_TICKS) - 0.5)
        ax.set_yticks(places, [f"{value:.3g}" for value in values])
        ax.set_ylabel("value of each column")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
