"""Several plain EM maps of a Gaussian mixture at once, where a compiled loop can make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skem.em import ManyMaps, Rows
from skem.mixture._features import kernel_rows, product_height, row_height
from skem.mixture.gaussian.model._e_step import DIFFERENCES_FROM, steepest
from skem.mixture.gaussian.model._params import GaussianParams

if TYPE_CHECKING:
    from skem.mixture.gaussian.model._model import GaussianModel


def knows(model: GaussianModel) -> bool:
    """Whether there is a loop: full or diagonal covariances, without priors and missing values."""
    kind = model.structure.name
    few = kind == "diag" or (kind == "full" and model.d < DIFFERENCES_FROM)
    plain = not (model.tied or model.incomplete or model.priors.any or model.moments_about_origin)
    return few and plain and model.collapse == "report"


def several_maps(
    model: GaussianModel, params: GaussianParams, rows: Rows, n_maps: int
) -> ManyMaps | None:
    """See `skem.em.EMModel.several_maps`; None where the steps have to be asked for one by one.

    That is so where quadratic features lose too many digits, or the next map needs the model.
    """
    if params.theta is None or not knows(model):
        return None
    full = model.structure.name == "full"
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
