"""Compiled algebra of full covariances in few dimensions, all components in one call.

A default fit of a small table is a hundred small matrices an EM map; one call into a compiled
loop costs less than the calls of a library for each of them. In more dimensions than
`_covariances.SMALL` the library's blocked routines are faster, and `Full` uses them.

Conventions, for g matrices (g = k, or 1 if the components share one):
    covariances.shape = (g, d, d)
    choleskys.shape = (g, d, d)    lower L with L L' = Sigma
    factors.shape = (g, d, d)      lower W = L^-1
    packed.shape = (g, d(d+1)/2)   lower triangle row by row, as np.tril_indices has it
"""

from __future__ import annotations

import math

import numpy as np

from skem._kernel_cache import njit


@njit(nogil=True, cache=True)
def factor(covariances):
    """Cholesky factors and their inverses; the first matrix that has none, or -1."""
    g, d, _ = covariances.shape
    choleskys = np.zeros((g, d, d))
    factors = np.zeros((g, d, d))
    for k in range(g):
        L, W = choleskys[k], factors[k]
        for a in range(d):
            for b in range(a + 1):
                s = covariances[k, a, b]
                for c in range(b):
                    s -= L[a, c] * L[b, c]
                if a == b:
                    if not (s > 0 and s < np.inf):
                        return choleskys, factors, k
                    L[a, a] = math.sqrt(s)
                else:
                    L[a, b] = s / L[b, b]
        for a in range(d):
            for c in range(a):
                for b in range(c + 1):
                    W[a, b] -= L[a, c] * W[c, b]
            for b in range(a):
                W[a, b] /= L[a, a]
            W[a, a] = 1 / L[a, a]
        for a in range(d):
            if not math.isfinite(W[a, a]):
                return choleskys, factors, k
    return choleskys, factors, -1


@njit(nogil=True, cache=True)
def moments_to_covariances(counts, sums, packed, reg, shared):
    """Covariances of components with moments about a reference, reg added; and the shifts."""
    k, d = sums.shape
    shift = np.empty((k, d))
    for j in range(k):
        for a in range(d):
            shift[j, a] = sums[j, a] / counts[j]
    g = 1 if shared else k
    covariances = np.empty((g, d, d))
    count = 0.0
    for j in range(g):
        count = counts.sum() if shared else counts[j]
        f = 0
        for a in range(d):
            for b in range(a + 1):
                s = packed[j, f]
                f += 1
                if shared:
                    for h in range(k):
                        s -= counts[h] * shift[h, a] * shift[h, b]
                else:
                    s -= counts[j] * shift[j, a] * shift[j, b]
                s /= count
                covariances[j, a, b] = s
                covariances[j, b, a] = s
            covariances[j, a, a] += reg[a]
    return shift, covariances


@njit(nogil=True, cache=True)
def precisions_of(factors):
    """W'W."""
    g, d, _ = factors.shape
    precisions = np.zeros((g, d, d))
    for k in range(g):
        for c in range(d):
            for a in range(c + 1):
                w = factors[k, c, a]
                for b in range(a + 1):
                    precisions[k, a, b] += w * factors[k, c, b]
        for a in range(d):
            for b in range(a):
                precisions[k, b, a] = precisions[k, a, b]
    return precisions


@njit(nogil=True, cache=True)
def coordinates_of(choleskys):
    """Log-Cholesky coordinates, packed."""
    g, d, _ = choleskys.shape
    out = np.empty((g, d * (d + 1) // 2))
    for k in range(g):
        f = 0
        for a in range(d):
            for b in range(a):
                out[k, f] = choleskys[k, a, b]
                f += 1
            out[k, f] = math.log(choleskys[k, a, a])
            f += 1
    return out


@njit(nogil=True, cache=True)
def covariances_at(coordinates, d):
    """Covariances out of log-Cholesky coordinates."""
    g = len(coordinates)
    covariances = np.empty((g, d, d))
    L = np.zeros((d, d))
    for k in range(g):
        f = 0
        for a in range(d):
            for b in range(a):
                L[a, b] = coordinates[k, f]
                f += 1
            L[a, a] = math.exp(coordinates[k, f])
            f += 1
        for a in range(d):
            for b in range(a + 1):
                s = 0.0
                for c in range(b + 1):
                    s += L[a, c] * L[b, c]
                covariances[k, a, b] = s
                covariances[k, b, a] = s
    return covariances


@njit(nogil=True, cache=True)
def gradient(covariances, choleskys, factors, new, pull, strength):
    """Gradient in log-Cholesky coordinates, packed: see `Full.geometry`."""
    g, d, _ = covariances.shape
    out = np.empty((g, d * (d + 1) // 2))
    A = np.empty((d, d))
    half = np.empty((d, d))
    for k in range(g):
        W = factors[k]
        for a in range(d):
            for b in range(d):
                A[a, b] = strength[k] * (new[k, a, b] - covariances[k, a, b]) + pull[k, a, b]
        half[:] = 0  # (W A) W', lower part
        for a in range(d):
            for c in range(a + 1):
                w = W[a, c]
                for b in range(d):
                    half[a, b] += w * A[c, b]
        for a in range(d):
            for b in range(d - 1, -1, -1):
                s = 0.0
                for c in range(b + 1):
                    s += half[a, c] * W[b, c]
                half[a, b] = s
        f = 0
        for a in range(d):  # W' (W A W'), lower part
            for b in range(a + 1):
                s = 0.0
                for c in range(a, d):
                    s += W[c, a] * half[c, b]
                out[k, f] = s * choleskys[k, a, a] if a == b else s
                f += 1
    return out


@njit(nogil=True, cache=True)
def solve(choleskys, strength, q):
    """Inverse information in log-Cholesky coordinates times q (g, d(d+1)/2)."""
    g, d, _ = choleskys.shape
    out = np.empty((g, d * (d + 1) // 2))
    dual = np.zeros((d, d))
    step = np.zeros((d, d))
    for k in range(g):
        L = choleskys[k]
        f = 0
        for a in range(d):
            for b in range(a + 1):
                dual[a, b] = q[k, f] / L[a, a] if a == b else q[k, f]
                f += 1
        for a in range(d):
            for b in range(a + 1):
                s = 0.0
                for c in range(a, d):
                    s += L[c, a] * dual[c, b]
                step[a, b] = s / (strength[k] * (2.0 if a == b else 1.0))
        f = 0
        for a in range(d):
            for b in range(a + 1):
                s = 0.0
                for c in range(b, a + 1):
                    s += L[a, c] * step[c, b]
                out[k, f] = s / L[a, a] if a == b else s
                f += 1
    return out


LOG_NONE = -1e5
"""In the place of the log of a weight of zero: kernels add it up, and no row finds it."""


@njit(nogil=True, cache=True)
def _log_weight(weight):
    return math.log(weight) if weight > 0 else LOG_NONE


@njit(nogil=True, cache=True)
def full_terms(weights, means, covariances, factors, reg, base, shared):
    """What `density_terms` returns, for full covariances."""
    k, d = means.shape
    g = len(factors)
    log_constants = np.empty(k)
    steepness = np.zeros(g)
    relative = np.zeros(g)
    blur = np.zeros(g)
    log_det = np.zeros(g)
    for j in range(g):
        W = factors[j]
        for a in range(d):
            log_det[j] += math.log(W[a, a])
            for b in range(a + 1):
                w = W[a, b] * W[a, b]
                steepness[j] += w
                relative[j] += w * covariances[j, b, b]
                blur[j] += w * reg[b]
    for j in range(k):
        h = min(j, g - 1)
        log_constants[j] = _log_weight(weights[j]) + base + log_det[h] - blur[h] / 2
    if shared:
        theta = np.zeros((k, 1 + d))
        for j in range(k):
            theta[j, 0] = log_constants[j]
            for a in range(d):
                for b in range(a + 1):
                    theta[j, 1 + a] += factors[0, a, b] * means[j, b]
                theta[j, 0] -= theta[j, 1 + a] * theta[j, 1 + a] / 2
        return log_constants, steepness, relative, theta
    precisions = precisions_of(factors)
    theta = np.zeros((k, 1 + d + d * (d + 1) // 2))
    for j in range(k):
        whitened = 0.0
        f = 1 + d
        for a in range(d):
            for b in range(d):
                theta[j, 1 + a] += precisions[j, a, b] * means[j, b]
            whitened += theta[j, 1 + a] * means[j, a]
            for b in range(a + 1):
                theta[j, f] = precisions[j, a, b] * (-0.5 if a == b else -1.0)
                f += 1
        theta[j, 0] = log_constants[j] - whitened / 2
        steepness[j] = max(steepness[j], whitened / d)
    return log_constants, steepness, relative, theta


@njit(nogil=True, cache=True)
def diagonal_terms(weights, means, factors, reg, base, shared):
    """What `density_terms` returns, for diagonal covariances."""
    k, d = means.shape
    g = len(factors)
    log_constants = np.empty(k)
    steepness = np.zeros(g)
    theta = np.zeros((k, 1 + d + (0 if shared else d)))
    steepest = 0.0
    for j in range(k):
        h = min(j, g - 1)
        constant, linear = _log_weight(weights[j]) + base, 0.0
        if h == j:
            steepness[h] = 0
        for a in range(d):
            precision = factors[h, a] * factors[h, a]
            constant += math.log(factors[h, a]) - precision * reg[a] / 2
            theta[j, 1 + a] = precision * means[j, a]
            linear += theta[j, 1 + a] * means[j, a]
            if not shared:
                theta[j, 1 + d + a] = -precision / 2
            if h == j:
                steepness[h] += precision
        log_constants[j] = constant
        theta[j, 0] = constant - linear / 2
        steepest = max(steepest, linear / d)
        if not shared:
            steepness[j] = max(steepness[j], linear / d)
    if shared:
        steepness[0] = max(steepness[0], steepest)
    return log_constants, steepness, theta
