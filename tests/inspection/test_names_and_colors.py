"""Names of the user are drawn as they are, colours can be told apart, pipelines are welcome."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skem import PLSA, GaussianMixtureEM, MaxEntClassifier
from skem.inspection import (
    AttentionDisplay,
    BoundDisplay,
    DocumentTopicsDisplay,
    ExpectationsDisplay,
    LatentSpaceDisplay,
    ManifoldDisplay,
    MixtureDisplay,
    ReconstructionDisplay,
    TopicsDisplay,
    WeightsDisplay,
)
from skem.inspection.drawing._axes import component_colors

r = np.random.default_rng(0)
X = np.concatenate([r.normal(size=(40, 3)), r.normal(3.0, 1.0, size=(40, 3))])

# Unbalanced, balanced, an unknown command, an index, and what hides a line from a legend.
NAMES = ["US$ and $", r"$\frac{", "a_$x$", "_under", r"100 % \n"]


def texts_of(figure):
    figure.canvas.draw()  # mathematics is parsed here
    return [text for text in figure.findobj(Text) if text.get_visible()]


def display_of(kind, names):
    n = len(names)
    weights, shares = np.arange(1.0, n * n + 1).reshape(n, n), np.eye(n) + 0.1
    if kind == "attention":
        return AttentionDisplay(weights=shares, x_tokens=names, y_tokens=names).plot()
    if kind == "weights":
        return WeightsDisplay(
            weights=weights, titles=names, labels=names, feature_names=names
        ).plot()
    if kind == "expectations":
        return ExpectationsDisplay(
            empirical=weights, model=weights + weights.T, classes=names, feature_names=names
        ).plot()
    if kind == "topics":
        return TopicsDisplay(components=shares, feature_names=names).plot()
    if kind == "documents":
        return DocumentTopicsDisplay(
            proportions=shares, names=names, topic_names=names, label=names[0]
        ).plot()
    if kind == "bound":
        return BoundDisplay(bounds={name: [-2.0, -1.0] for name in names}).plot(unit=names[0])
    if kind == "mixture":
        return MixtureDisplay(
            weights=[1.0], means=[[0.0, 0.0]], covariances=[np.eye(2)], feature_names=names[:2]
        ).plot()
    if kind == "latent":
        points = np.stack([np.arange(n), np.arange(n)], axis=1)
        return LatentSpaceDisplay(
            points=points, labels=names, class_means=points, classes=sorted(names),
            dimension_names=names[:2],
        ).plot()  # fmt: skip
    if kind == "manifold":
        cells = np.zeros((2, 2, 3))
        cells[..., 1] = 1
        return ManifoldDisplay(decoded=cells, dimension_names=names[:2]).plot()
    return ReconstructionDisplay(originals=shares, reconstructions=shares, names=names).plot()


KINDS = {
    "attention": 5,
    "weights": 5,
    "expectations": 5,
    "topics": 5,
    "documents": 5,
    "bound": 5,
    "mixture": 2,
    "latent": 5,
    "manifold": 2,
    "reconstruction": 5,
}


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_drawn_as_they_are(kind):
    display = display_of(kind, NAMES)
    drawn = texts_of(display.figure_)
    for name in NAMES[: KINDS[kind]]:
        shown = [text for text in drawn if text.get_text() == name]
        assert shown, name
        assert not any(text.get_parse_math() or text.get_usetex() for text in shown)


def test_two_classes_with_dollars_in_their_names():
    y = np.where(X[:, 0] > 1, "more than $5", "$5 or less")
    display = WeightsDisplay.from_estimator(MaxEntClassifier().fit(X, y))
    assert "more than $5 against $5 or less" in {t.get_text() for t in texts_of(display.figure_)}


# ---------------------------------------------------------------------- colours
def lab(rgb):
    """CIELAB of sRGB (IEC 61966-2-1, white D65)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]]
    xyz = linear @ np.transpose(to_xyz) / [0.9505, 1.0, 1.0888]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


@pytest.mark.parametrize("n", [2, 7, 8, 10, 11, 20, 21, 50])
def test_no_component_looks_like_another(n):
    """In CIELAB, where a difference of about 2 is just seen; of eight steps of viridis 19."""
    colors = lab(component_colors(n))
    apart = np.linalg.norm(colors[:, None] - colors, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > (25 if n <= 11 else 15 if n <= 21 else 5)
    assert np.diagonal(apart, 1).min() > 20  # neighbours of a stack of bars


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_eight_topics_have_eight_colors():
    counts = r.poisson(1.0, (30, 20))
    model = PLSA(8, random_state=0, max_iter=20).fit(counts)
    display = DocumentTopicsDisplay.from_estimator(model, counts)
    colors = np.array([bars[0].get_facecolor()[:3] for bars in display.bars_])
    np.testing.assert_allclose(colors, component_colors(8))


# ---------------------------------------------------------------------- pipelines
def mixture():
    return GaussianMixtureEM(2, random_state=0)


@pytest.mark.parametrize("search", [False, True])
def test_a_mixture_at_the_end_of_a_pipeline_is_drawn_where_it_lives(search):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    pipeline = make_pipeline(StandardScaler(), mixture())
    if search:
        grid = {"gaussianmixtureem__n_components": [2]}
        pipeline = GridSearchCV(pipeline, grid, cv=2)
    pipeline.fit(frame)
    display = MixtureDisplay.from_estimator(pipeline, frame, columns=("a", "c"))
    fitted = pipeline.best_estimator_ if search else pipeline
    Z = fitted[0].transform(frame)
    expected = MixtureDisplay.from_estimator(fitted[-1], Z, columns=(0, 2), ax=plt.figure().gca())
    np.testing.assert_array_equal(display.means, expected.means)
    np.testing.assert_array_equal(display.points, expected.points)
    np.testing.assert_array_equal(display.responsibilities, expected.responsibilities)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("a", "c")


def test_the_columns_are_those_that_the_steps_give_out():
    display = MixtureDisplay.from_estimator(make_pipeline(PCA(2), mixture()).fit(X), X)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("pca0", "pca1")
    with pytest.raises(TypeError, match="got StandardScaler"):
        MixtureDisplay.from_estimator(make_pipeline(PCA(2), StandardScaler()).fit(X))


def test_the_bound_of_a_pipeline_is_that_of_its_model():
    pipeline = make_pipeline(StandardScaler(), mixture()).fit(X)
    display = BoundDisplay.from_estimator(pipeline, distance_to="own")
    assert list(display.bounds) == ["GaussianMixtureEM"]
    np.testing.assert_array_equal(display.bounds["GaussianMixtureEM"], pipeline[-1].lower_bounds_)
    both = BoundDisplay.from_estimators({"scaled": pipeline, "as given": mixture().fit(X)})
    assert [text.get_text() for text in both.ax_.get_legend().get_texts()] == ["scaled", "as given"]
    with pytest.raises(TypeError, match="has no lower_bounds_"):
        BoundDisplay.from_estimator(make_pipeline(StandardScaler()).fit(X))
