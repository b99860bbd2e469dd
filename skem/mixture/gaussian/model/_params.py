"""What a Gaussian mixture passes from step to step: parameters, statistics, priors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class GaussianParams(NamedTuple):
    """Parameters, and what the E step needs of them; made by `GaussianModel.params`."""

    weights: NDArray  # (k,)
    means: NDArray  # (k, d)
    covariances: NDArray  # (k or 1, structure)
    choleskys: NDArray  # (k or 1, structure) lower factors of the covariances
    factors: NDArray  # (k or 1, structure) their inverses
    log_constants: NDArray  # (k,) log weight + log normaliser - blur, without the quadratic form
    theta: NDArray | None  # coefficients of the features, laid out; None: by differences
    panels: NDArray | None  # factors of full covariances as `centred_e_step` takes them, or None
    dtype: np.dtype  # in which the E step computes
    steepness: float  # of the steepest component, see `DensityTerms`

    @property
    def reference(self) -> NDArray:
        """Points (k, d) that the moments of the E step are taken about."""
        return self.means if self.theta is None else np.zeros_like(self.means)


class GaussianStatistics(NamedTuple):
    """Moments about the reference points of the E step: the origin, or the means."""

    log_likelihood: float
    weight: float
    counts: NDArray  # (k,)
    sums: NDArray  # (k, d)
    squares: NDArray  # (k, n_squares), or (1, n_squares) if tied: `pack`ed
    pairs: float  # weight x number of components that matter to a row, summed over the rows


@dataclass(frozen=True)
class Priors:
    """Conjugate priors of a MAP fit; each is off by default.

    weights ~ Dirichlet(concentration); mu_k | Sigma_k ~ N(mean, Sigma_k / mean_precision);
    Sigma_k ~ inverse Wishart(scatter, degrees of freedom), restricted to the structure.

    What they add to the rows counts in the unit of the weights.
    """

    concentration: float = 1.0
    mean: NDArray | None = None
    mean_precision: float = 0.0
    mean_rows: float = 0.0  # what the density of a mean adds to the degrees of freedom
    scatter: NDArray | None = None
    scatter_rows: float = 0.0  # what the density of a covariance adds to them, nu + d + 1

    def per(self, unit: float) -> Priors:
        """The same priors for weights that were divided by ``unit``."""
        return replace(
            self,
            concentration=1 + (self.concentration - 1) / unit,
            mean_precision=self.mean_precision / unit,
            mean_rows=self.mean_rows / unit,
            scatter=None if self.scatter is None else self.scatter / unit,
            scatter_rows=self.scatter_rows / unit,
        )

    @property
    def strengths(self) -> dict[str, float]:
        """Pseudo-rows, by the names of the parameters that request them."""
        return {
            "weight_concentration_prior": self.concentration,
            "mean_precision_prior": self.mean_precision,
            "degrees_of_freedom_prior": self.scatter_rows,
            "covariance_prior": 0.0 if self.scatter is None else float(np.abs(self.scatter).max()),
        }

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self.concentration != 1.0 or self.mean is not None or self.scatter is not None
