"""Counts, weights and priors of any size: sound results, or an error that names what is at fault.

Never NaN, another exception, or a warning that NumPy gives.
"""

import copy
import re

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from skem.topics import PLSA, LatentDirichletAllocationVB
from skem.topics.lda import _kernels as lda_kernels
from tests.topics.corpora import draw_corpus, quietly

# Counts that are next to nothing beside priors make topics alike.
pytestmark = pytest.mark.filterwarnings(r"ignore:(All|\d+ of) \d+ topics are alike:UserWarning")

X, _, _ = draw_corpus(n=12, p=9, k=2, n_tokens=30)
OPTIONS = {"max_iter": 12, "tol": 0.0, "random_state": 0, "n_jobs": 1}
LDA = LatentDirichletAllocationVB
ESTIMATORS = {
    "plsa": PLSA(2, acceleration=None, **OPTIONS),
    "plsa, squarem": PLSA(2, **OPTIONS),
    "plsa, held-out": PLSA(2, temperature="held-out", **OPTIONS),
    "plsa, priors": PLSA(2, doc_topic_prior=0.5, topic_word_prior=1.5, **OPTIONS),
    "cvb0": LDA(2, **OPTIONS),
    "cvb0, fixed priors": LDA(2, learn_priors=False, **OPTIONS),
    "vb": LDA(2, inference="vb", **OPTIONS),
    "vb, fixed priors": LDA(2, inference="vb", learn_priors=False, **OPTIONS),
}
SCALES = {
    np.float64: (1e-310, 1e-300, 1e-200, 1e-30, 1e100, 1e200, 1e300, 1e306),
    np.float32: (1e-44, 1e-37, 1e-30, 1e-18, 1e15, 1e30, 1e36, 1e37),
}
PRIORS = (1e-320, 1e-100, 1e-15, 1e9, 1e30, 1e40, 1e300, 1e308)
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
every_dtype = pytest.mark.parametrize("dtype", SCALES)


def scaled(scale, dtype):
    """X times a number, either of which may be near an end of the range; infinite entries are not.

    The largest entry of X is 30, so 1e37 is the largest scale of float32.
    """
    root = np.sqrt(scale) if scale < 1e-300 else 1.0
    values = (X * root) * (scale / root)
    return np.minimum(values, np.finfo(dtype).max).astype(dtype)


def outcome(estimator, method, names, /, *args, **kwargs):
    """What a method returns, or None if it has refused one of the parameters by its name."""
    before = dict(vars(estimator))
    try:
        return quietly(getattr(estimator, method), *args, **kwargs)
    except ValueError as error:
        message = str(error)
        assert any(re.search(rf"\b{name}\b", message) for name in names), message
        now = vars(estimator)
        assert now.keys() == before.keys()
        assert all(now[name] is value for name, value in before.items())
        return None


def assert_sound(fitted):
    for name, value in vars(fitted).items():
        if name.endswith("_") and name not in ("optimality_gap_", "feature_names_in_"):
            assert np.isfinite(np.asarray(value, float)).all(), name
    tolerance = 1e-5 if fitted.components_.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(fitted.components_.sum(axis=1), 1, rtol=tolerance)
    np.testing.assert_allclose(fitted.topic_prior_.sum(), 1, rtol=tolerance)


def assert_documents(fitted, names, documents):
    """Mixtures and scores of documents are sound, or refused."""
    mixtures = outcome(fitted, "transform", names, documents)
    if mixtures is not None:
        np.testing.assert_allclose(mixtures.sum(axis=1), 1, rtol=1e-5)
    for method in ("score_samples", "score"):
        values = outcome(fitted, method, names, documents)
        assert values is None or np.isfinite(values).all(), method
    if values is not None:
        with np.errstate(over="ignore"):  # next to no tokens, with priors of their own
            assert fitted.perplexity(documents) == pytest.approx(np.exp(-values))
        assert fitted.perplexity(documents, method="completion") > 0


@every_estimator
@every_dtype
def test_counts_of_any_size(estimator, dtype):
    ordinary = quietly(clone(estimator).fit, X.astype(dtype))
    names = ["X", "doc_topic_prior"]  # beside next to nothing the prior of PLSA is too strong
    for number, scale in enumerate(SCALES[dtype]):
        documents = scaled(scale, dtype)
        if number % 2:
            documents = sp.csr_array(documents)
        fitted = clone(estimator)
        if outcome(fitted, "fit", names, documents):
            assert_sound(fitted)
            assert_documents(fitted, names, documents)
            assert_documents(fitted, names, X.astype(dtype))
        assert_documents(ordinary, names, documents)
        for begun in (clone(estimator), copy.deepcopy(ordinary)):
            names_online = [*names, "temperature"]
            for batch in (documents, X.astype(dtype)):
                if outcome(begun, "partial_fit", names_online, batch):
                    assert_sound(begun)
            if hasattr(begun, "components_"):
                assert_documents(begun, names, documents)


@pytest.mark.parametrize("name", ["plsa", "plsa, squarem"])
@every_dtype
def test_plsa_does_not_depend_on_the_unit_of_the_counts(name, dtype):
    ordinary = quietly(clone(ESTIMATORS[name]).fit, X.astype(dtype))
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    n_fitted = 0
    for scale in SCALES[dtype][1:]:  # of subnormal numbers not even X is what it was
        documents, fitted = scaled(scale, dtype), clone(ESTIMATORS[name])
        if not outcome(fitted, "fit", ["X"], documents):
            continue
        n_fitted += 1
        for attribute in ("components_", "topic_prior_", "lower_bound_"):
            expected = getattr(ordinary, attribute)
            np.testing.assert_allclose(getattr(fitted, attribute), expected, atol=tolerance)
        mixtures = ordinary.transform(X.astype(dtype))
        np.testing.assert_allclose(ordinary.transform(documents), mixtures, atol=tolerance)
        score = ordinary.score(X.astype(dtype))
        np.testing.assert_allclose(ordinary.score(documents), score, rtol=tolerance)
    assert n_fitted >= 4


@every_dtype
def test_priors_are_in_the_unit_of_the_counts(dtype):
    """Of 2^40 times the counts, and as many times what the priors add."""
    plsa, factor = ESTIMATORS["plsa, priors"], 2.0**40
    plain = quietly(clone(plsa).set_params(doc_topic_prior=1.5).fit, X.astype(dtype))
    priors = {"doc_topic_prior": 1 + 0.5 * factor, "topic_word_prior": 1 + 0.5 * factor}
    large = quietly(clone(plsa).set_params(**priors).fit, (factor * X).astype(dtype))
    np.testing.assert_array_equal(large.components_, plain.components_)
    mixtures = plain.transform(X.astype(dtype))
    np.testing.assert_array_equal(large.transform((factor * X).astype(dtype)), mixtures)
    small = quietly(large.partial_fit, (factor * X).astype(dtype))
    np.testing.assert_array_equal(
        small.components_, quietly(plain.partial_fit, X.astype(dtype)).components_
    )


@pytest.mark.parametrize("name", ["plsa", "plsa, priors"])
@every_dtype
def test_a_document_does_not_depend_on_the_size_of_others(name, dtype):
    fitted = quietly(clone(ESTIMATORS[name]).fit, X.astype(dtype))
    sizes = np.array([1e-30, 1e-20, 1, 1, 1e12, 1e30])[:, None]
    documents = (X[:6] * sizes).astype(dtype)
    together = fitted.transform(documents)
    alone = np.concatenate([fitted.transform(row[None]) for row in documents])
    np.testing.assert_array_equal(together, alone)
    assert np.isfinite(together).all()


@every_estimator
@every_dtype
@pytest.mark.parametrize("name", ["doc_topic_prior", "topic_word_prior"])
def test_priors_of_any_size(estimator, dtype, name):
    documents = X.astype(dtype)
    shape = (2,) if name == "doc_topic_prior" else (2, X.shape[1])
    for size in PRIORS:
        extreme = np.ones(shape)
        extreme.flat[0] = size
        for prior in (size, extreme):
            for method in ("fit", "partial_fit"):
                fitted = clone(estimator).set_params(**{name: prior})
                if outcome(fitted, method, [name, "temperature"], documents):
                    assert_sound(fitted)
                    assert_documents(fitted, [], documents)


@every_estimator
@every_dtype
def test_weights_of_any_size(estimator, dtype):
    names = ["sample_weight", "topic_word_prior"]
    ordinary = quietly(clone(estimator).fit, X.astype(dtype))
    for size in SCALES[dtype]:
        mixed = np.ones(len(X))
        mixed[::2] = size
        for weight in (np.full(len(X), size), mixed):
            for method in ("fit", "partial_fit"):
                fitted = clone(estimator)
                wanted = [*names, "temperature"]
                if outcome(fitted, method, wanted, X.astype(dtype), sample_weight=weight):
                    assert_sound(fitted)
                    assert_documents(fitted, [], X.astype(dtype))
            score = outcome(ordinary, "score", names, X.astype(dtype), sample_weight=weight)
            assert score is None or np.isfinite(score)


@every_estimator
@every_dtype
def test_weights_and_counts_of_any_size(estimator, dtype):
    names = ["X", "sample_weight", "doc_topic_prior", "topic_word_prior"]
    for size in SCALES[dtype][1:-1]:
        for other in (size, 1 / size):
            weight = np.full(len(X), other)
            fitted = clone(estimator)
            if outcome(fitted, "fit", names, scaled(size, dtype), sample_weight=weight):
                assert_sound(fitted)


@every_estimator
@every_dtype
def test_initial_topics_of_any_size(estimator, dtype):
    start = np.random.default_rng(0).gamma(1.0, size=(2, X.shape[1]))
    for size in (1e-300, 1e-30, 1e30, 1e100, 1e307):
        fitted = clone(estimator).set_params(init=start * size)
        if outcome(fitted, "fit", ["init"], X.astype(dtype)):
            assert_sound(fitted)
    assert isinstance(estimator, LDA) or hasattr(fitted, "components_")


@every_dtype
def test_a_prior_and_counts_that_are_both_at_an_end_of_their_range(dtype):
    info = np.finfo(dtype)
    ends = float(info.tiny) ** 0.5, float(info.max) ** 0.5 / X.sum() / 10
    for name in list(ESTIMATORS)[4:]:
        for size in (ends[0], ends[1]):
            for doc, word in ((1e-15, 1e-15), (1e-15, 1e10), (1e10, 1e-15), (1e10, 1e10)):
                priors = {"doc_topic_prior": doc, "topic_word_prior": word}
                fitted = clone(ESTIMATORS[name]).set_params(**priors)
                quietly(fitted.fit, (X * size).astype(dtype))
                assert_sound(fitted)
                assert_documents(fitted, [], (X * size).astype(dtype))
                assert_sound(quietly(fitted.partial_fit, (X * size).astype(dtype)))


@pytest.mark.parametrize("x", [-np.inf, -1e300, -0.5, np.nan])
def test_digamma_of_what_is_not_positive_ends(x):
    assert np.isnan(lda_kernels.digamma(x))


def test_what_is_refused_and_the_way_out():
    with pytest.raises(ValueError, match=r"X add up to .*e-308; .* Divide X by a constant"):
        PLSA(2).fit(X * 1e-310)
    with pytest.raises(ValueError, match=r"X add up to .*in float32 .*Divide X by a constant"):
        LDA(2).fit((X * 1e20).astype(np.float32))
    with pytest.raises(ValueError, match=r"X times sample_weight add up to"):
        LDA(2).fit(X * 1e100, sample_weight=np.full(len(X), 1e100))
    with pytest.raises(ValueError, match=r"topic_word_prior holds 1e\+30; .* from 1e-15 to 1e\+10"):
        LDA(2, topic_word_prior=1e30).fit(X)
    with pytest.raises(ValueError, match=r"topic_word_prior is too strong.* multiply X"):
        PLSA(2, topic_word_prior=1.5).fit(X * 1e-100)
    batches = PLSA(2, random_state=0).partial_fit(X)
    with pytest.raises(ValueError, match=r"X holds .* first batch.* in one unit"):
        batches.partial_fit(X * 1e200)
