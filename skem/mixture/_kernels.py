"""Compiled E steps of mixtures, on one block of rows at a time.

Every mixture here is an exponential family: the log-density of a row under component k is linear
in features of the row, log p(x|k) = theta_k . f(x), and the expected statistics are the weighted
sums S_k = sum_i r_ik f(x_i). With the features of B rows as the rows of a matrix F, both steps
are matrix products, L = theta F' and S += R F. Two kernels build the features of
z = (x - center) * scale: `row_e_step` those that are as few as the columns, row by row, and
`product_e_step` those that are all products of two columns, a panel of them at a time. A third,
`whitened_e_step`, is for one full covariance that all components share.

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

from skem._compiled import VECTORISE, exp
from skem._kernel_cache import njit
from skem.mixture._kernels_content import BINARY_MASKED, PLAIN, SQUARED_NORM, SQUARES

CUT = 43.0
"""A component so many nats below another does not matter to a row.

exp(-43) = 2e-19: what a thousand such components add to a sum is below the rounding of float64.
"""

NEGLIGIBLE = math.exp(-CUT)
"""Responsibility of such a component."""

TRANSPOSED = 16
"""Rows that are transposed at a time: they, and what they become, stay in the cache."""

OTHER = 1e4
"""Nats by which the components that are not the label of a row are below it: exp is zero there."""


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def normalise(L, n_rows, weight, labels, start, top, norm):
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
                    L[j, i] = top[i] - OTHER
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
        log_likelihood += normalise(L, n_rows, weight, labels, start, top, norm)
        np.dot(L, F, product)
        for j in range(k):
            for f in range(m):
                S[j, f] += product[j, f]
    return log_likelihood, S


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def load_columns(X, start, n_rows, center, scale, Z):
    """Z[1:, :n_rows] <- z of the rows, Z[0] stays; what is left of Z is zero."""
    for first in range(0, n_rows, TRANSPOSED):
        last = min(first + TRANSPOSED, n_rows)
        for j in range(center.size):
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
def _count_pairs(R, n_rows, norm):
    """Components that matter to the rows, out of responsibilities and what they were scaled by."""
    n_pairs = 0
    for j in range(R.shape[0]):
        for i in range(n_rows):
            n_pairs += R[j, i] > NEGLIGIBLE * norm[i]
    return n_pairs


@njit(nogil=True, cache=True)
def product_e_step(X, weight, labels, theta, pairs, center, scale, B):
    """E step with products of two entries of (1, z) as features, in panels.

    Returns the sum of the log-likelihood, S, and how many pairs of row and component matter.

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
    n_pairs = 0
    for start in range(0, n, B):
        n_rows = min(B, n - start)
        load_columns(X, start, n_rows, center, scale, Z)
        _products(Z, pairs[0], F)
        np.dot(theta[0], F, L)
        for panel in range(1, n_panels):
            _products(Z, pairs[panel], F)
            np.dot(theta[panel], F, part)
            for j in range(k):
                for i in range(B):
                    L[j, i] += part[j, i]
        log_likelihood += normalise(L, n_rows, weight, labels, start, top, norm)
        n_pairs += _count_pairs(L, n_rows, norm)
        for panel in range(n_panels - 1, -1, -1):
            if panel < n_panels - 1:
                _products(Z, pairs[panel], F)
            np.dot(L, F.T, product)
            for j in range(k):
                for f in range(m):
                    S[panel, j, f] += product[j, f]
    return log_likelihood, S, n_pairs


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _half_square_norms(U, n_rows, weight, start):
    """Sum of weight x |u|^2 / 2."""
    total = 0.0
    for i in range(n_rows):
        norm = 0.0
        for a in range(U.shape[1]):
            norm += np.float64(U[i, a]) * U[i, a]
        total += norm * (weight[start + i] if weight.size else 1.0)
    return total / 2


@njit(nogil=True, cache=True)
def whitened_e_step(X, weight, labels, theta, factor, center, scale, B):
    """E step with one full covariance: theta in the features (1, u), u = W z, W lower triangular.

    factor is W' (d, d). What all components have of |u|^2 / 2 is taken off the log-likelihood;
    S are the sums of (1, z).
    """
    k, m = theta.shape
    n = X.shape[0]
    F = np.zeros((B, m), theta.dtype)
    F[:, 0] = 1
    Z = np.zeros((B, m - 1), theta.dtype)
    U = np.empty((B, m - 1), theta.dtype)
    L = np.empty((k, B), theta.dtype)
    top = np.empty(B, theta.dtype)
    norm = np.empty(B, theta.dtype)
    product = np.empty((k, m), theta.dtype)
    S = np.zeros((k, m))
    log_likelihood = 0.0
    for start in range(0, n, B):
        n_rows = min(B, n - start)
        _load_features(X, start, n_rows, center, scale, PLAIN, F)
        Z[:n_rows] = F[:n_rows, 1:]
        np.dot(Z, factor, U)
        log_likelihood -= _half_square_norms(U, n_rows, weight, start)
        F[:, 1:] = U
        np.dot(theta, F.T, L)
        log_likelihood += normalise(L, n_rows, weight, labels, start, top, norm)
        F[:, 1:] = Z
        np.dot(L, F, product)
        for j in range(k):
            for f in range(m):
                S[j, f] += product[j, f]
    return log_likelihood, S
