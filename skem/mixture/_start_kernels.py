"""Compiled k-means for starts (Lloyd's algorithm), with weights.

A start need not be a minimum of k-means, for the EM maps after it move the rows further than the
last of its rounds. So few rounds are made, and none is wasted on the last few rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from skem._compiled import VECTORISE

_BLOCK = 256


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
