"""What of scikit-learn's habits and tools is special to topics: counts, sparse or of texts."""

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from skem.topics import PLSA, LatentDirichletAllocationVB
from tests.topics.corpora import X

# Counts here may be fractions that say nothing.
pytestmark = pytest.mark.filterwarnings(r"ignore:(All|\d+ of) \d+ topics are alike:UserWarning")

ESTIMATORS = {
    "plsa": PLSA(2, random_state=0),
    "cvb0": LatentDirichletAllocationVB(2, random_state=0),
    "vb": LatentDirichletAllocationVB(2, inference="vb", max_iter=100, random_state=0),
}
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


def assert_same_outputs(a, b, counts=X):
    for name in ("transform", "score_samples"):
        np.testing.assert_allclose(getattr(a, name)(counts), getattr(b, name)(counts), rtol=1e-10)


@every_estimator
def test_tags_say_counts_sparse_or_not_in_float32_or_float64(estimator):
    tags = get_tags(estimator)
    assert tags.input_tags.sparse
    assert tags.input_tags.positive_only
    assert not tags.input_tags.allow_nan
    assert not tags.target_tags.required
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


# ---------------------------------------------------------------------- sparse counts
@every_estimator
def test_a_fit_does_not_change_sparse_counts(estimator):
    counts = sp.csr_array(X)
    before = [a.copy() for a in (counts.data, counts.indices, counts.indptr)]
    fitted = clone(estimator).fit(counts)
    assert_same_outputs(fitted, clone(estimator).fit(X), counts)
    for a, b in zip(before, (counts.data, counts.indices, counts.indptr), strict=True):
        np.testing.assert_array_equal(a, b)


@every_estimator
def test_duplicates_unsorted_indices_and_zeros_that_are_stored_change_nothing(estimator):
    """Each count in two halves, the second ones backwards, and a zero at the end of each row."""
    words = [np.flatnonzero(x) for x in X]
    indices = np.concatenate([np.r_[w, w[::-1], 0] for w in words]).astype(np.int32)
    values = np.concatenate(
        [np.r_[x[w], x[w[::-1]], 0.0] / 2 for x, w in zip(X, words, strict=True)]
    )
    indptr = np.r_[0, np.cumsum([2 * len(w) + 1 for w in words])]
    messy = sp.csr_array((values, indices, indptr), shape=X.shape)
    before = values.copy()
    np.testing.assert_array_equal(messy.toarray(), X)
    assert_same_outputs(clone(estimator).fit(messy), clone(estimator).fit(X), messy)
    np.testing.assert_array_equal(messy.data, before)


@every_estimator
def test_sparse_integers_and_read_only_memory_maps_are_accepted(estimator, tmp_path):
    fitted = clone(estimator).fit(X)
    assert_same_outputs(clone(estimator).fit(sp.csr_array(X.astype(np.int64))), fitted)
    joblib.dump(sp.csr_array(X), tmp_path / "X.joblib")
    mapped = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    assert not mapped.data.flags.writeable
    assert_same_outputs(clone(estimator).fit(mapped), fitted, mapped)


@every_estimator
def test_a_float32_fit_gives_float32_topics_of_float64_counts(estimator):
    single = clone(estimator).fit(X.astype(np.float32))
    assert single.transform(X).dtype == np.float32
    np.testing.assert_allclose(single.transform(X).sum(axis=1), 1, rtol=1e-5)


# ---------------------------------------------------------------------- texts
TEXTS = ["cats purr and cats sleep", "dogs bark", "cats and dogs", "dogs bark and dogs run"] * 5


@every_estimator
def test_a_pipeline_from_texts_equals_its_steps(estimator):
    counts = CountVectorizer().fit_transform(TEXTS)
    estimator = clone(estimator).set_params(tol=0.01)
    pipeline = make_pipeline(CountVectorizer(), clone(estimator)).fit(TEXTS)
    direct = clone(estimator).fit(counts)
    np.testing.assert_array_equal(pipeline.transform(TEXTS), direct.transform(counts))
    assert pipeline.score(TEXTS) == direct.score(counts)
    assert len(pipeline.get_feature_names_out()) == 2
    weighted = make_pipeline(CountVectorizer(), TfidfTransformer(), clone(estimator))
    assert np.isfinite(weighted.fit(TEXTS).score(TEXTS))


@every_estimator
@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_weights_of_texts_are_routed_through_a_pipeline(estimator, method):
    counts, weight = CountVectorizer().fit_transform(TEXTS), np.linspace(0, 2, len(TEXTS))
    with sklearn.config_context(enable_metadata_routing=True):
        requested = clone(estimator).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(CountVectorizer(), requested)
        getattr(pipeline, method)(TEXTS, sample_weight=weight)
    weighted = clone(estimator).fit(counts, sample_weight=weight)
    assert_same_outputs(pipeline[-1], weighted, counts)
    assert not np.allclose(weighted.components_, clone(estimator).fit(counts).components_)


@every_estimator
def test_topics_are_features_of_a_classifier(estimator):
    y = ["cat" in text for text in TEXTS]
    pipeline = make_pipeline(CountVectorizer(), clone(estimator), LogisticRegression(C=1e3))
    assert pipeline.fit(TEXTS, y).score(TEXTS, y) > 0.7


@every_estimator
def test_a_grid_search_finds_the_number_of_topics(estimator):
    half = len(X) // 2
    # Words that PLSA has a chance for, whichever half of the documents it is fitted to.
    counts = X[:, X[:half].any(axis=0) & X[half:].any(axis=0)]
    search = GridSearchCV(clone(estimator), {"n_components": [1, 3]}, cv=2).fit(counts)
    assert search.best_params_ == {"n_components": 3}
