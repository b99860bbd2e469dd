"""Scorers choose the number of topics: by words that are held out, and by stable topics."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.decomposition import NMF, LatentDirichletAllocation
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skem.mixture import InSample
from skem.topics import StabilityScorer, completion_score

RNG = np.random.default_rng(0)
# Three topics without a common word, and a document of each in turn.
X = np.vstack([RNG.multinomial(30, np.repeat(np.eye(3)[d % 3], 4) / 4) for d in range(60)])


class Uniform(BaseEstimator):
    """All words alike among the first n_words."""

    def __init__(self, n_words=4):
        self.n_words = n_words

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def perplexity(self, X, *, method="in-sample", random_state=None):
        assert (method, random_state) == ("completion", 0)
        assert sp.issparse(X) or isinstance(X, np.ndarray)
        return float(self.n_words)


def nmf(n_components=3):
    return NMF(n_components, init="random", tol=0, max_iter=100)


# --------------------------------------------------------------------------------------- completion
def test_completion_is_minus_the_log_of_perplexity():
    assert completion_score(Uniform(8).fit(X), X) == pytest.approx(-np.log(8))


def test_completion_chooses_in_a_search_also_at_the_end_of_a_pipeline():
    search = GridSearchCV(Uniform(), {"n_words": [8, 2, 4]}, scoring=completion_score, cv=2).fit(X)
    assert search.best_params_ == {"n_words": 2}
    assert completion_score(search, X) == pytest.approx(-np.log(2))
    pipeline = make_pipeline(CountVectorizer(), Uniform(2)).fit(["cat dog", "dog"])
    assert completion_score(pipeline, ["dog", "cat"]) == pytest.approx(-np.log(2))


def test_a_model_without_completion_is_an_error():
    for model in (NMF(2), LatentDirichletAllocation(2)):
        with pytest.raises(TypeError, match=r"needs a model with perplexity\(X, method=.*; got"):
            completion_score(model, X)


# ---------------------------------------------------------------------------------------- stability
def test_the_true_number_of_topics_is_stable_and_more_are_not():
    score = StabilityScorer(n_fits=4)
    few, true, many = (score(nmf(k), X) for k in (2, 3, 6))
    assert true > 0.95
    assert few < 0.9
    assert many < 0.9
    search = GridSearchCV(nmf(), {"n_components": [2, 3, 6]}, scoring=score, cv=InSample()).fit(X)
    assert search.best_params_ == {"n_components": 3}
    assert search.best_score_ == pytest.approx(true)


def test_the_score_does_not_depend_on_the_form_of_the_rows_nor_change_the_model():
    score, model = StabilityScorer(n_fits=2), nmf().fit(X)
    before = model.components_.copy()
    assert score(model, X) == pytest.approx(score(model, sp.csr_array(X)))
    np.testing.assert_array_equal(model.components_, before)


def test_the_steps_before_the_model_stay_as_they_are():
    """A word that a part has not seen would otherwise be missing from its topics."""
    texts = ["cat dog pet", "dog pet cat", "bond stock market", "market stock bond"] * 3 + ["rare"]
    model = make_pipeline(CountVectorizer(), nmf(2)).fit(texts)
    counts = model[0].transform(texts)
    score = StabilityScorer(subsample=0.5)
    assert score(model, texts) == pytest.approx(score(model[-1], counts))


def test_without_subsampling_only_the_seeds_differ():
    model = NMF(3, init="nndsvd", tol=0, max_iter=100)  # which does not depend on its seed
    assert StabilityScorer(subsample=1.0)(model, X) == pytest.approx(1.0, abs=1e-3)


def test_the_scorer_is_a_value():
    score = StabilityScorer(n_fits=2, subsample=0.5)
    assert pickle.loads(pickle.dumps(score)) == score == eval(repr(score))


def test_wrong_parameters_are_errors():
    with pytest.raises(ValueError, match="n_fits must be at least 2"):
        StabilityScorer(n_fits=1)
    for subsample in (0.0, 1.5, True, "half"):
        with pytest.raises(ValueError, match="subsample must be a share of the rows"):
            StabilityScorer(subsample=subsample)
    with pytest.raises(ValueError, match="distance must be one of"):
        StabilityScorer(distance="l2")
