"""The topics of documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skem.inspection.drawing._axes import axes_for, component_colors, legend_for, verbatim
from skem.inspection.drawing._columns import check_proportions, chosen_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure

MAX_DOCUMENTS = 20
"""Documents that are drawn by default: their names are readable."""


class DocumentTopicsDisplay:
    """The topics of documents, or of groups of them, as stacked bars of p(z | d).

    Made by `from_estimator`, for any topic model with ``transform``.

    Parameters
    ----------
    proportions : array-like of shape (n_bars, n_topics)
        Distributions p(z | d), or rows proportional to them.
    names : sequence of str of length n_bars, default=None
        Names of the documents or groups; "document 0", ... by default.
    topic_names : sequence of str of length n_topics, default=None
        Names of the topics; their numbers by default.
    label : str, default="p(z | d)"
        Label of the horizontal axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on; set by `plot`, as are the others.
    figure_ : matplotlib Figure
        The figure of the axes.
    bars_ : list of matplotlib BarContainer
        The pieces of each topic, one for each document, from the top.

    See Also
    --------
    TopicsDisplay : The words of topics.

    Examples
    --------
    >>> from sklearn.decomposition import LatentDirichletAllocation
    >>> from skem.inspection import DocumentTopicsDisplay
    >>> X = [[4, 3, 0, 0], [3, 5, 0, 0], [0, 0, 4, 4], [0, 0, 2, 5]]
    >>> lda = LatentDirichletAllocation(2, random_state=0).fit(X)
    >>> display = DocumentTopicsDisplay.from_estimator(lda, X, by=["pet", "pet", "money", "money"])
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['money', 'pet']
    """

    ax_: Axes
    figure_: Figure
    bars_: list[BarContainer]

    def __init__(
        self,
        *,
        proportions: ArrayLike,
        names: Sequence[str] | None = None,
        topic_names: Sequence[str] | None = None,
        label: str = "p(z | d)",
    ):
        rows = np.atleast_2d(np.asarray(proportions, dtype=np.float64))
        self.proportions = _per_document(rows, "proportions")
        n_bars, n_topics = self.proportions.shape
        self.label = label
        default = [f"document {i}" for i in range(n_bars)]
        self.names = _check_names(names, default, "names", "bars")
        numbers = [str(k) for k in range(n_topics)]
        self.topic_names = _check_names(topic_names, numbers, "topic_names", "topics")

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        documents: Sequence[int] | None = None,
        by: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        topic_names: Sequence[str] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> DocumentTopicsDisplay:
        """Draw p(z | d) of some documents, or its mean over groups of documents.

        Parameters
        ----------
        estimator : topic model with ``transform``
            Fitted; also a pipeline that ends in one, or a search over such.
        X : {array-like, sparse matrix} of shape (n_documents, n_features)
            Counts of words, or what the pipeline takes.
        documents : sequence of int, default=None
            Numbers of the documents that are drawn; the first 20 by default.
        by : array-like of shape (n_documents,), default=None
            The group of each document. The bars are then means over the documents of each group,
            groups in sorted order.
        names : sequence of str of length n_documents, default=None
            Names of all documents; "document 0", ... by default. Groups are their own names.
        topic_names : sequence of str of length n_topics, default=None
            Names of the topics; their numbers by default.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        display : DocumentTopicsDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no ``transform``.
        ValueError
            If a document does not exist, there are too few or too many names or groups, `by` is
            given together with `documents` or `names`, or p(z | d) is not a distribution.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "transform"):
            raise TypeError(
                "DocumentTopicsDisplay draws the output of a topic model's transform, and "
                f"{type(estimator).__name__} has none."
            )
        p = _per_document(np.asarray(estimator.transform(X), np.float64), "transform(X)")
        if by is not None:
            if documents is not None or names is not None:
                raise ValueError(
                    "by draws groups, so documents and names must be None. For other names of the "
                    "groups pass names as groups, such as by=target_names[y]."
                )
            p, names = _group_means(p, by)
            label = "mean p(z | d)"
        else:
            default = [f"document {i}" for i in range(len(p))]
            all_names = _check_names(names, default, "names", "documents")
            if documents is None:
                documents = range(min(len(p), MAX_DOCUMENTS))
            chosen = chosen_numbers(documents, len(p), "documents")
            p, names = p[chosen], [all_names[i] for i in chosen]
            label = "p(z | d)"
        display = cls(proportions=p, names=names, topic_names=topic_names, label=label)
        return display.plot(ax, **kwargs)

    def plot(
        self, ax: Any = None, *, bar_kw: Mapping[str, Any] | None = None
    ) -> DocumentTopicsDisplay:
        """Draw the bars and a legend of the topics.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        bar_kw : dict, default=None
            Properties of all pieces, for matplotlib's ``barh``.

        Returns
        -------
        display : DocumentTopicsDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        n_bars, n_topics = self.proportions.shape
        ax = axes_for(self, ax, height=max(1.4 + 0.28 * n_bars, 0.9 + 0.22 * n_topics))
        left = np.cumsum(self.proportions, axis=1) - self.proportions
        colors = component_colors(n_topics)
        self.bars_ = []
        for k in range(n_topics):
            style = {"color": colors[k], "edgecolor": "white", "linewidth": 0.5, **(bar_kw or {})}
            self.bars_.append(
                ax.barh(np.arange(n_bars), self.proportions[:, k], left=left[:, k], **style)
            )
        ax.set_yticks(np.arange(n_bars), self.names, parse_math=False)
        ax.set_ylim(n_bars - 0.4, -0.6)
        ax.set_xlim(0, 1)
        verbatim(ax.set_xlabel(self.label))
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
        legend_for(ax, self.bars_, self.topic_names, title="topic", **place)
        return self


def _per_document(rows: NDArray, name: str) -> NDArray:
    """Rows divided by their sums, none of them zero."""
    p = check_proportions(rows, name)
    empty = np.flatnonzero(~p.any(axis=1))
    if len(empty):
        raise ValueError(
            f"{name} is zero throughout in row {empty[0]}, which is not a distribution of topics: "
            "leave the document out."
        )
    return p


def _check_names(
    names: Sequence[str] | None, default: list[str], parameter: str, what: str
) -> list[str]:
    if names is None:
        return default
    if len(names) != len(default):
        raise ValueError(f"{parameter} holds {len(names)} names for {len(default)} {what}.")
    return [str(name) for name in names]


def _group_means(p: NDArray, by: ArrayLike) -> tuple[NDArray, list[str]]:
    """Mean rows of each group, and the groups' names."""
    groups = np.asarray(by)
    if groups.shape != (len(p),):
        raise ValueError(
            f"by must hold the group of each of the {len(p)} documents, got shape {groups.shape}."
        )
    names, number = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(names), p.shape[1]))
    np.add.at(sums, number, p)
    return sums / np.bincount(number)[:, None], [str(name) for name in names]
