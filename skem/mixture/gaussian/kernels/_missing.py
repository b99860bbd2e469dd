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

from skem._compiled import VECTORISE
from skem._kernel_cache import njit
from skem.mixture._kernels import NEGLIGIBLE, normalise

_LOG_2PI = math.log(2 * math.pi)

LEFT = 1e-15
"""Share of a precision that is left at least once the entries before it are known: of one that is
nearly singular, rounding may leave nothing, or less."""


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
            else:
                s = math.sqrt(max(s, LEFT * precision[missing[a], missing[a]]))
                R[a, a] = 1 / s
                log_det += math.log(s)
    return log_det


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _load(X, start, n_rows, center, scale, Z):
    """Z <- z = (x - center) * scale of the rows, 0 where missing."""
    for i in range(n_rows):
        for a in range(X.shape[1]):
            x = X[start + i, a]
            Z[i, a] = (x - center[a]) * scale[a] if x == x else 0.0


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _differences(Z, mean, missing, E):
    for i in range(Z.shape[0]):
        for a in range(Z.shape[1]):
            E[i, a] = Z[i, a] - mean[a]
        for a in missing:
            E[i, a] = 0


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _complete(precision, R, missing, E, t):
    """e_m <- -P_mm^-1 P_mo e_o for each row e of E; on entry e_m = 0."""
    m = missing.size
    for i in range(E.shape[0]):
        for u in range(m):
            s = 0.0
            for a in range(E.shape[1]):
                s -= precision[missing[u], a] * E[i, a]
            for v in range(u):
                s -= R[u, v] * t[v]
            t[u] = s * R[u, u]
        for u in range(m - 1, -1, -1):
            s = t[u]
            for v in range(u + 1, m):
                s -= R[v, u] * t[v]
            t[u] = s * R[u, u]
            E[i, missing[u]] = t[u]


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
def _log_joint(x, Z, at, constants, means, precisions, log_scale, room, E, L):
    """E and L of rows that share the pattern of x, from place ``at``; without |W e|^2 / 2."""
    entries, R, t = room
    n_missing, jacobian = _entries(x, entries, log_scale)
    missing = entries[:n_missing]
    gained = jacobian + n_missing * _LOG_2PI / 2
    log_det = 0.0
    for j in range(means.shape[0]):
        g = min(j, precisions.shape[0] - 1)
        if g == j:
            log_det = _factor(precisions[g], missing, R)
        own = E[j, at : at + Z.shape[0]]
        _differences(Z, means[j], missing, own)
        _complete(precisions[g], R, missing, own, t)
        L[j, at : at + Z.shape[0]] = constants[j] + gained - log_det


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _subtract_half_square_norms(Y, n_rows, out):
    for i in range(n_rows):
        s = 0.0
        for a in range(Y.shape[1]):
            s += Y[i, a] * Y[i, a]
        out[i] -= s / 2


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
def _covariances(x, precisions, log_scale, room, L, squares):
    """Add what the uncertainty of the missing entries of rows of one pattern gives."""
    entries, R, C = room
    missing = entries[: _entries(x, entries, log_scale)[0]]
    shared = precisions.shape[0] == 1
    factored = False
    for j in range(L.shape[0]):
        count = L[j].sum()
        if count == 0:
            continue
        if not (shared and factored):
            _factor(precisions[0 if shared else j], missing, R)
            factored = True
        _add_covariance(count, R, missing, C, squares[j])


@njit(nogil=True, cache=True)
def _next(edges, pattern, first, stop):
    """Where the rows of the pattern that begin at ``first`` end, and the pattern after them."""
    last = min(edges[pattern + 1], stop)
    return last, pattern + (last == edges[pattern + 1])


@njit(nogil=True, cache=True)
def missing_e_step(
    X, weight, labels, edges, constants, means, factors, precisions, center, scale, log_scale, B
):
    """E step; the sum of the log-likelihood, counts, sums, squares, and the pairs that mattered.

    factors.shape = (k or 1, d, d), transposed: upper triangular W' with W Sigma W' = I.
    """
    k, d = means.shape
    counts, sums, squares = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d))
    E, L, Z = np.zeros((k, B, d)), np.zeros((k, B)), np.empty((B, d))
    Y, D, product = np.empty((B, d)), np.empty((B, d)), np.empty((d, d))
    top, norm, rows = np.empty(B), np.empty(B), np.empty(B, np.int64)
    entries, R, C, t = np.empty(d, np.int64), np.empty((d, d)), np.empty((d, d)), np.empty(d)
    log_likelihood, n_pairs, pattern = 0.0, 0, 0
    for start in range(0, X.shape[0], B):
        stop = min(start + B, X.shape[0])
        n_rows = stop - start
        _load(X, start, n_rows, center, scale, Z)
        first, first_pattern = start, pattern
        while first < stop:
            at, x = first - start, X[first]
            first, pattern = _next(edges, pattern, first, stop)
            own = Z[at : first - start]
            room = entries, R, t
            _log_joint(x, own, at, constants, means, precisions, log_scale, room, E, L)
        for j in range(k):
            np.dot(E[j], factors[min(j, factors.shape[0] - 1)], Y)
            _subtract_half_square_norms(Y, n_rows, L[j])
        log_likelihood += normalise(L, n_rows, weight, labels, start, top, norm)
        for j in range(k):
            n_kept = _keep_what_matters(L[j], n_rows, weight, start, rows)
            n_pairs += n_kept
            if n_kept:
                counts[j] += _moments(E[j], L[j], rows[:n_kept], D, Y, product, sums[j], squares[j])
        first, pattern = start, first_pattern
        while first < stop:
            at, x = first - start, X[first]
            first, pattern = _next(edges, pattern, first, stop)
            own = L[:, at : first - start]
            _covariances(x, precisions, log_scale, (entries, R, C), own, squares)
    for j in range(k):
        for a in range(d):
            for b in range(a):
                squares[j, b, a] = squares[j, a, b]
    return log_likelihood, counts, sums, squares, n_pairs
