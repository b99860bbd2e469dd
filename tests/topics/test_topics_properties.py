"""What holds for all counts: weights, permutations, scales, containers, blocks, and the bound."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from skem.topics import PLSA, LatentDirichletAllocationVB
from tests.topics.corpora import corpora, quietly, random_topics

# Counts here may be fractions that say nothing.
pytestmark = pytest.mark.filterwarnings(r"ignore:(All|\d+ of) \d+ topics are alike:UserWarning")

KINDS = ("plsa", "plsa-priors", "plsa-tempered", "cvb0", "vb")
every_kind = pytest.mark.parametrize("kind", KINDS)
few = settings(max_examples=10)


def make(kind, start, **kwargs):
    """An estimator of two topics after a few steps from a start: nothing random is left."""
    options = {"init": start, "max_iter": 8, "tol": 0} | kwargs
    if kind.startswith("plsa"):
        more = {
            "plsa": {},
            "plsa-priors": {"doc_topic_prior": 1.2, "topic_word_prior": 0.8},
            "plsa-tempered": {"temperature": 1.3},
        }[kind]
        return PLSA(len(start), **options | more)
    return LatentDirichletAllocationVB(len(start), inference=kind, **options)


def fit(kind, counts, start, sample_weight=None, **kwargs):
    return quietly(make(kind, start, **kwargs).fit, counts, sample_weight=sample_weight)


def start_for(counts, rng, k=2):
    """Topics, times a number so that LDA takes them for Dirichlet parameters."""
    return random_topics(rng, k, counts.shape[1]) * counts.sum() + 1


def assert_same_bounds(a, b, rtol=1e-9):
    """Where rounding decides it, one may end a map later than the other."""
    traces = zip(a.lower_bounds_, b.lower_bounds_, strict=False)
    np.testing.assert_allclose(*zip(*traces, strict=True), rtol=rtol, atol=rtol)
    assert a.lower_bound_ == pytest.approx(b.lower_bound_, rel=rtol, abs=rtol)


def assert_same(a, b, X_a, X_b=None, *, rtol=1e-7):
    """Topics, p(z), bounds, and the topics of documents."""
    X_b = X_a if X_b is None else X_b
    np.testing.assert_allclose(a.components_, b.components_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(a.topic_prior_, b.topic_prior_, rtol=rtol)
    assert_same_bounds(a, b, rtol)
    np.testing.assert_allclose(a.transform(X_a), b.transform(X_b), rtol=rtol, atol=rtol)


# ---------------------------------------------------------------------- documents and weights
@every_kind
@few
@given(corpora())
def test_a_weight_is_a_document_so_many_times(kind, data):
    counts, rng = data
    weight = rng.integers(0, 4, len(counts))
    weight[:2] = [1, 2]
    start = start_for(counts, rng)
    repeated = np.repeat(counts, weight, axis=0)
    assert_same(fit(kind, counts, start, weight), fit(kind, repeated, start), counts)


@every_kind
@few
@given(corpora(), st.booleans())
def test_the_order_of_documents_does_not_matter(kind, data, weighted):
    counts, rng = data
    order, start = rng.permutation(len(counts)), start_for(counts, rng)
    weight = rng.gamma(1.0, size=len(counts)) if weighted else None
    a = fit(kind, counts, start, weight)
    b = fit(kind, counts[order], start, None if weight is None else weight[order])
    assert_same(a, b, counts)


@every_kind
@few
@given(corpora())
def test_the_order_of_words_does_not_matter(kind, data):
    counts, rng = data
    order, start = rng.permutation(counts.shape[1]), start_for(counts, rng)
    a, b = fit(kind, counts, start), fit(kind, counts[:, order], start[:, order])
    np.testing.assert_allclose(a.components_[:, order], b.components_, rtol=1e-7, atol=1e-9)
    assert_same_bounds(a, b)
    np.testing.assert_allclose(
        a.transform(counts), b.transform(counts[:, order]), rtol=1e-6, atol=1e-8
    )


@every_kind
@few
@given(corpora())
def test_the_order_of_topics_is_that_of_the_start(kind, data):
    counts, rng = data
    start = start_for(counts, rng, 3)
    order = rng.permutation(3)
    a, b = fit(kind, counts, start), fit(kind, counts, start[order])
    np.testing.assert_allclose(a.components_[order], b.components_, rtol=1e-7, atol=1e-9)
    assert_same_bounds(a, b)


@every_kind
@pytest.mark.parametrize("init", ["random", "random_documents", "svd"])
def test_documents_of_weight_zero_and_empty_ones_are_as_if_left_out(kind, init):
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.0, (20, 8)).astype(float) + np.eye(20, 8)
    weight = rng.integers(0, 2, 20)
    more = np.vstack([counts, np.zeros((3, 8))])
    estimator = make(kind, np.ones((2, 8))).set_params(init=init, random_state=0)
    a = quietly(estimator.fit, counts[weight > 0])
    components, prior = a.components_, a.topic_prior_
    b = quietly(estimator.fit, counts, sample_weight=weight)
    np.testing.assert_allclose(b.components_, components, rtol=1e-7, atol=1e-12)
    if "priors" not in kind and kind != "vb":  # which have a say about empty documents too
        a = quietly(estimator.fit, counts)
        components, prior = a.components_, a.topic_prior_
        b = quietly(estimator.fit, more)
        np.testing.assert_allclose(b.components_, components, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(b.topic_prior_, prior, rtol=1e-6)
    np.testing.assert_allclose(b.transform(more)[-3:], np.tile(b.topic_prior_, (3, 1)), rtol=1e-12)


@few
@given(corpora(), st.sampled_from([1.0, 1.3]))
def test_documents_with_equal_shares_of_words_are_as_one_to_plsa(data, temperature):
    """Cut in two, a document has the same p(z|d) in both parts."""
    counts, rng = data
    start, part = start_for(counts, rng), rng.uniform(0.1, 0.9)
    cut = np.vstack([counts[:1] * part, counts[:1] * (1 - part), counts[1:]])
    options = {"temperature": temperature, "acceleration": None}
    a, b = (fit("plsa", X, start, **options) for X in (counts, cut))
    np.testing.assert_allclose(a.components_, b.components_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a.topic_prior_, b.topic_prior_, rtol=1e-9)
    assert_same_bounds(a, b)
    both = b.transform(cut)[:2]
    np.testing.assert_allclose(both[0], both[1], rtol=1e-6, atol=1e-9)


@few
@given(corpora(), st.sampled_from([1e-3, 0.5, 7.0, 1e5]), st.sampled_from([1.0, 0.9]))
def test_a_unit_of_counts_or_of_weights_changes_nothing_in_plsa(data, scale, temperature):
    counts, rng = data
    start, weight = start_for(counts, rng), rng.gamma(1.0, size=len(counts))
    options = {"temperature": temperature}
    a, b = (fit("plsa", X, start, **options) for X in (counts, scale * counts))
    assert_same(a, b, counts, scale * counts)
    options["acceleration"] = None
    a, b = (fit("plsa", counts, start, w, **options) for w in (weight, scale * weight))
    assert_same(a, b, counts)


@few
@given(corpora(), st.sampled_from([1.0, 1.3]))
def test_words_that_nobody_says_change_nothing_in_plsa(data, temperature):
    counts, rng = data
    start, options = start_for(counts, rng), {"temperature": temperature, "acceleration": None}
    wider = np.hstack([counts, np.zeros((len(counts), 2))])
    a = fit("plsa", counts, start, **options)
    b = fit("plsa", wider, np.hstack([start, np.ones((2, 2))]), **options)
    np.testing.assert_array_equal(b.components_[:, -2:], 0)
    np.testing.assert_allclose(b.components_[:, :-2], a.components_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(b.transform(wider), a.transform(counts), rtol=1e-6, atol=1e-8)


# ---------------------------------------------------------------------- representations
@every_kind
@few
@given(corpora())
def test_dense_and_sparse_counts_give_the_same(kind, data):
    counts, rng = data
    start = start_for(counts, rng)
    dense = fit(kind, counts, start)
    for container in (sp.csr_array, sp.csc_array, sp.csr_matrix):
        assert_same(
            dense, fit(kind, container(counts), start), counts, container(counts), rtol=1e-12
        )


@every_kind
@few
@given(corpora(whole=True))
def test_float32_is_near_float64(kind, data):
    counts, rng = data
    start = start_for(counts, rng)
    options = {"max_iter": 3} | ({"acceleration": None} if kind.startswith("plsa") else {})
    single = fit(kind, counts.astype(np.float32), start, **options)
    double = fit(kind, counts, start, **options)
    np.testing.assert_allclose(single.components_, double.components_, atol=2e-3)
    assert_same_bounds(single, double, rtol=1e-4)
    np.testing.assert_allclose(single.components_.sum(axis=1), 1, rtol=1e-5)


@every_kind
@few
@given(corpora())
def test_what_comes_out_is_normalised(kind, data):
    counts, rng = data
    fitted = fit(kind, counts, start_for(counts, rng))
    mixtures = fitted.transform(counts)
    for q in (fitted.components_, mixtures, fitted.topic_prior_[None]):
        assert (q >= 0).all()
        np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(fitted.inverse_transform(mixtures).sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(
        quietly(make(kind, fitted.components_ * counts.sum() + 1).fit_transform, counts),
        fit(kind, counts, fitted.components_ * counts.sum() + 1).transform(counts),
    )


@pytest.fixture
def many_blocks(monkeypatch):
    """Cut even little data into many blocks of documents."""
    monkeypatch.setattr("skem.topics._counts._MIN_ENTRIES", 1)
    monkeypatch.setattr("skem.topics._counts._ENTRIES_PER_WORD", 1)


@every_kind
@pytest.mark.usefixtures("many_blocks")
def test_neither_threads_nor_blocks_change_anything(kind, monkeypatch):
    rng = np.random.default_rng(1)
    counts = rng.poisson(0.5, (300, 12)).astype(float)
    counts[100:140] = 0
    start, weight = start_for(counts, rng, 4), rng.gamma(1.0, size=300)
    one, three = (fit(kind, counts, start, weight, n_jobs=n) for n in (1, 3))
    assert_same(one, three, counts, rtol=1e-12)
    scores = [fitted.score(counts, sample_weight=weight) for fitted in (one, three)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-12)
    monkeypatch.undo()
    assert_same(one, fit(kind, counts, start, weight), counts, rtol=1e-8)


@every_kind
@pytest.mark.usefixtures("many_blocks")
def test_batches_give_the_same_with_any_number_of_threads(kind):
    if kind == "plsa-tempered":
        return  # has no partial_fit
    rng = np.random.default_rng(2)
    counts = rng.poisson(0.5, (300, 12)).astype(float)
    estimators = [make(kind, start_for(counts, rng), n_jobs=n) for n in (1, 3)]
    estimators[1].init = estimators[0].init
    for part in np.split(counts, 3):
        for estimator in estimators:
            estimator.partial_fit(part)
    assert_same(*estimators, counts, rtol=1e-12)


# ---------------------------------------------------------------------- the bound
PRIORS = (None, 0.05, 0.9, 1.0, 3.0)


@settings(max_examples=30)
@given(
    corpora(),
    st.sampled_from([None, "squarem", "extrapolation"]),
    st.sampled_from([1.0, 0.7, 2.0]),
    st.tuples(st.sampled_from(PRIORS), st.sampled_from(PRIORS)),
    st.sampled_from([np.float64, np.float32]),
)
def test_the_bound_of_plsa_never_falls(data, acceleration, temperature, priors, dtype):
    """The engine refuses a bound that falls, so that the fit ends at all says it."""
    counts, rng = data
    fitted = fit(
        "plsa", counts.astype(dtype), start_for(counts, rng, 3), rng.gamma(1.0, size=len(counts)),
        acceleration=acceleration, temperature=temperature, doc_topic_prior=priors[0],
        topic_word_prior=priors[1], max_iter=60,
    )  # fmt: skip
    assert (np.diff(fitted.lower_bounds_) >= 0).all()
    assert np.isfinite(fitted.lower_bounds_).all()


@settings(max_examples=30)
@given(
    corpora(),
    st.lists(st.sampled_from([0.1, 0.5, 1.0, 1.0, 2.5]), min_size=3, max_size=3),
    st.sampled_from([0.01, 1.0]),
)
def test_the_bound_of_plsa_never_falls_with_a_prior_for_each_topic(data, prior, scale):
    """Also where a topic has no word of a document: the start has zeros."""
    counts, rng = data
    start = start_for(counts, rng, 3) * (rng.uniform(size=(3, counts.shape[1])) < 0.5)
    start[0] += 1
    start[:, 0] += 1e-3
    fitted = fit("plsa", scale * counts, start, doc_topic_prior=prior, acceleration=None)
    assert (np.diff(fitted.lower_bounds_) >= 0).all()


@settings(max_examples=30)
@given(
    corpora(),
    st.booleans(),
    st.sampled_from([1e-5, 0.05, 1.0, 2000.0]),
    st.sampled_from([1e-5, 0.05, 1.0, 2000.0]),
    st.sampled_from([np.float64, np.float32]),
)
def test_the_bound_of_vb_never_falls(data, learn_priors, alpha, eta, dtype):
    counts, rng = data
    fitted = fit(
        "vb", counts.astype(dtype), start_for(counts, rng, 3) + eta,
        rng.gamma(1.0, size=len(counts)), learn_priors=learn_priors, doc_topic_prior=alpha,
        topic_word_prior=eta, max_iter=40,
    )  # fmt: skip
    assert (np.diff(fitted.lower_bounds_) >= 0).all()
    assert np.isfinite(fitted.lower_bounds_).all()
