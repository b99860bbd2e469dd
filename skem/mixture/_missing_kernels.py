"""Compiled E steps on rows with missing values (NaN), sorted by pattern.

Conventions:
    Z.shape = (n, d)               rows, NaN where missing
    edges.shape = (n_patterns + 1,)  rows edges[p]:edges[p + 1] share a pattern
    constants.shape = (k,)         log weights and what else does not depend on the pattern
    covariances.shape = (k or 1, d, d) or (k or 1, d)
    log_scale.shape = (d,)         log Jacobian of each observed coordinate
Moments are about the means.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_LOG_2PI = math.log(2 * math.pi)


@njit(nogil=True, cache=True)
def _responsibilities(L, label):
    """L <- posterior of the components, in place; return log p(row)."""
    k = L.size
    if label >= 0:
        log_p = L[label]
        L[:] = 0
        L[label] = 1
        return log_p
    top = L.max()
    norm = 0.0
    for j in range(k):
        L[j] = math.exp(L[j] - top)
        norm += L[j]
    for j in range(k):
        L[j] /= norm
    return top + math.log(norm)


@njit(nogil=True, cache=True)
def _condition(covariance, observed, n_observed, missing, n_missing, V, B, C):
    """Factor Sigma_oo = G G'; V <- G^-1, B <- Sigma_mo Sigma_oo^-1, C <- Cov[x_m | x_o].

    Returns log|V|.
    """
    log_det = 0.0
    for a in range(n_observed):  # Cholesky factor, row by row
        for b in range(a + 1):
            s = covariance[observed[a], observed[b]]
            for c in range(b):
                s -= V[a, c] * V[b, c]
            if a == b:
                V[a, a] = math.sqrt(s)
                log_det -= math.log(V[a, a])
            else:
                V[a, b] = s / V[b, b]
    for a in range(n_observed):  # its inverse, in place
        V[a, a] = 1 / V[a, a]
        for b in range(a):
            s = 0.0
            for c in range(b, a):
                s -= V[a, c] * V[c, b]
            V[a, b] = s * V[a, a]
    for u in range(n_missing):
        # half = V Sigma_om: C = Sigma_mm - half' half, B = half' V
        for a in range(n_observed):
            s = 0.0
            for b in range(a + 1):
                s += V[a, b] * covariance[observed[b], missing[u]]
            B[n_missing + u, a] = s
    for u in range(n_missing):
        for a in range(n_observed):
            s = 0.0
            for b in range(a, n_observed):
                s += B[n_missing + u, b] * V[b, a]
            B[u, a] = s
        for v in range(u + 1):
            s = covariance[missing[u], missing[v]]
            for a in range(n_observed):
                s -= B[n_missing + u, a] * B[n_missing + v, a]
            C[u, v] = s
            C[v, u] = s
    return log_det


@njit(nogil=True, cache=True)
def missing_e_step(Z, weight, labels, edges, constants, means, covariances, log_scale):
    k, d = means.shape
    counts = np.zeros(k)
    sums = np.zeros((k, d))
    squares = np.zeros((k, d, d))
    V = np.zeros((k, d, d))
    B = np.zeros((k, 2 * d, d))
    C = np.zeros((k, d, d))
    log_det = np.empty(k)
    L = np.empty(k)
    D = np.empty((k, d))
    pattern_counts = np.empty(k)
    observed = np.empty(d, np.int64)
    missing = np.empty(d, np.int64)
    log_likelihood = 0.0
    for p in range(edges.size - 1):
        n_observed, n_missing, jacobian = 0, 0, 0.0
        for a in range(d):
            if math.isnan(Z[edges[p], a]):
                missing[n_missing] = a
                n_missing += 1
            else:
                observed[n_observed] = a
                n_observed += 1
                jacobian += log_scale[a]
        for j in range(min(k, covariances.shape[0])):
            log_det[j] = _condition(
                covariances[j], observed, n_observed, missing, n_missing, V[j], B[j], C[j]
            )
        pattern_counts[:] = 0
        for i in range(edges[p], edges[p + 1]):
            for j in range(k):
                g = min(j, covariances.shape[0] - 1)
                quadratic = 0.0
                for a in range(n_observed):
                    D[j, observed[a]] = Z[i, observed[a]] - means[j, observed[a]]
                for a in range(n_observed):
                    y = 0.0
                    for b in range(a + 1):
                        y += V[g, a, b] * D[j, observed[b]]
                    quadratic += y * y
                for u in range(n_missing):
                    s = 0.0
                    for a in range(n_observed):
                        s += B[g, u, a] * D[j, observed[a]]
                    D[j, missing[u]] = s
                L[j] = constants[j] + log_det[g] - (n_observed * _LOG_2PI + quadratic) / 2
            w = weight[i]
            log_likelihood += w * (_responsibilities(L, labels[i]) + jacobian)
            for j in range(k):
                r = w * L[j]
                pattern_counts[j] += r
                for a in range(d):
                    sums[j, a] += r * D[j, a]
                    for b in range(a + 1):
                        squares[j, a, b] += r * D[j, a] * D[j, b]
        for j in range(k):
            g = min(j, covariances.shape[0] - 1)
            counts[j] += pattern_counts[j]
            for u in range(n_missing):
                for v in range(u + 1):
                    squares[j, missing[u], missing[v]] += pattern_counts[j] * C[g, u, v]
    for j in range(k):
        for a in range(d):
            for b in range(a):
                squares[j, b, a] = squares[j, a, b]
    return log_likelihood, counts, sums, squares


@njit(nogil=True, cache=True)
def missing_diagonal_e_step(Z, weight, labels, edges, constants, means, covariances, log_scale):
    k, d = means.shape
    counts = np.zeros(k)
    sums = np.zeros((k, d))
    squares = np.zeros((k, d))
    L = np.empty(k)
    log_likelihood = 0.0
    for i in range(Z.shape[0]):
        jacobian = 0.0
        for a in range(d):
            if not math.isnan(Z[i, a]):
                jacobian += log_scale[a]
        for j in range(k):
            g = min(j, covariances.shape[0] - 1)
            L[j] = constants[j]
            for a in range(d):
                if not math.isnan(Z[i, a]):
                    y = Z[i, a] - means[j, a]
                    variance = covariances[g, a]
                    L[j] -= (_LOG_2PI + math.log(variance) + y * y / variance) / 2
        w = weight[i]
        log_likelihood += w * (_responsibilities(L, labels[i]) + jacobian)
        for j in range(k):
            g = min(j, covariances.shape[0] - 1)
            r = w * L[j]
            counts[j] += r
            for a in range(d):
                if math.isnan(Z[i, a]):
                    squares[j, a] += r * covariances[g, a]
                else:
                    y = Z[i, a] - means[j, a]
                    sums[j, a] += r * y
                    squares[j, a] += r * y * y
    return log_likelihood, counts, sums, squares
