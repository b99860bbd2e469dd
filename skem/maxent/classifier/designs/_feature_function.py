"""Joint features f(x, c) as users give them: a function of X and a class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction import DictVectorizer
from sklearn.utils.validation import _get_feature_names, _num_samples

from skem._input import refuse_masks_and_dates
from skem._sparse import check_sparse_indices
from skem._warnings import warn_user
from skem.maxent.classifier.designs._joint import centred


class Pairs(NamedTuple):
    """Features of all pairs of a class and a row, class after class."""

    F: Any  # (n_classes * n_samples, n_features) dense or CSR, zeros for pairs that cannot be
    possible: NDArray | None  # (n_classes, n_samples) pairs that can be; None for all
    vectorizer: DictVectorizer | None  # of dictionaries
    names: NDArray | None  # (n_features,) of dictionaries and frames

    @property
    def offset(self) -> NDArray | None:
        """-inf for pairs that cannot be, else zero, (n_classes, n_samples)."""
        return None if self.possible is None else np.where(self.possible, 0.0, -np.inf)


def joint_features(
    feature_function: Callable[[Any, Any], Any],
    X: Any,
    classes: NDArray,
    vectorizer: DictVectorizer | None = None,
    n_features: int | None = None,
    names: NDArray | None = None,
) -> Pairs:
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
    names : ndarray of shape (n_features,) or None
        Names of the columns that the fit had. Columns of frames are put into their order.

    Returns
    -------
    pairs : Pairs

    Raises
    ------
    ValueError, TypeError
        If what ``feature_function`` returns has not that shape or these names, or holds NaN or
        infinity. Minus infinity says that the row cannot have the class.

    Warns
    -----
    UserWarning
        If columns have names now and had none in the fit, or the other way round.
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
        names = vectorizer.get_feature_names_out()
    else:
        order, names = _columns(values, classes, names, fitted=n_features is not None)
        matrices = [_matrix(v, c, n) for v, c in zip(values, classes, strict=True)]
        F = _stacked([m[:, i] for m, i in zip(matrices, order, strict=True)], classes)
    if n_features is not None and F.shape[1] != n_features:
        raise ValueError(
            f"feature_function returned {F.shape[1]} features; in fit it returned {n_features}."
        )
    F, possible = _without_impossible(F, len(classes))
    pairs = Pairs(F, possible, vectorizer, names)
    _check_finite(pairs, classes, n)
    if n_features is None:
        _check_informative(pairs, classes, n)
    return pairs


def _columns(
    values: list, classes: NDArray, names: NDArray | None, fitted: bool
) -> tuple[list, NDArray | None]:
    """For each class the order of its columns, and their names, which frames have."""
    found = [_names(value) for value in values]
    if any(f is None for f in found) != all(f is None for f in found):
        raise ValueError(
            "feature_function returned frames with names of columns for some classes and matrices "
            "without them for others. Return the same for every class."
        )
    if found[0] is None or (names is None and fitted):
        if fitted and (found[0] is None) != (names is None):
            now, then = ("no names", "names") if found[0] is None else ("names", "no names")
            warn_user(
                f"feature_function returned columns with {now}; in fit they had {then}. Their "
                "order is taken for that of the fit.",
                UserWarning,
            )
        return [slice(None)] * len(values), names
    where = "in fit" if fitted else f"for class {named(classes[0])}"
    known: NDArray = found[0] if names is None else names
    orders = []
    for c, value in zip(classes, values, strict=True):
        own = np.asarray(_names(value))
        if set(own) != set(known):
            missing = sorted(set(known) - set(own))
            others = sorted(set(own) - set(known))
            raise ValueError(
                f"feature_function returned, for class {named(c)}, other columns than {where}: "
                f"missing {missing}, unexpected {others}. Classes share one weight for each "
                "feature: give zeros for features that a class does not have, or return "
                "dictionaries, in which classes may have features of their own."
            )
        place = {name: j for j, name in enumerate(own)}
        orders.append([place[name] for name in known])
    return orders, known


def _names(value: Any) -> NDArray | None:
    """Names of the columns of a frame; None if there are none, or not one for each column."""
    if sp.issparse(value) or isinstance(value, (np.ndarray, list)):
        return None
    names = _get_feature_names(value)
    return None if names is None or len(set(names)) < len(names) else names


def _without_impossible(F: Any, n_classes: int) -> tuple[Any, NDArray | None]:
    """Zeros for pairs with a feature of minus infinity, and which pairs have none."""
    if sp.issparse(F):
        at = np.flatnonzero(np.isneginf(F.data))
        impossible = np.unique(np.searchsorted(F.indptr, at, side="right") - 1)
    else:
        impossible = np.flatnonzero(np.isneginf(F).any(axis=1))
    if not impossible.size:
        return F, None
    possible = np.ones(F.shape[0], dtype=bool)
    possible[impossible] = False
    F = F.copy()
    if sp.issparse(F):
        # Where other features of such a pair are NaN, the pair still cannot be.
        F.data[np.repeat(~possible, np.diff(F.indptr))] = 0.0
        F.eliminate_zeros()
    else:
        F[~possible] = 0.0
    return F, possible.reshape(n_classes, -1)


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


def _check_finite(pairs: Pairs, classes: NDArray, n: int) -> None:
    F = pairs.F
    if pairs.possible is not None and not pairs.possible.any(axis=0).all():
        row = int(np.flatnonzero(~pairs.possible.any(axis=0))[0])
        raise ValueError(
            f"feature_function returned minus infinity for all classes of row {row}, which says "
            "that the row can have none. Leave such rows out."
        )
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
    name = j if pairs.names is None else repr(str(pairs.names[j]))
    raise ValueError(
        f"feature_function returned {'NaN' if np.isnan(value) else 'infinity'} for class "
        f"{named(classes[pair // n])}, row {pair % n}, feature {name}. Features must be finite; "
        "leave out, or set to zero, what is missing. Minus infinity says that a row cannot have "
        "the class: its probability is then zero."
    )


def _check_informative(pairs: Pairs, classes: NDArray, n: int) -> None:
    if pairs.F.shape[1] == 0:
        raise ValueError("feature_function returned no features: give at least one.")
    if pairs.possible is not None:
        alike = (centred(pairs.F, pairs.offset, len(classes))[0] != 0).sum() == 0
    else:
        rest = (pairs.F[c * n : (c + 1) * n] != pairs.F[:n] for c in range(1, len(classes)))
        alike = not any(differ.sum() for differ in rest)
    if not alike:
        return
    raise ValueError(
        "feature_function returned the same features for every class, and such features cancel in "
        "p(y|x). Let them depend on the class, for instance by its name in theirs: "
        '{f"{c} last_letter": "a"}. For the features x_j 1[y = c] leave feature_function out and '
        "give the matrix as X (DictVectorizer makes it of dictionaries)."
    )
