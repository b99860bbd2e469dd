"""What the variational autoencoder does as a member of scikit-learn's family."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

from skem import MaxEntClassifier, VAETransformer

# Few epochs need not tell rows apart, and most of these tests are not of what is learned.
pytestmark = pytest.mark.filterwarnings("ignore:The posterior has collapsed")

VARIANTS = {
    "plain": {},
    "early stopping": {"early_stopping": True},
    "counts": {"likelihood": "multinomial"},
    "flows, VampPrior": {"posterior": "iaf", "prior": "vamp", "n_pseudo_inputs": 3},
    "IWAE": {"n_importance_samples": 2, "variance": "decoder"},
}
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
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def small(**options):
    chosen = {"hidden_layer_sizes": (8,), "max_epochs": 3, "learning_rate": 0.01, "random_state": 0}
    return VAETransformer(**(chosen | options))


def iris(dtype=np.float64):
    return load_iris().data.astype(dtype)


def outputs(vae, X):
    Z = vae.transform(X)
    return [Z, vae.score_samples(X), vae.inverse_transform(Z), vae.sample(3)]


def assert_same_outputs(a, b, X):
    for x, y in zip(outputs(a, X), outputs(b, X), strict=True):
        np.testing.assert_array_equal(x, y)


# ---------------------------------------------------------------------- scikit-learn's own checks
@every_variant
def test_check_estimator_passes_with_no_exception(variant):
    estimator = VAETransformer(1, hidden_layer_sizes=(4,), max_epochs=2, **VARIANTS[variant])
    with warnings.catch_warnings():
        # What the checks feed is not chosen for the model: two epochs need not tell rows apart.
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    # Array API input is checked only where the environment had SCIPY_ARRAY_API=1 before scipy
    # was imported; the estimator does not claim to support it.
    not_passed = {r["check_name"] for r in results if r["status"] != "passed"}
    assert not_passed <= {"check_array_api_input"}, [repr(r["exception"]) for r in results]
    # Counts must not be negative, which is one check more.
    assert len(results) == (55 if variant == "counts" else 54)


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")  # checks fit so
@every_variant
@pytest.mark.parametrize("name", MORE_CHECKS)
def test_the_checks_that_check_estimator_leaves_out(name, variant):
    estimator = VAETransformer(1, hidden_layer_sizes=(4,), max_epochs=2, **VARIANTS[variant])
    getattr(estimator_checks, name)("VAETransformer", estimator)


# ---------------------------------------------------------------------- copies
@every_variant
def test_clone_has_equal_parameters_and_no_fitted_state(variant):
    vae = small(**VARIANTS[variant])
    copied = clone(clone(vae).fit(iris()))
    assert copied.get_params() == vae.get_params()
    assert set(vars(copied)) == set(vae.get_params())


@every_variant
def test_pickle_joblib_and_deepcopy_give_the_same_and_train_on(variant, tmp_path):
    X = iris()
    fitted = small(**VARIANTS[variant]).fit(X)
    joblib.dump(fitted, tmp_path / "vae.joblib")
    copies = [
        pickle.loads(pickle.dumps(fitted)),
        joblib.load(tmp_path / "vae.joblib"),
        copy.deepcopy(fitted),
    ]
    for copied in copies:
        assert_same_outputs(copied, fitted, X)
        assert copied.history_ == fitted.history_
    resumed = [c.set_params(warm_start=True).fit(X).transform(X) for c in [*copies, fitted]]
    for Z in resumed[:-1]:
        np.testing.assert_array_equal(Z, resumed[-1])


def test_a_pickle_holds_neither_rows_nor_a_second_copy_of_the_module():
    X = np.tile(iris(), (40, 2)) + np.random.default_rng(0).standard_normal((6000, 8))
    for early_stopping in (False, True):
        vae = small(early_stopping=early_stopping, hidden_layer_sizes=(200,), max_epochs=1).fit(X)
        weights = sum(p.nbytes for p in vae.net_.module_.parameters())
        # The weights, and the two moments that Adam keeps of each.
        assert len(pickle.dumps(vae)) < 3 * weights + 60_000
        assert vae.net_.module is None
        assert vae.net_.train_split is None


def test_fit_does_not_change_parameters_or_data():
    X = iris()
    before = X.copy()
    vae = small()
    parameters = vae.get_params()
    vae.fit(X)
    assert vae.get_params() == parameters
    np.testing.assert_array_equal(X, before)


# ---------------------------------------------------------------------- randomness
@every_variant
def test_a_fit_is_that_of_its_seed_and_leaves_global_random_states_alone(variant):
    X = iris()
    vae = small(**VARIANTS[variant])
    first = clone(vae).fit(X)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    second = clone(vae).fit(X)
    assert_same_outputs(first, second, X)
    assert_same_outputs(first.fit(X), second, X)
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002


def test_without_a_seed_only_fit_and_sample_draw_from_numpys_global_state():
    X = iris()
    vae = small(random_state=None).fit(X)
    before = np.random.get_state()  # noqa: NPY002
    scores = vae.score_samples(X)
    for _ in range(2):
        np.testing.assert_array_equal(vae.score_samples(X), scores)
        np.testing.assert_array_equal(vae.transform(X), vae.transform(X))
        vae.reconstruct(X)
    after = np.random.get_state()  # noqa: NPY002
    assert before[2] == after[2]
    np.testing.assert_array_equal(before[1], after[1])
    assert (vae.sample(3) != vae.sample(3)).any()


def test_another_seed_is_another_fit():
    X = iris()
    a, b = (small(random_state=seed).fit(X).transform(X) for seed in (0, 1))
    assert not np.allclose(a, b)
    state = np.random.RandomState(0)
    vae = small(random_state=state).fit(X)
    assert (vae.sample(3) != vae.sample(3)).any()


# ---------------------------------------------------------------------- rows and weights
@every_variant
def test_a_weight_is_a_row_so_many_times_exactly(variant):
    X = iris()
    times = np.random.default_rng(0).integers(0, 4, size=len(X))
    weighted = small(**VARIANTS[variant], batch_size=32).fit(X, sample_weight=times)
    repeated = small(**VARIANTS[variant], batch_size=32).fit(np.repeat(X, times, axis=0))
    assert_same_outputs(weighted, repeated, X)
    assert weighted.history_[-1]["train_loss"] == repeated.history_[-1]["train_loss"]


def test_weights_that_are_all_alike_are_no_weights_but_for_the_length_of_an_epoch():
    X = np.unique(iris(), axis=0)
    for weight, times in ((1.0, 1), (1e-200, 1), (7.3, 7)):
        plain = small().fit(np.repeat(X, times, axis=0))
        weighted = small().fit(X, sample_weight=np.full(len(X), weight))
        for x, y in zip(outputs(plain, X), outputs(weighted, X), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5)


def test_weights_count_in_batches_of_one_row():
    X = np.array([[0.0], [1.0]] * 20) + np.linspace(0, 1e-3, 40)[:, None]
    vae = VAETransformer(
        1,
        hidden_layer_sizes=(),
        batch_size=1,
        standardize=False,
        variance=1.0,
        learning_rate=0.01,
        max_epochs=30,
        random_state=0,
    ).fit(X, sample_weight=np.tile([1.0, 9.0], 20))
    assert vae.reconstruct(X).mean() == pytest.approx(0.9, abs=0.1)


@every_variant
def test_the_order_of_rows_does_not_matter(variant):
    X = iris()
    order = np.random.default_rng(0).permutation(len(X))
    a, b = small(**VARIANTS[variant]).fit(X), small(**VARIANTS[variant]).fit(X[order])
    assert_same_outputs(a, b, X)
    weight = np.linspace(0.5, 2, len(X))
    a = small(**VARIANTS[variant]).fit(X, sample_weight=weight)
    b = small(**VARIANTS[variant]).fit(X[order], sample_weight=weight[order])
    assert_same_outputs(a, b, X)


@every_variant
def test_rows_are_encoded_and_scored_one_by_one(variant):
    X = iris()
    vae = small(**VARIANTS[variant]).fit(X)
    for method in (vae.transform, vae.score_samples, vae.reconstruct):
        together = method(X)
        one_by_one = np.concatenate([method(row[None]) for row in X[:20]])
        np.testing.assert_allclose(one_by_one, together[:20], rtol=1e-4, atol=1e-5)


def test_y_is_ignored():
    X = iris()
    y = load_iris().target
    assert_same_outputs(small().fit(X, y), small().fit(X), X)
    assert small().fit(X).score(X, y) == small().fit(X).score(X)


def test_codes_are_float32_and_rows_have_the_type_of_those_that_were_fitted():
    """Networks have float32 weights, but float32 may be too coarse for the units of a column."""
    for dtype in (np.float32, np.float64):
        X = iris(dtype)
        vae = small().fit(X)
        Z, scores, *rows = outputs(vae, X)
        assert Z.dtype == scores.dtype == np.float32
        assert {values.dtype for values in rows} == {np.dtype(dtype)}
        assert isinstance(vae.score(X), float)


@pytest.mark.parametrize("layout", ["F", "strided", "memory map", "list", "frame"])
def test_kinds_of_input_give_the_same(layout, tmp_path):
    X = iris()
    if layout == "F":
        other = np.asfortranarray(X)
    elif layout == "strided":
        other = np.repeat(X, 2, axis=1)[:, ::2]
    elif layout == "memory map":
        joblib.dump(X, tmp_path / "X.joblib")
        other = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    elif layout == "list":
        other = X.tolist()
    else:
        pd = pytest.importorskip("pandas")
        other = pd.DataFrame(X, columns=[f"column {j}" for j in range(4)])
    vae = small().fit(other)
    np.testing.assert_array_equal(vae.transform(other), small().fit(X).transform(X))
    np.testing.assert_array_equal(vae.score_samples(other), small().fit(X).score_samples(X))


# ---------------------------------------------------------------------- frames and names
def test_set_output_gives_frames_of_the_latent_space_and_no_others():
    pd = pytest.importorskip("pandas")
    frame = load_iris(as_frame=True).data
    vae = small(n_components=3).set_output(transform="pandas").fit(frame)
    Z = vae.transform(frame)
    assert isinstance(Z, pd.DataFrame)
    assert Z.columns.tolist() == [f"vaetransformer{j}" for j in range(3)]
    assert Z.columns.tolist() == vae.get_feature_names_out().tolist()
    assert (Z.index == frame.index).all()
    plain = small(n_components=3).fit(frame.to_numpy())
    np.testing.assert_array_equal(vae.reconstruct(frame), plain.reconstruct(frame.to_numpy()))
    np.testing.assert_allclose(vae.inverse_transform(Z), vae.reconstruct(frame), rtol=1e-6)
    between = vae.interpolate(frame.iloc[0], frame.iloc[-1], 4)
    np.testing.assert_allclose(between[[0, -1]], vae.reconstruct(frame)[[0, -1]], rtol=1e-6)
    assert isinstance(vae.fit_transform(frame), pd.DataFrame)


def test_columns_of_other_names_are_refused():
    frame = load_iris(as_frame=True).data
    vae = small().fit(frame)
    assert vae.feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        vae.transform(frame[frame.columns[::-1]])


# ---------------------------------------------------------------------- meta-estimators
def test_html_repr_of_unfitted_and_fitted():
    vae = small()
    assert "VAETransformer" in vae._repr_html_()
    assert "fitted" in vae.fit(iris())._repr_html_().lower()
    assert repr(vae).startswith("VAETransformer")


def test_a_pipeline_to_a_classifier_is_searched_through():
    X, y = load_iris(return_X_y=True)
    pipeline = Pipeline(
        [
            ("scale", StandardScaler()),
            ("vae", small(max_epochs=40)),
            ("classify", MaxEntClassifier()),
        ]
    )
    search = GridSearchCV(pipeline, {"vae__n_components": [1, 2]}, cv=3, error_score="raise")
    search.fit(X, y)
    assert search.best_score_ > 0.85
    assert search.predict(X).shape == y.shape


def test_a_search_needs_no_scorer():
    """Two factors made the rows: a latent space of one is worse."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2)) @ rng.standard_normal((2, 6))
    X += 0.1 * rng.standard_normal(X.shape)
    vae = small(hidden_layer_sizes=(), max_epochs=60, batch_size=32, variance="shared")
    search = GridSearchCV(vae, {"n_components": [1, 2]}, cv=2).fit(X)
    assert search.best_params_ == {"n_components": 2}


# ---------------------------------------------------------------------- metadata routing
@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_weights_and_labels_are_routed_through_a_pipeline():
    X, labels = load_iris(return_X_y=True)
    weight = np.linspace(0, 2, len(X))
    vae = small(prior="class").set_fit_request(sample_weight=True, labels=True)
    pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), vae)
    pipeline.fit(X, sample_weight=weight, labels=labels)
    scaled = StandardScaler().fit_transform(X)
    direct = small(prior="class").fit(scaled, sample_weight=weight, labels=labels)
    assert_same_outputs(pipeline[-1], direct, scaled)


@pytest.mark.usefixtures("routing")
def test_labels_reach_fit_and_transform_of_a_conditional_step():
    X, labels = load_iris(return_X_y=True)
    vae = small(conditional=True).set_fit_request(labels=True).set_transform_request(labels=True)
    pipeline = make_pipeline(StandardScaler(), vae, MaxEntClassifier()).fit(
        X, labels, labels=labels
    )
    scaled = StandardScaler().fit_transform(X)
    direct = small(conditional=True)
    Z = direct.fit_transform(scaled, labels=labels)
    np.testing.assert_array_equal(Z, direct.transform(scaled, labels=labels))
    np.testing.assert_array_equal(pipeline.predict(X, labels=labels), pipeline[-1].predict(Z))


@pytest.mark.usefixtures("routing")
def test_weights_and_labels_are_routed_to_fit_and_score_of_a_search():
    X, labels = load_iris(return_X_y=True)
    weight = np.where(np.arange(len(X)) % 2, 2.0, 1.0)
    vae = small(prior="class")
    vae.set_fit_request(sample_weight=True, labels=True)
    vae.set_score_request(sample_weight=True, labels=True)
    folds = [(np.arange(0, 150, 2), np.arange(1, 150, 2))]
    result = cross_validate(
        vae, X, cv=folds, params={"sample_weight": weight, "labels": labels}, error_score="raise"
    )
    train, test = folds[0]
    fitted = small(prior="class").fit(X[train], sample_weight=weight[train], labels=labels[train])
    score = fitted.score(X[test], sample_weight=weight[test], labels=labels[test])
    assert result["test_score"][0] == pytest.approx(score, rel=1e-12)
    assert score != pytest.approx(fitted.score(X[test]), rel=1e-6)


@pytest.mark.usefixtures("routing")
def test_metadata_that_nobody_requested_is_refused():
    X = iris()
    with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
        make_pipeline(StandardScaler(), small()).fit(X, sample_weight=np.ones(len(X)))
