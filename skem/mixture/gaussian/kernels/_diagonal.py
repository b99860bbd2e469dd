"""Compiled E step of Gaussian mixtures with diagonal covariances, by differences from the means.

As in `_centred`, a component stops for a row as soon as the columns summed so far say that
it does not matter; here each row goes its own way.

Conventions are those of `_kernels`, and factors.shape = (k or 1, d) are 1 / sigma.
"""

from __future__ import annotations

import numpy as np

from skem._compiled import VECTORISE
from skem._kernel_cache import njit
from skem.mixture._kernels import normalise

STRIDE = 32
"""Columns that are summed between two looks at the bound."""


# Rows of arrays are named by their numbers: a view counts references, for which threads wait.


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _half_square(Z, i, means, j, factors, g, first, last):
    total = Z.dtype.type(0)
    # numbers without a sign: that -1 may mean the last column keeps loops from being vectorised
    for a in range(np.uint64(first), np.uint64(last)):
        y = (Z[i, a] - means[j, a]) * factors[g, a]
        total += y * y
    return total / 2


@njit(nogil=True, cache=True)
def _rest(Z, i, means, j, factors, g, first, bound, floor):
    """Log p(x, k) out of its bound after the first columns; -inf once that is below the floor."""
    d = Z.shape[1]
    while first < d and not bound < floor:
        last = min(first + STRIDE, d)
        bound -= _half_square(Z, i, means, j, factors, g, first, last)
        first = last
    return Z.dtype.type(-np.inf) if bound < floor else bound


@njit(nogil=True, cache=True)
def _log_joint_of_row(Z, i, label, log_constant, means, factors, cut, L):
    """L[:, i] <- log p(x, k) of a row, -inf where the component does not matter."""
    k, d = means.shape
    height = min(STRIDE, d)
    first, stop = (0, k) if label < 0 else (label, label + 1)
    last_factor = factors.shape[0] - 1
    best = first
    for j in range(k):
        L[j, i] = -np.inf
    for j in range(first, stop):
        g = min(j, last_factor)
        L[j, i] = log_constant[j] - _half_square(Z, i, means, j, factors, g, 0, height)
        if L[j, i] > L[best, i]:
            best = j
    if height == d:
        return
    none, g = Z.dtype.type(-np.inf), min(best, last_factor)
    known = _rest(Z, i, means, best, factors, g, height, L[best, i], none)
    L[best, i] = known
    for j in range(first, stop):
        if j != best:
            g = min(j, last_factor)
            L[j, i] = _rest(Z, i, means, j, factors, g, height, L[j, i], known - cut)
            known = max(known, L[j, i])


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _add_row(Z, i, means, j, r, sums, squares):
    for a in range(Z.shape[1]):
        y = Z[i, a] - means[j, a]
        sums[j, a] += r * y
        squares[j, a] += r * y * y


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _load_row(X, start, i, center, scale, Z):
    for a in range(Z.shape[1]):
        Z[i, a] = (X[start + i, a] - center[a]) * scale[a]


@njit(nogil=True, cache=True)
def centred_diagonal_e_step(X, weight, labels, log_constant, means, factors, center, scale, B, cut):
    """E step; the sum of the log-likelihood, counts, sums, squares, and the pairs that mattered."""
    k, d = means.shape
    n = X.shape[0]
    Z = np.zeros((B, d), means.dtype)
    L = np.zeros((k, B), means.dtype)
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
            _load_row(X, start, i, center, scale, Z)
            _log_joint_of_row(Z, i, label, log_constant, means, factors, cut, L)
        log_likelihood += normalise(L, n_rows, weight, labels, start, top, norm)
        for i in range(n_rows):
            for j in range(k):
                if L[j, i] > 0:
                    n_pairs += 1
                    counts[j] += L[j, i]
                    _add_row(Z, i, means, j, np.float64(L[j, i]), sums, squares)
    return log_likelihood, counts, sums, squares, n_pairs
