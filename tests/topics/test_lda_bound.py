"""The bound on the likelihood of a document is one, at its maximum, whatever the inference."""

import itertools

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from sklearn.feature_extraction.text import CountVectorizer

from skem import LatentDirichletAllocationVB
from skem.datasets import load_python_reference

pytestmark = pytest.mark.filterwarnings("ignore:EM did not converge")  # of so few maps
EVERY = pytest.mark.parametrize("inference", ["cvb0", "vb"])


def made(components, alpha, inference, dtype=np.float64):
    """A fitted model with these topics and priors."""
    k, p = components.shape
    X = np.random.default_rng(0).integers(1, 4, (2 * k, p)).astype(dtype)
    model = LatentDirichletAllocationVB(k, inference=inference, max_iter=1, tol=1e9).fit(X)
    model.components_ = np.asarray(components, dtype)
    model.doc_topic_prior_ = np.asarray(alpha, np.float64)
    return model


def exact(counts, components, alpha):
    """Log p(words of d), the sum over all assignments of its tokens to topics."""
    tokens = np.repeat(np.arange(len(counts)), counts)
    k, total = len(alpha), alpha.sum()
    terms = []
    for z in itertools.product(range(k), repeat=len(tokens)):
        n = np.bincount(np.array(z, dtype=int), minlength=k)
        mixture = (gammaln(n + alpha) - gammaln(alpha)).sum()
        mixture += gammaln(total) - gammaln(total + len(tokens))
        terms.append(mixture + np.log(components[list(z), tokens]).sum())
    return logsumexp(terms)


@EVERY
@pytest.mark.parametrize("concentration", [0.01, 0.3, 2.0])
def test_it_is_below_the_likelihood_and_near_it(inference, concentration):
    rng = np.random.default_rng(0)
    components = rng.dirichlet(np.full(5, 0.3), 3)
    alpha = concentration * rng.dirichlet(np.ones(3))
    X = np.array([rng.multinomial(size, np.full(5, 0.2)) for size in (1, 2, 3, 4, 5, 6)])
    bounds = made(components, alpha, inference).score_samples(X)
    truth = np.array([exact(row, components, alpha) for row in X])
    assert (bounds <= truth + 1e-9).all()
    assert (truth - bounds).max() < np.log(3) + 0.5


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_word_and_many_topics(inference, dtype):
    """The bound at one topic is log p(z, w): that of the best topic is nearly the maximum."""
    rng = np.random.default_rng(0)
    components = rng.dirichlet(np.full(50, 0.05), 200)
    alpha = np.full(200, 1 / 200)
    bounds = made(components, alpha, inference, dtype).score_samples(np.eye(50, dtype=dtype))
    joint = components * (alpha / alpha.sum())[:, None]
    assert (bounds <= np.log(joint.sum(axis=0)) + 1e-3).all()
    assert (bounds >= np.log(joint.max(axis=0)) - 0.5).all()


def test_documents_without_words_have_the_likelihood_one():
    components = np.random.default_rng(0).dirichlet(np.ones(4), 2)
    assert made(components, [0.5, 0.5], "cvb0").score_samples(np.zeros((1, 4))) == 0


@EVERY
def test_no_start_ends_much_higher(inference):
    """Of each document the bound is as high as those from random starts, within a nat in ten."""
    from skem.topics.lda._vb_kernels import document_bounds, vb_fold_in

    X = CountVectorizer(min_df=5).fit_transform(load_python_reference().data[:60])
    model = LatentDirichletAllocationVB(20, inference=inference, max_iter=30, tol=1e-2)
    model = model.set_params(random_state=0).fit(X)
    found = model.score_samples(X)
    counts, rng = model._fitted_counts(X), np.random.default_rng(0)
    alpha, best = model.doc_topic_prior_, np.full(len(found), -np.inf)
    for concentration in (0.1, 0.1, 0.1, 1.0, 1.0, 10.0):
        docs = rng.dirichlet(np.full(20, concentration), len(found)) * counts.sizes()[:, None]
        bounds = np.empty(len(found))
        vb_fold_in(*counts.arrays, model._topics(), alpha, 1e-6, 300, docs)
        document_bounds(*counts.arrays, model._topics(), alpha, docs, bounds)
        best = np.maximum(best, bounds)
    assert np.sum(best - found) < 0.01 * np.abs(found).sum()
    assert (found - best > -3).mean() > 0.95


def test_more_topics_do_not_ruin_it():
    """A bound at a point that is not its maximum falls with every topic that is added."""
    X = CountVectorizer(min_df=5).fit_transform(load_python_reference().data[:120])
    few, many = (
        LatentDirichletAllocationVB(k, max_iter=40, tol=1e-2, random_state=0).fit(X).perplexity(X)
        for k in (10, 60)
    )
    assert many < 1.05 * few
