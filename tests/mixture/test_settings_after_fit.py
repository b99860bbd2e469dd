"""Parameters that are set after a fit: the fitted ones count, or the call is refused."""

import itertools
import warnings

import numpy as np
import pytest

from skem import BernoulliMixtureEM, GaussianMixtureEM
from skem.inspection import MixtureDisplay
from skem.mixture.gaussian.model._covariances import COVARIANCE_TYPES

rng = np.random.default_rng(0)
X = np.vstack([rng.normal(size=(60, 3)), rng.normal(size=(60, 3)) * [1, 2, 0.5] + 5])
HOLES = np.where(rng.random(X.shape) < 0.2, np.nan, X)
ANSWERS = (rng.random((80, 4)) < np.where(np.arange(80) % 2, 0.8, 0.2)[:, None]).astype(float)

PAIRS = list(itertools.permutations(COVARIANCE_TYPES, 2))


def answers_of(mixture):
    return [
        mixture.score_samples(HOLES),
        mixture.predict_proba(HOLES),
        mixture.predict(X),
        mixture.impute(HOLES),
        [mixture.bic(X), mixture.aic(X), mixture.icl(X)],
        mixture.sample(5)[0],
        mixture.conditional({0: 1.0}).covariances_,
    ]


@pytest.mark.parametrize(("fitted", "later"), PAIRS)
def test_every_call_goes_by_the_fitted_covariance_type(fitted, later):
    mixture = GaussianMixtureEM(2, covariance_type=fitted, random_state=0).fit(X)
    before = answers_of(mixture)
    mixture.set_params(covariance_type=later)
    for a, b in zip(before, answers_of(mixture), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("fitted", "later"), [("tied", "diag"), ("diag", "full")])
def test_a_display_goes_by_the_fitted_covariance_type(fitted, later):
    mixture = GaussianMixtureEM(2, covariance_type=fitted, random_state=0).fit(X)
    before = MixtureDisplay.from_estimator(mixture, columns=(0, 1)).covariances
    mixture.set_params(covariance_type=later)
    after = MixtureDisplay.from_estimator(mixture, columns=(0, 1)).covariances
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("fitted", "later"), PAIRS)
def test_no_fit_goes_on_with_another_covariance_type(fitted, later):
    mixture = GaussianMixtureEM(2, covariance_type=fitted, warm_start=True, random_state=0).fit(X)
    means = mixture.means_
    mixture.set_params(covariance_type=later)
    with pytest.raises(ValueError, match=r"warm_start=True.*covariance_type=.*warm_start=False"):
        mixture.fit(X)
    with pytest.raises(ValueError, match=f"covariance_type='{fitted}'.*cannot change between"):
        mixture.partial_fit(X)
    assert mixture.means_ is means
    mixture.set_params(warm_start=False).fit(X)
    assert (
        mixture.covariances_.shape
        == GaussianMixtureEM(2, covariance_type=later, random_state=0).fit(X).covariances_.shape
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"reg_covar": 0.1},
        {"weight_concentration_prior": 3.0},
        {"mean_precision_prior": 1.0},
        {"covariance_prior": np.eye(3)},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_batches_refuse_another_prior(settings):
    mixture = GaussianMixtureEM(2, random_state=0).partial_fit(X)
    mixture.set_params(**settings)
    with pytest.raises(ValueError, match=f"partial_fit began with {next(iter(settings))}=.*clone"):
        mixture.partial_fit(X)
    begun = GaussianMixtureEM(2, random_state=0, **settings).partial_fit(X)
    begun.set_params(**settings).partial_fit(X)  # the same value is no change
    after_fit = GaussianMixtureEM(2, random_state=0).fit(X).set_params(**settings)
    after_fit.partial_fit(X)  # a fit that batches go on from has no running statistics


def test_components_that_were_removed_are_no_contradiction():
    rows = np.vstack([X, np.full((5, 3), 20.0)])
    mixture = GaussianMixtureEM(
        3, covariance_type="diag", collapse="remove", warm_start=True, random_state=0, tol=1e-6
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        k = len(mixture.fit(rows).weights_)
        assert k < 3
        assert len(mixture.fit(rows).weights_) <= k
        mixture.partial_fit(rows).partial_fit(rows)
    with pytest.raises(ValueError, match=r"n_components=3.*cannot change between batches"):
        mixture.set_params(n_components=2).partial_fit(rows)


def test_a_threshold_is_read_at_each_call():
    mixture = BernoulliMixtureEM(2, binarize=0.5, random_state=0).fit(ANSWERS)
    before = mixture.score_samples(ANSWERS)
    mixture.set_params(binarize=7.5)
    np.testing.assert_array_equal(mixture.score_samples(16 * ANSWERS), before)
    low = BernoulliMixtureEM(2, binarize=0.5, random_state=0).partial_fit(ANSWERS)
    high = BernoulliMixtureEM(2, binarize=0.5, random_state=0).partial_fit(ANSWERS)
    low.partial_fit(ANSWERS)
    high.set_params(binarize=7.5).partial_fit(16 * ANSWERS)
    np.testing.assert_array_equal(low.probabilities_, high.probabilities_)


@pytest.mark.parametrize(
    "settings", [{"beta_prior": (2.0, 2.0)}, {"weight_concentration_prior": 2.0}]
)
def test_batches_of_answers_refuse_another_prior(settings):
    mixture = BernoulliMixtureEM(2, random_state=0).partial_fit(ANSWERS)
    with pytest.raises(ValueError, match=f"partial_fit began with {next(iter(settings))}="):
        mixture.set_params(**settings).partial_fit(ANSWERS)


@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_batches_of_answers_refuse_another_number_of_components(begin):
    mixture = BernoulliMixtureEM(2, random_state=0)
    getattr(mixture, begin)(ANSWERS)
    with pytest.raises(ValueError, match=r"n_components=3 cannot go on.*has 2"):
        mixture.set_params(n_components=3).partial_fit(ANSWERS)


def test_an_unknown_gap_is_said_in_words():
    with pytest.warns(UserWarning, match="unknown distance .*too few maps") as caught:
        GaussianMixtureEM(2, max_iter=1, random_state=0).fit(X)
    assert "inf" not in str(caught[0].message)
