"""Coherence is its formula: by hand, by brute force over windows, and as gensim has it."""

import itertools
import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import NMF, LatentDirichletAllocation, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skem.topics import topic_coherence, topic_diversity
from skem.topics.quality import _cooccurrence

# Documents a b | a b c | c d | d d; only presence counts.
COUNTS = np.array([[1, 2, 0, 0], [1, 1, 3, 0], [0, 0, 1, 1], [0, 0, 0, 2]])

# No word is twice in a document: where one is, gensim drops it from a window that slides past its
# first place though it is still there at its second.
TEXTS = [[f"w{((d % 4 + 1) * i + d * d) % 13}" for i in range(3 + 7 * d % 10)] for d in range(24)]
TOPICS = [["w0", "w1", "w2", "w3"], ["w11", "w0", "w5", "w10"], ["w4", "w8", "w12", "w6"]]


# ------------------------------------------------------------------------------------- the formulas
def windows_of(texts, width):
    for text in texts:
        for start in range(max(1, len(text) - width + 1)):
            yield set(text[start : start + width])


def by_the_book(topic, windows, measure, epsilon=0.0):
    """Each formula as it is printed, one pair of words at a time."""
    windows = list(windows)
    n = len(windows)

    def count(*words):
        return sum(window.issuperset(words) for window in windows)

    def npmi(v, w):
        joint = count(v, w) / n + epsilon
        if joint == 0:
            return -1.0
        if joint >= 1:
            return 1.0
        return math.log(joint / (count(v) / n * count(w) / n)) / -math.log(joint)

    if measure == "umass":
        pairs = [(topic[m], topic[j]) for m in range(1, len(topic)) for j in range(m)]
        return np.mean([math.log((count(v, w) + 1) / count(w)) for v, w in pairs])
    if measure == "npmi":
        return np.mean([npmi(v, w) for v, w in itertools.combinations(topic, 2)])
    vectors = np.array([[npmi(v, w) for w in topic] for v in topic])
    total = vectors.sum(axis=0)
    return np.mean([v @ total / np.linalg.norm(v) / np.linalg.norm(total) for v in vectors])


@pytest.mark.parametrize("measure", ["npmi", "umass", "c_v"])
@pytest.mark.parametrize("width", [1, 2, 5, 110])
def test_a_measure_is_its_formula(measure, width):
    rng = np.random.default_rng(0)
    texts = [[f"w{j}" for j in rng.integers(0, 9, rng.integers(1, 15))] for _ in range(40)]
    topics = [["w0", "w1", "w2", "w3"], ["w8", "w0", "w5"]]
    for epsilon in (0.0, 1e-12, 0.01):
        expected = [by_the_book(t, windows_of(texts, width), measure, epsilon) for t in topics]
        values = topic_coherence(topics, texts, measure=measure, window=width, epsilon=epsilon)
        assert_allclose(values, expected, rtol=1e-12, atol=1e-14)


def test_blocks_of_windows_add_up(monkeypatch):
    whole = topic_coherence(TOPICS, TEXTS, window=4)
    monkeypatch.setattr(_cooccurrence, "BLOCK_ENTRIES", 10)
    assert_array_equal(topic_coherence(TOPICS, TEXTS, window=4), whole)


@pytest.mark.parametrize(
    ("measure", "window", "expected"),
    [
        ("npmi", 10, [0.0432020867, 0.0201098801, 0.1088425568]),
        ("npmi", 4, [-0.0694711039, -0.1364386373, 0.0095214518]),
        ("c_v", None, [0.6049748672, 0.6015595467, 0.6656658040]),
        ("c_v", 5, [0.3804592483, 0.3438415822, 0.5022130419]),
    ],
)
def test_it_is_what_gensim_computes(measure, window, expected):
    """gensim 4.4.0: `CoherenceModel(coherence='c_npmi' or 'c_v', window_size=window)`."""
    values = topic_coherence(TOPICS, TEXTS, measure=measure, window=window, epsilon=1e-12)
    assert_allclose(values, expected, atol=1e-10)


def test_values_by_hand():
    """p(a) = p(b) = p(c) = p(d) = 1/2; a and b are always together, a and d never."""
    assert topic_coherence([[0, 1]], COUNTS) == 1.0
    assert topic_coherence([[0, 3]], COUNTS) == -1.0
    # p(a, c) = 1/4 is p(a) p(c): independent.
    assert topic_coherence([[0, 2]], COUNTS) == 0.0
    assert topic_coherence([[0, 1, 3]], COUNTS) == pytest.approx((1 - 1 - 1) / 3)
    # Pairs (b | a), (d | a), (d | b): log (2 + 1)/2, log (0 + 1)/2 twice.
    expected = (math.log(3 / 2) + 2 * math.log(1 / 2)) / 3
    assert topic_coherence([[0, 1, 3]], COUNTS, measure="umass") == pytest.approx(expected)
    # Vectors (1, 1) and (1, 1) for a, b; (1, -1) and (-1, 1) for a, d, whose sum is zero.
    assert topic_coherence([[0, 1]], COUNTS, measure="c_v") == pytest.approx(1.0)
    assert topic_coherence([[0, 3]], COUNTS, measure="c_v") == 0.0
    # a, b, c have NPMI (1, 1, 0), (1, 1, 0), (0, 0, 1), which sum to (2, 2, 1).
    expected = (2 * 4 / math.sqrt(2 * 9) + 1 / 3) / 3
    assert topic_coherence([[0, 1, 2]], COUNTS, measure="c_v") == pytest.approx(expected)


def test_words_of_every_document_are_always_together():
    assert topic_coherence([[0, 1]], np.ones((3, 2))) == 1.0


def test_umass_depends_on_the_order_of_words_and_the_others_do_not():
    one, other = [[2, 0, 3]], [[3, 0, 2]]
    X = np.array([[1, 0, 1, 1], [1, 0, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1]])
    for measure in ("npmi", "c_v"):
        first, second = (topic_coherence(t, X, measure=measure) for t in (one, other))
        assert first == pytest.approx(second)
    assert topic_coherence(one, X, measure="umass") != topic_coherence(other, X, measure="umass")


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["npmi", "c_v"]))
def test_coherence_has_bounds_and_knows_no_order(seed, measure):
    rng = np.random.default_rng(seed)
    X = rng.random((12, 6)) < rng.random(6)
    X[0] = True  # each word is there
    topics = [rng.permutation(6)[:4].tolist() for _ in range(3)]
    values = topic_coherence(topics, X, measure=measure)
    assert (np.abs(values) <= 1 + 1e-12).all()
    words, rows = rng.permutation(6), rng.permutation(12)
    place = np.argsort(words)
    renamed = [place[topic].tolist() for topic in topics]
    assert_allclose(topic_coherence(renamed, X[rows][:, words], measure=measure), values)
    assert_allclose(topic_coherence(topics, np.tile(X, (3, 1)), measure=measure), values)


# ------------------------------------------------------------------------------------ what it takes
def test_all_forms_of_topics_and_reference_agree():
    rng = np.random.default_rng(0)
    X = rng.poisson(0.7, (30, 8))
    components = rng.random((3, 8))
    best = np.argsort(-components, axis=1)[:, :4]
    names = [f"w{j}" for j in range(8)]
    words = [[names[j] for j in topic] for topic in best]
    texts = [[names[j] for j in range(8) for _ in range(row[j])] for row in X]
    expected = topic_coherence(best, X)
    lda = LatentDirichletAllocation(3)
    lda.components_ = 100 * components
    for topics in (components, components.tolist(), best.tolist(), lda, lda.components_):
        for reference in (X, X.tolist(), sp.csr_array(X), sp.csc_matrix(X), X > 0):
            assert_array_equal(topic_coherence(topics, reference, n_words=4), expected)
    number = {name: j for j, name in enumerate(names)}
    for vocabulary in (names, np.array(names), dict(reversed(number.items()))):
        assert_array_equal(topic_coherence(best, texts, vocabulary=vocabulary), expected)
        assert_array_equal(topic_coherence(words, X, vocabulary=vocabulary), expected)
    assert_array_equal(topic_coherence(words, texts), expected)
    assert_array_equal(topic_coherence(words, texts, window=10**6), expected)
    assert_array_equal(
        topic_coherence(words, texts, measure="c_v"), topic_coherence(best, X, measure="c_v")
    )


def test_a_pipeline_and_a_search_know_their_words():
    texts = ["cat dog pet", "dog pet cat", "bond stock market", "market stock bond cat"] * 3
    pipeline = make_pipeline(CountVectorizer(), NMF(2, tol=0, max_iter=100)).fit(texts)
    search = GridSearchCV(
        pipeline, {"nmf__n_components": [2]}, cv=2, scoring=lambda estimator, X, y=None: 0.0
    ).fit(texts)
    tokens = [text.split() for text in texts]
    expected = topic_coherence(pipeline[-1], pipeline[0].transform(texts), n_words=3)
    for fitted in (pipeline, search):
        assert_array_equal(topic_coherence(fitted, tokens, n_words=3), expected)


def test_words_of_probability_zero_are_none_of_the_topics():
    components = [[0.6, 0.4, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    assert_array_equal(topic_coherence(components, COUNTS, n_words=4), [1.0, np.nan])
    assert topic_diversity(components, n_words=4) == 1.0


def test_unseen_words_are_left_out_with_a_warning():
    X = np.column_stack([COUNTS, np.zeros(4)])
    for measure in ("npmi", "umass", "c_v"):
        with pytest.warns(UserWarning, match=r"1 of the 4 words .* never occur .*: \[4\]"):
            values = topic_coherence([[0, 1, 4], [4, 2], [4]], X, measure=measure)
        expected = topic_coherence([[0, 1]], X, measure=measure)
        assert_array_equal(values, [expected[0], np.nan, np.nan])
    with pytest.warns(UserWarning, match=r"left out: \['ghost'\]"):
        topic_coherence([[0, 1, 2]], TEXTS, vocabulary=["w0", "w1", "ghost"])


def test_diversity_is_the_share_of_distinct_words():
    assert topic_diversity([[0, 1, 2], [2, 3, 4]]) == 5 / 6
    assert topic_diversity([[0, 1, 2], [2, 3, 4]], n_words=2) == 1.0
    assert topic_diversity(np.tile([0.5, 0.3, 0.2], (4, 1)), n_words=2) == 1 / 4


# ------------------------------------------------------------------------------------- wrong input
def test_wrong_parameters_are_errors():
    with pytest.raises(ValueError, match=r"measure must be one of .*'c_v'.* got 'c_a'"):
        topic_coherence([[0, 1]], COUNTS, measure="c_a")
    for n_words in (0, 2.5):
        with pytest.raises(ValueError, match="n_words must be an integer of at least 1"):
            topic_coherence([[0, 1]], COUNTS, n_words=n_words)
    with pytest.raises(ValueError, match="n_words must be at most the number of features, 4, got"):
        topic_coherence(np.ones((2, 4)), COUNTS)
    with pytest.raises(ValueError, match="window needs the order of words"):
        topic_coherence([[0, 1]], COUNTS, window=10)
    with pytest.raises(ValueError, match="window must be an integer of at least 1, got 0"):
        topic_coherence(TOPICS, TEXTS, window=0)
    for epsilon in (-1e-12, 1.0, None):
        with pytest.raises(ValueError, match="epsilon must be a small number"):
            topic_coherence([[0, 1]], COUNTS, epsilon=epsilon)


def test_wrong_topics_are_errors():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        topic_coherence(NMF(2), COUNTS)
    with pytest.raises(TypeError, match="LinearRegression has no components_"):
        topic_coherence(LinearRegression().fit(COUNTS, COUNTS[:, 0]), COUNTS)
    with pytest.raises(ValueError, match=r"not negative.* TruncatedSVD, have no topics"):
        topic_coherence(TruncatedSVD(2).fit(COUNTS), COUNTS, n_words=2)
    for topics in (["cat", "dog"], [], [[0, "dog"]], [0.2, 0.8], 3):
        with pytest.raises(ValueError, match="topics must be a fitted topic model, an array of"):
            topic_coherence(topics, COUNTS, n_words=2)
    with pytest.raises(ValueError, match=r"lists the word 1 twice in topic 1.* real numbers"):
        topic_coherence([[0, 1], [1, 1]], COUNTS)
    with pytest.raises(ValueError, match="the word 4, but reference has 4 columns"):
        topic_coherence([[0, 4]], COUNTS)
    with pytest.raises(ValueError, match="topics has no words"):
        topic_diversity(np.zeros((2, 3)), n_words=2)


def test_wrong_references_are_errors():
    with pytest.raises(ValueError, match=r"reference holds texts: .*build_analyzer"):
        topic_coherence(TOPICS, ["w0 w1", "w2 w3"])
    with pytest.raises(ValueError, match="reference must be a matrix of document-word counts"):
        topic_coherence([[0, 1]], [1, 2, 3])
    with pytest.raises(ValueError, match="vocabulary must name the columns"):
        topic_coherence([[0, 1]], TEXTS)
    with pytest.raises(ValueError, match="the word 2, but vocabulary names 2 columns"):
        topic_coherence([[0, 2]], TEXTS, vocabulary=["w0", "w1"])
    with pytest.raises(ValueError, match="vocabulary holds 3 names for the 4 columns"):
        topic_coherence([[0, 1]], COUNTS, vocabulary=["a", "b", "c"])
    for vocabulary in (None, ["a", "b", "c", "d"]):
        with pytest.raises(ValueError, match="the word 'cat', which is not in vocabulary"):
            topic_coherence([["cat", "dog"]], COUNTS, vocabulary=vocabulary)
