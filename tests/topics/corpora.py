"""Small corpora, strategies that draw counts, and PLSA by the book."""

import warnings

import numpy as np
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning


def draw_corpus(n=60, p=25, k=3, n_tokens=40, *, alpha=0.3, eta=0.15, seed=0):
    """Counts (n, p) of documents that LDA draws, with the mixtures (n, k) and topics (k, p)."""
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(p, eta), k)
    mixtures = rng.dirichlet(np.full(k, alpha), n)
    X = np.array([rng.multinomial(n_tokens, q / q.sum()) for q in mixtures @ topics])
    return X.astype(np.float64), mixtures, topics


X, MIXTURES, TOPICS = draw_corpus()


@st.composite
def corpora(draw, *, whole=False):
    """Non-negative matrices with some words in every document, and a generator."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, p = draw(st.integers(3, 12)), draw(st.integers(2, 9))
    counts = rng.poisson(rng.gamma(0.5, 3.0, (n, p)))
    counts[np.arange(n), rng.integers(p, size=n)] += 1
    if whole or draw(st.booleans()):
        return counts.astype(np.float64), rng
    return counts * rng.gamma(1.0, size=(n, p)), rng


def quietly(call, *args, **kwargs):
    """Fit without the warning that EM has not converged: the number of maps is the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call(*args, **kwargs)


def plsa_map(X, topics, mixtures, *, temperature=1.0, doc_exponent=0.0, word_exponent=0.0):
    """One EM map by full arrays: topics (k, p), mixtures (n, k), priors flat or above."""
    joint = mixtures[:, :, None] * topics
    posterior = joint ** (1 / temperature)
    posterior /= np.maximum(posterior.sum(axis=1, keepdims=True), 1e-300)
    expected = X[:, None, :] * posterior
    new_topics = expected.sum(axis=0) + word_exponent
    new_mixtures = expected.sum(axis=2) + doc_exponent
    return (
        new_topics / new_topics.sum(axis=1, keepdims=True),
        new_mixtures / new_mixtures.sum(axis=1, keepdims=True),
    )


def free_energy(X, topics, mixtures, temperature=1.0):
    """Tempered log-likelihood, T sum x log sum_z (p(z|d) p(w|z))^(1/T), in nats."""
    powers = mixtures ** (1 / temperature) @ topics ** (1 / temperature)
    seen = X > 0
    return temperature * (X[seen] * np.log(powers[seen])).sum()


def random_topics(rng, k, p):
    return rng.dirichlet(np.ones(p), k)
