"""Checks of what a user gives a Gaussian mixture beside the rows, and its working units."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem._memory import refuse_beyond_memory
from skem._validation import check_labels, check_numbers, check_weights, in_unit, unit_of
from skem.em import RowBlocks
from skem.mixture._features import plain_features, plain_rows
from skem.mixture._given import check_covariances, check_shares
from skem.mixture._reach import check_distance, check_variances
from skem.mixture._weights import kept_rows
from skem.mixture.gaussian.model._covariances import (
    NotPositiveDefiniteError,
    Structure,
    structure_of,
)
from skem.mixture.gaussian.model._missing import pattern_order
from skem.mixture.gaussian.model._params import Priors

if TYPE_CHECKING:
    from skem.mixture.gaussian._gaussian_mixture import GaussianMixtureEM


_LARGEST, _SMALLEST = 1e280, 1e-280
"""Variances between which products of squares stay normal numbers."""


class ColumnUnits(NamedTuple):
    """Working units: z = (x - center) * scale."""

    center: NDArray  # (d,) weighted means
    scale: NDArray  # (d,) inverse standard deviations, or a common one; 1 of constant columns
    varies: NDArray  # (d,) whether the column is more than a constant and its rounding errors
    lost: NDArray  # (d,) whether it varies, but by so little that its variance is no normal number


def column_spread(X: NDArray, weight: NDArray | None) -> tuple[NDArray, NDArray, NDArray]:
    """Weighted mean, variance and weight of the known values of each column, without a copy of X.

    Rows of weight zero are left out.
    """
    from skem.mixture.gaussian.kernels._columns import column_moments

    weight = np.empty(0) if weight is None else weight.astype(np.float64, copy=False)
    center, squares, count = column_moments(plain_rows(X), weight)
    return center, squares / np.where(count > 0, count, 1.0), count


def column_units(X: NDArray, weight: NDArray | None, *, common_scale: bool) -> ColumnUnits:
    """Working units of each column; ``common_scale`` gives all the same scale.

    Raises
    ------
    ValueError
        If a column holds no value, or values too large to square.
    """
    center, variance, count = column_spread(X, weight)
    if (count == 0).any():
        raise ValueError(
            f"Columns {shown(count == 0)} of X hold no value at all (all NaN). Drop them."
        )
    if not (variance <= _LARGEST).all():
        raise ValueError(
            f"Columns {shown(~(variance <= _LARGEST))} of X hold values too large for their "
            "squares to be finite. Change their units."
        )
    lost = variance < _SMALLEST
    for j in np.flatnonzero(lost):
        lost[j] = _differs(X[:, j], weight)
    noise = np.square(64 * np.finfo(X.dtype).eps * np.abs(center))
    variance = np.where((variance > noise) & (variance >= _SMALLEST), variance, 0.0)
    varies = (variance > 0) | lost
    if common_scale:
        variance = np.full_like(variance, variance.mean())
    scale = np.where(variance > 0, 1 / np.sqrt(np.where(variance > 0, variance, 1)), 1.0)
    return ColumnUnits(center, scale, varies, lost)


def _differs(x: NDArray, weight: NDArray | None) -> bool:
    """Whether the values of a column differ by more than rounding."""
    x = x if weight is None else x[weight > 0]
    low, high = float(np.nanmin(x)), float(np.nanmax(x))
    return high - low > 64 * np.finfo(x.dtype).eps * max(abs(low), abs(high))


def shown(which: NDArray) -> str:
    """Numbers of the columns where ``which`` is true, the first few of them."""
    return reprlib.repr(np.flatnonzero(which).tolist())


def check_size(n_components: int, d: int, covariance_type: str) -> None:
    """Refuse a model whose parameters would not fit into the memory of the machine."""
    structure, tied = structure_of(covariance_type)
    if structure.name != "full":
        return
    refuse_beyond_memory(
        8 * 6 * d * d * (1 if tied else n_components),
        f"covariance_type={covariance_type!r} with {n_components} components in {d} dimensions",
        "Use covariance_type='diag', or reduce the dimensions first (PCA).",
    )


def check_initial_values(estimator: GaussianMixtureEM, d: int) -> dict[str, NDArray]:
    """Initial weights, means and covariances that the user gave, by name; internal shapes."""
    k = estimator.n_components
    given: dict[str, NDArray] = {}
    if estimator.weights_init is not None:
        given["weights"] = check_shares(estimator.weights_init, "weights_init", (k,))
    if estimator.means_init is not None:
        given["means"] = check_numbers(
            estimator.means_init, "means_init", (k, d), ("n_components", "n_features")
        )
    if estimator.precisions_init is not None:
        structure, _ = structure_of(estimator.covariance_type)
        precisions = check_covariances(
            estimator.precisions_init, "precisions_init", estimator.covariance_type, k, d
        )
        with np.errstate(over="ignore"):  # which is refused where the units of X are known
            given["covariances"] = structure.precision(structure.factor(precisions))
    return given


def make_priors(
    estimator: GaussianMixtureEM, structure: Structure, center: NDArray, scale: NDArray
) -> Priors:
    """The priors that the user asked for, in working coordinates."""
    d = len(center)
    check_size(estimator.n_components, d, estimator.covariance_type)
    concentration = estimator.weight_concentration_prior
    mean, kappa = None, estimator.mean_precision_prior
    if kappa is None and estimator.mean_prior is not None:
        raise ValueError("mean_prior needs mean_precision_prior, the strength of the prior.")
    if kappa is not None:
        mean = np.zeros(d)
        if estimator.mean_prior is not None:
            mean = check_numbers(estimator.mean_prior, "mean_prior", (d,), ("n_features",))
            with np.errstate(over="ignore"):
                mean = (mean - center) * scale
            check_distance(mean, "mean_prior")
    scatter, degrees = None, estimator.degrees_of_freedom_prior
    if estimator.covariance_prior is None and degrees is not None:
        raise ValueError("degrees_of_freedom_prior needs covariance_prior, the scatter matrix.")
    if estimator.covariance_prior is not None:
        shape = structure.shape(d)
        axes = ("n_features",) * len(shape)
        value = check_numbers(estimator.covariance_prior, "covariance_prior", shape, axes)
        try:
            if structure.name == "full" and not np.allclose(value, value.T):
                raise NotPositiveDefiniteError(0)
            structure.factor(value[None])
        except NotPositiveDefiniteError:
            raise ValueError("covariance_prior must be symmetric and positive definite.") from None
        with np.errstate(over="ignore"):
            scatter = structure.rescale(value[None], scale)[0]
        check_variances(structure.variances(scatter[None]), "covariance_prior")
        if structure.name == "spherical":
            scatter = scatter * d
        if degrees is None:
            degrees = d + 2.0
        elif degrees <= d - 1:
            raise ValueError(
                f"degrees_of_freedom_prior must be greater than n_features - 1 = {d - 1}, got "
                f"{degrees}."
            )
    return Priors(
        concentration=1.0 if concentration is None else float(concentration),
        mean=mean,
        mean_precision=0.0 if kappa is None else float(kappa),
        mean_rows=0.0 if kappa is None else 1.0,
        scatter=scatter,
        scatter_rows=0.0 if degrees is None else float(degrees) + d + 1,
    )


class TrainingData:
    """Validated rows as they were given, and the order in which the engine sees them.

    Rows of weight zero are left out; rows with missing values come last, sorted by pattern where
    those of one pattern share factorisations. X is not copied for that: the engine gathers the
    rows, piece by piece.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
    unit : float
        Of the weights, see `unit_of`.
    weight : ndarray of shape (n_samples,) or None
        In that unit.
    labels : ndarray of shape (n_samples,) or None
    order : ndarray of shape (n_rows,) or None
        The rows that are kept, in order; None is all of them, as they come.
    n_rows : int
    incomplete : bool
        Whether values are missing.
    total_weight : float
        In that unit.
    """

    def __init__(
        self,
        estimator: GaussianMixtureEM,
        X: Any,
        sample_weight: Any,
        labels: Any,
        *,
        reset: bool = True,
        first: bool = True,
        unit: float | None = None,
    ):
        self.X = X = estimator._check_X(X, reset=reset, min_samples=2 if first else 1)
        weight = check_weights(sample_weight, X, np.float64)  # until they are in their unit
        self.unit = unit_of(weight) if unit is None else unit
        self.weight = in_unit(weight, self.unit, len(X))
        self.labels = check_labels(labels, len(X), estimator.n_components)
        kept = kept_rows(self.weight)
        structure, _ = structure_of(estimator.covariance_type)
        by_pattern = pattern_order(X, kept, by_pattern=structure.name == "full")
        self.incomplete = by_pattern is not None
        self.order = by_pattern if self.incomplete else kept
        self.n_rows = len(X) if self.order is None else len(self.order)
        self.total_weight = float(len(X) if self.weight is None else self.weight.sum())
        if first and self.n_rows < estimator.n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = "
                f"{estimator.n_components}, n_samples = {self.n_rows}. Lower n_components."
            )

    def labelled(self, n_components: int) -> NDArray:
        """Components that have a labelled row."""
        assert self.labels is not None
        weights = np.bincount(self.labels + 1, weights=self.weight, minlength=n_components + 1)
        return np.flatnonzero(weights[1:])

    def row_blocks(self, estimator: GaussianMixtureEM, chosen: NDArray | None = None) -> RowBlocks:
        """The rows, or those at the chosen places of their order, cut into blocks."""
        d = self.X.shape[1]
        structure, tied = structure_of(estimator.covariance_type)
        features = plain_features(d) if tied else structure.features(d)
        order = self.order
        if chosen is not None:
            order = chosen if order is None else order[chosen]
        return RowBlocks(
            self.X,
            sample_weight=self.weight,
            labels=self.labels,
            row_values=features.work(estimator.n_components),
            min_rows=1024,
            order=order,
            n_jobs=estimator.n_jobs,
        )
