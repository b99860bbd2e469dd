"""Several plain EM maps of a Gaussian mixture in one call, where a compiled loop can do them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from skem.em import ManyMaps, Rows
from skem.mixture._features import Features, kernel_rows, product_height, row_height
from skem.mixture.gaussian.model._covariances import Structure
from skem.mixture.gaussian.model._form import steepest
from skem.mixture.gaussian.model._params import GaussianParams


class Mapped(Protocol):
    """What the loops need from a Gaussian model."""

    structure: Structure
    features: Features
    center: NDArray
    scale: NDArray
    reg: NDArray
    base: float
    d: int

    @property
    def at_once(self) -> bool: ...

    def params(
        self, weights: NDArray, means: NDArray, covariances: NDArray, *, share: float = 0.0
    ) -> GaussianParams: ...

    def refine(
        self, params: GaussianParams, new: GaussianParams | None
    ) -> GaussianParams | None: ...

    def rounding_at(self, dtype: np.dtype, steepness: float, bound: float) -> float: ...


def several_maps(model: Mapped, params: GaussianParams, rows: Rows, n_maps: int) -> ManyMaps | None:
    """See `skem.em.EMModel.several_maps`; None where single steps are needed.

    That is so if quadratic features lose too many digits, or if the next map needs the model.
    """
    if params.theta is None or not model.at_once:
        return None
    full = model.structure.correlated
    from skem.mixture.gaussian.kernels import _maps as map_kernels

    dtype = params.theta.dtype
    X, weight, labels = kernel_rows(rows, dtype)
    n, k = len(X), len(params.weights)
    height = product_height(n, k, 1) if full else row_height(n, model.features.n_features)
    total = float(n if rows.weight is None else rows.weight.sum(dtype=np.float64))
    units = model.center.astype(dtype), model.scale.astype(dtype)
    given = (X, weight, labels, *units, height, total, model.reg, model.base)
    start = (steepest(dtype, model.d), params.weights, params.means, params.covariances)
    while True:
        if full:
            found = map_kernels.full_maps(*given, *start, n_maps, model.features.pairs)
        else:
            found = map_kernels.diagonal_maps(*given, *start, n_maps)
        done, bounds, sizes, steepness, *parameters = found
        if done == 0:
            return None
        new = model.params(*parameters, share=1.0)
        if model.refine(params, new) is None:
            break
        if done == 1:
            return None
        n_maps = done - 1  # the last one has lost too many digits
    rounding = [
        model.rounding_at(dtype, s, b) for s, b in zip(steepness[:done], bounds[:done], strict=True)
    ]
    return ManyMaps(
        new,
        bounds[:done].tolist(),
        rounding,
        sizes[:done].tolist(),
    )
