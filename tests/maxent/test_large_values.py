"""A few values that are far larger than all others make no certificate false."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skem import MaxEntClassifier

N = 200
rng = np.random.default_rng(0)
x = rng.normal(size=N)
y = 1 * (x + rng.logistic(size=N) > 0)
y[0] = 1
TYPICAL = MaxEntClassifier(C=np.inf, tol=1e-12).fit(x[1:, None], y[1:])

SETTINGS = {
    "no penalty": {"C": np.inf},
    "L2": {"C": 1.0},
    "weak L2": {"C": 1e8},
    "L1": {"C": 1.0, "l1_ratio": 1.0},
    "elastic net": {"C": 1.0, "l1_ratio": 0.5},
    "box": {"C": np.inf, "expectation_box": 1e-3},
    "sign": {"C": np.inf, "weight_signs": 1},
    "Newton": {"C": np.inf, "solver": "newton-cholesky"},
    "rows": {"C": np.inf, "solver": "row-space"},
}


def own_column(rows, c):
    return rows[:, [c]]


def with_one_of(size):
    X = x[:, None].copy()
    X[0] = size
    return X


def objective(X, w, b, C=1.0, l1_ratio=0.0, expectation_box=0.0, **others):
    logits = X[:, 0] * w + b
    loss = np.logaddexp(0, np.where(y == 1, -logits, logits)).mean()
    penalty = (1 - l1_ratio) * w * w / 2 + l1_ratio * abs(w)
    return loss + penalty / (C * N) + expectation_box * abs(w)


@pytest.mark.parametrize("size", [1e4, 1e7, 1e9, 1e10, 1e12, 1e16, 1e20])
@pytest.mark.parametrize("name", SETTINGS)
def test_no_weights_have_an_objective_below_the_bound(name, size):
    """Those of the other rows have a margin of about ``size`` for the row of the large value."""
    X = with_one_of(size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = MaxEntClassifier(**SETTINGS[name]).fit(X, y)
    w, b = TYPICAL.coef_[0, 0], TYPICAL.intercept_[0]
    lowest = min(objective(X, share * w, b, **SETTINGS[name]) for share in np.linspace(0, 2, 81))
    assert fit.objective_ - fit.optimality_gap_ <= lowest + 1e-12
    assert not fit.separable_  # both classes lie among the other rows, in any order


@pytest.mark.parametrize("size", [1e4, 1e10, 1e12, 1e20])
@pytest.mark.parametrize("C", [1.0, np.inf])
def test_nor_with_joint_features(C, size):
    X = np.column_stack([np.zeros(N), with_one_of(size)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = MaxEntClassifier(C, feature_function=own_column, fit_intercept=False).fit(X, y)
    lowest = min(objective(X[:, 1:], w, 0.0, C) for w in np.linspace(0, 2, 81))
    assert fit.objective_ - fit.optimality_gap_ <= lowest + 1e-12


def test_overlap_among_six_rows_is_no_separation():
    X, classes = [[0.0], [1], [2], [3], [1.5], [1e10]], [0, 1, 0, 1, 1, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = MaxEntClassifier(C=np.inf).fit(X, classes)
    assert not fit.separable_
    assert fit.objective_ - fit.optimality_gap_ <= 0.48666  # known at values of 1e4 to 1e7


@pytest.mark.parametrize("size", [1e4, 1e10, 1e20])
def test_separation_is_found_beside_a_large_value(size):
    X = with_one_of(size)
    with pytest.warns(ConvergenceWarning, match="complete separation"):
        fit = MaxEntClassifier(C=np.inf).fit(X, 1 * (X[:, 0] > 0.1))
    assert fit.separable_
