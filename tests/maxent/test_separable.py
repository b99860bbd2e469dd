"""Separable data have no maximum-likelihood weights: that is proven and said."""

import warnings

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning

from skem import MaxEntClassifier
from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers import _separable
from skem.maxent.classifier.solvers._objective import Objective

X, y = load_iris(return_X_y=True)
LINE = np.arange(8.0)[:, None]
SOLVERS = ("newton-cholesky", "block-lbfgs", "diagonal-lbfgs", "gis", "iis")


def separated(X, y, kind, C=np.inf, **options):
    fit = MaxEntClassifier(C, **options)
    with pytest.warns(ConvergenceWarning, match=rf"separable \({kind}\).*finite C") as caught:
        fit.fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert fit.separable_
    return fit


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("classes", [2, 3])
def test_complete_separation_stops_at_weights_that_separate(solver, classes):
    labels = (LINE.ravel() > 3).astype(int) + (LINE.ravel() > 3) * (classes - 2) * (
        LINE.ravel() > 5
    )
    corners = np.eye(3)[labels][:, :classes] if classes == 3 else LINE
    fit = separated(corners, labels, "complete separation", solver=solver)
    assert fit.score(corners, labels) == 1
    assert fit.n_iter_ < 200
    assert fit.optimality_gap_ <= fit.objective_  # the infimum is zero


def test_complete_separation_of_thirty_columns_as_they_come():
    X, y = load_breast_cancer(return_X_y=True)
    assert separated(X, y, "complete separation").score(X, y) == 1


@pytest.mark.parametrize("solver", SOLVERS[:3])
def test_a_tie_at_the_border_is_quasi_complete_separation(solver):
    """The optimum is half for each of the two rows at the border, and sure of all others."""
    rows = np.append(LINE, 3.0)[:, None]
    labels = np.append(LINE.ravel() > 3, True)
    fit = separated(rows, labels, "quasi-complete separation", solver=solver)
    assert fit.objective_ == pytest.approx(2 * np.log(2) / 9, abs=1e-5)


@pytest.mark.parametrize("solver", SOLVERS[:3])
def test_one_class_apart_from_two_that_overlap(solver):
    fit = separated(X, y, "quasi-complete separation", solver=solver)
    two = MaxEntClassifier(C=np.inf).fit(X[50:], y[50:])
    assert fit.objective_ == pytest.approx(two.objective_ * 2 / 3, abs=1e-5)
    assert not two.separable_


@pytest.mark.parametrize("solver", ["auto", "row-space", "diagonal-lbfgs"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_more_columns_than_rows(solver, n_classes):
    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal((20, 1500)), np.arange(20) % n_classes
    fit = separated(rows, labels, "complete separation", solver=solver)
    assert fit.score(rows, labels) == 1
    assert fit.optimality_gap_ <= fit.objective_


def test_joint_features():
    def distance(X, c):
        return np.abs(X - 7 * c)

    separated(LINE, LINE.ravel() > 3, "complete separation", feature_function=distance)

    def apart(X, c):
        return np.column_stack([X * (c == 2), (y == 0) * (c == 0), (y != 0) * (c == 0)])[:, 1:]

    separated(X, y, "quasi-complete separation", feature_function=apart)


def test_a_feature_without_prior_may_separate_alone():
    setosa = (y == 0).astype(float)
    rows = np.column_stack([setosa, X[:, 1]])
    fit = separated(
        rows, y, "quasi-complete separation", C=1.0, prior_variance=[np.inf, 1.0], tol=1e-5
    )
    assert abs(fit.coef_[0, 0]) > 5
    assert not MaxEntClassifier(prior_variance=[1.0, 1.0]).fit(rows, y).separable_


def test_a_penalty_has_an_optimum_whatever_the_data():
    fit = MaxEntClassifier(C=100.0).fit(LINE, LINE.ravel() > 3)
    assert fit.converged_
    assert not fit.separable_


def test_overlap_is_proven_without_a_linear_programme(monkeypatch):
    monkeypatch.setattr(_separable, "_programme", None)
    rng = np.random.default_rng(0)
    for n_classes in (2, 3):
        labels = rng.integers(n_classes, size=len(X))
        assert not MaxEntClassifier(C=np.inf).fit(X, labels).separable_


def by_definition(X, y):
    """Some margin can grow and none falls: sum of t under 0 <= t <= 1, D d >= t."""
    n_classes = y.max() + 1
    F = np.column_stack([X, np.ones(len(X))])
    D = np.array(
        [
            np.kron(np.eye(n_classes)[y[i]] - np.eye(n_classes)[c], F[i])
            for i in range(len(X))
            for c in range(n_classes)
            if c != y[i]
        ]
    )
    answer = scipy.optimize.linprog(
        np.concatenate([np.zeros(D.shape[1]), -np.ones(len(D))]),
        A_ub=np.hstack([-D, np.eye(len(D))]),
        b_ub=np.zeros(len(D)),
        bounds=[(None, None)] * D.shape[1] + [(0, 1)] * len(D),
    )
    return -answer.fun > 0.5


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(5, 30), st.integers(2, 3), st.integers(1, 3))
def test_the_verdict_is_that_of_the_definition(seed, n, n_classes, n_columns):
    rng = np.random.default_rng(seed)
    rows = rng.integers(4, size=(n, n_columns)).astype(float)
    labels = np.append(np.arange(n_classes), rng.integers(n_classes, size=n - n_classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = MaxEntClassifier(C=np.inf, max_iter=100).fit(rows, labels)
    assert fit.separable_ == by_definition(rows, labels)


def test_differences_are_those_of_logits():
    rng = np.random.default_rng(0)
    for n_classes in (2, 3):
        labels = np.arange(len(X)) % n_classes
        design = LinearDesign(X, labels, None, n_classes=n_classes, intercept=True, n_jobs=1)
        theta = rng.standard_normal(design.n_params)
        Z = design.logits(theta)
        Z = np.vstack([np.zeros_like(Z), Z]) if n_classes == 2 else Z
        margins = Z[labels, np.arange(len(X))] - Z
        expected = [margins[c, labels != c] for c in range(n_classes)]
        np.testing.assert_allclose(
            _separable._differences(design) @ theta, np.concatenate(expected), atol=1e-10
        )


def test_programmes_too_large_are_left(monkeypatch):
    monkeypatch.setattr(_separable, "_LARGEST_PROGRAMME", 10)
    design = LinearDesign(LINE, LINE.ravel() > 3, None, n_classes=2, intercept=True, n_jobs=1)
    free = Objective(design, np.zeros(1), np.zeros(1)).l2 == 0
    assert _separable._programme(design, free, np.zeros(2)) is None
