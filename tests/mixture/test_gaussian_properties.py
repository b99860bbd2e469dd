"""What is true of every fit of a Gaussian mixture, whatever the data."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from skem import GaussianMixtureEM

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TYPES = ("full", "tied", "diag", "spherical", "tied_diag", "tied_spherical")


# Where two fits are compared step by step, EM is plain: an extrapolation amplifies last digits.


class Problem(NamedTuple):
    """Rows from a mixture, what may come with them, and responsibilities to start from."""

    X: np.ndarray
    start: np.ndarray
    weight: np.ndarray | None
    labels: np.ndarray | None
    settings: dict

    def fit(self, **changes):
        mixture = GaussianMixtureEM(**{**self.settings, "init_params": self.start, **changes})
        return mixture.fit(self.X, sample_weight=self.weight, labels=self.labels)


def make_problem(
    draw_rows,
    *,
    seed,
    covariance_type,
    k=2,
    d=2,
    n=60,
    separation=3.0,
    weighted=False,
    missing=0.0,
    labelled=0.0,
    prior=False,
    dtype=np.float64,
    certainty=0.6,
    **fit_settings,
):
    rng = np.random.default_rng(seed)
    X, y = draw_rows(rng, n, k, d, separation)
    X[rng.uniform(size=X.shape) < missing] = np.nan
    X[:2] = np.nan_to_num(X[:2])  # no column is empty
    start = np.eye(k)[y] * certainty + (1 - certainty) * rng.dirichlet(np.ones(k), n)
    weight = rng.uniform(0, 3, n) if weighted else None
    labels = np.where(rng.uniform(size=n) < labelled, y, -1) if labelled else None
    priors = {}
    if prior:
        kind = covariance_type.removeprefix("tied").removeprefix("_") or "full"
        priors = {
            "weight_concentration_prior": 2.5,
            "mean_precision_prior": 0.7,
            "mean_prior": rng.standard_normal(d),
            "covariance_prior": {"full": np.eye(d) * 0.5, "diag": np.full(d, 0.5)}.get(kind, 0.5),
            "degrees_of_freedom_prior": d + 1.5,
        }
    options = {
        "n_components": k,
        "covariance_type": covariance_type,
        "random_state": 0,
        "n_jobs": 1,
        **priors,
        **fit_settings,
    }
    return Problem(X.astype(dtype), start, weight, labels, options)


shapes = {
    "seed": st.integers(0, 2**20),
    "covariance_type": st.sampled_from(TYPES),
    "k": st.integers(1, 4),
    "d": st.integers(1, 4),
}


@settings(max_examples=40)
@example(  # a component without rows, whose steps have no bounds
    seed=2,
    covariance_type="full",
    k=4,
    d=1,
    separation=0.5,
    weighted=True,
    missing=0.3,
    labelled=0.3,
    prior=False,
    reg_covar=1e-6,
    acceleration="auto",
    dtype=np.float64,
)
@given(
    **shapes,
    separation=st.sampled_from([0.5, 2.0, 6.0]),
    weighted=st.booleans(),
    missing=st.sampled_from([0.0, 0.0, 0.3]),
    labelled=st.sampled_from([0.0, 0.3]),
    prior=st.booleans(),
    reg_covar=st.sampled_from([1e-6, 1e-2, 1.0]),
    acceleration=st.sampled_from(["auto", None]),
    dtype=st.sampled_from([np.float64, np.float32]),
)
def test_the_bound_never_falls(gaussian, dtype, **problem):
    problem = make_problem(gaussian.draw, dtype=dtype, tol=0.0, max_iter=60, **problem)
    mixture = problem.fit()
    assert (np.diff(mixture.lower_bounds_) >= 0).all()
    assert mixture.lower_bound_ == mixture.lower_bounds_[-1]
    assert len(mixture.lower_bounds_) == mixture.n_iter_
    assert mixture.optimality_gap_ >= 0


@settings(max_examples=40)
@given(
    **shapes,
    weighted=st.booleans(),
    missing=st.sampled_from([0.0, 0.3]),
    labelled=st.sampled_from([0.0, 0.3]),
    prior=st.booleans(),
    reg_covar=st.sampled_from([0.0, 1e-3, 0.5]),
)
def test_the_bound_is_the_objective_by_the_book(gaussian, **problem):
    """Map m + 1 reports the objective at the parameters that map m ended with."""
    problem = make_problem(gaussian.draw, n=120, acceleration=None, tol=0.0, **problem)
    last = problem.fit(max_iter=4)
    total = len(problem.X) if problem.weight is None else problem.weight.sum()
    objectives = [
        gaussian.objective(problem.fit(max_iter=m), problem.X, problem.weight, problem.labels)
        for m in (1, 2, 3)
    ]
    # The log prior is known up to a constant, so gains are compared.
    gains = np.diff(objectives) / total
    observed = np.diff(last.lower_bounds_)[1:]  # shorter where EM stood still
    np.testing.assert_allclose(observed, gains[: len(observed)], atol=1e-9)
    np.testing.assert_allclose(gains[len(observed) :], 0, atol=1e-12)
    assert (gains >= -1e-12).all()
    if problem.settings.get("covariance_prior") is None and len(last.lower_bounds_) > 1:
        assert last.lower_bounds_[1] == pytest.approx(objectives[0] / total, abs=1e-9)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**20),
    covariance_type=st.sampled_from(TYPES),
    k=st.integers(1, 3),
    d=st.integers(1, 3),
    weighted=st.booleans(),
    missing=st.sampled_from([0.0, 0.3]),
    labelled=st.sampled_from([0.0, 0.3]),
    prior=st.booleans(),
    reg_covar=st.sampled_from([0.0, 0.1]),
)
def test_the_gradient_is_zero_where_em_ends(gaussian, **problem):
    problem = make_problem(
        gaussian.draw, tol=1e-14, max_iter=20_000, separation=6.0, n=80, **problem
    )
    try:
        mixture = problem.fit()
    except ValueError:  # without reg_covar the likelihood may be unbounded
        assume(problem.settings["reg_covar"] == 0)
        with pytest.raises(ValueError, match="not positive definite"):
            problem.fit()
        return
    assert mixture.converged_
    gradient = gaussian.gradient(mixture, problem.X, problem.weight, problem.labels)
    assert np.abs(gradient).max() / len(problem.X) < 2e-5


@settings(max_examples=20)
@given(**shapes, weighted=st.booleans(), missing=st.sampled_from([0.0, 0.3]))
def test_the_order_of_rows_does_not_matter(gaussian, **problem):
    problem = make_problem(gaussian.draw, acceleration=None, max_iter=30, **problem)
    order = np.random.default_rng(problem.settings["n_components"]).permutation(len(problem.X))
    weight = None if problem.weight is None else problem.weight[order]
    permuted = problem._replace(X=problem.X[order], start=problem.start[order], weight=weight)
    a, b = problem.fit(), permuted.fit()
    assert a.lower_bound_ == pytest.approx(b.lower_bound_, abs=1e-10)
    np.testing.assert_allclose(a.means_, b.means_, atol=1e-7)
    np.testing.assert_allclose(
        a.predict_proba(problem.X)[order], b.predict_proba(permuted.X), atol=1e-7
    )


@settings(max_examples=30)
@given(
    **shapes,
    missing=st.sampled_from([0.0, 0.3]),
    log_scale=st.lists(st.floats(-6, 6), min_size=4, max_size=4),
    shift=st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4),
    flip=st.booleans(),
)
@example(
    seed=0, covariance_type="full", k=3, d=4, missing=0.0, flip=True,
    log_scale=[6.0, -6.0, 6.0, -6.0], shift=[1e3, 1e3, -1e3, 0.0],
)  # fmt: skip
def test_columns_shifted_and_scaled(gaussian, log_scale, shift, flip, d, covariance_type, **rest):
    """x -> a x + b changes densities by -log|a| a column, and posteriors not at all."""
    problem = make_problem(
        gaussian.draw,
        acceleration=None,
        d=d,
        covariance_type=covariance_type,
        reg_covar=0.0,
        n=150,
        certainty=0.9,
        max_iter=20,
        **rest,
    )
    scale = 10 ** np.array(log_scale[:d])
    if "spherical" in covariance_type:
        scale[:] = scale[0]  # one variance for all columns knows one unit only
    scale[0] *= -1 if flip else 1
    moved = problem._replace(X=(problem.X + np.array(shift[:d])) * scale)
    a, b = problem.fit(), moved.fit()
    np.testing.assert_allclose(
        (a.means_ + np.array(shift[:d])) * scale, b.means_, rtol=1e-6, atol=1e-6 * abs(scale).max()
    )
    np.testing.assert_allclose(a.predict_proba(problem.X), b.predict_proba(moved.X), atol=1e-5)
    log_units = ~np.isnan(problem.X) @ np.log(np.abs(scale))
    np.testing.assert_allclose(
        a.score_samples(problem.X), b.score_samples(moved.X) + log_units, rtol=1e-6, atol=1e-5
    )


@settings(max_examples=25)
@given(**shapes, missing=st.sampled_from([0.0, 0.3]), prior=st.booleans(), labelled=st.just(0.3))
def test_a_weight_is_a_row_so_many_times(gaussian, seed, **problem):
    problem = make_problem(
        gaussian.draw, acceleration=None, seed=seed, max_iter=25, tol=0.0, **problem
    )
    times = np.random.default_rng(seed).integers(0, 4, len(problem.X))
    times[:2] = 1
    weighted = problem._replace(weight=times.astype(float))
    repeated = problem._replace(
        X=problem.X.repeat(times, axis=0),
        start=problem.start.repeat(times, axis=0),
        labels=problem.labels.repeat(times),
    )
    a, b = weighted.fit(), repeated.fit()
    n = min(len(a.lower_bounds_), len(b.lower_bounds_))
    np.testing.assert_allclose(a.lower_bounds_[:n], b.lower_bounds_[:n], atol=1e-9)
    np.testing.assert_allclose(a.means_, b.means_, atol=1e-6)
    np.testing.assert_allclose(a.covariances_, b.covariances_, atol=1e-6)
    for criterion in ("bic", "aic", "icl"):
        value = getattr(a, criterion)(problem.X, sample_weight=times.astype(float))
        assert value == pytest.approx(getattr(b, criterion)(repeated.X), rel=1e-6)
    assert a.score(problem.X, sample_weight=times) == pytest.approx(b.score(repeated.X), rel=1e-6)


@settings(max_examples=15)
@given(**shapes, missing=st.sampled_from([0.0, 0.3]))
def test_a_row_of_weight_zero_is_left_out(gaussian, **problem):
    problem = make_problem(gaussian.draw, acceleration=None, max_iter=25, **problem)
    far = np.full((3, problem.X.shape[1]), 1e8)
    weighted = problem._replace(
        X=np.vstack([far, problem.X]),
        start=np.vstack([problem.start[:3], problem.start]),
        weight=np.r_[np.zeros(3), np.ones(len(problem.X))],
    )
    a, b = weighted.fit(), problem.fit()
    np.testing.assert_allclose(a.means_, b.means_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.lower_bounds_, b.lower_bounds_, atol=1e-12)


@settings(max_examples=15)
@given(
    **shapes,
    factor=st.sampled_from([1e-200, 1e-30, 1e-11, 1e-3, 7.0, 1e4, 1e30, 1e200]),
    missing=st.sampled_from([0.0, 0.3]),
)
def test_weights_in_another_unit_change_nothing(gaussian, factor, **problem):
    problem = make_problem(gaussian.draw, acceleration=None, weighted=True, max_iter=25, **problem)
    a, b = problem.fit(), problem._replace(weight=problem.weight * factor).fit()
    np.testing.assert_allclose(a.lower_bounds_, b.lower_bounds_, atol=1e-10)
    np.testing.assert_allclose(a.means_, b.means_, atol=1e-8)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**20),
    covariance_type=st.sampled_from(TYPES),
    k=st.integers(2, 3),
    d=st.integers(1, 3),
    weighted=st.booleans(),
    missing=st.sampled_from([0.0, 0.3]),
    prior=st.booleans(),
    acceleration=st.sampled_from(["quasi-newton", "squarem"]),
)
def test_accelerated_and_plain_em_end_at_the_same_maximum(gaussian, acceleration, **problem):
    problem = make_problem(
        gaussian.draw,
        separation=12.0,
        certainty=0.95,
        n=100,
        reg_covar=0.05,
        tol=1e-11,
        max_iter=20_000,
        **problem,
    )
    plain, fast = problem.fit(acceleration=None), problem.fit(acceleration=acceleration)
    # Where two components have the same place, plain EM is slower than any geometric rate.
    assume(plain.n_iter_ < 20_000)
    assert plain.converged_
    assert fast.converged_
    apart = [np.mean(m.predict_proba(problem.X).max(1)) > 0.99 for m in (plain, fast)]
    assume(all(apart) and plain.weights_.min() > 0.1)  # else there are several maxima nearby
    assert fast.lower_bound_ == pytest.approx(plain.lower_bound_, abs=1e-9)
    np.testing.assert_allclose(fast.means_, plain.means_, atol=1e-3)
    assert fast.n_iter_ <= plain.n_iter_ + 10  # the certificate costs some


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_the_number_of_threads_does_not_matter(gaussian, covariance_type, missing, many_blocks):
    problem = make_problem(
        gaussian.draw, seed=0, covariance_type=covariance_type, k=3, d=3, n=30_000,
        missing=missing, weighted=True, max_iter=3,
    )  # fmt: skip
    one, two = problem.fit(n_jobs=1), problem.fit(n_jobs=2)
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.lower_bounds_ == two.lower_bounds_
    np.testing.assert_array_equal(one.score_samples(problem.X), two.score_samples(problem.X))


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_float32_keeps_variances_positive_far_from_the_origin(gaussian, covariance_type, offset):
    problem = make_problem(
        gaussian.draw, seed=1, covariance_type=covariance_type, k=3, d=3, n=300, separation=6.0
    )
    single = problem._replace(X=(problem.X + offset).astype(np.float32))
    a, b = problem.fit(acceleration=None), single.fit(acceleration=None)
    assert b.covariances_.dtype == np.float32
    dense = gaussian.dense(b.covariances_, covariance_type, 3, 3)
    assert (np.linalg.eigvalsh(dense) > 0).all()
    np.testing.assert_allclose(b.means_ - offset, a.means_, atol=1e-2)
    np.testing.assert_allclose(b.covariances_, a.covariances_, atol=2e-2)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_starts_survive_columns_in_wildly_different_units(gaussian, covariance_type):
    rng = np.random.default_rng(3)
    X, y = gaussian.draw(rng, 150, 3, 2, separation=14.0)
    settings_ = {"n_components": 3, "covariance_type": covariance_type, "random_state": 0}
    for scale in (np.array([1.0, 1e4]), np.array([1e-4, 1.0])):
        a = GaussianMixtureEM(reg_covar=0.0, **settings_).fit_predict(X)
        b = GaussianMixtureEM(reg_covar=0.0, **settings_).fit_predict(X * scale)
        assert len(np.unique(a)) == len(np.unique(b)) == 3
        if "spherical" not in covariance_type:  # which knows one unit only
            assert adjusted_rand_score(a, b) == 1.0
            assert adjusted_rand_score(a, y) > 0.9
