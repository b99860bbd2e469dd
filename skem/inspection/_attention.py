"""Where an encoder–decoder looks while it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem._steps import final_step_and_rows
from skem.inspection.drawing._axes import axes_for, verbatim
from skem.inspection.drawing._glyphs import Fonts, write
from skem.inspection.drawing._steps import fitted_final_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

SIDE, SMALLEST, WIDEST = 0.4, 0.1, 12.0
"""Inches: side of a cell of a new figure, of the smallest one, and that of all cells together above
which they are smaller."""

LARGEST = 40.0
"""Inches of all cells together, at most; above, cells are smaller and not all have labels."""

READABLE = 5.0
"""Points of the smallest labels."""

EM, LETTER = 0.62, 0.08
"""Mean width of a character: as a share of the size of the font, and in usual inches."""


class AttentionDisplay:
    """How much each token of y has looked at each token of x, as a picture of the weights.

    Made by `from_estimator`, for a `RNNSeq2Seq` with attention. Tokens of x are on the horizontal
    axis; those of y, and its end, on the vertical one, from the top. Each row sums to one.

    A label whose characters the current font does not have is drawn in another font that matplotlib
    knows. Blanks at the ends are drawn as ␣, and combining marks that stand alone on a dotted
    circle; characters that cannot be seen, or that no font has, are code points, such as U+1112.
    Letters are joined, and words of a script that runs to the left are drawn in its direction, from
    matplotlib 3.11 on.

    Parameters
    ----------
    weights : array-like of shape (n_y_tokens, n_x_tokens)
        Weights.
    x_tokens : sequence of length n_x_tokens
        Tokens of x, or names for them.
    y_tokens : sequence of length n_y_tokens
        Those of y; with its end, if that has a row.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on; set by `plot`, as are the others.
    figure_ : matplotlib Figure
        The figure of the axes.
    image_ : matplotlib AxesImage
        The weights.
    colorbar_ : matplotlib Colorbar or None
        Its colours.

    See Also
    --------
    skem.RNNSeq2Seq : The encoder–decoder, whose `attention_weights` are drawn.

    Examples
    --------
    >>> from skem import RNNSeq2Seq
    >>> from skem.inspection import AttentionDisplay
    >>> X = ["abc", "cab", "bca", "acb", "ab", "ba", "cc", "bab"] * 10
    >>> y = [x[::-1].upper() for x in X]
    >>> model = RNNSeq2Seq(hidden_size=32, embedding_dim=16, random_state=0).fit(X, y)
    >>> display = AttentionDisplay.from_estimator(model, "cab")
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['B', 'A', 'C', '</s>']
    """

    ax_: Axes
    figure_: Figure
    image_: AxesImage
    colorbar_: Colorbar | None

    def __init__(self, *, weights: ArrayLike, x_tokens: Sequence[Any], y_tokens: Sequence[Any]):
        self.weights = np.asarray(weights, dtype=np.float64)
        if self.weights.ndim != 2 or not self.weights.size:
            raise ValueError(
                "weights must have shape (n_y_tokens, n_x_tokens), and at least one of each; got "
                f"{self.weights.shape}."
            )
        self.x_tokens = _one_for_each(x_tokens, self.weights.shape[1], "x_tokens", "columns")
        self.y_tokens = _one_for_each(y_tokens, self.weights.shape[0], "y_tokens", "rows")

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        x: Any,
        y: Any = None,
        *,
        x_names: Sequence[Any] | None = None,
        y_names: Sequence[Any] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> AttentionDisplay:
        """Draw the attention of a fitted encoder–decoder for one pair.

        Parameters
        ----------
        estimator : RNNSeq2Seq
            Fitted, with attention; also a pipeline that ends in one, or a search over such.
        x : str, or sequence of tokens
            One sequence, or what the pipeline takes for one.
        y : str, or sequence of tokens, default=None
            One output; that which is predicted if None.
        x_names : sequence of length n_x_tokens, default=None
            What is written for the tokens of x, in place of these.
        y_names : sequence of length n_y_tokens, default=None
            The same for the tokens of y, without its end.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default, large enough for all tokens.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        display : AttentionDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is no encoder–decoder, or x or y is not one sequence.
        ValueError
            If it has no attention, x is empty, y has unknown tokens, or there are too few or too
            many names.
        ImportError
            If matplotlib is not installed.
        """
        model, _ = fitted_final_step(estimator, None)
        if not hasattr(model, "attention_weights"):
            raise TypeError(
                "AttentionDisplay draws the attention_weights of a RNNSeq2Seq, and "
                f"{type(model).__name__} has none."
            )
        _, rows = final_step_and_rows(estimator, [x])
        if isinstance(y, Number):  # a sequence of one token
            y = [y]
        weights, x_tokens, y_tokens = _weights_and_tokens(model, rows, y)
        if x_names is not None:
            x_tokens = _one_for_each(x_names, len(x_tokens), "x_names", "tokens of x")
        if y_names is not None:
            y_tokens = _one_for_each(y_names, len(y_tokens), "y_names", "tokens of y")
        vocabulary = model.target_vocabulary_
        ends = [] if vocabulary.end is None else [vocabulary.tokens_[vocabulary.end]]
        display = cls(weights=weights, x_tokens=x_tokens, y_tokens=[*y_tokens, *ends])
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        colorbar: bool = True,
        image_kw: Mapping[str, Any] | None = None,
    ) -> AttentionDisplay:
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default, large enough for all tokens. Where labels would
            be too small to be read, not all are drawn.
        colorbar : bool, default=True
            Whether a bar beside the picture shows what its colours mean.
        image_kw : dict, default=None
            Properties of the picture, for matplotlib's ``imshow``.

        Returns
        -------
        display : AttentionDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        n_rows, n_columns = self.weights.shape
        fonts, side = Fonts(), _side(max(n_rows, n_columns))
        across, down = (list(map(fonts.label, t)) for t in (self.x_tokens, self.y_tokens))
        own = ax is None
        ax = axes_for(
            self,
            ax,
            height=max(2.4, n_rows * side + 1.0 + LETTER * _longest(across)),
            width=max(4.0, n_columns * side + 1.6 + LETTER * _longest(down)),
        )
        cells = (side, side) if own else _cells(ax, n_columns, n_rows)
        style = {"cmap": "Blues", "vmin": 0, "vmax": 1, "aspect": "auto", **(image_kw or {})}
        self.image_ = ax.imshow(self.weights, **{"interpolation": "nearest", **style})
        _label(ax.xaxis, across, cells[0], turns=True)
        _label(ax.yaxis, down, cells[1], turns=False)
        ax.tick_params(length=0)
        verbatim(ax.set_xlabel("tokens of x"), ax.set_ylabel("tokens of y"))
        self.colorbar_ = None
        if colorbar:
            width = cells[0] * n_columns
            self.colorbar_ = self.figure_.colorbar(
                self.image_,
                ax=ax,
                label="attention weight",
                fraction=min(0.15, 0.6 / width),
                pad=min(0.05, 0.2 / width),
            )
        return self


def _one_for_each(names: Sequence[Any], n: int, parameter: str, what: str) -> list:
    found = list(names)
    if len(found) != n:
        raise ValueError(f"{parameter} holds {len(found)} for {n} {what}: give one for each.")
    return found


def _weights_and_tokens(model: Any, X: Any, y: Any) -> tuple[NDArray, list, list]:
    """Weights of one pair, and its tokens as the user has them, without the end of y."""
    if y is None:
        _, outputs = model._pairs(X, None)
        y = model.target_vocabulary_.tokens(outputs.tokens)
    (weights,) = model.attention_weights(X, [y])
    tokenizers = model.vocabulary_.tokenizer, model.target_vocabulary_.tokenizer
    return weights, _tokens(X, tokenizers[0]), _tokens([y], tokenizers[1])


def _tokens(documents: Any, tokenizer: Any) -> list:
    """Those of the only one of the documents."""
    from skem.deep.sequences._text import read  # it imports torch, as the model has done

    found = read(documents, tokenizer)
    return [found.types[i] for i in found.sequences.tokens.tolist()]


def _side(n: int) -> float:
    """Inches of a cell of a new figure, where there are n along its longer side."""
    side = min(SIDE, max(WIDEST / n, SMALLEST))
    return min(side, LARGEST / n)


def _cells(ax: Axes, n_columns: int, n_rows: int) -> tuple[float, float]:
    """Inches of a cell of given axes, across and up."""
    dpi = ax.figure.dpi
    box = ax.get_window_extent()
    return box.width / dpi / n_columns, box.height / dpi / n_rows


def _longest(labels: list[tuple[str, str | None]]) -> int:
    return max(len(text) for text, _ in labels)


def _label(axis: Axis, labels: list[tuple[str, str | None]], side: float, *, turns: bool) -> None:
    """Write labels along an axis, as large as cells permit; not all, if these are too small."""
    step = int(np.ceil(READABLE / (72 * side)))
    labels, room = labels[::step], 72 * side * step  # points
    axis.set_ticks(np.arange(len(labels)) * step, [text for text, _ in labels])
    ticks = axis.get_ticklabels()
    size = min(float(ticks[0].get_fontsize()), max(READABLE, 0.85 * room))
    style: dict[str, Any] = {"fontsize": size}
    if turns and EM * size * _longest(labels) > room:
        style["rotation"] = "vertical"
    write(ticks, [file for _, file in labels], **style)
