"""Topics are matched at the least total distance, and a permutation of topics changes nothing."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cosine, jensenshannon
from sklearn.decomposition import NMF, LatentDirichletAllocation
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from skem.topics import match_topics, topic_stability

DISTANCES = {
    "hellinger": lambda p, q: np.sqrt(max(0.0, 1 - np.sqrt(p * q).sum())),
    "jensen-shannon": lambda p, q: jensenshannon(p, q, base=2),
    "cosine": cosine,
}


def topics(n_topics, n_features, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(n_features, 0.3), n_topics)


# ----------------------------------------------------------------------------------------- matching
@pytest.mark.parametrize("distance", DISTANCES)
def test_the_match_is_the_best_of_all_permutations(distance):
    a, b = topics(4, 9, 1), topics(5, 9, 2)
    between = np.array([[DISTANCES[distance](p, q) for q in b] for p in a])
    best = min(
        itertools.permutations(range(5), 4), key=lambda order: between[range(4), order].sum()
    )
    match = match_topics(a, b, distance=distance)
    assert_array_equal(match.permutation, best)
    assert_allclose(match.distances, between[range(4), best], rtol=1e-10)
    assert_allclose(match.similarities, 1 - match.distances)
    assert match.mean_similarity == pytest.approx(1 - match.distances.mean())


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(DISTANCES)))
def test_a_permutation_is_found_at_distance_zero(seed, distance):
    rng = np.random.default_rng(seed)
    a, order = topics(6, 12, seed), rng.permutation(6)
    match = match_topics(a[order], 7.5 * a, distance=distance)
    assert_array_equal(match.permutation, order)
    assert_allclose(match.distances, 0.0, atol=1e-7)


@pytest.mark.parametrize("distance", DISTANCES)
def test_topics_without_a_common_word_are_at_distance_one(distance):
    match = match_topics([[0.5, 0.5, 0, 0]], [[0, 0, 0.1, 0.9]], distance=distance)
    assert match.distances == pytest.approx([1.0])
    assert match.mean_similarity == pytest.approx(0.0)


def test_hellinger_by_hand():
    """BC((1, 0), (1/2, 1/2)) = 1/sqrt 2."""
    match = match_topics([[1.0, 0.0]], [[0.5, 0.5]])
    assert match.distances == pytest.approx([np.sqrt(1 - 1 / np.sqrt(2))])


def test_rows_are_divided_by_their_sums():
    X = np.random.default_rng(0).poisson(2.0, (20, 6))
    nmf = NMF(2, init="random", random_state=0, tol=0, max_iter=100).fit(X)
    rows = nmf.components_ / nmf.components_.sum(axis=1, keepdims=True)
    assert match_topics(nmf, rows[::-1]).permutation.tolist() == [1, 0]
    assert_allclose(match_topics(nmf, rows[::-1]).distances, 0.0, atol=1e-7)


# ---------------------------------------------------------------------------------------- stability
class Noisy(LatentDirichletAllocation):
    """Topics that are permuted by the seed, and of which the last depends on it."""

    def fit(self, X, y=None):
        rng = np.random.default_rng(self.random_state)
        rows = np.eye(4)[:, [0, 1, 2, 3, 3]] / [1, 1, 1, 2, 2]
        rows[3, 3:] = rng.dirichlet([1, 1])
        self.components_ = rows[rng.permutation(4)]
        return self


def test_stable_topics_are_told_from_those_that_depend_on_the_seed():
    stability = topic_stability(Noisy(), np.ones((3, 5)), n_fits=6, random_state=0)
    fixed = stability.best_estimator_.components_[:, 3:].sum(axis=1) == 0
    assert fixed.sum() == 3
    assert_allclose(stability.topic_similarities[fixed], 1.0)
    assert stability.topic_similarities[~fixed] < 0.95
    assert stability.similarities.shape == (6, 6)
    assert_allclose(stability.similarities, stability.similarities.T)
    assert_allclose(np.diagonal(stability.similarities), 1.0)
    pairs = stability.similarities[np.triu_indices(6, 1)]
    assert stability.mean_similarity == pytest.approx(pairs.mean())
    others = stability.similarities.sum(axis=1) - 1
    assert others.max() / 5 == pytest.approx(stability.topic_similarities.mean())


def test_the_seeds_are_those_of_random_state():
    X = np.random.default_rng(0).poisson(1.0, (30, 10))
    lda = LatentDirichletAllocation(3, max_iter=3)
    one, same, other = (
        topic_stability(lda, X, n_fits=2, random_state=seed).mean_similarity for seed in (0, 0, 1)
    )
    assert one == same != other
    assert 0 < one < 1
    assert not hasattr(lda, "components_")


def test_a_pipeline_is_fitted_as_a_whole():
    texts = ["cat dog pet", "dog pet cat", "bond stock market", "market stock bond"] * 3
    model = make_pipeline(CountVectorizer(), LatentDirichletAllocation(2))
    stability = topic_stability(model, texts, n_fits=3, random_state=0)
    assert stability.mean_similarity > 0.95
    assert stability.best_estimator_[-1].components_.shape == (2, 6)


# -------------------------------------------------------------------------------------- wrong input
def test_wrong_input_is_an_error():
    a = topics(3, 5)
    with pytest.raises(ValueError, match=r"distance must be one of .*'hellinger'.*, got 'l2'"):
        match_topics(a, a, distance="l2")
    with pytest.raises(ValueError, match=r"a has 5 words and b has 4: .* same vocabulary"):
        match_topics(a, a[:, :4])
    with pytest.raises(ValueError, match=r"a has 3 topics and b has 2: .*Exchange"):
        match_topics(a, a[:2])
    with pytest.raises(ValueError, match=r"b has no words in topic 2: .*zero throughout"):
        match_topics(a, a * [[1], [1], [0]])
    with pytest.raises(ValueError, match="b must hold finite numbers that are not negative"):
        match_topics(a, -a)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        match_topics(NMF(2), a)
    with pytest.raises(TypeError, match="LinearRegression has no components_"):
        match_topics(LinearRegression().fit(a, a[:, 0]), a)
    for n_fits, message in ((1, "at least 2"), (2.0, "integer")):
        with pytest.raises(ValueError, match=f"n_fits must be .*{message}"):
            topic_stability(NMF(2), a, n_fits=n_fits)
    with pytest.raises(ValueError, match="estimator must have a random_state, and LinearRegr"):
        topic_stability(LinearRegression(), a)
