"""Estimators of binary rows: validation, fit, log densities and draws."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skem._callbacks import with_callbacks
from skem._sklearn import Interval, fit_context
from skem._validation import check_positive_integer, check_weights, unchanged_on_error
from skem.em import EMState, RowBlocks
from skem.em._estimator import EMEstimatorMixin
from skem.mixture._base import BaseMixture
from skem.mixture._bernoulli_model import BernoulliModel, log_joint_coefficients
from skem.mixture._features import plain_features


class BernoulliRows(BaseMixture):
    """What estimators of binary rows share: validation, `fit` and log densities.

    A subclass gives ``_make_model(X)``, ``_make_starts(model, X, weight, rng)`` and
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
        X = super()._check_X(X, reset=reset, min_samples=min_samples)
        if self.binarize is None and not np.isin(X[~np.isnan(X)], (0, 1)).all():
            raise ValueError(
                "With binarize=None, X must hold only 0, 1 and NaN. Set binarize to the threshold "
                "above which a value counts as a one."
            )
        return X

    @property
    def _threshold(self) -> float:
        return 0.5 if self.binarize is None else float(self.binarize)

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None, *, sample_weight: ArrayLike | None = None) -> Any:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Values above ``binarize`` are ones; NaN where missing.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is a row twice, of 0 a row left out.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If input or parameters do not fit each other; the estimator is left as it was.

        Warns
        -----
        ConvergenceWarning
            If the limit is not reached in ``max_iter`` EM maps.
        """
        with unchanged_on_error(self):
            X, weight = self._training_rows(X, sample_weight, reset=True, first=True)
            rng = check_random_state(self.random_state)
            model = self._make_model(X)
            starts = self._make_starts(model, X, weight, rng)
            with self._row_blocks(X, weight) as rows:
                state, attributes = self._run_em(
                    model, rows, starts, n_starts=len(starts), X=X, sample_weight=sample_weight
                )
            self.__dict__.pop("_online", None)
            self.__dict__.update(attributes)
            self._finish(model, state, X, weight)
            self._warn_if_not_converged(state)
        return self

    def _finish(
        self, model: BernoulliModel, state: EMState, X: NDArray, weight: NDArray | None
    ) -> None:
        """Set what a subclass adds to the fitted attributes."""

    def _training_rows(
        self, X: ArrayLike, sample_weight: ArrayLike | None, *, reset: bool, first: bool
    ) -> tuple[NDArray, NDArray | None]:
        """Validated rows and weights; rows of weight zero are left out."""
        X = self._check_X(X, reset=reset, min_samples=2 if first else 1)
        weight = check_weights(sample_weight, X)
        if weight is not None and not weight.all():
            X, weight = X[weight > 0], weight[weight > 0]
        unseen = np.isnan(X).all(axis=0)
        if (first and self._needs_every_column and unseen.any()) or unseen.all():
            raise ValueError(
                f"Columns {np.flatnonzero(unseen).tolist()} of X hold no value at all (all NaN). "
                "Drop them."
            )
        return X, weight

    def _row_blocks(self, X: NDArray, weight: NDArray | None) -> RowBlocks:
        """The rows, cut into blocks."""
        work = plain_features(X.shape[1]).work(getattr(self, "n_components", 2))
        return RowBlocks(X, sample_weight=weight, row_values=work, n_jobs=self.n_jobs)

    def _log_joint(self, X: NDArray) -> NDArray:
        log_weights, log_zero, log_odds = log_joint_coefficients(
            np.asarray(self.weights_, np.float64), self._probabilities(), X.shape[1]
        )
        ones = (self._threshold < X).astype(np.float64)
        return ones @ log_odds.T + (~np.isnan(X)).astype(np.float64) @ log_zero.T + log_weights

    def _draw(self, n_samples: int) -> tuple[NDArray, NDArray]:
        """Rows of zeros and ones, and the component of each."""
        check_is_fitted(self)
        n_samples = check_positive_integer(n_samples, "n_samples")
        rng = check_random_state(self.random_state)
        y = rng.choice(len(self.weights_), n_samples, p=self.weights_ / self.weights_.sum())
        probabilities = np.broadcast_to(
            self._probabilities(), (len(self.weights_), self.n_features_in_)
        )
        return (rng.uniform(size=(n_samples, self.n_features_in_)) < probabilities[y]).astype(
            np.float64
        ), y
