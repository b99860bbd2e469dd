"""Missing values are integrated out: fit, densities, posteriors, imputation, conditionals."""

import numpy as np
import pytest
from scipy.special import logsumexp

from skem import GaussianMixtureEM

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def holes(gaussian):
    """Rows with a third of the entries missing, one row complete and one row all missing."""
    rng = np.random.default_rng(0)
    X, _ = gaussian.draw(rng, 120, 2, 3, separation=5.0)
    X[rng.uniform(size=X.shape) < 0.33] = np.nan
    X[0], X[1] = 1.0, np.nan
    return X


@pytest.fixture(scope="module")
def fitted(holes, covariance_type):
    return GaussianMixtureEM(
        2, covariance_type=covariance_type, reg_covar=0.0, tol=1e-13, max_iter=20_000,
        random_state=0,
    ).fit(holes)  # fmt: skip


def dense(gaussian, mixture):
    return gaussian.dense(mixture.covariances_, mixture.covariance_type, *mixture.means_.shape)


def test_densities_are_those_of_the_marginal_mixture(gaussian, fitted, holes):
    log_joint = gaussian.log_joint(holes, fitted.weights_, fitted.means_, dense(gaussian, fitted))
    log_density = logsumexp(log_joint, axis=1)
    np.testing.assert_allclose(fitted.score_samples(holes), log_density, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        fitted.predict_proba(holes), np.exp(log_joint - log_density[:, None]), atol=1e-10
    )
    np.testing.assert_array_equal(fitted.predict(holes), log_joint.argmax(axis=1))
    assert fitted.score(holes) == pytest.approx(log_density.mean(), rel=1e-10)


def test_a_row_without_any_value_has_density_one_and_the_prior_weights(fitted):
    empty = np.full((1, 3), np.nan)
    assert fitted.score_samples(empty) == pytest.approx([0.0], abs=1e-12)
    np.testing.assert_allclose(fitted.predict_proba(empty)[0], fitted.weights_, rtol=1e-9)


def test_the_fit_is_a_maximum_of_the_observed_data_likelihood(gaussian, fitted, holes):
    assert fitted.converged_
    gradient = gaussian.gradient(fitted, holes)
    assert np.abs(gradient).max() / len(holes) < 1e-5
    assert fitted.lower_bound_ == pytest.approx(fitted.score(holes), abs=1e-10)


def test_impute_gives_the_conditional_mean(gaussian, fitted, holes):
    filled = fitted.impute(holes)
    posterior = fitted.predict_proba(holes)
    covariances = dense(gaussian, fitted)
    for x, r, y in zip(holes, posterior, filled, strict=True):
        o, m = ~np.isnan(x), np.isnan(x)
        expected = np.zeros(m.sum())
        for k, mean in enumerate(fitted.means_):
            slope = covariances[k][np.ix_(m, o)] @ np.linalg.pinv(covariances[k][np.ix_(o, o)])
            expected += r[k] * (mean[m] + slope @ (x[o] - mean[o]))
        np.testing.assert_array_equal(y[o], x[o])
        np.testing.assert_allclose(y[m], expected, rtol=1e-8, atol=1e-10)


def test_impute_leaves_complete_rows_alone(fitted, holes):
    complete = holes[~np.isnan(holes).any(axis=1)]
    np.testing.assert_array_equal(fitted.impute(complete), complete)


def test_complete_rows_take_no_other_path(gaussian, covariance_type):
    """A fit with one missing entry is near the fit without it: the two E steps agree."""
    X, _ = gaussian.draw(np.random.default_rng(1), 2000, 2, 3, separation=6.0)
    start = {"init_params": np.eye(2)[(X[:, 0] > np.median(X[:, 0])).astype(int)]}
    mixture = GaussianMixtureEM(2, covariance_type=covariance_type, max_iter=30, **start)
    with_hole = X.copy()
    with_hole[7, 1] = np.nan
    a = mixture.fit(X)
    means, covariances = a.means_, a.covariances_
    b = mixture.fit(with_hole)
    np.testing.assert_allclose(b.means_, means, atol=0.01)
    np.testing.assert_allclose(b.covariances_, covariances, atol=0.05)


@pytest.mark.parametrize("kind", ["full", "diag", "tied", "tied_diag"])
def test_with_a_column_independent_and_absent_the_rest_is_as_if_it_were_not_there(gaussian, kind):
    """A row that lacks all but one column informs about that column alone."""
    rng = np.random.default_rng(2)
    X, _ = gaussian.draw(rng, 200, 2, 2, separation=8.0)
    start = np.eye(2)[(X[:, 0] > np.median(X[:, 0])).astype(int)]
    padded = np.column_stack([X, np.where(np.arange(200) < 100, rng.standard_normal(200), np.nan)])
    diagonal = "diag" in kind
    a = GaussianMixtureEM(2, covariance_type=kind, init_params=start, tol=1e-12, max_iter=5000)
    b = GaussianMixtureEM(2, covariance_type=kind, init_params=start, tol=1e-12, max_iter=5000)
    a.fit(X)
    b.fit(padded)
    if diagonal:
        marginal = np.column_stack([X, np.full(200, np.nan)])
        np.testing.assert_allclose(b.predict_proba(marginal), a.predict_proba(X), atol=0.05)
    np.testing.assert_allclose(b.means_[:, :2], a.means_, atol=0.1)


def test_float32_holes(gaussian, holes, covariance_type):
    single = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0)
    single.fit(holes.astype(np.float32))
    assert single.means_.dtype == np.float32
    assert single.impute(holes.astype(np.float32)).dtype == np.float32
    assert (np.linalg.eigvalsh(dense(gaussian, single)) > 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("extras", ["plain", "weights", "labels"])
def test_an_em_step_is_that_of_the_book(gaussian, quietly, holes, covariance_type, extras, dtype):
    """Expected moments of each row, written out; many rows have the same pattern or none has."""
    rng = np.random.default_rng(0)
    X = np.vstack([holes, rng.standard_normal((40, 3)) + 2]).astype(dtype)
    n, k, d = len(X), 2, 3
    weight = rng.random(n) if extras == "weights" else np.ones(n)
    labels = rng.integers(-1, k, n) if extras == "labels" else np.full(n, -1)
    means = np.array([[0.0, 0.5, -0.5], [3.0, 0.0, 1.0]])
    roots = rng.standard_normal((k, d, d)) / 3 + np.eye(d)
    one = {"full": roots @ roots.swapaxes(1, 2), "diag": rng.uniform(0.5, 2, (k, d)),
           "spherical": rng.uniform(0.5, 2, k)}  # fmt: skip
    tied = covariance_type.startswith("tied")
    kind = "full" if covariance_type == "tied" else covariance_type.removeprefix("tied_")
    covariances = one[kind][0] if tied else one[kind]
    precisions = np.linalg.inv(covariances) if kind == "full" else 1 / covariances
    mixture = GaussianMixtureEM(
        k, covariance_type=covariance_type, reg_covar=0, max_iter=1, tol=0, acceleration=None,
        weights_init=[0.4, 0.6], means_init=means, precisions_init=precisions,
    )  # fmt: skip
    quietly(
        mixture, X, sample_weight=weight if extras == "weights" else None,
        labels=labels if extras == "labels" else None,
    )  # fmt: skip
    dense_start = gaussian.dense(covariances, covariance_type, k, d)
    log_joint = gaussian.log_joint(X, np.array([0.4, 0.6]), means, dense_start)
    r = np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))
    r[labels >= 0] = np.eye(k)[labels[labels >= 0]]
    r *= weight[:, None]
    new_means, scatters = np.zeros((k, d)), np.zeros((k, d, d))
    for j in range(k):
        filled, spread = X.astype(np.float64), np.zeros((d, d))
        for x, share in zip(filled, r[:, j], strict=True):
            o, m = ~np.isnan(x), np.isnan(x)
            slope = dense_start[j][np.ix_(m, o)] @ np.linalg.pinv(dense_start[j][np.ix_(o, o)])
            rest = dense_start[j][np.ix_(m, m)] - slope @ dense_start[j][np.ix_(o, m)]
            spread[np.ix_(m, m)] += share * rest
            x[m] = means[j][m] + slope @ (x[o] - means[j][o])
        new_means[j] = r[:, j] @ filled / r[:, j].sum()
        away = filled - new_means[j]
        scatters[j] = (r[:, j, None] * away).T @ away + spread
    counts = r.sum(axis=0)
    expected = (scatters.sum(0) / counts.sum())[None] if tied else scatters / counts[:, None, None]
    if kind != "full":
        expected = np.diagonal(expected, axis1=1, axis2=2)
    if kind == "spherical":
        expected = expected.mean(axis=1)
    rtol = 1e-9 if dtype == np.float64 else 2e-5
    np.testing.assert_allclose(mixture.weights_, counts / counts.sum(), rtol=rtol)
    np.testing.assert_allclose(mixture.means_, new_means, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(
        mixture.covariances_, expected[0] if tied else expected, rtol=10 * rtol, atol=rtol
    )


# ---------------------------------------------------------------------- conditional mixtures
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_conditional_mixture_has_the_dtype_of_the_whole(iris, covariance_type, dtype):
    X = iris.astype(dtype)
    settings = {"covariance_type": covariance_type, "random_state": 0, "reg_covar": 1e-3}
    mixture = GaussianMixtureEM(2, **settings).fit(X)
    conditional = mixture.conditional({0: 5.0, 3: 0.3})
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        assert getattr(conditional, name).dtype == dtype
    assert conditional.score_samples(X[:, [1, 2]]).dtype == dtype
    double = GaussianMixtureEM(2, **settings).fit(iris).conditional({0: 5.0, 3: 0.3})
    np.testing.assert_allclose(conditional.means_, double.means_, rtol=0.01)


def test_a_conditional_density_is_joint_over_marginal(gaussian, fitted):
    X, _ = gaussian.draw(np.random.default_rng(3), 5, 2, 3, separation=5.0)
    for given in ([1], [0, 2]):
        open_columns = np.setdiff1d(range(3), given)
        for x in X:
            conditional = fitted.conditional({j: x[j] for j in given})
            marginal = np.full(3, np.nan)
            marginal[given] = x[given]
            expected = fitted.score_samples(x[None]) - fitted.score_samples(marginal[None])
            actual = conditional.score_samples(x[None, open_columns])
            np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-10)
            np.testing.assert_allclose(
                conditional.weights_, fitted.predict_proba(marginal[None])[0], rtol=1e-9
            )
            np.testing.assert_allclose(
                conditional.weights_ @ conditional.means_,
                fitted.impute(marginal[None])[0, open_columns],
                rtol=1e-9,
            )


def test_a_conditional_mixture_is_what_samples_near_the_given_value_look_like(iris):
    mixture = GaussianMixtureEM(3, random_state=0).fit(iris)
    X, _ = mixture.sample(400_000)
    near = X[np.abs(X[:, 2] - 4.9) < 0.02][:, [0, 1, 3]]
    conditional = mixture.conditional([np.nan, np.nan, 4.9, np.nan])
    n = len(near)
    mean = conditional.weights_ @ conditional.means_
    deviation = near.std(axis=0)
    assert (np.abs(near.mean(axis=0) - mean) < 5 * deviation / np.sqrt(n) + 0.005).all()
    centred = conditional.means_ - mean
    covariance = np.einsum("k,kij->ij", conditional.weights_, conditional.covariances_)
    covariance += np.einsum("k,ki,kj->ij", conditional.weights_, centred, centred)
    np.testing.assert_allclose(np.cov(near.T), covariance, atol=0.02)


def test_a_conditional_mixture_is_a_fitted_estimator(iris):
    mixture = GaussianMixtureEM(2, covariance_type="diag", random_state=0).fit(iris)
    conditional = mixture.conditional({0: 5.0})
    assert conditional.n_features_in_ == 3
    assert conditional.covariance_type == "full"
    assert conditional.sample(4)[0].shape == (4, 3)
    assert conditional.predict(iris[:, 1:]).shape == (150,)
    assert conditional._repr_html_()
    again = conditional.conditional({0: 3.0, 2: 0.2})
    direct = mixture.conditional({0: 5.0, 1: 3.0, 3: 0.2})
    np.testing.assert_allclose(again.means_, direct.means_)
    np.testing.assert_allclose(again.weights_, direct.weights_)


def test_columns_are_given_by_name_too(iris):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(iris, columns=["a", "b", "c", "d"])
    mixture = GaussianMixtureEM(2, random_state=0).fit(frame)
    by_name = mixture.conditional({"b": 3.0, "d": 1.0})
    np.testing.assert_allclose(by_name.means_, mixture.conditional({1: 3.0, 3: 1.0}).means_)
    assert by_name.feature_names_in_.tolist() == ["a", "c"]
    assert by_name.predict(frame[["a", "c"]]).shape == (150,)
