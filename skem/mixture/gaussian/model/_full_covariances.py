"""Full covariances: features and algebra of matrices. Conventions are those of `_covariances`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from skem.mixture import _features as feat
from skem.mixture._features import Features

SMALL = 32
"""Dimensions up to which compiled loops beat a library's blocked routines, its calls included."""


class NotPositiveDefiniteError(ValueError):
    """A covariance is not positive definite; ``index`` says which (0 where there is one)."""

    def __init__(self, index: int):
        super().__init__(f"covariance {index} is not positive definite")
        self.index = index


@functools.cache
def _lower(d: int) -> tuple[NDArray, NDArray]:
    """Rows and columns of the lower triangle."""
    i, j = np.tril_indices(d)
    return i, j


class Full:
    """A matrix."""

    name = "full"
    correlated: Literal[True] = True  # columns of a component may be: covariances are matrices
    common_scale = False  # columns must have one unit
    has_loop = True  # for several EM maps in one call

    def directions(self, d: int) -> int:
        """Columns that share a variance."""
        return 1

    def features(self, d: int) -> Features:
        return feat.product_features(d)

    def shape(self, d: int) -> tuple[int, ...]:
        return (d, d)

    def n_parameters(self, d: int) -> int:
        return d * (d + 1) // 2

    def pack(self, squares: NDArray) -> NDArray:
        """Squares (k, d, d) as sums of the quadratic features (k, d(d+1)/2)."""
        i, j = _lower(squares.shape[-1])
        return squares[:, i, j]

    def unpack(self, packed: NDArray, d: int) -> NDArray:
        i, j = _lower(d)
        squares = np.empty((len(packed), d, d))
        squares[:, i, j] = packed
        squares[:, j, i] = packed
        return squares

    def coefficients(self, precisions: NDArray) -> NDArray:
        """Coefficients of the quadratic features in -x'Px/2."""
        i, j = _lower(precisions.shape[-1])
        return np.where(i == j, -0.5, -1.0) * precisions[:, i, j]

    def square(self, a: NDArray) -> NDArray:
        return a[..., :, None] * a[..., None, :]

    def symmetric(self, a: NDArray, b: NDArray) -> NDArray:
        """The mixed part of (a + b)(a + b)'."""
        cross = a[..., :, None] * b[..., None, :]
        return cross + cross.swapaxes(-1, -2)

    def divide(self, squares: NDArray, counts: NDArray, d: int) -> NDArray:
        return squares / counts[..., None, None]

    def diagonal(self, values: NDArray) -> NDArray:
        """The structure of a diagonal matrix, in the units of a sum of squares."""
        return np.diag(values)

    def decompose(self, covariances: NDArray) -> tuple[NDArray, NDArray]:
        """Lower Cholesky factors, and their inverses W: W Sigma W' = I."""
        if covariances.shape[-1] <= SMALL:
            from skem.mixture.gaussian.kernels import _parameters as parameter_kernels

            choleskys, factors, failed = parameter_kernels.factor(covariances)
            if failed >= 0:
                raise NotPositiveDefiniteError(failed)
            return choleskys, factors
        choleskys, factors = np.empty_like(covariances), np.empty_like(covariances)
        for k, covariance in enumerate(covariances):
            choleskys[k], failed = scipy.linalg.lapack.dpotrf(covariance, lower=1)
            if not failed:
                factors[k], failed = scipy.linalg.lapack.dtrtri(choleskys[k], lower=1)
            if failed or not np.isfinite(factors[k]).all():
                raise NotPositiveDefiniteError(k)
        return np.tril(choleskys), np.tril(factors)

    def factor(self, covariances: NDArray) -> NDArray:
        """Inverse lower Cholesky factors."""
        return self.decompose(covariances)[1]

    def precision(self, factors: NDArray) -> NDArray:
        if factors.shape[-1] <= SMALL:
            from skem.mixture.gaussian.kernels import _parameters as parameter_kernels

            return parameter_kernels.precisions_of(factors)
        return np.array([factor.T @ factor for factor in factors])

    def log_det_factor(self, factors: NDArray, d: int) -> NDArray:
        return np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(-1)

    def apply(self, precisions: NDArray, a: NDArray) -> NDArray:
        return (precisions @ a[..., None])[..., 0]

    def whiten(self, factors: NDArray, a: NDArray) -> NDArray:
        """W a, whose squares add up to a' P a."""
        return (factors @ a[..., None])[..., 0]

    def trace(self, precisions: NDArray, squares: NDArray) -> NDArray:
        """tr(P S), summed over the features."""
        return (precisions * squares).sum((-2, -1))

    def trace_diagonal(self, precisions: NDArray, values: NDArray) -> NDArray:
        """tr(P diag(values))."""
        return np.diagonal(precisions, axis1=-2, axis2=-1) @ values

    def to_coordinates(self, choleskys: NDArray) -> NDArray:
        """Unconstrained coordinates of covariances: the log-Cholesky factor."""
        from skem.mixture.gaussian.kernels import _parameters as parameter_kernels

        return parameter_kernels.coordinates_of(choleskys)

    def from_coordinates(self, coordinates: NDArray, d: int) -> NDArray:
        if d <= SMALL:
            from skem.mixture.gaussian.kernels import _parameters as parameter_kernels

            return parameter_kernels.covariances_at(coordinates, d)
        cholesky = np.zeros((*coordinates.shape[:-1], d, d))
        i, j = _lower(d)
        cholesky[..., i, j] = coordinates
        diagonal = np.arange(d)
        cholesky[..., diagonal, diagonal] = np.exp(cholesky[..., diagonal, diagonal])
        return cholesky @ cholesky.swapaxes(-1, -2)

    def geometry(
        self,
        covariances: NDArray,
        choleskys: NDArray,
        factors: NDArray,
        new: NDArray,
        pull: NDArray,
        strength: NDArray,
    ) -> tuple[NDArray, Callable[[NDArray], NDArray]]:
        """Gradient and inverse information in `to_coordinates`, for (g,) covariances.

        The expected log-density is -strength (log|S| + tr(S^-1 new)) / 2 - tr(S^-1 pull) / 2. With
        S = L L' and dL = L M, M lower triangular, its gradient for M is tril(L^-1 A L^-T) with
        A = strength (new - S) + pull, and the information of M is the strength, twice that on the
        diagonal.
        """
        d = covariances.shape[-1]
        if d <= SMALL:
            from skem.mixture.gaussian.kernels import _parameters as parameter_kernels

            slope = parameter_kernels.gradient(covariances, choleskys, factors, new, pull, strength)
            return slope.ravel(), lambda q: parameter_kernels.solve(
                choleskys, strength, q.reshape(slope.shape)
            ).ravel()
        i, j = _lower(d)
        diagonal = np.where(i == j, choleskys[:, i, i], 1.0)  # d exp(v) = exp(v) dv
        strength = strength[:, None, None]
        change = strength * (new - covariances) + pull
        of_cholesky = np.array(
            [w.T @ ((w @ a) @ w.T) for w, a in zip(factors, change, strict=True)]
        )
        information = strength * (1 + np.eye(d))

        def solve(q: NDArray) -> NDArray:
            dual = np.zeros_like(covariances)
            dual[:, i, j] = q.reshape(len(covariances), -1) / diagonal
            step = np.tril(choleskys.swapaxes(-1, -2) @ dual) / information
            return ((choleskys @ step)[:, i, j] / diagonal).ravel()

        return (of_cholesky[:, i, j] * diagonal).ravel(), solve

    def rescale(self, covariances: NDArray, factor: NDArray) -> NDArray:
        """Covariances of x * factor (one factor a feature)."""
        return covariances * factor[:, None] * factor

    def dense(self, covariances: NDArray, d: int) -> NDArray:
        return covariances

    def variances(self, covariances: NDArray) -> NDArray:
        """Those of the columns, as far as they differ."""
        return np.diagonal(covariances, axis1=-2, axis2=-1)

    def total(self, X: NDArray, weight: NDArray | None) -> NDArray:
        """Weighted sum of the squares of the rows."""
        return (X if weight is None else X * weight[:, None]).T @ X
