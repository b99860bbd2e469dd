"""Solvers of the classifier declare what they can: the others are refused, with those that can."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_iris

from skem import MaxEntClassifier
from skem.maxent.classifier.solvers._solvers import SOLVERS

X, y = load_iris(return_X_y=True)
CENTRED = X - X.mean(axis=0)
PER_CLASS = np.ones((3, 4))
PER_CLASS[0] = 2.0


def blocks(X, c):
    """The features x_j 1[y = c], as a user would write them."""
    return np.hstack([X * (c == k) for k in range(3)])


PROBLEMS = {
    "dense": ({}, X),
    "centred": ({}, CENTRED),
    "sparse": ({}, sp.csr_array(X)),
    "absolute values": ({"l1_ratio": 0.5}, X),
    "box": ({"expectation_box": 0.01}, X),
    "signs": ({"weight_signs": 1}, X),
    "a penalty for each class": ({"prior_variance": PER_CLASS}, X),
    "joint": ({"feature_function": blocks}, X),
    "joint, absolute values": ({"feature_function": blocks, "l1_ratio": 0.5}, X),
    "joint, centred": ({"feature_function": blocks}, CENTRED),
}


@pytest.mark.filterwarnings("ignore:.*duality gap")  # iterative scaling is slow
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_solver_solves_a_problem_or_names_those_that_do(problem, solver):
    options, rows = PROBLEMS[problem]
    best = MaxEntClassifier(**options).fit(rows, y).objective_
    try:
        fit = MaxEntClassifier(solver=solver, **options).fit(rows, y)
    except ValueError as error:
        named = re.findall(r"'([a-z0-9-]+)'", str(error).split("one of", 1)[1])
        others = [MaxEntClassifier(solver=name, **options).fit(rows, y) for name in named]
        assert others
        assert solver not in named
    else:
        others = [fit]
    for fit in others:
        assert fit.objective_ <= best + max(fit.optimality_gap_, 2e-6)
