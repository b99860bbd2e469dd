"""In which form, and in which float type, the E step of a Gaussian mixture computes.

Three forms give the same numbers up to rounding:

quadratic features
    log p(x, k) is linear in (1, z, z z'): two matrix products per block, whatever the components.
differences from the means
    No digits are lost, however steep a component is, and only what matters is computed: a component
    that is far below another one for a row stops early and adds nothing.
whitened features
    For one full covariance: linear in (1, W z), once the rows are multiplied by W.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem.mixture._features import Features
from skem.mixture.gaussian.model._covariances import Structure
from skem.mixture.gaussian.model._density_terms import DensityTerms
from skem.mixture.gaussian.model._params import GaussianParams

_LOSS_ALLOWED = {8: 1e-9, 4: 3e-3}
"""Nats of a log-density that may be lost, by the bytes of the float type.

Quadratic features lose eps * d * |W|^2 nats to cancellation, or eps * |W mu|^2 where a component is
far from the origin. Where that exceeds this limit, the E step uses differences from the means,
which lose the root of the same multiple of eps * d.
"""

DIFFERENCES_FROM = 24
"""Columns from which differences can be faster than quadratic features.

Measured with 10 to 40 components on digits and MNIST in principal components: with 20 columns both
take the same time; with 30, differences are 1.2 times as fast where a third of the components
matters to a row; with 50, twice as fast, and with 50 and 40 components three times.
"""

_FIRST_PANEL_COST, _REST_COST, _SHARE_COST = 256, 0.16, 1.85
"""Cost of both steps by differences, in units of their cost by features, n k d^2: the first panel
(16 x 16 numbers) over d^2, a constant, and what grows with the share of the components that matter
(0.65 in the E step, and 1.2 in the M step, which gathers its rows), both as measured.
"""

_FIRST_PANELS, _PANEL = (16, 32), 32
"""Rows of the first panels of a factor, and of the others: narrow panels find early what does not
matter, and wide ones make efficient products."""

_NARROWEST = 8
"""Least number of rows of the last panel: a narrower one would make a poor product, and is joined
to the panel before it."""


def steepest(dtype: np.dtype, d: int) -> float:
    """The steepness from which quadratic features lose more than is allowed."""
    return _LOSS_ALLOWED[dtype.itemsize] / (float(np.finfo(dtype).eps) * d)


def loss_of_differences(dtype: np.dtype, steepness: float, d: int) -> float:
    """What differences from the means lose of a log-density, as a multiple of what is allowed."""
    return float(steepness**0.5 / steepest(dtype, d))


def _loss_of_whitening(dtype: np.dtype, steepness: float, whitened: NDArray) -> float:
    """The same for whitened features, and for a covariance that is a difference of moments."""
    of_density = np.finfo(dtype).eps * (1 + np.square(whitened).sum(-1).max())
    of_moments = np.finfo(np.float64).eps * steepness
    return float(max(of_density / _LOSS_ALLOWED[dtype.itemsize], of_moments / _LOSS_ALLOWED[8]))


def differences_pay(d: int, share: float) -> bool:
    """Whether differences from the means are faster than quadratic features.

    ``share`` is the share of the components that matters to a row.
    """
    cost = _FIRST_PANEL_COST / d**2 + _REST_COST + _SHARE_COST * share
    return d >= DIFFERENCES_FROM and cost < 1


def panel_edges(d: int) -> NDArray:
    """Where the panels of a triangular factor begin and end; the last one is not left narrow."""
    edges = [0, *(e for e in _FIRST_PANELS if e + _NARROWEST <= d)]
    edges += range(edges[-1] + _PANEL, d - _NARROWEST, _PANEL)
    return np.array([*edges, d] if len(edges) > 1 else [0, d], dtype=np.int64)


def lay_panels(factors: NDArray, edges: NDArray, dtype: np.dtype) -> NDArray:
    """Lower triangular factors (k or 1, d, d) as `panels`."""
    parts = [
        factors[:, first:last, :last].swapaxes(1, 2).reshape(len(factors), -1)
        for first, last in itertools.pairwise(edges)
    ]
    return np.hstack(parts).astype(dtype, copy=False)


class Need(NamedTuple):
    """What a form has to provide besides accurate densities."""

    share: float = 0.0  # of the components that mattered to a row so far
    finer_than: np.dtype | None = None  # excludes features in that type and in less precise ones
    moments_for: float = 0.0  # steepness of the components that the M step makes


class Layout(NamedTuple):
    """Parameters as the E step takes them."""

    theta: NDArray | None  # coefficients of the features; None: by differences
    panels: NDArray | None  # factors of full covariances for differences
    dtype: np.dtype  # in which the E step computes


@dataclass(frozen=True)
class Forms:
    """Chooses the form of the E step for parameters of one model.

    Parameters
    ----------
    structure : Structure
    tied : bool
        Whether all components have one covariance.
    d : int
    dtype : dtype
        Of the rows.
    features : Features
    moments_about_origin : bool
        Whether statistics of different parameters will be added: those by differences are about
        different points.
    """

    structure: Structure
    tied: bool
    d: int
    dtype: np.dtype
    features: Features
    moments_about_origin: bool

    def lay_out(self, terms: DensityTerms, factors: NDArray, need: Need) -> Layout:
        """The terms and factors of the components in the form that fits them."""
        dtype = self._features_dtype(terms, need)
        if dtype is None and self.moments_about_origin:
            dtype = np.dtype(np.float64)
        if dtype is not None:
            return Layout(self.features.layout(terms.theta, dtype), None, dtype)
        dtype = self.dtype
        steepness = max(float(terms.steepness.max()), need.moments_for)
        if loss_of_differences(dtype, steepness, self.d) >= 1:
            dtype = np.dtype(np.float64)
        panels = None
        if self.structure.correlated:
            panels = lay_panels(factors, panel_edges(self.d), dtype)
        return Layout(None, panels, dtype)

    def finer(self, params: GaussianParams, new: GaussianParams | None) -> Need | None:
        """What the M step from ``params`` to ``new`` needs of a form that loses fewer digits.

        None if the form of ``params`` will do. Moments lose what features lose of the densities
        under the *new* parameters: a component that becomes narrow far from the origin has a
        variance that is a difference of large numbers. ``new`` is None if a new covariance is not
        positive definite.
        """
        steepness = np.inf if new is None else new.steepness
        whitened = self.tied and self.structure.correlated
        if params.theta is None or whitened:  # these lose the root of what features lose
            if (
                params.dtype == np.float64
                or loss_of_differences(params.dtype, steepness, self.d) < 1
            ):
                return None
            finer_than = params.dtype if whitened else np.dtype(np.float64)
            return Need(finer_than=finer_than, moments_for=steepness)
        if steepness < steepest(params.dtype, self.d):
            return None
        return Need(finer_than=params.dtype, moments_for=steepness)

    def _features_dtype(self, terms: DensityTerms, need: Need) -> np.dtype | None:
        """In what features lose few digits; None where differences from the means are better.

        Where they lose too many in float32, they are still faster in float64 than differences.
        """
        tied = self.tied and self.structure.correlated
        differs = self.structure.correlated and not (self.tied or self.moments_about_origin)
        if differs and differences_pay(self.d, need.share):
            return None
        for dtype in dict.fromkeys([self.dtype, np.dtype(np.float64)]):
            if need.finer_than is not None and dtype.itemsize <= need.finer_than.itemsize:
                continue
            if tied:
                loss = _loss_of_whitening(dtype, terms.steepness[0], terms.theta[:, 1:])
            else:
                steepness = max(float(terms.steepness.max()), need.moments_for)
                loss = steepness / steepest(dtype, self.d)
            if loss < 1:
                return dtype
        return None
