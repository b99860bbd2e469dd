"""The largest weights: the bars are those of the fit, with their names and signs."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from skem import MaxEntClassifier
from skem.inspection import WeightsDisplay
from skem.inspection._weights import NEGATIVE, POSITIVE

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgba

WINE = load_wine(as_frame=True)
X, Y = WINE.data, WINE.target_names[WINE.target]
CANCER = load_breast_cancer(as_frame=True)


@pytest.fixture(scope="module")
def wine():
    return MaxEntClassifier(C=0.1).fit(X, Y)


@pytest.fixture(scope="module")
def cancer():
    return MaxEntClassifier().fit(CANCER.data, CANCER.target_names[CANCER.target])


def travel(prices, way):
    return [{"price": price[way == "car"], "bus": float(way == "bus")} for price in prices]


JOINT = MaxEntClassifier(feature_function=travel, fit_intercept=False).fit(
    [(1.0, 1.5), (2.0, 1.0), (1.0, 1.25), (3.0, 2.5), (2.0, 2.0)],
    ["bus", "car", "bus", "car", "bus"],
)


def drawn(display, panel=0):
    """Names and values of the bars of a panel, from the top."""
    ax = display.axes_[panel]
    names = [label.get_text() for label in ax.get_yticklabels()]
    bars = display.bars_[panel]
    assert [bar.get_y() + bar.get_height() / 2 for bar in bars] == pytest.approx(ax.get_yticks())
    assert ax.yaxis.get_inverted()
    return names, np.array([bar.get_width() for bar in bars])


# ---------------------------------------------------------------------------------- what is drawn
@pytest.mark.parametrize(
    "peer", [LogisticRegression(C=1e-4, solver="newton-cholesky"), RidgeClassifier()]
)
def test_bars_are_the_largest_weights_of_each_class(wine, peer):
    for estimator in (wine, peer.fit(X, Y)):
        display = WeightsDisplay.from_estimator(estimator, n_weights=4)
        assert [ax.get_title() for ax in display.axes_] == ["class_0", "class_1", "class_2"]
        for c, weights in enumerate(estimator.coef_):
            names, widths = drawn(display, c)
            series = pd.Series(weights, X.columns)
            assert (np.diff(np.abs(widths)) <= 0).all()
            np.testing.assert_array_equal(widths, series[names])
            assert np.abs(widths).min() >= np.abs(series.drop(names)).max()


def test_two_classes_have_one_panel_that_says_what_a_positive_weight_favours(cancer):
    display = WeightsDisplay.from_estimator(cancer, n_weights=30)
    (ax,) = display.axes_
    assert ax.get_title() == "malignant against benign"
    assert ax.get_xlabel() == "weight (positive: malignant)"
    names, widths = drawn(display)
    np.testing.assert_array_equal(widths, pd.Series(cancer.coef_[0], CANCER.data.columns)[names])


def test_the_first_of_two_classes_has_the_other_sign(cancer):
    display = WeightsDisplay.from_estimator(cancer, classes=["benign", "malignant"])
    labels = [ax.get_xlabel() for ax in display.axes_]
    assert labels == ["weight (positive: benign)", "weight (positive: malignant)"]
    assert drawn(display, 0)[0] == drawn(display, 1)[0]
    np.testing.assert_array_equal(drawn(display, 0)[1], -drawn(display, 1)[1])


def test_joint_features_have_one_panel():
    names, widths = drawn(WeightsDisplay.from_estimator(JOINT))
    assert set(names) == {"bus", "price"}
    np.testing.assert_array_equal(np.abs(widths), sorted(np.abs(JOINT.coef_), reverse=True))
    assert dict(zip(names, widths, strict=True)) == dict(
        zip(JOINT.feature_names_, JOINT.coef_, strict=True)
    )


def test_signs_have_colours():
    bars = WeightsDisplay(weights=[3.0, -2.0, 1.0]).plot().bars_[0]
    colors = [to_rgba(color) for color in (POSITIVE, NEGATIVE, POSITIVE)]
    assert [bar.get_facecolor() for bar in bars] == colors


def test_weights_of_zero_are_not_drawn():
    names, widths = drawn(WeightsDisplay(weights=[0, 2, 0, -1, 0]).plot())
    assert names == ["x1", "x3"]
    assert widths.tolist() == [2, -1]
    assert drawn(WeightsDisplay(weights=[0.0, 0.0]).plot())[0] == []


def test_scale_multiplies_weights_and_does_not_depend_on_units(wine):
    display = WeightsDisplay.from_estimator(wine, n_weights=13, scale=X.std())
    names, widths = drawn(display, 2)
    np.testing.assert_allclose(widths, pd.Series(wine.coef_[2], X.columns)[names] * X.std()[names])
    assert display.axes_[2].get_xlabel() == "weight × scale"
    free = MaxEntClassifier(C=np.inf).fit(X[["alcohol"]], Y == "class_0")
    grams = MaxEntClassifier(C=np.inf).fit(1000 * X[["alcohol"]], Y == "class_0")
    (one,), (other,) = (
        drawn(WeightsDisplay.from_estimator(fit, scale=table.std()))[1]
        for fit, table in ((free, X[["alcohol"]]), (grams, 1000 * X[["alcohol"]]))
    )
    assert one == pytest.approx(other, rel=1e-3)


def test_sparse_weights_are_drawn():
    peer = LogisticRegression(C=1e-3, solver="newton-cholesky").fit(X, Y)
    dense = drawn(WeightsDisplay.from_estimator(peer), 1)
    peer.sparsify()
    assert sp.issparse(peer.coef_)
    names, widths = drawn(WeightsDisplay.from_estimator(peer), 1)
    assert names == dense[0]
    np.testing.assert_array_equal(widths, dense[1])


# ---------------------------------------------------------------------------------- interface
def test_names_are_those_given_else_those_seen_else_numbers(wine):
    plain = MaxEntClassifier(C=0.1).fit(X.to_numpy(), Y)
    letters = "abcdefghijklm"
    seen = drawn(WeightsDisplay.from_estimator(wine))[0]
    numbers = [X.columns.get_loc(name) for name in seen]
    assert drawn(WeightsDisplay.from_estimator(plain))[0] == [f"x{j}" for j in numbers]
    for fit in (plain, wine):
        names = drawn(WeightsDisplay.from_estimator(fit, feature_names=letters))[0]
        assert names == [letters[j] for j in numbers]


def test_a_pipeline_and_a_search_are_their_last_step_with_the_names_before_it():
    texts = ["red wine", "white wine", "red rose", "white snow"] * 3
    colors = ["red", "white", "red", "white"] * 3
    pipeline = make_pipeline(CountVectorizer(), MaxEntClassifier())
    search = GridSearchCV(pipeline, {"maxentclassifier__C": [1.0]}, cv=2).fit(texts, colors)
    for fitted in (pipeline.fit(texts, colors), search):
        names, widths = drawn(WeightsDisplay.from_estimator(fitted))
        assert set(names[:2]) == {"red", "white"}
        assert widths[names.index("white")] == pytest.approx(-widths[names.index("red")], rel=0.05)
    named = make_pipeline(PCA(2), MaxEntClassifier()).fit(X, Y)
    assert set(drawn(WeightsDisplay.from_estimator(named))[0]) == {"pca0", "pca1"}
    nameless = make_pipeline(FunctionTransformer(np.asarray), MaxEntClassifier(C=0.1)).fit(X, Y)
    assert drawn(WeightsDisplay.from_estimator(nameless))[0][0].startswith("x")


def test_names_are_not_read_as_mathematics():
    display = WeightsDisplay(weights=[1.0], feature_names=["$x_$"]).plot()
    display.figure_.canvas.draw()
    assert drawn(display)[0] == ["$x_$"]


def test_axes_classes_and_style_are_those_asked_for(wine):
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, 2)
    display = WeightsDisplay.from_estimator(
        wine, classes=["class_2", "class_0"], axes=axes, bar_kw={"color": "k"}
    )
    assert list(display.axes_) == list(axes)
    assert display.figure_ is axes[0].figure
    assert [ax.get_title() for ax in axes] == ["class_2", "class_0"]
    assert display.bars_[0][0].get_facecolor() == to_rgba("k")
    _, ax = plt.subplots()
    assert WeightsDisplay.from_estimator(wine, classes=["class_1"], axes=ax).axes_[0] is ax


@pytest.mark.parametrize("n_panels", [1, 3, 4, 5, 6, 10])
def test_each_panel_has_axes_and_its_own_numbers(n_panels):
    display = WeightsDisplay(weights=np.ones((n_panels, 2))).plot()
    display.figure_.canvas.draw()
    assert display.figure_.axes == list(display.axes_)
    for ax in display.axes_:
        assert ax.xaxis.get_tick_params()["labelbottom"]
        assert ax.get_xlim() == display.axes_[0].get_xlim()


def test_wrong_input_is_an_error(wine):
    draw = WeightsDisplay.from_estimator
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(MaxEntClassifier())
    with pytest.raises(TypeError, match=r"linear classifiers \(coef_, classes_\), got LinearReg"):
        draw(LinearRegression().fit(X, X["alcohol"]))
    with pytest.raises(TypeError, match=r"each of the 3 classes.* SVC has .*one row for each pair"):
        draw(SVC(kernel="linear").fit(X, Y))
    with pytest.raises(ValueError, match="feature_names holds 2 names for the 13 features"):
        draw(wine, feature_names=["a", "b"])
    with pytest.raises(ValueError, match=r"scale must hold one number .* 13 features.*\(2,\)"):
        draw(wine, scale=[1, 2])
    with pytest.raises(ValueError, match="classes holds 'class_3', but those of the fit are"):
        draw(wine, classes=["class_3"])
    for classes in ([], "class_1"):
        with pytest.raises(ValueError, match="classes must be a sequence of classes, got"):
            draw(wine, classes=classes)
    with pytest.raises(ValueError, match="classes must be None for joint features"):
        draw(JOINT, classes=["bus"])
    for n_weights in (0, 2.5, True):
        with pytest.raises(ValueError, match="n_weights must be a positive integer"):
            draw(wine, n_weights=n_weights)
    import matplotlib.pyplot as plt

    with pytest.raises(ValueError, match="axes holds 1 axes for 3 panels"):
        draw(wine, axes=plt.subplots()[1])
