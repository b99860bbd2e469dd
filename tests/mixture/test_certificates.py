"""What a Gaussian mixture says of its fit holds: far clusters, long steps, any unit, float32."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning

from skem import GaussianMixtureEM

TYPES = ["full", "tied", "diag", "spherical"]


def normal(seed, n, d):
    return np.random.RandomState(seed).randn(n, d)


def two_widths():
    return np.r_[normal(8, 100, 2), 5 * normal(1008, 100, 2)]


LONG_STEPS = {
    "breast cancer": (load_breast_cancer().data[:, :5], {"n_components": 6, "random_state": 2}),
    "two widths": (two_widths(), {"n_components": 4, "random_state": 0}),
    "an outlier": (
        np.r_[normal(0, 300, 2), [[1e6, 1e6]]],
        {"n_components": 2, "init_params": "random", "covariance_type": "diag", "random_state": 0},
    ),
}


def rise_of_going_on(X, **settings):
    """How far the bound rises if a fit that has converged goes on, in tol; 0 if it has not."""
    mixture = GaussianMixtureEM(**settings, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of components that collapse
        before = mixture.fit(X).lower_bound_
        if not mixture.converged_:
            return 0.0
        mixture.set_params(tol=1e-2 * mixture.tol, max_iter=2000)
        return (mixture.fit(X).lower_bound_ - before) / (1e2 * mixture.tol)


@pytest.mark.parametrize("name", LONG_STEPS)
@pytest.mark.parametrize("acceleration", ["auto", "squarem", None])
def test_long_steps_are_no_sign_of_the_limit(name, acceleration):
    """A mean moves far while its variance shrinks: gradient x step may then be below zero."""
    X, settings = LONG_STEPS[name]
    assert rise_of_going_on(X, **settings, acceleration=acceleration) < 3


@pytest.mark.parametrize("table", [load_iris, load_wine, load_breast_cancer])
@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_default_fits_are_at_their_limit(table, covariance_type):
    X = table().data[:, :5]
    rises = [
        rise_of_going_on(
            X,
            n_components=k,
            covariance_type=covariance_type,
            random_state=seed,
        )
        for k in (2, 6)
        for seed in range(4)
    ]
    assert max(rises) < 5


def far_cluster(n_far, distance, d, seed=0, n=1000):
    """A cloud, and a few rows of half its width far away."""
    rng = np.random.RandomState(seed)
    far = distance * np.eye(d)[0] + 0.5 * rng.randn(n_far, d)
    return np.r_[rng.randn(n, d), far].astype(np.float32)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("distance", [20.0, 1e3, 1e4])
@pytest.mark.parametrize("d", [1, 4, 30])
def test_small_far_clusters_in_float32(covariance_type, distance, d):
    """Their variance is a difference of large numbers; it agrees with that of float64."""
    X = far_cluster(60, distance, d)
    settings = {"n_components": 2, "covariance_type": covariance_type, "random_state": 0}
    single = GaussianMixtureEM(**settings, tol=1e-5).fit(X)
    double = GaussianMixtureEM(**settings, tol=1e-5).fit(X.astype(np.float64))
    assert single.means_.dtype == np.float32
    if covariance_type in ("full", "diag"):  # the rest have a variance for both
        order = [np.argsort(mixture.means_[:, 0]) for mixture in (single, double)]
        means, covariances = (
            [
                getattr(mixture, name)[own]
                for mixture, own in zip((single, double), order, strict=True)
            ]
            for name in ("means_", "covariances_")
        )
        np.testing.assert_allclose(*means, atol=3e-3)
        np.testing.assert_allclose(*covariances, rtol=0.01, atol=0.01)
    assert single.lower_bound_ == pytest.approx(double.lower_bound_, abs=1e-3)
    assert single.score(X) == pytest.approx(double.score(X), abs=3e-3)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("covariance_type", TYPES)
def test_narrow_components_that_come_up_in_float32(seed, covariance_type):
    """A start is broad; the M step may make a narrow component, far out, of its moments.

    A dozen maps of the same path are compared: later ones may lead from a saddle to two maxima.
    """
    X = far_cluster(20, 1e3, 1 + seed % 2, seed)
    options = {"covariance_type": covariance_type, "random_state": 0, "max_iter": 12}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits = [GaussianMixtureEM(3, **options).fit(rows) for rows in (X, X.astype(np.float64))]
    assert fits[0].lower_bound_ == pytest.approx(fits[1].lower_bound_, abs=3e-3)


@pytest.mark.parametrize("far", [1e6, 1e9, 1e12])
def test_a_row_far_out_in_float32(far):
    X = np.r_[normal(0, 300, 1), [[far]]].astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the row is a component of its own, which collapses
        mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    # the bound blurs rows by reg_covar, which costs the component of one row half a nat
    assert mixture.score(X) == pytest.approx(mixture.lower_bound_ + 0.5 / 301, abs=1e-3)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied", "tied_diag"])
@pytest.mark.parametrize("far", [1e6, 1e7, 1e9, 1e10])
def test_a_row_far_out_of_few_in_float32(covariance_type, far):
    """It is the whole of a component: what is made of moments is far narrower than before."""
    X = np.r_[normal(0, 29, 3), [[0, far, 0]]].astype(np.float32)
    bounds = []
    for rows in (X, X.astype(np.float64)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the component of one row has collapsed
            try:
                mixture = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0)
                bounds.append(mixture.fit(rows).lower_bound_)
            except ValueError:  # rows that are equal to rounding, beside this one, span no space
                bounds.append(np.nan)
    assert bounds[0] == pytest.approx(bounds[1], abs=3e-3, nan_ok=True)
    if far < 1e9:
        assert np.isfinite(bounds).all()


@pytest.mark.parametrize("covariance_type", ["diag", "spherical", "tied_diag"])
@pytest.mark.parametrize("exponent", [-60, 60])
def test_many_columns_in_any_unit(covariance_type, exponent):
    """Normalisers of thousands of columns add up to more than a hundred thousand nats."""
    n, d, unit = 60, 3000, 2.0**exponent
    X = normal(0, n, d) * np.where(np.arange(n) % 2, 1.0, 1.3)[:, None]
    settings = {"n_components": 2, "covariance_type": covariance_type, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so many columns and so few rows
        a = GaussianMixtureEM(**settings, reg_covar=1e-2).fit(X)
        b = GaussianMixtureEM(**settings, reg_covar=1e-2 * unit**2).fit(X * unit)
    assert b.lower_bound_ == pytest.approx(a.lower_bound_ - d * np.log(unit), rel=1e-9)
    assert b.score(X * unit) == pytest.approx(a.score(X) - d * np.log(unit), rel=1e-9)


def test_a_component_without_weight_takes_no_rows():
    X = np.r_[normal(0, 50, 2), normal(1, 50, 2) + 9]
    mixture = GaussianMixtureEM(
        2,
        weights_init=[1.0, 0.0],
        means_init=[[0, 0], [9, 9]],
        precisions_init=[np.eye(2), np.eye(2)],
        max_iter=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture.fit(X)
    assert mixture.weights_[1] == pytest.approx(0, abs=1e-12)
    assert mixture.predict_proba(X)[:, 1].max() < 1e-12


def collapsed(X, k, covariance_type, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = GaussianMixtureEM(k, covariance_type=covariance_type, random_state=0, **options)
        return mixture.fit(X).collapsed_.tolist()


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize("k", [1, 2])
def test_fewer_rows_than_columns_make_no_full_covariance(covariance_type, k):
    X = normal(0, 40, 60)
    assert collapsed(X, k, covariance_type) == list(range(k))
    assert collapsed(X, k, covariance_type, covariance_prior=60 * np.eye(60)) == []
    assert collapsed(X, k, "diag") == []


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "tied_diag"])
def test_clusters_in_planes_collapse_together(covariance_type):
    """None has peers that are wider: the likelihood is unbounded for all of them alike."""
    X = normal(0, 200, 2)
    X[:, 1] = np.arange(200) % 2
    assert collapsed(X, 2, covariance_type) == [0, 1]


@pytest.mark.parametrize("covariance_type", TYPES)
def test_constant_and_dependent_columns_are_no_collapse(covariance_type):
    X = np.r_[normal(0, 100, 3), normal(1, 100, 3) + 5]
    constant = np.column_stack([X, np.full(200, 7.0)])
    twice = np.column_stack([X, X[:, 0] - X[:, 1]])
    for rows in (constant, twice):
        for k in (1, 2):
            assert collapsed(rows, k, covariance_type) == []
