"""E step of a Gaussian mixture on rows with missing values, by marginalising them.

With o the observed and m the missing entries of a row, the row enters the likelihood as
N(x_o | mu_o, Sigma_oo), and the statistics through

    E[x_m]   = mu_m + Sigma_mo Sigma_oo^-1 (x_o - mu_o)
    Cov[x_m] = Sigma_mm - Sigma_mo Sigma_oo^-1 Sigma_om

(Ghahramani and Jordan 1994; Little and Rubin 2002, ch. 11). Rows with the same pattern share the
factorisations, so rows are sorted by pattern first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skem.em import Rows
from skem.mixture._features import block_height, kernel_rows
from skem.mixture._weights import row_numbers
from skem.mixture.gaussian.model._covariances import log_normaliser
from skem.mixture.gaussian.model._params import GaussianParams, GaussianStatistics

if TYPE_CHECKING:
    from skem.mixture.gaussian.model._model import GaussianModel

# Numbers that the kernels keep of a part of the rows: a MiB of float64.
_PART = 1 << 17

# Rows whose NaN are looked at together.
_STEP = 4096


def pattern_order(
    X: NDArray, kept: NDArray | None = None, *, by_pattern: bool = True
) -> NDArray | None:
    """An order of the rows that puts complete rows first, and then equal patterns together.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    kept : ndarray of int, default=None
        The rows to look at; default is all.
    by_pattern : bool, default=True
        Whether to sort incomplete rows by pattern, or leave them as they come.

    Returns
    -------
    order : ndarray of int or None
        The rows that are kept, in order; None if no value of theirs is missing.
    """
    n, d = len(X) if kept is None else len(kept), X.shape[1]
    parts = [slice(start, start + _STEP) for start in range(0, n, _STEP)]

    def missing(part: slice) -> NDArray:
        rows: Any = part if kept is None else kept[part]
        return np.isnan(X[rows])

    if not any(missing(part).any() for part in parts):
        return None
    if by_pattern:
        packed = np.empty((n, -(-d // 8)), np.uint8)
        for part in parts:
            packed[part] = np.packbits(missing(part), axis=1)
        order = np.lexsort((*packed.T, packed.any(axis=1)))
    else:
        incomplete = np.concatenate([missing(part).any(axis=1) for part in parts])
        order = np.argsort(incomplete, kind="stable")
    return row_numbers(order if kept is None else kept[order], len(X))


def pattern_edges(X: NDArray) -> NDArray:
    """Where in sorted rows a new pattern begins; ends with n_rows."""
    missing = np.isnan(X)
    changes = np.flatnonzero((missing[1:] != missing[:-1]).any(axis=1)) + 1
    return np.concatenate([[0], changes, [len(X)]]).astype(np.int64)


def missing_statistics(
    model: GaussianModel, params: GaussianParams, rows: Rows, reference: NDArray
) -> GaussianStatistics:
    """E step on rows with missing values, with moments about ``reference`` (k, d)."""
    structure, n = model.structure, len(rows.X)
    step = _by_pattern if structure.name == "full" else _by_column
    log_likelihood, counts, sums, squares, pairs = step(model, params, rows)
    if structure.name == "spherical":
        squares = squares.sum(-1)
    shift = params.means - reference
    mixed = structure.symmetric(sums, shift)
    square = structure.square(shift)
    squares = squares + mixed + square * counts.reshape(counts.shape + (1,) * (square.ndim - 1))
    sums = sums + counts[:, None] * shift
    if model.tied:
        squares = squares.sum(0, keepdims=True)
    packed = structure.pack(squares)
    weight = float(n if rows.weight is None else rows.weight.sum(dtype=np.float64))
    return GaussianStatistics(log_likelihood, weight, counts, sums, packed, weight * pairs / n)


def _by_pattern(model: GaussianModel, params: GaussianParams, rows: Rows) -> tuple:
    from skem.mixture.gaussian.kernels import _missing as missing_kernels

    if "edges" not in rows.memo:
        rows.memo["edges"] = pattern_edges(rows.X)
    log_scale = np.log(model.scale)
    return missing_kernels.missing_e_step(
        *kernel_rows(rows, np.float64),  # whatever X is
        rows.memo["edges"],
        params.log_constants - log_scale.sum(),
        params.means,
        np.ascontiguousarray(params.factors.swapaxes(1, 2)),
        model.structure.precision(params.factors),
        model.center,
        model.scale,
        log_scale,
        _height(len(rows.X), params.means.size),
    )


def _by_column(model: GaussianModel, params: GaussianParams, rows: Rows) -> tuple:
    from skem.mixture.gaussian.kernels import _missing_diagonal as missing_diagonal_kernels

    factors = params.factors
    if model.structure.name == "spherical":
        factors = np.repeat(factors[:, None], model.d, axis=1)
    log_scale = np.log(model.scale)
    of_columns = log_normaliser(model.d) + log_scale.sum() + np.log(factors).sum(axis=1)
    return missing_diagonal_kernels.missing_diagonal_e_step(
        *kernel_rows(rows, np.float64),  # whatever X is
        params.log_constants - of_columns,
        params.means,
        np.ascontiguousarray(factors),
        model.center,
        model.scale,
        log_scale,
        _height(len(rows.X), 2 * model.d),
    )


def _height(n_rows: int, row_values: int) -> int:
    """Rows that a kernel works on at a time, of which it keeps so many numbers each."""
    return block_height(n_rows, max(32, min(256, _PART // row_values)))
