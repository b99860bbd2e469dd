"""E step of a Gaussian mixture on rows with missing values, by marginalising them.

With o the observed and m the missing entries of a row, the row enters the likelihood as
N(x_o | mu_o, Sigma_oo), and the statistics through

    E[x_m]   = mu_m + Sigma_mo Sigma_oo^-1 (x_o - mu_o)
    Cov[x_m] = Sigma_mm - Sigma_mo Sigma_oo^-1 Sigma_om

(Ghahramani and Jordan 1994; Little and Rubin 2002, ch. 11). Rows with the same pattern share the
factorisations, so rows are sorted by pattern first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skem.em import Rows
from skem.mixture._covariances import log_normaliser
from skem.mixture._features import plain_rows
from skem.mixture._gaussian_params import GaussianParams, GaussianStatistics

if TYPE_CHECKING:
    from skem.mixture._gaussian_model import GaussianModel


def pattern_order(X: NDArray) -> NDArray | None:
    """An order of the rows that puts equal patterns together, complete rows first.

    None if no value is missing.
    """
    if not any(np.isnan(X[start : start + 4096]).any() for start in range(0, len(X), 4096)):
        return None
    missing = np.isnan(X)
    packed = np.packbits(missing, axis=1)
    return np.lexsort((*packed.T, missing.any(axis=1)))


def pattern_edges(X: NDArray) -> NDArray:
    """Where in sorted rows a new pattern begins; ends with n_rows."""
    missing = np.isnan(X)
    changes = np.flatnonzero((missing[1:] != missing[:-1]).any(axis=1)) + 1
    return np.concatenate([[0], changes, [len(X)]]).astype(np.int64)


def missing_statistics(
    model: GaussianModel, params: GaussianParams, rows: Rows, reference: NDArray
) -> GaussianStatistics:
    """E step on rows with missing values, with moments about ``reference`` (k, d)."""
    from skem.mixture import _missing_kernels

    structure, d = model.structure, model.d
    if "edges" not in rows.memo:
        rows.memo["edges"] = pattern_edges(rows.X)
    n = len(rows.X)
    weight = np.ones(n) if rows.weight is None else rows.weight.astype(np.float64)
    labels = np.full(n, -1) if rows.labels is None else rows.labels.astype(np.int64)
    Z = plain_rows((rows.X.astype(np.float64) - model.center) * model.scale)
    # log weight - blur + log|scale|: what does not depend on which entries are observed
    constants = (
        params.log_constants - _log_density_constant(model, params) - np.log(model.scale).sum()
    )
    covariances = params.covariances
    if structure.name == "spherical":
        covariances = np.repeat(covariances[:, None], d, axis=1)
    kernel = (
        _missing_kernels.missing_e_step
        if structure.name == "full"
        else _missing_kernels.missing_diagonal_e_step
    )
    log_likelihood, counts, sums, squares = kernel(
        Z,
        weight,
        labels,
        rows.memo["edges"],
        constants,
        params.means,
        covariances,
        np.log(model.scale),
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
    return GaussianStatistics(log_likelihood, float(weight.sum()), counts, sums, packed, 0.0)


def _log_density_constant(model: GaussianModel, params: GaussianParams) -> NDArray:
    return log_normaliser(model.d) + model.structure.log_det_factor(params.factors, model.d)
