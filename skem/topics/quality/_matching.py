"""Which topics of two fits belong together, and how much topics depend on the start of the fit.

Shapes: P (n_topics_a, n_features) and Q (n_topics_b, n_features), rows p(w | z) that sum to one;
distances (n_topics_a, n_topics_b), in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import rel_entr
from sklearn.base import clone
from sklearn.utils import check_random_state

from skem._validation import check_positive_integer
from skem.topics.quality._words import topic_distributions

MAX_SEED = np.iinfo(np.int32).max


def hellinger_distances(P: NDArray, Q: NDArray) -> NDArray:
    """|sqrt(p) - sqrt(q)| / sqrt(2), which is sqrt(1 - sum_w sqrt(p_w q_w))."""
    return cdist(np.sqrt(P), np.sqrt(Q)) / np.sqrt(2)


def jensen_shannon_distances(P: NDArray, Q: NDArray) -> NDArray:
    """Root of [KL(p, m) + KL(q, m)] / (2 log 2), m = (p + q) / 2 (Endres and Schindelin 2003)."""
    divergences = np.empty((len(P), len(Q)))
    for i, p in enumerate(P):
        m = (p + Q) / 2
        divergences[i] = (rel_entr(p, m) + rel_entr(Q, m)).sum(axis=1) / (2 * np.log(2))
    return np.sqrt(np.clip(divergences, 0.0, 1.0))


def cosine_distances(P: NDArray, Q: NDArray) -> NDArray:
    """1 - cos(p, q)."""
    return np.clip(cdist(P, Q, "cosine"), 0.0, 1.0)


DISTANCES: dict[str, Callable[[NDArray, NDArray], NDArray]] = {
    "hellinger": hellinger_distances,
    "jensen-shannon": jensen_shannon_distances,
    "cosine": cosine_distances,
}


@dataclass
class TopicMatch:
    """Result of `match_topics`.

    Parameters
    ----------
    permutation : ndarray of shape (n_topics_a,)
        Topic ``permutation[i]`` of b is matched with topic i of a.
    distances : ndarray of shape (n_topics_a,)
        Distance of each pair, from 0 (the same) to 1 (no word in common).

    Examples
    --------
    >>> from skem.topics import match_topics
    >>> match_topics([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], [[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]])
    TopicMatch(permutation=array([1, 0]), distances=array([0., 0.]))
    """

    permutation: NDArray
    distances: NDArray

    @property
    def similarities(self) -> NDArray:
        """One minus the distance of each pair, of shape (n_topics_a,)."""
        return 1.0 - self.distances

    @property
    def mean_similarity(self) -> float:
        """Mean of the similarities."""
        return float(self.similarities.mean())


def match_topics(a: Any, b: Any, *, distance: str = "hellinger") -> TopicMatch:
    """Pair the topics of two models one to one, with the least sum of distances.

    The pairs are found by the Hungarian method.

    Parameters
    ----------
    a : estimator or array-like of shape (n_topics_a, n_features)
        A fitted model with ``components_``, or its rows; they are divided by their sums.
    b : estimator or array-like of shape (n_topics_b, n_features)
        Another one, with the same words and as many topics or more.
    distance : {'hellinger', 'jensen-shannon', 'cosine'}, default='hellinger'
        Distance of two distributions p(w | z): Hellinger's; the root of the Jensen-Shannon
        divergence in bits; or one minus the cosine. All are from 0 to 1.

    Returns
    -------
    match : TopicMatch
        The pairs and their distances.

    Raises
    ------
    NotFittedError
        If an estimator is not fitted.
    TypeError
        If an estimator has no ``components_``.
    ValueError
        If `distance` is another one, the models differ in their words, `a` has more topics than
        `b`, or a topic is zero throughout.

    Examples
    --------
    >>> from sklearn.decomposition import LatentDirichletAllocation
    >>> from skem.topics import match_topics
    >>> X = [[4, 3, 0, 0], [3, 5, 0, 0], [0, 0, 4, 4], [0, 0, 2, 5]]
    >>> a, b = (LatentDirichletAllocation(2, random_state=seed).fit(X) for seed in (0, 1))
    >>> match_topics(a, b).mean_similarity > 0.99
    True
    """
    distances = distance_function(distance)
    P, Q = topic_distributions(a, "a"), topic_distributions(b, "b")
    if P.shape[1] != Q.shape[1]:
        raise ValueError(
            f"a has {P.shape[1]} words and b has {Q.shape[1]}: topics compare only over the same "
            "vocabulary. Give the vectorizer of both the same `vocabulary`."
        )
    if len(P) > len(Q):
        raise ValueError(
            f"a has {len(P)} topics and b has {len(Q)}: each topic of a needs one of b. Exchange "
            "a and b."
        )
    between = distances(P, Q)
    rows, permutation = linear_sum_assignment(between)
    return TopicMatch(permutation, between[rows, permutation])


def distance_function(name: str) -> Callable[[NDArray, NDArray], NDArray]:
    """The distances of that name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in DISTANCES:
        raise ValueError(f"distance must be one of {tuple(DISTANCES)}, got {name!r}.")
    return DISTANCES[name]


def similarities_of_fits(fits: list[Any], distance: str) -> NDArray:
    """Similarity of topic k of fit f to its match in fit g, shape (n_fits, n_fits, n_topics)."""
    rows = [topic_distributions(fit, "estimator") for fit in fits]
    similarities = np.ones((len(fits), len(fits), len(rows[0])))
    for f in range(len(fits)):
        for g in range(f):
            match = match_topics(rows[f], rows[g], distance=distance)
            similarities[f, g] = match.similarities
            similarities[g, f, match.permutation] = match.similarities
    return similarities


@dataclass
class TopicStability:
    """Result of `topic_stability`.

    Parameters
    ----------
    best_estimator_ : estimator
        The fit whose topics the other fits find best.
    topic_similarities : ndarray of shape (n_topics,)
        Mean similarity of each of its topics to their matches in the other fits, from 0 to 1.
    similarities : ndarray of shape (n_fits, n_fits)
        Mean similarity of the matched topics of each pair of fits.
    mean_similarity : float
        Mean over all pairs of different fits and their topics.

    Examples
    --------
    >>> from sklearn.decomposition import NMF
    >>> from skem.topics import topic_stability
    >>> X = [[4, 3, 0, 0], [3, 5, 0, 0], [0, 0, 4, 4], [0, 0, 2, 5]]
    >>> stability = topic_stability(NMF(2, init="random"), X, n_fits=3, random_state=0)
    >>> stability.topic_similarities.round(2)
    array([1., 1.])
    """

    best_estimator_: Any
    topic_similarities: NDArray
    similarities: NDArray
    mean_similarity: float


def topic_stability(
    estimator: Any,
    X: ArrayLike,
    *,
    n_fits: int = 5,
    random_state: Any = None,
    distance: str = "hellinger",
) -> TopicStability:
    """Fit a topic model from several seeds, and compare the topics of all pairs of fits.

    Topics that depend on the seed are not properties of the data.

    Parameters
    ----------
    estimator : estimator
        A topic model with ``random_state``, or a pipeline that ends in one; it is cloned.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Counts of words, or what the pipeline takes.
    n_fits : int, default=5
        Number of fits, at least 2.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds; pass an int for the same result at each call.
    distance : {'hellinger', 'jensen-shannon', 'cosine'}, default='hellinger'
        As for `match_topics`; a similarity is one minus the distance.

    Returns
    -------
    stability : TopicStability
        The similarities, and the fit that is most like the others.

    Raises
    ------
    TypeError
        If the estimator has no ``components_``.
    ValueError
        If a parameter is out of range, the estimator has no ``random_state``, or a topic is zero
        throughout.

    Examples
    --------
    >>> from sklearn.decomposition import NMF
    >>> from skem.topics import topic_stability
    >>> X = [[4, 3, 0, 0], [3, 5, 0, 0], [0, 0, 4, 4], [0, 0, 2, 5]]
    >>> stability = topic_stability(NMF(2, init="random"), X, n_fits=3, random_state=0)
    >>> round(stability.mean_similarity, 2)
    1.0
    """
    n_fits = check_n_fits(n_fits)
    distance_function(distance)
    if not seeds_of(estimator):
        raise ValueError(
            f"estimator must have a random_state, and {type(estimator).__name__} has none: all "
            "its fits would be the same. StabilityScorer compares fits to parts of the rows."
        )
    rng = check_random_state(random_state)
    fits = [seeded(estimator, rng).fit(X) for _ in range(n_fits)]
    similarities = similarities_of_fits(fits, distance)
    others = ~np.eye(n_fits, dtype=bool)
    pairs = similarities.mean(axis=2)
    best = int(np.argmax(pairs.sum(axis=1)))
    return TopicStability(
        best_estimator_=fits[best],
        topic_similarities=similarities[best][others[best]].mean(axis=0),
        similarities=pairs,
        mean_similarity=float(pairs[others].mean()),
    )


def check_n_fits(n_fits: Any) -> int:
    """At least two fits."""
    n_fits = check_positive_integer(n_fits, "n_fits")
    if n_fits < 2:
        raise ValueError("n_fits must be at least 2: one fit has no other to compare with.")
    return n_fits


def seeds_of(estimator: Any) -> list[str]:
    """Names of the parameters that are seeds, also those of the steps of a pipeline."""
    names = estimator.get_params(deep=True)
    return [name for name in names if name.rpartition("__")[2] == "random_state"]


def seeded(estimator: Any, rng: np.random.RandomState) -> Any:
    """A clone with seeds of its own."""
    seeds = {name: int(rng.randint(MAX_SEED)) for name in seeds_of(estimator)}
    return clone(estimator).set_params(**seeds)
