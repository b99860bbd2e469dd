"""MAP estimates under conjugate priors, and components that collapse."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skem import GaussianMixtureEM

TIGHT = {"tol": 1e-14, "max_iter": 20_000, "random_state": 0}


def prior_of(covariance_type, d, strength=1.0):
    """A covariance prior with the shape of one covariance of the type."""
    rng = np.random.default_rng(5)
    a = rng.standard_normal((d, d))
    full = strength * (a @ a.T + d * np.eye(d))
    kind = covariance_type.removeprefix("tied").removeprefix("_") or "full"
    return {"full": full, "diag": np.diag(full).copy(), "spherical": full[0, 0]}[kind]


def test_one_component_is_the_mode_of_the_normal_inverse_wishart_posterior(iris):
    n, d = iris.shape
    kappa, nu = 3.0, 9.0
    m, psi = np.array([5.0, 3.0, 4.0, 1.0]), prior_of("full", d)
    mixture = GaussianMixtureEM(
        reg_covar=0.0, mean_precision_prior=kappa, mean_prior=m, degrees_of_freedom_prior=nu,
        covariance_prior=psi, **TIGHT,
    ).fit(iris)  # fmt: skip
    mean = iris.mean(axis=0)
    scatter = (iris - mean).T @ (iris - mean)
    pull = kappa * n / (kappa + n) * np.outer(mean - m, mean - m)
    np.testing.assert_allclose(mixture.means_[0], (kappa * m + n * mean) / (kappa + n), rtol=1e-10)
    np.testing.assert_allclose(
        mixture.covariances_[0], (psi + scatter + pull) / (nu + n + d + 2), rtol=1e-9
    )


def test_without_a_mean_prior_the_covariance_is_the_inverse_wishart_mode(iris):
    n, d = iris.shape
    psi = prior_of("full", d)
    mixture = GaussianMixtureEM(reg_covar=0.0, covariance_prior=psi, **TIGHT).fit(iris)
    nu = d + 2  # the default
    expected = (psi + n * np.cov(iris.T, bias=True)) / (nu + n + d + 1)
    np.testing.assert_allclose(mixture.covariances_[0], expected, rtol=1e-9)


def test_the_default_mean_prior_is_the_mean_of_the_data(iris):
    mixture = GaussianMixtureEM(2, mean_precision_prior=1e9, reg_covar=0.0, **TIGHT).fit(iris)
    np.testing.assert_allclose(mixture.means_, np.tile(iris.mean(axis=0), (2, 1)), rtol=1e-5)


def test_the_weights_are_the_mode_of_the_dirichlet_posterior(iris):
    alpha = 7.0
    mixture = GaussianMixtureEM(3, weight_concentration_prior=alpha, **TIGHT).fit(iris)
    counts = mixture.predict_proba(iris).sum(axis=0)
    expected = (counts + alpha - 1) / (len(iris) + 3 * (alpha - 1))
    np.testing.assert_allclose(mixture.weights_, expected, rtol=1e-4)


def test_a_weight_of_zero_is_left_at_once_under_a_dirichlet_prior(iris):
    """Its density is zero there, so the first bound is very low, but a number."""
    settings = {"weight_concentration_prior": 3.0, "init_params": np.eye(2)[np.arange(150) // 75]}
    mixture = GaussianMixtureEM(2, weights_init=[0.0, 1.0], **settings, **TIGHT).fit(iris)
    assert np.isfinite(mixture.lower_bounds_).all()
    assert (np.diff(mixture.lower_bounds_) >= 0).all()
    assert (mixture.weights_ > 0.01).all()
    np.testing.assert_allclose(
        mixture.predict_proba(iris).sum(axis=0) + 2.0, mixture.weights_ * 154, rtol=1e-4
    )


def test_a_fixed_point_of_map_em_is_a_maximum_of_the_posterior(gaussian, covariance_type, iris):
    X = iris[:, :3]
    mixture = GaussianMixtureEM(
        2, covariance_type=covariance_type, reg_covar=0.01, weight_concentration_prior=3.0,
        mean_precision_prior=2.0, mean_prior=[5.0, 3.0, 3.0], degrees_of_freedom_prior=6.0,
        covariance_prior=prior_of(covariance_type, 3), **TIGHT,
    ).fit(X)  # fmt: skip
    assert mixture.converged_
    assert np.abs(gaussian.gradient(mixture, X)).max() / len(X) < 1e-5


def test_a_fixed_point_of_map_em_is_the_closed_form_m_step(gaussian, iris):
    n, d = iris.shape
    kappa, m, nu, psi, alpha = 2.0, np.full(d, 3.0), 8.0, prior_of("full", d), 2.0
    mixture = GaussianMixtureEM(
        2, reg_covar=0.0, weight_concentration_prior=alpha, mean_precision_prior=kappa,
        mean_prior=m, degrees_of_freedom_prior=nu, covariance_prior=psi, **TIGHT,
    ).fit(iris)  # fmt: skip
    r = mixture.predict_proba(iris)
    for k, count in enumerate(r.sum(axis=0)):
        mean = r[:, k] @ iris / count
        scatter = (r[:, k, None] * (iris - mean)).T @ (iris - mean)
        pull = kappa * count / (kappa + count) * np.outer(mean - m, mean - m)
        np.testing.assert_allclose(
            mixture.means_[k], (kappa * m + count * mean) / (kappa + count), rtol=1e-6
        )
        np.testing.assert_allclose(
            mixture.covariances_[k], (psi + scatter + pull) / (nu + count + d + 2), atol=1e-6
        )
        assert mixture.weights_[k] == pytest.approx((count + alpha - 1) / (n + 2), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Components")  # equal means leave a component without use
def test_stronger_priors_shrink_more(iris, covariance_type):
    def spread(**prior):
        mixture = GaussianMixtureEM(2, covariance_type=covariance_type, **TIGHT, **prior)
        mixture.fit(iris)
        return np.ptp(mixture.means_, axis=0).sum(), np.ptp(mixture.weights_)

    by_mean = [spread(mean_precision_prior=kappa)[0] for kappa in (0.01, 10.0, 1000.0)]
    assert by_mean[0] > by_mean[1] > by_mean[2]
    by_weight = [spread(weight_concentration_prior=a)[1] for a in (1.0, 1e3, 1e6)]
    assert by_weight[0] > by_weight[-1]
    assert by_weight[-1] < 1e-3


def test_a_flat_prior_is_no_prior(iris):
    a = GaussianMixtureEM(3, weight_concentration_prior=1.0, random_state=0).fit(iris)
    b = GaussianMixtureEM(3, random_state=0).fit(iris)
    assert a.lower_bounds_ == b.lower_bounds_


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_priors_are_in_the_units_of_the_data(iris, scale):
    psi, m = prior_of("full", 4), np.array([5.0, 3.0, 4.0, 1.0])
    settings = {"mean_precision_prior": 2.0, "reg_covar": 0.0, **TIGHT}
    a = GaussianMixtureEM(2, mean_prior=m, covariance_prior=psi, **settings).fit(iris)
    b = GaussianMixtureEM(2, mean_prior=m * scale, covariance_prior=psi * scale**2, **settings)
    b.fit(iris * scale)
    np.testing.assert_allclose(b.means_, a.means_ * scale, rtol=1e-6)
    np.testing.assert_allclose(b.covariances_, a.covariances_ * scale**2, rtol=1e-5)


# ---------------------------------------------------------------------- batches after a fit
def all_priors(covariance_type):
    """Priors of every parameter for three columns, none of them weak."""
    return {
        "covariance_type": covariance_type,
        "reg_covar": 0.01,
        "weight_concentration_prior": 20.0,
        "mean_precision_prior": 30.0,
        "mean_prior": [5.0, 3.0, 3.0],
        "degrees_of_freedom_prior": 40.0,
        "covariance_prior": prior_of(covariance_type, 3, 10.0),
    }


def test_a_batch_after_a_map_fit_counts_the_priors_once(covariance_type, iris):
    """One component: the rows of the fit and the batch together have a closed form."""
    X = iris[:, :3]
    mixture = GaussianMixtureEM(**all_priors(covariance_type), **TIGHT).fit(X)
    mixture.partial_fit(X)
    twice = GaussianMixtureEM(**all_priors(covariance_type), **TIGHT)
    twice.fit(X, sample_weight=np.full(150, 2.0))
    np.testing.assert_allclose(mixture.means_, twice.means_, rtol=1e-9)
    np.testing.assert_allclose(mixture.covariances_, twice.covariances_, rtol=1e-8)


@pytest.mark.parametrize("weight", [1.0, 1e-4, 1e-12])
def test_batches_of_little_weight_leave_a_map_estimate_where_it_is(covariance_type, iris, weight):
    X = iris[:, :3]
    mixture = GaussianMixtureEM(3, **all_priors(covariance_type), **TIGHT).fit(X)
    before = {name: getattr(mixture, name) for name in ("weights_", "means_", "covariances_")}
    for _ in range(3):
        mixture.partial_fit(X, sample_weight=np.full(150, weight / 150))
    for name, value in before.items():
        np.testing.assert_allclose(getattr(mixture, name), value, rtol=0.05 * weight + 1e-6)


def test_the_default_mean_prior_stays_where_the_fit_had_it(iris):
    """It is the mean of the rows of the fit, whatever the first batch."""
    mixture = GaussianMixtureEM(2, mean_precision_prior=100.0, **TIGHT).fit(iris)
    means = mixture.means_
    mixture.partial_fit(iris[:1], sample_weight=[1e-9])
    np.testing.assert_allclose(mixture.means_, means, rtol=1e-6)


def test_batches_may_begin_from_parameters_that_no_rows_give(covariance_type, iris):
    """Weights as uneven as no rows make them under this Dirichlet prior."""
    X = iris[:, :3]
    mixture = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0).fit(X[:60])
    mixture.set_params(**all_priors(covariance_type) | {"weight_concentration_prior": 1e4})
    for batch in np.array_split(X, 5):
        mixture.partial_fit(batch)
    assert np.isfinite(mixture.score(X))
    np.testing.assert_allclose(mixture.weights_, 0.5, atol=0.01)


# ---------------------------------------------------------------------- collapse
@pytest.fixture(scope="module")
def with_a_spike():
    """A cloud, and thirty times the same point away from it."""
    cloud = np.random.default_rng(0).standard_normal((170, 2))
    return np.vstack([cloud, np.full((30, 2), 3.0)])


def spike_start(X):
    return np.eye(2)[(np.arange(len(X)) >= 170).astype(int)]


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_collapsed_component_is_reported(with_a_spike, kind):
    mixture = GaussianMixtureEM(2, covariance_type=kind, init_params=spike_start(with_a_spike))
    with pytest.warns(ConvergenceWarning, match=r"Components \[1\] collapsed.*collapse="):
        mixture.fit(with_a_spike)
    assert mixture.collapsed_.tolist() == [1]
    np.testing.assert_allclose(mixture.means_[1], 3.0, atol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("max_iter", [15, 500])
@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_collapsed_component_has_the_variance_of_the_noise_and_no_other_is_near(
    iris, faithful, kind, max_iter
):
    """So it does not matter much where between them the line is drawn."""
    small = np.random.default_rng(0).standard_normal((30, 3))
    for X in (iris, faithful, small):
        mixture = GaussianMixtureEM(
            12, covariance_type=kind, max_iter=max_iter, random_state=0
        ).fit(X)  # fmt: skip
        least = np.array([np.linalg.eigvalsh(c).min() if kind == "full" else np.min(c)
                          for c in mixture.covariances_]) / mixture.reg_covar  # fmt: skip
        held = mixture.weights_ * len(X) >= 1
        collapsed = np.isin(np.arange(12), mixture.collapsed_)
        assert (least[collapsed & held] < 1.1).all()
        assert (least[~collapsed] > 10).all()


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_remove_goes_on_without_the_collapsed_component(with_a_spike, kind):
    mixture = GaussianMixtureEM(
        2, covariance_type=kind, collapse="remove", init_params=spike_start(with_a_spike)
    ).fit(with_a_spike)
    assert len(mixture.collapsed_) == 0
    assert mixture.weights_.tolist() == [1.0]
    np.testing.assert_allclose(mixture.means_[0], with_a_spike.mean(axis=0))
    assert mixture.covariances_.shape[0] == 1
    assert mixture.predict_proba(with_a_spike).shape == (200, 1)
    assert (np.diff(mixture.lower_bounds_) >= 0).all()
    assert mixture.n_components == 2
    assert mixture.bic(with_a_spike) == pytest.approx(
        GaussianMixtureEM(1, covariance_type=kind).fit(with_a_spike).bic(with_a_spike)
    )


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_restart_finds_the_component_that_a_bad_start_missed(kind):
    """Two clouds and a point that is there twice, on which the second component starts."""
    rng = np.random.default_rng(0)
    clouds = rng.standard_normal((200, 2)) + 8.0 * (np.arange(200) < 100)[:, None]
    X = np.vstack([clouds, np.full((2, 2), 4.0)])
    settings = {"covariance_type": kind, "max_iter": 500, "random_state": 0, "reg_covar": 1e-3}
    mixture = GaussianMixtureEM(
        2, collapse="restart", means_init=[[4.0, 4.0], [4.0, 4.0]],
        precisions_init={
            "full": [0.05 * np.eye(2), 1e6 * np.eye(2)],
            "diag": [[0.05, 0.05], [1e6, 1e6]],
            "spherical": [0.05, 1e6],
        }[kind],
        weights_init=[0.98, 0.02], **settings,
    ).fit(X)  # fmt: skip
    assert len(mixture.collapsed_) == 0
    np.testing.assert_allclose(np.sort(mixture.means_[:, 0]), [0, 8], atol=0.5)
    assert (np.diff(mixture.lower_bounds_) >= 0).all()
    best = GaussianMixtureEM(2, n_init=5, **settings).fit(X)
    assert mixture.score(X) >= best.score(X) - 0.01


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_restart_gives_up_with_a_report_where_only_a_collapse_is_to_be_found(with_a_spike, kind):
    mixture = GaussianMixtureEM(
        2, covariance_type=kind, collapse="restart", init_params=spike_start(with_a_spike),
        max_iter=500, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mixture.fit(with_a_spike)
    assert bool(len(mixture.collapsed_)) == any("collapsed" in str(w.message) for w in caught)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_without_regularisation_a_collapse_is_an_error_with_the_way_out(with_a_spike, kind):
    mixture = GaussianMixtureEM(
        2, covariance_type=kind, reg_covar=0.0, init_params=spike_start(with_a_spike),
        max_iter=1000,
    )  # fmt: skip
    before = dict(vars(mixture))
    with pytest.raises(ValueError, match=r"reg_covar.*n_components.*covariance_prior"):
        mixture.fit(with_a_spike)
    assert vars(mixture) == before


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_without_regularisation_a_collapsed_component_can_be_removed(with_a_spike, kind):
    """Its covariance is singular in one M step: there is no collapse to be seen before."""
    settings = {"covariance_type": kind, "reg_covar": 0.0, "max_iter": 1000}
    mixture = GaussianMixtureEM(
        2, collapse="remove", init_params=spike_start(with_a_spike), **settings
    ).fit(with_a_spike)
    np.testing.assert_allclose(mixture.means_[0], with_a_spike.mean(axis=0))
    assert mixture.bic(with_a_spike) == pytest.approx(
        GaussianMixtureEM(1, **settings).fit(with_a_spike).bic(with_a_spike)
    )


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_without_regularisation_a_collapsed_component_can_be_restarted(kind):
    """The second component begins on a point that is there twice, between two clouds."""
    rng = np.random.default_rng(0)
    clouds = rng.standard_normal((200, 2)) + 8.0 * (np.arange(200) < 100)[:, None]
    X = np.vstack([clouds, np.full((2, 2), 4.0)])
    settings = {"covariance_type": kind, "reg_covar": 0.0, "max_iter": 500, "random_state": 0}
    mixture = GaussianMixtureEM(
        2, collapse="restart", means_init=[[4.0, 4.0], [4.0, 4.0]], weights_init=[0.98, 0.02],
        precisions_init={
            "full": [0.05 * np.eye(2), 1e6 * np.eye(2)],
            "diag": [[0.05, 0.05], [1e6, 1e6]],
            "spherical": [0.05, 1e6],
        }[kind], **settings,
    ).fit(X)  # fmt: skip
    np.testing.assert_allclose(np.sort(mixture.means_[:, 0]), [0, 8], atol=0.5)
    assert mixture.score(X) >= GaussianMixtureEM(2, n_init=5, **settings).fit(X).score(X) - 0.01


@pytest.mark.parametrize("collapse", ["restart", "remove"])
@pytest.mark.parametrize("kind", ["full", "tied"])
def test_columns_that_leave_no_way_out_are_an_error_whatever_the_repair(kind, collapse):
    x = np.random.default_rng(0).standard_normal((60, 1))
    mixture = GaussianMixtureEM(2, covariance_type=kind, reg_covar=0.0, collapse=collapse)
    with pytest.raises(ValueError, match=r"duplicate columns.*Increase reg_covar"):
        mixture.fit(np.hstack([x, x]))


def test_a_covariance_prior_prevents_collapse(with_a_spike):
    mixture = GaussianMixtureEM(
        2, init_params=spike_start(with_a_spike), reg_covar=0.0, covariance_prior=np.eye(2)
    ).fit(with_a_spike)
    assert len(mixture.collapsed_) == 0
    assert np.linalg.eigvalsh(mixture.covariances_).min() > 0.01


def test_more_components_than_distinct_rows_is_reported_not_hidden():
    X = np.repeat([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]], 20, axis=0)
    with pytest.warns(ConvergenceWarning) as caught:
        mixture = GaussianMixtureEM(4, random_state=0).fit(X)
    assert any("collapsed" in str(warning.message) for warning in caught)
    assert len(mixture.collapsed_)
    assert np.isfinite(mixture.score(X))
