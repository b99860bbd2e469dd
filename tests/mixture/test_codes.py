"""Binary columns in other codes than 0 and 1, numbers that are none, and errors of any length."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from skem import PLSA, BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture

rng = np.random.default_rng(0)
ANSWERS = (rng.random((120, 4)) < np.where(np.arange(120) % 2, 0.8, 0.2)[:, None]).astype(float)
MIXTURES = [BernoulliMixtureEM(2, random_state=0), ThreeCoinMixture(random_state=0)]
by_name = pytest.mark.parametrize("mixture", MIXTURES, ids=lambda mixture: type(mixture).__name__)


@by_name
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
def test_codes_that_all_count_as_ones_are_named(mixture, dtype):
    with pytest.warns(UserWarning, match=r"\[0, 1, 2, 3\].*as ones.*such as 1 and 2.*as 1.5"):
        mixture.fit((ANSWERS + 1).astype(dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture.set_params(binarize=1.5).fit((ANSWERS + 1).astype(dtype))
    found = np.sort(mixture.score_samples(ANSWERS + 1))
    mixture.set_params(binarize=0.0).fit(ANSWERS.astype(dtype))
    np.testing.assert_allclose(found, np.sort(mixture.score_samples(ANSWERS)), rtol=1e-12)


def test_one_column_in_other_codes_is_named():
    mixed = pd.DataFrame(ANSWERS, columns=["a", "b", "c", "d"])
    mixed["c"] += 1
    mixed.loc[3, "c"] = np.nan
    with pytest.warns(UserWarning, match=r"\['c'\].*as ones"):
        BernoulliMixtureEM(2, random_state=0).fit(mixed)
    with pytest.warns(UserWarning, match=r"\['c'\].*as ones"):
        BernoulliMixtureEM(2, random_state=0).partial_fit(mixed)


@by_name
def test_codes_that_all_count_as_zeros_are_named(mixture):
    with pytest.warns(UserWarning, match="as zeros.*such as -1 and 0.*as -0.5"):
        mixture.set_params(binarize=0.0).fit(ANSWERS - 1)


@by_name
def test_ordinary_columns_are_not(mixture):
    constant = np.column_stack([ANSWERS, np.ones(120), np.full(120, 2.0), np.zeros(120)])
    missing = np.where(rng.random(ANSWERS.shape) < 0.2, np.nan, ANSWERS)
    signs = 2 * ANSWERS - 1
    counts = rng.poisson(0.5, size=(120, 4))
    out_of_the_fit = np.vstack([ANSWERS, np.full((1, 4), 7.0)])
    weight = np.r_[np.ones(120), 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rows in (ANSWERS, constant, missing, signs, counts, ANSWERS > 0):
            mixture.set_params(binarize=0.0).fit(rows)
        mixture.fit(out_of_the_fit, sample_weight=weight)
        pixels = load_digits().data[:300]  # some columns are never above the threshold
        BernoulliMixtureEM(2, binarize=7.5, tol=1e-2, random_state=0).fit(pixels)


@pytest.mark.parametrize("value", [True, np.True_])
@pytest.mark.parametrize("name", ["n_components", "n_init", "max_iter", "tol"])
@pytest.mark.parametrize(
    "estimator", [GaussianMixtureEM(), BernoulliMixtureEM(), PLSA()], ids=lambda e: type(e).__name__
)
def test_true_is_no_number(estimator, name, value):
    estimator = type(estimator)(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter .*Got .*True"):
        estimator.fit(ANSWERS)


LONG = pd.Series(rng.random(1000))
LONG_CASES = {
    "weights_init": (GaussianMixtureEM(1000, weights_init=LONG), {}),
    "weights_init of classes": (BernoulliMixtureEM(1000, weights_init=LONG), {}),
    "beta_prior": (BernoulliMixtureEM(beta_prior=LONG.tolist()), {}),
    "init": (ThreeCoinMixture(init=LONG), {}),
    "n_components": (GaussianMixtureEM(LONG), {}),
    "collapse": (GaussianMixtureEM(collapse=LONG.tolist()), {}),
    "sample_weight": (GaussianMixtureEM(2), {"sample_weight": pd.Series(["a"] * 1000)}),
    "labels": (GaussianMixtureEM(2), {"labels": pd.Series(["a"] * 1000)}),
}


@pytest.mark.parametrize("case", LONG_CASES)
def test_errors_show_the_first_few_values(case):
    estimator, arguments = LONG_CASES[case]
    with pytest.raises(ValueError, match=case.split()[0]) as caught:
        estimator.fit(rng.random((1000, 2)), **arguments)
    assert len(str(caught.value)) < 500
    assert str(caught.value).count("\n") < 4


def test_columns_without_values_are_shown_in_part():
    X = np.full((50, 3000), np.nan)
    X[:, 0] = rng.normal(size=50)
    for estimator in (GaussianMixtureEM(covariance_type="diag"), BernoulliMixtureEM()):
        with pytest.raises(ValueError, match=r"Columns .* no value") as caught:
            estimator.fit(X)
        assert len(str(caught.value)) < 200
