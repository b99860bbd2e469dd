"""Published maxima of the likelihood, reached from default starts."""

import numpy as np
import pytest

from skem import GaussianMixtureEM

# (data, covariance type, components): log-likelihood, and the BIC that mclust prints for it
MAXIMA = {
    ("iris", "full", 2): (-214.354704, -574.0178),
    ("iris", "full", 3): (-180.185477, -580.8396),
    ("iris", "tied", 2): (-296.447575, -688.0972),
    ("iris", "tied", 3): (-256.354043, -632.9647),
    ("iris", "spherical", 2): (-478.559096, -1012.2352),
    ("iris", "diag", 2): (-386.185347, -857.5515),
    ("faithful", "tied", 3): (-1126.315928, -2314.296),
}


@pytest.fixture(params=MAXIMA, ids=lambda key: "-".join(map(str, key)))
def published(request, iris, faithful):
    """(data, covariance type, components, log-likelihood, mclust's BIC)"""
    data, covariance_type, k = request.param
    return {"iris": iris, "faithful": faithful}[data], covariance_type, k, *MAXIMA[request.param]


@pytest.mark.parametrize("random_state", range(4))
def test_default_starts_reach_the_published_maximum(published, random_state):
    X, covariance_type, k, log_likelihood, _ = published
    mixture = GaussianMixtureEM(
        k,
        covariance_type=covariance_type,
        n_init=10,
        tol=1e-10,
        max_iter=1000,
        random_state=random_state,
    ).fit(X)
    assert mixture.converged_
    assert mixture.optimality_gap_ <= 1e-10
    assert mixture.score_samples(X).sum() == pytest.approx(log_likelihood, abs=1e-5)


def test_our_bic_is_minus_mclusts(published):
    X, covariance_type, k, _, bic = published
    mixture = GaussianMixtureEM(
        k, covariance_type=covariance_type, n_init=10, tol=1e-10, max_iter=1000, random_state=0
    )
    assert mixture.fit(X).bic(X) == pytest.approx(-bic, abs=2e-3)


def test_icl_of_old_faithful_is_minus_mclusts(faithful):
    # mclust stops at -1126.326, a hundredth of a nat below the maximum.
    mixture = GaussianMixtureEM(
        3, covariance_type="tied", n_init=10, tol=1e-10, max_iter=1000, random_state=0
    ).fit(faithful)
    assert mixture._n_parameters() == 11
    assert mixture.bic(faithful) == pytest.approx(2314.316, abs=0.03)
    assert mixture.icl(faithful) == pytest.approx(2357.824, abs=1.0)


def test_icl_is_bic_plus_twice_the_uncertainty_of_the_hard_assignment(iris):
    mixture = GaussianMixtureEM(3, random_state=0).fit(iris)
    uncertainty = -np.log(mixture.predict_proba(iris).max(axis=1)).sum()
    assert mixture.icl(iris) == pytest.approx(mixture.bic(iris) + 2 * uncertainty, rel=1e-12)
    assert mixture.icl(iris) > mixture.bic(iris)


def test_one_component_is_the_sample_mean_and_covariance(iris):
    mixture = GaussianMixtureEM(reg_covar=0).fit(iris)
    np.testing.assert_allclose(mixture.means_[0], iris.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(mixture.covariances_[0], np.cov(iris.T, bias=True), rtol=1e-10)
    assert mixture.weights_ == pytest.approx([1.0])
    assert mixture.converged_


@pytest.mark.parametrize(("data", "share"), [("faithful", 0.5), ("iris", 0.75)])
def test_acceleration_saves_em_maps_on_overlapping_components(data, share, request):
    """Certificate included. Iris takes 30 plain maps: there is little to save."""
    X = request.getfixturevalue(data)
    log_ratios = []
    for random_state in range(8):
        fits = [
            GaussianMixtureEM(
                3,
                covariance_type="tied",
                acceleration=acceleration,
                tol=1e-9,
                max_iter=2000,
                random_state=random_state,
            ).fit(X)
            for acceleration in (None, "auto")
        ]
        assert fits[0].lower_bound_ == pytest.approx(fits[1].lower_bound_, abs=2e-9)
        log_ratios.append(np.log(fits[1].n_iter_ / fits[0].n_iter_))
    assert np.exp(np.mean(log_ratios)) <= share
