"""The estimator: columns, weights, draws, expectations, and input that it refuses."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skem import MaxEntDistribution

INF = np.inf
RNG = np.random.default_rng(0)
X = RNG.gamma(2.0, size=(40, 3))
DIE = [1, 2, 3, 4, 5, 6]


# ---------------------------------------------------------------------- data
def test_columns_on_the_line_are_a_product_of_normals():
    fitted = MaxEntDistribution().fit(X)
    truth = stats.norm(X.mean(axis=0), X.std(axis=0))
    np.testing.assert_allclose(fitted.score_samples(X), truth.logpdf(X).sum(axis=1), atol=1e-11)
    assert fitted.multipliers_.shape == fitted.moments_.shape == (3, 2)
    assert fitted.n_features_in_ == 3
    assert fitted.n_iter_ == 0


def test_columns_on_a_half_line_are_a_product_of_exponentials():
    fitted = MaxEntDistribution(1, support=(0, INF)).fit(X)
    truth = stats.expon(scale=X.mean(axis=0))
    np.testing.assert_allclose(fitted.score_samples(X), truth.logpdf(X).sum(axis=1), atol=1e-11)


def test_points_are_described_together():
    """Constraints about both columns and their product, fitted to counts: the loglinear model."""
    rng = np.random.default_rng(1)
    points = np.array([[i, j] for i in range(3) for j in range(2)], dtype=float)
    rows = points[rng.choice(6, 200, p=[0.3, 0.1, 0.1, 0.2, 0.05, 0.25])]
    functions = [lambda r: r[:, 0], lambda r: r[:, 0] ** 2, lambda r: r[:, 1],
                 lambda r: r[:, 0] * r[:, 1], lambda r: r[:, 0] ** 2 * r[:, 1]]  # fmt: skip
    fitted = MaxEntDistribution(functions, support=points).fit(rows)
    share = (rows[:, None, :] == points).all(axis=2).mean(axis=0)
    np.testing.assert_allclose(fitted.probabilities_, share, atol=1e-12)  # saturated
    independent = MaxEntDistribution(2, support=points).fit(rows)
    table = share.reshape(3, 2)
    outer = np.outer(table.sum(axis=1), table.sum(axis=0))
    np.testing.assert_allclose(independent.probabilities_, outer.ravel(), atol=1e-12)


def test_a_box_is_described_together():
    rows = np.random.default_rng(2).beta(2, 3, size=(50, 2))
    fitted = MaxEntDistribution(2, support=((0, 1), (0, 1))).fit(rows)
    columns = MaxEntDistribution(2, support=(0, 1)).fit(rows)
    np.testing.assert_allclose(fitted.score_samples(rows), columns.score_samples(rows), atol=1e-9)
    np.testing.assert_allclose(fitted.multipliers_, columns.multipliers_.ravel(), rtol=1e-7)
    assert fitted.score_samples([[0.5, 1.5]]) == -INF


@pytest.mark.parametrize(
    ("features", "support", "rows"),
    [(2, (-INF, INF), X), (1, (0, INF), X), (2, (-1, 30), X), (1, DIE, X.astype(int) % 6 + 1)],
)
def test_a_weight_is_a_row_so_many_times(features, support, rows):
    rows = rows[:, :1] if isinstance(support, list) else rows
    times = np.arange(40) % 3
    weighted = MaxEntDistribution(features, support=support).fit(rows, sample_weight=times)
    repeated = MaxEntDistribution(features, support=support).fit(rows.repeat(times, axis=0))
    np.testing.assert_allclose(weighted.multipliers_, repeated.multipliers_, rtol=1e-9)
    assert weighted.entropy_ == pytest.approx(repeated.entropy_, abs=1e-12)


def test_the_density_is_zero_off_the_support():
    fitted = MaxEntDistribution(1, support=(0, INF)).fit_moments([2])
    assert fitted.score_samples([[-0.1]]) == -INF
    die = MaxEntDistribution(1, support=DIE).fit_moments([4.5])
    assert die.score_samples([[2.5]]) == -INF


# ---------------------------------------------------------------------- draws
@pytest.mark.parametrize(
    ("features", "support", "constraints"),
    [
        (2, (-INF, INF), [3, 13]),
        (1, (2, INF), [3]),
        (1, (-INF, 2), [-1]),
        (1, (0, 1), [0.5]),
        (1, (0, 1), [0.2]),
        (2, (-2.5, 2.5), [0, 1]),
        (4, (-INF, INF), [0, 1, 0.5, 3.5]),
        ([lambda x: x, np.log], (0, INF), [0.6, -2.8]),
    ],
)
def test_draws_follow_the_density(features, support, constraints):
    fitted = MaxEntDistribution(features, support=support, random_state=0).fit_moments(constraints)
    draws = fitted.sample(2000)
    assert draws.shape == (2000, 1)
    x = np.sort(draws[:, 0])
    quantiles = x[::250]
    cdf = [fitted.expectation(lambda t, q=q: (t <= q) * 1.0) for q in quantiles]
    np.testing.assert_allclose(cdf, (np.arange(2000) / 2000)[::250], atol=0.04)
    np.testing.assert_array_equal(draws, fitted.sample(2000))


def test_the_inverse_cdf_is_accurate():
    """A uniform number u becomes the x with F(x) = u."""
    fitted = MaxEntDistribution(1, support=(0, 1), random_state=3).fit_moments([0.3])
    lam = fitted.multipliers_[0]
    u = np.random.RandomState(3).uniform(size=500)
    np.testing.assert_allclose(
        fitted.sample(500)[:, 0], -np.log1p(u * np.expm1(-lam)) / lam, atol=1e-12
    )


def test_draws_in_a_box_and_of_points():
    functions = [lambda r: r[:, 0] * r[:, 1], lambda r: r[:, 0]]
    box = MaxEntDistribution(functions, support=((0, 1), (-1, 2)), random_state=0)
    draws = box.fit_moments([0.4, 0.6]).sample(4000)
    assert draws.shape == (4000, 2)
    np.testing.assert_allclose([f(draws).mean() for f in functions], [0.4, 0.6], atol=0.03)
    assert box.expectation(lambda r: r[:, 1]) == pytest.approx(draws[:, 1].mean(), abs=0.05)
    die = MaxEntDistribution(1, support=DIE, random_state=0).fit_moments([4.5])
    counts = np.bincount(die.sample(20_000)[:, 0].astype(int))[1:]
    np.testing.assert_allclose(counts / 20_000, die.probabilities_, atol=0.01)


# ---------------------------------------------------------------------- expectations
def test_expectations_of_any_function():
    die = MaxEntDistribution(1, support=DIE).fit_moments([4.5])
    assert die.expectation(lambda x: x**2) == pytest.approx(die.probabilities_ @ np.square(DIE))
    normal = MaxEntDistribution().fit_moments([0, 1])
    assert normal.expectation(np.exp) == pytest.approx(np.exp(0.5), rel=1e-10)
    assert normal.expectation(lambda x: (x > 1.5) * 1.0) == pytest.approx(
        stats.norm.sf(1.5), abs=1e-12
    )
    columns = MaxEntDistribution(1, support=(0, INF)).fit(X)
    np.testing.assert_allclose(columns.expectation(np.square), 2 * X.mean(axis=0) ** 2, rtol=1e-10)


def test_an_expectation_that_is_not_finite():
    fitted = MaxEntDistribution(1, support=(0, INF)).fit_moments([2.0])
    with pytest.raises(ValueError, match=r"expectation of f.*infinite"):
        fitted.expectation(np.exp)


# ---------------------------------------------------------------------- bad input
BAD_FIT = {
    "features, text": ({"features": "x"}, X, "'features'.*must be"),
    "features, zero": ({"features": 0}, X, "'features'.*must be"),
    "features, empty": ({"features": []}, X, "features is empty"),
    "features, not callable": ({"features": [np.log, 3]}, X, r"features\[1\] = 3 cannot be called"),
    "features, shape": ({"features": [np.mean]}, X, r"features\[0\] returned.*shape \(\)"),
    "features, NaN": ({"features": [np.log]}, X, r"features\[0\] is NaN at x = -"),
    "support, order": ({"support": (1, 0)}, X, r"support=\(1, 0\): low must be below high"),
    "support, three": ({"support": (1, 2, 3)}, X, r"support is a tuple of shape \(3,\).*list"),
    "support, twice": ({"support": [1, 1]}, X[:, :1], "more than once.*base"),
    "support, infinite": ({"support": [0, INF]}, X[:, :1], "support.*finite points.*tuple"),
    "support, empty": ({"support": []}, X, r"support has shape \(0,\)"),
    "support, text": ({"support": ["a"]}, X, "support=.*numbers"),
    "support, NaN": ({"support": (np.nan, 1)}, X, "support.*NaN"),
    "box, infinite": ({"support": ((0, INF),) * 3}, X, "box needs finite sides"),
    "box, many": ({"support": ((0, 1),) * 4}, X, "4 dimensions, at most 3"),
    "base, array": ({"base": [1, 2]}, X, "base must be a function of x"),
    "base, length": ({"base": [1, 2], "support": DIE}, X[:, :1], r"base has shape \(2,\).*\(6,\)"),
    "base, negative": ({"base": lambda x: -np.ones(len(x))}, X, "base must be.*not negative"),
    "base, zero": ({"base": np.zeros(6), "support": DIE}, X[:, :1], "base is zero at every"),
    "tol": ({"tol": 0.0}, X, "'tol'.*must be"),
    "max_iter": ({"max_iter": 0}, X, "'max_iter'.*must be"),
    "off the interval": ({"support": (0.5, 2)}, X, r"X\[:, 0\] holds .* not in the interval"),
    "off the half line": ({"support": (1, INF)}, X, r"X\[:, 0\] holds .* not in the half line"),
    "off the points": ({"support": DIE}, X[:, :1], r"X\[0\] = .* is not a point of support"),
    "off the box": ({"support": ((0, 1),) * 3}, X, r"X holds .*row 0, column .*not in the box"),
    "columns": ({"support": DIE}, X, r"X has 3 columns, but support is about 1"),
    "constant": ({}, np.ones((5, 2)), r"X\[:, 0\] is constant \(1\).*Drop the column"),
    "one row": ({}, X[:1], "1 sample"),
    "NaN": ({}, X * np.nan, "NaN"),
    "huge": ({}, X * 1e200, r"X\[:, 0\].*too large.*units"),
}


@pytest.mark.parametrize("case", BAD_FIT)
def test_what_fit_refuses(case):
    params, rows, message = BAD_FIT[case]
    estimator = MaxEntDistribution(**params)
    with pytest.raises(ValueError, match=message):
        estimator.fit(rows)
    assert set(vars(estimator)) == set(estimator.get_params())


BAD_CONSTRAINTS = {
    "none": ({}, "Give constraints: moments, or lower and upper"),
    "shape": ({"moments": [1, 2, 3]}, r"moments has shape \(3,\), expected \(2,\)"),
    "shapes": ({"lower": [1, 2], "upper": [[1, 2]]}, r"upper has shape \(1, 2\)"),
    "infinite": ({"moments": [0, INF]}, "moments must be finite, or NaN"),
    "twice": ({"moments": [0, 1], "lower": [0, -INF]}, r"moments\[0\] is given, and a bound"),
    "order": ({"lower": [0, 3], "upper": [1, 2]}, r"lower\[1\] = 3 and upper\[1\] = 2"),
}


@pytest.mark.parametrize("case", BAD_CONSTRAINTS)
def test_what_fit_moments_refuses_and_leaves_as_it_was(case):
    constraints, message = BAD_CONSTRAINTS[case]
    estimator = MaxEntDistribution().fit(X)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=message):
        estimator.fit_moments(**constraints)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is before[name] for name in before)


BAD_SECOND_COLUMN = {
    "off": ({"support": (0, 1)}, [0.2, 1.5], r"X\[:, 1\] holds 1.5 \(row 1\)"),
    "constant": ({}, [3, 3], r"X\[:, 1\] is constant"),
    "too large": ({"features": 3}, [1, 1e120], r"X\[:, 1\] is too large"),
    "infinite": (
        {"features": [np.log], "support": (0, 1)},
        [0.2, 0],
        r"E\[log\] is infinite at row 1",
    ),
    "variance": ({}, [0, -1], r"moments\[1, 1\]: E\[x\^2\] = -1 cannot hold"),
    "mean": ({"support": (0, INF)}, [-1, 2], r"moments\[1, 0\]: E\[x\] = -1 cannot hold"),
    "moments": ({"support": (0, 1)}, [0.5, 0.2], r"moments\[1, 1\]: E\[x\^2\] = 0.2 cannot hold"),
}


@pytest.mark.parametrize("case", BAD_SECOND_COLUMN)
def test_every_column_is_checked_before_the_first_is_solved(case, monkeypatch):
    params, second, message = BAD_SECOND_COLUMN[case]
    estimator = MaxEntDistribution(**params)
    solved = []
    monkeypatch.setattr("skem.maxent.distribution._fit.maximise_entropy", solved.append)
    given = "moments" in message
    fit = estimator.fit_moments if given else estimator.fit
    columns = [[0.5, 0.3], second]
    with pytest.raises(ValueError, match=message):
        fit(columns if given else np.transpose(columns))
    assert not solved


@pytest.mark.parametrize("method", ["score_samples", "score", "expectation", "sample"])
def test_not_fitted(method):
    with pytest.raises(NotFittedError):
        getattr(MaxEntDistribution(), method)(1)


def test_a_refit_forgets_what_no_longer_holds():
    estimator = MaxEntDistribution(1, support=DIE).fit_moments([4.5])
    estimator.set_params(support=(0, INF)).fit_moments([4.5])
    assert not hasattr(estimator, "points_")
    assert not hasattr(estimator, "probabilities_")


def test_too_few_iterations_are_a_warning():
    estimator = MaxEntDistribution(2, support=(0, 1), max_iter=1)
    with pytest.warns(ConvergenceWarning, match="max_iter=1 .* Increase max_iter"):
        estimator.fit_moments([0.2, 0.06])
    assert not estimator.converged_
    assert estimator.optimality_gap_ > 1e-10
    better = clone(estimator).set_params(max_iter=50).fit_moments([0.2, 0.06])
    assert better.converged_
