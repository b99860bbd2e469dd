"""Compiled E step of Gaussian mixtures with diagonal covariances, by differences from the means.

As in `_centred_kernels`, a component stops for a row as soon as the columns summed so far say that
it does not matter; here each row goes its own way.

Conventions are those of `_kernels`, and factors.shape = (k or 1, d) are 1 / sigma.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from skem._compiled import VECTORISE
from skem.mixture._kernels import normalise

STRIDE = 32
"""Columns that are summed between two looks at the bound."""


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _half_square(z, mean, factor, first, last):
    total = z.dtype.type(0)
    for a in range(first, last):
        y = (z[a] - mean[a]) * factor[a]
        total += y * y
    return total / 2


@njit(nogil=True, cache=True)
def _rest(z, mean, factor, first, bound, floor):
    """Log p(x, k) out of its bound after the first columns; -inf once that is below the floor."""
    while first < z.size:
        last = min(first + STRIDE, z.size)
        bound -= _half_square(z, mean, factor, first, last)
        if bound < floor:
            return z.dtype.type(-np.inf)
        first = last
    return bound


@njit(nogil=True, cache=True)
def _log_joint_of_row(z, label, log_constant, means, factors, cut, out):
    """Log p(x, k) of a row, -inf where the component does not matter."""
    k, d = means.shape
    height = min(STRIDE, d)
    first, stop = (0, k) if label < 0 else (label, label + 1)
    best = first
    for j in range(k):
        out[j] = -np.inf
    for j in range(first, stop):
        g = min(j, factors.shape[0] - 1)
        out[j] = log_constant[j] - _half_square(z, means[j], factors[g], 0, height)
        if out[j] > out[best]:
            best = j
    if height == d:
        return
    g = min(best, factors.shape[0] - 1)
    known = _rest(z, means[best], factors[g], height, out[best], z.dtype.type(-np.inf))
    out[best] = known
    for j in range(first, stop):
        if j != best:
            g = min(j, factors.shape[0] - 1)
            out[j] = _rest(z, means[j], factors[g], height, out[j], known - cut)
            known = max(known, out[j])


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _add_row(z, mean, r, sums, squares):
    for a in range(z.size):
        y = z[a] - mean[a]
        sums[a] += r * y
        squares[a] += r * y * y


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _load_row(x, center, scale, z):
    for a in range(z.size):
        z[a] = (x[a] - center[a]) * scale[a]


@njit(nogil=True, cache=True)
def centred_diagonal_e_step(X, weight, labels, log_constant, means, factors, center, scale, B, cut):
    """E step; the sum of the log-likelihood, counts, sums, squares, and the pairs that mattered."""
    k, d = means.shape
    n = X.shape[0]
    Z = np.zeros((B, d), means.dtype)
    L = np.zeros((k, B), means.dtype)
    of_row = np.empty(k, means.dtype)
    top = np.empty(B, means.dtype)
    norm = np.empty(B, means.dtype)
    counts = np.zeros(k)
    sums = np.zeros((k, d))
    squares = np.zeros((k, d))
    log_likelihood = 0.0
    n_pairs = 0.0
    for start in range(0, n, B):
        n_rows = min(B, n - start)
        for i in range(n_rows):
            label = labels[start + i] if labels.size else -1
            _load_row(X[start + i], center, scale, Z[i])
            _log_joint_of_row(Z[i], label, log_constant, means, factors, cut, of_row)
            for j in range(k):
                L[j, i] = of_row[j]
        log_likelihood += normalise(L, n_rows, weight, labels, start, top, norm)
        for i in range(n_rows):
            for j in range(k):
                if L[j, i] > 0:
                    n_pairs += 1
                    counts[j] += L[j, i]
                    _add_row(Z[i], means[j], np.float64(L[j, i]), sums[j], squares[j])
    return log_likelihood, counts, sums, squares, n_pairs
