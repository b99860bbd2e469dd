"""Batches of documents: `partial_fit`."""

import numpy as np
import pytest
from sklearn.base import clone

from skem.topics import PLSA, LatentDirichletAllocationVB
from tests.topics.corpora import draw_corpus, quietly

COUNTS, _, TOPICS = draw_corpus(n=900, p=30, k=3, n_tokens=40, seed=4)
TRAIN, TEST = COUNTS[:600], COUNTS[600:]
ESTIMATORS = [
    PLSA(3, topic_word_prior=1.01, random_state=0),  # gives new words a chance in `fit` too
    LatentDirichletAllocationVB(3, random_state=0),
    LatentDirichletAllocationVB(3, inference="vb", random_state=0),
]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=["plsa", "cvb0", "vb"])


def on_batches(estimator, counts, size=30):
    estimator = clone(estimator)
    for start in range(0, len(counts), size):
        estimator.partial_fit(counts[start : start + size])
    return estimator


@every_estimator
def test_many_batches_come_near_the_fit_of_all(estimator):
    batch, online = clone(estimator).fit(TRAIN), on_batches(estimator, TRAIN)
    assert online.score(TEST) == pytest.approx(batch.score(TEST), abs=0.03)
    ratio = online.perplexity(TEST, method="completion") / batch.perplexity(
        TEST, method="completion"
    )
    assert ratio < 1.04
    np.testing.assert_allclose(online.components_.sum(axis=1), 1, rtol=1e-9)
    np.testing.assert_allclose(online.topic_prior_.sum(), 1, rtol=1e-9)


@every_estimator
def test_what_is_said_of_the_batches(estimator):
    online = on_batches(estimator, TRAIN)
    assert online.n_iter_ == len(online.lower_bounds_) == 20
    assert not online.converged_
    assert online.optimality_gap_ == np.inf
    assert online.lower_bound_ == online.lower_bounds_[-1]
    assert np.mean(online.lower_bounds_[-5:]) > online.lower_bounds_[0]


def test_expected_counts_of_batches_are_those_of_all_tokens():
    for estimator in ESTIMATORS[1:]:
        online = on_batches(estimator, TRAIN)
        total = online.topic_counts_.sum() - online.topic_word_prior_ * online.topic_counts_.size
        assert total == pytest.approx(TRAIN.sum(), rel=1e-6)


@every_estimator
def test_words_that_come_later_are_learned(estimator):
    rng = np.random.default_rng(0)
    new = np.hstack([np.zeros((200, 10)), rng.poisson(2.0, (200, 10))]).astype(float)
    old = new[:, ::-1].copy()
    estimator = clone(estimator).set_params(n_components=2)
    online = on_batches(estimator, old, 40)
    before = online.components_[:, 10:].sum()
    for start in range(0, 200, 40):
        online.partial_fit(new[start : start + 40])
    assert online.components_[:, 10:].sum() > 0.5 > 10 * before
    assert online.perplexity(new) < 20
    assert np.isfinite(online.lower_bounds_).all()


@every_estimator
def test_small_priors_do_not_shut_out_new_words(estimator):
    """exp(E[log p(w|z)]) of a word that nobody has said would be 0 as a number."""
    if isinstance(estimator, PLSA):
        return  # has no such prior
    small = {"topic_word_prior": 1e-4, "learn_priors": False, "n_components": 2}
    online = clone(estimator).set_params(**small)
    eye = 5 * np.eye(4)
    online.partial_fit(eye[:2]).partial_fit(eye[2:]).partial_fit(eye[2:])
    assert (online.components_.max(axis=0) > 0.01).all()
    assert np.isfinite(online.lower_bounds_).all()


@every_estimator
def test_batches_after_a_fit_go_on_from_there(estimator):
    fitted = clone(estimator).fit(TRAIN[:300])
    before, score = fitted.components_.copy(), fitted.score(TEST)
    for start in range(300, 600, 60):
        fitted.partial_fit(TRAIN[start : start + 60])
        nearest = np.abs(before[:, None] - fitted.components_[None]).sum(axis=2).argmin(axis=1)
        assert nearest.tolist() == [0, 1, 2]  # each topic is where it was
    assert np.abs(before - fitted.components_).sum() > 1e-4
    assert fitted.score(TEST) > score - 0.02
    assert fitted.n_iter_ == 5
    again = fitted.fit(TRAIN[:300])
    np.testing.assert_allclose(again.components_, before, rtol=1e-9)


@every_estimator
def test_topics_keep_their_places_from_batch_to_batch(estimator):
    online = clone(estimator).partial_fit(TRAIN[:100])
    for start in range(100, 600, 100):
        before = online.components_.copy()
        online.partial_fit(TRAIN[start : start + 100])
        nearest = np.abs(before[:, None] - online.components_[None]).sum(axis=2).argmin(axis=1)
        assert nearest.tolist() == [0, 1, 2]


@every_estimator
def test_a_weight_in_a_batch_is_a_document_so_many_times(estimator):
    weight = np.random.default_rng(1).integers(0, 3, 60)
    options = {"init": TOPICS * 1000 + 1, "tol": 1e-2}
    weighted, repeated = (clone(estimator).set_params(**options) for _ in range(2))
    for part in (TRAIN[:60], TRAIN[60:120]):
        weighted.partial_fit(part, sample_weight=weight)
        repeated.partial_fit(np.repeat(part, weight, axis=0))
    np.testing.assert_allclose(weighted.components_, repeated.components_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(weighted.topic_prior_, repeated.topic_prior_, rtol=1e-6)


@every_estimator
def test_float32_batches_stay_float32(estimator):
    online = on_batches(estimator, TRAIN[:300].astype(np.float32))
    assert online.components_.dtype == np.float32
    double = on_batches(estimator, TRAIN[:300])
    assert online.score(TEST) == pytest.approx(double.score(TEST), abs=0.01)
    mixed = clone(estimator).partial_fit(TRAIN[:100].astype(np.float32))
    assert np.isfinite(mixed.partial_fit(TRAIN[100:200]).score(TEST))


@every_estimator
def test_later_batches_may_have_fewer_entries_than_topics(estimator):
    online = clone(estimator).partial_fit(TRAIN[:100]).partial_fit(TRAIN[100:101])
    assert online.n_iter_ == 2
    with pytest.raises(ValueError, match="n_components=3 topics need at least as many entries"):
        clone(estimator).partial_fit(np.eye(2, 5))


@pytest.mark.parametrize("temperature", [1.5, "held-out"])
def test_tempered_plsa_has_no_batches(temperature):
    estimator = PLSA(3, temperature=temperature)
    with pytest.raises(ValueError, match="partial_fit needs temperature=1, got"):
        estimator.partial_fit(TRAIN)
    assert set(vars(estimator)) == set(estimator.get_params())


def test_sparse_priors_hold_on_batches_too():
    options = {"random_state": 0, "topic_word_prior": 0.5, "doc_topic_prior": 0.5}
    sparse = quietly(on_batches, PLSA(3, **options), TRAIN)
    assert (sparse.components_ < 1e-6).mean() > 0.05
    np.testing.assert_allclose(sparse.components_.sum(axis=1), 1, rtol=1e-9)
    assert np.isfinite(sparse.lower_bounds_).all()


@pytest.mark.parametrize("factor", [1e-100, 1e-11, 1e-3, 7.0, 1e100])
@pytest.mark.parametrize("of", ["X", "sample_weight"])
def test_batches_of_plsa_are_the_same_in_any_unit(of, factor):
    fits = []
    for c in (1.0, factor):
        estimator = PLSA(3, random_state=0)
        for start in range(0, 300, 60):
            counts = TRAIN[start : start + 60]
            if of == "X":
                estimator.partial_fit(c * counts)
            else:
                estimator.partial_fit(counts, sample_weight=np.full(60, c))
        fits.append(estimator)
    # the fit of the first batch is accelerated in coordinates that the weights stretch
    np.testing.assert_allclose(fits[0].components_, fits[1].components_, atol=1e-3)
    np.testing.assert_allclose(fits[0].topic_prior_, fits[1].topic_prior_, atol=1e-3)
