"""EM of PLSA: its maps by full arrays, KL-NMF, tempering, priors, and its fixed points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.decomposition import NMF
from sklearn.feature_extraction.text import CountVectorizer

from skem.datasets import load_python_reference
from skem.topics import PLSA, _fold_in_kernels, _kernels
from tests.topics.corpora import X, corpora, free_energy, plsa_map, quietly, random_topics

FLOOR = 1e-6


def after_maps(n_maps, start, *, counts=X, **kwargs):
    """PLSA after so many plain EM maps from given topics and equal mixtures."""
    options = {"init": start, "acceleration": None, "tol": 0, "max_iter": n_maps} | kwargs
    return quietly(PLSA(len(start), **options).fit, counts)


def by_the_book(n_maps, start, **kwargs):
    topics, mixtures = start, np.full((len(X), len(start)), 1 / len(start))
    for _ in range(n_maps):
        topics, mixtures = plsa_map(X, topics, mixtures, **kwargs)
    return topics, mixtures


def p_of_topics(mixtures):
    return X.sum(axis=1) @ mixtures / X.sum()


# ---------------------------------------------------------------------- maps
@pytest.mark.parametrize("n_maps", [1, 7])
@pytest.mark.parametrize("temperature", [1.0, 1.5, 0.8])
def test_the_em_map_is_that_of_the_posteriors_of_all_tokens(n_maps, temperature):
    start = random_topics(np.random.default_rng(0), 3, X.shape[1])
    fitted = after_maps(n_maps, start, temperature=temperature)
    topics, mixtures = by_the_book(n_maps, start, temperature=temperature)
    np.testing.assert_allclose(fitted.components_, topics, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(fitted.topic_prior_, p_of_topics(mixtures), rtol=1e-10)
    before = by_the_book(n_maps - 1, start, temperature=temperature)
    expected = free_energy(X, *before, temperature) / X.sum()
    assert fitted.lower_bound_ == pytest.approx(expected, rel=1e-12)


def test_priors_above_one_add_their_counts():
    start = random_topics(np.random.default_rng(1), 3, X.shape[1])
    fitted = after_maps(4, start, doc_topic_prior=1.3, topic_word_prior=2.0)
    topics, mixtures = by_the_book(4, start, doc_exponent=0.3, word_exponent=1.0)
    np.testing.assert_allclose(fitted.components_, topics, rtol=1e-10)
    np.testing.assert_allclose(fitted.topic_prior_, p_of_topics(mixtures), rtol=1e-10)
    topics, mixtures = by_the_book(3, start, doc_exponent=0.3, word_exponent=1.0)
    objective = free_energy(X, topics, mixtures)
    objective += 0.3 * np.log(mixtures).sum() + np.log(topics).sum()
    assert fitted.lower_bound_ == pytest.approx(objective / X.sum(), rel=1e-12)


@pytest.mark.parametrize("shape", ["(p,)", "(k, p)"])
def test_priors_may_differ_from_topic_to_topic_and_word_to_word(shape):
    rng = np.random.default_rng(2)
    k, p = 3, X.shape[1]
    start, doc_prior = random_topics(rng, k, p), np.array([1.0, 1.5, 4.0])
    word_prior = 1 + rng.gamma(1.0, size=p if shape == "(p,)" else (k, p))
    fitted = after_maps(3, start, doc_topic_prior=doc_prior, topic_word_prior=word_prior)
    priors = {"doc_exponent": doc_prior - 1, "word_exponent": word_prior - 1}
    topics, mixtures = by_the_book(3, start, **priors)
    np.testing.assert_allclose(fitted.components_, topics, rtol=1e-10)
    np.testing.assert_allclose(fitted.topic_prior_, p_of_topics(mixtures), rtol=1e-10)


# ---------------------------------------------------------------------- NMF
def test_an_em_map_is_a_step_of_multiplicative_updates_of_kl_nmf():
    """W = n_d p(z|d), H = p(w|z), both updated from the old ones (Gaussier and Goutte 2005)."""
    start = random_topics(np.random.default_rng(3), 3, X.shape[1])
    sizes = X.sum(axis=1, keepdims=True)
    topics, mixtures = start, np.full((len(X), 3), 1 / 3)
    for n_maps in (1, 2, 3):
        W, H = sizes * mixtures, topics
        ratio = X / (W @ H)
        W, H = W * (ratio @ H.T) / H.sum(axis=1), H * (W.T @ ratio) / W.sum(axis=0)[:, None]
        topics, mixtures = H / H.sum(axis=1, keepdims=True), W / W.sum(axis=1, keepdims=True)
        fitted = after_maps(n_maps, start)
        np.testing.assert_allclose(fitted.components_, topics, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(fitted.topic_prior_, p_of_topics(mixtures), rtol=1e-10)
        np.testing.assert_allclose(W.sum(axis=1), X.sum(axis=1), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
def test_scikit_learns_nmf_has_the_mixtures_after_one_step_and_ends_at_the_same_divergence():
    """NMF updates W first, and H with the new W, so one step gives the same W alone."""
    start = random_topics(np.random.default_rng(4), 3, X.shape[1])
    sizes = X.sum(axis=1, keepdims=True)
    options = {"init": "custom", "solver": "mu", "beta_loss": "kullback-leibler", "tol": 0}
    given_start = {"W": np.repeat(sizes / 3, 3, axis=1), "H": start.copy()}
    W = NMF(3, max_iter=1, **options).fit_transform(X, **given_start)
    mixtures = W / W.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(after_maps(1, start).topic_prior_, p_of_topics(mixtures), rtol=1e-6)
    given_start = {"W": np.repeat(sizes / 3, 3, axis=1), "H": start.copy()}
    nmf = NMF(3, max_iter=3000, **options)
    product = nmf.fit_transform(X, **given_start) @ nmf.components_
    seen = X > 0
    theirs = (X[seen] * np.log(product[seen] / (sizes * np.ones_like(X))[seen])).sum() / X.sum()
    ours = PLSA(3, init=start, tol=1e-9, max_iter=5000).fit(X)
    assert ours.lower_bound_ == pytest.approx(theirs, abs=1e-5)


# ---------------------------------------------------------------------- fixed points
@pytest.mark.parametrize("acceleration", [None, "squarem", "extrapolation"])
def test_at_the_end_an_em_map_leaves_everything_as_it_is(acceleration):
    start = random_topics(np.random.default_rng(5), 3, X.shape[1])
    options = {"tol": 1e-12, "max_iter": 20_000, "acceleration": acceleration}
    fitted = quietly(PLSA(3, init=start, **options).fit, X)
    mixtures = fitted.transform(X)
    topics, _ = plsa_map(X, fitted.components_, mixtures)
    np.testing.assert_allclose(topics, fitted.components_, atol=2e-4)
    np.testing.assert_allclose(p_of_topics(mixtures), fitted.topic_prior_, atol=2e-4)
    assert fitted.score(X) == pytest.approx(fitted.lower_bound_, abs=1e-6)


def test_all_accelerations_reach_the_same_maximum():
    start = random_topics(np.random.default_rng(6), 2, X.shape[1])
    bounds = [
        PLSA(2, init=start, tol=1e-8, max_iter=20_000, acceleration=a).fit(X).lower_bound_
        for a in (None, "squarem", "extrapolation", "auto")
    ]
    np.testing.assert_allclose(bounds, bounds[0], atol=1e-7)


@pytest.fixture(scope="module")
def texts():
    return CountVectorizer(stop_words="english", min_df=3).fit_transform(
        load_python_reference().data
    )


@pytest.mark.parametrize("acceleration", [None, "squarem", "extrapolation"])
def test_a_converged_fit_of_texts_is_near_its_limit(texts, acceleration):
    """Topics converge ever more slowly: the last few gains said a tenth of what was to come."""
    options = {"random_state": 0, "acceleration": acceleration}
    limit = PLSA(8, tol=1e-5, max_iter=5000, **options).fit(texts).lower_bound_
    for tol in (1e-2, 5e-3):
        fitted = PLSA(8, tol=tol, **options).fit(texts)
        assert fitted.converged_
        assert fitted.optimality_gap_ <= tol
        assert limit - fitted.lower_bound_ <= 3 * tol


@pytest.mark.parametrize("acceleration", ["auto", "squarem", "extrapolation"])
@pytest.mark.parametrize("seed", range(6))
def test_an_accelerated_fit_knows_when_it_has_arrived(acceleration, seed):
    """Extrapolated points count: one may follow another without two plain maps between."""
    weight = np.random.default_rng(seed).integers(0, 4, len(X))
    fitted = PLSA(2, random_state=0, acceleration=acceleration).fit(X, sample_weight=weight)
    assert fitted.converged_
    assert fitted.n_iter_ < 50  # 25 at most here


def test_one_topic_is_all_words_together():
    fitted = PLSA(1).fit(X)
    np.testing.assert_allclose(fitted.components_[0], X.sum(axis=0) / X.sum(), rtol=1e-12)
    assert fitted.topic_prior_ == [1.0]
    assert (fitted.transform(X) == 1).all()


# ---------------------------------------------------------------------- M steps
def surrogate(q, counts, prior, old):
    """What `maximize_row` maximises: sparse priors by their tangents."""
    positive, b = counts + np.maximum(prior, 0), np.maximum(-prior, 0)
    logs = np.where(positive > 0, positive * np.log(np.maximum(q, 1e-300)), 0.0)
    return (logs - b * q / (old + FLOOR)).sum(axis=-1)


def penalised(q, counts, prior):
    shifted = np.maximum(np.where(prior < 0, q + FLOOR, q), 1e-300)
    weights = np.where(counts > 0, counts, 0.0)
    return (weights * np.log(np.maximum(q, 1e-300)) + prior * np.log(shifted)).sum(axis=-1)


@st.composite
def m_steps(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    k = draw(st.integers(2, 5))
    counts = rng.gamma(0.5, size=k) * draw(st.sampled_from([1e-20, 0.01, 1.0, 100.0]))
    counts[rng.uniform(size=k) < draw(st.sampled_from([0.0, 0.5]))] = 0
    prior = rng.choice([-0.999, -0.5, -1e-3, 0.0, 0.7], size=k)
    return counts, prior, rng.dirichlet(np.full(k, draw(st.sampled_from([0.02, 0.5])))), rng


@settings(max_examples=40)
@given(m_steps())
def test_the_m_step_of_a_row_maximises_its_surrogate_on_the_simplex(problem):
    counts, prior, old, rng = problem
    out = np.empty_like(old)
    _kernels.maximize_row(counts, prior, old, FLOOR, out)
    assert out.sum() == pytest.approx(1, abs=1e-9)
    assert (out >= 0).all()
    if not (counts + np.maximum(prior, 0)).any():
        np.testing.assert_array_equal(out, old)  # nothing is known
        return
    near = np.abs(out * (1 + 1e-3 * rng.standard_normal((300, len(out)))))
    others = np.vstack([rng.dirichlet(np.full(len(out), 0.3), 1000), near, old, np.eye(len(out))])
    others[:, (old == 0) & (counts + np.maximum(prior, 0) == 0)] = 0  # nothing comes back from zero
    others = others[others.any(axis=1)]
    others /= others.sum(axis=1, keepdims=True)
    best = surrogate(out, counts, prior, old)
    assert surrogate(others, counts, prior, old).max() <= best + 1e-9 * (1 + abs(best))


@settings(max_examples=40)
@given(m_steps())
def test_the_m_step_of_a_row_never_lowers_the_penalised_objective(problem):
    counts, prior, old, _ = problem
    q = old
    for _ in range(5):
        new = np.empty_like(q)
        _kernels.maximize_row(counts, prior, q, FLOOR, new)
        before = penalised(q, counts, prior)
        assert penalised(new, counts, prior) >= before - 1e-9 * (1 + abs(before))
        q = new


@given(m_steps())
def test_the_m_step_of_topics_is_that_of_each_column(problem):
    counts, prior, _, rng = problem
    p, k = len(counts), 3
    words, phi = rng.gamma(1.0, size=(p, k)) * (counts > 0)[:, None], rng.uniform(size=(p, k))
    olds = rng.dirichlet(np.ones(p), k).T.copy()
    exponents = np.repeat(prior[:, None], k, axis=1)
    out, column = np.empty((p, k)), np.empty(p)
    _kernels.maximize_columns(words, phi, exponents, olds, FLOOR, out)
    for z in range(k):
        expected = np.ascontiguousarray(words[:, z] * phi[:, z])
        _kernels.maximize_row(expected, prior, olds[:, z].copy(), FLOOR, column)
        np.testing.assert_allclose(out[:, z], column, rtol=1e-12, atol=1e-15)


def test_sparse_priors_make_topics_and_mixtures_sparser():
    def share_of_zeros(**priors):
        fitted = quietly(PLSA(4, random_state=0, max_iter=100, **priors).fit, X)
        return [(q < 1e-4).mean() for q in (fitted.components_, fitted.transform(X))]

    flat, smooth = share_of_zeros(), share_of_zeros(doc_topic_prior=1.5, topic_word_prior=1.5)
    sparse = share_of_zeros(doc_topic_prior=0.3, topic_word_prior=0.3)
    assert smooth == [0.0, 0.0]
    assert sparse[0] > flat[0]
    assert sparse[1] > flat[1]


# ---------------------------------------------------------------------- documents
@settings(max_examples=40)
@given(corpora(), st.sampled_from([1.0, 1.4]), st.sampled_from([0.0, 0.5]))
def test_folding_in_reaches_the_maximum(data, temperature, exponent):
    counts, rng = data
    x, k = counts[0], 3
    topics = rng.dirichlet(np.full(len(x), 0.7), k)
    start = np.full(k, 1 / k)
    theta = np.empty((1, k))
    words = np.flatnonzero(x).astype(np.int32)
    _fold_in_kernels.fold_in(
        x[words], words, np.array([0, len(words)]), topics.T ** (1 / temperature), start,
        np.full(k, exponent), FLOOR, 1 / temperature, 1e-9, 20_000, theta,
    )  # fmt: skip

    def objective(logits):
        q = np.exp(logits - logits.max())
        q = q / q.sum()
        value = free_energy(x[None], topics, q[None], temperature) + exponent * np.log(q).sum()
        return -value / x.sum()

    with np.errstate(divide="ignore", invalid="ignore"):
        best = min(minimize(objective, rng.standard_normal(k) / 4).fun for _ in range(2))
        ours = objective(np.log(np.maximum(theta[0], 1e-300)))
    assert ours <= best + 1e-6


def test_words_that_no_topic_has_change_nothing_when_folding_in():
    counts = np.array([[1.0, 8.0, 0.0], [1.0, 8.0, 50.0]])
    start = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]])
    training = np.array([[9.0, 1.0, 0.0], [1.0, 9.0, 0.0]])
    fitted = quietly(PLSA(2, init=start, tol=1e-6, max_iter=2).fit, training)
    without, with_others = fitted.transform(counts)
    np.testing.assert_array_equal(without, with_others)


@settings(max_examples=40)
@given(corpora(), st.sampled_from([1e-2, 1e-4]))
def test_folding_in_ends_within_its_tolerance(data, tol):
    """In nats per token: the likelihood of a document is concave in p(z|d)."""
    counts, rng = data
    k, words = 3, np.arange(counts.shape[1], dtype=np.int32)
    topics = random_topics(rng, k, len(words))
    values = []
    for limit in (tol, 1e-12):
        theta = np.empty((1, k))
        _fold_in_kernels.fold_in(
            counts[0], words, np.array([0, len(words)]), topics.T.copy(), np.full(k, 1 / k),
            np.zeros(k), FLOOR, 1.0, limit, 50_000, theta,
        )  # fmt: skip
        values.append(free_energy(counts[:1], topics, theta) / counts[0].sum())
    assert values[1] - values[0] <= 1.001 * tol
