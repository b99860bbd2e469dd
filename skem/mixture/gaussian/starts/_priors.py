"""The priors that the user asked for, in working units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem._memory import refuse_beyond_memory
from skem._validation import check_numbers
from skem.mixture._reach import check_distance, check_variances
from skem.mixture.gaussian.model._full_covariances import NotPositiveDefiniteError
from skem.mixture.gaussian.model._params import Priors
from skem.mixture.gaussian.starts._settings import Settings

_MATRICES_OF_A_FIT = 6
"""About how many matrices of each component a fit holds at the same time: those of the parameters
(covariance, Cholesky factor, its inverse, the form for the E step) and of the statistics."""


def make_priors(settings: Settings, center: NDArray, scale: NDArray) -> Priors:
    """The priors that the user asked for, in working coordinates."""
    d, structure = len(center), settings.structure
    check_size(settings, d)
    concentration = settings.weight_concentration_prior
    mean, kappa = None, settings.mean_precision_prior
    if kappa is None and settings.mean_prior is not None:
        raise ValueError("mean_prior needs mean_precision_prior, the strength of the prior.")
    if kappa is not None:
        mean = np.zeros(d)
        if settings.mean_prior is not None:
            mean = check_numbers(settings.mean_prior, "mean_prior", (d,), ("n_features",))
            with np.errstate(over="ignore"):
                mean = (mean - center) * scale
            check_distance(mean, "mean_prior")
    scatter, degrees = None, settings.degrees_of_freedom_prior
    if settings.covariance_prior is None and degrees is not None:
        raise ValueError("degrees_of_freedom_prior needs covariance_prior, the scatter matrix.")
    if settings.covariance_prior is not None:
        shape = structure.shape(d)
        axes = ("n_features",) * len(shape)
        value = check_numbers(settings.covariance_prior, "covariance_prior", shape, axes)
        try:
            if structure.correlated and not np.allclose(value, value.T):
                raise NotPositiveDefiniteError(0)
            structure.factor(value[None])
        except NotPositiveDefiniteError:
            raise ValueError("covariance_prior must be symmetric and positive definite.") from None
        with np.errstate(over="ignore"):
            scatter = structure.rescale(value[None], scale)[0]
        check_variances(structure.variances(scatter[None]), "covariance_prior")
        scatter = scatter * structure.directions(d)
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


def check_size(settings: Settings, d: int) -> None:
    """Refuse a model whose parameters would not fit into the memory of the machine."""
    if not settings.structure.correlated:
        return
    covariance_type, n_components = settings.covariance_type, settings.n_components
    refuse_beyond_memory(
        8 * _MATRICES_OF_A_FIT * d * d * (1 if settings.tied else n_components),
        f"covariance_type={covariance_type!r} with {n_components} components in {d} dimensions",
        "Use covariance_type='diag', or reduce the dimensions first (PCA).",
    )
