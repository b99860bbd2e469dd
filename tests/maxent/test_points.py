"""Finite supports: far points, faces, bounds that remove points, and densities at new rows."""

import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import gammaln

from skem import MaxEntDistribution

INF = np.inf
DIE = [1, 2, 3, 4, 5, 6]


# ---------------------------------------------------------------------- units
@pytest.mark.parametrize("n", [100, 5000, 20_000])
def test_powers_of_a_bulk_that_is_narrow_beside_the_support(n):
    """The first moments of a Poisson distribution, whose points go on and on."""
    x = np.arange(float(n))
    constraints = [3.0, 12.0, 57.0]
    geometric = MaxEntDistribution(1, support=x).fit_moments(constraints[:1])
    assert geometric.multipliers_[0] == pytest.approx(np.log(4 / 3), rel=1e-9)
    for m in (2, 3):
        fitted = MaxEntDistribution(m, support=x).fit_moments(constraints[:m])
        assert fitted.converged_
        moments = [fitted.probabilities_ @ x**k for k in range(1, m + 1)]
        np.testing.assert_allclose(moments, constraints[:m], rtol=1e-9)


def test_the_poisson_distribution_is_that_of_its_base():
    x = np.arange(20_000.0)
    fitted = MaxEntDistribution(3, support=x, base=np.exp(-gammaln(x + 1)))
    fitted.fit_moments([3.0, 12.0, 57.0])
    np.testing.assert_allclose(fitted.probabilities_, stats.poisson(3).pmf(x), atol=1e-10)
    np.testing.assert_allclose(fitted.multipliers_, [-np.log(3), 0, 0], atol=1e-8)


# ---------------------------------------------------------------------- faces
@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 4))
@example(16777215, 1, 2)
@example(16777215, 3, 2)
def test_rows_of_a_support_always_have_a_distribution(seed, d, n_rows):
    """Their means are possible, as the rows themselves have them; rows keep a probability."""
    rng = np.random.default_rng(seed)
    support = rng.normal(size=(30, d)) * 10.0 ** rng.uniform(-3, 3, d)
    rows = support[rng.choice(30, n_rows)]
    if n_rows == 1:
        rows = np.repeat(rows, 2, axis=0)
    fitted = MaxEntDistribution(2, support=support).fit(rows)
    assert fitted.converged_
    p = fitted.probabilities_
    for k in (1, 2):
        unit = p @ np.abs(support**k) + 1e-300
        assert (np.abs(p @ support**k - (rows**k).mean(axis=0)) <= 1e-6 * unit).all()
    if fitted.boundary_:
        assert np.isfinite(fitted.score_samples(rows)).all()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_corners_and_edges_in_any_unit(scale):
    square = scale * np.array([[i, j] for i in range(4) for j in range(4)], dtype=float)
    corner = MaxEntDistribution(1, support=square).fit(square[[0, 0]])
    assert corner.boundary_
    np.testing.assert_array_equal(corner.probabilities_, np.eye(16)[0])
    edge = MaxEntDistribution(1, support=square).fit(square[[0, 1, 1]])
    line = MaxEntDistribution(1, support=[0, 1, 2, 3]).fit([[0], [1], [1]])
    assert edge.boundary_
    np.testing.assert_allclose(edge.probabilities_[:4], line.probabilities_, rtol=1e-9)
    np.testing.assert_array_equal(edge.probabilities_[4:], 0)


def test_two_moments_of_neighbours_leave_no_other_point():
    """A variance as small as it can be between 6 and 7."""
    fitted = MaxEntDistribution(2, support=np.arange(60)).fit([[6], [7], [7]])
    assert fitted.boundary_
    np.testing.assert_allclose(fitted.probabilities_[[6, 7]], [1 / 3, 2 / 3], rtol=1e-9)


@pytest.mark.parametrize(
    ("functions", "bounds", "active"),
    [
        (1, {"lower": [6]}, ["lower"]),
        (1, {"upper": [1]}, ["upper"]),
        (1, {"lower": [1]}, ["none"]),
        ([lambda x: (x == 1) * 1.0], {"upper": [0]}, ["upper"]),
        ([lambda x: (x == 1) * 1.0, lambda x: x], {"upper": [0, INF], "lower": [-INF, 5]},
         ["upper", "lower"]),
        ([lambda x: (x == 1) * 1.0, lambda x: x], {"upper": [0, INF], "lower": [-INF, 2]},
         ["upper", "none"]),
    ],
)  # fmt: skip
def test_a_bound_that_removes_points_is_active(functions, bounds, active):
    fitted = MaxEntDistribution(functions, support=DIE).fit_moments(**bounds)
    assert fitted.active_.tolist() == active
    assert fitted.boundary_ == (active[0] != "none")


# ---------------------------------------------------------------------- bases
@pytest.mark.parametrize("mass", [1e-3, 1.0, 15.0])
def test_the_divergence_is_from_the_normalised_base(mass):
    base = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.1])
    fitted = MaxEntDistribution(1, support=DIE, base=mass * base).fit_moments([4.5])
    p = fitted.probabilities_
    assert fitted.kl_divergence_ == pytest.approx(p @ np.log(p / base), abs=1e-12)
    unchanged = MaxEntDistribution(1, support=DIE, base=mass * base).fit_moments([base @ DIE])
    assert unchanged.kl_divergence_ == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("mass", [1e-3, 15.0])
def test_so_it_is_on_the_line_and_in_a_box(mass):
    line = MaxEntDistribution(1, base=lambda x: mass * stats.norm(1, 2).pdf(x)).fit_moments([2.5])
    assert line.kl_divergence_ == pytest.approx(1.5**2 / 8, abs=1e-9)
    half = MaxEntDistribution(1, support=(0, INF), base=lambda x: mass * np.exp(-x))
    half.fit_moments([2.0])
    assert half.kl_divergence_ == pytest.approx(2.0 - 1 - np.log(2), abs=1e-9)
    box = MaxEntDistribution(1, support=((0, 1), (0, 2)), base=lambda x: mass * x[:, 0])
    assert box.fit_moments([2 / 3, 1.0]).kl_divergence_ == pytest.approx(0, abs=1e-9)


def test_a_base_without_a_finite_integral_is_taken_as_it_is():
    fitted = MaxEntDistribution(1, support=(0, INF), base=lambda x: 5 + 0 * x).fit_moments([2.0])
    assert fitted.kl_divergence_ == pytest.approx(-fitted.entropy_ - np.log(5), abs=1e-9)


# ---------------------------------------------------------------------- new rows
def test_the_density_ratio_at_rows_that_are_no_points():
    """A sample of a normal base, tilted to another mean: exp of a line, at any row."""
    sample = np.random.default_rng(0).normal(size=(5000, 1))
    weights = np.full(5000, 1 / 5000)
    fitted = MaxEntDistribution(1, support=sample, base=weights).fit_moments([0.5])
    new = np.array([[-1.0], [0.3], [2.0]])
    np.testing.assert_array_equal(fitted.score_samples(new), -INF)
    ratio = fitted.log_density_ratio(new)
    np.testing.assert_allclose(np.diff(ratio), -fitted.multipliers_ * [1.3, 1.7], rtol=1e-9)
    truth = stats.norm(0.5).logpdf(new[:, 0]) - stats.norm().logpdf(new[:, 0])
    np.testing.assert_allclose(ratio, truth, atol=0.1)  # 5000 draws
    at_points = fitted.log_density_ratio(sample)
    np.testing.assert_allclose(at_points, np.log(fitted.probabilities_ * 5000), atol=1e-9)
    assert fitted.probabilities_ @ at_points == pytest.approx(fitted.kl_divergence_, abs=1e-12)


def test_the_ratio_is_relative_to_the_normalised_base():
    fitted = MaxEntDistribution(1, base=lambda x: 7 * stats.norm.pdf(x)).fit_moments([1.0])
    x = np.linspace(-2, 3, 6)
    np.testing.assert_allclose(fitted.log_density_ratio(x[:, None]), x - 0.5, atol=1e-9)
    plain = MaxEntDistribution(2, support=(0, 1)).fit_moments([0.4, 0.2])
    rows = np.array([[0.2], [0.9], [1.5]])
    np.testing.assert_allclose(plain.log_density_ratio(rows), plain.score_samples(rows))


def test_a_limit_says_nothing_about_other_rows():
    die = MaxEntDistribution(1, support=DIE, base=np.full(6, 1 / 6)).fit_moments([6])
    np.testing.assert_allclose(die.log_density_ratio([[6], [5]]), [np.log(6), -INF])
    with pytest.raises(ValueError, match=r"X\[1\] is not a point of support.*boundary_"):
        die.log_density_ratio([[6], [5.5]])


# ---------------------------------------------------------------------- pickles
@pytest.mark.parametrize(
    ("features", "support", "constraints"),
    [
        (4, (-INF, INF), [0, 1, 0.5, 3.5]),
        (1, (0, INF), [2.0]),
        (2, (0, 1), [0.4, 0.2]),
        (1, ((0, 1), (0, 2)), [0.4, 1.1]),
        (1, DIE, [4.5]),
    ],
)
def test_pickles_hold_no_quadrature_and_lose_nothing(features, support, constraints):
    fitted = MaxEntDistribution(features, support=support, random_state=0).fit_moments(constraints)
    draws, square = (
        fitted.sample(20),
        fitted.expectation(lambda x: np.square(x).reshape(len(x), -1)[:, 0]),
    )
    data = pickle.dumps(fitted)
    assert len(data) < 5000
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.sample(20), draws)
    np.testing.assert_array_equal(again.score_samples(draws), fitted.score_samples(draws))
    assert again.expectation(lambda x: np.square(x).reshape(len(x), -1)[:, 0]) == square
