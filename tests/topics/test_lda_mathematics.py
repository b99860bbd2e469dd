"""Variational inference of LDA: its kernels, its bound, and the learning of its priors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy.integrate import quad
from scipy.special import digamma, gammaln, logsumexp
from scipy.stats import dirichlet

from skem._compiled import log
from skem.topics import LatentDirichletAllocationVB
from skem.topics._limits import least
from skem.topics.lda import _dirichlet, _vb_kernels
from skem.topics.lda import _kernels as lda_kernels
from tests.topics.corpora import X, corpora, draw_corpus, quietly, random_topics

positive = st.floats(1e-4, 1e6)


# ---------------------------------------------------------------------- special functions
@njit
def logarithms(x):
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = log(x[i])
    return out


def relative_error(ours, theirs):
    return (np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))).max()


def test_digamma_is_that_of_scipy():
    x = np.concatenate([np.logspace(-6, 12, 5000), np.linspace(0.5, 20, 5000)])
    ours = np.array([lda_kernels.digamma(v) for v in x])
    assert relative_error(ours, digamma(x)) < 3e-14


def test_the_compiled_logarithm_is_that_of_numpy():
    x = np.concatenate([np.logspace(-300, 300, 5000), np.linspace(0.5, 2, 5000)])
    assert relative_error(logarithms(x), np.log(x)) < 1e-14


@given(st.lists(positive, min_size=2, max_size=6), st.integers(0, 2**32 - 1))
def test_dirichlet_terms_are_minus_the_divergence_from_the_prior(alpha, seed):
    """-KL(Dir(c + alpha) || Dir(alpha)) by the closed form."""
    alpha, rng = np.array(alpha), np.random.default_rng(seed)
    counts = rng.choice([0.0, 1.0], len(alpha)) * rng.gamma(0.3, 100.0, len(alpha))
    gamma = counts + alpha
    log_theta = digamma(gamma) - digamma(gamma.sum())
    divergence = (
        gammaln(gamma.sum()) - gammaln(gamma).sum() - gammaln(alpha.sum()) + gammaln(alpha).sum()
    ) + counts @ log_theta
    scale = np.abs(gammaln(gamma)).sum() + np.abs(gammaln(alpha)).sum() + 1
    ours = lda_kernels.dirichlet_terms(counts, alpha)
    assert ours == pytest.approx(-divergence, abs=1e-12 * scale)
    assert ours <= 1e-12 * scale


def test_terms_of_topics_are_those_of_each_column():
    rng = np.random.default_rng(0)
    words = rng.gamma(0.3, size=(20, 4)) * (rng.uniform(size=(20, 4)) < 0.7)
    each = [lda_kernels.dirichlet_terms(words[:, z].copy(), np.full(20, 0.07)) for z in range(4)]
    assert lda_kernels.dirichlet_columns(words, 0.07) == pytest.approx(sum(each), rel=1e-12)


@pytest.mark.parametrize("eta", [1e-4, 0.01, 1.0, 300.0])
def test_expectations_of_log_topics(eta):
    rng = np.random.default_rng(1)
    words = rng.gamma(0.3, size=(20, 3)) * 10
    words[4] = 0
    phi, tops, shift, logs = np.empty_like(words), np.empty(20), np.empty(3), np.zeros(3)
    lda_kernels.topic_expectations(words, eta, phi, tops, shift, logs)
    np.testing.assert_allclose(shift, digamma(words.sum(axis=0) + 20 * eta), rtol=1e-12)
    exact = digamma(words + eta) - digamma(words.sum(axis=0) + 20 * eta)
    np.testing.assert_allclose(tops, exact.max(axis=1), rtol=1e-12)
    relative = np.maximum(np.exp(exact - exact.max(axis=1)[:, None]), least(phi))
    np.testing.assert_allclose(phi, relative, rtol=1e-9)
    np.testing.assert_allclose(logs, exact.sum(axis=0), rtol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_expectations_of_log_theta_do_not_underflow(dtype):
    alpha, d = np.array([1e-4, 1e-4, 2e-4]), np.array([0, 1e-5, 0], dtype=dtype)
    lead = np.empty(3, dtype)
    top = lda_kernels.exp_log_expectation(d, alpha, lead)
    exact = digamma(d + alpha) - digamma((d + alpha).sum())
    assert top == pytest.approx(exact.max(), rel=1e-9)
    relative = np.maximum(np.exp(exact - exact.max()), least(lead))
    np.testing.assert_allclose(lead, relative, rtol=1e-3)


# ---------------------------------------------------------------------- the bound of a document
def exact_log_evidence(x, topics, alpha):
    """Log of the integral over theta of prod_w (sum_z theta_z p(w|z))^x_w, for two topics."""

    def density(theta):
        log_p = x @ np.log(theta * topics[0] + (1 - theta) * topics[1])
        return np.exp(log_p + dirichlet.logpdf([theta, 1 - theta], alpha) - shift)

    shift = max(x @ np.log(t * topics[0] + (1 - t) * topics[1]) for t in np.linspace(0, 1, 99))
    inner = quad(density, 0, 1, points=[0.01, 0.1, 0.5, 0.9, 0.99], limit=200, epsabs=1e-12)[0]
    return np.log(inner) + shift


def assignments_log_evidence(x, topics, alpha):
    """The same by the sum over all topics of all tokens: p(z) is a Polya distribution."""
    tokens = np.repeat(np.arange(len(x)), x.astype(int))
    terms = []
    for code in np.ndindex(*[len(topics)] * len(tokens)):
        n = np.bincount(code, minlength=len(topics))
        log_z = gammaln(alpha.sum()) - gammaln(alpha.sum() + len(tokens))
        log_z += (gammaln(n + alpha) - gammaln(alpha)).sum()
        terms.append(log_z + np.log(topics[list(code), tokens]).sum())
    return logsumexp(terms)


def fitted_topics(topics, alpha, inference):
    """An estimator with these topics and this prior."""
    k = len(topics)
    options = {"doc_topic_prior": alpha, "learn_priors": False, "max_iter": 0}
    estimator = LatentDirichletAllocationVB(
        k, init=1e6 * topics + 1, topic_word_prior=1e-9, inference=inference, **options
    )
    estimator = quietly(estimator.fit, np.ones((k, topics.shape[1])))
    estimator.components_ = topics
    return estimator


@pytest.mark.parametrize("inference", ["vb", "cvb0"])
@pytest.mark.parametrize("alpha", [[0.7, 1.3], [2.0, 2.0], [1.0, 0.2]])
def test_the_bound_of_a_document_is_below_its_log_probability(inference, alpha):
    rng = np.random.default_rng(2)
    topics, alpha = random_topics(rng, 2, 4), np.array(alpha)
    documents = np.array([[3, 0, 1, 0], [0, 2, 2, 3], [1, 0, 0, 0], [1, 1, 1, 1]], dtype=float)
    estimator = fitted_topics(topics, alpha, inference)
    bounds = estimator.score_samples(documents)
    for x, bound in zip(documents, bounds, strict=True):
        exact = assignments_log_evidence(x, topics, alpha)
        assert exact == pytest.approx(exact_log_evidence(x, topics, alpha), abs=1e-3)
        assert exact - 1 < bound < exact


@settings(max_examples=20)
@given(corpora(), st.sampled_from([0.2, 1.0, 3.0]))
def test_a_step_of_vb_for_documents_maximises_the_bound(data, alpha):
    """No other expected counts near those of `vb_fold_in` give a higher bound."""
    counts, rng = data
    topics = random_topics(rng, 3, counts.shape[1])
    alpha = np.full(3, alpha)
    words = np.arange(counts.shape[1], dtype=np.int32)
    arguments = (counts[0], words, np.array([0, len(words)]), topics.T.copy(), alpha)
    docs = np.full((1, 3), counts[0].sum() / 3)
    _vb_kernels.vb_fold_in(*arguments, 1e-12, 20_000, docs)

    def bound(d):
        values = np.empty(1)
        _vb_kernels.document_bounds(*arguments, d, values)
        return values[0]

    best = bound(docs)
    for _ in range(30):
        moved = docs * np.exp(0.1 * rng.standard_normal((1, 3)))
        moved *= docs.sum() / moved.sum()
        assert bound(moved) <= best + 1e-7 * (1 + abs(best))


def elbo(counts, words, docs, alpha, eta):
    """The evidence lower bound by its definition: posteriors of the topics as they are best."""
    lam = words + eta
    log_phi = digamma(lam) - digamma(lam.sum(axis=0))
    gamma = docs + alpha
    log_theta = digamma(gamma) - digamma(gamma.sum(axis=1, keepdims=True))
    value = (counts * logsumexp(log_theta[:, None, :] + log_phi, axis=2)).sum()

    def divergence(q, p):
        log_q = digamma(q) - digamma(q.sum())
        norms = [gammaln(a.sum()) - gammaln(a).sum() for a in (q, p)]
        return norms[0] - norms[1] + ((q - p) * log_q).sum()

    value -= sum(divergence(g, alpha) for g in gamma)
    return value - sum(divergence(row, np.full(len(row), eta)) for row in lam.T)


def test_lower_bounds_are_the_evidence_lower_bound_by_its_definition():
    rng = np.random.default_rng(3)
    alpha, eta, k = np.array([0.5, 0.9, 0.3]), 0.2, 3
    start = eta + rng.gamma(1.0, size=(k, X.shape[1])) * 20
    options = {"learn_priors": False, "tol": 0, "max_doc_iter": 10_000, "doc_tol": 1e-13}
    lda = LatentDirichletAllocationVB(
        k, inference="vb", init=start, doc_topic_prior=alpha, topic_word_prior=eta, **options
    )
    words, docs = start.T - eta, np.outer(X.sum(axis=1), np.full(k, 1 / k))
    bounds = []
    for _ in range(4):
        lam = words + eta
        phi = np.exp(digamma(lam) - digamma(lam.sum(axis=0)))
        for _ in range(3000):
            gamma = docs + alpha
            theta = np.exp(digamma(gamma) - digamma(gamma.sum(axis=1, keepdims=True)))
            docs = theta * ((X / (theta @ phi.T)) @ phi)
        bounds.append(elbo(X, words, docs, alpha, eta) / X.sum())
        words = phi * ((X / (theta @ phi.T)).T @ theta)
    fitted = quietly(lda.set_params(max_iter=4).fit, X)
    np.testing.assert_allclose(fitted.lower_bounds_, bounds, rtol=1e-9)
    np.testing.assert_allclose(fitted.topic_counts_, (words + eta).T, rtol=1e-6, atol=1e-9)


# ---------------------------------------------------------------------- CVB0
def test_a_pass_of_cvb0_is_that_of_every_token():
    """Asuncion et al. 2009, eq. 12, with responsibilities that all tokens of a word share."""
    rng = np.random.default_rng(4)
    k, alpha, eta = 3, np.array([0.3, 0.5, 0.9]), 0.1
    counts = rng.poisson(1.0, (6, 8)).astype(float)
    words, docs = rng.gamma(1.0, size=(8, k)) * 3, rng.gamma(1.0, size=(6, k)) * 3
    new_words, new_docs = np.zeros_like(words), np.zeros_like(docs)
    totals = words.sum(axis=0) + 8 * eta
    phi = (words + eta) / totals
    for d, w in np.ndindex(counts.shape):
        g = (docs[d] + alpha) * phi[w]
        g /= g.sum()
        topic = np.maximum(words[w] + eta - g, eta) / totals
        new = topic * np.maximum(docs[d] + alpha - g, alpha)
        new_words[w] += counts[d, w] * new / new.sum()
        new_docs[d] += counts[d, w] * new / new.sum()
    got, values = np.zeros_like(words), np.empty(6)
    indptr = np.arange(7) * 8
    indices = np.tile(np.arange(8, dtype=np.int32), 6)
    expected = (counts * np.log((docs + alpha) / (docs + alpha).sum(1, keepdims=True) @ phi.T)).sum(
        axis=1
    )
    lda_kernels.cvb0_e_step(
        counts.ravel(), indices, indptr, np.empty(0), phi, 1 / totals, eta, alpha, docs, got, values
    )
    np.testing.assert_allclose(got, new_words, rtol=1e-12)
    np.testing.assert_allclose(docs, new_docs, rtol=1e-12)
    np.testing.assert_allclose(values, expected, rtol=1e-12)


# ---------------------------------------------------------------------- priors
@given(st.floats(-1e4, 1e3))
def test_the_inverse_of_digamma(y):
    x = _dirichlet.inverse_digamma(np.array(min(y, 20.0)))
    assert digamma(x) == pytest.approx(min(y, 20.0), rel=1e-10, abs=1e-10)


def log_likelihood(alpha, mean_log):
    return gammaln(alpha.sum()) - gammaln(alpha).sum() + (alpha - 1) @ mean_log


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-6, 0.1, 1.0, 5000.0]))
def test_minkas_fixed_point_never_lowers_the_likelihood(seed, start):
    rng = np.random.default_rng(seed)
    k = rng.integers(2, 6)
    truth = rng.gamma(1.0, size=k) + 0.05
    mean_log = digamma(truth) - digamma(truth.sum())
    alpha = np.full(k, start)
    for _ in range(3):
        new = _dirichlet.fit_dirichlet(mean_log, alpha)
        before = log_likelihood(alpha, mean_log)
        assert log_likelihood(new, mean_log) >= before - 1e-9 * (1 + abs(before))
        alpha = new


def test_minkas_fixed_point_recovers_the_parameters_of_draws():
    truth = np.array([0.3, 1.0, 4.0])
    mean_log = np.log(np.random.default_rng(5).dirichlet(truth, 20_000)).mean(axis=0)
    alpha = np.ones(3)
    for _ in range(100):
        alpha = _dirichlet.fit_dirichlet(mean_log, alpha)
    np.testing.assert_allclose(digamma(alpha) - digamma(alpha.sum()), mean_log, atol=1e-6)
    np.testing.assert_allclose(alpha, truth, rtol=0.03)


@pytest.mark.parametrize("eta", [0.01, 0.4, 3.0])
def test_the_symmetric_fixed_point_recovers_its_parameter(eta):
    p = 50
    mean_log = digamma(eta) - digamma(p * eta)
    value = 1.0
    for _ in range(200):
        value = _dirichlet.fit_symmetric(mean_log, value, p)
    assert value == pytest.approx(eta, rel=1e-6)


def test_terms_of_minka_for_sure_counts_are_sums_of_digamma():
    """Where each word belongs to one topic, counts are no doubt: Minka 2000, eq. 55."""
    counts, phi = np.array([[3.0, 5.0], [0.0, 2.0]]), np.eye(2)
    alpha, gains = np.array([0.4, 0.9]), np.zeros(2)
    weight = np.array([1.0, 2.0])
    loss = lda_kernels.minka_terms(
        counts.ravel(), np.array([0, 1, 0, 1], np.int32), np.array([0, 2, 4]), weight, phi,
        counts.copy(), alpha, gains,
    )  # fmt: skip
    expected = weight @ (digamma(counts + alpha) - digamma(alpha))
    np.testing.assert_allclose(gains, expected, rtol=1e-6)
    total = alpha.sum()
    assert loss == pytest.approx(
        weight @ (digamma(counts.sum(axis=1) + total) - digamma(total)), rel=1e-12
    )


def test_symmetric_terms_of_minka_are_sums_of_digamma():
    words, eta = np.random.default_rng(6).gamma(1.0, size=(7, 3)), 0.3
    gain, loss = lda_kernels.symmetric_minka_terms(words, eta)
    assert gain == pytest.approx((digamma(words + eta) - digamma(eta)).sum(), rel=1e-12)
    sizes = words.sum(axis=0)
    expected = 7 * (digamma(sizes + 7 * eta) - digamma(7 * eta)).sum()
    assert loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("inference", ["vb", "cvb0"])
def test_priors_that_are_learned_are_near_those_that_drew_the_documents(inference):
    alpha, eta = 0.2, 0.1
    counts, _, _ = draw_corpus(n=600, p=60, k=3, n_tokens=100, alpha=alpha, eta=eta, seed=3)
    fitted = LatentDirichletAllocationVB(3, inference=inference, random_state=0).fit(counts)
    assert np.abs(np.log(fitted.doc_topic_prior_ / alpha)).max() < np.log(1.5)
    assert abs(np.log(fitted.topic_word_prior_ / eta)) < np.log(2)
    given = LatentDirichletAllocationVB(
        3, inference=inference, random_state=0, learn_priors=False, doc_topic_prior=alpha,
        topic_word_prior=eta,
    ).fit(counts)  # fmt: skip
    assert given.doc_topic_prior_.tolist() == [alpha] * 3
    assert given.topic_word_prior_ == eta
