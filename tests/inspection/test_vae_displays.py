"""What is drawn is what the model gives: points, decoded points, reconstructions and losses."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skem import VAETransformer
from skem.inspection import (
    LatentSpaceDisplay,
    LossDisplay,
    ManifoldDisplay,
    ReconstructionDisplay,
)

pytest.importorskip("matplotlib")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgba

IRIS = load_iris()
X, Y = IRIS.data, IRIS.target_names[IRIS.target]
DIGITS = load_digits().data[:200] / 16
COMMON = {"hidden_layer_sizes": (8,), "max_epochs": 2, "kl_weight": 0.0, "random_state": 0}


class Linear(BaseEstimator):
    """A decoder that is known: z0, z1 and z2 in units of 1, 10 and 100, beside a constant."""

    def __init__(self, n_components=3, class_means=None, conditional=False):
        self.n_components = n_components
        self.class_means = class_means
        self.conditional = conditional
        self.classes_ = np.array(["a", "b"])
        if class_means is not None:
            self.class_means_ = np.asarray(class_means, dtype=float)

    def fit(self, X):
        return self

    def get_feature_names_out(self):
        return np.array([f"linear{j}" for j in range(self.n_components)])

    def transform(self, X, labels=None):
        Z = np.asarray(X)[:, : self.n_components] / 10.0 ** np.arange(self.n_components)
        return Z if labels is None else Z + 1000 * (np.asarray(labels) == "b")[:, None]

    def inverse_transform(self, Z, labels=None):
        shift = 1000.0 if labels == "b" else 5.0
        return np.c_[Z * 10.0 ** np.arange(self.n_components), np.full(len(Z), shift)]


@pytest.fixture(scope="module")
def vae():
    return VAETransformer(3, early_stopping=True, validation_fraction=0.2, **COMMON).fit(X)


@pytest.fixture(scope="module")
def by_class():
    return VAETransformer(2, prior="class", **COMMON).fit(X, labels=Y)


@pytest.fixture(scope="module")
def digits():
    return VAETransformer(2, likelihood="bernoulli", learning_rate=0.03, **COMMON).fit(DIGITS)


def offsets(scatters):
    return np.vstack([scatter.get_offsets() for scatter in scatters])


# ------------------------------------------------------------------------------------ latent space
def test_points_are_two_dimensions_of_transform(vae):
    display = LatentSpaceDisplay.from_estimator(vae, X, dimensions=(2, 0))
    np.testing.assert_allclose(offsets(display.scatters_), vae.transform(X)[:, [2, 0]])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("z2", "z0")
    assert display.legend_ is None
    assert display.means_ == []


def test_labels_have_colours_and_a_legend(vae):
    display = LatentSpaceDisplay.from_estimator(vae, X, labels=Y, colors=["k", "r", "b"])
    names = ["setosa", "versicolor", "virginica"]
    assert [text.get_text() for text in display.legend_.get_texts()] == names
    Z = vae.transform(X)[:, :2]
    for name, scatter, color in zip(names, display.scatters_, ["k", "r", "b"], strict=True):
        np.testing.assert_allclose(scatter.get_offsets(), Z[name == Y])
        assert tuple(scatter.get_facecolor()[0][:3]) == to_rgba(color)[:3]


def test_prior_means_have_the_names_and_colours_of_their_classes(by_class):
    display = LatentSpaceDisplay.from_estimator(by_class, X, labels=Y)
    assert [text.get_text() for text in display.means_] == by_class.classes_.tolist()
    for text, mean, scatter in zip(
        display.means_, by_class.class_means_, display.scatters_, strict=True
    ):
        np.testing.assert_allclose(text.get_position(), mean, rtol=1e-6)
        assert text.get_bbox_patch().get_edgecolor()[:3] == tuple(scatter.get_facecolor()[0][:3])
    assert display.legend_ is not None
    bare = LatentSpaceDisplay.from_estimator(by_class, X)
    assert [text.get_text() for text in bare.means_] == by_class.classes_.tolist()


@pytest.mark.parametrize("n_classes", [1, 7, 8, 10, 11, 30])
def test_classes_have_colours_of_their_own(n_classes):
    display = LatentSpaceDisplay(points=np.ones((60, 2)), labels=np.arange(60) % n_classes).plot()
    display.figure_.canvas.draw()
    colors = {tuple(scatter.get_facecolor()[0]) for scatter in display.scatters_}
    assert len(colors) == n_classes


def test_any_transformer_and_any_pipeline_can_be_drawn(vae):
    table = pd.DataFrame(X, columns=IRIS.feature_names)
    for fitted in (PCA(2).fit(table), make_pipeline(MinMaxScaler(), PCA(2)).fit(table)):
        display = LatentSpaceDisplay.from_estimator(fitted, table)
        np.testing.assert_allclose(offsets(display.scatters_), fitted.transform(table))
    _, ax = plt.subplots()
    display = LatentSpaceDisplay.from_estimator(vae, X, ax=ax, scatter_kw={"s": 50})
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.scatters_[0].get_sizes().tolist() == [50]


def test_labels_are_seen_by_a_conditional_model():
    labels = np.array(["a", "b"])
    display = LatentSpaceDisplay.from_estimator(Linear(conditional=True), X[:2], labels=labels)
    np.testing.assert_allclose(offsets(display.scatters_)[1], X[1, :2] / [1, 10] + 1000)


def test_wrong_latent_spaces_are_errors(vae):
    draw = LatentSpaceDisplay.from_estimator
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(VAETransformer(), X)
    with pytest.raises(TypeError, match=r"LinearRegression has no transform.*pipeline\[:-1\]"):
        draw(LinearRegression().fit(X, X[:, 0]), X)
    with pytest.raises(ValueError, match="latent space has one dimension"):
        draw(PCA(1).fit(X), X)
    for dimensions in ((0, 3), (0, -1), (0.5, 1), "ab"):
        with pytest.raises(ValueError, match=r"dimensions must be .*numbers from 0 to 2, got"):
            draw(vae, X, dimensions=dimensions)
    for dimensions in ((1, 1), (0, 1, 2), (0,)):
        with pytest.raises(ValueError, match="dimensions must be two different numbers"):
            draw(vae, X, dimensions=dimensions)
    with pytest.raises(ValueError, match=r"labels has shape \(3,\), expected .* \(150,\)"):
        draw(vae, X, labels=Y[:3])
    with pytest.raises(ValueError, match="colors holds 1 colours for 3"):
        draw(vae, X, labels=Y, colors=["k"])
    with pytest.raises(ValueError, match=r"points must have shape \(n_samples, 2\), got \(2,\)"):
        LatentSpaceDisplay(points=[0, 1])
    with pytest.raises(ValueError, match="classes holds 1 names for 2 means"):
        LatentSpaceDisplay(points=[[0, 1]], class_means=[[0, 1], [1, 0]], classes=["a"])


# ---------------------------------------------------------------------------------------- manifold
def test_grid_is_decoded_at_quantiles_of_the_prior():
    display = ManifoldDisplay.from_estimator(Linear(), n=5, content=0.8, dimensions=(2, 0))
    quantiles = norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9])
    assert display.decoded.shape == (5, 5, 4)
    for i in range(5):
        for k in range(5):
            expected = [quantiles[i], 0, 100 * quantiles[k], 5]
            np.testing.assert_allclose(display.decoded[i, k], expected, atol=1e-12)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("z2", "z0")
    ticks = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert ticks == [f"{q:.1f}" for q in quantiles]
    alone = ManifoldDisplay.from_estimator(Linear(), n=1)
    np.testing.assert_allclose(alone.decoded, [[[0, 0, 0, 5]]], atol=1e-12)


def test_grid_is_around_the_means_of_classes():
    means = [[1, 2, 3], [3, 2, -1]]
    one = ManifoldDisplay.from_estimator(Linear(class_means=means), n=3, label="b")
    step = norm.ppf(0.95)
    np.testing.assert_allclose(one.ticks[0], [3 - step, 3, 3 + step])
    np.testing.assert_allclose(one.decoded[..., 2], -100)
    both = ManifoldDisplay.from_estimator(Linear(class_means=means), n=3)
    np.testing.assert_allclose(both.ticks[0], 2 + np.sqrt(2) * np.array([-step, 0, step]))
    np.testing.assert_allclose(both.ticks[1], 2 + np.array([-step, 0, step]))
    seen = Linear(class_means=means, conditional=True)
    assert ManifoldDisplay.from_estimator(seen, n=2, label="b").decoded[0, 0, -1] == 1000


def test_images_lie_in_the_order_of_the_axes():
    cells = np.arange(2 * 3 * 4, dtype=float).reshape(2, 3, 4)
    display = ManifoldDisplay(decoded=cells, image_shape=(2, 2)).plot()
    whole = np.asarray(display.image_.get_array())
    assert whole.shape == (4, 6)
    np.testing.assert_array_equal(whole[2:, :2], cells[0, 0].reshape(2, 2))  # lower left
    np.testing.assert_array_equal(whole[:2, 4:], cells[1, 2].reshape(2, 2))  # upper right
    colors = ManifoldDisplay(decoded=np.ones((2, 3, 12)), image_shape=(2, 2, 3)).plot()
    assert colors.image_.get_array().shape == (4, 6, 3)
    grey = ManifoldDisplay(decoded=cells, image_shape=(2, 2, 1)).plot(image_kw={"cmap": "viridis"})
    assert grey.image_.get_cmap().name == "viridis"


def test_rows_that_are_no_images_are_lines(digits):
    cells = np.array([[[0.0, 1.0], [2.0, 4.0]]])
    display = ManifoldDisplay(decoded=cells).plot(line_kw={"color": "k"})
    assert display.image_ is None
    (one, other) = (line.get_ydata() for line in display.lines_)
    np.testing.assert_allclose(np.r_[one, other], 0.8 * (np.array([0, 1, 2, 4]) / 4 - 0.5))
    constant = ManifoldDisplay(decoded=np.ones((1, 2, 1))).plot()
    constant.figure_.canvas.draw()
    drawn = ManifoldDisplay.from_estimator(digits, n=4, image_shape=(8, 8))
    assert drawn.image_.get_array().shape == (32, 32)
    pipeline = make_pipeline(MinMaxScaler(), VAETransformer(**COMMON)).fit(X)
    lines = ManifoldDisplay.from_estimator(pipeline, n=2)
    assert len(lines.lines_) == 4
    assert X.min() - 1 < lines.decoded.min() < lines.decoded.max() < X.max() + 1


def test_wrong_manifolds_are_errors(vae, by_class):
    draw = ManifoldDisplay.from_estimator
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(VAETransformer())
    with pytest.raises(TypeError, match=r"inverse_transform, and LinearRegression has none"):
        draw(LinearRegression().fit(X, X[:, 0]))
    for n in (0, 2.5):
        with pytest.raises(ValueError, match="n must be an integer of at least 1, got"):
            draw(vae, n=n)
    for content in (0, 1, True, "0.5"):
        with pytest.raises(ValueError, match="content must be a number between 0 and 1"):
            draw(vae, content=content)
    with pytest.raises(ValueError, match=r"image_shape=\(2, 3\) has 6 pixels, .* 4 features"):
        draw(vae, image_shape=(2, 3))
    for shape in ((4,), (2, 2.0), (0, 4), (1, 2, 2)):
        with pytest.raises(ValueError, match=r"image_shape must be \(height, width\)"):
            draw(vae, image_shape=shape)
    with pytest.raises(ValueError, match="label was given, but the fit had no labels"):
        draw(vae, label="setosa")
    with pytest.raises(ValueError, match="label is 'rose', but those of the fit are"):
        draw(by_class, label="rose")
    with pytest.raises(ValueError, match="conditional=True needs a label"):
        draw(Linear(conditional=True))
    with pytest.raises(ValueError, match="ticks must hold 2 and 1 coordinates"):
        ManifoldDisplay(decoded=np.ones((1, 2, 4)), ticks=([0], [0]))
    with pytest.raises(ValueError, match=r"decoded must have shape .* got \(4,\)"):
        ManifoldDisplay(decoded=np.ones(4))


# --------------------------------------------------------------------------------- reconstructions
def test_originals_are_above_reconstructions(digits):
    names = load_digits().target[:200]
    display = ReconstructionDisplay.from_estimator(
        digits, DIGITS, rows=[5, 3], image_shape=(8, 8), names=names
    )
    whole = np.asarray(display.image_.get_array())
    back = digits.reconstruct(DIGITS)
    for place, row in enumerate([5, 3]):
        part = slice(8 * place, 8 * place + 8)
        np.testing.assert_allclose(whole[:8, part].ravel(), DIGITS[row])
        np.testing.assert_allclose(whole[8:, part].ravel(), back[row], atol=1e-6)
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["5", "3"]
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert dict(zip(display.ax_.get_yticks(), names, strict=True)) == {
        0: "reconstruction",
        1: "original",
    }


def test_other_rows_are_lines_of_both(vae):
    table = pd.DataFrame(X, columns=IRIS.feature_names)
    pipeline = make_pipeline(MinMaxScaler(), PCA(1)).fit(table)
    for fitted, data in ((vae, X), (pipeline, table)):
        display = ReconstructionDisplay.from_estimator(fitted, data)
        assert len(display.lines_) == 20
        back = fitted.inverse_transform(fitted.transform(data))
        for lines, rows in ((display.lines_[:10], X), (display.lines_[10:], back)):
            drawn = np.array([line.get_ydata() for line in lines])
            low, high = (f(np.r_[X[:10].ravel(), back[:10].ravel()]) for f in (min, max))
            expected = 0.8 * ((rows[:10] - low) / (high - low) - 0.5)
            np.testing.assert_allclose(drawn, expected, atol=1e-6)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["original", "reconstruction"]


def test_labels_name_the_rows_and_are_seen_by_a_conditional_model():
    labels = np.array(["a", "b"])
    model = Linear(3, conditional=True)
    with pytest.raises(ValueError, match="labels must hold one for each of the 2 rows"):
        ReconstructionDisplay.from_estimator(model, X[:2], labels=["a"])
    display = ReconstructionDisplay.from_estimator(model, X[:2], rows=[1], labels=labels)
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["b"]
    np.testing.assert_allclose(display.reconstructions[0, 0], X[1, 0] + 1000)


def test_wrong_rows_are_errors(vae):
    draw = ReconstructionDisplay.from_estimator
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(VAETransformer(), X)
    with pytest.raises(TypeError, match="LinearRegression does not have both"):
        draw(LinearRegression().fit(X, X[:, 0]), X)
    with pytest.raises(ValueError, match="rows must be numbers from 0 to 149, got"):
        draw(vae, X, rows=[150])
    with pytest.raises(ValueError, match="names must hold one for each of the 150 rows"):
        draw(vae, X, names=["a"])
    with pytest.raises(ValueError, match=r"same shape .* got \(1, 2\) and \(2, 1\)"):
        ReconstructionDisplay(originals=[[1, 2]], reconstructions=[[1], [2]])
    with pytest.raises(ValueError, match="names holds 2 names for 1 rows"):
        ReconstructionDisplay(originals=[[1]], reconstructions=[[1]], names=["a", "b"])


# ------------------------------------------------------------------------------------------ losses
def test_lines_are_the_history(vae):
    for fitted in (vae, make_pipeline(MinMaxScaler(), vae)):
        display = LossDisplay.from_estimator(fitted)
        for ax, lines, part in zip(
            display.axes_, display.lines_, ("reconstruction", "kl"), strict=True
        ):
            assert ax.get_ylabel() == "nats per row"
            assert [line.get_label() for line in lines] == ["training", "validation"]
            for line, kind in zip(lines, ("train", "valid"), strict=True):
                assert line.get_xdata().tolist() == [1, 2]
                values = [row[f"{kind}_{part}"] for row in vae.history_]
                assert line.get_ydata().tolist() == values


def test_without_validation_there_is_one_line_a_panel(by_class):
    _, axes = plt.subplots(1, 2)
    display = LossDisplay.from_estimator(by_class, axes=axes, line_kw={"linewidth": 3})
    assert list(display.axes_) == list(axes)
    assert [len(lines) for lines in display.lines_] == [1, 1]
    assert display.lines_[0][0].get_linewidth() == 3
    assert axes[0].get_legend() is None


def test_wrong_losses_are_errors(vae):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        LossDisplay.from_estimator(VAETransformer())
    with pytest.raises(TypeError, match="PCA has none"):
        LossDisplay.from_estimator(PCA(1).fit(X))
    with pytest.raises(ValueError, match="history is empty"):
        LossDisplay(history=[])
    with pytest.raises(ValueError, match=r"history must have \['train_kl'\].* got"):
        LossDisplay(history=[{"train_reconstruction": 1.0}])
    with pytest.raises(ValueError, match="axes holds 1 axes for 2 panels"):
        LossDisplay.from_estimator(vae, axes=plt.subplots()[1])
