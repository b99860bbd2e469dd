"""Tables of features for the compiled E step, and its call on a block of rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem.em import Rows

_EMPTY_LABELS = np.empty(0, dtype=np.int64)
# Measured on processors with 1 MiB of second-level cache a core: features of up to 640 fit it for
# 256 rows at a time; more are built in panels of 64, which fit it together with the rows.
_ONE_PANEL = 640
_PANEL = 64


class Features(NamedTuple):
    """A table of features and how it is cut into panels.

    Attributes
    ----------
    pairs : ndarray of shape (n_panels, m, 2)
        Feature f is z[pairs[f, 0]] * z[pairs[f, 1]]; padded with the constant feature. Empty
        (m = 0) where the features are z itself.
    n_features : int
        Without padding.
    content : int
        What z holds, see `_kernels`.
    n_z : int
        Length of z.
    """

    pairs: NDArray[np.int64]
    n_features: int
    content: int
    n_z: int


def make_features(pairs: NDArray[np.int64], *, content: int, n_z: int) -> Features:
    """Cut a table of pairs (n_features, 2) into panels that stay in the cache."""
    n_features = len(pairs)
    if n_features == n_z and n_z <= _ONE_PANEL and np.array_equal(pairs, linear_pairs(n_z - 1)):
        return Features(np.empty((1, 0, 2), dtype=np.int64), n_features, content, n_z)
    panel = n_features if n_features <= _ONE_PANEL else _PANEL
    n_panels = -(-n_features // panel)
    padded = np.zeros((n_panels * panel, 2), dtype=np.int64)
    padded[:n_features] = pairs
    return Features(padded.reshape(n_panels, panel, 2), n_features, content, n_z)


def linear_pairs(n: int) -> NDArray[np.int64]:
    """1 and z_1 ... z_n."""
    return np.column_stack([np.zeros(n + 1, dtype=np.int64), np.arange(n + 1)])


def square_pairs(d: int) -> NDArray[np.int64]:
    """z_j^2 for j = 1 ... d."""
    return np.repeat(np.arange(1, d + 1)[:, None], 2, axis=1)


def product_pairs(d: int) -> NDArray[np.int64]:
    """z_i z_j for d >= i >= j >= 1, in the order of np.tril_indices."""
    return np.column_stack(np.tril_indices(d)) + 1


def plain_rows(X: NDArray) -> NDArray:
    """The rows as the kernels take them: C-contiguous and, in type, read-only."""
    X = np.ascontiguousarray(X).view()
    X.flags.writeable = False
    return X


def block_height(n_rows: int, n_components: int, n_panels: int) -> int:
    """Rows that the kernel works on at a time, so that what it touches stays in the cache.

    At most about 256, or 176 where much else wants the cache: a multiple of 8 that leaves the
    least of the last part empty.
    """
    largest = 256 if n_panels == 1 and n_components <= 128 else 176
    if n_rows <= largest:
        return 8 * -(-n_rows // 8)
    heights = range(3 * largest // 4 // 8 * 8, largest + 1, 8)
    return min(heights, key=lambda height: (-(-n_rows // height) * height, -height))


def kernel_rows(rows: Rows) -> tuple[NDArray, NDArray, NDArray]:
    """X, weights and labels of a block, in the form of the kernels."""
    X = plain_rows(rows.X)
    weight = np.empty(0, X.dtype) if rows.weight is None else rows.weight.astype(X.dtype)
    labels = _EMPTY_LABELS if rows.labels is None else rows.labels.astype(np.int64)
    return X, weight, labels


def linear_e_step(
    rows: Rows, theta: NDArray, features: Features, center: NDArray, scale: NDArray
) -> tuple[float, NDArray]:
    """E step with log p(x, k) = theta_k . f(x).

    Parameters
    ----------
    rows : Rows
    theta : ndarray of shape (n_components, n_features)
    features : Features
    center, scale : ndarray of shape (d,)
        The rows enter z as (x - center) * scale.

    Returns
    -------
    log_likelihood : float
        Sum of weight x log p(x), in nats.
    sums : ndarray of shape (n_components, n_features)
        Weighted sums of responsibility x feature.
    """
    from skem.mixture import _kernels

    X, weight, labels = kernel_rows(rows)
    n_panels, panel, _ = features.pairs.shape
    panel = panel or features.n_features
    k = len(theta)
    padded = np.zeros((k, n_panels * panel), dtype=X.dtype)
    padded[:, : features.n_features] = theta
    log_likelihood, sums = _kernels.linear_e_step(
        X,
        weight,
        labels,
        np.ascontiguousarray(padded.reshape(k, n_panels, panel).swapaxes(0, 1)),
        features.pairs,
        center.astype(X.dtype),
        scale.astype(X.dtype),
        features.content,
        features.n_z,
        block_height(len(X), k, n_panels),
    )
    return log_likelihood, sums.swapaxes(0, 1).reshape(k, -1)[:, : features.n_features]
