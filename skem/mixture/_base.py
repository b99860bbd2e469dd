"""What a fitted mixture says about rows: densities, posteriors, criteria."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from skem._input import validate_data
from skem._validation import check_positive_integer, check_weights
from skem.em._estimator import EMEstimatorMixin
from skem.em._rows import map_rows
from skem.mixture._patterns import patterns

_NEARER = 2.0**-64
"""Factor by which a row is moved towards the origin where all its densities are zero; a power of
two, which rounds nothing."""

_TIE = 1e-9
"""Log-densities are taken to be equal if they differ by at most this times (1 + their size), which
is the accuracy of scores: equal rows in different blocks differ by rounding."""


class BaseMixture(EMEstimatorMixin, DensityMixin, BaseEstimator):
    """Methods that need only log p(x, z) and the number of free parameters.

    A subclass gives ``_log_joint(X)`` of shape (n_rows, n_components) for a block of validated
    rows, ``_n_parameters()`` and ``_check_X(X, reset)``.
    """

    _log_joint: Callable[[NDArray], NDArray]  # in float64
    _n_parameters: Callable[[], int]
    weights_: NDArray
    n_jobs: int | None
    fit: Callable[..., Any]
    sample: Callable[..., tuple[NDArray, NDArray]]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _check_X(self, X: ArrayLike, *, reset: bool = False, min_samples: int = 1) -> NDArray:
        """Rows as float32 or float64; missing values (NaN) are let through."""
        return validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_samples=min_samples,
        )

    def _row_order(self, X: NDArray) -> NDArray | None:
        """The order in which rows are best processed; None is the given order."""
        return None

    def _map(
        self, function: Callable[[NDArray], NDArray], X: ArrayLike, dtype: Any = None
    ) -> NDArray:
        """Apply ``function`` to blocks of log joint densities; it returns one entry per row.

        The result has the float type of X, unless a dtype is given.
        """
        return self._map_blocks(lambda block: function(self._log_joint(block)), X, dtype)

    def _map_blocks(
        self, function: Callable[[NDArray], NDArray], X: ArrayLike, dtype: Any = None
    ) -> NDArray:
        """The same for a function of the rows themselves."""
        check_is_fitted(self)
        X = self._check_X(X)
        return map_rows(
            function,
            X,
            row_values=X.shape[1] * len(self.weights_),
            n_jobs=self.n_jobs,
            order=self._row_order(X),
            dtype=float_type(X) if dtype is None else dtype,
        )

    def _posterior(self, X: NDArray) -> NDArray:
        """p(z | x) of a block of rows."""
        return posterior(self._comparable(X))

    def _comparable(self, X: NDArray) -> NDArray:
        """Log p(x, z) of a block of rows, up to a constant for each row.

        A row may be so far away that squares overflow and all components have -inf. They are then
        compared at a point between the origin and the row, where their order is the same.
        """
        log_joint = self._log_joint(X)
        share = _NEARER
        while share > 0:
            lost = np.flatnonzero(np.isneginf(log_joint.max(axis=1)))
            if not len(lost):
                break
            log_joint[lost] = self._log_joint(X[lost].astype(np.float64) * share)
            share *= _NEARER
        return log_joint

    def _hold(self, parameters: dict[str, Any], d: int, names: NDArray | None) -> None:
        """Take given parameters of d columns as the fitted ones, though no rows have been seen."""
        self.__dict__.update(
            parameters,
            converged_=False,
            n_iter_=0,
            lower_bound_=np.nan,
            lower_bounds_=[],
            optimality_gap_=np.inf,
            n_features_in_=d,
            _total_weight=0.0,
            _weight_unit=1.0,
        )
        if names is not None:
            self.feature_names_in_ = names

    def score_samples(self, X: ArrayLike) -> NDArray:
        """Log-density of each row, log p(x) in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Missing values (NaN) are marginalised.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            For rows with missing values, the density of the known columns, which is mostly higher
            the fewer there are; `tail_probability` makes such rows comparable.
        """
        return self._map(lambda log_joint: logsumexp(log_joint, axis=1), X)

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Weighted mean of the log-density per row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where missing.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; default is one for each.

        Returns
        -------
        log_likelihood : float
            Higher is better.
        """
        log_prob = self.score_samples(X)
        return float(np.average(log_prob, weights=check_weights(sample_weight, log_prob)))

    def tail_probability(
        self, X: ArrayLike, *, n_draws: int = 1000, random_state: Any = None
    ) -> NDArray:
        """Probability that a row of the mixture, seen in the same columns, has no higher density.

        Log-densities of rows with missing values are densities of other columns, in other units,
        and cannot be compared with each other. This can: for rows of the mixture it is uniform
        between 0 and 1, whatever is missing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where missing.
        n_draws : int, default=1000
            Rows that are drawn from the mixture, and scored once for each pattern of missing
            values in X.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws; None is that of the estimator.

        Returns
        -------
        probability : ndarray of shape (n_samples,)
            (1 + number of draws that are not denser) / (1 + n_draws), so at least
            1 / (1 + n_draws). Its standard error is sqrt(p (1 - p) / n_draws).

        Examples
        --------
        >>> import numpy as np
        >>> from skem import GaussianMixtureEM
        >>> mixture = GaussianMixtureEM.from_parameters([1.0], np.zeros((1, 2)), [np.eye(2)])
        >>> mixture.score_samples([[2.0, 2.0], [2.0, np.nan]]).round(1)
        array([-5.8, -2.9])
        >>> rows = [[2.0, 2.0], [2.0, np.nan]]
        >>> mixture.tail_probability(rows, n_draws=100_000, random_state=0).round(2)
        array([0.02, 0.05])
        """
        check_is_fitted(self)
        X = self._check_X(X)
        n_draws = check_positive_integer(n_draws, "n_draws")
        draws = self._drawn(n_draws, random_state)
        values = self._log_densities(X)
        not_denser = np.empty(len(X))
        for observed, rows in patterns(X):
            reference = np.sort(self._log_densities(np.where(observed, draws, np.nan)))
            ties = values[rows] + _TIE * (1 + np.abs(values[rows]))
            not_denser[rows] = np.searchsorted(reference, ties, side="right")
        return (1 + not_denser) / (1 + n_draws)

    def _drawn(self, n_samples: int, random_state: Any) -> NDArray:
        """Draws as `_log_joint` takes them."""
        rows: NDArray = self.sample(n_samples, random_state=random_state)[0]
        return rows

    def _log_densities(self, X: NDArray) -> NDArray:
        """Log p(x) of validated rows, in float64."""
        return map_rows(
            lambda block: logsumexp(self._log_joint(block), axis=1),
            X,
            row_values=X.shape[1] * len(self.weights_),
            n_jobs=self.n_jobs,
            order=self._row_order(X),
            dtype=np.float64,
        )

    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Posterior probability of each component, p(z | x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where missing.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to one.
        """
        return self._map_blocks(
            lambda block: without_subnormals(self._posterior(block), float_type(block)), X
        )

    def predict(self, X: ArrayLike) -> NDArray:
        """Most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where missing.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self._map_blocks(
            lambda block: self._comparable(block).argmax(axis=1), X, dtype=np.intp
        )

    def fit_predict(self, X: ArrayLike, y: Any = None, **fit_params: Any) -> NDArray:
        """Fit the mixture and return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where missing.
        y : Ignored
            Not used, present for API consistency by convention.
        **fit_params : dict
            Passed on to `fit`, such as ``sample_weight``.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self.fit(X, **fit_params).predict(X)

    def _log_likelihood(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, float]:
        """Log-likelihood, and the number of rows (sum of the weights)."""
        log_prob = self.score_samples(X).astype(np.float64, copy=False)
        weight = check_weights(sample_weight, log_prob)
        if weight is None:
            return float(log_prob.sum()), float(len(log_prob))
        return float(weight @ log_prob), float(weight.sum())

    def bic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Bayesian information criterion, -2 log L + n_parameters log n; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where missing.
        sample_weight : array-like of shape (n_samples,), default=None
            Its sum takes the place of the number of rows n.

        Returns
        -------
        bic : float
            On the scale of -2 log L, with log L in nats.
        """
        log_likelihood, n = self._log_likelihood(X, sample_weight)
        return float(-2 * log_likelihood + self._n_parameters() * np.log(n))

    def aic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Akaike information criterion, -2 log L + 2 n_parameters; lower is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where missing.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; default is one for each.

        Returns
        -------
        aic : float
            On the scale of -2 log L, with log L in nats.
        """
        log_likelihood, _ = self._log_likelihood(X, sample_weight)
        return float(-2 * log_likelihood + 2 * self._n_parameters())

    def icl(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Integrated complete likelihood, BIC - 2 sum log max_k p(k | x); lower is better.

        It favours well-separated components, where BIC favours a good density
        (Biernacki, Celeux and Govaert 2000, with the hard assignment, as in mclust).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where missing.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; default is one for each.

        Returns
        -------
        icl : float
            On the scale of -2 log L, with log L in nats.
        """

        def log_top(block: NDArray) -> NDArray:
            return np.log(self._posterior(block).max(axis=1))

        certainty = self._map_blocks(log_top, X, dtype=np.float64)
        weight = check_weights(sample_weight, certainty)
        total = certainty.sum() if weight is None else weight @ certainty
        return float(self.bic(X, sample_weight) - 2 * total)


def float_type(X: NDArray) -> np.dtype:
    """The type of results for these rows: float32 for float32, float64 for all others."""
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def posterior(log_joint: NDArray) -> NDArray:
    """p(z | x) from log p(x, z), both of shape (n_rows, n_components).

    Numbers are divided by their sum, because log p(x) may be so large that its last digit is more
    than a nat.
    """
    shares = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def without_subnormals(values: NDArray, dtype: np.dtype) -> NDArray:
    """Replace numbers (>= 0) that are subnormal in that type by zeros, in place.

    Subnormal numbers have lost digits, do not change a sum over the components that is one, and
    cost some processors a hundred cycles in each product.
    """
    values[values < np.finfo(dtype).tiny] = 0
    return values
