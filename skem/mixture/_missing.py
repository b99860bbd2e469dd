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
from skem.mixture._covariances import log_normaliser
from skem.mixture._features import block_height, plain_rows
from skem.mixture._gaussian_params import GaussianParams, GaussianStatistics
from skem.mixture._weights import row_numbers

if TYPE_CHECKING:
    from skem.mixture._gaussian_model import GaussianModel

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
    structure, d = model.structure, model.d
    X, n = plain_rows(rows.X), len(rows.X)
    weight = np.empty(0) if rows.weight is None else rows.weight.astype(np.float64, copy=False)
    labels = np.empty(0, np.int64) if rows.labels is None else rows.labels.astype(np.int64)
    log_scale = np.log(model.scale)
    # what each observed column adds goes with the columns of a row
    constants = params.log_constants - log_scale.sum()
    step = _full if structure.name == "full" else _diagonal
    log_likelihood, counts, sums, squares, pairs = step(
        model, params, rows, X, weight, labels, constants, log_scale
    )
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
    total = float(n if rows.weight is None else weight.sum())
    return GaussianStatistics(log_likelihood, total, counts, sums, packed, total * pairs / n)


def _full(
    model: GaussianModel,
    params: GaussianParams,
    rows: Rows,
    X: NDArray,
    weight: NDArray,
    labels: NDArray,
    constants: NDArray,
    log_scale: NDArray,
) -> tuple:
    from skem.mixture import _missing_kernels

    if "edges" not in rows.memo:
        rows.memo["edges"] = pattern_edges(rows.X)
    return _missing_kernels.missing_e_step(
        X,
        weight,
        labels,
        rows.memo["edges"],
        constants,
        params.means,
        np.ascontiguousarray(params.factors.swapaxes(1, 2)),
        model.structure.precision(params.factors),
        model.center,
        model.scale,
        log_scale,
        block_height(len(X), max(32, min(256, _PART // params.means.size))),
    )


def _diagonal(
    model: GaussianModel,
    params: GaussianParams,
    rows: Rows,
    X: NDArray,
    weight: NDArray,
    labels: NDArray,
    constants: NDArray,
    log_scale: NDArray,
) -> tuple:
    from skem.mixture import _missing_diagonal_kernels

    factors = params.factors
    if model.structure.name == "spherical":
        factors = np.repeat(factors[:, None], model.d, axis=1)
    of_columns = log_normaliser(model.d) + np.log(factors).sum(axis=1)
    return _missing_diagonal_kernels.missing_diagonal_e_step(
        X,
        weight,
        labels,
        constants - of_columns,
        params.means,
        np.ascontiguousarray(factors),
        model.center,
        model.scale,
        log_scale,
        block_height(len(X), max(32, min(256, _PART // (2 * model.d)))),
    )
