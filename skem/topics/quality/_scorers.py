"""Scorers that choose the number of topics, for `GridSearchCV`."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state, resample

from skem._sparse import check_sparse_indices
from skem._steps import final_step_and_rows
from skem.topics.quality._matching import (
    check_n_fits,
    distance_function,
    seeded,
    similarities_of_fits,
)


def completion_score(estimator: Any, X: ArrayLike, y: Any = None) -> float:
    """Score a topic model by document completion; a scorer for `GridSearchCV`.

    p(z | d) is fitted to one half of the tokens of each document, and the other half is scored. The
    halves are the same at each call.

    Parameters
    ----------
    estimator : fitted topic model
        A model whose `perplexity` has ``method="completion"``, or a pipeline that ends in one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Counts of words, or what the pipeline takes; preferably not those of the fit.
    y : Ignored
        Not used, present for API consistency by convention.

    Returns
    -------
    score : float
        Mean log-likelihood of a token that is held out, in nats: minus the logarithm of the
        perplexity. Higher is better.

    Raises
    ------
    TypeError
        If the model has no such `perplexity`.

    References
    ----------
    .. [1] Wallach, H., Murray, I., Salakhutdinov, R. and Mimno, D. (2009). "Evaluation methods for
       topic models". ICML, 1105-1112.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skem import PLSA
    >>> from skem.topics import completion_score
    >>> X = [[4, 3, 0, 0], [3, 5, 0, 0], [0, 0, 4, 4], [0, 0, 2, 5]] * 3
    >>> plsa = PLSA(topic_word_prior=1.1, random_state=0)
    >>> search = GridSearchCV(plsa, {"n_components": [1, 2]}, scoring=completion_score, cv=3)
    >>> search.fit(X).best_params_
    {'n_components': 2}
    """
    model, counts = final_step_and_rows(estimator, X)
    perplexity = getattr(model, "perplexity", None)
    if perplexity is None or "method" not in inspect.signature(perplexity).parameters:
        raise TypeError(
            'completion_score needs a model with perplexity(X, method="completion"), such as PLSA '
            f"or LatentDirichletAllocationVB; got {type(model).__name__}."
        )
    return -float(np.log(perplexity(counts, method="completion", random_state=0)))


@dataclass(frozen=True)
class StabilityScorer:
    """Score a topic model by the similarity of its topics on parts of the rows, for `GridSearchCV`.

    Clones are fitted to random parts of X, with different seeds, and the topics of all pairs are
    matched as by `match_topics`. The steps of a pipeline before the model stay as they are fitted.
    One topic is always stable, and few topics are more so than many: look for the largest number
    that is still stable, or for a local peak.

    Parameters
    ----------
    n_fits : int, default=3
        Number of parts, at least 2.
    subsample : float, default=0.8
        Share of the rows in a part, drawn without replacement.
    distance : {'hellinger', 'jensen-shannon', 'cosine'}, default='hellinger'
        As for `match_topics`.
    random_state : int, RandomState instance or None, default=0
        Source of parts and seeds; with an int, all candidates have the same parts.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> from sklearn.decomposition import NMF
    >>> from skem.topics import StabilityScorer
    >>> X = [[4, 3, 0, 0], [3, 5, 0, 0], [0, 0, 4, 4], [0, 0, 2, 5]] * 3
    >>> round(StabilityScorer(n_fits=3)(NMF(2).fit(X), X), 1)
    1.0
    """

    n_fits: int = 3
    subsample: float = 0.8
    distance: str = "hellinger"
    random_state: Any = 0

    def __post_init__(self) -> None:
        check_n_fits(self.n_fits)
        distance_function(self.distance)
        share = self.subsample
        if isinstance(share, bool) or not isinstance(share, Real) or not 0 < share <= 1:
            raise ValueError(
                f"subsample must be a share of the rows, more than 0 and at most 1, got {share!r}."
            )

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Mean similarity of the matched topics of all pairs of fits, from 0 to 1."""
        model, counts = final_step_and_rows(estimator, X)
        check_sparse_indices(counts)
        rng = check_random_state(self.random_state)
        n_rows = counts.shape[0] if hasattr(counts, "shape") else len(counts)
        size = max(1, round(self.subsample * n_rows))
        fits = []
        for _ in range(self.n_fits):
            part = resample(counts, replace=False, n_samples=size, random_state=rng)
            fits.append(seeded(model, rng).fit(part))
        similarities = similarities_of_fits(fits, self.distance).mean(axis=2)
        return float(similarities[~np.eye(self.n_fits, dtype=bool)].mean())
