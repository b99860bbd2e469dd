"""No arithmetic with subnormal numbers: what is that small is exactly zero.

On some processors each product with one takes a hundred cycles.
"""

import numpy as np
import pytest

from skem import BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture
from skem.em import Rows
from skem.mixture.bernoulli._model import BernoulliModel, BernoulliParams
from skem.mixture.gaussian.model._model import GaussianModel

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical", "tied_diag", "tied_spherical")


def n_subnormal(*arrays):
    """Numbers that are not zero and not normal in the type of their array."""
    n = 0
    for values in arrays:
        values = np.asarray(values)
        if values.dtype.kind == "f":
            n += np.count_nonzero((values != 0) & (np.abs(values) < np.finfo(values.dtype).tiny))
    return n


def fields(statistics):
    return [x for x in statistics if x is not None]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_steps_of_a_gaussian_mixture(covariance_type, holes, dtype):
    """Components so far apart that exp of the distance passes through the subnormal numbers."""
    rng = np.random.default_rng(0)
    k, d = 12, 3
    for distance in (3.0, 9.0, 37.0, 200.0):
        means = np.linspace(0, distance, k)[:, None] * np.ones(d)
        X = (means[rng.integers(0, k, 600)] + rng.standard_normal((600, d))).astype(dtype)
        if holes:
            X[rng.random(X.shape) < 0.2] = np.nan
            X = X[np.lexsort((*np.isnan(X).T, np.isnan(X).any(axis=1)))]
        model = GaussianModel(
            covariance_type, center=np.zeros(d), scale=np.ones(d), reg=np.full(d, 1e-6),
            dtype=dtype, incomplete=holes,
        )  # fmt: skip
        shapes = {"full": np.eye(d), "diag": np.ones(d), "spherical": np.ones(())}
        covariances = np.repeat(shapes[model.structure.name][None], 1 if model.tied else k, axis=0)
        params = model.params(np.full(k, 1 / k), means, covariances)
        for _ in range(3):
            statistics = model.expected_statistics(params, Rows(0, X))
            assert n_subnormal(*fields(statistics)) == 0
            params = model.maximize(statistics, params)
            assert n_subnormal(params.weights, params.means, params.covariances) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_steps_of_a_mixture_of_zeros_and_ones(shared, holes, dtype):
    """Enough columns that products of probabilities pass through the subnormal numbers."""
    rng = np.random.default_rng(0)
    k = 2 if shared else 8
    for d in (20, 100, 400):
        p = np.linspace(0.02, 0.98, k)[:, None] * np.ones(1 if shared else d)
        X = (rng.random((300, d)) < p[rng.integers(0, k, 300)]).astype(dtype)
        if holes:
            X[rng.random(X.shape) < 0.2] = np.nan
        model = BernoulliModel(d, masked=holes, shared=shared, dtype=dtype)
        params = BernoulliParams(np.full(k, 1 / k), p)
        for _ in range(3):
            statistics = model.expected_statistics(params, Rows(0, X))
            assert n_subnormal(*fields(statistics)) == 0
            params = model.maximize(statistics, params)
            assert n_subnormal(*params) == 0
        vector = model.to_vector(params)
        vector[:k] = np.linspace(0, -800, k)  # where an extrapolation may go
        assert n_subnormal(*model.from_vector(vector, params)) == 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_posteriors_are_normal_numbers_or_zero(dtype):
    rng = np.random.default_rng(0)
    X = np.r_[rng.standard_normal((50, 2)), rng.standard_normal((50, 2)) + 40].astype(dtype)
    line = np.linspace(-2, 42, 2000)[:, None] * np.ones(2)
    mixtures = [
        (GaussianMixtureEM(2, covariance_type=c, reg_covar=1e-2), X, line) for c in COVARIANCE_TYPES
    ]
    bits = (rng.random((60, 500)) < np.repeat([[0.02], [0.98]], 30, axis=0)).astype(dtype)
    steps = (np.arange(500) < np.arange(500)[:, None]).astype(dtype)
    mixtures += [(BernoulliMixtureEM(2), bits, steps), (ThreeCoinMixture(), bits, steps)]
    for mixture, train, rows in mixtures:
        mixture.set_params(random_state=0).fit(train)
        posterior = mixture.predict_proba(rows.astype(dtype))
        assert n_subnormal(posterior) == 0
        assert (posterior == 0).any()
        np.testing.assert_allclose(posterior.sum(axis=1), 1, rtol=1e-5)


def test_a_conditional_mixture_has_normal_weights():
    rng = np.random.default_rng(0)
    X = np.r_[rng.standard_normal((50, 2)), rng.standard_normal((50, 2)) + 40]
    mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    for value in np.linspace(-2, 42, 100):
        assert n_subnormal(mixture.conditional({0: value}).weights_) == 0


@pytest.mark.parametrize("n_tosses", [1, 10, 300, 1100])
def test_the_information_of_coins_is_finite(n_tosses):
    from skem.mixture.bernoulli._three_coins import coin_information

    for p, q in [(0.5, 0.5), (1e-12, 0.9), (0.0, 1.0)]:
        information = coin_information(0.3, p, q, n_tosses)
        assert np.isfinite(information).all()
        assert n_subnormal(information) == 0
