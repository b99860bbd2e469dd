"""What PLSA gives: topics, views, scores, samples, starts, tempering, and its path."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from skem.topics import PLSA, LatentDirichletAllocationVB
from tests.topics.corpora import TOPICS, X, draw_corpus, plsa_map, quietly

ESTIMATORS = [
    PLSA(3, random_state=0),
    LatentDirichletAllocationVB(3, random_state=0),
    LatentDirichletAllocationVB(3, inference="vb", random_state=0),
]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=["plsa", "cvb0", "vb"])
INITS = ["random", "random_documents", "svd"]


def matched(topics, truth=TOPICS):
    """Total variation between each true topic and the nearest one that was found."""
    return np.abs(topics[:, None] - truth[None]).sum(axis=2).min(axis=0) / 2


# ---------------------------------------------------------------------- topics
@pytest.mark.parametrize("init", INITS)
@every_estimator
def test_the_topics_that_drew_the_documents_are_found(estimator, init):
    counts, _, topics = draw_corpus(n=300, n_tokens=100, alpha=0.1, seed=1)
    fitted = type(estimator)(**(estimator.get_params() | {"init": init})).fit(counts)
    assert matched(fitted.components_, topics).max() < 0.12


@every_estimator
def test_the_most_frequent_topic_is_first(estimator):
    fitted = estimator.fit(X)
    sizes = X.sum(axis=1) @ fitted.transform(X)
    assert sizes[0] > 0.9 * sizes[1]
    assert sizes[1] > 0.9 * sizes[2]
    if isinstance(estimator, PLSA):
        assert (np.diff(fitted.topic_prior_) <= 0).all()
        np.testing.assert_allclose(fitted.topic_prior_, sizes / sizes.sum(), atol=0.02)


def test_topics_that_are_given_keep_their_places():
    fitted = PLSA(3, init=TOPICS[[2, 0, 1]] + 1e-6).fit(X)
    nearest = np.abs(fitted.components_[:, None] - TOPICS[None]).sum(axis=2).argmin(axis=1)
    assert nearest.tolist() == [2, 0, 1]


@every_estimator
def test_an_empty_document_has_the_topics_of_the_prior(estimator):
    fitted = estimator.fit(X)
    some = np.vstack([X[:2], np.zeros(X.shape[1])])
    np.testing.assert_allclose(fitted.transform(some)[2], fitted.topic_prior_, rtol=1e-12)
    np.testing.assert_array_equal(fitted.transform(some)[:2], fitted.transform(X[:2]))
    assert fitted.score_samples(some)[2] == pytest.approx(0, abs=1e-12)


@every_estimator
def test_each_document_is_folded_in_by_itself(estimator):
    fitted = estimator.fit(X)
    alone = np.vstack([fitted.transform(x[None]) for x in X[:10]])
    np.testing.assert_array_equal(fitted.transform(X[:10]), alone)


@every_estimator
def test_mixtures_are_found_again(estimator):
    counts, mixtures, topics = draw_corpus(n=60, n_tokens=3000)
    found = estimator.fit(counts).transform(counts)
    order = np.abs(estimator.components_[:, None] - topics[None]).sum(axis=2).argmin(axis=0)
    np.testing.assert_allclose(found[:, order], mixtures, atol=0.1)
    expected = np.abs(estimator.inverse_transform(found) - mixtures @ topics).sum(axis=1)
    assert expected.mean() < 0.05


def test_the_asymmetric_and_the_symmetric_view_are_one():
    fitted = PLSA(3, random_state=0).fit(X)
    prior, p_d_z, p_w_z = fitted.symmetric_factors(X)
    joint = np.einsum("z,zd,zw->dw", prior, p_d_z, p_w_z)
    p_d = X.sum(axis=1) / X.sum()
    p_w_d = fitted.inverse_transform(fitted.transform(X))
    np.testing.assert_allclose(joint, p_d[:, None] * p_w_d, rtol=1e-10)
    np.testing.assert_allclose(p_d_z.sum(axis=1), 1, rtol=1e-10)
    assert joint.sum() == pytest.approx(1, abs=1e-10)
    assert p_w_z is fitted.components_
    likelihood = (X[X > 0] * np.log(joint[X > 0] / np.outer(p_d, np.ones(25))[X > 0])).sum()
    assert likelihood / X.sum() == pytest.approx(fitted.score(X), rel=1e-10)


# ---------------------------------------------------------------------- scores
@every_estimator
def test_scores_are_those_of_the_words_given_the_document(estimator):
    fitted = estimator.fit(X)
    each = fitted.score_samples(X)
    assert fitted.score(X) == pytest.approx(each.sum() / X.sum(), rel=1e-12)
    assert fitted.perplexity(X) == pytest.approx(np.exp(-fitted.score(X)), rel=1e-12)
    p = fitted.inverse_transform(fitted.transform(X))
    plain = np.where(X > 0, X * np.log(np.maximum(p, 1e-300)), 0).sum(axis=1)
    if isinstance(estimator, PLSA):
        np.testing.assert_allclose(each, plain, rtol=1e-10)
    else:  # p(z|d) is integrated out
        assert (each < plain).all()


@every_estimator
def test_a_word_counted_twice_counts_twice_in_the_score_of_its_document(estimator):
    fitted = estimator.fit(X)
    weight = np.arange(len(X)) % 3
    doubled = fitted.score(np.repeat(X, weight, axis=0))
    assert fitted.score(X, sample_weight=weight) == pytest.approx(doubled, rel=1e-12)
    perplexity = fitted.perplexity(X, sample_weight=weight)
    assert fitted.perplexity(X, sample_weight=2 * weight) == pytest.approx(perplexity, rel=1e-12)
    half = fitted.perplexity(X, weight, method="completion")
    assert fitted.perplexity(X, 2 * weight, method="completion") == pytest.approx(half, rel=1e-12)


@pytest.mark.parametrize("method", ["in-sample", "completion"])
def test_the_perplexity_of_a_uniform_model_is_the_size_of_the_vocabulary(method):
    uniform = quietly(PLSA(2, init=np.ones((2, 25)), max_iter=0).fit, X)
    assert uniform.perplexity(X, method=method) == pytest.approx(25, rel=1e-12)


@every_estimator
def test_completion_scores_tokens_that_it_has_not_seen(estimator, monkeypatch):
    fitted = estimator.fit(X)
    calls = []
    infer = type(fitted)._infer
    monkeypatch.setattr(
        type(fitted), "_infer", lambda self, counts: calls.append(counts) or infer(self, counts)
    )
    value = fitted.perplexity(X, method="completion", random_state=3)
    monkeypatch.undo()
    (seen,) = calls
    hidden = X - seen.matrix().toarray()
    assert (hidden >= 0).all()
    assert hidden.sum() / X.sum() == pytest.approx(0.5, abs=0.05)
    p = fitted.inverse_transform(fitted.transform(seen.matrix()))
    scored = hidden > 0
    expected = np.exp(-(hidden[scored] * np.log(p[scored])).sum() / hidden.sum())
    assert value == pytest.approx(expected, rel=1e-9)
    assert value > np.exp(-(X[X > 0] * np.log(p[X > 0])).sum() / X.sum())
    assert value == fitted.perplexity(X, method="completion", random_state=3)


def test_a_word_that_no_topic_has_is_impossible():
    fitted = PLSA(2, random_state=0).fit(np.hstack([X, np.zeros((len(X), 1))]))
    unknown = np.r_[np.zeros(25), 1.0][None]
    assert fitted.score_samples(unknown) == [-np.inf]
    assert fitted.score(unknown) == -np.inf
    assert fitted.perplexity(unknown) == np.inf
    np.testing.assert_array_equal(fitted.transform(unknown)[0], fitted.topic_prior_)


# ---------------------------------------------------------------------- samples
@every_estimator
def test_documents_that_are_drawn_have_the_words_of_the_model(estimator):
    fitted = estimator.fit(X)
    drawn, mixtures = fitted.sample(3000, n_tokens=20, random_state=0)
    assert sp.issparse(drawn)
    assert drawn.shape == (3000, 25)
    np.testing.assert_array_equal(drawn.sum(axis=1), 20)
    np.testing.assert_allclose(
        drawn.sum(axis=0) / drawn.sum(), (mixtures @ fitted.components_).mean(axis=0), atol=0.01
    )
    np.testing.assert_allclose(mixtures.mean(axis=0), fitted.topic_prior_, atol=0.02)
    again, _ = fitted.sample(3000, n_tokens=20, random_state=0)
    assert not (again != drawn).nnz


@every_estimator
def test_documents_are_drawn_from_mixtures_that_are_given(estimator):
    fitted = estimator.fit(X)
    drawn, mixtures = fitted.sample(doc_topic=np.eye(3), n_tokens=20_000, random_state=0)
    np.testing.assert_array_equal(mixtures, np.eye(3))
    np.testing.assert_allclose(drawn.toarray() / 20_000, fitted.components_, atol=0.015)
    np.testing.assert_allclose(fitted.transform(drawn), np.eye(3), atol=0.05)


# ---------------------------------------------------------------------- the fit
@every_estimator
def test_the_path_of_the_fit_is_there(estimator):
    fitted = estimator.fit(X)
    assert fitted.converged_
    assert fitted.optimality_gap_ <= fitted.tol
    assert fitted.n_iter_ == len(fitted.lower_bounds_)
    assert fitted.lower_bound_ == fitted.lower_bounds_[-1]


@every_estimator
def test_a_fit_that_has_not_converged_says_so_and_none_gives_the_start(estimator):
    params = estimator.get_params()
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        fitted = type(estimator)(**(params | {"max_iter": 2, "tol": 0})).fit(X)
    assert not fitted.converged_
    start = TOPICS * 100 + 1
    fitted = type(estimator)(**(params | {"max_iter": 0, "init": start})).fit(X)
    expected = start / start.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.components_, expected, rtol=1e-12)
    assert fitted.n_iter_ == 0


def test_more_starts_are_no_worse_and_the_gap_is_about_the_distance_to_the_limit():
    options = {"init": "random", "tol": 1e-5, "max_iter": 5000}
    bounds = [PLSA(5, n_init=n, random_state=2, **options).fit(X).lower_bound_ for n in (1, 8)]
    assert bounds[1] >= bounds[0] - 1e-4
    rough = PLSA(3, init=TOPICS + 0.01, tol=1e-3, acceleration=None).fit(X)
    exact = PLSA(3, init=TOPICS + 0.01, tol=1e-9, max_iter=20_000).fit(X)
    assert exact.lower_bound_ - rough.lower_bound_ < 5e-3


@pytest.mark.parametrize("verbose", [1, 2])
def test_the_fit_prints_what_it_does(capsys, verbose):
    PLSA(2, verbose=verbose, verbose_interval=1, random_state=0).fit(X)
    printed = capsys.readouterr().out
    assert "Iteration 1" in printed
    assert "converged" in printed


# ---------------------------------------------------------------------- tempering
def test_a_higher_temperature_makes_topics_alike_and_a_lower_one_not():
    spread = []
    for temperature in (0.8, 1.0, 1.6):
        fitted = quietly(PLSA(3, temperature=temperature, init=TOPICS + 0.01).fit, X)
        assert fitted.temperature_ == temperature
        spread.append(np.var(fitted.components_, axis=0).sum())
    assert spread[0] > spread[1] > spread[2]


def test_documents_are_folded_in_at_the_temperature_of_the_fit():
    fitted = quietly(PLSA(3, temperature=1.5, init=TOPICS + 0.01, tol=1e-7).fit, X)
    mixtures = fitted.transform(X)
    _, again = plsa_map(X, fitted.components_, mixtures, temperature=1.5)
    np.testing.assert_allclose(again, mixtures, atol=1e-5)


def test_held_out_tokens_choose_a_temperature_that_predicts_better():
    counts, _, _ = draw_corpus(n=60, p=60, k=3, n_tokens=15, eta=0.3, seed=2)
    test, _, _ = draw_corpus(n=400, p=60, k=3, n_tokens=30, eta=0.3, seed=2)
    test = test[60:]
    options = {"random_state": 0, "init": "random_documents", "topic_word_prior": 1.01}
    plain = PLSA(8, tol=1e-6, max_iter=5000, **options).fit(counts)
    chosen = PLSA(8, temperature="held-out", validation_fraction=0.2, **options).fit(counts)
    assert plain.temperature_ == 1
    assert chosen.temperature_ >= 1
    perplexities = [
        np.median([fitted.perplexity(test, method="completion", random_state=s) for s in range(3)])
        for fitted in (plain, chosen)
    ]
    assert perplexities[1] < perplexities[0]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_temperature_that_is_chosen_is_at_least_one(weighted):
    weight = np.linspace(0, 2, len(X)) if weighted else None
    fitted = PLSA(6, temperature="held-out", random_state=1).fit(X, sample_weight=weight)
    assert fitted.temperature_ >= 1
    assert fitted.n_iter_ >= 1
    again = PLSA(6, temperature="held-out", random_state=1).fit(X, sample_weight=weight)
    np.testing.assert_array_equal(fitted.components_, again.components_)
