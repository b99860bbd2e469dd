"""What every estimator does as a member of scikit-learn's family."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

from skem import BernoulliMixtureEM, GaussianMixtureEM, MaxEntDistribution, ThreeCoinMixture

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical", "tied_diag", "tied_spherical")
MIXTURES = [
    *(GaussianMixtureEM(2, covariance_type=t, random_state=0) for t in COVARIANCE_TYPES),
    BernoulliMixtureEM(random_state=0),
    ThreeCoinMixture(random_state=0),
]
ESTIMATORS = [*MIXTURES, MaxEntDistribution(random_state=0)]
ONE_OF_EACH = [MIXTURES[0], *MIXTURES[-2:]]

# Checks that `check_estimator` does not run.
MORE_CHECKS = [
    "check_param_validation",
    "check_dataframe_column_names_consistency",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]
FOR_TRANSFORMERS = {name for name in MORE_CHECKS if "output" in name or "names_out" in name}


def name_of(estimator):
    suffix = getattr(estimator, "covariance_type", None)
    return type(estimator).__name__ + (f"-{suffix}" if suffix else "")


every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
one_of_each = pytest.mark.parametrize("estimator", ONE_OF_EACH, ids=name_of)


def rows(estimator, dtype=np.float64):
    """Rows that suit the estimator: real, binary, or tosses of a coin."""
    if isinstance(estimator, (GaussianMixtureEM, MaxEntDistribution)):
        return load_iris().data.astype(dtype)
    rng = np.random.default_rng(0)
    p = np.array([[0.9, 0.8, 0.7, 0.9], [0.2, 0.1, 0.3, 0.2]])
    return (rng.uniform(size=(120, 4)) < p[rng.integers(2, size=120)]).astype(dtype)


def outputs(estimator, X):
    names = ("predict_proba", "score_samples", "predict")
    return [getattr(estimator, name)(X) for name in names if hasattr(estimator, name)]


def assert_same_outputs(a, b, X):
    for x, y in zip(outputs(a, X), outputs(b, X), strict=True):
        np.testing.assert_array_equal(x, y)


# ---------------------------------------------------------------------- scikit-learn's own checks
def run_checks(estimator):
    """Results of `check_estimator`, by status."""
    with warnings.catch_warnings():
        # What the checks feed is not chosen for the model: 30 rows of noise need not converge.
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    by_status = {"passed": [], "failed": [], "skipped": [], "xfail": []}
    for result in results:
        by_status[result["status"]].append(result)
    return by_status


def check_names(estimator):
    return [
        getattr(check, "func", check).__name__
        for _, check in estimator_checks.estimator_checks_generator(estimator)
    ]


SAMPLE_WEIGHT_CHECKS = {
    "check_all_zero_sample_weights_error",
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weights_list",
    "check_sample_weights_not_an_array",
    "check_sample_weights_not_overwritten",
    "check_sample_weights_pandas_series",
    "check_sample_weights_shape",
}
N_CHECKS = 47  # of a mixture
N_CHECKS_OF_A_DENSITY = 48  # nothing that concerns predictions, and NaN is refused


@one_of_each
def test_the_checks_are_those_of_scikit_learns_own_mixture_and_of_sample_weights(estimator):
    """NaN is allowed here, and so not checked to be refused; inf is tested in test_bad_input."""
    theirs, ours = check_names(GaussianMixture()), check_names(estimator)
    assert set(theirs) - set(ours) == {"check_estimators_nan_inf"}
    assert set(ours) - set(theirs) == SAMPLE_WEIGHT_CHECKS
    assert len(ours) == N_CHECKS == len(theirs) - 1 + len(SAMPLE_WEIGHT_CHECKS)


def summary(results):
    return [(result["check_name"], repr(result["exception"])) for result in results]


@pytest.mark.parametrize(
    "estimator",
    [
        *(GaussianMixtureEM(covariance_type=t) for t in COVARIANCE_TYPES),
        BernoulliMixtureEM(),
        ThreeCoinMixture(),
        MaxEntDistribution(),
    ],
    ids=name_of,
)
def test_check_estimator_passes_with_no_exception(estimator):
    results = run_checks(estimator)
    is_mixture = not isinstance(estimator, MaxEntDistribution)
    n_checks = N_CHECKS if is_mixture else N_CHECKS_OF_A_DENSITY
    assert not summary(results["failed"])
    assert not summary(results["xfail"])
    # Array API input is checked only where the environment had SCIPY_ARRAY_API=1 before scipy
    # was imported; no estimator claims to support it.
    assert {result["check_name"] for result in results["skipped"]} <= {"check_array_api_input"}
    assert len(results["skipped"]) <= 1
    assert len(results["passed"]) + len(results["skipped"]) == n_checks


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_check_estimator_with_more_components(covariance_type):
    """With random starts weighted and repeated rows agree but for the numbers of the components.

    From one start they agree wholly: see `test_a_weight_is_a_row_so_many_times`.
    """
    estimator = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0)
    results = run_checks(estimator)
    assert {result["check_name"] for result in results["failed"]} <= {
        "check_sample_weight_equivalence_on_dense_data"
    }
    assert len(results["failed"]) <= 1
    assert len(results["passed"]) >= N_CHECKS - 2


@every_estimator
@pytest.mark.parametrize("check_name", MORE_CHECKS)
def test_the_checks_that_check_estimator_leaves_out(estimator, check_name):
    if check_name in FOR_TRANSFORMERS and not hasattr(estimator, "transform"):
        # A mixture has no transform, and so nothing that set_output or names could apply to.
        assert not hasattr(estimator, "set_output")
        assert not hasattr(estimator, "get_feature_names_out")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        getattr(estimator_checks, check_name)(type(estimator).__name__, estimator)


# ---------------------------------------------------------------------- copies
@every_estimator
def test_clone_has_equal_parameters_and_no_fitted_state(estimator):
    fitted = clone(estimator).fit(rows(estimator))
    copied = clone(fitted)
    assert copied.get_params() == estimator.get_params()
    assert set(vars(copied)) == set(estimator.get_params())


@every_estimator
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_pickle_joblib_and_deepcopy_predict_alike(estimator, method, tmp_path):
    if not hasattr(estimator, method):
        assert isinstance(estimator, (ThreeCoinMixture, MaxEntDistribution))
        return
    X = rows(estimator)
    fitted = getattr(clone(estimator), method)(X)
    joblib.dump(fitted, tmp_path / "mixture.joblib")
    for copied in (
        pickle.loads(pickle.dumps(fitted)),
        joblib.load(tmp_path / "mixture.joblib"),
        copy.deepcopy(fitted),
    ):
        assert_same_outputs(copied, fitted, X)
        if method == "partial_fit":
            more = X[:40]
            assert_same_outputs(
                copied.partial_fit(more), copy.deepcopy(fitted).partial_fit(more), X
            )


@every_estimator
def test_fit_does_not_change_parameters_or_data(estimator):
    X = rows(estimator)
    before = X.copy()
    fitted = clone(estimator).fit(X)
    assert fitted.get_params() == estimator.get_params()
    np.testing.assert_array_equal(X, before)


@every_estimator
def test_fit_is_reproducible_and_idempotent(estimator):
    X = rows(estimator)
    once = clone(estimator).fit(X)
    assert_same_outputs(once, clone(estimator).fit(X), X)
    before = outputs(once, X)
    for x, y in zip(before, outputs(once.fit(X), X), strict=True):
        np.testing.assert_array_equal(x, y)


# ---------------------------------------------------------------------- kinds of input
@every_estimator
def test_y_is_ignored(estimator):
    X = rows(estimator)
    y = np.arange(len(X)) % 3
    assert_same_outputs(clone(estimator).fit(X, y), clone(estimator).fit(X), X)
    assert clone(estimator).fit(X).score(X, y) == clone(estimator).fit(X).score(X)


@every_estimator
def test_read_only_memory_maps_are_accepted(estimator, tmp_path):
    X = rows(estimator)
    joblib.dump(X, tmp_path / "X.joblib")
    mapped = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    assert not mapped.flags.writeable
    fitted = clone(estimator).fit(mapped)
    assert_same_outputs(fitted, clone(estimator).fit(X), mapped)


@every_estimator
@pytest.mark.parametrize("order", ["F", "strided"])
def test_memory_layout_changes_nothing(estimator, order):
    X = rows(estimator)
    other = np.asfortranarray(X) if order == "F" else np.repeat(X, 2, axis=1)[:, ::2]
    np.testing.assert_allclose(
        clone(estimator).fit(other).score_samples(other),
        clone(estimator).fit(X).score_samples(X),
        rtol=1e-9,
    )


@every_estimator
def test_float32_stays_float32(estimator):
    X = rows(estimator, np.float32)
    fitted = clone(estimator).fit(X)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        if hasattr(fitted, name):
            assert getattr(fitted, name).dtype == np.float32, name
    if hasattr(fitted, "probabilities_"):
        assert fitted.probabilities_.dtype == np.float32
    for values in outputs(fitted, X):
        assert values.dtype.kind == "i" or values.dtype == np.float32
    for name in ("lower_bound_", "entropy_"):
        assert isinstance(getattr(fitted, name, 0.0), float)
    double = clone(estimator).fit(X.astype(np.float64))
    assert fitted.score(X) == pytest.approx(double.score(X), abs=1e-2)


@every_estimator
def test_data_frames_give_names_and_the_same_fit(estimator):
    pd = pytest.importorskip("pandas")
    X = rows(estimator)
    names = [f"column {j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names)
    fitted = clone(estimator).fit(frame)
    assert fitted.feature_names_in_.tolist() == names
    assert fitted.n_features_in_ == len(names)
    for x, y in zip(outputs(fitted, frame), outputs(clone(estimator).fit(X), X), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-7, atol=1e-12)
    with pytest.raises(ValueError, match="feature names"):
        fitted.score_samples(frame[names[::-1]])


@every_estimator
def test_lists_and_integers_are_accepted(estimator):
    X = np.round(10 * rows(estimator)).astype(int)
    assert_same_outputs(
        clone(estimator).fit(X.tolist()), clone(estimator).fit(X.astype(np.float64)), X
    )


# ---------------------------------------------------------------------- displays
@every_estimator
def test_html_repr_of_unfitted_and_fitted(estimator):
    estimator = clone(estimator)
    assert type(estimator).__name__ in estimator._repr_html_()
    fitted = estimator.fit(rows(estimator))
    assert "fitted" in fitted._repr_html_().lower()
    assert repr(fitted).startswith(type(estimator).__name__)


# ---------------------------------------------------------------------- meta-estimators
@every_estimator
def test_pipeline_equals_its_steps(estimator):
    if "binarize" in estimator.get_params():
        estimator = clone(estimator).set_params(binarize=0.0)
    X = rows(estimator)
    scaler = StandardScaler().fit(X)
    direct = clone(estimator).fit(scaler.transform(X))
    pipeline = make_pipeline(StandardScaler(), clone(estimator)).fit(X)
    if hasattr(direct, "predict"):
        np.testing.assert_array_equal(pipeline.predict(X), direct.predict(scaler.transform(X)))
        np.testing.assert_array_equal(pipeline.fit_predict(X), direct.predict(scaler.transform(X)))
    assert pipeline.score(X) == direct.score(scaler.transform(X))


def test_grid_search_needs_no_scorer_and_finds_the_components():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2)) + 12 * np.repeat(np.eye(3)[:, :2], 100, axis=0)
    grid = {"n_components": [1, 3], "covariance_type": ["full", "tied_spherical"]}
    search = GridSearchCV(GaussianMixtureEM(random_state=0), grid, cv=3).fit(rng.permutation(X))
    assert search.best_params_ == {"n_components": 3, "covariance_type": "tied_spherical"}


@one_of_each
def test_grid_search_over_acceleration_scores_alike(estimator):
    X = rows(estimator)
    search = GridSearchCV(clone(estimator), {"acceleration": ["auto", None]}, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.score(X) == search.score(X)


# ---------------------------------------------------------------------- metadata routing
@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
@every_estimator
def test_weights_and_labels_are_routed_through_a_pipeline(estimator):
    X = rows(estimator)
    metadata = {"sample_weight": np.linspace(0, 2, len(X))}
    if isinstance(estimator, GaussianMixtureEM):
        metadata["labels"] = np.where(np.arange(len(X)) % 5, -1, np.arange(len(X)) // 100)
    requested = clone(estimator).set_fit_request(**dict.fromkeys(metadata, True))
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    pipeline = make_pipeline(scaler, requested).fit(X, **metadata)
    scaled = StandardScaler().fit_transform(X)
    assert_same_outputs(pipeline[-1], clone(estimator).fit(scaled, **metadata), scaled)
    unweighted = clone(estimator).fit(scaled)
    assert not np.allclose(unweighted.score_samples(scaled), pipeline.score_samples(X))


@pytest.mark.usefixtures("routing")
@one_of_each
def test_weights_are_routed_through_a_grid_search_to_fit_and_score(estimator):
    X = rows(estimator)
    weight = np.linspace(0.1, 2, len(X))
    requested = clone(estimator).set_fit_request(sample_weight=True)
    requested.set_score_request(sample_weight=True)
    pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), requested)
    search = GridSearchCV(pipeline, {f"{pipeline.steps[-1][0]}__tol": [1e-4]}, cv=2)
    search.fit(X, sample_weight=weight)
    halves = [np.arange(len(X)) < len(X) // 2, np.arange(len(X)) >= len(X) // 2]
    scores = []
    for test, train in (halves, halves[::-1]):
        scaler = StandardScaler().fit(X[train])
        fitted = clone(estimator).set_params(tol=1e-4)
        fitted.fit(scaler.transform(X[train]), sample_weight=weight[train])
        scores.append(fitted.score(scaler.transform(X[test]), sample_weight=weight[test]))
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(np.mean(scores), rel=1e-12)


@pytest.mark.usefixtures("routing")
def test_metadata_that_nobody_requested_is_refused():
    estimator = GaussianMixtureEM(2)
    X = rows(estimator)
    with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
        GridSearchCV(estimator, {"tol": [1e-3]}).fit(X, sample_weight=np.ones(len(X)))
