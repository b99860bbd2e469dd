"""Compiled passes over sparse counts for models of topics.

Each pass takes the documents one by one: the rows of the topics that its words have are met once
or, where a document is gone over several times, gathered first. Nothing has the size of all
entries x topics.

Conventions:
    data, indices, indptr    counts as CSR, (n, p)
    phi.shape = (p, k)       p(w|z), or what stands for it: numbers of a word lie together
    theta.shape = (n, k)     p(z|d)
    weight.shape = (n,) or (0,)   weights of the documents; empty is all ones

Log-likelihoods are summed in float64, whatever the dtype of phi and theta.
"""

from __future__ import annotations

import numpy as np

from skem._compiled import VECTORISE, log
from skem._kernel_cache import njit
from skem.topics import _limits

least = njit(nogil=True)(_limits.least)

NEWTON_STEPS, NEWTON_TOL = 200, 1e-14
"""Maximum number of steps of `maximize_row`, and how far the sum may remain from one. Newton's
method is monotone here and takes few steps: the maximum matters only if rounding prevents an end.
"""


@njit(nogil=True, cache=True, fastmath=VECTORISE, error_model="numpy")
def log_likelihood(counts, mixed):
    """Sum of counts x log(mixed) over a document; -inf where a count has no chance."""
    total = 0.0
    for a in range(len(counts)):
        total += counts[a] * log(mixed[a])
    for a in range(len(counts)):
        if mixed[a] <= 0 and counts[a] > 0:
            return -np.inf
    return total


@njit(inline="always", fastmath=VECTORISE, error_model="numpy")
def dot(t, row):
    """Sum of t x row."""
    s = row.dtype.type(0)
    for z in range(len(t)):
        s += t[z] * row[z]
    return s


@njit(inline="always", fastmath=VECTORISE, error_model="numpy")
def dots(t, a, b, c, d):
    """The same with four rows: t is loaded once, and their sums do not wait for each other."""
    s = u = v = w = a.dtype.type(0)
    for z in range(len(t)):
        s += t[z] * a[z]
        u += t[z] * b[z]
        v += t[z] * c[z]
        w += t[z] * d[z]
    return s, u, v, w


@njit(inline="always", fastmath=VECTORISE, error_model="numpy")
def add(out, r, row):
    """Add r x row to out."""
    for z in range(len(out)):
        out[z] += r * row[z]


@njit(inline="always", fastmath=VECTORISE, error_model="numpy")
def add_rows(out, ra, a, rb, b, rc, c, rd, d):
    """The same with four rows."""
    for z in range(len(out)):
        out[z] += ra * a[z] + rb * b[z] + rc * c[z] + rd * d[z]


@njit(inline="always", fastmath=VECTORISE, error_model="numpy")
def _ratio(x, s, low):
    """Count over probability; 0 for a word that no topic of the document has (or hardly one)."""
    return x / s if s > low else 0 * s


@njit(nogil=True, cache=True, fastmath=VECTORISE, error_model="numpy")
def mix(data, indices, phi, t, own, mixed, low):
    """Own <- sum of count / p(w|d) x phi over the words of a document, mixed <- p(w|d).

    Words whose p(w|d) is at most ``low`` are left out of the sum.
    """
    own[:] = 0
    a, m = 0, len(indices)
    while a + 3 < m:
        p0, p1 = phi[np.uint64(indices[a])], phi[np.uint64(indices[a + 1])]
        p2, p3 = phi[np.uint64(indices[a + 2])], phi[np.uint64(indices[a + 3])]
        s0, s1, s2, s3 = dots(t, p0, p1, p2, p3)
        mixed[a], mixed[a + 1], mixed[a + 2], mixed[a + 3] = s0, s1, s2, s3
        r0, r1 = _ratio(data[a], s0, low), _ratio(data[a + 1], s1, low)
        r2, r3 = _ratio(data[a + 2], s2, low), _ratio(data[a + 3], s3, low)
        add_rows(own, r0, p0, r1, p1, r2, p2, r3, p3)
        a += 4
    while a < m:
        row = phi[np.uint64(indices[a])]
        s = dot(t, row)
        mixed[a] = s
        add(own, _ratio(data[a], s, low), row)
        a += 1


@njit(nogil=True, cache=True, fastmath=VECTORISE, error_model="numpy")
def spread(data, indices, t, w, mixed, words):
    """Add w x count / p(w|d) x t to the row of each word of a document."""
    kind = t.dtype.type
    for a in range(len(indices)):
        r = _ratio(w * data[a], mixed[a], 0)
        add(words[np.uint64(indices[a])], kind(r), t)


@njit(nogil=True, cache=True, error_model="numpy")
def longest(indptr):
    """Entries of the longest row."""
    most = 0
    for i in range(len(indptr) - 1):
        most = max(most, indptr[i + 1] - indptr[i])
    return most


@njit(nogil=True, cache=True, fastmath=VECTORISE, error_model="numpy")
def mix_and_spread(data, indices, phi, t, own, mixed, w, words):
    """`mix` and `spread` in one: rows of phi and of words come from memory side by side."""
    kind = t.dtype.type
    own[:] = 0
    a, m = 0, len(indices)
    while a + 3 < m:
        j0, j1 = np.uint64(indices[a]), np.uint64(indices[a + 1])
        j2, j3 = np.uint64(indices[a + 2]), np.uint64(indices[a + 3])
        p0, p1, p2, p3 = phi[j0], phi[j1], phi[j2], phi[j3]
        s0, s1, s2, s3 = dots(t, p0, p1, p2, p3)
        mixed[a], mixed[a + 1], mixed[a + 2], mixed[a + 3] = s0, s1, s2, s3
        r0, r1 = _ratio(data[a], s0, 0), _ratio(data[a + 1], s1, 0)
        r2, r3 = _ratio(data[a + 2], s2, 0), _ratio(data[a + 3], s3, 0)
        add_rows(own, r0, p0, r1, p1, r2, p2, r3, p3)
        add(words[j0], kind(w * r0), t)
        add(words[j1], kind(w * r1), t)
        add(words[j2], kind(w * r2), t)
        add(words[j3], kind(w * r3), t)
        a += 4
    while a < m:
        j = np.uint64(indices[a])
        s = dot(t, phi[j])
        mixed[a] = s
        r = _ratio(data[a], s, 0)
        add(own, r, phi[j])
        add(words[j], kind(w * r), t)
        a += 1


@njit(nogil=True, cache=True, error_model="numpy")
def multiply(counts, q):
    """Counts <- counts x q, as `_limits` has it."""
    low = least(counts) ** 2
    for z in range(len(counts)):
        n = np.float64(counts[z]) * q[z]
        counts[z] = max(n, low) if n > 0 else 0.0


@njit(nogil=True, cache=True, error_model="numpy")
def multiply_rows(counts, q):
    """`multiply` for each row."""
    for i in range(len(counts)):
        multiply(counts[i], q[i])


@njit(nogil=True, cache=True, fastmath=VECTORISE, error_model="numpy")
def e_step(data, indices, indptr, weight, phi, theta, words, local):
    """One E step of PLSA.

    Adds to words (p, k) the sums over documents of weight x count / p(w|d) x theta, and writes
    into local (n, k) theta x the sums over words of count / p(w|d) x phi: the expected counts of
    the topics in each document. Returns the sum of weight x log p(words of d|d) in nats.
    """
    mixed, total = np.empty(longest(indptr)), 0.0
    for i in range(len(theta)):
        some = slice(indptr[i], indptr[i + 1])
        w = weight[i] if weight.size else 1.0
        t, own = theta[i], local[i]
        mix_and_spread(data[some], indices[some], phi, t, own, mixed, w, words)
        multiply(own, t)
        total += w * log_likelihood(data[some], mixed)
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def maximize_row(counts, prior, old, floor, out):
    """M step of one distribution: argmax of sum counts log q + log prior(q), for a Dirichlet prior.

    ``prior`` holds the exponents, alpha - 1. Where none is negative, q is proportional to counts +
    prior. A negative exponent -b asks for sparsity and has no finite density at zero, so it is
    taken as -b log(q + floor), which is convex and lies above its tangent at ``old``; maximised is
    the sum with the tangents, q = m / (lambda + b / (old + floor)), with lambda by Newton's method
    from the left, where it is monotone. The objective cannot fall.

    Where counts are 0, q is 0 unless lambda < -b / (old + floor), which then is lambda, and the
    place of least b / (old + floor), of those with old > 0, gets what the others leave.
    """
    total, negative, tiny = 0.0, False, least(out)
    for z in range(len(counts)):
        total += counts[z] + max(prior[z], 0.0)
        negative |= prior[z] < 0
    if total <= tiny * tiny:
        out[:] = old
        return
    if not negative:
        for z in range(len(counts)):
            q = (counts[z] + prior[z]) / total
            out[z] = max(q, tiny) if q > 0 else 0.0
        return
    base, weakest, place = np.inf, np.inf, -1  # lambda = level - base: large pulls cancel
    for z in range(len(counts)):
        pull = max(-prior[z], 0.0) / (old[z] + floor)
        if counts[z] + max(prior[z], 0.0) > 0:
            base = min(base, pull)
        elif old[z] > 0 and pull < weakest:
            weakest, place = pull, z
    level = 0.0
    for z in range(len(counts)):
        m = counts[z] + max(prior[z], 0.0)
        if m > 0:
            level = max(level, m - (max(-prior[z], 0.0) / (old[z] + floor) - base))
    for _ in range(NEWTON_STEPS):
        value, slope = -1.0, 0.0
        for z in range(len(counts)):
            m = counts[z] + max(prior[z], 0.0)
            if m > 0:
                q = 1 / (level + (max(-prior[z], 0.0) / (old[z] + floor) - base))
                value += m * q
                slope += m * q * q
        if value <= NEWTON_TOL:
            break
        level += value / slope
    some_left = base - weakest > level
    level = max(level, base - weakest)
    total = 0.0
    for z in range(len(counts)):
        m = counts[z] + max(prior[z], 0.0)
        q = m / (level + (max(-prior[z], 0.0) / (old[z] + floor) - base)) if m > 0 else 0.0
        out[z] = q if q > tiny else 0.0
        total += out[z]
    if some_left:
        out[place] = max(1 - total, 0.0)
        return
    for z in range(len(counts)):
        out[z] /= total


@njit(nogil=True, cache=True, error_model="numpy")
def maximize_rows(counts, prior, old, floor, out):
    """`maximize_row` for each row: counts, old, out (n, k), prior (k,)."""
    for i in range(len(counts)):
        maximize_row(counts[i], prior, old[i], floor, out[i])


@njit(nogil=True, cache=True, fastmath=VECTORISE, error_model="numpy")
def log_likelihoods(data, indices, indptr, phi, theta, out):
    """Out (n,) <- sum of count x log p(w|d) of each document, in nats."""
    mixed = np.empty(longest(indptr))
    for i in range(len(theta)):
        first, m = indptr[i], indptr[i + 1] - indptr[i]
        for a in range(m):
            mixed[a] = dot(theta[i], phi[np.uint64(indices[first + a])])
        out[i] = log_likelihood(data[first : first + m], mixed)


@njit(nogil=True, cache=True, error_model="numpy")
def maximize_columns(words, phi, prior, old, floor, out):
    """M step of the topics: expected counts words x phi (p, k), one Dirichlet prior a column.

    ``prior`` is of shape (p, k), or (1, 1) for the same exponent everywhere.
    """
    p, k = phi.shape
    same = prior.shape[0] == 1
    negative = False
    for w in range(prior.shape[0]):
        for z in range(prior.shape[1]):
            negative |= prior[w, z] < 0
    if negative:
        exponents, column = np.empty(p), np.empty(p)
        for z in range(k):
            for w in range(p):
                exponents[w] = prior[0, 0] if same else prior[w, z]
                column[w] = np.float64(words[w, z]) * phi[w, z]
            new = np.empty(p, phi.dtype)
            maximize_row(column, exponents, np.ascontiguousarray(old[:, z]), floor, new)
            out[:, z] = new
        return
    totals, tiny = np.zeros(k), least(out)
    for w in range(p):
        for z in range(k):
            beforehand = prior[0, 0] if same else prior[w, z]
            totals[z] += np.float64(words[w, z]) * phi[w, z] + beforehand
    for w in range(p):
        for z in range(k):
            beforehand = prior[0, 0] if same else prior[w, z]
            n = np.float64(words[w, z]) * phi[w, z] + beforehand
            q = n / totals[z] if totals[z] > 0 else np.float64(old[w, z])
            out[w, z] = max(q, tiny) if q > 0 else 0.0
