"""Estimators of binary rows: validation, fit, log densities and draws."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skem._callbacks import with_callbacks
from skem._input import validate_data
from skem._sklearn import Interval, fit_context
from skem._validation import check_positive_integer
from skem._warnings import warn_user
from skem.em import EMState
from skem.em._estimator import EMEstimatorMixin, Problem
from skem.mixture._base import BaseMixture, float_type
from skem.mixture._features import plain_features
from skem.mixture._rows import TrainingRows
from skem.mixture.bernoulli._model import THRESHOLD, log_joint_coefficients

_TYPES = ["f8", "f4", "f2", "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
"""Types of X that are kept; others are converted to the first."""

_STEP = 4096
"""Rows that are checked or drawn at a time, so that temporary arrays stay small."""

_ENOUGH = 20
"""Rows that show which values a column has."""


class BernoulliRows(BaseMixture):
    """What estimators of binary rows share: validation, `fit` and log densities.

    A subclass gives ``_make_model(data, masked=)``, ``_make_starts(model, data, rng)`` and
    ``_probabilities()`` of shape (n_components, n_features or 1).
    """

    _parameter_constraints: dict = {
        **EMEstimatorMixin._parameter_constraints,
        "binarize": [Interval(Real, None, None, closed="neither"), None],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    _needs_every_column = True
    _make_model: Any
    _make_starts: Any
    _probabilities: Any

    def _check_X(self, X: ArrayLike, *, reset: bool = False, min_samples: int = 1) -> NDArray:
        """Rows in the type in which they were given: zeros and ones may take a byte each."""
        rows: NDArray = validate_data(
            self,
            X,
            reset=reset,
            dtype=_TYPES,
            ensure_all_finite="allow-nan",
            ensure_min_samples=min_samples,
        )
        if rows.dtype == np.bool_:
            rows = rows.view(np.uint8)
        elif rows.dtype == np.float16:  # which the kernels do not support
            rows = rows.astype(np.float32)
        if self.binarize is None and not all(_is_binary(part) for part in parts_of(rows)):
            raise ValueError(
                "With binarize=None, X must hold only 0, 1 and NaN. Set binarize to the threshold "
                "above which a value counts as a one."
            )
        return rows

    @property
    def _threshold(self) -> float:
        return THRESHOLD if self.binarize is None else float(self.binarize)

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Any:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Values above ``binarize`` are ones; NaN where missing.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is equivalent to repeating the row, 0 to leaving it out.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If input or parameters are inconsistent; the estimator is left unchanged.

        Warns
        -----
        ConvergenceWarning
            If the limit is not reached in ``max_iter`` EM maps.
        UserWarning
            If a column holds two values that both count as ones, or all of X counts as zeros:
            codes such as 1 and 2 need another value of ``binarize``.
        """
        self._fit_em(X, sample_weight)
        return self

    def _problem(self, data: BinaryData, *, online: bool = False) -> Problem:
        rng = check_random_state(self.random_state)
        model = self._make_model(data, masked=online or data.masked)
        return Problem(model, self._make_starts(model, data, rng))

    def _say_how_it_ended(self, state: EMState, data: BinaryData) -> None:
        self._warn_if_not_converged(state)
        self._warn_of_codes(data)

    def _training_data(
        self, X: ArrayLike, sample_weight: ArrayLike | None, *, first: bool, unit: float | None
    ) -> BinaryData:
        """Validated rows and weights."""
        X = self._check_X(X, reset=first, min_samples=2 if first else 1)
        k = getattr(self, "n_components", None)  # which three coins do not have
        data = BinaryData(
            X,
            sample_weight,
            unit,
            n_components=1 if k is None else k,
            first=first,
            row_values=plain_features(X.shape[1]).work(2 if k is None else k),
            n_jobs=self.n_jobs,
        )
        unseen = data.n_known == 0
        if (first and self._needs_every_column and unseen.any()) or unseen.all():
            raise ValueError(
                f"Columns {reprlib.repr(np.flatnonzero(unseen).tolist())} of X hold no value at "
                "all (all NaN). Drop them."
            )
        return data

    def _warn_of_codes(self, data: BinaryData) -> None:
        if self.binarize is not None:
            _warn_of_codes(data, self._threshold, getattr(self, "feature_names_in_", None))

    def _log_joint(self, X: NDArray) -> NDArray:
        log_weights, log_zero, log_odds = log_joint_coefficients(
            np.asarray(self.weights_, np.float64), self._probabilities(), X.shape[1]
        )
        ones = (self._threshold < X).astype(np.float64)
        return ones @ log_odds.T + known(X).astype(np.float64) @ log_zero.T + log_weights

    def _drawn(self, n_samples: int, random_state: Any) -> NDArray:
        """Draws that count as zeros and ones under any threshold."""
        return np.where(self._draw(n_samples, random_state)[0] > 0, np.inf, -np.inf)

    def _draw(self, n_samples: int, random_state: Any) -> tuple[NDArray, NDArray]:
        """Rows of zeros and ones, and the component of each."""
        check_is_fitted(self)
        n_samples = check_positive_integer(n_samples, "n_samples")
        rng = check_random_state(self.random_state if random_state is None else random_state)
        y = rng.choice(len(self.weights_), n_samples, p=self.weights_ / self.weights_.sum())
        probabilities = np.broadcast_to(
            self._probabilities(), (len(self.weights_), self.n_features_in_)
        )
        X = np.empty((n_samples, self.n_features_in_))
        for start in range(0, n_samples, _STEP):
            part = X[start : start + _STEP]
            part[:] = rng.uniform(size=part.shape) < probabilities[y[start : start + _STEP]]
        return X, y


class BinaryData(TrainingRows):
    """Rows of any real type; NaN where missing.

    Attributes
    ----------
    n_known : ndarray of shape (n_features,)
        Rows in which the column is known.
    """

    def __init__(self, X: NDArray, *given: Any, **options: Any):
        super().__init__(X, *given, **options)
        self.n_known = np.full(X.shape[1], self.n_rows)
        if X.dtype.kind == "f":
            self.n_known = np.sum([known(part).sum(0) for part in self.parts()], axis=0)

    @property
    def masked(self) -> bool:
        """Whether values are missing."""
        return bool((self.n_known < self.n_rows).any())

    @property
    def dtype(self) -> np.dtype:
        """The type in which to compute."""
        return float_type(self.X)

    def parts(self) -> Iterator[NDArray]:
        """The rows that are kept, a few at a time."""
        return parts_of(self.X, self.order)


def _warn_of_codes(data: BinaryData, threshold: float, names: NDArray | None) -> None:
    """Warn if two codes both count as ones (1 and 2), or all of X as zeros (-1 and 0).

    Codes are whole numbers that differ by one. In columns with other values, or with few rows, all
    values may well be on one side of a threshold.
    """
    d = data.X.shape[1]
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    for part in data.parts():
        low = np.fmin(low, np.fmin.reduce(part, axis=0))
        high = np.fmax(high, np.fmax.reduce(part, axis=0))
    one_apart = (high - low == 1) & (np.rint(low) == low)
    one_side = low > threshold if (high > threshold).any() else high <= threshold
    codes = np.flatnonzero(one_apart & one_side)
    for part in data.parts() if len(codes) else ():
        values = part[:, codes]
        two = (values == low[codes]) | (values == high[codes]) | np.isnan(values)
        codes = codes[two.all(axis=0)]
    if not len(codes) or data.n_rows < _ENOUGH:
        return
    what = "ones" if low[codes[0]] > threshold else "zeros"
    shown = reprlib.repr([int(j) if names is None else str(names[j]) for j in codes])
    j = codes[0]
    warn_user(
        f"Columns {shown} of X hold two values that both count as {what} with "
        f"binarize={threshold:g}, such as {low[j]:g} and {high[j]:g} in the first of them. Set "
        f"binarize between what is a zero and what is a one, such as {(low[j] + high[j]) / 2:g}.",
        UserWarning,
    )


def parts_of(X: NDArray, order: NDArray | None = None) -> Iterator[NDArray]:
    """The rows with these numbers, or all, a few at a time."""
    for start in range(0, len(X) if order is None else len(order), _STEP):
        part = slice(start, start + _STEP)
        yield X[part] if order is None else X[order[part]]


def known(X: NDArray) -> NDArray:
    """Whether each entry has a value."""
    return ~np.isnan(X) if X.dtype.kind == "f" else np.ones(X.shape, np.bool_)


def _is_binary(X: NDArray) -> bool:
    return bool(((X == 0) | (X == 1) | ~known(X)).all())
