"""Asymptotic standard errors from the observed information."""

import numpy as np
import pytest

from skem import GaussianMixtureEM
from skem.mixture.gaussian._information import pack
from skem.mixture.gaussian.model._covariances import COVARIANCE_TYPES, n_free_parameters
from skem.mixture.gaussian.model._model import GaussianModel

TIGHT = {"standard_errors": True, "tol": 1e-14, "max_iter": 20_000, "random_state": 0}


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_the_information_has_a_row_for_each_free_parameter(kind):
    k, d = 3, 4
    model = GaussianModel(kind, center=np.zeros(d), scale=np.ones(d), reg=np.zeros(d))
    covariance = np.asarray(model.structure.diagonal(np.ones(d)))
    covariances = np.repeat(covariance[None], 1 if model.tied else k, axis=0)
    params = model.params(np.full(k, 1 / k), np.zeros((k, d)), covariances)
    assert len(pack(model, params)) == n_free_parameters(kind, k, d)


def test_one_component_has_the_closed_form(iris):
    """sd(mean) = sigma / sqrt(n); var(cov_ij) = (s_ii s_jj + s_ij^2) / n."""
    n = len(iris)
    mixture = GaussianMixtureEM(reg_covar=0.0, **TIGHT).fit(iris)
    covariance = np.cov(iris.T, bias=True)
    variance = np.diag(covariance)
    errors = mixture.standard_errors_
    np.testing.assert_allclose(errors["means"][0], np.sqrt(variance / n), rtol=1e-5)
    np.testing.assert_allclose(
        errors["covariances"][0],
        np.sqrt((np.outer(variance, variance) + covariance**2) / n),
        rtol=1e-4,
    )
    np.testing.assert_array_equal(errors["weights"], [0.0])


@pytest.mark.parametrize("kind", ["diag", "tied_diag", "spherical", "tied_spherical"])
def test_one_component_of_the_other_types(iris, kind):
    """sd(variance) = variance sqrt(2 / n), and sqrt(2 / (n d)) if the columns share it."""
    n, d = iris.shape
    mixture = GaussianMixtureEM(covariance_type=kind, reg_covar=0.0, **TIGHT).fit(iris)
    shared = d if "spherical" in kind else 1
    np.testing.assert_allclose(
        mixture.standard_errors_["covariances"],
        mixture.covariances_ * np.sqrt(2 / (n * shared)),
        rtol=1e-4,
    )
    variance = np.broadcast_to(
        mixture.covariances_ if shared == 1 else np.ravel(mixture.covariances_)[0], (1, d)
    )
    np.testing.assert_allclose(mixture.standard_errors_["means"], np.sqrt(variance / n), rtol=1e-5)


def free_parameters(mixture):
    """All weights but the last, means, and the free entries of the covariances."""
    covariances = mixture.covariances_
    if mixture.covariance_type in ("full", "tied"):
        i, j = np.tril_indices(mixture.means_.shape[1])
        covariances = covariances[..., i, j]
    return np.concatenate([mixture.weights_[:-1], mixture.means_.ravel(), covariances.ravel()])


def log_likelihood_of(gaussian, mixture, X, **fit_parameters):
    """The objective as a function of `free_parameters`."""
    k, d = mixture.means_.shape

    def value(vector):
        weights = np.append(vector[: k - 1], 1 - vector[: k - 1].sum())
        means = vector[k - 1 : k - 1 + k * d].reshape(k, d)
        entries = vector[k - 1 + k * d :]
        if mixture.covariance_type in ("full", "tied"):
            i, j = np.tril_indices(d)
            entries = entries.reshape(*mixture.covariances_.shape[:-2], -1)
            covariances = np.empty_like(mixture.covariances_)
            covariances[..., i, j] = covariances[..., j, i] = entries
        else:
            covariances = entries.reshape(mixture.covariances_.shape)
        changed = gaussian.replaced(mixture, weights, means, covariances)
        return gaussian.objective(changed, X, **fit_parameters)

    return value


def hessian(function, x, step=2e-3):
    n = len(x)
    steps = step * np.maximum(np.abs(x), 0.1)
    result = np.empty((n, n))
    for i in range(n):
        for j in range(i, n):
            total = 0.0
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                moved = x.copy()
                moved[i] += a * steps[i]
                moved[j] += b * steps[j]
                total += a * b * function(moved)
            result[i, j] = result[j, i] = total / (4 * steps[i] * steps[j])
    return result


@pytest.mark.parametrize("variant", ["plain", "weights", "missing", "labels"])
def test_two_components_against_the_numerical_hessian(gaussian, covariance_type, variant):
    rng = np.random.default_rng(0)
    X, y = gaussian.draw(rng, 150, 2, 2, separation=6.0)
    extra = {}
    if variant == "weights":
        extra["sample_weight"] = rng.uniform(0.5, 2, len(X))
    elif variant == "missing":
        X[rng.uniform(size=X.shape) < 0.2] = np.nan
    elif variant == "labels":
        extra["labels"] = np.where(rng.uniform(size=len(X)) < 0.3, y, -1)
    mixture = GaussianMixtureEM(2, covariance_type=covariance_type, reg_covar=0.0, **TIGHT)
    mixture.fit(X, **extra)
    errors = mixture.standard_errors_
    for name in ("weights", "means", "covariances"):
        assert errors[name].shape == getattr(mixture, f"{name}_").shape
    vector = free_parameters(mixture)
    information = -hessian(log_likelihood_of(gaussian, mixture, X, **extra), vector)
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    covariances = errors["covariances"]
    if covariance_type in ("full", "tied"):
        np.testing.assert_allclose(covariances, covariances.swapaxes(-1, -2))
        i, j = np.tril_indices(2)
        covariances = covariances[..., i, j]
    actual = np.concatenate([errors["weights"][:-1], errors["means"].ravel(), covariances.ravel()])
    np.testing.assert_allclose(actual, expected, rtol=5e-3)
    assert errors["weights"][1] == pytest.approx(errors["weights"][0])


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_errors_are_in_the_units_of_the_data(iris, scale):
    a = GaussianMixtureEM(2, reg_covar=0.0, **TIGHT).fit(iris).standard_errors_
    b = GaussianMixtureEM(2, reg_covar=0.0, **TIGHT).fit(iris * scale).standard_errors_
    np.testing.assert_allclose(b["weights"], a["weights"], rtol=1e-3)
    np.testing.assert_allclose(b["means"], a["means"] * scale, rtol=1e-3)
    np.testing.assert_allclose(b["covariances"], a["covariances"] * scale**2, rtol=1e-3)


def test_four_times_the_data_halves_the_errors(iris):
    a = GaussianMixtureEM(2, **TIGHT).fit(iris).standard_errors_
    b = GaussianMixtureEM(2, **TIGHT).fit(np.tile(iris, (4, 1))).standard_errors_
    c = GaussianMixtureEM(2, **TIGHT).fit(iris, sample_weight=np.full(150, 4.0)).standard_errors_
    for name, value in a.items():
        np.testing.assert_allclose(b[name], value / 2, rtol=1e-4)
        np.testing.assert_allclose(c[name], value / 2, rtol=1e-4)


def test_errors_are_roughly_the_spread_over_bootstrap_samples(faithful):
    fitted = GaussianMixtureEM(2, **TIGHT).fit(faithful)
    rng = np.random.default_rng(0)
    start = {
        "weights_init": fitted.weights_,
        "means_init": fitted.means_,
        "precisions_init": fitted.precisions_,
    }
    means = []
    for _ in range(100):
        rows = rng.integers(len(faithful), size=len(faithful))
        means.append(GaussianMixtureEM(2, tol=1e-6, **start).fit(faithful[rows]).means_)
    np.testing.assert_allclose(np.std(means, axis=0), fitted.standard_errors_["means"], rtol=0.3)


def test_errors_are_there_only_on_request(iris):
    mixture = GaussianMixtureEM(2, standard_errors=True, random_state=0).fit(iris)
    assert hasattr(mixture, "standard_errors_")
    mixture.set_params(standard_errors=False).fit(iris)
    assert not hasattr(mixture, "standard_errors_")


def test_without_a_maximum_the_errors_are_nan_with_a_warning(iris, quietly):
    mixture = GaussianMixtureEM(
        4, standard_errors=True, max_iter=2, init_params="random", random_state=1, tol=0.0
    )
    with pytest.warns(RuntimeWarning, match="not positive definite"):
        quietly(mixture, iris)
    assert np.isnan(mixture.standard_errors_["means"]).all()
