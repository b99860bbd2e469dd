"""From what a user gives to a Gaussian mixture to the model in working units."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem._memory import refuse_starts_beyond_memory
from skem._validation import check_numbers
from skem.mixture._given import check_shares
from skem.mixture._reach import (
    FARTHEST,
    MOST,
    check_distance,
    check_strengths,
    check_variances,
)
from skem.mixture.gaussian.model._given_covariances import check_covariances
from skem.mixture.gaussian.model._model import GaussianModel
from skem.mixture.gaussian.model._params import GaussianParams
from skem.mixture.gaussian.starts._candidates import GaussianStarts, check_responsibilities
from skem.mixture.gaussian.starts._priors import make_priors
from skem.mixture.gaussian.starts._rows import GaussianRows
from skem.mixture.gaussian.starts._settings import Fitted, Settings
from skem.mixture.gaussian.starts._suspects import suspects
from skem.mixture.gaussian.starts._units import column_spread, column_units, shown

_LARGEST_REG = 1e290
"""Largest variance of noise, in units of the variance of a column, with which a fit still works."""

_OF_RANGE = 0.45
"""The largest value of a batch is at most the largest number of the type to this power: its square
is then finite, and so is the sum of many."""

_MATRICES_OF_PARAMS, _VECTORS_OF_PARAMS = 5, 6
"""About how many matrices, or with other than full covariances vectors, the parameters of a
component consist of: see `GaussianParams`."""


def make_model(
    data: GaussianRows,
    rng: np.random.RandomState,
    mean_of_fit: NDArray | None = None,
    *,
    online: bool = False,
) -> GaussianModel:
    """The model in working coordinates, priors and regularisation included.

    ``mean_of_fit`` is the default mean of the prior in the last fit, if that fit is continued;
    ``online`` is for batches, whose statistics belong to different parameters.
    """
    settings = data.settings
    d, structure = data.X.shape[1], settings.structure
    units = column_units(data.X, data.weight, common_scale=structure.common_scale)
    center, scale = units.center, units.scale
    if units.lost.any() and settings.reg_covar == 0 and not structure.common_scale:
        raise ValueError(
            f"Columns {shown(units.lost)} of X vary by less than 1e-140, so that their variances "
            "are not normal numbers. Change their units."
        )
    protected = data.labelled()
    if protected is not None and settings.collapse == "remove":
        raise ValueError(
            "collapse='remove' cannot be used with labels: removing a component would renumber the "
            "others. Use collapse='restart' or 'report'."
        )
    priors = make_priors(settings, center, scale)
    if priors.mean is not None and settings.mean_prior is None and mean_of_fit is not None:
        priors = replace(priors, mean=(mean_of_fit - center) * scale)
    with np.errstate(over="ignore"):
        priors = priors.per(data.unit)
        reg = np.full(d, float(settings.reg_covar)) * scale**2
    check_variances(reg, "reg_covar", most=_LARGEST_REG)
    check_strengths(priors.strengths, data.unit)
    return GaussianModel(
        settings.covariance_type,
        center=center,
        scale=scale,
        reg=reg,
        priors=priors,
        dtype=data.X.dtype,
        collapse="report" if online else settings.collapse,
        moments_about_origin=online,
        rng=rng,
        protected=protected,
        row_weight=min(1.0 / data.unit, data.total_weight / data.n_rows),
        incomplete=data.incomplete,
        varies=units.varies,
    )


def check_batch(model: GaussianModel, data: GaussianRows) -> None:
    """Refuse a batch whose squares, in the units of the first one, exceed the range of its type.

    Raises
    ------
    ValueError
        If the values of a column are so large.
    """
    center, variance, _ = column_spread(data.X, data.weight)
    with np.errstate(over="ignore"):
        size = np.sqrt(variance + np.square(center - model.center)) * model.scale
    far = ~(size <= min(float(np.finfo(model.dtype).max) ** _OF_RANGE, FARTHEST))
    if far.any():
        raise ValueError(
            f"Columns {shown(far)} of X hold values so far from those of the first batch that "
            f"their squares are not finite in {model.dtype}. Leave such rows out, or change the "
            "units of all batches."
        )


def make_starts(
    model: GaussianModel,
    data: GaussianRows,
    rng: np.random.RandomState,
    previous: Fitted | None,
) -> tuple[list[GaussianParams], NDArray | None]:
    """Parameters to start from, including those that the user gave.

    The second value are the rows that they were made from, if these are a sample, or None.
    """
    settings = data.settings
    if previous is not None:
        return [_go_on(settings, model, previous)], None
    given = _in_working_units(model, _initial_values(settings, model.d))
    named = {"means_init": given["means"]} if "means" in given else {}
    if "covariances" in given:
        named["precisions_init"] = model.structure.variances(given["covariances"])
    model.suspects = suspects(model.priors, data.total_weight, named)
    refuse_starts_beyond_memory(settings.n_init, _bytes_of_a_start(settings, model))
    if len(given) == 3:
        return [_with_given(model, given, {})], None
    if not isinstance(settings.init_params, str) and not callable(settings.init_params):
        init = check_responsibilities(settings.init_params, len(data.X), settings.n_components)
        init = init if data.order is None else init[data.order]
    else:
        init = settings.init_params
    starts = GaussianStarts(
        model,
        data.X,
        weight=data.weight,
        labels=data.labels,
        n_components=settings.n_components,
        init_params=init,
        rng=rng,
        order=data.order,
        n_jobs=settings.n_jobs,
    )
    n_starts = settings.n_init
    if starts.deterministic:
        n_starts = settings.n_init if callable(init) and settings.n_components > 1 else 1
    elif init in ("kmeans", "k-means++"):
        n_starts = max(2 if starts.sample is None else 3, settings.n_init)
    n_starts += starts.has_labelled_start
    made = starts.make_all(n_starts)
    if given:
        made = [_with_given(model, given, start._asdict()) for start in made]
    return made, starts.sample


def _initial_values(settings: Settings, d: int) -> dict[str, NDArray]:
    """Initial weights, means and covariances that the user gave, by name; internal shapes."""
    k = settings.n_components
    given: dict[str, NDArray] = {}
    if settings.weights_init is not None:
        given["weights"] = check_shares(settings.weights_init, "weights_init", (k,))
    if settings.means_init is not None:
        given["means"] = check_numbers(
            settings.means_init, "means_init", (k, d), ("n_components", "n_features")
        )
    if settings.precisions_init is not None:
        precisions = check_covariances(
            settings.precisions_init, "precisions_init", settings.covariance_type, k, d
        )
        with np.errstate(over="ignore"):  # which is refused where the units of X are known
            given["covariances"] = settings.structure.precision(
                settings.structure.factor(precisions)
            )
    return given


def _in_working_units(model: GaussianModel, given: dict[str, NDArray]) -> dict[str, NDArray]:
    """Initial values of the user where the columns have mean zero and unit variances."""
    given = dict(given)
    with np.errstate(over="ignore"):
        if "means" in given:
            given["means"] = (given["means"] - model.center) * model.scale
            check_distance(given["means"], "means_init")
        if "covariances" in given:
            given["covariances"] = model.structure.rescale(given["covariances"], model.scale)
            variances = model.structure.variances(given["covariances"])
            check_variances(variances, "precisions_init", least=1 / MOST)
    return given


def _bytes_of_a_start(settings: Settings, model: GaussianModel) -> float:
    """Approximate size of the parameters of a start."""
    d = model.d
    n_matrices, n_vectors = _MATRICES_OF_PARAMS, _VECTORS_OF_PARAMS
    numbers = n_matrices * d * d if model.structure.correlated else n_vectors * d
    return 8.0 * numbers * settings.n_components


def _go_on(settings: Settings, model: GaussianModel, previous: Fitted) -> GaussianParams:
    """The parameters of the last fit, as a start."""
    k, d = previous.n_components, previous.means.shape[1]
    if (k, d) != (settings.n_components, model.d):
        raise ValueError(
            f"warm_start=True, but the last fit had {k} components in {d} dimensions and this one "
            f"has {settings.n_components} in {model.d}. Set warm_start=False."
        )
    before = previous.covariance_type
    if before != settings.covariance_type:
        raise ValueError(
            f"warm_start=True, but the last fit had covariance_type={before!r} and this one has "
            f"{settings.covariance_type!r}. Set warm_start=False."
        )
    return to_working(model, previous)


def _with_given(
    model: GaussianModel, given: dict[str, NDArray], start: dict[str, Any]
) -> GaussianParams:
    """Parameters in which initial values of the user take the place of those of the start."""
    parts = start | given
    return model.params(parts["weights"], parts["means"], parts["covariances"])


def to_working(model: GaussianModel, fitted: Fitted) -> GaussianParams:
    """Fitted attributes as parameters of the model."""
    covariances = np.asarray(fitted.covariances, dtype=np.float64)
    return model.params(
        _shares(fitted.weights),
        (np.asarray(fitted.means, dtype=np.float64) - model.center) * model.scale,
        model.structure.rescale(covariances[None] if model.tied else covariances, model.scale),
    )


def _shares(weights: ArrayLike) -> NDArray:
    """Weights as float64 that sum to one exactly."""
    weights = np.asarray(weights, dtype=np.float64)
    return weights / weights.sum()
