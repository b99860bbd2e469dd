"""What of scikit-learn's habits and tools is special to the variational autoencoder."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skem import MaxEntClassifier, VAETransformer

# Few epochs need not tell rows apart, and most of these tests are not of what is learned.
pytestmark = pytest.mark.filterwarnings("ignore:The posterior has collapsed")


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


def test_a_pickle_holds_neither_rows_nor_a_second_copy_of_the_module():
    X = np.tile(iris(), (40, 2)) + np.random.default_rng(0).standard_normal((6000, 8))
    for early_stopping in (False, True):
        vae = small(early_stopping=early_stopping, hidden_layer_sizes=(200,), max_epochs=1).fit(X)
        weights = sum(p.nbytes for p in vae.net_.module_.parameters())
        # The weights, and the two moments that Adam keeps of each.
        assert len(pickle.dumps(vae)) < 3 * weights + 60_000
        assert vae.net_.module is None
        assert vae.net_.train_split is None


# ---------------------------------------------------------------------- rows and weights
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


def test_codes_are_float32_and_rows_have_the_type_of_those_that_were_fitted():
    """Networks have float32 weights, but float32 may be too coarse for the units of a column."""
    for dtype in (np.float32, np.float64):
        X = iris(dtype)
        vae = small().fit(X)
        Z, scores, *rows = outputs(vae, X)
        assert Z.dtype == scores.dtype == np.float32
        assert {values.dtype for values in rows} == {np.dtype(dtype)}
        assert isinstance(vae.score(X), float)


# ---------------------------------------------------------------------- frames
def test_set_output_gives_frames_of_the_latent_space_and_no_others():
    pytest.importorskip("pandas")
    frame = load_iris(as_frame=True).data
    vae = small(n_components=3).set_output(transform="pandas").fit(frame)
    Z = vae.transform(frame)
    assert Z.columns.tolist() == [f"vaetransformer{j}" for j in range(3)]
    plain = small(n_components=3).fit(frame.to_numpy())
    np.testing.assert_array_equal(vae.reconstruct(frame), plain.reconstruct(frame.to_numpy()))
    np.testing.assert_allclose(vae.inverse_transform(Z), vae.reconstruct(frame), rtol=1e-6)
    between = vae.interpolate(frame.iloc[0], frame.iloc[-1], 4)
    np.testing.assert_allclose(between[[0, -1]], vae.reconstruct(frame)[[0, -1]], rtol=1e-6)


# ---------------------------------------------------------------------- meta-estimators
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


def test_a_search_finds_the_size_of_the_latent_space():
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
