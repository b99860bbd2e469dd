"""Scorers of mixtures for searches of scikit-learn; they see through pipelines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem._steps import final_step_and_rows
from skem._validation import check_weights


def fitted_mixture(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The mixture at the end of a pipeline or inside a search, and X as it sees it.

    Raises
    ------
    TypeError
        If the last step is not a mixture.
    """
    inner, X = final_step_and_rows(estimator, X)
    if not (hasattr(inner, "bic") and hasattr(inner, "score_samples")):
        raise TypeError(
            f"{type(inner).__name__} is not a mixture: it has no bic. Give a mixture, a pipeline "
            "that ends in one, or a search over either."
        )
    return inner, X


def is_collapsed(mixture: Any) -> bool:
    """Whether components have collapsed: `collapsed_` of those mixtures that have it."""
    return len(getattr(mixture, "collapsed_", ())) > 0


def _criterion(
    mixture: Any,
    criterion: Callable[..., float],
    X: ArrayLike,
    sample_weight: ArrayLike | None,
) -> float:
    """A criterion of the mixture, infinite if it has collapsed."""
    if is_collapsed(mixture):
        return np.inf
    return criterion(X) if sample_weight is None else criterion(X, sample_weight)


def bic_score(
    estimator: Any, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
) -> float:
    """Score a mixture by minus its BIC; a scorer for `GridSearchCV` (higher is better).

    Parameters
    ----------
    estimator : fitted mixture, or pipeline that ends in one
        Rows go through the other steps of the pipeline first. Criteria compare densities of what
        the mixture sees, so all candidates of a search must see the same columns in the same
        units.
    X : array-like of shape (n_samples, n_features)
        Rows; NaN where missing.
    y : Ignored
        Not used, present for API consistency by convention.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row; default is one for each.

    Returns
    -------
    score : float
        On the scale of -2 log L, with log L in nats; -inf if components have collapsed, because
        the likelihood is then meaningless.

    Raises
    ------
    TypeError
        If the last step is not a mixture.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skem.mixture import GaussianMixtureEM, bic_score
    >>> X = load_iris().data
    >>> mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    >>> bic_score(mixture, X) == -mixture.bic(X)
    True
    """
    mixture, rows = fitted_mixture(estimator, X)
    return -_criterion(mixture, mixture.bic, rows, sample_weight)


def icl_score(
    estimator: Any, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
) -> float:
    """Score a mixture by minus its ICL; a scorer for `GridSearchCV` (higher is better).

    Parameters
    ----------
    estimator : fitted mixture, or pipeline that ends in one
        Rows go through the other steps of the pipeline first. Criteria compare densities of what
        the mixture sees, so all candidates of a search must see the same columns in the same
        units.
    X : array-like of shape (n_samples, n_features)
        Rows; NaN where missing.
    y : Ignored
        Not used, present for API consistency by convention.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row; default is one for each.

    Returns
    -------
    score : float
        On the scale of -2 log L, with log L in nats; -inf if components have collapsed, because
        the likelihood is then meaningless.

    Raises
    ------
    TypeError
        If the last step is not a mixture.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skem.mixture import GaussianMixtureEM, icl_score
    >>> X = load_iris().data
    >>> mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    >>> icl_score(mixture, X) == -mixture.icl(X)
    True
    """
    mixture, rows = fitted_mixture(estimator, X)
    return -_criterion(mixture, mixture.icl, rows, sample_weight)


def held_out_score(
    estimator: Any, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
) -> float:
    """Score a mixture by the mean log-density of rows, and refuse it if components have collapsed.

    A scorer for `GridSearchCV`, for rows that the fit has not seen. Where values repeat (counts,
    rounded numbers), held-out rows lie on the spikes of components that have collapsed too, and
    their log-densities are as high as ``reg_covar`` is small.

    Parameters
    ----------
    estimator : fitted mixture, or pipeline that ends in one
        Rows go through the other steps of the pipeline first. All candidates of a search must see
        the same columns in the same units.
    X : array-like of shape (n_samples, n_features)
        Rows; NaN where missing.
    y : Ignored
        Not used, present for API consistency by convention.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row; default is one for each.

    Returns
    -------
    score : float
        Nats per row, higher is better; -inf if components have collapsed.

    Raises
    ------
    TypeError
        If the last step is not a mixture.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from skem.mixture import GaussianMixtureEM, held_out_score
    >>> counts = np.arange(60).reshape(-1, 1) % 3
    >>> with warnings.catch_warnings(action="ignore"):  # each value is a component
    ...     mixture = GaussianMixtureEM(3, random_state=0).fit(counts)
    >>> mixture.score(counts) > 4, held_out_score(mixture, counts)
    (True, -inf)
    """
    mixture, rows = fitted_mixture(estimator, X)
    if is_collapsed(mixture):
        return -np.inf
    log_density = np.asarray(mixture.score_samples(rows), dtype=np.float64)
    return float(np.average(log_density, weights=check_weights(sample_weight, log_density)))


class InSample:
    """A ``cv`` for `GridSearchCV` that fits and scores on all rows, as BIC and ICL require.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skem.mixture import GaussianMixtureEM, InSample, bic_score
    >>> search = GridSearchCV(
    ...     GaussianMixtureEM(random_state=0, max_iter=500),
    ...     {"n_components": [1, 2, 3], "covariance_type": ["full", "diag"]},
    ...     scoring=bic_score,
    ...     cv=InSample(),
    ... ).fit(load_iris().data)
    >>> search.best_params_
    {'covariance_type': 'full', 'n_components': 2}
    """

    def split(
        self, X: ArrayLike, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[NDArray, NDArray]]:
        """Yield one pair of all rows and all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where missing.
        y : Ignored
            Not used, present for API consistency by convention.
        groups : Ignored
            Not used, present for API consistency by convention.

        Yields
        ------
        train, test : ndarray of shape (n_samples,)
            Row numbers, the same for both.
        """
        rows = np.arange(np.shape(X)[0])
        yield rows, rows

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return 1.

        Parameters
        ----------
        X, y, groups : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        n_splits : int
        """
        return 1
