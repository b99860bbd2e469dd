"""`GaussianMixtureEM` in the place of `sklearn.mixture.GaussianMixture`."""

import inspect

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from skem import GaussianMixtureEM

SHARED_TYPES = ("full", "tied", "diag", "spherical")


def public(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


def test_every_constructor_parameter_has_the_same_name_and_default():
    ours = inspect.signature(GaussianMixtureEM.__init__).parameters
    for name, theirs in inspect.signature(GaussianMixture.__init__).parameters.items():
        assert name in ours
        assert ours[name].default == theirs.default, name
        assert ours[name].kind == theirs.kind, name


def test_every_method_is_there_with_the_same_arguments_first():
    assert public(GaussianMixture) <= public(GaussianMixtureEM)
    for name in public(GaussianMixture):
        theirs, ours = getattr(GaussianMixture, name), getattr(GaussianMixtureEM, name)
        if callable(theirs):
            arguments = list(inspect.signature(theirs).parameters)
            assert list(inspect.signature(ours).parameters)[: len(arguments)] == arguments, name


@pytest.mark.parametrize("covariance_type", SHARED_TYPES)
def test_every_fitted_attribute_is_there_with_the_same_type_and_shape(covariance_type, iris):
    settings = {"n_components": 3, "covariance_type": covariance_type, "random_state": 0}
    theirs, ours = GaussianMixture(**settings).fit(iris), GaussianMixtureEM(**settings).fit(iris)
    for name, value in vars(theirs).items():
        if not name.endswith("_") or name.startswith("_"):
            continue
        assert isinstance(value, type(getattr(ours, name))), name  # np.float64 is a float
        if isinstance(value, np.ndarray):
            assert getattr(ours, name).shape == value.shape, name
            assert getattr(ours, name).dtype == value.dtype, name


@pytest.mark.parametrize("covariance_type", SHARED_TYPES)
@pytest.mark.parametrize("method", ["score_samples", "predict_proba", "predict", "sample"])
def test_outputs_have_the_same_shape_and_type(covariance_type, method, iris):
    settings = {"n_components": 3, "covariance_type": covariance_type, "random_state": 0}
    argument = 7 if method == "sample" else iris
    theirs = getattr(GaussianMixture(**settings).fit(iris), method)(argument)
    ours = getattr(GaussianMixtureEM(**settings).fit(iris), method)(argument)
    pairs = zip(theirs, ours, strict=True) if method == "sample" else [(theirs, ours)]
    for a, b in pairs:
        assert (a.shape, a.dtype) == (b.shape, b.dtype)


def starts(covariance_type, X, k):
    """One start for both, of k components spread over the rows."""
    d = X.shape[1]
    precision = 1 / X.var(axis=0)
    precisions = {
        "full": np.repeat(np.diag(precision)[None], k, axis=0),
        "tied": np.diag(precision),
        "diag": np.repeat(precision[None], k, axis=0),
        "spherical": np.full(k, d / X.var(axis=0).sum()),
    }[covariance_type]
    return {
        "weights_init": np.full(k, 1 / k),
        "means_init": X[:: len(X) // k][:k],
        "precisions_init": precisions,
    }


@pytest.mark.parametrize("covariance_type", SHARED_TYPES)
@pytest.mark.parametrize(("reg_covar", "rtol"), [(0.0, 1e-6), (1e-6, 1e-4)])
@pytest.mark.parametrize("acceleration", ["auto", None])
def test_same_start_ends_at_the_same_parameters(
    covariance_type, reg_covar, rtol, acceleration, iris
):
    settings = {
        "n_components": 3,
        "covariance_type": covariance_type,
        "reg_covar": reg_covar,
        "max_iter": 5000,
        **starts(covariance_type, iris, 3),
    }
    theirs = GaussianMixture(tol=1e-14, **settings).fit(iris)
    ours = GaussianMixtureEM(tol=1e-14, acceleration=acceleration, **settings).fit(iris)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        scale = np.abs(getattr(theirs, name)).max()
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=rtol, atol=rtol * scale, err_msg=name
        )
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, abs=1e-3 if reg_covar else 1e-9)
    for method in ("score", "bic", "aic"):
        assert getattr(ours, method)(iris) == pytest.approx(getattr(theirs, method)(iris), rel=1e-8)
    np.testing.assert_array_equal(ours.predict(iris), theirs.predict(iris))


@pytest.mark.parametrize("covariance_type", SHARED_TYPES)
def test_plain_em_takes_the_same_steps(covariance_type, iris, quietly):
    for max_iter in (1, 2, 5):
        settings = {
            "n_components": 3,
            "covariance_type": covariance_type,
            "reg_covar": 0.0,
            "tol": 0.0,
            "max_iter": max_iter,
            **starts(covariance_type, iris, 3),
        }
        theirs = quietly(GaussianMixture(**settings), iris)
        ours = quietly(GaussianMixtureEM(acceleration=None, **settings), iris)
        assert ours.n_iter_ == theirs.n_iter_ == max_iter
        np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-10)
        np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-9)
        np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(ours.predict_proba(iris), theirs.predict_proba(iris), atol=1e-9)


@pytest.mark.parametrize("covariance_type", SHARED_TYPES)
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data"])
def test_as_many_starts_end_as_high(covariance_type, init_params, iris, quietly):
    scores = {GaussianMixture: [], GaussianMixtureEM: []}
    for random_state in range(15):  # from random rows, fits end in many maxima
        for estimator, values in scores.items():
            mixture = estimator(
                3,
                covariance_type=covariance_type,
                init_params=init_params,
                n_init=3,
                random_state=random_state,
            )
            values.append(quietly(mixture, iris).score(iris))
    assert np.median(scores[GaussianMixtureEM]) >= np.median(scores[GaussianMixture]) - 2e-3


def test_max_iter_zero_keeps_the_start(iris, quietly):
    start = starts("full", iris, 3)
    mixture = quietly(GaussianMixtureEM(3, max_iter=0, **start), iris)
    np.testing.assert_allclose(mixture.means_, start["means_init"], rtol=1e-12)
    np.testing.assert_allclose(mixture.precisions_, start["precisions_init"], rtol=1e-9, atol=1e-12)
    assert mixture.n_iter_ == 0
    assert not mixture.converged_


def test_one_given_parameter_replaces_that_part_of_the_start(iris, quietly):
    start = starts("full", iris, 3)
    for name, value in start.items():
        mixture = quietly(GaussianMixtureEM(3, max_iter=0, random_state=0, **{name: value}), iris)
        attribute = name.replace("_init", "_")
        np.testing.assert_allclose(getattr(mixture, attribute), value, rtol=1e-9, atol=1e-12)
