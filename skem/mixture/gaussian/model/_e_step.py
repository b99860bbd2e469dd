"""The compiled E step on a block of complete rows, in the form that `_form` has chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem.em import Rows
from skem.mixture._features import Features, block_height, kernel_rows, linear_e_step
from skem.mixture.gaussian.model._covariances import Structure
from skem.mixture.gaussian.model._form import lay_panels, panel_edges
from skem.mixture.gaussian.model._params import GaussianParams, GaussianStatistics

_PART = 1 << 16
"""Numbers of a part of a block that the E step by differences works on: half a MiB of float64."""

_FEWEST_ROWS, _MOST_ROWS = 64, 1024
"""Limits of the rows of such a part: fewer make thin products, and of more, the log densities of
all components leave the cache."""

_STEP = 4096
"""Rows whose squares are added up at a time, so that copies of them stay small."""


def complete_statistics(
    params: GaussianParams,
    rows: Rows,
    *,
    structure: Structure,
    tied: bool,
    features: Features,
    center: NDArray,
    scale: NDArray,
) -> GaussianStatistics:
    """E step on rows without missing values, in the form that the parameters are laid out for."""
    weight = float(len(rows.X) if rows.weight is None else rows.weight.sum(dtype=np.float64))
    d = len(center)
    if params.theta is None:
        log_likelihood, counts, sums, squares, pairs = _by_differences(
            params, rows, structure, tied, center, scale
        )
    elif tied and structure.correlated:
        factor = params.factors[0]
        log_likelihood, moments = _whitened(rows, params.theta, factor, center, scale)
        counts, sums, pairs = moments[:, 0], moments[:, 1:], len(moments) * len(rows.X)
        squares = structure.pack(scatter(rows, structure, center, scale)[None])
    else:
        log_likelihood, moments, pairs = linear_e_step(rows, params.theta, features, center, scale)
        counts, sums, squares = moments[:, 0], moments[:, 1 : 1 + d], moments[:, 1 + d :]
        if tied:
            total = scatter(rows, structure, center, scale)[None]
            precision = structure.precision(params.factors)
            log_likelihood -= float(structure.trace(precision, total)[0]) / 2
            squares = structure.pack(total)
    share = pairs / max(1, len(rows.X))
    return GaussianStatistics(log_likelihood, weight, counts, sums, squares, weight * share)


def scatter(rows: Rows, structure: Structure, center: NDArray, scale: NDArray) -> NDArray:
    """Sum of the squares of the rows, which does not depend on the parameters."""
    if "scatter" not in rows.memo:
        total: float | NDArray = 0.0
        for start in range(0, len(rows.X), _STEP):
            part = slice(start, start + _STEP)
            Z = (rows.X[part] - center) * scale
            total = total + structure.total(
                Z, None if rows.weight is None else rows.weight[part].astype(np.float64)
            )
        rows.memo["scatter"] = np.asarray(total)
    return rows.memo["scatter"]


def _whitened(
    rows: Rows, theta: NDArray, factor: NDArray, center: NDArray, scale: NDArray
) -> tuple[float, NDArray]:
    """Log-likelihood and sums of (1, z) of each component, which share the covariance."""
    from skem.mixture import _kernels

    dtype = theta.dtype
    return _kernels.whitened_e_step(
        *kernel_rows(rows),
        theta[0],
        np.ascontiguousarray(factor.T, dtype=dtype),
        center.astype(dtype),
        scale.astype(dtype),
        block_height(len(rows.X)),
    )


def _by_differences(
    params: GaussianParams,
    rows: Rows,
    structure: Structure,
    tied: bool,
    center: NDArray,
    scale: NDArray,
) -> tuple[float, NDArray, NDArray, NDArray, float]:
    """Log-likelihood, moments about the means, and the pairs of row and component that matter."""
    from skem.mixture import _kernels
    from skem.mixture.gaussian.kernels import _centred as centred_kernels
    from skem.mixture.gaussian.kernels import _diagonal as diagonal_kernels

    X, weight, labels = kernel_rows(rows, params.dtype)
    n, d = X.shape
    dtype = params.dtype
    common = params.log_constants.astype(dtype), params.means.astype(dtype)
    units = center.astype(dtype), scale.astype(dtype)
    height = block_height(n, max(_FEWEST_ROWS, min(_MOST_ROWS, _PART // d)))
    if structure.correlated:
        panels = params.panels
        if panels is None:
            panels = lay_panels(params.factors, panel_edges(d), dtype)
        log_likelihood, counts, sums, squares, pairs = centred_kernels.centred_e_step(
            X, weight, labels, *common, panels, panel_edges(d), *units, height, _kernels.CUT
        )
    else:
        factors = np.ascontiguousarray(structure.on_columns(params.factors, d), dtype=dtype)
        log_likelihood, counts, sums, squares, pairs = diagonal_kernels.centred_diagonal_e_step(
            X, weight, labels, *common, factors, *units, height, _kernels.CUT
        )
        squares = structure.of_columns(squares)
    if tied:
        squares = squares.sum(0, keepdims=True)
    return log_likelihood, counts, sums, structure.pack(squares), pairs
