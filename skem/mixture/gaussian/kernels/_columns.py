"""Compiled moments of columns; apart, because numba is imported late."""

from __future__ import annotations

import numpy as np

from skem._compiled import VECTORISE
from skem._kernel_cache import njit
from skem._numbers import NOT_ZERO

PART = 1 << 15
"""Numbers of the rows that are passed over twice: 256 KiB of float64, which stay in the cache."""


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def column_moments(X, weight):
    """Weighted mean of each column, sum of squares about it, and weight; NaN are left out.

    So are rows of weight zero, which may hold anything: 0 x inf would be NaN.

    Parts that stay in the cache are passed over twice, and merged (Chan, Golub & LeVeque 1983).
    """
    n, d = X.shape
    height = max(1, PART // d)
    mean, squares, count = np.zeros(d), np.zeros(d), np.zeros(d)
    part_mean, part_squares, part_count = np.empty(d), np.empty(d), np.empty(d)
    for start in range(0, n, height):
        stop = min(start + height, n)
        part_mean[:] = 0
        part_squares[:] = 0
        part_count[:] = 0
        for i in range(start, stop):
            w = weight[i] if weight.size else 1.0
            if w == 0:
                continue
            for j in range(d):
                if X[i, j] == X[i, j]:
                    part_mean[j] += w * X[i, j]
                    part_count[j] += w
        for j in range(d):
            part_mean[j] /= max(part_count[j], NOT_ZERO)
        for i in range(start, stop):
            w = weight[i] if weight.size else 1.0
            if w == 0:
                continue
            for j in range(d):
                if X[i, j] == X[i, j]:
                    rest = X[i, j] - part_mean[j]
                    part_squares[j] += w * rest * rest
        for j in range(d):
            count[j] += part_count[j]
            share = part_count[j] / max(count[j], NOT_ZERO)
            apart = part_mean[j] - mean[j]
            squares[j] += part_squares[j] + (count[j] - part_count[j]) * share * apart * apart
            mean[j] += share * apart
    return mean, squares, count
