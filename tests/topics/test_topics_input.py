"""What cannot be fitted is refused by name, and the estimator is left as it was."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

from skem.datasets import load_python_reference
from skem.topics import PLSA, LatentDirichletAllocationVB
from skem.topics.lda._alike import warn_if_alike
from tests.topics.corpora import X, quietly

ESTIMATORS = [
    PLSA(3, random_state=0),
    LatentDirichletAllocationVB(3, random_state=0),
    LatentDirichletAllocationVB(3, inference="vb", random_state=0),
]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=["plsa", "cvb0", "vb"])
METHODS = ["transform", "score_samples", "score", "perplexity"]

NEGATIVE, MISSING, INFINITE = X.copy(), X.copy(), X.copy()
NEGATIVE[3, 4], MISSING[3, 4], INFINITE[3, 4] = -1, np.nan, np.inf

# X, sample_weight, what the message says
BAD_COUNTS = {
    "negative": (NEGATIVE, None, "Negative values in data passed to X"),
    "negative, sparse": (sp.csr_array(NEGATIVE), None, "Negative values in data passed to X"),
    "NaN": (MISSING, None, "X contains NaN"),
    "infinite": (sp.csc_array(INFINITE), None, "X contains infinity"),
    "zero": (np.zeros_like(X), None, "X has no counts: all entries are zero"),
    "zero, sparse": (sp.csr_array(X.shape), None, "X has no counts: all entries are zero"),
    "text": (np.full(X.shape, "word"), None, "could not convert string to float|X"),
    "one document": (X[0], None, "1D array"),
    "fewer entries than topics": (np.eye(9, 5)[[0, 1, 7, 8]], None, "n_components=3.*X has 2"),
    "weights of zero": (X, np.zeros(len(X)), "sample_weight is zero for all"),
    "weights of empty ones": (np.diag([0.0, 1]), [1.0, 0], "X has no counts.*positive weight"),
    "negative weights": (X, -np.ones(len(X)), "sample_weight"),
    "weights of NaN": (X, np.full(len(X), np.nan), "sample_weight contains NaN"),
    "too few weights": (X, [1.0], "sample_weight has shape"),
    "few entries with weight": (np.eye(9, 5), np.eye(9)[0], "n_components=3.*X has 1"),
}

# parameters, what the message says
BAD_PLSA = {
    "n_components": ({"n_components": 0}, "'n_components' parameter"),
    "init": ({"init": "nndsvd"}, "'init' parameter"),
    "shape of init": ({"init": np.ones((2, 25))}, r"init has shape \(2, 25\), expected .*3, 25\)"),
    "negative init": ({"init": -np.ones((3, 25))}, "init must hold weights that are not negative"),
    "init of NaN": ({"init": np.full((3, 25), np.nan)}, "init contains NaN"),
    "init of zeros": ({"init": np.eye(3, 25) * [[1], [0], [1]]}, "init must.*some in each row"),
    "temperature": ({"temperature": 0}, "'temperature' parameter"),
    "name of a temperature": ({"temperature": "hot"}, "'temperature' parameter"),
    "doc_topic_prior": ({"doc_topic_prior": -1.0}, "doc_topic_prior holds parameters of a Dirich"),
    "zero prior": ({"topic_word_prior": 0.0}, "topic_word_prior holds parameters.*above 0; got 0"),
    "shape of doc_topic_prior": (
        {"doc_topic_prior": [1.0, 1.0]}, r"doc_topic_prior must be.*\(n_components,\) = \(3,\); got"
    ),
    "shape of topic_word_prior": (
        {"topic_word_prior": np.ones((25, 3))}, r"topic_word_prior.*\(3, 25\); got shape \(25, 3\)"
    ),
    "prior of NaN": ({"topic_word_prior": np.full(25, np.nan)}, "topic_word_prior.*finite"),
    "acceleration": ({"acceleration": "quasi-newton"}, "'acceleration' parameter"),
    "validation_fraction": ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
    "n_init": ({"n_init": 0}, "'n_init' parameter"),
    "tol": ({"tol": -1.0}, "'tol' parameter"),
    "n_jobs": ({"n_jobs": 0}, "'n_jobs' parameter"),
}  # fmt: skip
BAD_LDA = {
    "inference": ({"inference": "gibbs"}, "'inference' parameter"),
    "doc_topic_prior": ({"doc_topic_prior": [1.0, 0.0, 1.0]}, "doc_topic_prior.*got 0"),
    "shape of prior": ({"doc_topic_prior": np.ones(4)}, r"doc_topic_prior must be.*\(4,\)"),
    "topic_word_prior": ({"topic_word_prior": 0.0}, "'topic_word_prior' parameter"),
    "init below eta": ({"init": np.zeros((3, 25))}, "init holds Dirichlet parameters, at"),
    "shape of init": ({"init": np.ones((3, 5))}, r"init has shape \(3, 5\)"),
    "max_doc_iter": ({"max_doc_iter": 0}, "'max_doc_iter' parameter"),
    "learn_priors": ({"learn_priors": "yes"}, "'learn_priors' parameter"),
}  # fmt: skip
BAD_PARAMETERS = [
    *((ESTIMATORS[0], *case) for case in BAD_PLSA.values()),
    *((estimator, *case) for estimator in ESTIMATORS[1:] for case in BAD_LDA.values()),
]


def unchanged(estimator, before):
    """Whether the estimator holds the very objects that it held."""
    now = vars(estimator)
    return set(now) == set(before) and all(now[name] is value for name, value in before.items())


@every_estimator
@pytest.mark.parametrize("case", BAD_COUNTS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("fitted", [False, True])
def test_counts_that_cannot_be_fitted(estimator, case, method, fitted):
    counts, weight, message = BAD_COUNTS[case]
    estimator = clone(estimator)
    if fitted:
        estimator.partial_fit(X)
        if method == "partial_fit":
            if "few" in case and "too" not in case:
                return  # a later batch may be small
            if counts.shape != X.shape:
                message = "features|1D array"
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        getattr(estimator, method)(counts, sample_weight=weight)
    assert unchanged(estimator, before)


@pytest.mark.parametrize(("estimator", "parameters", "message"), BAD_PARAMETERS)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
def test_parameters_that_do_not_fit(estimator, parameters, message, method):
    if method == "partial_fit" and "temperature" in parameters:
        message = "temperature"
    estimator = clone(estimator).set_params(**parameters)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        getattr(estimator, method)(X)
    assert unchanged(estimator, before)


@every_estimator
def test_hashed_words_need_alternate_sign_false(estimator):
    texts = load_python_reference().data[:40]
    signed = HashingVectorizer(n_features=64).transform(texts)
    with pytest.raises(
        ValueError, match=r"X \(smallest -\d.*HashingVectorizer.*alternate_sign=False"
    ):
        clone(estimator).fit(signed)
    vectorizer = HashingVectorizer(n_features=64, alternate_sign=False, norm=None)
    fitted = quietly(clone(estimator).fit, vectorizer.transform(texts))
    with pytest.raises(ValueError, match="alternate_sign=False"):
        fitted.transform(signed.toarray())


@every_estimator
@pytest.mark.parametrize("method", METHODS)
def test_new_documents_have_the_vocabulary_of_the_fit(estimator, method):
    fitted = clone(estimator).fit(X)
    with pytest.raises(ValueError, match="X has 24 features"):
        getattr(fitted, method)(X[:, 1:])
    with pytest.raises(ValueError, match="X has 24 features"):
        fitted.partial_fit(X[:, 1:])
    for bad, message in ((NEGATIVE, "Negative values"), (MISSING, "NaN")):
        with pytest.raises(ValueError, match=message):
            getattr(fitted, method)(bad)


@every_estimator
def test_what_needs_a_fit_says_so(estimator):
    for method in METHODS:
        with pytest.raises(NotFittedError):
            getattr(clone(estimator), method)(X)
    with pytest.raises(NotFittedError):
        clone(estimator).inverse_transform(np.ones((1, 3)))
    with pytest.raises(NotFittedError):
        clone(estimator).sample()


@every_estimator
def test_scores_want_tokens_weights_and_a_method_that_there_is(estimator):
    fitted = clone(estimator).fit(X)
    with pytest.raises(ValueError, match="method must be 'in-sample' or 'completion', got 'half'"):
        fitted.perplexity(X, method="half")
    with pytest.raises(ValueError, match="X has no tokens"):
        fitted.score(np.zeros_like(X))
    with pytest.raises(ValueError, match="method='completion' needs documents of at least two"):
        fitted.perplexity(np.eye(25), method="completion")
    for score in (fitted.score, fitted.perplexity):
        with pytest.raises(ValueError, match="sample_weight has shape"):
            score(X, sample_weight=[1.0])


@every_estimator
def test_samples_and_inverses_want_mixtures_of_the_topics_that_there_are(estimator):
    fitted = clone(estimator).fit(X)
    with pytest.raises(ValueError, match=r"X has shape \(1, 2\), expected .* = \(1, 3\)"):
        fitted.inverse_transform(np.ones((1, 2)))
    with pytest.raises(ValueError, match="X contains NaN"):
        fitted.inverse_transform([[0.5, 0.5, np.nan]])
    with pytest.raises(ValueError, match=r"doc_topic has shape \(3,\)"):
        fitted.sample(doc_topic=[1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="doc_topic must hold probabilities"):
        fitted.sample(doc_topic=[[2.0, -1.0, 0.0]])
    for name in ("n_samples", "n_tokens"):
        with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1"):
            fitted.sample(**{name: 0})


def test_symmetric_factors_want_tokens():
    with pytest.raises(ValueError, match="X has no counts"):
        PLSA(3, random_state=0).fit(X).symmetric_factors(np.zeros_like(X))


def test_held_out_tokens_want_documents_of_two():
    with pytest.raises(ValueError, match="temperature='held-out' needs documents of at least two"):
        PLSA(3, temperature="held-out").fit(np.eye(25))


@every_estimator
def test_a_parameter_that_changes_after_the_fit_does_not_break_what_was_fitted(estimator):
    fitted = clone(estimator).fit(X)
    before = fitted.transform(X)
    fitted.set_params(n_components=2)
    np.testing.assert_array_equal(fitted.transform(X), before)
    with pytest.raises(ValueError, match=r"n_components=2 cannot go on .* has 3"):
        fitted.partial_fit(X)
    assert fitted.set_params(n_components=3).partial_fit(X).components_.shape == (3, 25)


@pytest.mark.parametrize("inference", ["cvb0", "vb"])
@pytest.mark.parametrize("of", ["tf-idf", "tiny weights", "tiny counts"])
def test_topics_that_priors_make_alike_are_said_to_be(inference, of):
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(40, 0.1), size=3)
    X = np.array([rng.multinomial(60, topics[i % 3]) for i in range(90)]).astype(float)
    # topics become alike so slowly that the distance to the limit falls as n ** -0.5
    options = {"tol": 5e-3, "max_iter": 5000, "random_state": 0}
    model = LatentDirichletAllocationVB(3, inference=inference, **options)
    weight = None
    if of == "tf-idf":
        X = np.array([rng.multinomial(60, np.full(40, 1 / 40)) for _ in range(90)]).astype(float)
        X /= np.sqrt(np.square(X).sum(1, keepdims=True))
    elif of == "tiny weights":
        weight = np.full(90, 1e-20)
    else:
        X *= 1e-30
    with pytest.warns(UserWarning, match=r"topics are alike.*counts.*weights"):
        model.fit(X, sample_weight=weight)
    assert np.isfinite(model.components_).all()


@pytest.mark.parametrize("inference", ["cvb0", "vb"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_tf_idf_is_said_to_be_outweighed_by_the_priors_and_counts_are_not(inference, method):
    texts = load_python_reference().data[:100]
    model = LatentDirichletAllocationVB(5, inference=inference, max_iter=60, random_state=0)
    counts = CountVectorizer(stop_words="english").fit_transform(texts)
    quietly(getattr(clone(model), method), counts)
    tfidf = TfidfVectorizer(stop_words="english").fit_transform(texts)
    with pytest.warns(UserWarning, match=r"5 topics are alike.*counts rather than tf-idf.*PLSA"):
        quietly(getattr(model, method), tfidf)


@every_estimator
@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda texts: np.array(texts, object)])
def test_texts_are_refused_with_the_way_to_count_them(estimator, kind):
    with pytest.raises(ValueError, match=r"X holds texts.*CountVectorizer"):
        clone(estimator).fit(kind(["of a word", "of two", "of three"]))


def test_topics_that_are_one_beside_a_background_are_said_to_be_alike():
    """As tf-idf of news makes them: one topic of common words, and all others the same."""
    background, other, third = np.random.default_rng(0).dirichlet(np.full(50, 0.3), size=3)
    topics = np.array([background, other, other, other])
    with pytest.warns(UserWarning, match="3 of 4 topics are alike"):
        warn_if_alike(topics, 0.09)
    warn_if_alike(topics, 1.5)  # silent: counts
    warn_if_alike(np.array([background, other, third, third[::-1]]), 0.09)
