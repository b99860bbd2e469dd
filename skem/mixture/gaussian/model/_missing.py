"""E step of a Gaussian mixture on rows with missing values, which are marginalised.

With o the observed and m the missing entries of a row, the row enters the likelihood as
N(x_o | mu_o, Sigma_oo), and the statistics through

    E[x_m]   = mu_m + Sigma_mo Sigma_oo^-1 (x_o - mu_o)
    Cov[x_m] = Sigma_mm - Sigma_mo Sigma_oo^-1 Sigma_om

(Ghahramani and Jordan 1994; Little and Rubin 2002, ch. 11). Rows with the same pattern share the
factorisations, so rows are sorted by pattern first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem.em import Rows
from skem.mixture._features import block_height, kernel_rows
from skem.mixture._patterns import pattern_edges
from skem.mixture.gaussian.model._covariances import Diagonal, Structure, log_normaliser
from skem.mixture.gaussian.model._full_covariances import Full
from skem.mixture.gaussian.model._params import GaussianParams, GaussianStatistics

_PART = 1 << 17
"""Numbers that the kernels keep of a part of the rows: a MiB of float64."""

_FEWEST_ROWS, _MOST_ROWS = 32, 256
"""Limits of the rows of such a part: fewer make thin products, and more leave the cache."""


def missing_statistics(
    params: GaussianParams,
    rows: Rows,
    *,
    structure: Structure,
    tied: bool,
    center: NDArray,
    scale: NDArray,
) -> GaussianStatistics:
    """E step on rows with missing values, which are marginalised."""
    n = len(rows.X)
    if structure.correlated:
        found = _by_pattern(params, rows, structure, center, scale)
    else:
        found = _by_column(params, rows, structure, center, scale)
    log_likelihood, counts, sums, squares, pairs = found
    shift = params.means - params.reference
    mixed = structure.symmetric(sums, shift)
    square = structure.square(shift)
    squares = squares + mixed + square * counts.reshape(counts.shape + (1,) * (square.ndim - 1))
    sums = sums + counts[:, None] * shift
    if tied:
        squares = squares.sum(0, keepdims=True)
    packed = structure.pack(squares)
    weight = float(n if rows.weight is None else rows.weight.sum(dtype=np.float64))
    return GaussianStatistics(log_likelihood, weight, counts, sums, packed, weight * pairs / n)


def _by_pattern(
    params: GaussianParams, rows: Rows, structure: Full, center: NDArray, scale: NDArray
) -> tuple:
    from skem.mixture.gaussian.kernels import _missing as missing_kernels

    if "edges" not in rows.memo:
        rows.memo["edges"] = pattern_edges(rows.X)
    log_scale = np.log(scale)
    return missing_kernels.missing_e_step(
        *kernel_rows(rows, np.float64),  # whatever X is
        rows.memo["edges"],
        params.log_constants - log_scale.sum(),
        params.means,
        np.ascontiguousarray(params.factors.swapaxes(1, 2)),
        structure.precision(params.factors),
        center,
        scale,
        log_scale,
        _height(len(rows.X), params.means.size),
    )


def _by_column(
    params: GaussianParams, rows: Rows, structure: Diagonal, center: NDArray, scale: NDArray
) -> tuple:
    from skem.mixture.gaussian.kernels import _missing_diagonal as missing_diagonal_kernels

    factors = structure.on_columns(params.factors, len(center))
    log_scale = np.log(scale)
    of_columns = log_normaliser(len(center)) + log_scale.sum() + np.log(factors).sum(axis=1)
    *sums, squares, pairs = missing_diagonal_kernels.missing_diagonal_e_step(
        *kernel_rows(rows, np.float64),  # whatever X is
        params.log_constants - of_columns,
        params.means,
        np.ascontiguousarray(factors),
        center,
        scale,
        log_scale,
        _height(len(rows.X), 2 * len(center)),
    )
    return (*sums, structure.of_columns(squares), pairs)


def _height(n_rows: int, row_values: int) -> int:
    """Rows that a kernel works on at a time, of which it keeps so many numbers each."""
    return block_height(n_rows, max(_FEWEST_ROWS, min(_MOST_ROWS, _PART // row_values)))
