"""Log-densities against 50 digits, and the E step's two ways to compute them."""

import mpmath
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from skem.em import RowBlocks
from skem.mixture import GaussianMixtureEM
from skem.mixture.gaussian._density import (
    log_component_densities,
    log_marginal_densities,
    refine_factors,
)
from skem.mixture.gaussian.model._covariances import COVARIANCE_TYPES, structure_of
from skem.mixture.gaussian.model._model import GaussianModel


def spd(rng, d, condition):
    """A random covariance, turned out of the axes, with that condition number."""
    q, _ = np.linalg.qr(rng.standard_normal((d, d)))
    covariance = (q * np.geomspace(1, 1 / condition, d)) @ q.T
    return (covariance + covariance.T) / 2


def mixture_of(covariances, means, weights):
    mixture = GaussianMixtureEM(len(weights))
    return mixture._set_parameters(np.asarray(weights), means, covariances, None)


def exact_log_density(x, weights, means, covariances):
    """log sum_k w_k N(x | mu_k, Sigma_k) with 50 digits."""
    with mpmath.workdps(50):
        total = mpmath.mpf(0)
        for weight, mean, covariance in zip(weights, means, covariances, strict=True):
            sigma = mpmath.matrix(covariance.tolist())
            difference = mpmath.matrix(x.tolist()) - mpmath.matrix(mean.tolist())
            quadratic = (difference.T * mpmath.lu_solve(sigma, difference))[0]
            normaliser = mpmath.sqrt((2 * mpmath.pi) ** len(x) * mpmath.det(sigma))
            total += mpmath.mpf(float(weight)) * mpmath.exp(-quadratic / 2) / normaliser
        return float(mpmath.log(total))


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4, 1e6, 1e8])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_scores_agree_with_fifty_digits(condition, offset):
    rng = np.random.default_rng(int(np.log10(condition)))
    d, weights = 5, np.array([0.3, 0.7])
    covariances = np.array([spd(rng, d, condition) for _ in weights])
    means = rng.standard_normal((2, d)) + offset
    mixture = mixture_of(covariances, means, weights)
    X = np.vstack(
        [rng.multivariate_normal(m, c, 6) for m, c in zip(means, covariances, strict=True)]
    )
    X[0] += 3.0  # far out in the direction of smallest variance too
    exact = [exact_log_density(x, weights, means, covariances) for x in X]
    np.testing.assert_allclose(mixture.score_samples(X), exact, rtol=1e-9)


@pytest.mark.parametrize("condition", [1e4, 1e8])
def test_a_fitted_mixture_agrees_with_fifty_digits(condition):
    """What `score_samples` says belongs to the `covariances_` that the estimator shows."""
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal(np.zeros(4), spd(rng, 4, condition), 300) + 10.0
    mixture = GaussianMixtureEM(2, reg_covar=0, random_state=0, max_iter=500).fit(X)
    exact = [
        exact_log_density(x, mixture.weights_, mixture.means_, mixture.covariances_) for x in X[:8]
    ]
    np.testing.assert_allclose(mixture.score_samples(X[:8]), exact, rtol=1e-9)


@pytest.mark.parametrize("condition", [1e2, 1e8])
def test_marginal_densities_agree_with_fifty_digits(condition):
    rng = np.random.default_rng(1)
    covariance = spd(rng, 4, condition)
    observed = np.array([True, False, True, True])
    x = rng.multivariate_normal(np.zeros(4), covariance)
    exact = exact_log_density(
        x[observed], [1.0], np.zeros((1, 3)), covariance[np.ix_(observed, observed)][None]
    )
    row = np.where(observed, x, np.nan)[None]
    result = log_marginal_densities(row, np.zeros((1, 4)), covariance[None])
    np.testing.assert_allclose(result[0, 0], exact, rtol=1e-9)


def test_refined_factors_whiten_to_rounding():
    rng = np.random.default_rng(0)
    covariance = spd(rng, 6, 1e8)
    factor = np.tril(np.linalg.inv(np.linalg.cholesky(covariance)))
    refined = refine_factors(covariance[None], factor[None])[0]

    def residual(w):
        wide = w.astype(np.longdouble)
        return np.abs(wide @ covariance.astype(np.longdouble) @ wide.T - np.eye(6)).max()

    assert residual(factor) > 1e-10  # the plain factor has lost eight digits
    assert residual(refined) < 1e-11
    assert (np.triu(refined, 1) == 0).all()


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_component_densities_against_scipy(covariance_type):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 3))
    mixture = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0).fit(X)
    result = log_component_densities(
        X, mixture.means_, mixture.precisions_cholesky_, covariance_type
    )
    for k, (mean, covariance) in enumerate(
        zip(mixture.means_, mixture._dense_covariances(), strict=True)
    ):
        np.testing.assert_allclose(result[:, k], multivariate_normal(mean, covariance).logpdf(X))


def working_model(covariance_type, X, **kwargs):
    d = X.shape[1]
    return GaussianModel(
        covariance_type, center=X.mean(0), scale=1 / X.std(0).mean() * np.ones(d), reg=np.zeros(d),
        dtype=X.dtype, **kwargs,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("extras", ["plain", "weights", "labels"])
def test_features_and_differences_give_the_same_m_step(covariance_type, extras, dtype):
    """The fast E step (quadratic features) and the careful one (differences from the means)."""
    rng = np.random.default_rng(0)
    n, d, k = 700, 4, 3
    X = (rng.standard_normal((n, d)) + 3 * rng.integers(0, k, n)[:, None]).astype(dtype)
    weight = rng.random(n) if extras == "weights" else None
    labels = rng.integers(-1, k, n) if extras == "labels" else None
    model = working_model(covariance_type, X)
    structure, tied = structure_of(covariance_type)
    start = np.array([spd(rng, d, 5.0) for _ in range(1 if tied else k)])
    if structure.name != "full":
        start = np.diagonal(start, axis1=1, axis2=2)
    if structure.name == "spherical":
        start = start.mean(axis=1)
    params = model.params(np.array([0.2, 0.3, 0.5]), rng.standard_normal((k, d)), start)
    careful = params._replace(theta=None)
    with RowBlocks(X, sample_weight=weight, labels=labels, row_values=500_000) as rows:
        fast_statistics = rows.reduce(lambda block: model.expected_statistics(params, block))
        statistics = rows.reduce(lambda block: model.expected_statistics(careful, block))
    tolerance = 1e-10 if dtype == np.float64 else 2e-4
    assert params.theta is not None
    np.testing.assert_allclose(
        fast_statistics.log_likelihood, statistics.log_likelihood, rtol=tolerance
    )
    fast, slow = model.maximize(fast_statistics, params), model.maximize(statistics, careful)
    for a, b in zip(fast[:3], slow[:3], strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_the_e_step_is_the_posterior_written_out():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 3))
    model = working_model("full", X)
    covariances = np.array([spd(rng, 3, 4.0), spd(rng, 3, 9.0)])
    params = model.params(np.array([0.4, 0.6]), rng.standard_normal((2, 3)), covariances)
    with RowBlocks(X) as rows:
        statistics = rows.reduce(lambda block: model.expected_statistics(params, block))
    Z = (X - model.center) * model.scale
    log_joint = np.column_stack(
        [
            np.log(w) + multivariate_normal(m, c).logpdf(Z) + np.log(model.scale).sum()
            for w, m, c in zip(*params[:3], strict=True)
        ]
    )
    r = np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))
    assert statistics.log_likelihood == pytest.approx(logsumexp(log_joint, axis=1).sum())
    np.testing.assert_allclose(statistics.counts, r.sum(0))
    np.testing.assert_allclose(statistics.sums, r.T @ Z, atol=1e-10)
    squares = model.structure.unpack(statistics.squares, 3)
    np.testing.assert_allclose(squares, np.einsum("nk,ni,nj->kij", r, Z, Z), atol=1e-9)


@pytest.mark.parametrize("spread", [1e-3, 1e-6, 1e-8])
def test_tight_clusters_far_apart_lose_no_digits(spread):
    """Clusters of width ``spread`` a unit apart: x^2 - mean^2 would lose every digit of 1e-16."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((400, 2))
    X = spread * noise
    X[200:] += 1.0
    mixture = GaussianMixtureEM(2, reg_covar=0, tol=1e-9, random_state=0).fit(X)
    own = np.array([np.cov((X - X[s]).T[:, part], bias=True) for s, part in
                    ((0, slice(0, 200)), (200, slice(200, 400)))])  # fmt: skip
    order = np.argsort(mixture.means_[:, 0])
    np.testing.assert_allclose(mixture.covariances_[order], own, rtol=1e-5, atol=1e-7 * spread**2)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_posteriors_of_far_rows_sum_to_one(covariance_type, dtype):
    """However far a row is: log p(x) may be known to no nat, or overflow."""
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [np.r_[rng.normal(0, 1, 100), rng.normal(8, 1, 100)], rng.normal(size=200), np.zeros(200)]
    ).astype(dtype)
    mixture = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0).fit(X)
    largest = 150 if dtype == np.float64 else 37
    far = 10.0 ** np.arange(0, largest, 3, dtype=np.float64)
    rows = np.vstack([np.outer(far, direction) for direction in (*np.eye(3), -np.eye(3)[0])])
    rows = np.vstack([rows, 1e3 * rows if dtype == np.float64 else rows]).astype(dtype)
    posteriors = mixture.predict_proba(rows)
    assert np.isfinite(posteriors).all()
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(posteriors.sum(1), 1, atol=4 * eps, rtol=0)
    assert (posteriors.max(1) <= 1).all()
    assert (mixture.predict(rows) == posteriors.argmax(1)).all()
    missing = rows.copy()
    missing[:, 1] = np.nan
    with np.errstate(over="ignore"):  # what is imputed may overflow, as the regression does
        assert not np.isnan(mixture.impute(missing)).any()


def test_a_row_whose_density_is_zero_goes_to_the_wider_component():
    mixture = mixture_of(np.array([np.eye(2), 9 * np.eye(2)]), np.zeros((2, 2)), [0.9, 0.1])
    far = np.array([[1e200, 0.0], [1e200, -1e300]])
    assert (mixture.score_samples(far) == -np.inf).all()
    np.testing.assert_array_equal(mixture.predict_proba(far), [[0, 1], [0, 1]])
    np.testing.assert_array_equal(mixture.predict(far), [1, 1])
    assert mixture.conditional({0: 1e200}).weights_.tolist() == [0, 1]
