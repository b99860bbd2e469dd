"""Compiled passes over sparse rows of a conditional maximum-entropy model.

Rows are CSR: data, indices, indptr. Weights and gradients are transposed, (p, width), so that an
entry of a row meets numbers that lie together. Up to 8 logits they are padded with zeros to a
width of 4 or 8, and the sums of a row stay in registers. For other conventions see `_kernels`.
"""

from __future__ import annotations

import numpy as np

from skem._compiled import VECTORISE
from skem._kernel_cache import njit
from skem.maxent.classifier.designs._kernels import softmax

_FUSE = {"contract", "nsz"}
"""Reordered sums would be gathered from memory, which is slower than a sum after another."""


def width(m: int) -> int:
    """Columns of the transposed weights of m logits."""
    return m if m > 8 else 4 if m <= 4 else 8


@njit(nogil=True, cache=True, fastmath=_FUSE)
def _add(W, j, k, x, z0, z1, z2, z3):
    """Return z + x * W[j, k : k + 4]."""
    z0 += x * W[j, k]
    z1 += x * W[j, k + np.uint64(1)]
    z2 += x * W[j, k + np.uint64(2)]
    z3 += x * W[j, k + np.uint64(3)]
    return z0, z1, z2, z3


@njit(nogil=True, cache=True, fastmath=_FUSE)
def _add_to(G, j, k, x, z0, z1, z2, z3):
    """Add x * z to G[j, k : k + 4]."""
    G[j, k] += x * z0
    G[j, k + np.uint64(1)] += x * z1
    G[j, k + np.uint64(2)] += x * z2
    G[j, k + np.uint64(3)] += x * z3


@njit(nogil=True, cache=True, fastmath=_FUSE)
def _logits_4(data, indices, indptr, first, last, W, z, L):
    for i in range(first, last):
        z0 = z1 = z2 = z3 = 0.0
        for a in range(indptr[i], indptr[i + 1]):
            j = np.uint64(indices[a])
            z0, z1, z2, z3 = _add(W, j, np.uint64(0), data[a], z0, z1, z2, z3)
        z[0], z[1], z[2], z[3] = z0, z1, z2, z3
        for k in range(len(L)):
            L[k, i - first] = z[k]


@njit(nogil=True, cache=True, fastmath=_FUSE)
def _logits_8(data, indices, indptr, first, last, W, z, L):
    for i in range(first, last):
        z0 = z1 = z2 = z3 = z4 = z5 = z6 = z7 = 0.0
        for a in range(indptr[i], indptr[i + 1]):
            j, x = np.uint64(indices[a]), data[a]
            z0, z1, z2, z3 = _add(W, j, np.uint64(0), x, z0, z1, z2, z3)
            z4, z5, z6, z7 = _add(W, j, np.uint64(4), x, z4, z5, z6, z7)
        z[0], z[1], z[2], z[3] = z0, z1, z2, z3
        z[4], z[5], z[6], z[7] = z4, z5, z6, z7
        for k in range(len(L)):
            L[k, i - first] = z[k]


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _logits_any(data, indices, indptr, first, last, W, z, L):
    m = W.shape[1]
    for i in range(first, last):
        z[:] = 0
        for a in range(indptr[i], indptr[i + 1]):
            x = data[a]
            j = indices[a]
            for k in range(m):
                z[k] += x * W[j, k]
        for k in range(m):
            L[k, i - first] = z[k]


@njit(nogil=True, cache=True)
def _logits(data, indices, indptr, first, last, W, b, z, L):
    """L (m, last - first) <- logits; z (width,) is for work."""
    if W.shape[1] == 4:
        _logits_4(data, indices, indptr, first, last, W, z, L)
    elif W.shape[1] == 8:
        _logits_8(data, indices, indptr, first, last, W, z, L)
    else:
        _logits_any(data, indices, indptr, first, last, W, z, L)
    for k in range(len(L)):
        L[k] += b[k]


@njit(nogil=True, cache=True, fastmath=_FUSE)
def _pull_4(data, indices, indptr, i, z, G):
    z0, z1, z2, z3 = z[0], z[1], z[2], z[3]
    for a in range(indptr[i], indptr[i + 1]):
        _add_to(G, np.uint64(indices[a]), np.uint64(0), data[a], z0, z1, z2, z3)


@njit(nogil=True, cache=True, fastmath=_FUSE)
def _pull_8(data, indices, indptr, i, z, G):
    z0, z1, z2, z3 = z[0], z[1], z[2], z[3]
    z4, z5, z6, z7 = z[4], z[5], z[6], z[7]
    for a in range(indptr[i], indptr[i + 1]):
        j, x = np.uint64(indices[a]), data[a]
        _add_to(G, j, np.uint64(0), x, z0, z1, z2, z3)
        _add_to(G, j, np.uint64(4), x, z4, z5, z6, z7)


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _pull_any(data, indices, indptr, i, z, G):
    for a in range(indptr[i], indptr[i + 1]):
        x = data[a]
        j = indices[a]
        for k in range(G.shape[1]):
            G[j, k] += x * z[k]


@njit(nogil=True, cache=True)
def _pull(data, indices, indptr, first, last, R, z, G, gb):
    """G (p, width) += R X transposed, gb (m,) += sums of R; z (width,) is for work."""
    z[:] = 0
    for i in range(first, last):
        for k in range(len(R)):
            z[k] = R[k, i - first]
            gb[k] += z[k]
        if G.shape[1] == 4:
            _pull_4(data, indices, indptr, i, z, G)
        elif G.shape[1] == 8:
            _pull_8(data, indices, indptr, i, z, G)
        else:
            _pull_any(data, indices, indptr, i, z, G)


@njit(nogil=True, cache=True)
def sparse_pass(data, indices, indptr, y, weight, W, b, P, reference, B):
    """Sum of the loss, and its gradient for W (p, width) and b (m,)."""
    p, q = W.shape
    n, m = len(indptr) - 1, len(b)
    G, gb, z = np.zeros((p, q)), np.zeros(m), np.empty(q)
    loss = 0.0
    for start in range(0, n, B):
        stop = min(start + B, n)
        L = np.empty((m, stop - start))
        _logits(data, indices, indptr, start, stop, W, b, z, L)
        loss += softmax(L, y, weight, start, P, reference)
        _pull(data, indices, indptr, start, stop, L, z, G, gb)
    return loss, G, gb


@njit(nogil=True, cache=True)
def sparse_pull(data, indices, indptr, R, p, q):
    """R X transposed, of shape (p, q), q the width, and the sums of R over the rows."""
    m, n = R.shape
    G, gb, z = np.zeros((p, q)), np.zeros(m), np.empty(q)
    _pull(data, indices, indptr, 0, n, R, z, G, gb)
    return G, gb


@njit(nogil=True, cache=True)
def sparse_logits(data, indices, indptr, W, b, L):
    """L (m, n) <- logits, with W (p, width)."""
    _logits(data, indices, indptr, 0, len(indptr) - 1, W, b, np.empty(W.shape[1]), L)
