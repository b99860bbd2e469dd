"""Compiled E steps of mixtures, on one block of rows at a time.

Every mixture here is an exponential family: the log-density of a row under component k is linear
in features of the row, log p(x|k) = theta_k . f(x), and the expected statistics are the weighted
sums S_k = sum_i r_ik f(x_i). With the features of B rows as the rows of a matrix F, both steps
are matrix products, L = theta F' and S += R F. Two kernels build the features of
z = (x - center) * scale: `row_e_step` those that are as few as the columns, row by row, and
`product_e_step` those that are all products of two columns, a panel of them at a time.

Conventions:
    X.shape = (n, d)                     rows of the block, C-contiguous
    L.shape = R.shape = (k, B)           log joint densities, then responsibilities
    weight.shape = (n,) or (0,)          weights of the rows; empty is all ones
    labels.shape = (n,) or (0,)          known components, -1 unknown; empty is all unknown

Where work is done on each row alone, rows run along the last axis, so that it vectorises over
them. Log-likelihoods and statistics are summed in float64.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from skem._compiled import VECTORISE, exp
from skem.mixture._kernels_content import BINARY_MASKED, PLAIN, SQUARED_NORM, SQUARES


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _normalise(L, n_rows, weight, labels, start, top, norm):
    """L <- responsibilities x weight, in place; return the sum of weight x log p(row)."""
    k, B = L.shape
    for i in range(B):
        top[i] = L[0, i]
        norm[i] = 0
    for j in range(1, k):
        for i in range(B):
            top[i] = max(top[i], L[j, i])
    if labels.size:
        for i in range(n_rows):
            if labels[start + i] >= 0:
                top[i] = L[labels[start + i], i]
                for j in range(k):
                    L[j, i] = top[i] - 1e4
                L[labels[start + i], i] = top[i]
    for j in range(k):
        for i in range(B):
            L[j, i] = exp(L[j, i] - top[i])
            norm[i] += L[j, i]
    log_likelihood = 0.0
    if weight.size:
        for i in range(n_rows):
            w = weight[start + i]
            log_likelihood += w * (np.float64(top[i]) + math.log(norm[i]))
            norm[i] = w / norm[i]
    else:
        for i in range(n_rows):
            log_likelihood += np.float64(top[i]) + math.log(norm[i])
            norm[i] = 1 / norm[i]
    for i in range(n_rows, B):
        norm[i] = 0
    for j in range(k):
        for i in range(B):
            L[j, i] *= norm[i]
    return log_likelihood


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _load_features(X, start, n_rows, center, scale, content, F):
    """F[:n_rows, 1:] <- features of the rows."""
    d = X.shape[1]
    if content <= SQUARES:
        for i in range(n_rows):
            for j in range(d):
                F[i, 1 + j] = (X[start + i, j] - center[j]) * scale[j]
    if content == SQUARES:
        for i in range(n_rows):
            for j in range(d):
                F[i, 1 + d + j] = F[i, 1 + j] * F[i, 1 + j]
    elif content == SQUARED_NORM:
        for i in range(n_rows):
            norm = 0.0
            for j in range(d):
                norm += F[i, 1 + j] * F[i, 1 + j]
            F[i, 1 + d] = norm
    elif content != PLAIN:
        for i in range(n_rows):
            for j in range(d):
                F[i, 1 + j] = X[start + i, j] > center[j]
        if content == BINARY_MASKED:
            for i in range(n_rows):
                for j in range(d):
                    F[i, 1 + d + j] = X[start + i, j] == X[start + i, j]


@njit(nogil=True, cache=True)
def row_e_step(X, weight, labels, theta, center, scale, content, B):
    """E step: the sum of the log-likelihood, and S of shape (k, m) as theta has it."""
    k, m = theta.shape
    n = X.shape[0]
    F = np.zeros((B, m), theta.dtype)
    F[:, 0] = 1
    L = np.empty((k, B), theta.dtype)
    top = np.empty(B, theta.dtype)
    norm = np.empty(B, theta.dtype)
    product = np.empty((k, m), theta.dtype)
    S = np.zeros((k, m))
    log_likelihood = 0.0
    for start in range(0, n, B):
        n_rows = min(B, n - start)
        _load_features(X, start, n_rows, center, scale, content, F)
        np.dot(theta, F.T, L)
        log_likelihood += _normalise(L, n_rows, weight, labels, start, top, norm)
        np.dot(L, F, product)
        for j in range(k):
            for f in range(m):
                S[j, f] += product[j, f]
    return log_likelihood, S


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _load(X, start, n_rows, center, scale, Z):
    """Z[1:, :n_rows] <- z of the rows, Z[0] stays; what is left of Z is zero."""
    for first in range(0, n_rows, 16):  # a transpose: 16 rows at a time stay in the cache
        last = min(first + 16, n_rows)
        for j in range(X.shape[1]):
            for i in range(first, last):
                Z[1 + j, i] = (X[start + i, j] - center[j]) * scale[j]
    if n_rows < Z.shape[1]:
        Z[1:, n_rows:] = 0


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _products(Z, pairs, F):
    for f in range(F.shape[0]):
        a, b = pairs[f, 0], pairs[f, 1]
        for i in range(F.shape[1]):
            F[f, i] = Z[a, i] * Z[b, i]


@njit(nogil=True, cache=True)
def product_e_step(X, weight, labels, theta, pairs, center, scale, B):
    """E step with products of two entries of (1, z) as features, in panels.

    Feature f of a panel is z[pairs[f, 0]] * z[pairs[f, 1]]; pairs.shape = (n_panels, m, 2), and
    theta and S have shape (n_panels, k, m). A panel stays in the cache between its construction
    and its product, and is built again for the statistics: cheaper than to keep all features.
    """
    n_panels, k, m = theta.shape
    n, d = X.shape
    Z = np.empty((d + 1, B), theta.dtype)
    Z[0, :] = 1
    F = np.empty((m, B), theta.dtype)
    L = np.empty((k, B), theta.dtype)
    part = np.empty((k, B), theta.dtype)
    top = np.empty(B, theta.dtype)
    norm = np.empty(B, theta.dtype)
    product = np.empty((k, m), theta.dtype)
    S = np.zeros((n_panels, k, m))
    log_likelihood = 0.0
    for start in range(0, n, B):
        n_rows = min(B, n - start)
        _load(X, start, n_rows, center, scale, Z)
        _products(Z, pairs[0], F)
        np.dot(theta[0], F, L)
        for panel in range(1, n_panels):
            _products(Z, pairs[panel], F)
            np.dot(theta[panel], F, part)
            for j in range(k):
                for i in range(B):
                    L[j, i] += part[j, i]
        log_likelihood += _normalise(L, n_rows, weight, labels, start, top, norm)
        for panel in range(n_panels - 1, -1, -1):
            if panel < n_panels - 1:
                _products(Z, pairs[panel], F)
            np.dot(L, F.T, product)
            for j in range(k):
                for f in range(m):
                    S[panel, j, f] += product[j, f]
    return log_likelihood, S


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _differences(Z, mean, D):
    for j in range(D.shape[0]):
        for i in range(D.shape[1]):
            D[j, i] = Z[1 + j, i] - mean[j]


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _half_square_norms(Y, constant, out):
    for i in range(Y.shape[1]):
        out[i] = 0
    for j in range(Y.shape[0]):
        for i in range(Y.shape[1]):
            out[i] += Y[j, i] * Y[j, i]
    for i in range(Y.shape[1]):
        out[i] = constant - out[i] / 2


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _sums(D, r, sums, RD):
    """RD <- r x D; add to the count and to the sums; return the count."""
    for j in range(D.shape[0]):
        total = 0.0
        for i in range(D.shape[1]):
            RD[j, i] = r[i] * D[j, i]
            total += RD[j, i]
        sums[j] += total
    count = 0.0
    for i in range(D.shape[1]):
        count += r[i]
    return count


@njit(nogil=True, cache=True)
def centred_e_step(X, weight, labels, log_constant, means, factors, center, scale, B):
    """E step of a Gaussian mixture by differences from the means, which loses no digits.

    factors.shape = (k or 1, d, d), lower triangular W with W Sigma W' = I: log p(x|k) =
    log_constant_k - |W_k (x - mu_k)|^2 / 2. The moments are those about the means.
    """
    k, d = means.shape
    n = X.shape[0]
    Z = np.empty((d + 1, B), means.dtype)
    Z[0, :] = 1
    D = np.empty((d, B), means.dtype)
    Y = np.empty((d, B), means.dtype)
    L = np.empty((k, B), means.dtype)
    top = np.empty(B, means.dtype)
    norm = np.empty(B, means.dtype)
    product = np.empty((d, d), means.dtype)
    counts = np.zeros(k)
    sums = np.zeros((k, d))
    squares = np.zeros((k, d, d))
    log_likelihood = 0.0
    for start in range(0, n, B):
        n_rows = min(B, n - start)
        _load(X, start, n_rows, center, scale, Z)
        for j in range(k):
            _differences(Z, means[j], D)
            np.dot(factors[min(j, factors.shape[0] - 1)], D, Y)
            _half_square_norms(Y, log_constant[j], L[j])
        log_likelihood += _normalise(L, n_rows, weight, labels, start, top, norm)
        for j in range(k):
            _differences(Z, means[j], D)
            counts[j] += _sums(D, L[j], sums[j], Y)
            np.dot(Y, D.T, product)
            for a in range(d):
                for b in range(d):
                    squares[j, a, b] += product[a, b]
    return log_likelihood, counts, sums, squares


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def centred_diagonal_e_step(X, weight, labels, log_constant, means, factors, center, scale, B):
    """As `centred_e_step`, with diagonal covariances: factors.shape = (k or 1, d), 1 / sigma."""
    k, d = means.shape
    n = X.shape[0]
    Z = np.empty((d + 1, B), means.dtype)
    Z[0, :] = 1
    L = np.empty((k, B), means.dtype)
    top = np.empty(B, means.dtype)
    norm = np.empty(B, means.dtype)
    counts = np.zeros(k)
    sums = np.zeros((k, d))
    squares = np.zeros((k, d))
    log_likelihood = 0.0
    for start in range(0, n, B):
        n_rows = min(B, n - start)
        _load(X, start, n_rows, center, scale, Z)
        for j in range(k):
            for i in range(B):
                L[j, i] = log_constant[j]
            for a in range(d):
                mean, factor = means[j, a], factors[min(j, factors.shape[0] - 1), a]
                for i in range(B):
                    y = (Z[1 + a, i] - mean) * factor
                    L[j, i] -= y * y / 2
        log_likelihood += _normalise(L, n_rows, weight, labels, start, top, norm)
        for j in range(k):
            count = 0.0
            for i in range(B):
                count += L[j, i]
            counts[j] += count
            for a in range(d):
                mean = means[j, a]
                first, second = 0.0, 0.0
                for i in range(B):
                    y = Z[1 + a, i] - mean
                    first += L[j, i] * y
                    second += L[j, i] * y * y
                sums[j, a] += first
                squares[j, a] += second
    return log_likelihood, counts, sums, squares
