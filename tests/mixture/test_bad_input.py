"""Bad input: an error that names the parameter and the way out, and no half-made state."""

import os

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skem import BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3)) + 4.0 * (np.arange(40) % 2)[:, None]
ONES = np.ones(40)
ASYMMETRIC = np.tile(np.array([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]]), (2, 1, 1))
INDEFINITE = np.tile(np.diag([1.0, -1.0, 1.0]), (2, 1, 1))


def changed(index, value):
    rows = X.copy()
    rows[index] = value
    return rows


EMPTY_COLUMN = changed((slice(None), 1), np.nan)
CONSTANT = changed((slice(None), 1), 3.0)
DUPLICATE = np.column_stack([X[:, :2], X[:, 0]])

# parameters of the estimator, rows, arguments of fit, what the message says
BAD_FOR_ALL = {
    "inf": ({}, changed((3, 1), np.inf), {}, "infinity"),
    "one row": ({}, X[:1], {}, "1 sample"),
    "no rows": ({}, X[:0], {}, "0 sample"),
    "one dimension": ({}, X[:, 0], {}, "1D array"),
    "three dimensions": ({}, X[None], {}, "3"),
    "text": ({}, np.full((40, 3), "a"), {}, "could not convert string"),
    "complex": ({}, X + 1j, {}, "[Cc]omplex"),
    "sparse": ({}, sp.csr_array(X), {}, "[Ss]parse"),
    "weights all zero": ({}, X, {"sample_weight": 0 * ONES}, "sample_weight|weights"),
    "negative weights": ({}, X, {"sample_weight": -ONES}, "sample_weight.*0"),
    "infinite weights": ({}, X, {"sample_weight": np.inf * ONES}, "infinity"),
    "too few weights": ({}, X, {"sample_weight": ONES[:-1]}, r"sample_weight.*\(3?9|40"),
    "weights in two dimensions": ({}, X, {"sample_weight": ONES[:, None]}, "[Ss]ample.?weight"),
    "weights of text": ({}, X, {"sample_weight": ["a"] * 40}, "sample_weight.*numbers.*each row"),
    "huge weights": ({}, X, {"sample_weight": 1e300 * ONES}, "sample_weight.*float64.*divide"),
    "tiny weights": ({}, X, {"sample_weight": 1e-300 * ONES}, "sample_weight.*divide"),
    "NaN weights": ({}, X, {"sample_weight": np.nan * ONES}, "sample_weight contains NaN.*0"),
    "tol": ({"tol": -1.0}, X, {}, "'tol'.*must be"),
    "max_iter": ({"max_iter": -1}, X, {}, "'max_iter'.*must be"),
    "acceleration": ({"acceleration": "warp"}, X, {}, "'acceleration'.*squarem"),
    "n_jobs": ({"n_jobs": 0}, X, {}, "'n_jobs'.*None"),
    "n_init": ({"n_init": 0}, X, {}, "'n_init'.*must be"),
}  # fmt: skip

BAD_FOR_GAUSSIAN = {
    "column of NaN": ({}, EMPTY_COLUMN, {}, r"\[1\].*NaN.*Drop"),
    "huge": ({}, changed((3, 1), 1e200), {}, r"\[1\].*too large.*units"),
    "fewer rows than components": ({"n_components": 41}, X, {}, "n_components = 41.*Lower"),
    "fewer rows of positive weight": (
        {"n_components": 3}, X, {"sample_weight": (np.arange(40) < 2) * 1.0}, "n_components = 3",
    ),
    "constant column, reg_covar=0": ({"reg_covar": 0.0}, CONSTANT, {}, "constant.*reg_covar"),
    "duplicate column, reg_covar=0": ({"reg_covar": 0.0}, DUPLICATE, {}, "duplicate.*reg_covar"),
    "equal rows, reg_covar=0": ({"reg_covar": 0.0}, np.ones((9, 3)), {}, "reg_covar"),
    "covariance_type": ({"covariance_type": "round"}, X, {}, "'covariance_type'.*tied_diag"),
    "init_params": ({"init_params": "guess"}, X, {}, "'init_params'.*kmeans"),
    "collapse": ({"collapse": "ignore"}, X, {}, "'collapse'.*restart"),
    "label too large": ({}, X, {"labels": np.full(40, 2)}, "labels must be integers from 0 to .*1"),
    "label too small": ({}, X, {"labels": np.full(40, -2)}, "labels must be.*-1"),
    "label not an integer": ({}, X, {"labels": np.full(40, 0.5)}, "labels must be integers"),
    "label NaN": ({}, X, {"labels": np.full(40, np.nan)}, "labels.*NaN"),
    "label text": ({}, X, {"labels": np.full(40, "a")}, "labels must be integers"),
    "too few labels": (
        {}, X, {"labels": np.zeros(39, int)}, r"labels.*\(39,\).*\(40,\).*each row.*-1",
    ),
    "labels in two dimensions": ({}, X, {"labels": np.zeros((40, 1))}, r"labels.*\(40, 1\).*each"),
    "labels, one number": ({}, X, {"labels": 1}, r"labels.*\(\).*\(40,\)"),
    "labels, ragged": ({}, X, {"labels": [[0], [0, 1]]}, "labels must be integers"),
    "labels, complex": ({}, X, {"labels": 1j * ONES}, "labels must be integers"),
    "labels and remove": ({"collapse": "remove"}, X, {"labels": np.arange(40) % 2}, "collapse="),
    "weights_init, shape": ({"weights_init": [1.0]}, X, {}, r"weights_init.*\(1,\).*\(2,\)"),
    "weights_init, sum": ({"weights_init": [0.5, 0.6]}, X, {}, "weights_init.*sum"),
    "weights_init, negative": ({"weights_init": [-0.5, 1.5]}, X, {}, "weights_init"),
    "means_init, shape": ({"means_init": X[:3]}, X, {}, r"means_init.*\(3, 3\).*\(2, 3\)"),
    "means_init, NaN": ({"means_init": EMPTY_COLUMN[:2]}, X, {}, "means_init.*NaN"),
    "precisions_init, shape": (
        {"precisions_init": np.eye(3)}, X, {}, r"precisions_init.*\(3, 3\).*\(2, 3, 3\)",
    ),
    "precisions_init, asymmetric": (
        {"precisions_init": ASYMMETRIC}, X, {}, "precisions_init.*matrix 0.*symmetric",
    ),
    "precisions_init, indefinite": (
        {"precisions_init": INDEFINITE}, X, {}, "precisions_init.*positive definite",
    ),
    "precisions_init, diag": (
        {"precisions_init": -np.ones((2, 3)), "covariance_type": "diag"}, X, {},
        "precisions_init.*positive",
    ),
    "precisions_init, spherical": (
        {"precisions_init": [0.0, 1.0], "covariance_type": "spherical"}, X, {},
        "precisions_init.*positive",
    ),
    "precisions_init, tied": (
        {"precisions_init": INDEFINITE[0], "covariance_type": "tied"}, X, {},
        "precisions_init.*positive",
    ),
    "precisions_init, tied_spherical": (
        {"precisions_init": -1.0, "covariance_type": "tied_spherical"}, X, {},
        "precisions_init.*positive",
    ),
    "means_init, text": ({"means_init": [["a"] * 3] * 2}, X, {}, r"means_init.*numbers.*\(2, 3\)"),
    "means_init, ragged": ({"means_init": [[1], [1, 2]]}, X, {}, r"means_init.*numbers.*\(2, 3\)"),
    "weights_init, text": ({"weights_init": ["a", "b"]}, X, {}, r"weights_init.*numbers.*\(2,\)"),
    "precisions_init, text": (
        {"precisions_init": [["a"] * 3] * 2, "covariance_type": "diag"}, X, {},
        r"precisions_init.*numbers.*\(n_components, n_features\) = \(2, 3\)",
    ),
    "precisions_init, infinite": (
        {"precisions_init": np.inf, "covariance_type": "tied_spherical"}, X, {},
        "precisions_init contains infinity",
    ),
    "mean_prior, text": (
        {"mean_prior": ["a"] * 3, "mean_precision_prior": 1.0}, X, {}, r"mean_prior.*\(3,\)",
    ),
    "covariance_prior, text": (
        {"covariance_prior": [["a"] * 3] * 3}, X, {}, r"covariance_prior.*numbers.*\(3, 3\)",
    ),
    "responsibilities, shape": (
        {"init_params": np.ones((40, 3))}, X, {}, r"init_params.*\(40, 3\).*\(40, 2\)",
    ),
    "responsibilities, negative": (
        {"init_params": np.full((40, 2), -1.0)}, X, {}, "init_params.*non-negative",
    ),
    "responsibilities, empty row": (
        {"init_params": np.zeros((40, 2))}, X, {}, "init_params.*positive sum",
    ),
    "responsibilities, text": (
        {"init_params": np.full((40, 2), "a")}, X, {}, r"init_params.*numbers.*\(40, 2\)",
    ),
    "callable, text": (
        {"init_params": lambda X, k, rng: "abc"}, X, {}, r"init_params returned 'abc'.*\(40, 2\)",
    ),
    "callable, ragged": (
        {"init_params": lambda X, k, rng: [[1], [1, 2]]}, X, {}, r"init_params.*\(2, 3\)",
    ),
    "callable, shape": (
        {"init_params": lambda X, k, rng: np.ones(3)}, X, {}, r"init_params.*\(3,\).*\(40, 2\)",
    ),
    "callable, NaN": (
        {"init_params": lambda X, k, rng: np.full((40, 2), np.nan)}, X, {}, "init_params.*finite",
    ),
    "concentration": ({"weight_concentration_prior": 0.5}, X, {}, "weight_concentration_prior"),
    "mean_prior alone": ({"mean_prior": np.zeros(3)}, X, {}, "mean_prior.*mean_precision_prior"),
    "mean_prior, shape": (
        {"mean_prior": np.zeros(2), "mean_precision_prior": 1.0}, X, {}, r"mean_prior.*\(3,\)",
    ),
    "degrees alone": ({"degrees_of_freedom_prior": 9.0}, X, {}, "needs covariance_prior"),
    "degrees too few": (
        {"degrees_of_freedom_prior": 1.0, "covariance_prior": np.eye(3)}, X, {},
        "degrees_of_freedom_prior.*2",
    ),
    "covariance_prior, shape": ({"covariance_prior": np.ones(3)}, X, {}, r"covariance_prior.*3, 3"),
    "covariance_prior, indefinite": (
        {"covariance_prior": INDEFINITE[0]}, X, {}, "covariance_prior.*positive definite",
    ),
    "covariance_prior, asymmetric": (
        {"covariance_prior": ASYMMETRIC[0]}, X, {}, "covariance_prior.*symmetric",
    ),
}  # fmt: skip

BAD_FOR_BERNOULLI = {
    "binarize=NaN": ({"binarize": np.nan}, X, {}, "'binarize'.*None.*nan"),
    "binarize=inf": ({"binarize": np.inf}, X, {}, "'binarize'.*None.*inf"),
    "binarize=None": ({"binarize": None}, X, {}, "binarize=None.*0, 1 and NaN.*threshold"),
    "fewer rows than components": ({"n_components": 41}, X, {}, "n_components = 41.*Lower"),
    "column of NaN": ({}, EMPTY_COLUMN, {}, r"\[1\].*NaN"),
    "weights_init, sum": ({"weights_init": [0.5, 0.6]}, X, {}, "weights_init.*sum"),
    "weights_init, shape": ({"weights_init": [1.0]}, X, {}, r"weights_init.*\(1,\).*\(2,\)"),
    "probabilities_init, shape": (
        {"probabilities_init": np.full((2, 2), 0.5)}, X, {}, r"probabilities_init.*\(2, 3\)",
    ),
    "probabilities_init, range": (
        {"probabilities_init": np.full((2, 3), 1.5)}, X, {}, "probabilities_init.*between 0 and 1",
    ),
    "weights_init, text": ({"weights_init": ["a", "b"]}, X, {}, r"weights_init.*numbers.*\(2,\)"),
    "probabilities_init, text": (
        {"probabilities_init": [["a"] * 3] * 2}, X, {}, r"probabilities_init.*numbers.*\(2, 3\)",
    ),
    "probabilities_init, ragged": (
        {"probabilities_init": [[0.1], [0.1, 0.2]]}, X, {}, "probabilities_init must hold",
    ),
    "probabilities_init, NaN": (
        {"probabilities_init": np.full((2, 3), np.nan)}, X, {}, "probabilities_init contains NaN",
    ),
    "beta_prior, text": ({"beta_prior": ("a", "b")}, X, {}, "beta_prior must be two numbers"),
    "beta_prior, ragged": ({"beta_prior": [[1], [1, 2]]}, X, {}, "beta_prior must be two numbers"),
    "beta_prior": ({"beta_prior": (0.5, 1.0)}, X, {}, "beta_prior.*at least 1"),
    "beta_prior, shape": ({"beta_prior": (1.0, 1.0, 1.0)}, X, {}, "beta_prior must be two"),
    "concentration": ({"weight_concentration_prior": 0.5}, X, {}, "weight_concentration_prior"),
}  # fmt: skip

BAD_FOR_COINS = {
    "init, two": ({"init": (0.5, 0.5)}, X, {}, r"init must be three.*\(pi, p, q\)"),
    "init, range": ({"init": (0.5, 0.5, 1.5)}, X, {}, "init must be three.*between 0 and 1"),
    "init, text": ({"init": ("a", "b", "c")}, X, {}, "init must be three"),
    "init, ragged": ({"init": (0.1, [0.1, 0.2], 0.3)}, X, {}, "init must be three"),
    "init, NaN": ({"init": (0.5, 0.5, np.nan)}, X, {}, "init must be three"),
    "binarize=NaN": ({"binarize": np.nan}, X, {}, "'binarize'.*None.*nan"),
    "binarize=inf": ({"binarize": np.inf}, X, {}, "'binarize'.*None.*inf"),
    "binarize=None": ({"binarize": None}, X, {}, "binarize=None.*0, 1 and NaN.*threshold"),
    "no toss seen": ({}, np.full((5, 3), np.nan), {}, "NaN"),
}

CASES = [
    pytest.param(estimator, *case, id=f"{type(estimator).__name__}-{name}")
    for estimator, own in (
        (GaussianMixtureEM(2, random_state=0), BAD_FOR_GAUSSIAN),
        (BernoulliMixtureEM(2, random_state=0), BAD_FOR_BERNOULLI),
        (ThreeCoinMixture(random_state=0), BAD_FOR_COINS),
    )
    for name, case in (BAD_FOR_ALL | own).items()
]


@pytest.mark.parametrize("fitted_before", [False, True], ids=["unfitted", "fitted"])
@pytest.mark.parametrize(("estimator", "parameters", "rows", "arguments", "message"), CASES)
def test_an_error_says_what_to_do_and_changes_nothing(
    estimator, parameters, rows, arguments, message, fitted_before
):
    estimator = clone(estimator)
    if fitted_before:
        estimator.fit(X)
    estimator.set_params(**parameters)
    before = dict(vars(estimator))
    content = {name: joblib.hash(value) for name, value in before.items() if not callable(value)}
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        estimator.fit(rows, **arguments)
    after = vars(estimator)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    assert content == {name: joblib.hash(after[name]) for name in content}


@pytest.mark.parametrize("name", ["inf", "sparse", "negative weights", "weights all zero"])
@pytest.mark.parametrize(
    "estimator", [GaussianMixtureEM(2), BernoulliMixtureEM(2)], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("fitted_before", [False, True], ids=["unfitted", "fitted"])
def test_partial_fit_fails_as_fit_does(estimator, name, fitted_before):
    _, rows, arguments, message = BAD_FOR_ALL[name]
    estimator = clone(estimator)
    if fitted_before:
        estimator.partial_fit(X)
    before = joblib.hash(vars(estimator))
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        estimator.partial_fit(rows, **arguments)
    assert joblib.hash(vars(estimator)) == before


@pytest.mark.parametrize("rows", [CONSTANT, DUPLICATE], ids=["constant", "duplicate"])
def test_degenerate_columns_are_no_problem_with_regularisation(rows, covariance_type):
    mixture = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0).fit(rows)
    assert np.isfinite(mixture.score(rows))
    assert np.isfinite(mixture.means_).all()
    assert len(mixture.collapsed_) == 0


def test_a_model_too_large_for_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 64)  # squared, four kilobytes
    with pytest.raises(ValueError, match=r"covariance_type='full'.*GiB.*'diag'.*PCA"):
        GaussianMixtureEM(10).fit(X)
    GaussianMixtureEM(10, covariance_type="diag", random_state=0).fit(X)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({0: np.nan}, "given must hold finite"),
        ({0: np.inf}, "given must hold finite"),
        ({}, "given must hold finite values for at least one column"),
        ({0: 1.0, 1: 1.0, 2: 1.0}, "leave at least one column open"),
        ({3: 1.0}, "given names the column 3.*0 to 2"),
        ({-1: 1.0}, "given names the column -1"),
        ({"a": 1.0}, "given names the column 'a'"),
        ({0: "a"}, "given"),
        ([1.0, np.nan], r"given has shape \(2,\), expected \(3,\)"),
        ([1.0, 2.0, 3.0], "leave at least one column open"),
        (1.0, "given has shape"),
    ],
)
def test_conditional_says_what_can_be_given(given, message):
    mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    with pytest.raises(ValueError, match=message):
        mixture.conditional(given)


@pytest.mark.parametrize(
    "estimator",
    [GaussianMixtureEM(2), BernoulliMixtureEM(2), ThreeCoinMixture()],
    ids=lambda estimator: type(estimator).__name__,
)
class TestQueries:
    @pytest.mark.parametrize("n_samples", [0, -1, 1.5, "a"])
    def test_sample_wants_a_positive_number(self, estimator, n_samples):
        fitted = clone(estimator).fit(X)
        with pytest.raises(ValueError, match="n_samples must be an integer of at least 1"):
            fitted.sample(n_samples)

    @pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score"])
    def test_another_number_of_columns(self, estimator, method):
        fitted = clone(estimator).fit(X)
        with pytest.raises(ValueError, match=r"X has 2 features, but .* is expecting 3"):
            getattr(fitted, method)(X[:, :2])

    @pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "bic", "icl"])
    def test_not_fitted(self, estimator, method):
        with pytest.raises(NotFittedError):
            getattr(clone(estimator), method)(X)
        with pytest.raises(NotFittedError):
            clone(estimator).sample()

    @pytest.mark.parametrize("method", ["predict", "score", "bic"])
    def test_inf(self, estimator, method):
        fitted = clone(estimator).fit(X)
        with pytest.raises(ValueError, match="infinity"):
            getattr(fitted, method)(changed((0, 0), np.inf))

    @pytest.mark.parametrize("method", ["score", "bic", "aic", "icl"])
    def test_bad_weights(self, estimator, method):
        fitted = clone(estimator).fit(X)
        with pytest.raises(ValueError, match="sample_weight"):
            getattr(fitted, method)(X, sample_weight=-ONES)


def test_impute_and_conditional_want_a_fitted_mixture():
    with pytest.raises(NotFittedError):
        GaussianMixtureEM().impute(X)
    with pytest.raises(NotFittedError):
        GaussianMixtureEM().conditional({0: 1.0})


def test_a_warm_start_with_another_shape_says_so():
    mixture = GaussianMixtureEM(2, warm_start=True, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"warm_start=True.*2 components in 3.*warm_start=False"):
        mixture.set_params(n_components=3).fit(X)
