"""Between what a user gives a Gaussian mixture and the model in its working coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem._memory import refuse_starts_beyond_memory
from skem.mixture._reach import (
    FARTHEST,
    MOST,
    check_distance,
    check_strengths,
    check_variances,
    suspects,
)
from skem.mixture.gaussian.model._covariances import structure_of
from skem.mixture.gaussian.model._model import GaussianModel
from skem.mixture.gaussian.model._params import GaussianParams
from skem.mixture.gaussian.starts._candidates import GaussianStarts, check_responsibilities
from skem.mixture.gaussian.starts._init import (
    TrainingData,
    check_initial_values,
    column_spread,
    column_units,
    make_priors,
    shown,
)

if TYPE_CHECKING:
    from skem.mixture.gaussian._gaussian_mixture import GaussianMixtureEM


_LARGEST_REG = 1e290
"""Variance of noise beside columns of unit variance of which a fit can still be made."""


def make_model(
    estimator: GaussianMixtureEM,
    data: TrainingData,
    rng: np.random.RandomState,
    mean_of_fit: NDArray | None = None,
) -> GaussianModel:
    """The model in working coordinates, priors and regularisation included.

    ``mean_of_fit`` is where the default mean prior of the last fit was, if that one goes on.
    """
    structure, _ = structure_of(estimator.covariance_type)
    d = data.X.shape[1]
    units = column_units(data.X, data.weight, common_scale=structure.name == "spherical")
    center, scale = units.center, units.scale
    if units.lost.any() and estimator.reg_covar == 0 and structure.name != "spherical":
        raise ValueError(
            f"Columns {shown(units.lost)} of X vary by less than 1e-140, so that their variances "
            "are no normal numbers. Change their units."
        )
    protected = None
    if data.labels is not None:
        protected = data.labelled(estimator.n_components)
        if estimator.collapse == "remove":
            raise ValueError(
                "collapse='remove' cannot be used with labels: removing a component would "
                "renumber the others. Use collapse='restart' or 'report'."
            )
    priors = make_priors(estimator, structure, center, scale)
    if priors.mean is not None and estimator.mean_prior is None and mean_of_fit is not None:
        priors = replace(priors, mean=(mean_of_fit - center) * scale)
    with np.errstate(over="ignore"):
        priors = priors.per(data.unit)
        reg = np.full(d, float(estimator.reg_covar)) * scale**2
    check_variances(reg, "reg_covar", most=_LARGEST_REG)
    check_strengths(priors.strengths, data.unit)
    return GaussianModel(
        estimator.covariance_type,
        center=center,
        scale=scale,
        reg=reg,
        priors=priors,
        dtype=data.X.dtype,
        collapse=estimator.collapse,
        rng=rng,
        protected=protected,
        row_weight=min(1.0 / data.unit, data.total_weight / data.n_rows),
        incomplete=data.incomplete,
        varies=units.varies,
    )


def check_batch(model: GaussianModel, data: TrainingData) -> None:
    """Refuse a batch whose squares, in the units of the first one, leave the range of its type.

    Raises
    ------
    ValueError
        If a column is further out than that.
    """
    center, variance, _ = column_spread(data.X, data.weight)
    with np.errstate(over="ignore"):
        size = np.sqrt(variance + np.square(center - model.center)) * model.scale
    far = ~(size <= min(float(np.finfo(model.dtype).max) ** 0.45, FARTHEST))
    if far.any():
        raise ValueError(
            f"Columns {shown(far)} of X hold values so far from those of the first batch that "
            f"their squares are not finite in {model.dtype}. Leave such rows out, or change the "
            "units of all batches."
        )


def make_starts(
    estimator: GaussianMixtureEM,
    model: GaussianModel,
    data: TrainingData,
    rng: np.random.RandomState,
    previous: dict[str, Any],
) -> tuple[list[GaussianParams], NDArray | None]:
    """Parameters to start from, with what the user gave in its place.

    Also the rows that they were made of, where these are a sample.
    """
    if previous:
        return [_go_on(estimator, model, previous)], None
    given = _in_working_units(model, check_initial_values(estimator, model.d))
    named = {"means_init": given["means"]} if "means" in given else {}
    if "covariances" in given:
        named["precisions_init"] = model.structure.variances(given["covariances"])
    model.suspects = suspects(model.priors, data.total_weight, named)
    refuse_starts_beyond_memory(estimator.n_init, _bytes_of_a_start(estimator, model))
    if len(given) == 3:
        return [_given_params(model, given, None)], None
    if not isinstance(estimator.init_params, str) and not callable(estimator.init_params):
        init = check_responsibilities(estimator.init_params, len(data.X), estimator.n_components)
        init = init if data.order is None else init[data.order]
    else:
        init = estimator.init_params
    starts = GaussianStarts(
        model,
        data.X,
        weight=data.weight,
        labels=data.labels,
        n_components=estimator.n_components,
        init_params=init,
        rng=rng,
        order=data.order,
        n_jobs=estimator.n_jobs,
    )
    n_starts = estimator.n_init
    if starts.deterministic:
        n_starts = estimator.n_init if callable(init) and estimator.n_components > 1 else 1
    elif init in ("kmeans", "k-means++"):
        n_starts = max(2 if starts.sample is None else 3, estimator.n_init)
    n_starts += starts.has_labelled_start
    made = starts.make_all(n_starts)
    return [_given_params(model, given, start) for start in made], starts.sample


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


def _bytes_of_a_start(estimator: GaussianMixtureEM, model: GaussianModel) -> float:
    """About what the parameters of a start take."""
    d = model.d
    numbers = 5 * d * d if model.structure.name == "full" else 6 * d
    return 8.0 * numbers * estimator.n_components


def _go_on(
    estimator: GaussianMixtureEM, model: GaussianModel, previous: dict[str, Any]
) -> GaussianParams:
    """The parameters of the last fit, as a start."""
    k, d = previous.get("_fitted_components"), previous["means_"].shape[1]
    if (k, d) != (estimator.n_components, model.d):
        raise ValueError(
            f"warm_start=True, but the last fit had {k} components in {d} dimensions and this one "
            f"has {estimator.n_components} in {model.d}. Set warm_start=False."
        )
    before = previous["_fitted_type"]
    if before != estimator.covariance_type:
        raise ValueError(
            f"warm_start=True, but the last fit had covariance_type={before!r} and this one has "
            f"{estimator.covariance_type!r}. Set warm_start=False."
        )
    return to_working(estimator, model, previous)


def _given_params(
    model: GaussianModel, given: dict[str, NDArray], start: GaussianParams | None
) -> GaussianParams:
    """A start with initial values of the user in their place."""
    if not given:
        assert start is not None
        return start
    parts = given if start is None else start._asdict() | given
    return model.params(parts["weights"], parts["means"], parts["covariances"])


def to_working(
    estimator: GaussianMixtureEM, model: GaussianModel, fitted: Mapping[str, Any]
) -> GaussianParams:
    """Fitted attributes as parameters of the model."""
    covariances = np.asarray(fitted["covariances_"], dtype=np.float64)
    return model.params(
        _shares(fitted["weights_"]),
        (np.asarray(fitted["means_"], dtype=np.float64) - model.center) * model.scale,
        model.structure.rescale(covariances[None] if model.tied else covariances, model.scale),
    )


def check_goes_on(estimator: GaussianMixtureEM) -> None:
    """Refuse batches for a fitted mixture of another covariance type or number of components.

    The number is that which was asked for: components that were removed are no contradiction.
    """
    before = estimator._fitted_type, estimator._fitted_components
    if before != (estimator.covariance_type, estimator.n_components):
        raise ValueError(
            f"partial_fit began with covariance_type={before[0]!r} and n_components={before[1]}, "
            f"which cannot change on the way; they are {estimator.covariance_type!r} and "
            f"{estimator.n_components} now. Set them back, or begin anew with a clone."
        )


def _shares(weights: ArrayLike) -> NDArray:
    """Weights as float64 that sum to one exactly."""
    weights = np.asarray(weights, dtype=np.float64)
    return weights / weights.sum()
