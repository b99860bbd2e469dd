"""Tables of features for the compiled E step, and its call on a block of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem.em import Rows
from skem.mixture._kernels_content import (
    BINARY,
    BINARY_MASKED,
    PLAIN,
    PRODUCTS,
    SQUARED_NORM,
    SQUARES,
)

_EMPTY_LABELS = np.empty(0, dtype=np.int64)

MOST_ROWS = 256
"""Rows that a kernel works on at a time, at most: features and densities stay in the cache."""

_ONE_PANEL, _PANEL = 640, 64
"""Number of products of columns up to which they are built at once, and the size of the panels if
there are more. Measured on processors with 1 MiB of second-level cache per core: 640 features of
`MOST_ROWS` rows fit into it, and so do panels of 64 together with the rows."""

_MANY_COMPONENTS, _FEWER_ROWS = 128, 176
"""With more components than the first, or several panels, the second takes the place of
`MOST_ROWS`: their densities, or the rows, need the cache as well."""

_ROW_FEATURES, _FEWEST_ROWS = 1 << 14, 32
"""Numbers of the features that are built row by row, which stay in the cache together with their
products; and the least number of rows, below which products are thin."""

_VECTOR = 8
"""Rows are processed in multiples of this: as many float64 fill a register of AVX-512."""

_PRODUCTS_PER_NUMBER = 8
"""Terms of a matrix product that are computed in the time of another operation on one number."""

_NORMALISATION = 16
"""Work of the normalisation of a density, in units of that for a feature: mainly an exponential."""


class Features:
    """The features of a row, in which its log-density under each component is linear.

    Parameters
    ----------
    content : int
        Which features these are, see `_kernels_content`.
    n_features : int

    Attributes
    ----------
    pairs : ndarray of shape (n_panels, m, 2)
        The two columns of each feature if features are products, in panels that stay in the cache
        and are padded with the constant feature; otherwise empty (m = 0).
    """

    def __init__(self, content: int, n_features: int, pairs: NDArray | None = None):
        self.content, self.n_features = content, n_features
        panel = 0 if pairs is None else n_features if n_features <= _ONE_PANEL else _PANEL
        n_panels = -(-n_features // panel) if panel else 1
        padded = np.zeros((n_panels * panel, 2), dtype=np.int64)
        if pairs is not None:
            padded[:n_features] = pairs
        self.pairs = padded.reshape(n_panels, panel, 2)

    def work(self, n_components: int) -> int:
        """Work of an E step on one row, in the unit of `RowBlocks`: numbers that are handled."""
        return max(1, n_components * (self.n_features + _NORMALISATION) // _PRODUCTS_PER_NUMBER)

    def layout(self, theta: NDArray, dtype: np.dtype) -> NDArray:
        """Coefficients (k, n_features) as the kernel takes them: (n_panels, k, m)."""
        n_panels, panel, _ = self.pairs.shape
        if panel == 0:
            return np.ascontiguousarray(theta, dtype=dtype)[None]
        padded = np.zeros((len(theta), n_panels * panel), dtype=dtype)
        padded[:, : self.n_features] = theta
        return np.ascontiguousarray(padded.reshape(-1, n_panels, panel).swapaxes(0, 1))


def plain_features(d: int) -> Features:
    """1 and z_1 ... z_d."""
    return Features(PLAIN, 1 + d)


def square_features(d: int) -> Features:
    """1, z_j, and z_j^2 for j = 1 ... d."""
    return Features(SQUARES, 1 + 2 * d)


def squared_norm_features(d: int) -> Features:
    """1, z_j, and |z|^2."""
    return Features(SQUARED_NORM, 2 + d)


def product_features(d: int) -> Features:
    """1, z_j, and z_i z_j for d >= i >= j >= 1, in the order of np.tril_indices."""
    linear = np.column_stack([np.zeros(d + 1, dtype=np.int64), np.arange(d + 1)])
    pairs = np.vstack([linear, np.column_stack(np.tril_indices(d)) + 1])
    return Features(PRODUCTS, len(pairs), pairs)


def binary_features(d: int, *, masked: bool) -> Features:
    """1, [x_j > threshold_j], and with missing values [x_j is known]."""
    return Features(BINARY_MASKED, 1 + 2 * d) if masked else Features(BINARY, 1 + d)


def plain_rows(X: NDArray) -> NDArray:
    """The rows as the kernels take them: C-contiguous and, in type, read-only."""
    X = np.ascontiguousarray(X).view()
    X.flags.writeable = False
    return X


def block_height(n_rows: int, largest: int = MOST_ROWS) -> int:
    """Rows that the kernel works on at a time, so that what it uses stays in the cache.

    A multiple of `_VECTOR` between three quarters of ``largest`` and ``largest``, which leaves as
    little as possible of the last part empty; fewer if there are fewer rows.
    """
    if n_rows <= largest:
        return _VECTOR * -(-n_rows // _VECTOR)
    heights = range(3 * largest // 4 // _VECTOR * _VECTOR, largest + 1, _VECTOR)
    return min(heights, key=lambda height: (-(-n_rows // height) * height, -height))


def row_height(n_rows: int, n_features: int) -> int:
    """`block_height` where the features are built row by row."""
    return block_height(n_rows, min(MOST_ROWS, max(_FEWEST_ROWS, _ROW_FEATURES // n_features)))


def product_height(n_rows: int, n_components: int, n_panels: int) -> int:
    """`block_height` where products of columns, or components, need much of the cache."""
    few = n_panels == 1 and n_components <= _MANY_COMPONENTS
    return block_height(n_rows, MOST_ROWS if few else _FEWER_ROWS)


def kernel_rows(rows: Rows, dtype: Any = None) -> tuple[NDArray, NDArray, NDArray]:
    """X, weights and labels of a block, in the form of the kernels.

    ``dtype`` is that in which the kernel computes, by default that of X.
    """
    X = plain_rows(rows.X)
    dtype = X.dtype if dtype is None else dtype
    weight = np.empty(0, dtype) if rows.weight is None else rows.weight.astype(dtype)
    labels = _EMPTY_LABELS if rows.labels is None else rows.labels.astype(np.int64)
    return X, weight, labels


def linear_e_step(
    rows: Rows, theta: NDArray, features: Features, center: NDArray, scale: NDArray
) -> tuple[float, NDArray, int]:
    """E step with log p(x, k) = theta_k . f(x).

    Parameters
    ----------
    rows : Rows
    theta : ndarray of shape (n_panels, n_components, m)
        As `Features.layout` makes it; the step computes in its dtype.
    features : Features
    center, scale : ndarray of shape (d,)
        The features are those of z = (x - center) * scale.

    Returns
    -------
    log_likelihood : float
        Sum of weight x log p(x), in nats.
    sums : ndarray of shape (n_components, n_features)
        Weighted sums of responsibility x feature.
    n_pairs : int
        Pairs of row and component that matter; all of them where they are not counted.
    """
    from skem.mixture import _kernels

    X, weight, labels = kernel_rows(rows, theta.dtype)
    units = center.astype(theta.dtype), scale.astype(theta.dtype)
    n_panels, k, _ = theta.shape
    if not features.pairs.size:
        height = row_height(len(X), features.n_features)
        content = features.content
        log_likelihood, sums = _kernels.row_e_step(
            X, weight, labels, theta[0], *units, content, height
        )
        return log_likelihood, sums, k * len(X)
    height = product_height(len(X), k, n_panels)
    log_likelihood, sums, n_pairs = _kernels.product_e_step(
        X, weight, labels, theta, features.pairs, *units, height
    )
    sums = sums.swapaxes(0, 1).reshape(k, -1)[:, : features.n_features]
    return log_likelihood, sums, n_pairs
