"""Choosing the number of components and the covariance type of a Gaussian mixture."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skem._validation import check_weights
from skem.mixture._starts import start_threads
from skem.mixture.gaussian._gaussian_mixture import GaussianMixtureEM
from skem.mixture.gaussian.model._covariances import COVARIANCE_TYPES
from skem.mixture.gaussian.starts._candidates import coordinates
from skem.mixture.gaussian.starts._units import column_units

CRITERIA = ("bic", "icl", "aic")
SYSTEMS = ("standardised", "whitened", "raw")


@dataclass
class MixtureSelection:
    """Result of `select_gaussian_mixture`.

    Parameters
    ----------
    best_estimator_ : GaussianMixtureEM
        The fitted mixture with the lowest criterion.
    best_params_ : dict
        Its ``n_components`` and ``covariance_type``.
    criterion : str
        What the table is sorted by.
    table : list of dict
        A row a candidate, best first: n_components, covariance_type, n_parameters,
        log_likelihood (sum, nats), bic, icl, aic, n_iter, converged, collapsed (whether a
        component did, which makes the likelihood meaningless: such candidates come last), error
        (None, or why the candidate could not be fitted).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skem.mixture import select_gaussian_mixture
    >>> selection = select_gaussian_mixture(
    ...     load_iris().data, n_components=[2], covariance_types=["full", "tied"], random_state=0
    ... )
    >>> print(selection)
      K covariance        df        log L          BIC          ICL
      2 full              29     -214.355      574.018      574.019
      2 tied              19     -296.448      688.097      688.099
    """

    best_estimator_: GaussianMixtureEM
    best_params_: dict[str, Any]
    criterion: str
    table: list[dict[str, Any]]

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
        """
        import pandas as pd

        return pd.DataFrame(self.table)

    def __str__(self) -> str:
        lines = [f"{'K':>3} {'covariance':<15}{'df':>5} {'log L':>12} {'BIC':>12} {'ICL':>12}"]
        for row in self.table:
            head = f"{row['n_components']:>3} {row['covariance_type']:<15}"
            if row["error"] is not None:
                lines.append(f"{head} {row['error']}")
                continue
            lines.append(
                f"{head}{row['n_parameters']:>5} {row['log_likelihood']:>12.3f} "
                f"{row['bic']:>12.3f} {row['icl']:>12.3f}"
                + ("  collapsed" if row["collapsed"] else "")
            )
        return "\n".join(lines)


class _SharedPartitions:
    """An ``init_params`` that gives all covariance types the same k-means partitions.

    For each number of components there are ``n_init`` partitions, in turn of the rows with unit
    variance, whitened and as given; they are found once and kept.
    """

    def __init__(
        self,
        n_init: int,
        sample_weight: ArrayLike | None,
        random_state: Any,
        n_jobs: int | None,
    ):
        self._n_init = n_init
        self._n_jobs = n_jobs
        self._weight = sample_weight
        self._rng = check_random_state(random_state)
        self._labels: dict[int, list[NDArray]] = {}
        self._calls = 0

    def restart(self) -> None:
        """The next call gives the first partition again."""
        self._calls = 0

    def __call__(self, X: NDArray, n_components: int, random_state: Any) -> NDArray:
        if n_components not in self._labels:
            with start_threads(self._n_jobs):
                self._labels[n_components] = self._partitions(X, n_components)
        partitions = self._labels[n_components]
        labels = partitions[self._calls % len(partitions)]
        self._calls += 1
        return np.eye(n_components)[labels]

    def _partitions(self, X: NDArray, k: int) -> list[NDArray]:
        weight = check_weights(self._weight, X)
        center, scale, *_ = column_units(X, weight, common_scale=False)
        Z = (X.astype(np.float64) - center) * scale
        Z, which = np.unique(np.where(np.isnan(Z), 0.0, Z), axis=0, return_inverse=True)
        w = np.bincount(which.ravel(), weights=weight, minlength=len(Z)).astype(np.float64)
        points = [coordinates(Z, w, scale, system) for system in SYSTEMS[: self._n_init]]
        labels = []
        for i in range(self._n_init):
            if len(Z) < k:  # fewer distinct rows than components
                labels.append((np.arange(len(Z)) % k)[which.ravel()])
                continue
            kmeans = KMeans(k, n_init=1, random_state=self._rng)
            kmeans.fit(points[i % len(points)], sample_weight=w)
            labels.append(kmeans.labels_[which.ravel()])
        return labels


def select_gaussian_mixture(
    X: ArrayLike,
    *,
    n_components: int | Iterable[int] = range(1, 10),
    covariance_types: str | Iterable[str] = COVARIANCE_TYPES,
    criterion: str = "bic",
    sample_weight: ArrayLike | None = None,
    estimator: GaussianMixtureEM | None = None,
    n_init: int = 6,
    random_state: Any = None,
) -> MixtureSelection:
    """Fit a Gaussian mixture for each number of components and covariance type; keep the best.

    The candidates share the partitions that they start from: k-means runs once for each number of
    components and start, whatever the number of covariance types, and candidates differ by their
    model and not by the luck of their starts.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows; NaN where missing.
    n_components : int or iterable of int, default=range(1, 10)
        Numbers of components to try.
    covariance_types : str or iterable of str, default=all six
        Covariance types to try.
    criterion : {'bic', 'icl', 'aic'}, default='bic'
        Lower is better. ICL favours well-separated components.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row; default is one for each.
    estimator : GaussianMixtureEM, default=None
        Template for all other parameters; default ``GaussianMixtureEM(tol=1e-6, max_iter=1000)``.
    n_init : int, default=6
        Starts of each candidate.
    random_state : int, RandomState instance or None, default=None
        Seed of all random numbers; pass an int for the same result at each call.

    Returns
    -------
    selection : MixtureSelection
        The best mixture, and the table of all candidates.

    Raises
    ------
    ValueError
        If a parameter is out of range, or no candidate can be fitted.

    Warns
    -----
    ConvergenceWarning
        If components of the best candidate have collapsed, as they have in all others then.
    UserWarning
        If ``reg_covar`` decides the fit of a column, which is in small units.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skem.mixture import select_gaussian_mixture
    >>> selection = select_gaussian_mixture(
    ...     load_iris().data, n_components=range(1, 4), random_state=0
    ... )
    >>> selection.best_params_
    {'n_components': 2, 'covariance_type': 'full'}
    """
    sizes: list[int] = (
        [n_components] if isinstance(n_components, (int, np.integer)) else list(n_components)
    )
    types = [covariance_types] if isinstance(covariance_types, str) else list(covariance_types)
    _check_candidates(sizes, types, criterion)
    template = GaussianMixtureEM(tol=1e-6, max_iter=1000) if estimator is None else estimator
    partitions = _SharedPartitions(n_init, sample_weight, random_state, template.n_jobs)
    fitted: list[tuple[dict[str, Any], GaussianMixtureEM | None]] = []
    for k in sizes:
        for covariance_type in types:
            candidate = clone(template).set_params(
                n_components=k,
                covariance_type=covariance_type,
                init_params=partitions,
                n_init=n_init,
                random_state=template.random_state if random_state is None else random_state,
            )
            partitions.restart()
            fitted.append(_fit_candidate(candidate, X, sample_weight))
    if all(mixture is None for _, mixture in fitted):
        raise ValueError(f"No candidate could be fitted: {fitted[0][0]['error']}")
    fitted.sort(key=lambda pair: _rank(pair[0], criterion))
    best_row, best = fitted[0]
    assert best is not None
    best.set_params(init_params=template.init_params, n_init=template.n_init)
    best._warn_of_blur()
    best._warn_if_collapsed(
        f" So they have in all {len(fitted)} candidates, which {criterion} cannot compare."
        if best_row["collapsed"]
        else ""
    )
    best_params = {name: best_row[name] for name in ("n_components", "covariance_type")}
    return MixtureSelection(best, best_params, criterion, [row for row, _ in fitted])


def _rank(row: dict[str, Any], criterion: str) -> tuple[int, float]:
    """Sound candidates by the criterion, then those with collapsed components, then failures."""
    if row["error"] is not None:
        return 2, 0.0
    return int(row["collapsed"]), row[criterion]


def _check_candidates(sizes: list[int], types: list[str], criterion: str) -> None:
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {CRITERIA}, got {reprlib.repr(criterion)}.")
    unknown = [t for t in types if t not in COVARIANCE_TYPES]
    if unknown or not types:
        raise ValueError(
            f"covariance_types must be among {COVARIANCE_TYPES}, got {reprlib.repr(types)}."
        )
    if not sizes:
        raise ValueError("n_components must name at least one number of components.")


def _fit_candidate(
    candidate: GaussianMixtureEM, X: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[dict[str, Any], GaussianMixtureEM | None]:
    """A row of the table, and the fitted mixture (None if it cannot be fitted)."""
    row: dict[str, Any] = {
        "n_components": candidate.n_components,
        "covariance_type": candidate.covariance_type,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "reg_covar=")  # said once, of the best
            candidate.fit(X, sample_weight=sample_weight)
    except ValueError as error:
        return row | {"error": str(error)}, None
    bic, n_parameters = candidate.bic(X, sample_weight), candidate._n_parameters()
    aic = candidate.aic(X, sample_weight)
    return row | {
        "n_parameters": n_parameters,
        "log_likelihood": n_parameters - aic / 2,
        "bic": bic,
        "icl": candidate.icl(X, sample_weight),
        "aic": aic,
        "n_iter": candidate.n_iter_,
        "converged": candidate.converged_,
        "collapsed": bool(len(candidate.collapsed_)),
        "error": None,
    }, candidate
