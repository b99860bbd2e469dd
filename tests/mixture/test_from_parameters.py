"""Mixtures that are made with given parameters, draws with a seed of their own, labelled values."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import bernoulli, multivariate_normal

from skem import BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture

WEIGHTS = np.array([0.3, 0.7])
MEANS = np.array([[0.0, 1.0, 2.0], [4.0, 4.0, 3.0]])
FULL = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.3], [0.1, 0.3, 0.5]])
COVARIANCES = {
    "full": np.array([FULL, np.eye(3)]),
    "tied": FULL,
    "diag": np.array([[1.0, 2.0, 3.0], [0.5, 0.5, 0.5]]),
    "spherical": np.array([1.0, 4.0]),
    "tied_diag": np.array([1.0, 2.0, 3.0]),
    "tied_spherical": np.array(2.0),
}
rng = np.random.default_rng(0)
X = np.vstack([rng.normal(size=(50, 3)) + 1, rng.normal(size=(70, 3)) + 4])
NAMES = ["a", "b", "c"]


def made(covariance_type="full", **parameters):
    return GaussianMixtureEM.from_parameters(
        WEIGHTS, MEANS, COVARIANCES[covariance_type], covariance_type=covariance_type, **parameters
    )


@pytest.mark.parametrize("unit", [1.0, 1e-30, 1e30])
def test_densities_are_those_of_the_parameters(covariance_type, gaussian, unit):
    mixture = GaussianMixtureEM.from_parameters(
        WEIGHTS,
        unit * MEANS,
        unit**2 * COVARIANCES[covariance_type],
        covariance_type=covariance_type,
    )
    dense = gaussian.dense(COVARIANCES[covariance_type], covariance_type, 2, 3)
    joint = [
        np.log(w) + multivariate_normal(m, c).logpdf(X)
        for w, m, c in zip(WEIGHTS, MEANS, dense, strict=True)
    ]
    expected = logsumexp(joint, axis=0) - 3 * np.log(unit)
    np.testing.assert_allclose(mixture.score_samples(unit * X), expected, rtol=1e-12)
    np.testing.assert_array_equal(mixture.predict(unit * X), np.argmax(joint, axis=0))
    for name, given in (("means_", unit * MEANS), ("covariances_", COVARIANCES[covariance_type])):
        scale = unit**2 if name == "covariances_" else 1
        np.testing.assert_array_equal(getattr(mixture, name), scale * given)


def test_a_fitted_mixture_can_be_made_again(covariance_type):
    fitted = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0).fit(X)
    again = GaussianMixtureEM.from_parameters(
        fitted.weights_, fitted.means_, fitted.covariances_, covariance_type=covariance_type
    )
    np.testing.assert_allclose(again.score_samples(X), fitted.score_samples(X), rtol=1e-12)
    assert again.bic(X) == pytest.approx(fitted.bic(X))
    assert not again.converged_
    assert np.isinf(again.optimality_gap_)
    assert again.n_iter_ == 0


def test_all_that_a_fitted_mixture_can_do(covariance_type):
    mixture = made(covariance_type, random_state=0, feature_names=NAMES)
    frame = pd.DataFrame(X, columns=NAMES)
    drawn, components = mixture.sample(20000)
    np.testing.assert_allclose(np.bincount(components) / 20000, WEIGHTS, atol=0.02)
    np.testing.assert_allclose(drawn.mean(axis=0), WEIGHTS @ MEANS, atol=0.1)
    assert np.isfinite(mixture.impute(frame.mask(frame > 4))).all()
    assert mixture.conditional({"a": 1.0}).feature_names_in_.tolist() == ["b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        mixture.predict(frame[["c", "b", "a"]])


def test_a_fit_and_batches_begin_with_the_parameters(covariance_type):
    """A warm start is the fit whose initial values are these; batches owe nothing to other rows."""
    warm = made(covariance_type, warm_start=True, max_iter=1, tol=0)
    given = GaussianMixtureEM(
        2,
        covariance_type=covariance_type,
        weights_init=WEIGHTS,
        means_init=MEANS,
        precisions_init=warm.precisions_,
        max_iter=1,
        tol=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one map is the point
        warm.fit(X)
        given.fit(X)
    np.testing.assert_allclose(warm.means_, given.means_, rtol=1e-9)
    batch = made(covariance_type).partial_fit(X)
    np.testing.assert_allclose(batch.means_, given.means_, rtol=1e-9)
    np.testing.assert_allclose(batch.weights_, given.weights_, rtol=1e-9)


def test_float32_means_make_a_float32_mixture():
    mixture = GaussianMixtureEM.from_parameters(
        WEIGHTS, MEANS.astype(np.float32), COVARIANCES["diag"], covariance_type="diag"
    )
    assert mixture.covariances_.dtype == np.float32
    assert mixture.sample(3)[0].dtype == np.float32


BAD = {
    "sum": ({"weights": [0.3, 0.6]}, "weights must be probabilities that sum to 1.*0.9"),
    "negative": ({"weights": [-0.5, 1.5]}, "weights must be probabilities"),
    "no weights": ({"weights": []}, "weights.*shape"),
    "means, shape": ({"means": MEANS[:1]}, r"means has shape \(1, 3\).*\(2, 3\)"),
    "means, one dimension": ({"means": [0.0, 1.0]}, r"means has shape \(2,\)"),
    "means, NaN": ({"means": MEANS * np.nan}, "means contains NaN"),
    "covariances, shape": (
        {"covariances": np.eye(3)}, r"covariances has shape.*\(n_components, n_features, n_fea",
    ),
    "covariances, indefinite": (
        {"covariances": [np.eye(3), -np.eye(3)]}, "covariances: matrix 1.*positive definite",
    ),
    "covariances, asymmetric": (
        {"covariances": [np.triu(np.ones((3, 3))), np.eye(3)]}, "covariances: matrix 0.*symmetric",
    ),
    "type": ({"covariance_type": "round"}, "covariance_type must be one of.*'round'"),
    "names": ({"feature_names": ["a"]}, "feature_names must be 3 strings"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused(case):
    arguments, message = BAD[case]
    given = {"weights": WEIGHTS, "means": MEANS, "covariances": COVARIANCES["full"]}
    with pytest.raises(ValueError, match=message):
        GaussianMixtureEM.from_parameters(**given | arguments)


PROBABILITIES = np.array([[0.9, 0.8, 0.0], [0.1, 0.5, 0.7]])


def test_a_bernoulli_mixture_with_given_parameters():
    mixture = BernoulliMixtureEM.from_parameters(WEIGHTS, PROBABILITIES, random_state=0)
    rows = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]])
    joint = np.log(WEIGHTS) + np.array(
        [[bernoulli(p).logpmf(row).sum() for p in PROBABILITIES] for row in rows]
    )
    np.testing.assert_allclose(mixture.score_samples(rows), logsumexp(joint, axis=1), atol=1e-9)
    drawn, components = mixture.sample(20000)
    np.testing.assert_allclose(np.bincount(components) / 20000, WEIGHTS, atol=0.02)
    np.testing.assert_allclose(drawn.mean(axis=0), WEIGHTS @ PROBABILITIES, atol=0.02)
    begun = BernoulliMixtureEM.from_parameters(WEIGHTS, np.clip(PROBABILITIES, 0.01, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one map is the point
        once = BernoulliMixtureEM(
            2, weights_init=WEIGHTS, probabilities_init=begun.probabilities_, max_iter=1, tol=0
        ).fit(drawn)
    begun.partial_fit(drawn)
    np.testing.assert_allclose(begun.probabilities_, once.probabilities_, rtol=1e-9)


@pytest.mark.parametrize(
    ("weights", "probabilities", "message"),
    [
        ([0.5, 0.6], PROBABILITIES, "weights must be probabilities that sum to 1"),
        (WEIGHTS, PROBABILITIES * 2, "probabilities must hold probabilities, between 0 and 1.*1.8"),
        (WEIGHTS, PROBABILITIES[0], r"probabilities has shape \(3,\)"),
    ],
)
def test_bernoulli_parameters_that_do_not_fit(weights, probabilities, message):
    with pytest.raises(ValueError, match=message):
        BernoulliMixtureEM.from_parameters(weights, probabilities)


@pytest.mark.parametrize(
    "mixture",
    [
        made(random_state=0),
        BernoulliMixtureEM.from_parameters(WEIGHTS, PROBABILITIES, random_state=0),
        ThreeCoinMixture(random_state=0).fit(rng.random((30, 4)) < 0.5),
    ],
    ids=lambda mixture: type(mixture).__name__,
)
def test_a_draw_may_have_a_seed_of_its_own(mixture):
    by_default = mixture.sample(10)[0]
    np.testing.assert_array_equal(mixture.sample(10)[0], by_default)
    np.testing.assert_array_equal(mixture.sample(10, random_state=0)[0], by_default)
    assert (mixture.sample(10, random_state=1)[0] != by_default).any()
    generator = np.random.RandomState(5)
    first, second = (mixture.sample(10, random_state=generator)[0] for _ in range(2))
    assert (first != second).any()
    with pytest.raises(ValueError, match="n_samples must be an integer of at least 1, got True"):
        mixture.sample(True)


GIVEN = {
    "a dict": {"c": 1.0, "a": 2.0},
    "by number": {2: 1.0, 0: 2.0},
    "a Series": pd.Series({"c": 1.0, "a": 2.0}),
    "all columns, in another order": pd.Series({"c": 1.0, "b": np.nan, "a": 2.0}),
    "missing as pandas has it": pd.Series(
        [1.0, pd.NA, 2.0], index=["c", "b", "a"], dtype="Float64"
    ),
    "a Series by number": pd.Series([1.0, 2.0], index=[2, 0]),
    "a Series without names": pd.Series([2.0, np.nan, 1.0]),
    "a frame": pd.DataFrame({"c": [1.0], "b": [None], "a": [2.0]}),
    "a row": [2.0, np.nan, 1.0],
    "a row with None": [2.0, None, 1.0],
}


@pytest.mark.parametrize("case", GIVEN)
def test_values_with_labels_go_by_them(case):
    mixture = made(feature_names=NAMES)
    expected = made().conditional([2.0, np.nan, 1.0])
    conditional = mixture.conditional(GIVEN[case])
    np.testing.assert_array_equal(conditional.means_, expected.means_)
    np.testing.assert_array_equal(conditional.weights_, expected.weights_)
    assert conditional.feature_names_in_.tolist() == ["b"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.Series({"d": 1.0}), "column 'd'.*numbers from 0 to 2 or"),
        (pd.Series([1.0, 2.0], index=["a", "a"]), "column 'a' twice"),
        (pd.DataFrame({"a": [1.0, 2.0]}), "frame of 2 rows"),
        ({True: 1.0}, "column True"),
        (pd.Series({"a": "x" * 1000}), "given must hold numbers, got 'xxx.{1,40}$"),
    ],
)
def test_labels_that_do_not_fit(given, message):
    with pytest.raises(ValueError, match=message):
        made(feature_names=NAMES).conditional(given)


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_conditionals_in_any_unit(unit):
    small = GaussianMixtureEM.from_parameters(WEIGHTS, unit * MEANS, unit**2 * COVARIANCES["full"])
    expected = made().conditional({0: 1.0})
    conditional = small.conditional({0: unit})
    np.testing.assert_allclose(conditional.means_ / unit, expected.means_, rtol=1e-9)
    np.testing.assert_allclose(conditional.weights_, expected.weights_, rtol=1e-9)
