"""Joint features f(x, c) as users give them: a function of X and a class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from itertools import chain
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction import DictVectorizer
from sklearn.utils.validation import _num_samples

from skem._input import refuse_masks_and_dates
from skem._sparse import check_sparse_indices


def joint_features(
    feature_function: Callable[[Any, Any], Any],
    X: Any,
    classes: NDArray,
    vectorizer: DictVectorizer | None = None,
    n_features: int | None = None,
) -> tuple[Any, DictVectorizer | None]:
    """Features of all pairs of a row and a class.

    Parameters
    ----------
    feature_function : callable
        ``feature_function(X, c)`` returns the features of all rows of X with class c: a dense or
        sparse matrix of shape (n_samples, n_features), or n_samples dictionaries from names to
        numbers or strings.
    X : Any
        Whatever has a length.
    classes : ndarray of shape (n_classes,)
    vectorizer : DictVectorizer or None
        That of the fit, if it had dictionaries.
    n_features : int or None
        Features of the fit; None while it is fitted.

    Returns
    -------
    F : ndarray or CSR matrix of shape (n_classes * n_samples, n_features)
        Class after class.
    vectorizer : DictVectorizer or None
        None for matrices.

    Raises
    ------
    ValueError, TypeError
        If what ``feature_function`` returns has not that shape, or is not finite.
    """
    n = _num_samples(X)
    values = [feature_function(X, c) for c in classes]
    kinds = [_holds_dictionaries(value) for value in values]
    if any(kinds) != all(kinds):
        raise ValueError(
            "feature_function returned dictionaries for some classes and matrices for others. "
            "Return the same for every class."
        )
    if n_features is not None and any(kinds) != (vectorizer is not None):
        expected, got = ("matrix", "dictionaries") if any(kinds) else ("dictionaries", "matrix")
        raise ValueError(f"feature_function returned {got}; in fit it returned {expected}.")
    if any(kinds):
        F, vectorizer = _vectorised(values, classes, n, vectorizer)
    else:
        F = _stacked([_matrix(v, c, n) for v, c in zip(values, classes, strict=True)], classes)
    if n_features is not None and F.shape[1] != n_features:
        raise ValueError(
            f"feature_function returned {F.shape[1]} features; in fit it returned {n_features}."
        )
    _check_finite(F, classes, n, vectorizer)
    if n_features is None:
        _check_informative(F, classes, n)
    return F, vectorizer


def named(c: Any) -> str:
    """A class, as it is written in Python."""
    return repr(c.item() if isinstance(c, np.generic) else c)


def _holds_dictionaries(value: Any) -> bool:
    if sp.issparse(value) or not isinstance(value, Iterable) or not isinstance(value, Sized):
        return False
    return len(value) > 0 and isinstance(next(iter(value)), Mapping)


def _vectorised(
    values: list, classes: NDArray, n: int, vectorizer: DictVectorizer | None
) -> tuple[Any, DictVectorizer]:
    for value, c in zip(values, classes, strict=True):
        if len(value) != n:
            raise ValueError(
                f"feature_function returned {len(value)} dictionaries for class {named(c)}, "
                f"expected {n}: one for each row of X."
            )
        if not all(isinstance(features, Mapping) for features in value):
            raise TypeError(
                f"feature_function returned, for class {named(c)}, dictionaries and other "
                "objects: give a dictionary (it may be empty) for each row of X."
            )
    pairs = chain.from_iterable(values)
    try:
        if vectorizer is not None:
            return sp.csr_array(vectorizer.transform(pairs)), vectorizer
        vectorizer = DictVectorizer()
        return sp.csr_array(vectorizer.fit_transform(pairs)), vectorizer
    except TypeError as error:
        raise TypeError(
            f"feature_function returned dictionaries that cannot be vectorised: {error}. Names are "
            "strings; values are numbers or strings."
        ) from error


def _matrix(value: Any, c: Any, n: int) -> Any:
    """A matrix of float32 or float64 with n rows, dense or CSR."""
    where = f"feature_function returned, for class {named(c)},"
    if sp.issparse(value):
        check_sparse_indices(value, f"what feature_function returned for class {named(c)}")
        matrix = value.tocsr()
    else:
        refuse_masks_and_dates(value, f"What {where}")
        try:
            matrix = np.asarray(value)
        except ValueError as error:
            raise ValueError(f"{where} what is not a matrix: {error}.") from error
        if matrix.dtype == object:
            try:
                matrix = matrix.astype(np.float64)
            except (TypeError, ValueError) as error:
                raise TypeError(
                    f"{where} {type(value).__name__} that is not of numbers."
                ) from error
    if value is None or matrix.dtype.kind not in "fiub":
        raise TypeError(
            f"{where} {type(value).__name__} of dtype {matrix.dtype}; expected real numbers, in a "
            "dense or sparse matrix, or a list of dictionaries."
        )
    if matrix.ndim != 2 or matrix.shape[0] != n:
        raise ValueError(
            f"{where} shape {matrix.shape}, expected (n_samples, n_features) with n_samples = {n}: "
            "the features of each row of X."
        )
    return matrix.astype(matrix.dtype if matrix.dtype == np.float32 else np.float64, copy=False)


def _stacked(matrices: list, classes: NDArray) -> Any:
    widths = [matrix.shape[1] for matrix in matrices]
    for c, width in zip(classes, widths, strict=True):
        if width != widths[0]:
            raise ValueError(
                f"feature_function returned {widths[0]} features for class {named(classes[0])} and "
                f"{width} for class {named(c)}. Classes share one weight for each feature: give "
                "zeros for features that a class does not have, or return dictionaries, in which "
                "classes may have features of their own."
            )
    if any(sp.issparse(matrix) for matrix in matrices):
        return sp.vstack([sp.csr_array(matrix) for matrix in matrices], format="csr")
    return np.ascontiguousarray(np.vstack(matrices))


def _check_finite(F: Any, classes: NDArray, n: int, vectorizer: DictVectorizer | None) -> None:
    finite = np.isfinite(F.data if sp.issparse(F) else F)
    if finite.all():
        return
    if sp.issparse(F):
        first = np.flatnonzero(~finite)[0]
        pair = int(np.searchsorted(F.indptr, first, side="right")) - 1
        j, value = F.indices[first], F.data[first]
    else:
        pair, j = np.argwhere(~finite)[0]
        value = F[pair, j]
    name = j if vectorizer is None else repr(str(vectorizer.feature_names_[j]))
    raise ValueError(
        f"feature_function returned {'NaN' if np.isnan(value) else 'infinity'} for class "
        f"{named(classes[pair // n])}, row {pair % n}, feature {name}. Features must be finite; "
        "leave out, or set to zero, what is missing."
    )


def _check_informative(F: Any, classes: NDArray, n: int) -> None:
    if F.shape[1] == 0:
        raise ValueError("feature_function returned no features: give at least one.")
    for c in range(1, len(classes)):
        if (F[c * n : (c + 1) * n] != F[:n]).sum():
            return
    raise ValueError(
        "feature_function returned the same features for every class, and such features cancel in "
        "p(y|x). Let them depend on the class, for instance by its name in theirs: "
        '{f"{c} last_letter": "a"}. For the features x_j 1[y = c] leave feature_function out and '
        "give the matrix as X (DictVectorizer makes it of dictionaries)."
    )
