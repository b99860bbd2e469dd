"""A Gaussian mixture in two dimensions: ellipses, densities and colours mean what they say."""

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture

from skem import BernoulliMixtureEM, GaussianMixtureEM
from skem.inspection import MixtureDisplay
from skem.inspection.drawing._axes import PALETTE, component_colors
from skem.inspection.drawing._plane import GREY, PlaneMixture, ellipse_axes, mixed_colors

pytest.importorskip("matplotlib")

X = load_iris().data
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical", "tied_diag", "tied_spherical")


@pytest.fixture(scope="module", params=COVARIANCE_TYPES)
def mixture(request):
    return GaussianMixtureEM(3, covariance_type=request.param, random_state=0).fit(X)


def inside(ellipse, points):
    """Which points does the ellipse, as matplotlib draws it, hold?"""
    return ellipse.get_path().transformed(ellipse.get_patch_transform()).contains_points(points)


def plane(display):
    return PlaneMixture(display.weights, display.means, display.covariances)


# ---------------------------------------------------------------------------------- geometry
def test_ellipse_of_a_content_holds_that_share_of_the_draws(mixture):
    contents = (0.5, 0.9, 0.99)
    display = MixtureDisplay.from_estimator(mixture, columns=(3, 1), contents=contents)
    rows, component = mixture.sample(40_000)
    for k, ellipses in enumerate(display.ellipses_):
        draws = rows[component == k][:, [3, 1]]
        for content, ellipse in zip(contents, ellipses, strict=True):
            error = 4 * np.sqrt(content * (1 - content) / len(draws))
            assert inside(ellipse, draws).mean() == pytest.approx(content, abs=error)


def test_radius_is_the_chi_square_quantile_with_two_degrees_of_freedom():
    for content in (0.1, 0.5, 0.9, 0.999):
        major, minor, angle = ellipse_axes(np.diag([1.0, 4.0]), content)
        radius = np.sqrt(chi2(2).ppf(content))
        assert (major, minor) == pytest.approx((4 * radius, 2 * radius))
        assert abs(angle) == pytest.approx(90)


def test_ellipse_points_along_the_first_principal_axis():
    _, _, angle = ellipse_axes(np.array([[1.0, 0.9], [0.9, 1.0]]), 0.5)
    assert angle % 180 == pytest.approx(45)


def test_density_of_two_columns_is_the_integral_over_the_others(mixture):
    display = MixtureDisplay.from_estimator(mixture, columns=(2, 0))
    means, reach = X.mean(axis=0), 8 * X.std(axis=0)
    a, b = (np.linspace(means[j] - reach[j], means[j] + reach[j], 301) for j in (1, 3))
    cell = (a[1] - a[0]) * (b[1] - b[0])
    for point in ([4.0, 6.0], [1.5, 5.0], [5.5, 6.5]):
        rows = np.empty((301, 301, 4))
        rows[..., 2], rows[..., 0] = point
        rows[..., 1], rows[..., 3] = a[:, None], b
        integral = np.exp(mixture.score_samples(rows.reshape(-1, 4))).sum() * cell
        assert plane(display).density(np.array([point])) == pytest.approx(integral, rel=1e-6)


def test_marginal_agrees_with_leaving_the_other_columns_missing(mixture):
    display = MixtureDisplay.from_estimator(mixture, columns=(1, 2))
    rows = np.full_like(X, np.nan)
    rows[:, [1, 2]] = X[:, [1, 2]]
    np.testing.assert_allclose(
        np.log(plane(display).density(X[:, [1, 2]])), mixture.score_samples(rows), rtol=1e-10
    )
    np.testing.assert_allclose(
        plane(display).responsibilities(X[:, [1, 2]]), mixture.predict_proba(rows), atol=1e-10
    )


def test_density_contours_hold_their_shares_of_the_mixture(mixture):
    contents = (0.25, 0.5, 0.9)
    display = MixtureDisplay.from_estimator(mixture, density=contents)
    draws = plane(display).density(plane(display).draw(40_000, seed=1))
    shares = [(draws >= level).mean() for level in display.contours_.levels]
    np.testing.assert_allclose(sorted(shares), contents, atol=0.02)


def test_density_is_off_by_default_and_true_chooses_contents(mixture):
    assert MixtureDisplay.from_estimator(mixture).contours_ is None
    contours = MixtureDisplay.from_estimator(mixture, density=True).contours_
    assert len(contours.levels) == 5
    assert (np.diff(contours.levels) > 0).all()


# ---------------------------------------------------------------------------------- colours
def test_a_certain_row_has_the_colour_of_its_component_and_a_torn_one_is_grey():
    rgb = component_colors(3)
    np.testing.assert_allclose(mixed_colors(np.eye(3), rgb), rgb)
    halfway = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(mixed_colors(halfway, rgb), GREY)


def test_points_are_coloured_by_the_responsibilities_of_whole_rows():
    mixture = GaussianMixtureEM(3, random_state=0).fit(X)
    display = MixtureDisplay.from_estimator(mixture, X, columns=(0, 1))
    expected = mixed_colors(mixture.predict_proba(X), component_colors(3))
    np.testing.assert_allclose(display.scatter_.get_facecolors()[:, :3], expected)
    np.testing.assert_allclose(display.scatter_.get_offsets(), X[:, :2])


def test_without_responsibilities_the_colours_come_from_the_two_columns():
    mixture = GaussianMixtureEM(3, random_state=0).fit(X[:, :2])
    by_estimator = MixtureDisplay.from_estimator(mixture, X[:, :2])
    by_hand = MixtureDisplay(
        weights=mixture.weights_,
        means=mixture.means_,
        covariances=mixture.covariances_,
        points=X[:, :2],
    ).plot()
    np.testing.assert_allclose(
        by_hand.scatter_.get_facecolors(), by_estimator.scatter_.get_facecolors(), atol=1e-10
    )


def test_palette_is_used_as_far_as_it_goes_and_colours_differ():
    for n_components in (1, len(PALETTE), 20):
        rgb = component_colors(n_components)
        assert rgb.shape == (n_components, 3)
        assert len(np.unique(rgb, axis=0)) == n_components


def test_rows_that_miss_a_drawn_column_are_left_out():
    rows = X.copy()
    rows[:10, 0] = np.nan
    rows[10:30, 3] = np.nan
    mixture = GaussianMixtureEM(2, random_state=0).fit(rows)
    display = MixtureDisplay.from_estimator(mixture, rows)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), rows[10:, :2])


# ---------------------------------------------------------------------------------- interface
def test_columns_by_name_are_columns_by_number():
    frame = load_iris(as_frame=True).data
    mixture = GaussianMixtureEM(2, random_state=0).fit(frame)
    by_name = MixtureDisplay.from_estimator(
        mixture, frame, columns=("petal width (cm)", "sepal length (cm)")
    )
    by_number = MixtureDisplay.from_estimator(mixture, frame, columns=[3, 0])
    np.testing.assert_array_equal(by_name.means, by_number.means)
    np.testing.assert_array_equal(by_name.covariances, by_number.covariances)
    np.testing.assert_array_equal(by_name.means, mixture.means_[:, [3, 0]])
    for display in (by_name, by_number):
        assert display.ax_.get_xlabel() == "petal width (cm)"
        assert display.ax_.get_ylabel() == "sepal length (cm)"


def test_labels_without_names_and_with_given_ones():
    mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    display = MixtureDisplay.from_estimator(mixture, columns=(1, 2))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("x1", "x2")
    display = MixtureDisplay.from_estimator(mixture, feature_names="abcd", columns=("c", 0))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("c", "a")


def test_legend_holds_the_weights_and_what_the_ellipses_mean():
    mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    legend = MixtureDisplay.from_estimator(mixture, contents=(0.683,)).legend_
    assert legend.get_title().get_text() == "ellipses hold 68.3 %"
    assert [text.get_text() for text in legend.get_texts()] == [
        f"{k}: weight {weight:.2f}" for k, weight in enumerate(mixture.weights_)
    ]


def test_axes_colours_and_style_are_those_asked_for():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    display = MixtureDisplay.from_estimator(
        mixture, X, ax=ax, colors=["red", "blue"], contents=(), scatter_kw={"s": 5}
    )
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.ellipses_ == [[], []]
    assert display.scatter_.get_sizes() == [5]
    np.testing.assert_array_equal(component_colors(2, ["red", "blue"]), [[1, 0, 0], [0, 0, 1]])


def test_the_peers_mixture_is_drawn_too():
    peer = GaussianMixture(2, covariance_type="tied", random_state=0).fit(X)
    display = MixtureDisplay.from_estimator(peer, X)
    np.testing.assert_array_equal(display.covariances[1], peer.covariances_[:2, :2])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((0, 4), r"columns holds 4, but .* numbered from 0 to 3"),
        ((-1, 0), r"columns holds -1"),
        ((1, 1), r"columns must be two different columns of X, got \(1, 1\)"),
        ((0, 1, 2), r"columns must be two different columns"),
        (("petal", 0), r"columns names 'petal', but the features are \['x0', 'x1', 'x2', 'x3'\]"),
        ("x0", r"columns must be two different columns"),
        ((0, 1.0), r"columns names 1\.0"),
    ],
)
def test_wrong_columns_are_an_error(columns, message):
    mixture = GaussianMixtureEM(1).fit(X)
    with pytest.raises(ValueError, match=message):
        MixtureDisplay.from_estimator(mixture, columns=columns)


def test_wrong_input_is_an_error():
    mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    draw = MixtureDisplay.from_estimator
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(GaussianMixtureEM())
    with pytest.raises(TypeError, match=r"draws Gaussian mixtures .* got BernoulliMixtureEM"):
        draw(BernoulliMixtureEM(random_state=0).fit(X.mean(axis=0) < X))
    with pytest.raises(ValueError, match="one feature, and the display needs two columns"):
        draw(GaussianMixtureEM().fit(X[:, :1]))
    with pytest.raises(ValueError, match="expecting 4 features"):
        draw(mixture, X[:, :2])
    with pytest.raises(ValueError, match="feature_names holds 2 names for the 4 features"):
        draw(mixture, feature_names=["a", "b"])
    with pytest.raises(ValueError, match=r"contents must be .* between 0 and 1"):
        draw(mixture, contents=(0.5, 1.0))
    with pytest.raises(ValueError, match=r"density must be .* between 0 and 1"):
        draw(mixture, density=(90,))
    with pytest.raises(ValueError, match="colors holds 1 colours for 2 components"):
        draw(mixture, colors=["red"])
