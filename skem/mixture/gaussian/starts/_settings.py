"""What a fit of a Gaussian mixture knows of its estimator: parameters, and the last fit."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import ArrayLike, NDArray

from skem.mixture.gaussian.model._covariances import Structure, structure_of


class Settings(NamedTuple):
    """Parameters of `GaussianMixtureEM`, by their names there."""

    n_components: int
    covariance_type: str
    reg_covar: float
    n_init: int
    init_params: Any
    weights_init: ArrayLike | None
    means_init: ArrayLike | None
    precisions_init: ArrayLike | None
    collapse: str
    weight_concentration_prior: float | None
    mean_precision_prior: float | None
    mean_prior: ArrayLike | None
    degrees_of_freedom_prior: float | None
    covariance_prior: ArrayLike | None
    n_jobs: int | None

    @classmethod
    def of(cls, estimator: Any) -> Settings:
        """Those of an estimator, whose parameters have the same names."""
        return cls(**{name: getattr(estimator, name) for name in cls._fields})

    @property
    def structure(self) -> Structure:
        """The covariance structure of the components."""
        return structure_of(self.covariance_type)[0]

    @property
    def tied(self) -> bool:
        """Whether the components share one covariance."""
        return structure_of(self.covariance_type)[1]


class Fitted(NamedTuple):
    """A fit from which another one goes on, in the user's units."""

    weights: NDArray
    means: NDArray
    covariances: NDArray
    covariance_type: str
    n_components: int  # that were asked for: components may have been removed during the fit

    @classmethod
    def of(cls, estimator: Any) -> Fitted:
        """The last fit of an estimator."""
        return cls(
            estimator.weights_,
            estimator.means_,
            estimator.covariances_,
            estimator._fitted_type,
            estimator._fitted_components,
        )
