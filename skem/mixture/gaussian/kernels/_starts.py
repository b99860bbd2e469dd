"""Compiled k-means for starts (seeds of k-means++, Lloyd's algorithm), with weights.

A start need not be a minimum of k-means, for the EM maps after it move the rows further than the
last of its rounds. So few rounds are made, and none is wasted on the last few rows.
"""

from __future__ import annotations

import numpy as np

from skem._compiled import VECTORISE
from skem._kernel_cache import njit

_BLOCK = 256
"""Rows whose products with the centres are taken at a time, and stay in the cache."""


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _assign(points, weight, centres, labels, sums, counts):
    """Nearest centre of each row; sums and counts of each part; the weight that has moved."""
    n, d = points.shape
    k = len(centres)
    offsets = np.zeros(k)
    for j in range(k):
        for a in range(d):
            offsets[j] += centres[j, a] * centres[j, a] / 2
    directions = np.ascontiguousarray(centres.T)
    near = np.empty((_BLOCK, k))
    sums[:] = 0
    counts[:] = 0
    moved = 0.0
    for start in range(0, n, _BLOCK):
        part = points[start : min(start + _BLOCK, n)]
        np.dot(part, directions, near[: len(part)])
        for i in range(len(part)):
            best = 0
            for j in range(k):
                near[i, j] -= offsets[j]
                if near[i, j] > near[i, best]:
                    best = j
            w = weight[start + i]
            if labels[start + i] != best:
                moved += w
                labels[start + i] = best
            counts[best] += w
            for a in range(d):
                sums[best, a] += w * part[i, a]
    return moved


@njit(nogil=True, cache=True)
def lloyd(points, weight, centres, max_rounds, tol):
    """Labels (n,) of rows by k-means from the centres (k, d); a part may be empty.

    Ends when at most a share ``tol`` of the weight changes its part.
    """
    labels = np.full(len(points), -1)
    centres = centres.copy()
    sums = np.empty_like(centres)
    counts = np.empty(len(centres))
    enough = tol * weight.sum()
    for _ in range(max_rounds):
        moved = _assign(points, weight, centres, labels, sums, counts)
        for j in range(len(centres)):
            if counts[j] > 0:
                centres[j] = sums[j] / counts[j]
        if moved <= enough:
            break
    return labels


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _squared_distances(points, norms, chosen, out):
    """|x - c|^2 to the chosen rows c, (n, n_chosen)."""
    centres = points[chosen]
    np.dot(points, np.ascontiguousarray(centres.T), out)
    for i in range(len(points)):
        for j in range(len(chosen)):
            out[i, j] = max(norms[i] + norms[chosen[j]] - 2 * out[i, j], 0.0)


@njit(nogil=True, cache=True)
def _drawn(chances, draw):
    """The first entry up to which the chances sum to more than their total times the draw."""
    aim = draw * chances.sum()
    total, last = 0.0, 0
    for i in range(len(chances)):
        if chances[i] > 0:
            total += chances[i]
            last = i
            if total >= aim:
                return i
    return last


@njit(nogil=True, cache=True)
def plus_plus(points, weight, k, draws):
    """Rows (k,) that are seeds: greedy k-means++ (Arthur and Vassilvitskii 2007).

    Each seed is, of a few rows drawn with chances weight x squared distance to the nearest seed,
    the one that leaves the least of these. ``draws`` (k, n_trials) are uniform numbers; of the
    first row one is used.
    """
    n = len(points)
    n_trials = draws.shape[1]
    norms = np.empty(n)
    for i in range(n):
        norms[i] = (points[i] * points[i]).sum()
    seeds = np.empty(k, np.int64)
    seeds[0] = _drawn(weight, draws[0, 0])
    nearest = np.empty((n, 1))
    _squared_distances(points, norms, seeds[:1], nearest)
    distances = np.empty((n, n_trials))
    candidates = np.empty(n_trials, np.int64)
    for j in range(1, k):
        chances = weight * nearest[:, 0]
        for trial in range(n_trials):
            candidates[trial] = _drawn(chances, draws[j, trial])
        _squared_distances(points, norms, candidates, distances)
        left = np.zeros(n_trials)
        for i in range(n):
            for trial in range(n_trials):
                distances[i, trial] = min(distances[i, trial], nearest[i, 0])
                left[trial] += weight[i] * distances[i, trial]
        best = left.argmin()
        seeds[j] = candidates[best]
        for i in range(n):
            nearest[i, 0] = distances[i, best]
    return seeds
