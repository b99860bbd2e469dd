"""Which compiled E step the complete rows of a Gaussian mixture get, and its call on a block.

Three forms give the same numbers up to rounding:

quadratic features
    log p(x, k) is linear in (1, z, z z'): two matrix products a block, whatever the components.
differences from the means
    Loses no digits, however steep a component is, and does only what matters: a component that is
    far below another one for a row stops early and adds nothing.
whitened features
    For one full covariance: linear in (1, W z), once the rows are multiplied by W.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from skem.em import Rows
from skem.mixture._features import (
    Features,
    block_height,
    kernel_rows,
    linear_e_step,
)
from skem.mixture.gaussian.model._covariances import Full, Structure
from skem.mixture.gaussian.model._params import GaussianParams, GaussianStatistics

# Log-densities through quadratic features lose eps * d * |W|^2 nats to cancellation, or
# eps * |W mu|^2 where a component is far from the origin. Where that exceeds this, the E step works
# with differences from the means, which lose the root of the same multiple of eps * d.
_LOSS_ALLOWED = {8: 1e-9, 4: 3e-3}

# Columns from which differences can be faster than quadratic features. Measured with 10 to 40
# components on digits and MNIST in principal components: 20 columns are level, 30 are 1.2 times
# faster where a third of the components matters to a row, 50 twice, and 50 with 40 components
# three times.
DIFFERENCES_FROM = 24

# Rows of the first panels of a factor, and of the others: narrow panels find early what does not
# matter, wide ones make efficient products.
_FIRST_PANELS, _PANEL = (16, 32), 32

# Numbers of a part of a block that the E step by differences works on: half a MiB of float64.
_PART = 1 << 16


def steepest(dtype: np.dtype, d: int) -> float:
    """The steepness from which quadratic features lose more than is allowed."""
    return _LOSS_ALLOWED[dtype.itemsize] / (float(np.finfo(dtype).eps) * d)


def loss_of_differences(dtype: np.dtype, steepness: float, d: int) -> float:
    """What differences from the means lose of a log-density, as a multiple of what is allowed."""
    return float(steepness**0.5 / steepest(dtype, d))


def loss_of_whitening(dtype: np.dtype, steepness: float, whitened: NDArray) -> float:
    """The same for whitened features, and for a covariance that is a difference of moments."""
    of_density = np.finfo(dtype).eps * (1 + np.square(whitened).sum(-1).max())
    of_moments = np.finfo(np.float64).eps * steepness
    return float(max(of_density / _LOSS_ALLOWED[dtype.itemsize], of_moments / _LOSS_ALLOWED[8]))


def differences_pay(d: int, share: float) -> bool:
    """Whether differences from the means are faster than quadratic features.

    ``share`` of the components matters to a row. With features both steps cost 1 (in units of
    n k d^2); with differences the first panel costs 256 / d^2, what is left of the E step about
    0.16 + 0.65 share, and the M step, which gathers its rows, 1.2 share.
    """
    return d >= DIFFERENCES_FROM and 256 / d**2 + 0.16 + 1.85 * share < 1


def panel_edges(d: int) -> NDArray:
    """Where the panels of a triangular factor begin and end; a last one is not left narrow."""
    edges = [0, *(e for e in _FIRST_PANELS if e + 8 <= d)]
    edges += range(edges[-1] + _PANEL, d - 8, _PANEL)
    return np.array([*edges, d] if len(edges) > 1 else [0, d], dtype=np.int64)


def lay_panels(factors: NDArray, edges: NDArray, dtype: np.dtype) -> NDArray:
    """Lower triangular factors (k or 1, d, d) as `panels`."""
    parts = [
        factors[:, first:last, :last].swapaxes(1, 2).reshape(len(factors), -1)
        for first, last in itertools.pairwise(edges)
    ]
    return np.hstack(parts).astype(dtype, copy=False)


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
    """E step on rows without missing values, in whatever form the parameters are laid out for."""
    weight = float(len(rows.X) if rows.weight is None else rows.weight.sum(dtype=np.float64))
    d = len(center)
    if params.theta is None:
        log_likelihood, counts, sums, squares, pairs = _by_differences(
            params, rows, structure, tied, center, scale
        )
    elif tied and structure.correlated:
        log_likelihood, moments = _whitened(params, rows, center, scale)
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
        step = 4096
        for start in range(0, len(rows.X), step):
            part = slice(start, start + step)
            Z = (rows.X[part] - center) * scale
            total = total + structure.total(
                Z, None if rows.weight is None else rows.weight[part].astype(np.float64)
            )
        rows.memo["scatter"] = np.asarray(total)
    return rows.memo["scatter"]


def _whitened(
    params: GaussianParams, rows: Rows, center: NDArray, scale: NDArray
) -> tuple[float, NDArray]:
    from skem.mixture import _kernels

    assert params.theta is not None
    dtype = params.theta.dtype
    return _kernels.whitened_e_step(
        *kernel_rows(rows),
        params.theta[0],
        np.ascontiguousarray(params.factors[0].T, dtype=dtype),
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
    from skem.mixture import _kernels
    from skem.mixture.gaussian.kernels import _centred as centred_kernels
    from skem.mixture.gaussian.kernels import _diagonal as diagonal_kernels

    X, weight, labels = kernel_rows(rows, params.dtype)
    n, d = X.shape
    dtype = params.dtype
    common = params.log_constants.astype(dtype), params.means.astype(dtype)
    units = center.astype(dtype), scale.astype(dtype)
    height = block_height(n, max(64, min(1024, _PART // d)))
    if isinstance(structure, Full):
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
