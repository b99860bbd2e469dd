"""Training data of a classifier: rows that count, their classes and weights."""

from __future__ import annotations

import reprlib
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.feature_extraction import DictVectorizer
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skem._input import refuse_masks, validate_data
from skem._validation import as_numbers, check_known, check_weights
from skem.maxent.classifier.designs._feature_function import joint_features, named


class TrainingData(NamedTuple):
    """Rows of positive weight."""

    X: Any  # rows, or with joint features pairs of a class and a row, class after class
    codes: NDArray  # (n,) classes 0 ... n_classes - 1
    weight: NDArray | None  # (n,)
    classes: NDArray  # (n_classes,)
    offset: NDArray | None  # (n_classes, n) added to the logits
    vectorizer: DictVectorizer | None = None  # of joint features in dictionaries
    names: NDArray | None = None  # (n_features,) of joint features

    def attributes(self) -> dict[str, Any]:
        """What a fitted estimator knows of its data."""
        known: dict[str, Any] = {"classes_": self.classes}
        if self.vectorizer is not None:
            known["_vectorizer"] = self.vectorizer
        if self.names is not None:
            known["feature_names_"] = self.names
        return known


def rows_of(
    estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None, offset: ArrayLike | None
) -> TrainingData:
    """Rows and classes for the features x_j 1[y = c]."""
    X, y = validate_data(
        estimator, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C"
    )
    check_classification_targets(check_known(y, "y"))
    rows, codes, weight, classes = _classes(y, sample_weight, estimator.class_weight, X)
    added = _offset(offset, None, rows, codes, classes)
    return TrainingData(X if rows.all() else X[rows], codes, weight, classes, added)


def pairs_of(
    estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None, offset: ArrayLike | None
) -> TrainingData:
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
    pairs = joint_features(estimator.feature_function, X, classes)
    added = _offset(offset, pairs.offset, rows, codes, classes)
    F = pairs.F if rows.all() else pairs.F[np.tile(rows, len(classes))]
    return TrainingData(F, codes, weight, classes, added, pairs.vectorizer, pairs.names)


def _offset(
    offset: ArrayLike | None,
    possible: NDArray | None,
    rows: NDArray,
    codes: NDArray,
    classes: NDArray,
) -> NDArray | None:
    """What is added to the logits of the rows that count, (n_classes, n), or None.

    ``possible`` is -inf for pairs that joint features say cannot be, else zero.
    """
    added = check_offset(offset, len(rows), len(classes))
    if possible is not None:
        added = possible if added is None else added + possible
    if added is None:
        return None
    added = added[:, rows]
    own = added[codes, np.arange(len(codes))]
    if np.isneginf(own).any():
        i = int(np.flatnonzero(np.isneginf(own))[0])
        raise ValueError(
            f"Row {np.flatnonzero(rows)[i]} has class {named(classes[codes[i]])} in y, which "
            "it cannot have: its offset, or a feature that feature_function returned, is minus "
            "infinity. Correct one or the other."
        )
    return added


def check_offset(offset: ArrayLike | None, n: int, n_classes: int) -> NDArray | None:
    """Offsets of shape (n_classes, n), or None.

    Raises
    ------
    ValueError
        If they have another shape, are not numbers, or leave a row no class.
    """
    if offset is None:
        return None
    given = as_numbers(offset)
    allowed = f"(n_samples, n_classes) = ({n}, {n_classes})"
    if n_classes == 2:
        allowed += f", or (n_samples,) = ({n},) for the second class against the first"
    if given is None:
        raise ValueError(
            f"offset must hold real numbers of shape {allowed}; got {reprlib.repr(offset)}."
        )
    if given.shape == (n,) and n_classes == 2:
        given = np.column_stack([np.zeros(n), given])
    if given.shape != (n, n_classes):
        raise ValueError(f"offset has shape {given.shape}, expected {allowed}.")
    if np.isnan(given).any() or np.isposinf(given).any():
        what = "NaN" if np.isnan(given).any() else "infinity"
        raise ValueError(
            f"offset contains {what}. It must hold logits; minus infinity is for a class that a "
            "row cannot have."
        )
    if np.isneginf(given).all(axis=1).any():
        row = int(np.flatnonzero(np.isneginf(given).all(axis=1))[0])
        raise ValueError(f"offset is minus infinity for all classes of row {row}.")
    return given.T


def _classes(
    y: NDArray, sample_weight: ArrayLike | None, class_weight: Any, X: Any
) -> tuple[NDArray, NDArray, NDArray | None, NDArray]:
    """Rows of positive weight, their classes as numbers, their weights, and the classes."""
    weight = check_weights(sample_weight, X)
    rows = np.ones(len(y), dtype=bool) if weight is None else weight > 0
    if class_weight is not None:
        full = np.zeros(len(y))
        full[rows] = _by_class(class_weight, y[rows], None if weight is None else weight[rows])
        weight, rows = full, full > 0
        try:
            check_weights(full, X)
        except ValueError as error:
            raise ValueError(
                f"class_weight={class_weight!r} times sample_weight leaves weights that cannot be "
                f"used: {error}"
            ) from error
    classes, codes = np.unique(y[rows], return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class only, {named(classes[0])}: there is nothing to tell apart. "
            "Give rows of at least two classes, with positive weight."
        )
    return rows, codes, None if weight is None else weight[rows], classes


def _by_class(class_weight: Any, y: NDArray, weight: NDArray | None) -> NDArray:
    """Weights of rows times those of their classes."""
    if isinstance(class_weight, dict):
        for c, value in class_weight.items():
            if not isinstance(value, Real):
                raise ValueError(
                    f"class_weight holds {reprlib.repr(value)} for class {named(c)}, which is not "
                    "a number."
                )
    present, codes = np.unique(y, return_inverse=True)
    by_class = compute_class_weight(class_weight, classes=present, y=y, sample_weight=weight)
    for c, value in zip(present, by_class, strict=True):
        if not 0 <= value < np.inf:
            raise ValueError(
                f"class_weight holds {value:g} for class {named(c)}. Weights of classes are finite "
                "and not negative; 0 leaves a class out."
            )
    if not by_class.any():
        raise ValueError(
            f"class_weight={class_weight!r} is zero for all classes in y. Give at least two "
            "of them a positive weight."
        )
    return by_class[codes] * (1.0 if weight is None else weight)
