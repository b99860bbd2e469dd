"""Several plain EM maps of a Gaussian mixture at once, where a compiled loop can make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skem.em import ManyMaps, Rows
from skem.mixture._features import kernel_rows, product_height, row_height
from skem.mixture._gaussian_e_step import DIFFERENCES_FROM, steepest
from skem.mixture._gaussian_params import GaussianParams

if TYPE_CHECKING:
    from skem.mixture._gaussian_model import GaussianModel


def several_maps(
    model: GaussianModel, params: GaussianParams, rows: Rows, n_maps: int
) -> ManyMaps | None:
    """See `skem.em.EMModel.several_maps`; None where the steps have to be asked for one by one.

    There is a loop for full and for diagonal covariances of each component, without priors and
    missing values, as long as quadratic features serve.
    """
    kind = model.structure.name
    full = kind == "full" and model.d < DIFFERENCES_FROM
    ready = params.theta is not None and not (model.incomplete or model.tied or model.priors.any)
    if not ready or model.collapse != "report" or model.moments_about_origin:
        return None
    if not (full or kind == "diag"):
        return None
    from skem.mixture import _map_kernels

    X, weight, labels = kernel_rows(rows, model.dtype)
    n, k = len(X), len(params.weights)
    height = product_height(n, k, 1) if full else row_height(n, model.features.n_features)
    total = float(n if rows.weight is None else rows.weight.sum(dtype=np.float64))
    given = (X, weight, labels, model.center, model.scale, height, total, model.reg, model.base)
    start = (steepest(model.dtype, model.d), params.weights, params.means, params.covariances)
    if full:
        found = _map_kernels.full_maps(*given, *start, n_maps, model.features.pairs)
    else:
        found = _map_kernels.diagonal_maps(*given, *start, n_maps)
    done, bounds, sizes, steepness, *parameters = found
    if done == 0:
        return None
    rounding = [
        model.rounding_at(s, b) for s, b in zip(steepness[:done], bounds[:done], strict=True)
    ]
    return ManyMaps(
        model.params(*parameters, share=1.0),
        bounds[:done].tolist(),
        rounding,
        sizes[:done].tolist(),
    )
