"""A Gaussian mixture in the plane: its marginal, ellipses, density regions and colours.

Conventions, for k components and n points:
    weights (k,), means (k, 2), covariances (k, 2, 2), points (n, 2), resp (n, k)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, logsumexp

from skem.mixture._base import posterior
from skem.mixture.gaussian._density import log_marginal_densities

N_DRAWS = 10_000
"""Draws for the levels of densities, which make contents accurate to half a percent."""

REACH = 4
"""Standard deviations around the means that the box of a mixture shows: nearly all of it."""

GREY = 0.72
"""Grey level of rows that belong to no component in particular: visible, and paler than colours."""


class PlaneMixture(NamedTuple):
    """The marginal mixture of two columns, in their units."""

    weights: NDArray
    means: NDArray
    covariances: NDArray

    def density(self, points: NDArray) -> NDArray:
        """p(x) per unit of area, (n,)."""
        log_components = log_marginal_densities(points, self.means, self.covariances)
        return np.exp(logsumexp(log_components, axis=1, b=self.weights))

    def responsibilities(self, points: NDArray) -> NDArray:
        """p(k | x), (n, k)."""
        log_components = log_marginal_densities(points, self.means, self.covariances)
        with np.errstate(divide="ignore"):
            return posterior(log_components + np.log(self.weights))

    def draw(self, n: int, seed: int = 0) -> NDArray:
        """Draws, (n, 2), always the same."""
        rng = np.random.default_rng(seed)
        z = rng.choice(len(self.weights), size=n, p=self.weights / self.weights.sum())
        variances, axes = np.linalg.eigh(self.covariances)
        noise = rng.standard_normal((n, 2)) * np.sqrt(np.maximum(variances, 0))[z]
        return self.means[z] + np.einsum("nij,nj->ni", axes[z], noise)

    def density_levels(self, contents: NDArray) -> NDArray:
        """Densities above which the mixture has these probabilities, ascending.

        The c-content level is the (1 - c)-quantile of p(X) (Hyndman 1996, Am. Stat. 50, sec. 3.2).
        """
        return np.unique(np.quantile(self.density(self.draw(N_DRAWS)), 1 - np.asarray(contents)))

    def extent(self) -> NDArray:
        """Corners ((x0, y0), (x1, y1)) of a box that holds nearly all of the mixture."""
        reach = REACH * np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))
        return np.array([(self.means - reach).min(axis=0), (self.means + reach).max(axis=0)])


def ellipse_axes(covariance: NDArray, content: float) -> tuple[float, float, float]:
    """Full axes (major, minor) and angle in degrees of the ellipse with that probability content.

    Its Mahalanobis radius r is the chi-square quantile with 2 degrees of freedom,
    r^2 = -2 log(1 - content).
    """
    variances, vectors = np.linalg.eigh(covariance)
    minor, major = 2 * np.sqrt(np.maximum(variances, 0) * -2 * np.log1p(-content))
    return float(major), float(minor), float(np.degrees(np.arctan2(*vectors[::-1, 1])))


def mixed_colors(resp: NDArray, rgb: NDArray) -> NDArray:
    """The components' colours (k, 3) averaged under resp, the greyer the larger its entropy.

    With one bit of entropy, as for a row halfway between two components, the colour is grey: the
    average of two colours alone would look like a third component.
    """
    doubt = np.minimum(entr(resp).sum(axis=1, keepdims=True) / np.log(2), 1)
    return np.clip((1 - doubt) * (resp @ rgb) + doubt * GREY, 0, 1)
