"""What models of topics do as members of scikit-learn's family."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks, get_tags

from skem.topics import PLSA, LatentDirichletAllocationVB
from tests.test_common import (
    MORE_CHECKS,
    SAMPLE_WEIGHT_CHECKS,
    check_names,
    run_checks,
    summary,
)
from tests.topics.corpora import X

# Counts here may be fractions that say nothing.
pytestmark = pytest.mark.filterwarnings(r"ignore:(All|\d+ of) \d+ topics are alike:UserWarning")

ESTIMATORS = {
    "plsa": PLSA(2, random_state=0),
    "cvb0": LatentDirichletAllocationVB(2, random_state=0),
    "vb": LatentDirichletAllocationVB(2, inference="vb", max_iter=100, random_state=0),
}
VARIANTS = {
    "plain": PLSA(2, acceleration=None, init="random"),
    "extrapolation": PLSA(2, acceleration="extrapolation", init="random_documents"),
    "priors": PLSA(2, doc_topic_prior=0.9, topic_word_prior=1.1, init="random"),
    "given-priors": LatentDirichletAllocationVB(2, inference="vb", learn_priors=False),
}
N_CHECKS = 56

every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


def assert_same_outputs(a, b, counts=X):
    for name in ("transform", "score_samples"):
        np.testing.assert_allclose(getattr(a, name)(counts), getattr(b, name)(counts), rtol=1e-10)


# ---------------------------------------------------------------------- scikit-learn's own checks
@every_estimator
def test_the_checks_are_those_of_scikit_learns_own_and_of_sample_weights(estimator):
    theirs, ours = check_names(LatentDirichletAllocation()), check_names(estimator)
    on_sparse = {"check_sample_weight_equivalence_on_sparse_data"}
    assert set(theirs) <= set(ours)
    assert set(ours) - set(theirs) == SAMPLE_WEIGHT_CHECKS | on_sparse
    assert len(ours) == N_CHECKS


CHECKED = ESTIMATORS | VARIANTS | {"defaults": PLSA(), "lda": LatentDirichletAllocationVB()}


@pytest.mark.parametrize("estimator", CHECKED.values(), ids=CHECKED)
def test_check_estimator_passes_with_no_exception(estimator):
    estimator = clone(estimator).set_params(random_state=None, max_iter=100)
    results = run_checks(estimator)
    assert not summary(results["failed"])
    assert not summary(results["xfail"])
    assert {result["check_name"] for result in results["skipped"]} <= {"check_array_api_input"}
    assert len(results["passed"]) + len(results["skipped"]) == N_CHECKS


@every_estimator
@pytest.mark.parametrize("check_name", MORE_CHECKS)
def test_the_checks_that_check_estimator_leaves_out(estimator, check_name):
    with warnings.catch_warnings():
        # What the checks feed is not chosen for the model: 30 rows of noise need not converge.
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        # ... which are a frame for one method and an array for the next, to see what comes out.
        warnings.filterwarnings("ignore", "X (does not have|has) .*feature names", UserWarning)
        getattr(estimator_checks, check_name)(type(estimator).__name__, estimator)


@every_estimator
def test_tags_say_counts_sparse_or_not_in_float32_or_float64(estimator):
    tags = get_tags(estimator)
    assert tags.input_tags.sparse
    assert tags.input_tags.positive_only
    assert not tags.input_tags.allow_nan
    assert not tags.target_tags.required
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


# ---------------------------------------------------------------------- copies
@every_estimator
def test_clone_has_equal_parameters_and_no_fitted_state(estimator):
    copied = clone(clone(estimator).fit(X))
    assert copied.get_params() == estimator.get_params()
    assert set(vars(copied)) == set(estimator.get_params())


@every_estimator
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_pickle_joblib_and_deepcopy_give_the_same_topics(estimator, method, tmp_path):
    fitted = getattr(clone(estimator), method)(X)
    joblib.dump(fitted, tmp_path / "topics.joblib")
    for copied in (
        pickle.loads(pickle.dumps(fitted)),
        joblib.load(tmp_path / "topics.joblib"),
        copy.deepcopy(fitted),
    ):
        assert_same_outputs(copied, fitted)
        more = X[:30]
        assert_same_outputs(copied.partial_fit(more), copy.deepcopy(fitted).partial_fit(more))


@every_estimator
def test_a_fitted_estimator_holds_no_documents(estimator):
    """Its size does not depend on how many it has seen."""
    one, other = (clone(estimator).fit(np.tile(X, (n, 1))) for n in (1, 20))
    assert len(pickle.dumps(other)) < len(pickle.dumps(one)) + 4000


@every_estimator
def test_fit_is_reproducible_and_changes_neither_parameters_nor_data(estimator):
    counts = sp.csr_array(X)
    before = [a.copy() for a in (counts.data, counts.indices, counts.indptr)]
    fitted = clone(estimator).fit(counts)
    assert fitted.get_params() == estimator.get_params()
    assert_same_outputs(fitted, clone(estimator).fit(X))
    assert_same_outputs(clone(fitted).fit(counts), copy.deepcopy(fitted).fit(counts))
    for a, b in zip(before, (counts.data, counts.indices, counts.indptr), strict=True):
        np.testing.assert_array_equal(a, b)


@every_estimator
def test_a_random_state_of_its_own_goes_on_from_call_to_call(estimator):
    rng = np.random.RandomState(0)
    once, twice = (clone(estimator).set_params(random_state=rng, init="random") for _ in range(2))
    seeded = clone(estimator).set_params(init="random")
    assert_same_outputs(
        once.fit(X), seeded.set_params(random_state=np.random.RandomState(0)).fit(X)
    )
    assert not np.array_equal(twice.fit(X).components_, clone(twice).fit(X).components_)


# ---------------------------------------------------------------------- kinds of input
@every_estimator
def test_y_is_ignored(estimator):
    y = np.arange(len(X)) % 3
    assert_same_outputs(clone(estimator).fit(X, y), clone(estimator).fit(X))
    fitted = clone(estimator).fit(X)
    assert fitted.score(X, y) == fitted.score(X)
    np.testing.assert_array_equal(clone(estimator).fit_transform(X, y), fitted.transform(X))


@every_estimator
@pytest.mark.parametrize(
    "container",
    [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.lil_array, np.asfortranarray],
)
def test_every_container_gives_the_same_fit(estimator, container):
    a, b = clone(estimator).fit(X), clone(estimator).fit(container(X))
    np.testing.assert_array_equal(a.components_, b.components_)
    np.testing.assert_array_equal(a.transform(X), b.transform(container(X)))


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
def test_integers_lists_and_read_only_memory_maps_are_accepted(estimator, tmp_path):
    fitted = clone(estimator).fit(X)
    assert_same_outputs(clone(estimator).fit(X.astype(int).tolist()), fitted)
    assert_same_outputs(clone(estimator).fit(sp.csr_array(X.astype(np.int64))), fitted)
    joblib.dump(sp.csr_array(X), tmp_path / "X.joblib")
    mapped = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    assert not mapped.data.flags.writeable
    assert_same_outputs(clone(estimator).fit(mapped), fitted, mapped)


@every_estimator
def test_float32_stays_float32_and_is_near_float64(estimator):
    single, double = clone(estimator).fit(X.astype(np.float32)), clone(estimator).fit(X)
    for name in ("components_", "topic_prior_"):
        assert getattr(single, name).dtype == np.float32
        assert getattr(double, name).dtype == np.float64
    assert single.transform(X).dtype == np.float32
    assert single.transform(X.astype(np.float32)).dtype == np.float32
    assert isinstance(single.lower_bound_, float)
    assert single.score(X) == pytest.approx(double.score(X), abs=2e-3)
    assert single.lower_bound_ == pytest.approx(double.lower_bound_, abs=2e-3)
    np.testing.assert_allclose(single.transform(X).sum(axis=1), 1, rtol=1e-5)


@every_estimator
def test_names_of_columns_are_kept_and_those_of_topics_given(estimator):
    pd = pytest.importorskip("pandas")
    names = [f"word {j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names)
    fitted = clone(estimator).fit(frame)
    assert fitted.feature_names_in_.tolist() == names
    prefix = type(estimator).__name__.lower()
    assert fitted.get_feature_names_out().tolist() == [f"{prefix}0", f"{prefix}1"]
    out = clone(estimator).set_output(transform="pandas").fit(frame).transform(frame)
    assert out.columns.tolist() == [f"{prefix}0", f"{prefix}1"]
    np.testing.assert_array_equal(out.to_numpy(), fitted.transform(frame))
    with pytest.raises(ValueError, match="feature names"):
        fitted.transform(frame[names[::-1]])


@every_estimator
def test_html_repr_of_unfitted_and_fitted(estimator):
    estimator = clone(estimator)
    assert type(estimator).__name__ in estimator._repr_html_()
    assert "fitted" in estimator.fit(X)._repr_html_().lower()


# ---------------------------------------------------------------------- meta-estimators
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
def test_topics_are_features_of_a_classifier(estimator):
    y = ["cat" in text for text in TEXTS]
    pipeline = make_pipeline(CountVectorizer(), clone(estimator), LogisticRegression(C=1e3))
    assert pipeline.fit(TEXTS, y).score(TEXTS, y) > 0.7


def known_to_both_halves():
    """Words that PLSA has a chance for, whichever half of the documents it is fitted to."""
    half = len(X) // 2
    return X[:half].any(axis=0) & X[half:].any(axis=0)


@every_estimator
def test_grid_search_needs_no_scorer(estimator):
    counts = X[:, known_to_both_halves()]
    search = GridSearchCV(clone(estimator), {"n_components": [1, 3]}, cv=2).fit(counts)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_ == {"n_components": 3}
    assert search.score(counts) == search.best_estimator_.score(counts)


# ---------------------------------------------------------------------- metadata routing
@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
@every_estimator
@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_weights_are_routed_through_a_pipeline(estimator, method):
    counts, weight = CountVectorizer().fit_transform(TEXTS), np.linspace(0, 2, len(TEXTS))
    requested = clone(estimator).set_fit_request(sample_weight=True)
    pipeline = make_pipeline(CountVectorizer(), requested)
    getattr(pipeline, method)(TEXTS, sample_weight=weight)
    weighted = clone(estimator).fit(counts, sample_weight=weight)
    assert_same_outputs(pipeline[-1], weighted, counts)
    assert not np.allclose(weighted.components_, clone(estimator).fit(counts).components_)


@pytest.mark.usefixtures("routing")
@every_estimator
def test_weights_are_routed_through_a_grid_search_to_fit_and_score(estimator):
    weight = np.linspace(0.1, 2, len(X))
    requested = clone(estimator).set_fit_request(sample_weight=True)
    requested.set_score_request(sample_weight=True)
    counts = X[:, known_to_both_halves()]
    search = GridSearchCV(requested, {"tol": [1e-3]}, cv=2).fit(counts, sample_weight=weight)
    half = np.arange(len(X)) < len(X) // 2
    scores = [
        clone(estimator)
        .fit(counts[train], sample_weight=weight[train])
        .score(counts[~train], sample_weight=weight[~train])
        for train in (half, ~half)
    ]
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(np.mean(scores), rel=1e-12)
