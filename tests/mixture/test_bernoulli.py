"""Mixtures of Bernoulli variables against EM written down a second time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.datasets import load_digits

from skem import BernoulliMixtureEM
from skem.em import RowBlocks
from skem.mixture.bernoulli._model import BernoulliModel, BernoulliParams

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def draw(seed, n=80, d=4, k=2, missing=0.0):
    """Zeros and ones of a mixture with clear classes, with holes."""
    rng = np.random.default_rng(seed)
    p = np.where(rng.uniform(size=(k, d)) < 0.5, 0.85, 0.15)
    y = rng.integers(k, size=n)
    X = (rng.uniform(size=(n, d)) < p[y]).astype(float)
    X[rng.uniform(size=X.shape) < missing] = np.nan
    X[:2] = np.nan_to_num(X[:2])
    return X, y


def log_joint(X, weights, p):
    known, ones = ~np.isnan(X), np.nan_to_num(X)
    return np.log(weights) + ones @ np.log(p).T + (known - ones) @ np.log1p(-p).T


def numpy_em(X, weights, p, n_steps, *, beta=(1, 1), concentration=1, sample_weight=None):
    """Textbook EM; returns parameters, and the objective before each step."""
    w = np.ones(len(X)) if sample_weight is None else sample_weight
    known, ones = ~np.isnan(X), np.nan_to_num(X)
    a, b = beta
    bounds = []
    for _ in range(n_steps):
        joint = log_joint(X, weights, p)
        log_density = logsumexp(joint, axis=1)
        prior = ((a - 1) * np.log(p) + (b - 1) * np.log1p(-p)).sum()
        prior += (concentration - 1) * np.log(weights).sum()
        bounds.append((w @ log_density + prior) / w.sum())
        r = np.exp(joint - log_density[:, None]) * w[:, None]
        weights = r.sum(axis=0) + concentration - 1
        weights = weights / weights.sum()
        p = (r.T @ ones + a - 1) / (r.T @ known + a + b - 2)
    return weights, p, bounds


def start(seed, k, d):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(k, 5.0)), rng.uniform(0.2, 0.8, (k, d))


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**20),
    k=st.integers(1, 4),
    d=st.integers(1, 5),
    missing=st.sampled_from([0.0, 0.3]),
    prior=st.booleans(),
    weighted=st.booleans(),
)
def test_every_step_is_the_textbooks(seed, k, d, missing, prior, weighted):
    X, _ = draw(seed, d=d, k=k, missing=missing)
    weights, p = start(seed, k, d)
    w = np.random.default_rng(seed).uniform(0, 3, len(X)) if weighted else None
    priors = {"beta": (2.0, 3.5), "concentration": 1.7} if prior else {}
    expected = numpy_em(X, weights, p, 6, sample_weight=w, **priors)
    mixture = BernoulliMixtureEM(
        k, weights_init=weights, probabilities_init=p, max_iter=6, tol=0.0, acceleration=None,
        beta_prior=priors.get("beta", (1.0, 1.0)),
        weight_concentration_prior=priors.get("concentration", 1.0),
    ).fit(X, sample_weight=w)  # fmt: skip
    bounds = mixture.lower_bounds_
    np.testing.assert_allclose(bounds, expected[2][: len(bounds)], rtol=1e-9)
    np.testing.assert_allclose(mixture.weights_, expected[0], atol=1e-8)
    np.testing.assert_allclose(mixture.probabilities_, expected[1], atol=1e-8)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**20),
    k=st.integers(1, 4),
    missing=st.sampled_from([0.0, 0.3]),
    prior=st.sampled_from([(1.0, 1.0), (2.0, 2.0)]),
    acceleration=st.sampled_from(["auto", None]),
    dtype=st.sampled_from([np.float64, np.float32]),
)
def test_the_bound_never_falls(seed, k, missing, prior, acceleration, dtype):
    X, _ = draw(seed, k=k, missing=missing)
    mixture = BernoulliMixtureEM(
        k, beta_prior=prior, acceleration=acceleration, tol=0.0, max_iter=60, random_state=0
    ).fit(X.astype(dtype))
    assert (np.diff(mixture.lower_bounds_) >= 0).all()
    assert mixture.probabilities_.dtype == dtype


@settings(max_examples=15)
@given(seed=st.integers(0, 2**20), missing=st.sampled_from([0.0, 0.3]))
def test_a_weight_is_a_row_so_many_times(seed, missing):
    X, _ = draw(seed, missing=missing)
    times = np.random.default_rng(seed).integers(0, 4, len(X))
    times[:2] = 1
    weights, p = start(seed, 2, 4)
    mixture = BernoulliMixtureEM(
        weights_init=weights, probabilities_init=p, max_iter=30, acceleration=None
    )
    a = mixture.fit(X, sample_weight=times)
    bounds, probabilities, bic = a.lower_bounds_, a.probabilities_, a.bic(X, sample_weight=times)
    repeated = X.repeat(times, axis=0)
    b = mixture.fit(repeated)
    np.testing.assert_allclose(bounds, b.lower_bounds_, atol=1e-10)
    np.testing.assert_allclose(probabilities, b.probabilities_, atol=1e-8)
    assert bic == pytest.approx(b.bic(repeated), rel=1e-8)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**20))
def test_neither_order_of_rows_nor_of_columns_matters(seed):
    X, _ = draw(seed, missing=0.2)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(X)), rng.permutation(4)
    weights, p = start(seed, 2, 4)
    a = BernoulliMixtureEM(
        weights_init=weights, probabilities_init=p, max_iter=20, acceleration=None
    ).fit(X)
    b = BernoulliMixtureEM(
        weights_init=weights, probabilities_init=p[:, columns], max_iter=20, acceleration=None
    ).fit(X[rows][:, columns])
    np.testing.assert_allclose(a.probabilities_[:, columns], b.probabilities_, atol=1e-8)
    assert a.lower_bound_ == pytest.approx(b.lower_bound_, abs=1e-10)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**20))
def test_ones_and_zeros_may_change_places(seed):
    X, _ = draw(seed, missing=0.2)
    weights, p = start(seed, 2, 4)
    a = BernoulliMixtureEM(
        weights_init=weights, probabilities_init=p, max_iter=20, acceleration=None
    ).fit(X)
    b = BernoulliMixtureEM(
        weights_init=weights, probabilities_init=1 - p, max_iter=20, acceleration=None
    ).fit(1 - X)
    np.testing.assert_allclose(a.probabilities_, 1 - b.probabilities_, atol=1e-8)


def test_densities_are_marginal_over_missing_entries():
    X, _ = draw(0, missing=0.3)
    X[5] = np.nan
    mixture = BernoulliMixtureEM(2, random_state=0, beta_prior=(2, 2)).fit(X)
    joint = log_joint(X, mixture.weights_, mixture.probabilities_)
    np.testing.assert_allclose(mixture.score_samples(X), logsumexp(joint, axis=1), atol=1e-10)
    np.testing.assert_allclose(
        mixture.predict_proba(X), np.exp(joint - logsumexp(joint, axis=1)[:, None]), atol=1e-10
    )
    assert mixture.score_samples(X)[5] == pytest.approx(0, abs=1e-12)


def test_one_component_is_the_mean_of_each_column():
    X, _ = draw(1, missing=0.3)
    mixture = BernoulliMixtureEM(1).fit(X)
    np.testing.assert_allclose(mixture.probabilities_[0], np.nanmean(X, axis=0), rtol=1e-9)
    mixture = BernoulliMixtureEM(1, beta_prior=(3.0, 2.0)).fit(X)
    expected = (np.nansum(X, axis=0) + 2) / ((~np.isnan(X)).sum(axis=0) + 3)
    np.testing.assert_allclose(mixture.probabilities_[0], expected, rtol=1e-9)


def test_the_gradient_is_zero_where_em_ends():
    X, _ = draw(2, n=200, missing=0.2)
    mixture = BernoulliMixtureEM(
        2, tol=1e-13, max_iter=20_000, beta_prior=(1.5, 2.0), random_state=0
    ).fit(X)
    assert mixture.converged_

    def objective(p):
        prior = (0.5 * np.log(p) + np.log1p(-p)).sum()
        return logsumexp(log_joint(X, mixture.weights_, p), axis=1).sum() + prior

    for index in np.ndindex(2, 4):
        step = np.zeros((2, 4))
        step[index] = 1e-6
        p = mixture.probabilities_
        assert abs(objective(p + step) - objective(p - step)) / 2e-6 / len(X) < 1e-5


def test_accelerated_and_plain_em_end_at_the_same_maximum():
    for seed in range(5):
        X, _ = draw(seed, n=300, d=6)
        weights, p = start(seed, 2, 6)
        a, b = (
            BernoulliMixtureEM(
                weights_init=weights, probabilities_init=p, tol=1e-12, max_iter=50_000,
                acceleration=acceleration,
            ).fit(X)
            for acceleration in ("auto", None)
        )  # fmt: skip
        assert a.converged_
        assert a.lower_bound_ == pytest.approx(b.lower_bound_, abs=1e-9)
        assert a.n_iter_ <= b.n_iter_ + 6


def test_classes_are_found():
    X, y = draw(4, n=600, d=12, k=3)
    mixture = BernoulliMixtureEM(3, random_state=0, n_init=10).fit(X)
    table = np.zeros((3, 3))
    np.add.at(table, (y, mixture.predict(X)), 1)
    assert table.max(axis=1).sum() / len(y) > 0.95


def test_values_above_binarize_are_ones():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 3))
    X[::7, 1] = np.nan
    binary = np.where(np.isnan(X), np.nan, X > 0.3)
    a = BernoulliMixtureEM(2, binarize=0.3, random_state=0).fit(X)
    b = BernoulliMixtureEM(2, binarize=None, random_state=0).fit(binary)
    np.testing.assert_allclose(a.probabilities_, b.probabilities_)
    np.testing.assert_allclose(a.score_samples(X), b.score_samples(binary))


def test_the_number_of_threads_does_not_matter():
    X, _ = draw(5, n=50_000, missing=0.1)
    one, two = (
        BernoulliMixtureEM(2, n_jobs=n_jobs, max_iter=4, random_state=0).fit(X) for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one.probabilities_, two.probabilities_)
    assert one.lower_bounds_ == two.lower_bounds_


@pytest.mark.parametrize("fitted_before", [False, True])
def test_partial_fit_comes_near_the_fit_of_all_rows(fitted_before):
    X, _ = draw(5, n=6000, d=8, missing=0.1)
    whole = BernoulliMixtureEM(2, random_state=0).fit(X)
    online = BernoulliMixtureEM(2, random_state=0)
    if fitted_before:
        online.fit(X[:100])
    for part in np.array_split(X, 40):
        online.partial_fit(part)
    assert whole.score(X) - online.score(X) < 0.01


def test_samples_have_the_probabilities_of_the_mixture():
    X, _ = draw(7, n=200)
    mixture = BernoulliMixtureEM(2, random_state=0, beta_prior=(2, 2)).fit(X)
    rows, y = mixture.sample(50_000)
    assert set(np.unique(rows)) == {0, 1}
    np.testing.assert_allclose(np.bincount(y) / len(y), mixture.weights_, atol=0.01)
    for k in range(2):
        np.testing.assert_allclose(rows[y == k].mean(axis=0), mixture.probabilities_[k], atol=0.02)


def test_a_stronger_prior_shrinks_more():
    X, _ = draw(8, n=200)
    spreads = [
        np.ptp(BernoulliMixtureEM(2, beta_prior=(a, a), random_state=0).fit(X).probabilities_)
        for a in (1.0, 10.0, 100.0)
    ]
    assert spreads[0] > spreads[1] > spreads[2]


def test_bic_counts_weights_and_probabilities():
    X, _ = draw(9)
    mixture = BernoulliMixtureEM(3, random_state=0).fit(X)
    log_likelihood = mixture.score_samples(X).sum()
    assert mixture.bic(X) == pytest.approx(-2 * log_likelihood + (2 + 3 * 4) * np.log(80))
    assert mixture.aic(X) == pytest.approx(-2 * log_likelihood + 2 * (2 + 3 * 4))


# ---------------------------------------------------------------------- batches after a fit
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_a_batch_after_a_map_fit_counts_the_priors_once(missing):
    """One component: the share of ones among all known values of both and the pseudo-counts."""
    X, _ = draw(3, missing=missing)
    mixture = BernoulliMixtureEM(1, beta_prior=(5.0, 3.0), tol=1e-12).fit(X)
    before = mixture.probabilities_[0]
    np.testing.assert_allclose(
        before, (np.nansum(X, axis=0) + 4) / ((~np.isnan(X)).sum(axis=0) + 6), rtol=1e-9
    )
    mixture.partial_fit(X)
    if not missing:
        twice = (2 * X.sum(axis=0) + 4) / (2 * len(X) + 6)
        np.testing.assert_allclose(mixture.probabilities_[0], twice, rtol=1e-9)
    np.testing.assert_allclose(mixture.probabilities_[0], np.nanmean(X, axis=0), atol=0.06)


@pytest.mark.parametrize("weight", [1.0, 1e-4, 1e-12])
def test_batches_of_little_weight_leave_a_map_estimate_where_it_is(weight):
    X, _ = draw(4)
    mixture = BernoulliMixtureEM(
        2, beta_prior=(9.0, 4.0), weight_concentration_prior=15.0, tol=1e-14, random_state=0
    ).fit(X)
    weights, probabilities = mixture.weights_, mixture.probabilities_
    for _ in range(3):
        mixture.partial_fit(X, sample_weight=np.full(len(X), weight / len(X)))
    tolerance = 0.05 * weight + 1e-6
    np.testing.assert_allclose(mixture.weights_, weights, rtol=tolerance)
    np.testing.assert_allclose(mixture.probabilities_, probabilities, rtol=tolerance)


def test_batches_may_begin_from_parameters_that_no_rows_give():
    """Probabilities near 0 and 1, which this Beta prior does not let any rows have."""
    X, _ = draw(5)
    mixture = BernoulliMixtureEM(2, random_state=0).fit(X)
    mixture.set_params(beta_prior=(1e4, 1e4), weight_concentration_prior=1e4).partial_fit(X)
    np.testing.assert_allclose(mixture.weights_, 0.5, atol=0.05)
    np.testing.assert_allclose(mixture.probabilities_, 0.5, atol=0.05)


# ------------------------------------------------------------------------------- acceleration
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_geometry_is_the_gradient_of_the_bound_and_the_em_step(shared, missing):
    X, _ = draw(3, k=3, missing=missing)
    model = BernoulliModel(4, masked=missing > 0, shared=shared, beta=(2.0, 1.5), concentration=1.3)
    params = BernoulliParams(*start(4, 3, 1 if shared else 4))
    with RowBlocks(X) as rows:

        def statistics_at(params):
            return rows.reduce(lambda block: model.expected_statistics(params, block))

        def bound(vector):
            at = model.from_vector(vector, params)
            return model.bound(statistics_at(at), at)

        for _ in range(30):  # the EM step is the natural gradient to first order in its length
            params = model.maximize(statistics_at(params), params)
        image = model.maximize(statistics_at(params), params)
        gradient, solve = model.geometry(statistics_at(params), params, image)
        vector = model.to_vector(params)
        shifts = 1e-5 * np.eye(len(vector))
        slopes = [(bound(vector + e) - bound(vector - e)) / 2e-5 for e in shifts]
    np.testing.assert_allclose(gradient, slopes, atol=1e-8)
    step = model.to_vector(image) - vector
    np.testing.assert_allclose(solve(gradient), step, atol=0.05 * np.abs(step).max())


def test_acceleration_does_not_run_away_where_probabilities_go_to_zero():
    X = (load_digits().data > 7).astype(float)
    maps = {None: 0, "auto": 0}
    for seed in range(5):
        given = {
            "weights_init": np.full(10, 0.1),
            "probabilities_init": np.random.default_rng(seed).uniform(0.25, 0.75, size=(10, 64)),
        }
        for acceleration in maps:
            mixture = BernoulliMixtureEM(10, tol=1e-6, acceleration=acceleration, **given).fit(X)
            assert (mixture.probabilities_ < 1e-6).mean() > 0.01
            maps[acceleration] += mixture.n_iter_
    assert maps["auto"] < maps[None]


@pytest.mark.parametrize("d", [4, 8, 11])
@pytest.mark.parametrize("init_params", ["k-means++", "random"])
def test_zeros_and_ones_of_any_type_give_the_same_fit(init_params, d):
    rng = np.random.default_rng(0)
    X = rng.random((200, d)) < np.where(rng.random(200) < 0.4, 0.2, 0.7)[:, None]
    settings = {"init_params": init_params, "random_state": 0, "tol": 1e-8}
    expected = BernoulliMixtureEM(3, **settings).fit(X.astype(np.float64))
    for dtype in (np.bool_, np.int8, np.uint8, np.int64, np.uint16):
        mixture = BernoulliMixtureEM(3, **settings).fit(X.astype(dtype))
        assert mixture.probabilities_.dtype == np.float64
        np.testing.assert_allclose(mixture.probabilities_, expected.probabilities_, rtol=1e-9)
        np.testing.assert_allclose(mixture.weights_, expected.weights_, rtol=1e-9)
        np.testing.assert_array_equal(mixture.predict(X.astype(dtype)), mixture.predict(X))


def test_integers_are_compared_with_the_threshold():
    X = np.random.default_rng(0).integers(-3, 4, (100, 3))
    settings = {"binarize": 1.5, "random_state": 0}
    expected = BernoulliMixtureEM(2, **settings).fit(X.astype(np.float64))
    mixture = BernoulliMixtureEM(2, **settings).fit(X.astype(np.int8))
    np.testing.assert_allclose(mixture.probabilities_, expected.probabilities_, rtol=1e-9)
    np.testing.assert_allclose(mixture.score_samples(X), expected.score_samples(X))
