"""Compiled passes over the rows of a conditional maximum-entropy model.

A pass goes from the weights to the loss, its gradient and the class probabilities, and touches
each row once: the logits of a few rows, their softmax, and what they add to the gradient while
they are in the cache.

Conventions:
    X.shape = (n, p)                 rows
    W.shape = (m, p), b.shape = (m,) weights and intercepts of the m logits of a row
    y.shape = (n,)                   classes, 0 ... K - 1
    weight.shape = (n,) or (0,)      weights of the rows; empty is all ones
    P.shape = (m, n)                 probabilities of the classes that have a logit
    reference = 1                    class 0 has no logit, its logit is zero (two classes); else 0

Loops over rows run along the last axis, so that they vectorise.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from skem._compiled import VECTORISE, exp
from skem._kernel_cache import njit

FACTORS = 16
"""Norms that are multiplied before one logarithm is taken. Each is at most the number of logits
plus one, so that their product cannot overflow."""


def _chunk(X, start, stop, buffer):
    """Rows start ... stop in float64, C-contiguous: X's own where it is so, else a copy."""
    raise NotImplementedError


@overload(_chunk, inline="never")
def _chunk_overload(X, start, stop, buffer):
    if X.dtype == types.float64 and X.layout == "C":
        return lambda X, start, stop, buffer: X[start:stop]

    def copy(X, start, stop, buffer):
        for i in range(start, stop):
            for j in range(X.shape[1]):
                buffer[i - start, j] = X[i, j]
        return buffer[: stop - start]

    return copy


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def softmax(L, y, weight, start, P, reference):
    """Logits L (m, B) to weight x (p - 1[y]), in place; probabilities into P; return the loss."""
    m, B = L.shape
    top, norm = np.zeros(B), np.zeros(B)
    if not reference:
        top[:] = L[0]
    for k in range(m):
        for i in range(B):
            top[i] = max(top[i], L[k, i])
    if reference:
        for i in range(B):
            norm[i] = exp(-top[i])
    loss = 0.0
    for i in range(B):
        k = y[start + i] - reference
        own = L[k, i] if k >= 0 else 0.0
        loss += (top[i] - own) * (weight[start + i] if weight.size else 1.0)
    for k in range(m):
        for i in range(B):
            L[k, i] = exp(L[k, i] - top[i])
            norm[i] += L[k, i]
    if weight.size:
        for i in range(B):
            loss += math.log(norm[i]) * weight[start + i]
    else:  # see `FACTORS`
        for first in range(0, B, FACTORS):
            product = 1.0
            for i in range(first, min(first + FACTORS, B)):
                product *= norm[i]
            loss += math.log(product)
    for i in range(B):
        norm[i] = 1 / norm[i]
    for k in range(m):
        for i in range(B):
            L[k, i] *= norm[i]
            P[k, start + i] = L[k, i]
    for i in range(B):
        k = y[start + i] - reference
        if k >= 0:
            L[k, i] -= 1.0
    if weight.size:
        for k in range(m):
            for i in range(B):
                L[k, i] *= weight[start + i]
    return loss


@njit(nogil=True, cache=True)
def dense_pass(X, y, weight, W, b, P, reference, B):
    """Sum of the loss, and its gradient for W (m, p) and b (m,)."""
    m, p = W.shape
    n = X.shape[0]
    G, gb = np.zeros((m, p)), np.zeros(m)
    buffer = np.empty((B, p))
    loss = 0.0
    for start in range(0, n, B):
        rows = _chunk(X, start, min(start + B, n), buffer)
        L = np.dot(W, rows.T)
        for k in range(m):
            L[k] += b[k]
        loss += softmax(L, y, weight, start, P, reference)
        G += np.dot(L, rows)
        for k in range(m):
            gb[k] += L[k].sum()
    return loss, G, gb


@njit(nogil=True, cache=True)
def dense_pull(X, R, B):
    """R X of shape (m, p), and the sums of R over the rows."""
    m, n = R.shape
    p = X.shape[1]
    G, gb = np.zeros((m, p)), np.zeros(m)
    buffer = np.empty((B, p))
    for start in range(0, n, B):
        stop = min(start + B, n)
        part = np.ascontiguousarray(R[:, start:stop])
        G += np.dot(part, _chunk(X, start, stop, buffer))
        for k in range(m):
            gb[k] += part[k].sum()
    return G, gb


@njit(nogil=True, cache=True)
def dense_logits(X, W, b, L, B):
    """L (m, n) <- W X' + b."""
    buffer = np.empty((B, X.shape[1]))
    for start in range(0, X.shape[0], B):
        stop = min(start + B, X.shape[0])
        L[:, start:stop] = np.dot(W, _chunk(X, start, stop, buffer).T)
        for k in range(L.shape[0]):
            L[k, start:stop] += b[k]


@njit(nogil=True, cache=True)
def dense_moments(X, D, B):
    """D X and D X**2 of shape (m, p): weighted sums of the columns and of their squares."""
    m, n = D.shape
    p = X.shape[1]
    first, second = np.zeros((m, p)), np.zeros((m, p))
    buffer = np.empty((B, p))
    for start in range(0, n, B):
        stop = min(start + B, n)
        rows = _chunk(X, start, stop, buffer)
        part = np.ascontiguousarray(D[:, start:stop])
        first += np.dot(part, rows)
        second += np.dot(part, rows * rows)
    return first, second


@njit(nogil=True, cache=True)
def dense_leverages(X, D, mean, inverse, out, B):
    """out_i <- sum_k D_ki |x_i - mean_k|^2 in the metric of the diagonals inverse (m, p)."""
    m, n = D.shape
    buffer = np.empty((B, X.shape[1]))
    linear = mean * inverse
    constant = (mean * linear).sum(1)
    for start in range(0, n, B):
        stop = min(start + B, n)
        rows = _chunk(X, start, stop, buffer)
        N = np.dot(inverse, (rows * rows).T) - 2 * np.dot(linear, rows.T)
        for i in range(start, stop):
            out[i] = 0
            for k in range(m):
                out[i] += D[k, i] * max(N[k, i - start] + constant[k], 0.0)


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def subtract_share(q, along, direction, product, known):
    """Take (share - known) direction from q, where share = along'q / product; return it."""
    share = 0.0
    for i in range(len(q)):
        share += along[i] * q[i]
    share /= product
    for i in range(len(q)):
        q[i] -= (share - known) * direction[i]
    return share
