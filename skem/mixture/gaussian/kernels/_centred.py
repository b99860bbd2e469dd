"""Compiled E steps of Gaussian mixtures by differences from the means, which lose no digits.

With a lower triangular W_k, W_k Sigma_k W_k' = I, and y = W_k (x - mu_k),

    log p(x, k) = c_k - |y|^2 / 2,

and the first entries of y need the first columns alone. So the quadratic form is summed over
panels of W, from the top: what has been summed so far bounds log p(x, k) from above. A component
stops for a row as soon as that bound is `cut` nats below the log joint density of a component that
is known for that row: what it could add to any sum is below rounding. Most rows belong to few
components, so most of the work is never done. For each row the component of the highest bound is
finished first, until no bound is higher than what is known.

Conventions, beside those of `_kernels`:
    Z.shape = (B, d)             rows of a part of the block, z = (x - center) * scale
    edges.shape = (n_panels + 1,)    panel l holds the rows edges[l]:edges[l + 1] of W
    panels.shape = (k or 1, size)    of each component the transposed panels, (edges[l + 1], height)
                                 each, one after the other: `_e_step.lay_panels`
    upper.shape = (k, B)         bounds of log p(x, k), -inf once known or given up
    L.shape = (k, B)             log p(x, k) where it is known, else -inf; then responsibilities
The moments are those about the means.
"""

from __future__ import annotations

import numpy as np

from skem._compiled import VECTORISE
from skem._kernel_cache import njit
from skem.mixture._kernels import load_columns, normalise

GATHER = 128
"""Rows that are gathered at a time: they and their products stay in the first-level cache."""

ROUNDS = 4
"""How often at most the component of the highest bound is finished, row by row; then all are."""


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _load_rows(X, start, n_rows, center, scale, Z):
    for i in range(n_rows):
        for j in range(X.shape[1]):
            Z[i, j] = (X[start + i, j] - center[j]) * scale[j]


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _differences(columns, mean, D):
    for j in range(D.shape[0]):
        for i in range(D.shape[1]):
            D[j, i] = columns[j, i] - mean[j]


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
def _gather(Z, rows, mean, D):
    for t in range(rows.size):
        i = rows[t]
        for c in range(D.shape[1]):
            D[t, c] = Z[i, c] - mean[c]


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _subtract_half_square_norms(Y, rows, out):
    for t in range(rows.size):
        norm = Y.dtype.type(0)
        for c in range(Y.shape[1]):
            norm += Y[t, c] * Y[t, c]
        out[rows[t]] -= norm / 2


@njit(nogil=True, cache=True)
def _finish(Z, rows, mean, panels, edges, upper, known, cut, D, Y, out):
    """Sum what is left of one component for the rows; write log p(x, k) of those that stay.

    ``known[i]`` is the highest log joint density that row i has so far, and is kept up to date.
    """
    n_left = rows.size
    offset = edges[1] * edges[1]
    for level in range(1, edges.size - 1):
        first, last = edges[level], edges[level + 1]
        width = last - first
        panel = panels[offset : offset + width * last].reshape(last, width)
        offset += width * last
        for start in range(0, n_left, GATHER):
            part = rows[start : min(start + GATHER, n_left)]
            differences = D[: part.size * last].reshape(part.size, last)
            _gather(Z, part, mean[:last], differences)
            product = Y[: part.size * width].reshape(part.size, width)
            np.dot(differences, panel, product)
            _subtract_half_square_norms(product, part, upper)
        n_kept = 0
        for t in range(n_left):
            i = rows[t]
            if upper[i] > known[i] - cut:
                rows[n_kept] = i
                n_kept += 1
            else:
                upper[i] = -np.inf
        n_left = n_kept
    for t in range(n_left):
        i = rows[t]
        out[i] = upper[i]
        known[i] = max(known[i], upper[i])
        upper[i] = -np.inf


@njit(nogil=True, cache=True)
def _first_panels(columns, log_constant, means, panels, height, D, Y, upper):
    """Upper bounds out of the first panel of each component, for all rows."""
    for j in range(means.shape[0]):
        panel = panels[min(j, panels.shape[0] - 1), : height * height].reshape(height, height)
        _differences(columns, means[j, :height], D)
        np.dot(panel.T, D, Y)
        _half_square_norms(Y, log_constant[j], upper[j])


@njit(nogil=True, cache=True)
def _highest(upper, value, which):
    for i in range(upper.shape[1]):
        value[i] = upper[0, i]
        which[i] = 0
    for j in range(1, upper.shape[0]):
        for i in range(upper.shape[1]):
            if upper[j, i] > value[i]:
                value[i] = upper[j, i]
                which[i] = j


@njit(nogil=True, cache=True)
def _group(upper, known, n_rows, top, which, rows, edges):
    """Rows whose highest bound is above what they know, sorted by its component; how many."""
    _highest(upper, top, which)
    edges[:] = 0
    for i in range(n_rows):
        if top[i] > known[i]:
            edges[which[i] + 1] += 1
    for j in range(1, edges.size):
        edges[j] += edges[j - 1]
    n_grouped = edges[-1]
    for i in range(n_rows - 1, -1, -1):
        if top[i] > known[i]:
            edges[which[i] + 1] -= 1
            rows[edges[which[i] + 1]] = i
    for j in range(edges.size - 1):
        edges[j] = edges[j + 1]
    edges[-1] = n_grouped
    return n_grouped


@njit(nogil=True, cache=True)
def _keep_labelled(upper, n_rows, labels, start):
    """A labelled row has one component, and no bound for the others."""
    for i in range(n_rows):
        label = labels[start + i]
        if label >= 0:
            own = upper[label, i]
            upper[:, i] = -np.inf
            upper[label, i] = own


@njit(nogil=True, cache=True)
def _log_joint(Z, n_rows, means, panels, edges, upper, L, cut, D, Y):
    """L <- log p(x, k) of every row and component that matters, out of the first bounds."""
    k, B = upper.shape
    L[:] = -np.inf
    known = np.full(B, -np.inf, upper.dtype)
    top = np.empty(B, upper.dtype)
    which = np.empty(B, np.int64)
    rows = np.empty(B, np.int64)
    groups = np.empty(k + 1, np.int64)
    for _ in range(ROUNDS):
        if _group(upper, known, n_rows, top, which, rows, groups) == 0:
            break
        for j in range(k):
            own = rows[groups[j] : groups[j + 1]]
            if own.size:
                panel = panels[min(j, panels.shape[0] - 1)]
                _finish(Z, own, means[j], panel, edges, upper[j], known, cut, D, Y, L[j])
    for j in range(k):
        n_left = 0
        for i in range(n_rows):
            if upper[j, i] > known[i] - cut:
                rows[n_left] = i
                n_left += 1
        if n_left:
            panel = panels[min(j, panels.shape[0] - 1)]
            _finish(Z, rows[:n_left], means[j], panel, edges, upper[j], known, cut, D, Y, L[j])


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _weighted(D, rows, r, sums, RD):
    """RD <- r x D; add to the sums; return the count."""
    count = 0.0
    for t in range(rows.size):
        w = r[rows[t]]
        count += w
        for c in range(D.shape[1]):
            RD[t, c] = w * D[t, c]
            sums[c] += RD[t, c]
    return count


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _add(product, squares):
    for a in range(product.shape[0]):
        for b in range(product.shape[1]):
            squares[a, b] += product[a, b]


@njit(nogil=True, cache=True)
def _moments(Z, rows, r, mean, D, RD, product, counts, sums, squares):
    """Add the moments of one component about its mean, from the rows that belong to it."""
    d = mean.size
    for start in range(0, rows.size, GATHER):
        part = rows[start : min(start + GATHER, rows.size)]
        differences = D[: part.size * d].reshape(part.size, d)
        weighted = RD[: part.size * d].reshape(part.size, d)
        _gather(Z, part, mean, differences)
        counts[0] += _weighted(differences, part, r, sums, weighted)
        np.dot(weighted.T, differences, product)
        _add(product, squares)


@njit(nogil=True, cache=True)
def centred_e_step(X, weight, labels, log_constant, means, panels, edges, center, scale, B, cut):
    """E step; the sum of the log-likelihood, counts, sums, squares, and the pairs that mattered."""
    k, d = means.shape
    height = edges[1]
    Z = np.zeros((B, d), means.dtype)
    columns = np.zeros((height + 1, B), means.dtype)
    upper = np.empty((k, B), means.dtype)
    L = np.empty((k, B), means.dtype)
    first_D = np.empty((height, B), means.dtype)
    first_Y = np.empty((height, B), means.dtype)
    D = np.empty(GATHER * d, means.dtype)
    Y = np.empty(GATHER * d, means.dtype)
    top = np.empty(B, means.dtype)
    norm = np.empty(B, means.dtype)
    rows = np.empty(B, np.int64)
    product = np.empty((d, d), means.dtype)
    counts = np.zeros(k)
    sums = np.zeros((k, d))
    squares = np.zeros((k, d, d))
    log_likelihood = 0.0
    n_pairs = 0.0
    for start in range(0, X.shape[0], B):
        n_rows = min(B, X.shape[0] - start)
        _load_rows(X, start, n_rows, center, scale, Z)
        load_columns(X, start, n_rows, center[:height], scale[:height], columns)
        if edges.size == 2:
            _first_panels(columns[1:], log_constant, means, panels, height, first_D, first_Y, L)
        else:
            _first_panels(columns[1:], log_constant, means, panels, height, first_D, first_Y, upper)
            if labels.size:
                _keep_labelled(upper, n_rows, labels, start)
            _log_joint(Z, n_rows, means, panels, edges, upper, L, cut, D, Y)
        log_likelihood += normalise(L, n_rows, weight, labels, start, top, norm)
        for j in range(k):
            n_left = 0
            for i in range(n_rows):
                if L[j, i] > 0:
                    rows[n_left] = i
                    n_left += 1
            n_pairs += n_left
            _moments(
                Z, rows[:n_left], L[j], means[j], D, Y, product, counts[j:], sums[j], squares[j]
            )
    return log_likelihood, counts, sums, squares, n_pairs
