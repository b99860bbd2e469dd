"""Choosing the number of components and the covariance type of a Gaussian mixture."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skem.mixture.gaussian._gaussian_mixture import GaussianMixtureEM
from skem.mixture.gaussian.model._covariances import COVARIANCE_TYPES
from skem.mixture.gaussian.starts._shared import SharedPartitions

CRITERIA = ("bic", "icl", "aic")

TOL, MAX_ITER = 1e-6, 1000
"""Of the default template: criteria of candidates differ by little, so fits are closer to their
limits than by default."""


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
        The criterion that the table is sorted by.
    table : list of dict
        One row per candidate, best first: n_components, covariance_type, n_parameters,
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
    components and start, whatever the number of covariance types, and candidates differ in their
    models rather than in the luck of their starts.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows; NaN where missing.
    n_components : int or iterable of int, default=range(1, 10)
        Numbers of components to try.
    covariance_types : str or iterable of str, default=all six
        Covariance types to try.
    criterion : {'bic', 'icl', 'aic'}, default='bic'
        Which criterion to minimise. ICL favours well-separated components.
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
        If components of the best candidate have collapsed; then they have in all candidates.
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
    template = GaussianMixtureEM(tol=TOL, max_iter=MAX_ITER) if estimator is None else estimator
    partitions = SharedPartitions(n_init, sample_weight, random_state, template.n_jobs)
    rows: list[dict[str, Any]] = []
    fitted: list[tuple[dict[str, Any], GaussianMixtureEM]] = []
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
            row = _fit_candidate(candidate, X, sample_weight)
            rows.append(row)
            if row["error"] is None:
                fitted.append((row, candidate))
    if not fitted:
        raise ValueError(f"No candidate could be fitted: {rows[0]['error']}")
    rows.sort(key=lambda row: _rank(row, criterion))
    best_row, best = min(fitted, key=lambda pair: _rank(pair[0], criterion))
    best.set_params(init_params=template.init_params, n_init=template.n_init)
    best._warn_of_blur()
    more = (
        f" Components collapsed in all {len(fitted)} candidates: {criterion} cannot compare them."
    )
    best._warn_if_collapsed(more if best_row["collapsed"] else "")
    best_params = {name: best_row[name] for name in ("n_components", "covariance_type")}
    return MixtureSelection(best, best_params, criterion, rows)


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
) -> dict[str, Any]:
    """Fit the candidate; return its row of the table, in which ``error`` says why it failed."""
    row: dict[str, Any] = {
        "n_components": candidate.n_components,
        "covariance_type": candidate.covariance_type,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "reg_covar=")  # the best gives this warning once
            candidate.fit(X, sample_weight=sample_weight)
    except ValueError as error:
        return row | {"error": str(error)}
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
    }
