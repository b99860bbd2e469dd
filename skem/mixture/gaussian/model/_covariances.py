"""The covariance structures of a Gaussian mixture, each with its features and its algebra.

Conventions, for k components in d dimensions:
    full       covariance (d, d)   square of x: x x'          factor W (d, d): W Sigma W' = I, lower
    diag       covariance (d,)     square of x: (x_j^2)       factor (d,): 1 / sigma_j
    spherical  covariance ()       square of x: |x|^2         factor (): 1 / sigma
    tied_*     one covariance for all components; a leading axis k where there are several
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from skem.mixture import _features as feat
from skem.mixture._features import Features
from skem.mixture.gaussian.model._full_covariances import Full, NotPositiveDefiniteError

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical", "tied_diag", "tied_spherical")


class Diagonal:
    """A variance for each column."""

    name = "diag"
    correlated: Literal[False] = False
    common_scale = False
    has_loop = True

    def directions(self, d: int) -> int:
        return 1

    def of_columns(self, squares: NDArray) -> NDArray:
        """Squares of the columns (..., d) as those of the structure."""
        return squares

    def on_columns(self, factors: NDArray, d: int) -> NDArray:
        """Factors as those of the columns, (k or 1, d)."""
        return factors

    def features(self, d: int) -> Features:
        return feat.square_features(d)

    def shape(self, d: int) -> tuple[int, ...]:
        return (d,)

    def n_parameters(self, d: int) -> int:
        return d

    def pack(self, squares: NDArray) -> NDArray:
        return squares.reshape(len(squares), -1)

    def unpack(self, packed: NDArray, d: int) -> NDArray:
        return packed.reshape(-1, *self.shape(d))

    def coefficients(self, precisions: NDArray) -> NDArray:
        return -0.5 * precisions

    def square(self, a: NDArray) -> NDArray:
        return a * a

    def symmetric(self, a: NDArray, b: NDArray) -> NDArray:
        return 2 * a * b

    def divide(self, squares: NDArray, counts: NDArray, d: int) -> NDArray:
        return squares / counts[..., None]

    def diagonal(self, values: NDArray) -> NDArray:
        return values

    def decompose(self, covariances: NDArray) -> tuple[NDArray, NDArray]:
        """Standard deviations, and their inverses."""
        factors = self.factor(covariances)
        return covariances * factors, factors

    def factor(self, covariances: NDArray) -> NDArray:
        bad = ~(covariances > 0).reshape(len(covariances), -1).all(-1)
        if bad.any():
            raise NotPositiveDefiniteError(int(np.flatnonzero(bad)[0]))
        return 1 / np.sqrt(covariances)

    def precision(self, factors: NDArray) -> NDArray:
        return factors * factors

    def log_det_factor(self, factors: NDArray, d: int) -> NDArray:
        return np.log(factors).sum(-1)

    def apply(self, precisions: NDArray, a: NDArray) -> NDArray:
        return precisions * a

    def whiten(self, factors: NDArray, a: NDArray) -> NDArray:
        return self.apply(factors, a)

    def trace(self, precisions: NDArray, squares: NDArray) -> NDArray:
        return (precisions * squares).sum(-1)

    def trace_diagonal(self, precisions: NDArray, values: NDArray) -> NDArray:
        return precisions @ values

    def geometry(
        self,
        covariances: NDArray,
        choleskys: NDArray,
        factors: NDArray,
        new: NDArray,
        pull: NDArray,
        strength: NDArray,
    ) -> tuple[NDArray, Callable[[NDArray], NDArray]]:
        strength = strength.reshape(-1, *(1,) * (covariances.ndim - 1))
        slope = strength * (new / covariances - 1) + pull / covariances
        information = np.broadcast_to(2 * strength, slope.shape).ravel()
        return slope.ravel(), lambda q: q / information

    def to_coordinates(self, choleskys: NDArray) -> NDArray:
        return np.log(choleskys)

    def from_coordinates(self, coordinates: NDArray, d: int) -> NDArray:
        return np.exp(2 * coordinates)

    def rescale(self, covariances: NDArray, factor: NDArray) -> NDArray:
        return covariances * factor**2

    def dense(self, covariances: NDArray, d: int) -> NDArray:
        return covariances[..., None] * np.eye(d)

    def variances(self, covariances: NDArray) -> NDArray:
        return covariances

    def total(self, X: NDArray, weight: NDArray | None) -> NDArray:
        squares = np.square(X)
        return squares.sum(0) if weight is None else weight @ squares


class Spherical(Diagonal):
    """One variance for all columns."""

    name = "spherical"
    common_scale = True
    has_loop = False

    def directions(self, d: int) -> int:
        return d

    def of_columns(self, squares: NDArray) -> NDArray:
        return squares.sum(-1)

    def on_columns(self, factors: NDArray, d: int) -> NDArray:
        return np.repeat(factors[:, None], d, axis=1)

    def features(self, d: int) -> Features:
        return feat.squared_norm_features(d)

    def shape(self, d: int) -> tuple[int, ...]:
        return ()

    def n_parameters(self, d: int) -> int:
        return 1

    def coefficients(self, precisions: NDArray) -> NDArray:
        return -0.5 * precisions[:, None]

    def square(self, a: NDArray) -> NDArray:
        return (a * a).sum(-1)

    def symmetric(self, a: NDArray, b: NDArray) -> NDArray:
        return 2 * (a * b).sum(-1)

    def divide(self, squares: NDArray, counts: NDArray, d: int) -> NDArray:
        return squares / (counts * d)

    def diagonal(self, values: NDArray) -> NDArray:
        return values.sum()

    def log_det_factor(self, factors: NDArray, d: int) -> NDArray:
        return d * np.log(factors)

    def apply(self, precisions: NDArray, a: NDArray) -> NDArray:
        return precisions[..., None] * a

    def trace(self, precisions: NDArray, squares: NDArray) -> NDArray:
        return precisions * squares

    def trace_diagonal(self, precisions: NDArray, values: NDArray) -> NDArray:
        return precisions * values.sum()

    def to_coordinates(self, choleskys: NDArray) -> NDArray:
        return np.log(choleskys)[..., None]

    def from_coordinates(self, coordinates: NDArray, d: int) -> NDArray:
        return np.exp(2 * coordinates[..., 0])

    def rescale(self, covariances: NDArray, factor: NDArray) -> NDArray:
        return covariances * factor[0] ** 2

    def dense(self, covariances: NDArray, d: int) -> NDArray:
        return covariances[..., None, None] * np.eye(d)

    def total(self, X: NDArray, weight: NDArray | None) -> NDArray:
        return super().total(X, weight).sum()


Structure = Full | Diagonal | Spherical

_STRUCTURES: dict[str, Structure] = {s.name: s for s in (Full(), Diagonal(), Spherical())}


def structure_of(covariance_type: str) -> tuple[Structure, bool]:
    """The structure of a covariance type, and whether the components share one covariance."""
    if covariance_type == "tied":
        return _STRUCTURES["full"], True
    tied = covariance_type.startswith("tied_")
    return _STRUCTURES[covariance_type.removeprefix("tied_")], tied


def n_free_parameters(covariance_type: str, n_components: int, d: int) -> int:
    """Free parameters of a mixture: weights, means and covariances."""
    structure, tied = structure_of(covariance_type)
    covariance = structure.n_parameters(d) * (1 if tied else n_components)
    return covariance + n_components * d + n_components - 1


def log_normaliser(d: int) -> float:
    """The constant of the normal log-density, -d log(2 pi) / 2."""
    return -0.5 * d * math.log(2 * math.pi)
