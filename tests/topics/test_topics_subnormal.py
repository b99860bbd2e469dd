"""No kernel of topics makes subnormal numbers, and none of the limits that prevent them is seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma, logsumexp
from sklearn.base import clone

from skem.topics import PLSA, LatentDirichletAllocationVB
from skem.topics._limits import at_least, counts_of_type, least, relative_powers
from skem.topics.lda import _vb_kernels
from skem.topics.lda._model import CVB0Model, VBModel
from skem.topics.plsa._model import PLSAModel
from tests.topics.corpora import quietly, random_topics

# Counts here may be fractions that say nothing.
pytestmark = pytest.mark.filterwarnings(r"ignore:(All|\d+ of) \d+ topics are alike:UserWarning")

DTYPES = [np.float32, np.float64]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def n_subnormal(thing):
    """Subnormal numbers in all arrays of a nest of tuples, dicts and attributes."""
    if isinstance(thing, np.ndarray) and thing.dtype.kind == "f":
        size = np.abs(thing)
        return int(((size > 0) & (size < np.finfo(thing.dtype).tiny)).sum())
    if isinstance(thing, (tuple, list)):
        return sum(map(n_subnormal, thing))
    if isinstance(thing, dict):
        return sum(map(n_subnormal, thing.values()))
    if type(thing).__module__.startswith("skem"):
        return n_subnormal(getattr(thing, "__dict__", {}))
    return 0


@pytest.fixture
def between_steps(monkeypatch):
    """Numbers of subnormals in what each step of a fit takes and gives."""
    seen = []

    def watched(method):
        def call(self, *args):
            result = method(self, *args)
            seen.append(n_subnormal((result, args, self)))
            return result

        return call

    for model in (PLSAModel, VBModel, CVB0Model):
        for name in ("expected_statistics", "maximize"):
            monkeypatch.setattr(model, name, watched(getattr(model, name)))
    return seen


def assert_none(fitted, X, seen):
    __tracebackhide__ = True
    found = {name: n_subnormal(value) for name, value in vars(fitted).items()}
    mixtures = fitted.transform(X)
    found["transform"] = n_subnormal(mixtures)
    found["inverse_transform"] = n_subnormal(fitted.inverse_transform(mixtures))
    assert not any(found.values()), found
    assert seen
    assert not any(seen)
    assert np.isfinite(fitted.lower_bounds_).all()
    assert np.isfinite(fitted.score(X))


def corpus(name, dtype):
    rng = np.random.default_rng(0)
    n, p = (12, 60) if name == "long documents" else (60, 80)
    topics = rng.dirichlet(np.full(p, 0.05), 6)
    tokens = 20_000 if name == "long documents" else 50
    X = np.array(
        [rng.multinomial(tokens, q / q.sum()) for q in rng.dirichlet([0.1] * 6, n) @ topics]
    )
    scale = {"tiny counts": 1e-9, "huge counts": 1e9, "float weights": rng.gamma(0.2, size=X.shape)}
    return (X * scale.get(name, 1.0)).astype(dtype)


CORPORA = ("counts", "long documents", "tiny counts", "huge counts", "float weights")
ESTIMATORS = {
    "plsa": PLSA(20, max_iter=300),
    "plsa, plain": PLSA(20, acceleration=None, max_iter=300),
    "plsa, cold": PLSA(20, temperature=0.3, max_iter=60),
    "plsa, hot": PLSA(20, temperature=2.0, max_iter=60),
    "plsa, sparse": PLSA(20, doc_topic_prior=0.1, topic_word_prior=0.1, max_iter=60),
    "vb": LatentDirichletAllocationVB(20, inference="vb", max_iter=60),
    "vb, tiny priors": LatentDirichletAllocationVB(
        20, inference="vb", topic_word_prior=1e-5, doc_topic_prior=1e-5, learn_priors=False,
        max_iter=60,
    ),
    "vb, 0.01": LatentDirichletAllocationVB(
        20, inference="vb", topic_word_prior=0.01, learn_priors=False, max_iter=60
    ),
    "cvb0": LatentDirichletAllocationVB(20, max_iter=60),
    "cvb0, tiny priors": LatentDirichletAllocationVB(
        20, topic_word_prior=1e-5, doc_topic_prior=1e-5, learn_priors=False, max_iter=60
    ),
}  # fmt: skip


@every_dtype
@pytest.mark.parametrize("name", CORPORA)
@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_no_array_of_a_fit_holds_subnormal_numbers(estimator, name, dtype, between_steps):
    X = corpus(name, dtype)
    fitted = quietly(clone(estimator).set_params(tol=0, random_state=0).fit, X)
    assert_none(fitted, X, between_steps)


@every_dtype
@pytest.mark.parametrize("estimator", [ESTIMATORS[name] for name in ("plsa", "vb", "cvb0")])
def test_no_array_of_batches_holds_subnormal_numbers(estimator, dtype):
    """Words of the first batches never come again, and fade."""
    X = corpus("counts", dtype)
    first, later = X.copy(), X.copy()
    first[:, 40:], later[:, :40] = 0, 0
    fitted = clone(estimator).set_params(random_state=0)
    fitted.partial_fit(first)
    for _ in range(40):
        fitted.partial_fit(later)
    assert n_subnormal(vars(fitted)) == 0
    assert np.isfinite(fitted.score(X))


# ---------------------------------------------------------------------- the limits are not seen
@every_dtype
@settings(max_examples=25)
@given(
    prior=st.sampled_from([1e-6, 1e-3, 0.02, 0.5]),
    eta=st.sampled_from([1e-6, 1e-3, 0.02, 0.5]),
    seed=st.integers(0, 1000),
)
def test_vb_loses_no_word_whatever_the_priors(dtype, prior, eta, seed):
    """Also where no topic of a document has the word: exp E[log p] of all would be 0 as numbers."""
    rng = np.random.default_rng(seed)
    p, k = 8, 4
    words = (rng.gamma(1.0, size=(p, k)) * (rng.uniform(size=(p, k)) < 0.3)).astype(dtype)
    x = rng.gamma(0.3, size=p).astype(dtype)
    d = (x.sum() * rng.dirichlet(np.ones(k)) * np.array([1, 0, 0, 1]))[None].astype(dtype)
    alpha, lam = np.full(k, prior), words.astype(float) + eta
    log_phi = digamma(lam) - digamma(lam.sum(axis=0))
    relative = np.exp(log_phi - log_phi.max(axis=1, keepdims=True))
    phi = np.maximum(relative, least(words)).astype(dtype)
    sums, values = np.zeros_like(words), np.empty(1)
    shift = digamma(words.sum(axis=0, dtype=float) + p * eta)
    _vb_kernels.vb_e_step(
        x, np.arange(p, dtype=np.int32), np.array([0, p]), np.empty(0), phi, log_phi.max(axis=1),
        (words, eta, shift), alpha, 0.0, 1, d, sums, np.zeros(k), values,
    )  # fmt: skip
    gamma = d[0].astype(float) + alpha
    log_theta = digamma(gamma) - digamma(gamma.sum())
    joint = log_theta + log_phi
    posterior = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(
        sums.astype(float) * phi, x[:, None] * posterior, rtol=1e-2, atol=1e3 * eps * x.max()
    )
    np.testing.assert_allclose((sums.astype(float) * phi).sum(axis=1), x, rtol=100 * eps)
    terms = (x * logsumexp(joint, axis=1)).sum()
    dirichlet = _vb_kernels.dirichlet_terms(d[0], alpha)
    assert values[0] == pytest.approx(terms + dirichlet, rel=1e3 * eps, abs=1e3 * eps)


@every_dtype
def test_a_document_is_scored_by_vb_whatever_the_priors(dtype):
    """Two words, two topics, and a prior that shuts the second topic out of the document."""
    phi = np.array([[1.0, 1e-12], [1e-12, 1.0]], dtype)
    x, alpha, d = np.ones(2, dtype), np.full(2, 1e-4), np.array([[2.0, 0.0]], dtype)
    values = np.empty(1)
    arrays = x, np.arange(2, dtype=np.int32), np.array([0, 2])
    _vb_kernels.document_bounds(*arrays, phi, alpha, d, values)
    log_theta = digamma(d[0] + alpha) - digamma((d[0] + alpha).sum())
    exact = logsumexp(log_theta + np.log(phi.astype(float)), axis=1).sum()
    exact += _vb_kernels.dirichlet_terms(d[0], alpha)
    assert values[0] == pytest.approx(exact, rel=1e-5)


@every_dtype
def test_a_word_that_is_very_rare_keeps_its_topics(dtype):
    """Its share of each topic is below what probabilities are cut at."""
    X = np.array([[1e9, 0, 1e-11], [0, 1e9, 0], [1e9, 1e9, 0]], dtype)
    fitted = quietly(PLSA(2, init=[[2, 1, 1], [1, 2, 1]], max_iter=50).fit, X)
    assert (fitted.components_[:, 2] > 0).any()
    assert np.isfinite(fitted.lower_bounds_).all()


@pytest.mark.parametrize("temperature", [0.05, 0.3])
@every_dtype
def test_powers_of_a_low_temperature_lose_no_word(dtype, temperature):
    """The twentieth power of p(w|z) = 0.01 is no number of float32."""
    X = corpus("counts", dtype)
    fitted = quietly(PLSA(5, temperature=temperature, max_iter=60, random_state=0).fit, X)
    assert np.isfinite(fitted.lower_bounds_).all()
    assert (np.diff(fitted.lower_bounds_) >= 0).all()
    said = X.any(axis=0)
    assert (fitted.components_[:, said].max(axis=0) > 0).all()


@every_dtype
def test_powers_relative_to_the_largest(dtype):
    q = random_topics(np.random.default_rng(0), 4, 6).astype(dtype)
    q[1, 2], q[2] = 0, 0
    powers, logs = relative_powers(q, 3.0, 1)
    assert powers.dtype == dtype
    np.testing.assert_allclose(powers * np.exp(3 * logs)[:, None], q.astype(float) ** 3, rtol=1e-5)
    steep, _ = relative_powers(q, 1000.0, 1)
    assert n_subnormal(steep) == 0
    np.testing.assert_array_equal(steep > 0, q > 0)


@every_dtype
def test_what_is_below_the_limits(dtype):
    tiny = np.array([0.0, 1e-39 if dtype == np.float32 else 1e-310, 0.5], dtype)
    assert at_least(tiny).tolist() == [0.0, np.array(least(tiny), dtype), 0.5]
    assert counts_of_type(tiny.astype(float), dtype).tolist() == [0.0, 0.0, 0.5]
    assert counts_of_type(tiny.astype(float), dtype).dtype == dtype
