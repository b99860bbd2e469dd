"""The parameters of a Gaussian mixture that determine what is fitted and where a fit starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

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
    def of(cls, parameters: Mapping[str, Any]) -> Settings:
        """The settings among all parameters of an estimator."""
        return cls(**{name: parameters[name] for name in cls._fields})

    @property
    def structure(self) -> Structure:
        """The covariance structure of the components."""
        return structure_of(self.covariance_type)[0]

    @property
    def tied(self) -> bool:
        """Whether the components share one covariance."""
        return structure_of(self.covariance_type)[1]
