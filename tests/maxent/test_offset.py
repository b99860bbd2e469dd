"""Offsets, and classes that a row cannot have."""

import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
import sklearn
from scipy.special import logsumexp
from sklearn.model_selection import KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skem import MaxEntClassifier

K = 4


def choices(seed=0, n=300):
    """Attributes (n, K, 2), which alternatives are there, and what was chosen of them."""
    rng = np.random.default_rng(seed)
    attributes = rng.standard_normal((n, K, 2))
    there = rng.uniform(size=(n, K)) < 0.7
    there[np.arange(n), rng.integers(K, size=n)] = True
    utility = attributes @ [1.0, -0.5] + [0.0, 0.5, -0.3, 0.2] + rng.gumbel(size=(n, K))
    return attributes, there, np.where(there, utility, -np.inf).argmax(axis=1)


def loss(L, y):
    return (logsumexp(L, axis=1) - L[np.arange(len(y)), y]).mean()


def dense(X, c):
    return np.where(X[:, c, 2:] > 0, X[:, c, :2], -np.inf)


def sparse(X, c):
    return sp.csr_array(dense(X, c))


def dictionaries(X, c):
    return [
        {"a": a, "b": b} if there else {"a": -np.inf, "other": np.nan}
        for a, b, there in X[:, c].tolist()
    ]


def masked(attributes, there):
    return np.concatenate([attributes, there[:, :, None]], axis=2)


def by_hand(attributes, there, y):
    """Weights and constants of the conditional logit, by scipy."""

    def value(theta):
        L = attributes @ theta[:2] + np.append(0.0, theta[2:])
        return loss(np.where(there, L, -np.inf), y)

    answer = scipy.optimize.minimize(value, np.zeros(K + 1), method="BFGS", options={"gtol": 1e-9})
    return answer.x, answer.fun


@pytest.mark.parametrize("function", [dense, sparse, dictionaries])
@pytest.mark.parametrize("solver", ["newton-cholesky", "diagonal-lbfgs", "split-lbfgs"])
def test_the_likelihood_is_that_of_the_alternatives_that_are_there(function, solver):
    attributes, there, y = choices()
    X = masked(attributes, there)
    fit = MaxEntClassifier(np.inf, feature_function=function, solver=solver, tol=1e-12).fit(X, y)
    theta, value = by_hand(attributes, there, y)
    assert fit.objective_ == pytest.approx(value, abs=1e-11)
    np.testing.assert_allclose(fit.coef_[:2], theta[:2], atol=1e-5)
    constants = np.append(0.0, theta[2:])
    np.testing.assert_allclose(fit.intercept_, constants - constants.mean(), atol=1e-5)
    p = fit.predict_proba(X)
    np.testing.assert_array_equal(p[~there], 0)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert there[np.arange(len(y)), fit.predict(X)].all()
    assert np.isneginf(fit.predict_log_proba(X)[~there]).all()
    assert fit.optimality_gap_ <= 1e-12


def test_weights_of_zero_as_an_offset_are_not_the_same_as_an_alternative_that_is_not_there():
    attributes, there, y = choices()
    available = MaxEntClassifier(np.inf, feature_function=dense, fit_intercept=False)
    available.fit(masked(attributes, there), y)
    zeros = MaxEntClassifier(np.inf, feature_function=dense, fit_intercept=False)
    zeros.fit(masked(attributes * there[:, :, None], np.ones_like(there)), y)
    assert zeros.objective_ - available.objective_ > 0.1


def test_minus_infinity_in_the_offset_says_the_same():
    attributes, there, y = choices()
    joint = MaxEntClassifier(feature_function=dense, tol=1e-11)
    one = joint.fit(masked(attributes, there), y)
    offset = np.where(there, 0.0, -np.inf)
    everywhere = masked(attributes, np.ones_like(there))
    two = MaxEntClassifier(feature_function=dense, tol=1e-11).fit(everywhere, y, offset=offset)
    np.testing.assert_allclose(two.coef_, one.coef_, atol=1e-6)
    np.testing.assert_allclose(
        two.predict_proba(everywhere, offset=offset),
        one.predict_proba(masked(attributes, there)),
        atol=1e-6,
    )


def test_chocolate_candies():
    """So and Kuhfeld (1995): each of ten persons chooses one of eight candies, which are dark or
    milk, soft or hard, with nuts or without. Published: dark 1.38629 (0.79057), soft -2.19722
    (1.05409), nuts 0.84730 (0.69007), minus twice the log-likelihood 28.727.

    The candies of person i lie at eight of ten places, the chosen one at place i.
    """
    candies = np.array([[d, s, n] for d in (0, 1) for s in (0, 1) for n in (0, 1)], dtype=float)
    chosen = np.array([5, 6, 7, 5, 2, 6, 2, 6, 6, 6]) - 1
    places = np.full((10, 10, 3), -np.inf)
    rng = np.random.default_rng(0)
    for i, candy in enumerate(chosen):
        places[i, i] = candies[candy]
        others = rng.permutation(np.delete(np.arange(10), i))[:7]
        places[i, others] = np.delete(candies, candy, axis=0)
    fit = MaxEntClassifier(
        np.inf,
        feature_function=lambda X, place: X[:, place],
        fit_intercept=False,
        standard_errors=True,
        tol=1e-12,
    ).fit(places, np.arange(10))
    np.testing.assert_allclose(fit.coef_, [1.38629, -2.19722, 0.84730], atol=2e-5)
    errors = fit.standard_errors_["coef"]
    np.testing.assert_allclose(errors, [0.79057, 1.05409, 0.69007], atol=2e-5)
    assert 20 * fit.objective_ == pytest.approx(28.727, abs=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "options", [{}, {"C": np.inf}, {"l1_ratio": 0.5}, {"solver": "gis"}], ids=str
)
def test_an_offset_is_a_column_with_a_coefficient_of_one(n_classes, options):
    rng = np.random.default_rng(1)
    X, offset = rng.uniform(size=(200, 3)), rng.standard_normal((200, n_classes))
    W = 2 * rng.standard_normal((3, n_classes))
    y = (X @ W + offset + rng.gumbel(size=(200, n_classes))).argmax(axis=1)
    fit = MaxEntClassifier(tol=1e-7, max_iter=20_000, **options).fit(X, y, offset=offset)
    assert fit.converged_

    def value(theta):
        W = theta.reshape(-1, 4)
        L = np.zeros((200, n_classes)) + offset
        L[:, n_classes - len(W) :] += X @ W[:, :3].T + W[:, 3]
        C, ratio = options.get("C", 1.0), options.get("l1_ratio", 0.0)
        w = W[:, :3]
        penalty = ratio * np.abs(w).sum() + (1 - ratio) * (w**2).sum() / 2
        return loss(L, y) + penalty / (C * 200)

    theta = np.column_stack([fit.coef_, fit.intercept_])
    assert fit.objective_ == pytest.approx(value(theta), abs=1e-12)
    answer = scipy.optimize.minimize(value, theta.ravel(), method="Powell", options={"ftol": 1e-12})
    assert fit.objective_ <= answer.fun + 1e-7
    L = fit.decision_function(X, offset)
    if n_classes == 2:
        np.testing.assert_allclose(L, X @ fit.coef_[0] + fit.intercept_ + np.diff(offset)[:, 0])
        one = MaxEntClassifier(tol=1e-7, max_iter=20_000, **options)
        one.fit(X, y, offset=offset[:, 1] - offset[:, 0])
        np.testing.assert_allclose(one.coef_, fit.coef_, atol=1e-3)
    else:
        np.testing.assert_allclose(L, X @ fit.coef_.T + fit.intercept_ + offset)
    p = fit.predict_proba(X, offset=offset)
    np.testing.assert_allclose(np.log(p), fit.predict_log_proba(X, offset), atol=1e-12)


def test_more_columns_than_rows_and_sparse_rows_take_offsets():
    rng = np.random.default_rng(2)
    X, y, offset = rng.standard_normal((30, 50)), np.arange(30) % 3, rng.standard_normal((30, 3))
    fits = [
        MaxEntClassifier(tol=1e-10, solver=solver).fit(rows, y, offset=offset)
        for solver, rows in (
            ("row-space", X),
            ("block-lbfgs", X),
            ("diagonal-lbfgs", sp.csr_array(X)),
        )
    ]
    for fit in fits[1:]:
        np.testing.assert_allclose(fit.coef_, fits[0].coef_, atol=1e-4)


def test_the_gap_is_a_bound_with_offsets():
    rng = np.random.default_rng(3)
    X, offset = rng.standard_normal((100, 3)), 3 * rng.standard_normal((100, 3))
    offset[rng.uniform(size=offset.shape) < 0.2] = -np.inf
    y = (X + offset + 1e-9 * (offset == -np.inf) + rng.gumbel(size=(100, 3))).argmax(axis=1)
    rows = np.isfinite(offset).any(axis=1)
    X, y, offset = X[rows], y[rows], offset[rows]
    for C in (1.0, np.inf):
        best = MaxEntClassifier(C, tol=1e-13).fit(X, y, offset=offset).objective_
        for max_iter in (1, 2, 3, 4):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit = MaxEntClassifier(C, max_iter=max_iter).fit(X, y, offset=offset)
            assert fit.objective_ - best <= fit.optimality_gap_ + 1e-14


def test_separation_is_that_of_the_weights_and_of_the_classes_that_can_be():
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((60, 2)), np.arange(60) % 2
    offset = np.where(y, 9.0, -9.0)  # the offset alone classifies all rows rightly
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not MaxEntClassifier(np.inf).fit(X, y, offset=offset).separable_
    line, y = np.arange(6.0)[:, None], np.array([0, 0, 1, 0, 1, 1])
    offset = np.zeros((6, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not MaxEntClassifier(np.inf).fit(line, y, offset=offset).separable_
    offset[[2, 3]] = [[-np.inf, 0], [0, -np.inf]]  # these two rows have no choice
    with pytest.warns(UserWarning, match="separable"):
        assert MaxEntClassifier(np.inf).fit(line, y, offset=offset).separable_


# ---------------------------------------------------------------------- scores
@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_are_those_of_predictions_with_the_same_offset(n_classes):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((80, 2)), rng.integers(n_classes, size=80)
    offset = rng.normal(scale=2, size=(80, n_classes) if n_classes > 2 else 80)
    weight = rng.uniform(size=80)
    fit = MaxEntClassifier().fit(X, y, offset=offset)
    right = fit.predict(X, offset) == y
    assert fit.score(X, y, offset=offset) == pytest.approx(right.mean())
    assert fit.score(X, y, weight, offset) == pytest.approx(weight @ right / weight.sum())
    with pytest.warns(UserWarning, match="The fit had an offset"):
        without = fit.score(X, y, weight)
    assert without == fit.score(X, y, weight, np.zeros((80, n_classes)))
    assert without != fit.score(X, y, weight, offset)
    with pytest.raises(ValueError, match="offset has shape"):
        fit.score(X, y, offset=offset[:5])


def test_offsets_are_routed_to_fits_and_scores():
    rng = np.random.default_rng(1)
    X, y, offset = rng.standard_normal((90, 2)), np.arange(90) % 3, rng.standard_normal((90, 3))
    with sklearn.config_context(enable_metadata_routing=True):
        model = MaxEntClassifier().set_fit_request(offset=True).set_score_request(offset=True)
        pipeline = make_pipeline(StandardScaler(with_std=False), model)
        result = cross_validate(pipeline, X, y, params={"offset": offset}, cv=KFold(2))
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="offset"):
            cross_validate(MaxEntClassifier(), X, y, params={"offset": offset}, cv=KFold(2))
    halves = np.arange(90) < 45, np.arange(90) >= 45
    for test, train, score in zip(halves, halves[::-1], result["test_score"], strict=True):
        centre = X[train].mean(axis=0)
        fit = MaxEntClassifier().fit(X[train] - centre, y[train], offset=offset[train])
        assert score == fit.score(X[test] - centre, y[test], offset=offset[test])


BAD = {
    "shape": (np.zeros((5, 3)), r"offset has shape \(5, 3\), expected .*= \(6, 2\), or"),
    "text": (["a"] * 6, "offset must hold real numbers"),
    "NaN": (np.full(6, np.nan), "offset contains NaN"),
    "infinity": (np.full(6, np.inf), "offset contains infinity"),
    "no class": (np.full((6, 2), -np.inf), "minus infinity for all classes of row 0"),
    "own class": (np.full(6, -np.inf), "Row 3 has class 1 in y, which it cannot have"),
}


@pytest.mark.parametrize(("offset", "message"), BAD.values(), ids=BAD)
def test_bad_offsets(offset, message):
    fit = MaxEntClassifier()
    with pytest.raises(ValueError, match=message):
        fit.fit(np.arange(6.0)[:, None], [0, 0, 0, 1, 1, 1], offset=offset)
    assert not hasattr(fit, "coef_")


def test_rows_that_can_have_no_class_and_classes_that_cannot_be():
    attributes, there, y = choices()
    fit = MaxEntClassifier(feature_function=dense)
    none = there.copy()
    none[7] = False
    with pytest.raises(ValueError, match="minus infinity for all classes of row 7"):
        fit.fit(masked(attributes, none), y)
    wrong = there.copy()
    wrong[5, y[5]], wrong[5, (y[5] + 1) % K] = False, True
    with pytest.raises(ValueError, match=f"Row 5 has class {y[5]} in y, which it cannot have"):
        fit.fit(masked(attributes, wrong), y)


def test_a_call_without_the_offset_of_the_fit_warns():
    rows, _, chosen = choices()
    offset = np.zeros((len(rows), K))
    offset[:, 0] = 1.0
    fit = MaxEntClassifier().fit(rows[:, 0], chosen, offset=offset)
    for call in (fit.predict, fit.predict_proba, fit.decision_function):
        with pytest.warns(UserWarning, match="The fit had an offset, and this call has none"):
            without = call(rows[:, 0])
        np.testing.assert_array_equal(call(rows[:, 0], offset=np.zeros_like(offset)), without)
    fit.fit(rows[:, 0], chosen).predict(rows[:, 0])  # silent again
