"""Standard errors by the observed information, and bounds on signs of weights."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from scipy.special import logsumexp
from sklearn.datasets import load_iris

from skem import MaxEntClassifier

X, y = load_iris(return_X_y=True)
X, y = X[:, :2], np.where(y == 2, 1, 2 * (y == 1))  # classes that overlap
rng = np.random.default_rng(0)
NOISY = np.where(rng.uniform(size=150) < 0.2, rng.integers(3, size=150), y)
WEIGHT = rng.uniform(0.2, 3, 150)

# Spector and Mazzeo (1980), as in Greene, Econometric Analysis, table 21.1: grade point average,
# score of an earlier test, whether taught by a new method, and whether grades improved.
SPECTOR = np.fromstring(
    """
    2.66 20 0 0  2.89 22 0 0  3.28 24 0 0  2.92 12 0 0  4.00 21 0 1  2.86 17 0 0  2.76 17 0 0
    2.87 21 0 0  3.03 25 0 0  3.92 29 0 1  2.63 20 0 0  3.32 23 0 0  3.57 23 0 0  3.26 25 0 1
    3.53 26 0 0  2.74 19 0 0  2.75 25 0 0  2.83 19 0 0  3.12 23 1 0  3.16 25 1 1  2.06 22 1 0
    3.62 28 1 1  2.89 14 1 0  3.51 26 1 0  3.54 24 1 1  2.83 27 1 1  3.39 17 1 1  2.67 24 1 0
    3.65 21 1 1  4.00 23 1 1  3.10 21 1 0  2.39 19 1 1
    """,
    sep=" ",
).reshape(-1, 4)


def test_published_standard_errors_of_a_logit():
    """Greene, table 21.2: estimates and standard errors, log-likelihood -12.890."""
    rows, grade = SPECTOR[:, :3], SPECTOR[:, 3]
    fit = MaxEntClassifier(np.inf, standard_errors=True, tol=1e-12).fit(rows, grade)
    np.testing.assert_allclose(fit.coef_, [[2.826, 0.095, 2.379]], atol=6e-4)
    np.testing.assert_allclose(fit.intercept_, [-13.021], atol=6e-4)
    np.testing.assert_allclose(fit.standard_errors_["coef"], [[1.263, 0.142, 1.065]], atol=6e-4)
    np.testing.assert_allclose(fit.standard_errors_["intercept"], [4.931], atol=6e-4)
    assert -32 * fit.objective_ == pytest.approx(-12.890, abs=6e-4)


def covariance_by_hand(rows, classes, weight, l2):
    """Of weights and intercepts of K classes that sum to zero, by contrasts with class 0.

    A generalised inverse of the information that has no common direction is that of contrasts.
    """
    Z = np.column_stack([rows, np.ones(len(rows))])
    fit = MaxEntClassifier(1 / l2 if l2 else np.inf, tol=1e-13).fit(rows, classes, weight)
    P = fit.predict_proba(rows)
    K, q = P.shape[1], Z.shape[1]
    information = np.zeros((K, q, K, q))
    for a in range(K):
        for b in range(K):
            d = weight * P[:, a] * ((a == b) - P[:, b])
            information[a, :, b] = Z.T @ (d[:, None] * Z)
    information = information.reshape(K * q, K * q)
    if l2:
        for a in range(K):
            index = a * q + np.arange(q - 1)
            information[index, index] += l2
    covariance = np.linalg.pinv(information, rcond=1e-12, hermitian=True)
    errors = np.sqrt(covariance.diagonal()).reshape(K, q)
    return errors[:, :-1], errors[:, -1]


@pytest.mark.parametrize(
    ("kind", "l2"),
    [("dense", 0.0), ("dense", 0.7), ("sparse", 0.0), ("sparse", 0.7), ("joint", 0.7)],
)
def test_errors_are_the_inverse_information(kind, l2):
    errors, of_intercepts = covariance_by_hand(X - X.mean(0), NOISY, WEIGHT, l2)
    options = {"standard_errors": True, "tol": 1e-12, "C": 1 / l2 if l2 else np.inf}
    rows = X - X.mean(0)
    if kind == "joint":
        options["feature_function"] = lambda X, c: np.kron(np.arange(3) == c, X)
    fit = MaxEntClassifier(**options)
    fit.fit(sp.csr_array(rows) if kind == "sparse" else rows, NOISY, WEIGHT)
    found = fit.standard_errors_
    np.testing.assert_allclose(found["coef"], errors.reshape(fit.coef_.shape), rtol=1e-5)
    np.testing.assert_allclose(found["intercept"], of_intercepts, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e12])
@pytest.mark.parametrize("classes", [NOISY, NOISY > 0], ids=["three", "two"])
def test_errors_have_the_units_of_weights(scale, classes):
    scales = np.array([scale, 1.0])
    options = {"C": np.inf, "standard_errors": True, "tol": 1e-12}
    one = MaxEntClassifier(**options).fit(X, classes).standard_errors_
    other = MaxEntClassifier(**options).fit(X * scales + 1e5 * scales, classes).standard_errors_
    np.testing.assert_allclose(other["coef"] * scales, one["coef"], rtol=1e-5)


def test_what_the_data_say_nothing_of_has_no_finite_error():
    twice = np.column_stack([X, X[:, 0], np.full(150, 3.0)])
    fit = MaxEntClassifier(np.inf, standard_errors=True).fit(twice, NOISY > 0)
    finite = np.isfinite(fit.standard_errors_["coef"][0])
    np.testing.assert_array_equal(finite, [False, True, False, False])
    assert np.isinf(fit.standard_errors_["intercept"]).all()
    joint = MaxEntClassifier(  # a weight for each class: what all have in common cancels
        np.inf, feature_function=lambda X, c: np.kron(np.arange(3) == c, X), standard_errors=True
    ).fit(X, NOISY)
    assert np.isinf(joint.standard_errors_["coef"]).all()
    assert np.isfinite(joint.standard_errors_["intercept"]).all()


def test_errors_only_where_they_mean_something_and_only_if_asked_for():
    assert not hasattr(MaxEntClassifier().fit(X, y), "standard_errors_")
    for options in ({"l1_ratio": 0.5}, {"expectation_box": 0.1}, {"weight_signs": 1}):
        with pytest.raises(ValueError, match="standard_errors=True has no meaning"):
            MaxEntClassifier(standard_errors=True, **options).fit(X, y)


# ---------------------------------------------------------------------- signs
@pytest.mark.parametrize("options", [{}, {"C": np.inf}, {"l1_ratio": 0.5}], ids=str)
@pytest.mark.parametrize("scale", [1.0, 1e9, 1e-9])
@pytest.mark.parametrize("kind", ["dense", "sparse", "joint"])
def test_signs_are_kept_and_the_optimum_is_that_of_a_bounded_minimisation(options, scale, kind):
    rows = np.column_stack([X - X.mean(0), (X[:, 0] - 5.8) ** 2])
    signs = np.array([1, -1, 0])
    target = NOISY > 0
    scales = np.array([1.0, scale, 1.0]) if options.get("C") == np.inf else np.ones(3)
    settings = {**options, "weight_signs": signs, "tol": 1e-9}
    given = rows * scales
    if kind == "joint":
        settings["feature_function"] = lambda X, c: X * c
    fit = MaxEntClassifier(**settings).fit(
        sp.csr_array(given) if kind == "sparse" else given, target
    )
    w = fit.coef_.ravel() * scales
    assert (w * signs >= 0).all()
    assert fit.converged_
    assert fit.solver_ == "split-lbfgs"
    C, ratio = options.get("C", 1.0), options.get("l1_ratio", 0.0)

    def value(theta):
        L = np.column_stack([np.zeros(150), rows @ theta[:3] + theta[3]])
        penalty = ratio * np.abs(theta[:3]).sum() + (1 - ratio) * (theta[:3] ** 2).sum() / 2
        loss = logsumexp(L, axis=1) - L[np.arange(150), target.astype(int)]
        return loss.mean() + penalty / (C * 150)

    bounds = [(0, None), (None, 0), (None, None), (None, None)]
    best = min(
        scipy.optimize.minimize(value, start, bounds=bounds, method="Powell", tol=1e-10).fun
        for start in (np.array([0.5, -0.5, 0.1, 0.1]), np.array([0.1, -2.0, -0.5, 0.0]))
    )
    assert fit.objective_ - fit.optimality_gap_ <= best + 1e-12
    assert fit.objective_ <= best + 1e-9


def test_signs_of_each_class_and_wrong_ones():
    signs = np.array([[1, 0], [0, -1], [-1, -1]])
    fit = MaxEntClassifier(weight_signs=signs, tol=1e-8).fit(X, NOISY)
    assert (fit.coef_ * signs >= 0).all()
    assert fit.converged_
    positive = MaxEntClassifier(weight_signs=1).fit(X, NOISY > 0)
    assert (positive.coef_ >= 0).all()
    with pytest.raises(ValueError, match=r"weight_signs must hold 1 .* got 2"):
        MaxEntClassifier(weight_signs=[2, 0]).fit(X, y)
    with pytest.raises(ValueError, match=r"weight_signs has shape \(3,\)"):
        MaxEntClassifier(weight_signs=[1, 0, 1]).fit(X, y)
    with pytest.raises(ValueError, match="cannot bound signs of weights"):
        MaxEntClassifier(weight_signs=1, solver="newton-cholesky").fit(X, y)


def test_signs_may_forbid_what_separates():
    line = np.arange(6.0)[:, None]
    classes = line.ravel() > 2
    forbidden = MaxEntClassifier(np.inf, weight_signs=-1, tol=1e-9).fit(line, classes)
    assert not forbidden.separable_
    assert forbidden.converged_
    np.testing.assert_array_equal(forbidden.coef_, 0)
    with pytest.warns(UserWarning, match="separable"):
        assert MaxEntClassifier(np.inf, weight_signs=1).fit(line, classes).separable_


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1, 1e5, 1e10])
def test_a_prior_bounds_standard_errors_in_all_units(scale):
    """No posterior is wider than its prior, and the part that classes share is the prior's."""
    fit = MaxEntClassifier(2.0, standard_errors=True).fit(X * scale, NOISY)
    errors = fit.standard_errors_["coef"]
    assert (errors <= np.sqrt(2) * (1 + 1e-9)).all()
    assert (errors >= np.sqrt(2 / 3) * (1 - 1e-9)).all()


@pytest.mark.parametrize("origin", [10.0, 4e3, 5e3, 1e6])
def test_standard_errors_of_weights_do_not_depend_on_the_origin(origin):
    plain = MaxEntClassifier(standard_errors=True, tol=1e-10).fit(X, NOISY)
    moved = MaxEntClassifier(standard_errors=True, tol=1e-10).fit(X + origin, NOISY)
    expected, errors = plain.standard_errors_["coef"], moved.standard_errors_["coef"]
    np.testing.assert_allclose(errors, expected, rtol=1e-4)
    # Intercepts sum to zero over the classes, so only contrasts of weights enter, times the origin.
    contrasts = np.sqrt(expected**2 - 1 / 3)
    largest = contrasts.sum(axis=1) * origin + plain.standard_errors_["intercept"]
    assert (moved.standard_errors_["intercept"] <= largest * 1.001).all()


def test_without_intercepts_the_prior_is_left_where_the_data_tell_nothing():
    rows = X[:, [0]] + 4000
    fit = MaxEntClassifier(1e4, fit_intercept=False, standard_errors=True).fit(rows, NOISY)
    np.testing.assert_allclose(fit.standard_errors_["coef"], 100 / np.sqrt(3), rtol=1e-4)
