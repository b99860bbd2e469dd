"""Compiled E steps of Gaussian mixtures on rows with missing values (NaN).

With P = W'W the precision of a component, o the observed and m the missing entries of a row, and
e = (x_o - mu_o, E[x_m | x_o] - mu_m) its completed difference from the mean,

    E[x_m | x_o] - mu_m = -P_mm^-1 P_mo (x_o - mu_o)        Cov[x_m | x_o] = P_mm^-1
    log N(x_o)          = m log(2 pi) / 2 - log|P_mm| / 2 + log N(e)

since e minimises the quadratic form over the missing entries. So a pattern needs a factor of P_mm
alone, of the size of what is missing, and all rows together go through products with W. Rows are
sorted by pattern, and those of one pattern share the factor.

Conventions:
    X.shape = (n, d)                 rows, NaN where missing
    edges.shape = (n_patterns + 1,)  rows edges[p]:edges[p + 1] share a pattern
    constants.shape = (k,)           log p(x, k) of a complete row without the quadratic form,
                                     and without what each observed column adds
    precisions.shape = (k or 1, d, d)
    log_scale.shape = (d,)           log Jacobian of each observed coordinate
    E.shape = (k, B, d)              completed differences of a part of the rows
    L.shape = (k, B)                 log joint densities, then responsibilities x weight
Moments are about the means, and everything is computed in float64.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from skem._compiled import VECTORISE
from skem.mixture._kernels import NEGLIGIBLE, normalise

_LOG_2PI = math.log(2 * math.pi)


@njit(nogil=True, cache=True)
def _factor(precision, missing, R):
    """R <- the lower Cholesky factor of P_mm, its diagonal inverted; return log|P_mm| / 2."""
    m = missing.size
    log_det = 0.0
    for a in range(m):
        for b in range(a + 1):
            s = precision[missing[a], missing[b]]
            for c in range(b):
                s -= R[a, c] * R[b, c]
            if a > b:
                R[a, b] = s * R[b, b]
            else:  # rounding may leave nothing of a precision that is nearly singular
                s = math.sqrt(max(s, 1e-15 * precision[missing[a], missing[a]]))
                R[a, a] = 1 / s
                log_det += math.log(s)
    return log_det


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _difference(x, center, scale, mean, missing, e):
    for a in range(e.size):
        e[a] = (x[a] - center[a]) * scale[a] - mean[a]
    for a in missing:
        e[a] = 0


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _dot(a, b):
    s = 0.0
    for i in range(a.size):
        s += a[i] * b[i]
    return s


@njit(nogil=True, cache=True)
def _complete(precision, R, missing, e, t):
    """e_m <- -P_mm^-1 P_mo e_o; on entry e_m = 0."""
    m = missing.size
    for u in range(m):
        s = -_dot(precision[missing[u]], e)
        for v in range(u):
            s -= R[u, v] * t[v]
        t[u] = s * R[u, u]
    for u in range(m - 1, -1, -1):
        s = t[u]
        for v in range(u + 1, m):
            s -= R[v, u] * t[v]
        t[u] = s * R[u, u]
        e[missing[u]] = t[u]


@njit(nogil=True, cache=True)
def _add_covariance(count, R, missing, C, squares):
    """Lower triangle of squares += count x P_mm^-1; C is room for the inverse of R."""
    m = missing.size
    for b in range(m):
        C[b, b] = R[b, b]
        for a in range(b + 1, m):
            s = 0.0
            for c in range(b, a):
                s += R[a, c] * C[c, b]
            C[a, b] = -s * R[a, a]
    for a in range(m):
        for b in range(a + 1):
            s = 0.0
            for c in range(a, m):
                s += C[c, a] * C[c, b]
            squares[missing[a], missing[b]] += count * s


@njit(nogil=True, cache=True)
def _entries(x, missing, log_scale):
    """The missing entries of a row, and what the observed ones add to its log density."""
    n, jacobian = 0, 0.0
    for a in range(x.size):
        if math.isnan(x[a]):
            missing[n] = a
            n += 1
        else:
            jacobian += log_scale[a]
    return n, jacobian


@njit(nogil=True, cache=True)
def _log_joint(X, first, last, at, constants, means, precisions, units, room, E, L):
    """E and L of the rows first:last, which share a pattern; they have the places from ``at``."""
    center, scale, log_scale = units
    entries, R, t = room
    n_missing, jacobian = _entries(X[first], entries, log_scale)
    missing = entries[:n_missing]
    gained = jacobian + n_missing * _LOG_2PI / 2
    log_det = 0.0
    for j in range(means.shape[0]):
        g = min(j, precisions.shape[0] - 1)
        if g == j:
            log_det = _factor(precisions[g], missing, R)
        for i in range(last - first):
            e = E[j, at + i]
            _difference(X[first + i], center, scale, means[j], missing, e)
            if n_missing:
                _complete(precisions[g], R, missing, e, t)
            L[j, at + i] = constants[j] + gained - log_det


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _subtract_half_square_norms(Y, n_rows, out):
    for i in range(n_rows):
        out[i] -= _dot(Y[i], Y[i]) / 2


@njit(nogil=True, cache=True)
def _keep_what_matters(r, n_rows, weight, start, rows):
    """Rows that matter to a component; responsibilities of the others become zero."""
    n = 0
    for i in range(n_rows):
        if r[i] > NEGLIGIBLE * (weight[start + i] if weight.size else 1.0):
            rows[n] = i
            n += 1
        else:
            r[i] = 0
    return n


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _moments(E, r, rows, D, RD, product, sums, squares):
    """Add the moments of one component; return its count."""
    count = 0.0
    d = sums.size
    for t in range(rows.size):
        w = r[rows[t]]
        count += w
        for a in range(d):
            D[t, a] = E[rows[t], a]
            RD[t, a] = w * D[t, a]
            sums[a] += RD[t, a]
    np.dot(RD[: rows.size].T, D[: rows.size], product)
    for a in range(d):
        for b in range(a + 1):
            squares[a, b] += product[a, b]
    return count


@njit(nogil=True, cache=True)
def _covariances(X, first, last, at, precisions, log_scale, room, L, squares):
    """Add what the uncertainty of the missing entries of rows of one pattern gives."""
    entries, R, C = room
    missing = entries[: _entries(X[first], entries, log_scale)[0]]
    shared = precisions.shape[0] == 1
    factored = False
    for j in range(L.shape[0]):
        count = L[j, at : at + last - first].sum()
        if count == 0:
            continue
        if not (shared and factored):
            _factor(precisions[0 if shared else j], missing, R)
            factored = True
        _add_covariance(count, R, missing, C, squares[j])


@njit(nogil=True, cache=True)
def missing_e_step(
    X, weight, labels, edges, constants, means, factors, precisions, center, scale, log_scale, B
):
    """E step; the sum of the log-likelihood, counts, sums, squares, and the pairs that mattered.

    factors.shape = (k or 1, d, d), transposed: upper triangular W' with W Sigma W' = I.
    """
    k, d = means.shape
    n = X.shape[0]
    counts, sums, squares = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d))
    E, L = np.zeros((k, B, d)), np.zeros((k, B))
    Y, D, product = np.empty((B, d)), np.empty((B, d)), np.empty((d, d))
    top, norm, rows = np.empty(B), np.empty(B), np.empty(B, np.int64)
    entries, R, C, t = np.empty(d, np.int64), np.empty((d, d)), np.empty((d, d)), np.empty(d)
    log_likelihood, n_pairs = 0.0, 0
    pattern = 0
    for start in range(0, n, B):
        stop = min(start + B, n)
        first_pattern, first = pattern, start
        while first < stop:
            last = min(edges[pattern + 1], stop)
            units = center, scale, log_scale
            room = entries, R, t
            _log_joint(
                X, first, last, first - start, constants, means, precisions, units, room, E, L
            )
            pattern += last == edges[pattern + 1]
            first = last
        for j in range(k):
            np.dot(E[j], factors[min(j, factors.shape[0] - 1)], Y)
            _subtract_half_square_norms(Y, stop - start, L[j])
        log_likelihood += normalise(L, stop - start, weight, labels, start, top, norm)
        for j in range(k):
            n_kept = _keep_what_matters(L[j], stop - start, weight, start, rows)
            n_pairs += n_kept
            if n_kept:
                counts[j] += _moments(E[j], L[j], rows[:n_kept], D, Y, product, sums[j], squares[j])
        pattern, first = first_pattern, start
        while first < stop:
            last = min(edges[pattern + 1], stop)
            _covariances(
                X, first, last, first - start, precisions, log_scale, (entries, R, C), L, squares
            )
            pattern += last == edges[pattern + 1]
            first = last
    for j in range(k):
        for a in range(d):
            for b in range(a):
                squares[j, b, a] = squares[j, a, b]
    return log_likelihood, counts, sums, squares, n_pairs
