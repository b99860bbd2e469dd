"""The words of topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem.inspection.drawing._axes import component_colors, panels_for
from skem.inspection.drawing._columns import all_feature_names, check_proportions, chosen_numbers
from skem.inspection.drawing._steps import fitted_final_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure


class TopicsDisplay:
    """The most probable words of topics, as bars of p(w | z).

    Made by `from_estimator`, for anything with ``components_``: its rows are divided by their sums.
    Words of probability zero are not drawn.

    Parameters
    ----------
    components : array-like of shape (n_topics, n_features)
        Distributions p(w | z), or rows proportional to them.
    shares : array-like of shape (n_topics,), default=None
        Probabilities p(z) of the topics, for their titles.
    topics : sequence of int, default=None
        The topics that have a panel, by number; all by default.
    feature_names : sequence of str of length n_features, default=None
        The words; x0, x1, ... by default.

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
    DocumentTopicsDisplay : The topics of documents.

    Examples
    --------
    >>> from sklearn.decomposition import LatentDirichletAllocation
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skem.inspection import TopicsDisplay
    >>> texts = ["cat dog pet", "dog pet cat cat", "bond stock", "stock market stock bond"]
    >>> model = make_pipeline(
    ...     CountVectorizer(), LatentDirichletAllocation(2, random_state=0)
    ... ).fit(texts)
    >>> display = TopicsDisplay.from_estimator(model, n_words=3)
    >>> [label.get_text() for label in display.axes_[0].get_yticklabels()]
    ['stock', 'bond', 'market']
    """

    axes_: NDArray
    figure_: Figure
    bars_: list[BarContainer]

    def __init__(
        self,
        *,
        components: ArrayLike,
        shares: ArrayLike | None = None,
        topics: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
    ):
        rows = np.atleast_2d(np.asarray(components, dtype=np.float64))
        self.components = check_proportions(rows, "components")
        self.shares = None if shares is None else _check_shares(shares, len(rows))
        self.topics = chosen_numbers(topics, len(rows), "topics")
        self.feature_names = all_feature_names(self, feature_names, rows.shape[1])

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        feature_names: Sequence[str] | None = None,
        n_words: int = 10,
        topics: Sequence[int] | None = None,
        axes: Any = None,
        **kwargs: Any,
    ) -> TopicsDisplay:
        """Draw the most probable words of a fitted topic model.

        Parameters
        ----------
        estimator : topic model with ``components_``
            Fitted; also a pipeline that ends in one, or a search over such. Titles show the shares
            of the topics if it has ``topic_prior_``.
        feature_names : sequence of str of length n_features, default=None
            The words; by default those that the pipeline or the model knows, else x0, x1, ...
        n_words : int, default=10
            Maximum number of words in a panel.
        topics : sequence of int, default=None
            The topics that have a panel, by number; all by default.
        axes : matplotlib Axes or array-like of them, default=None
            Where to draw, one for each panel; a new figure by default.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        display : TopicsDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no ``components_``.
        ValueError
            If its components are not distributions, there are too few or too many names or axes,
            or a topic does not exist.
        ImportError
            If matplotlib is not installed.
        """
        model, feature_names = fitted_final_step(estimator, feature_names)
        if not hasattr(model, "components_"):
            raise TypeError(
                f"TopicsDisplay draws topic models (components_), got {type(model).__name__}."
            )
        names = all_feature_names(model, feature_names, np.shape(model.components_)[1])
        display = cls(
            components=model.components_,
            shares=getattr(model, "topic_prior_", None),
            topics=topics,
            feature_names=names,
        )
        return display.plot(axes, n_words=n_words, **kwargs)

    def plot(
        self,
        axes: Any = None,
        *,
        n_words: int = 10,
        bar_kw: Mapping[str, Any] | None = None,
    ) -> TopicsDisplay:
        """Draw the bars.

        Parameters
        ----------
        axes : matplotlib Axes or array-like of them, default=None
            Where to draw, one for each panel; a new figure by default.
        n_words : int, default=10
            Maximum number of words in a panel.
        bar_kw : dict, default=None
            Properties of all bars, for matplotlib's ``barh``.

        Returns
        -------
        display : TopicsDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the number of `axes` is not that of the panels, or `n_words` is not a positive
            integer.
        ImportError
            If matplotlib is not installed.
        """
        if isinstance(n_words, bool) or not isinstance(n_words, Integral) or n_words < 1:
            raise ValueError(f"n_words must be a positive integer, got {n_words!r}.")
        shown = min(int(n_words), self.components.shape[1])
        panels = panels_for(self, axes, len(self.topics), height=1.2 + 0.24 * shown)
        colors = component_colors(len(self.components))
        self.bars_ = [
            self._draw(ax, topic, shown, {"color": colors[topic], **(bar_kw or {})})
            for topic, ax in zip(self.topics, panels, strict=True)
        ]
        return self

    def _draw(self, ax: Axes, topic: int, shown: int, style: dict[str, Any]) -> BarContainer:
        """Bars of one panel, the largest at the top."""
        p = self.components[topic]
        largest = np.argsort(-p, kind="stable")[:shown]
        largest = largest[p[largest] > 0]
        bars = ax.barh(np.arange(len(largest)), p[largest], **style)
        names = [self.feature_names[j] for j in largest]
        ax.set_yticks(np.arange(len(largest)), names, parse_math=False)
        ax.set_ylim(shown - 0.4, -0.6)
        ax.set_xlabel("p(w | z)")
        share = "" if self.shares is None else f" ({100 * self.shares[topic]:.0f} %)"
        ax.set_title(f"topic {topic}{share}")
        return bars


def _check_shares(shares: ArrayLike, n_topics: int) -> NDArray:
    array = np.asarray(shares, dtype=np.float64)
    if array.shape != (n_topics,):
        raise ValueError(
            f"shares must hold one probability for each of the {n_topics} topics, got an array of "
            f"shape {array.shape}."
        )
    return array
