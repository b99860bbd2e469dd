"""A prior of words that differs among topics decides which topic is which."""

import numpy as np
import pytest
from scipy.special import digamma, gammaln

from skem import PLSA, LatentDirichletAllocationVB
from skem.em import Rows
from skem.topics.lda._model import LDAParams
from skem.topics.lda._online import make_model

K, P = 5, 60
pytestmark = pytest.mark.filterwarnings("ignore:EM did not converge")


def corpus(seed=0, n=300):
    """Documents of one main topic each, the topics having twelve words of their own."""
    rng = np.random.default_rng(seed)
    topics = 0.7 * np.kron(np.eye(K), np.full((1, P // K), K / P)) + 0.3 / P
    main = rng.integers(K, size=n)
    mixtures = 0.8 * np.eye(K)[main] + 0.2 / K
    return np.array([rng.multinomial(40, m @ topics) for m in mixtures]), main, topics


def prior_of_seeds(strength, seeds=3, base=1.0):
    """Three words of each topic are likelier by the prior, in an order of its own."""
    prior = np.full((K, P), base)
    for z, topic in enumerate(ORDER):
        first = topic * (P // K)
        prior[z, first : first + seeds] += strength
    return prior


ORDER = [3, 0, 4, 2, 1]

MODELS = {
    "PLSA": lambda prior, **o: PLSA(K, topic_word_prior=prior, **o),
    "cvb0": lambda prior, **o: LatentDirichletAllocationVB(K, topic_word_prior=prior - 0.9, **o),
    "vb": lambda prior, **o: LatentDirichletAllocationVB(
        K, topic_word_prior=prior - 0.9, inference="vb", **o
    ),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", MODELS)
def test_seeded_topics_are_where_the_prior_wants_them(kind, seed):
    X, main, _ = corpus(seed)
    model = MODELS[kind](prior_of_seeds(20.0), random_state=seed, max_iter=60).fit(X)
    found = np.array(ORDER)[model.transform(X).argmax(axis=1)]
    assert (found == main).mean() > 0.9


@pytest.mark.parametrize("kind", MODELS)
def test_one_seeded_topic_leaves_the_others_free(kind):
    X, main, _ = corpus()
    prior = np.full((K, P), 1.0)
    prior[2, :4] += 30.0
    model = MODELS[kind](prior, random_state=0, max_iter=100).fit(X)
    first = model.transform(X).argmax(axis=1) == 2
    assert ((main == 0) == first).mean() > 0.9


@pytest.mark.parametrize("kind", ["cvb0", "vb"])
def test_batches_keep_the_seeds(kind):
    X, main, _ = corpus(n=600)
    model = MODELS[kind](prior_of_seeds(20.0), random_state=0)
    for part in np.array_split(np.arange(600), 6):
        model.partial_fit(X[part])
    found = np.array(ORDER)[model.transform(X).argmax(axis=1)]
    assert (found == main).mean() > 0.9
    assert model.topic_word_prior_.shape == (K, P)
    model.fit(X).partial_fit(X[:100])
    assert (np.array(ORDER)[model.transform(X).argmax(axis=1)] == main).mean() > 0.9


@pytest.mark.parametrize("inference", ["cvb0", "vb"])
def test_a_prior_of_equal_numbers_is_that_number(inference):
    X, _, _ = corpus(n=60)
    options = {"inference": inference, "learn_priors": False, "random_state": 0, "max_iter": 20}
    one = LatentDirichletAllocationVB(K, topic_word_prior=0.3, **options).fit(X)
    words = LatentDirichletAllocationVB(K, topic_word_prior=np.full(P, 0.3), **options).fit(X)
    each = LatentDirichletAllocationVB(K, topic_word_prior=np.full((K, P), 0.3), **options).fit(X)
    np.testing.assert_allclose(words.components_, one.components_, rtol=1e-9)
    np.testing.assert_allclose(np.sort(each.components_, 0), np.sort(one.components_, 0), rtol=1e-9)
    assert each.lower_bound_ == pytest.approx(one.lower_bound_, rel=1e-12)


def bound(lam, prior, alpha, gammas, X):
    """The evidence lower bound written out: E[log p] - E[log q] of topics, and of each document."""
    e_log = digamma(lam) - digamma(lam.sum(1, keepdims=True))
    value = ((prior - lam) * e_log).sum()
    value += (gammaln(prior.sum(1)) - gammaln(prior).sum(1)).sum()
    value -= (gammaln(lam.sum(1)) - gammaln(lam).sum(1)).sum()
    for x, gamma in zip(X, gammas, strict=True):
        e_theta = digamma(gamma) - digamma(gamma.sum())
        value += x @ np.log(np.exp(e_theta[:, None] + e_log).sum(0))
        value += ((alpha - gamma) * e_theta).sum()
        value += gammaln(alpha.sum()) - gammaln(gamma.sum())
        value += (gammaln(gamma) - gammaln(alpha)).sum()
    return value / X.sum()


def test_the_bound_is_that_of_the_prior():
    X, _, _ = corpus(n=40)
    prior, alpha, eta = prior_of_seeds(5.0, base=0.2), np.linspace(0.1, 0.5, K), 0.2
    counts = LatentDirichletAllocationVB(K, max_iter=1).fit(X)._fitted_counts(X)
    extra = (prior - eta).T
    model = make_model("vb", learn_priors=False, max_doc_iter=7, doc_tol=0.0, extra=extra)
    words = np.random.default_rng(0).gamma(1.0, 5.0, (P, K)) + extra
    params = LDAParams(words, np.full((len(X), K), X.sum(1).mean() / K), alpha, eta)
    for _ in range(3):
        statistics = model.expected_statistics(params, Rows(0, counts, None))
        gammas = alpha + statistics.local[0]
        wanted = bound(params.words.T + eta, prior, alpha, gammas, X)
        assert model.bound(statistics, params) == pytest.approx(wanted, rel=1e-10)
        params = model.maximize(statistics, params)
    assert (params.words >= extra).all()


def test_the_bound_never_falls():
    X, _, _ = corpus(n=40)
    model = LatentDirichletAllocationVB(
        K, topic_word_prior=prior_of_seeds(5.0, base=0.2), inference="vb", random_state=0, tol=1e-6
    ).fit(X)
    assert (np.diff(model.lower_bounds_) > -1e-12).all()


def test_learned_priors_leave_given_ones_alone():
    X, _, _ = corpus(n=60)
    prior = prior_of_seeds(5.0, base=0.2)
    for inference in ("cvb0", "vb"):
        model = LatentDirichletAllocationVB(
            K, topic_word_prior=prior, inference=inference, random_state=0, max_iter=40
        ).fit(X)
        np.testing.assert_array_equal(model.topic_word_prior_, prior)
        assert np.ptp(model.doc_topic_prior_) > 0


@pytest.mark.parametrize("given", [np.ones((2, P)), np.ones(P - 1), -np.ones((K, P)), "many"])
def test_priors_of_another_shape_are_refused(given):
    X, _, _ = corpus(n=20)
    with pytest.raises(ValueError, match="topic_word_prior"):
        LatentDirichletAllocationVB(K, topic_word_prior=given).fit(X)


@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
@pytest.mark.parametrize("inference", ["cvb0", "vb"])
def test_batches_go_on_under_the_prior_that_they_began_with(begin, inference):
    X, _, _ = corpus(n=60)
    prior = prior_of_seeds(5.0, base=0.2)
    model = LatentDirichletAllocationVB(
        K, topic_word_prior=prior, inference=inference, random_state=0, max_iter=20
    )
    getattr(model, begin)(X)
    model.set_params(topic_word_prior=0.3)
    if begin == "partial_fit":
        with pytest.raises(ValueError, match="partial_fit began with topic_word_prior="):
            model.partial_fit(X)
        model.set_params(topic_word_prior=prior)
    np.testing.assert_array_equal(model.partial_fit(X).topic_word_prior_, prior)
    assert (model.topic_counts_ >= prior * (1 - 1e-12)).all()


@pytest.mark.parametrize("name", ["doc_topic_prior", "inference", "learn_priors"])
def test_batches_refuse_other_settings(name):
    X, _, _ = corpus(n=60)
    model = LatentDirichletAllocationVB(K, random_state=0).partial_fit(X)
    other = {"doc_topic_prior": 0.7, "inference": "vb", "learn_priors": False}[name]
    with pytest.raises(ValueError, match=f"partial_fit began with {name}="):
        model.set_params(**{name: other}).partial_fit(X)
