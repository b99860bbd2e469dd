"""Compiled E step on rows with missing values (NaN) where covariances are diagonal.

Conventions are those of `_missing`, and
    factors.shape = (k or 1, d)     1 / sigma
    Z.shape = M.shape = (d, B)      z = (x - center) * scale, 0 where missing; 1 where observed
Columns are independent given the component, so that no order of the rows is needed.
"""

from __future__ import annotations

import math

import numpy as np

from skem._compiled import VECTORISE
from skem._kernel_cache import njit
from skem.mixture._kernels import NEGLIGIBLE, TRANSPOSED, normalise

_LOG_2PI = math.log(2 * math.pi)


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _load(X, start, n_rows, center, scale, Z, M):
    for first in range(0, n_rows, TRANSPOSED):
        for a in range(X.shape[1]):
            for i in range(first, min(first + TRANSPOSED, n_rows)):
                x = X[start + i, a]
                observed = x == x
                M[a, i] = 1.0 if observed else 0.0
                Z[a, i] = (x - center[a]) * scale[a] if observed else 0.0


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _log_joint(Z, M, constant, mean, factor, log_scale, out):
    """Log p(x_o, k) into ``out``: each observed column adds its own log density."""
    for i in range(out.size):
        out[i] = constant
    for a in range(mean.size):
        of_column = math.log(factor[a]) - _LOG_2PI / 2 + log_scale[a]
        for i in range(out.size):
            y = (Z[a, i] - mean[a]) * factor[a]
            out[i] += M[a, i] * (of_column - y * y / 2)


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _moments(Z, M, r, mean, factor, sums, squares):
    """Add the moments of one component about its mean; return its count."""
    count = 0.0
    for i in range(r.size):
        count += r[i]
    for a in range(mean.size):
        known, first, second = 0.0, 0.0, 0.0
        for i in range(r.size):
            y = Z[a, i] - mean[a]
            w = r[i] * M[a, i]
            known += w
            first += w * y
            second += w * y * y
        sums[a] += first
        squares[a] += second + max(count - known, 0.0) / (factor[a] * factor[a])
    return count


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _n_that_matter(r, n_rows, weight, start):
    n = 0
    for i in range(n_rows):
        w = weight[start + i] if weight.size else 1.0
        n += r[i] > NEGLIGIBLE * w
    return n


@njit(nogil=True, cache=True)
def missing_diagonal_e_step(
    X, weight, labels, constants, means, factors, center, scale, log_scale, B
):
    """E step; the sum of the log-likelihood, counts, sums, squares, and the pairs that mattered."""
    k, d = means.shape
    n = X.shape[0]
    counts, sums, squares = np.zeros(k), np.zeros((k, d)), np.zeros((k, d))
    Z, M, L = np.zeros((d, B)), np.zeros((d, B)), np.zeros((k, B))
    top, norm = np.empty(B), np.empty(B)
    log_likelihood, n_pairs = 0.0, 0
    for start in range(0, n, B):
        n_rows = min(B, n - start)
        _load(X, start, n_rows, center, scale, Z, M)
        for j in range(k):
            factor = factors[min(j, factors.shape[0] - 1)]
            _log_joint(Z, M, constants[j], means[j], factor, log_scale, L[j])
        log_likelihood += normalise(L, n_rows, weight, labels, start, top, norm)
        for j in range(k):
            n_kept = _n_that_matter(L[j], n_rows, weight, start)
            n_pairs += n_kept
            if n_kept:
                factor = factors[min(j, factors.shape[0] - 1)]
                counts[j] += _moments(Z, M, L[j], means[j], factor, sums[j], squares[j])
    return log_likelihood, counts, sums, squares, n_pairs
