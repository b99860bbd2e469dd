"""Training data of a classifier: rows that count, their classes and weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.feature_extraction import DictVectorizer
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skem._input import refuse_masks, validate_data
from skem._validation import check_known, check_weights
from skem.maxent._feature_function import joint_features, named


class Training(NamedTuple):
    """Rows of positive weight."""

    X: Any  # rows, or with joint features pairs of a class and a row, class after class
    codes: NDArray  # (n,) classes 0 ... n_classes - 1
    weight: NDArray | None  # (n,)
    classes: NDArray  # (n_classes,)
    vectorizer: DictVectorizer | None  # of joint features in dictionaries


def linear_training(estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None) -> Training:
    """Rows and classes for the features x_j 1[y = c]."""
    X, y = validate_data(
        estimator, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C"
    )
    check_classification_targets(check_known(y, "y"))
    rows, codes, weight, classes = _classes(y, sample_weight, estimator.class_weight, X)
    return Training(X if rows.all() else X[rows], codes, weight, classes, None)


def joint_training(estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None) -> Training:
    """Pairs and classes for ``feature_function``; X is whatever it takes."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )
    refuse_masks(y, "y")
    y = check_array(column_or_1d(y, warn=True), ensure_2d=False, dtype=None, input_name="y")
    check_classification_targets(check_known(y, "y"))
    check_consistent_length(X, y)
    stand_in = np.empty((len(y), 0))
    rows, codes, weight, classes = _classes(y, sample_weight, estimator.class_weight, stand_in)
    pairs, vectorizer = joint_features(estimator.feature_function, X, classes)
    if not rows.all():
        pairs = pairs[np.tile(rows, len(classes))]
    return Training(pairs, codes, weight, classes, vectorizer)


def _classes(
    y: NDArray, sample_weight: ArrayLike | None, class_weight: Any, X: Any
) -> tuple[NDArray, NDArray, NDArray | None, NDArray]:
    """Rows of positive weight, their classes as numbers, their weights, and the classes."""
    weight = check_weights(sample_weight, X)
    rows = np.ones(len(y), dtype=bool) if weight is None else weight > 0
    if class_weight is not None:
        present = None if weight is None else weight[rows]
        by_class = compute_class_weight(
            class_weight, classes=np.unique(y[rows]), y=y[rows], sample_weight=present
        )
        codes = np.unique(y[rows], return_inverse=True)[1]
        full = np.zeros(len(y))
        full[rows] = by_class[codes] * (1.0 if present is None else present)
        weight = check_weights(full, X)
        rows = full > 0
    classes, codes = np.unique(y[rows], return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class only, {named(classes[0])}: there is nothing to tell apart. "
            "Give rows of at least two classes, with positive weight."
        )
    return rows, codes, None if weight is None else weight[rows], classes
