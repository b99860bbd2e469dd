"""L1 penalties: optima, their conditions, and the duality gap that proves them."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_wine, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from skem import MaxEntClassifier
from skem.maxent.classifier.designs._joint import JointDesign
from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers._coordinate import coordinate_descent
from skem.maxent.classifier.solvers._objective import Objective
from skem.maxent.classifier.solvers._solvers import SOLVERS, choose, solver_of
from skem.maxent.classifier.solvers._split import split_lbfgs

MINIMISERS = [coordinate_descent, split_lbfgs]
L1_SOLVERS = [name for name, kind in SOLVERS.items() if kind.absolute]
SMOOTH_SOLVERS = [name for name, kind in SOLVERS.items() if not kind.absolute]


def rows(n_classes, n=120, p=12, seed=0):
    X, y = make_classification(
        n,
        p,
        n_informative=5,
        n_redundant=0,
        n_classes=n_classes,
        flip_y=0.2,
        random_state=seed,
    )
    return X, y


def objective_of(X, y, C=1.0, l1_ratio=1.0, intercept=True, weight=None):
    design = LinearDesign(
        X, y, weight, n_classes=y.max() + 1, intercept=intercept, n_jobs=1
    )  # fmt: skip
    strength = np.full(design.n_weights, 1 / (C * design.total_weight))
    return Objective(design, (1 - l1_ratio) * strength, l1_ratio * strength)


def gradient_of(model, X, y, C, l1_ratio, weight):
    """Of the mean loss plus the squared part of the penalty, for weights and intercepts."""
    P = model.predict_proba(X)
    R = P - (y[:, None] == model.classes_)
    R = (R[:, 1:] if len(model.classes_) == 2 else R) * weight[:, None] / weight.sum()
    strength = 1 / (C * weight.sum())
    return R.T @ X + (1 - l1_ratio) * strength * model.coef_, R.sum(0), l1_ratio * strength


@pytest.mark.parametrize("solver", L1_SOLVERS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_optimum_is_that_of_logistic_regression(n_classes, l1_ratio, fit_intercept, solver):
    X, y = rows(n_classes)
    parameters = {"C": 0.5, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
    model = MaxEntClassifier(**parameters, solver=solver, tol=1e-13).fit(X, y)
    other = LogisticRegression(
        **parameters, solver="saga", tol=1e-12, max_iter=100_000, random_state=0
    ).fit(X, y)
    np.testing.assert_allclose(model.coef_, other.coef_, atol=1e-6)
    np.testing.assert_array_equal(model.coef_ == 0, other.coef_ == 0)
    np.testing.assert_allclose(model.decision_function(X), other.decision_function(X), atol=1e-5)


def test_weights_of_rows_and_classes_are_those_of_logistic_regression():
    X, y = rows(3)
    weight = np.random.RandomState(0).uniform(0.1, 3, len(y))
    parameters = {"C": 0.3, "l1_ratio": 1.0, "class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}
    model = MaxEntClassifier(**parameters, tol=1e-13).fit(X, y, weight)
    other = LogisticRegression(**parameters, solver="saga", tol=1e-12, max_iter=100_000)
    np.testing.assert_allclose(model.coef_, other.fit(X, y, weight).coef_, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_dense_csr_and_csc_have_one_optimum(n_classes, l1_ratio):
    X, y = rows(n_classes)
    X[X < 0.3] = 0
    C = 0.5
    fits = [
        MaxEntClassifier(C, l1_ratio=l1_ratio, tol=1e-12).fit(container(X), y)
        for container in (np.asarray, sp.csr_matrix, sp.csc_array)
    ]
    for other in fits[1:]:
        assert other.objective_ == pytest.approx(fits[0].objective_, abs=1e-12)
        np.testing.assert_allclose(other.predict_proba(X), fits[0].predict_proba(X), atol=1e-5)
    assert {fit.solver_ for fit in fits} == {"coordinate-descent"}


@pytest.mark.parametrize("solver", L1_SOLVERS)
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_conditions_of_the_optimum_hold_in_columns_as_they_come(load, l1_ratio, solver):
    X, y = load(return_X_y=True)
    weight = np.random.RandomState(0).uniform(0.5, 2, len(y))
    model = MaxEntClassifier(1.0, l1_ratio=l1_ratio, solver="auto", tol=1e-12)
    if solver == "split-lbfgs":  # without scales, L-BFGS needs them from outside
        X = (X - X.mean(0)) / X.std(0)
        model.set_params(solver=solver, tol=1e-11)
    model.fit(X, y, weight)
    G, gb, width = gradient_of(model, X, y, 1.0, l1_ratio, weight)
    zero = model.coef_ == 0
    assert 0 < zero.sum() < zero.size
    assert (np.abs(G[zero]) <= width * (1 + 1e-3)).all()
    np.testing.assert_allclose(G[~zero], -width * np.sign(model.coef_[~zero]), rtol=1e-2)
    np.testing.assert_allclose(gb, 0, atol=1e-6)


@pytest.mark.parametrize("minimiser", MINIMISERS)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.9, 0.1])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_gap_bounds_the_distance_to_the_optimum_whenever_it_stops(
    n_classes, intercept, l1_ratio, minimiser
):
    X, y = rows(n_classes, p=30)
    problem = (X, y, 3.0, l1_ratio, intercept)
    objective = objective_of(*problem)
    start = np.zeros(objective.design.n_params)
    best = coordinate_descent(objective, start, tol=1e-15, max_iter=200).value
    for max_iter in range(1, 8):
        result = minimiser(objective, start, tol=1e-9, max_iter=max_iter)
        assert np.isfinite(result.gap)
        assert -1e-14 <= result.value - best <= result.gap + 1e-14
        assert (np.diff(result.values) <= 0).all()
        assert result.values[-1] == result.value


@pytest.mark.parametrize("step", ["none", "random", "long"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_any_step_gives_a_bound(n_classes, l1_ratio, step):
    X, y = rows(n_classes)
    objective = objective_of(X, y, 1.0, l1_ratio)
    start = np.zeros(objective.design.n_params)
    best = coordinate_descent(objective, start, tol=1e-13, max_iter=200).value
    rng = np.random.RandomState(0)
    for _ in range(5):
        theta = rng.standard_normal(start.size)
        v = rng.standard_normal(start.size) * {"none": 0.0, "random": 0.1, "long": 30.0}[step]
        smooth, _ = objective.smooth(theta)
        value = smooth + objective.absolute(theta)
        assert value - best <= objective.gap(theta, value, v) < np.inf


@pytest.mark.parametrize("minimiser", MINIMISERS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_penalties_differ_among_weights(n_classes, minimiser):
    X, y = rows(n_classes)
    design = LinearDesign(X, y, None, n_classes=n_classes, intercept=True, n_jobs=1)
    rng = np.random.RandomState(1)
    l1, l2 = rng.uniform(0, 0.1, (2, design.n_weights))
    l1[::3] = 0
    l2[::2] = 0
    l1[0] = l2[0] = 0
    objective = Objective(design, l2, l1)
    result = minimiser(objective, np.zeros(design.n_params), tol=1e-11, max_iter=500)
    assert result.gap <= 1e-11
    _, gradient = objective.smooth(result.theta)
    zero = (result.theta == 0) & (objective.l1 > 0)
    assert zero.any()
    assert (np.abs(gradient[zero]) <= objective.l1[zero]).all()
    aim = -objective.l1 * np.sign(result.theta)
    np.testing.assert_allclose(gradient[~zero], aim[~zero], atol=1e-5)


@pytest.mark.parametrize("solver", L1_SOLVERS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_strong_penalty_leaves_class_frequencies(n_classes, solver):
    X, y = rows(n_classes)
    weight = np.random.RandomState(0).uniform(0.5, 2, len(y))
    frequencies = np.bincount(y, weight) / weight.sum()
    R = (y[:, None] == np.arange(n_classes)) - frequencies
    largest = np.abs((R * weight[:, None]).T @ X).max()  # the least 1 / C at which all is zero
    model = MaxEntClassifier(0.999 / largest, l1_ratio=1.0, solver=solver, tol=1e-12)
    model.fit(X, y, weight)
    assert not model.coef_.any()
    np.testing.assert_allclose(model.predict_proba(X[:1])[0], frequencies, atol=1e-6)
    assert model.set_params(C=1.01 / largest).fit(X, y, weight).coef_.any()


@pytest.mark.parametrize("minimiser", MINIMISERS)
def test_zero_tolerance_ends(minimiser):
    X, y = rows(3)
    objective = objective_of(X, y)
    result = minimiser(objective, np.zeros(objective.design.n_params), tol=0.0, max_iter=10_000)
    assert result.n_iter < 1000
    assert 0 <= result.gap < 1e-10


def test_more_columns_than_rows():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((60, 2000)) * np.exp(rng.standard_normal(2000)) + 3
    y = (X[:, :3].sum(1) + rng.standard_normal(60) > 9).astype(int)
    for l1_ratio in (1.0, 0.5):
        model = MaxEntClassifier(10.0, l1_ratio=l1_ratio).fit(X, y)
        assert model.converged_
        assert model.n_iter_ < 40


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_float32_is_near_float64(container):
    X, y = rows(3)
    X = X.astype(np.float32)
    single = MaxEntClassifier(l1_ratio=1.0).fit(container(X), y)
    double = MaxEntClassifier(l1_ratio=1.0).fit(container(X.astype(np.float64)), y)
    assert single.coef_.dtype == np.float32
    assert single.converged_
    np.testing.assert_allclose(single.coef_, double.coef_, atol=1e-3)


def test_columns_without_information_get_no_weight():
    X, y = rows(3)
    X = np.column_stack([X, np.zeros(len(X)), np.full(len(X), 1e3), X[:, 0]])
    for container in (np.asarray, sp.csr_array):
        model = MaxEntClassifier(l1_ratio=1.0).fit(container(X), y)
        assert model.converged_
        assert not model.coef_[:, -3:-1].any()


def test_warm_start_at_the_optimum_takes_a_step():
    X, y = rows(3)
    model = MaxEntClassifier(l1_ratio=1.0, warm_start=True, tol=1e-10).fit(X, y)
    first = model.coef_
    assert model.fit(X, y).n_iter_ <= 2
    np.testing.assert_allclose(model.coef_, first, atol=1e-6)


def test_coordinate_descent_serves_l2_too():
    X, y = load_wine(return_X_y=True)
    fits = [MaxEntClassifier(solver=s, tol=1e-10).fit(X, y) for s in ("coordinate-descent", "auto")]
    np.testing.assert_allclose(fits[0].coef_, fits[1].coef_, atol=1e-4)


@pytest.mark.parametrize("solver", SMOOTH_SOLVERS)
def test_smooth_solvers_refuse_l1(solver):
    X, y = rows(2)
    with pytest.raises(ValueError, match=r"solver=.*l1_ratio"):
        MaxEntClassifier(l1_ratio=0.5, solver=solver).fit(X, y)


def test_joint_designs_take_the_split():
    X, y = rows(2)
    pairs = np.vstack([X * (c == 0) for c in range(y.max() + 1)])
    design = JointDesign(pairs, y, None, n_classes=y.max() + 1, intercept=True, n_jobs=1)
    weight = np.full(design.n_weights, 0.1)
    objective = Objective(design, weight, weight)
    assert choose(objective) == "split-lbfgs"
    with pytest.raises(ValueError, match="feature_function take 'auto' or one of 'split-lbfgs'"):
        solver_of("coordinate-descent", objective, None)


@pytest.mark.parametrize("solver", L1_SOLVERS)
def test_too_few_steps_warn_with_the_gap(solver):
    X, y = rows(3)
    with pytest.warns(ConvergenceWarning, match="duality gap"):
        model = MaxEntClassifier(l1_ratio=1.0, solver=solver, max_iter=1, tol=1e-12).fit(X, y)
    assert not model.converged_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.set_params(max_iter=1000).fit(X, y).converged_


@pytest.mark.parametrize("minimiser", MINIMISERS)
def test_each_can_stop(minimiser):
    objective = objective_of(*rows(3))
    start = np.zeros(objective.design.n_params)
    seen = []

    def each(n_iter, value, gap, where):
        seen.append(n_iter)
        assert where().shape == start.shape
        return n_iter == 2

    result = minimiser(objective, start, tol=1e-14, max_iter=100, each=each)
    assert seen == [1, 2]
    assert result.n_iter == 2
    assert np.isfinite(result.gap)
