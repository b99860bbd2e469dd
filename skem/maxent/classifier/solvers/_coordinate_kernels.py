"""Compiled coordinate descent on a quadratic model of the loss, with absolute values.

At probabilities p the model of a step d of some of the weights is, without constants,

    g'd + d'Hd / 2 + sum_a (l2_a d_a^2 / 2 + l1_a |w_a + d_a|),
    H = sum_i (diag(h_i) - h_i p_i') (x) x_i x_i',    h_i = s_i p_i / S,

with the exact curvature of the softmax. A coordinate a is a column j of X and a logit k. What the
step does to the logits is kept, z = d X', and its mean q_i = sum_k p_ik z_ik, so that a
coordinate takes one pass down its column (Yuan, Ho & Lin 2012 for two classes). Intercepts are at
their best at any time, beta = -H_bb^-1 (g_b + H_ba d): a coordinate takes a product of m numbers
for that, in place of a pass over all rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem._compiled import VECTORISE
from skem._kernel_cache import njit

_FLAT = 1e-14
"""A coordinate whose curvature is this little of what its column's size suggests does not move."""


class Model(NamedTuple):
    """The model of A coordinates, n rows and m logits, and a step, which kernels change in place.

    Attributes
    ----------
    data, indices, indptr : ndarray
        X by columns, as in CSC; dense columns have no indices, of shape (0,).
    column, logit : ndarray of shape (A,)
        The column j of X and the logit k of each coordinate.
    p, h : ndarray of shape (m, n)
        Probabilities, and those times weight / total weight.
    g, l1, l2 : ndarray of shape (A,)
        Gradient before the step, penalties.
    diagonal : ndarray of shape (A,)
        Of H + l2, with the intercepts eliminated.
    cross, answer : ndarray of shape (A, m)
        H_ab, of coordinates with intercepts, and H_ab H_bb^-1.
    w, d : ndarray of shape (A,)
        Weights after the step, and the step.
    beta : ndarray of shape (m,)
        Step of the intercepts.
    z, q : ndarray of shape (m, n), (n,)
        Step of the logits but for that of the intercepts, and its mean under p.
    """

    data: NDArray
    indices: NDArray
    indptr: NDArray
    column: NDArray
    logit: NDArray
    p: NDArray
    h: NDArray
    g: NDArray
    l1: NDArray
    l2: NDArray
    diagonal: NDArray
    cross: NDArray
    answer: NDArray
    w: NDArray
    d: NDArray
    beta: NDArray
    z: NDArray
    q: NDArray


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _pull(data, indices, start, stop, h, z, q):
    """sum_i x_i h_i (z_i - q_i): a row of H times the step."""
    total = 0.0
    if indices.size:
        for a in range(start, stop):
            i = indices[a]
            total += data[a] * h[i] * (z[i] - q[i])
    else:
        x = data[start:stop]
        for i in range(x.size):
            total += x[i] * h[i] * (z[i] - q[i])
    return total


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _push(data, indices, start, stop, step, z, p, q):
    """z_i += step x_i and q_i += p_i step x_i."""
    if indices.size:
        for a in range(start, stop):
            i = indices[a]
            change = step * data[a]
            z[i] += change
            q[i] += p[i] * change
    else:
        x = data[start:stop]
        for i in range(x.size):
            change = step * x[i]
            z[i] += change
            q[i] += p[i] * change


@njit(nogil=True, cache=True, fastmath=VECTORISE)
def _curve(data, indices, start, stop, k, h, p, cross):
    """cross_c <- sum_i x_i h_ik (1[c = k] - p_ic); return sum_i x_i^2 h_ik (1 - p_ik)."""
    square, own = 0.0, 0.0
    if indices.size:
        cross[:] = 0
        for a in range(start, stop):
            i = indices[a]
            change = data[a] * h[k, i]
            own += change
            square += data[a] * change * (1 - p[k, i])
            for c in range(cross.size):
                cross[c] -= change * p[c, i]
    else:
        x = data[start:stop]
        for i in range(x.size):
            own += x[i] * h[k, i]
            square += x[i] * x[i] * h[k, i] * (1 - p[k, i])
        for c in range(cross.size):
            total = 0.0
            for i in range(x.size):
                total += x[i] * h[k, i] * p[c, i]
            cross[c] = -total
    cross[k] += own
    return square


@njit(nogil=True, cache=True)
def curve(data, indices, indptr, column, logit, p, h, inverse):
    """``diagonal`` without l2, ``cross`` and ``answer``; ``inverse`` (m, m) is H_bb^-1 or zero."""
    A, m = len(column), len(h)
    diagonal, cross = np.empty(A), np.empty((A, m))
    for a in range(A):
        start, stop = indptr[column[a]], indptr[column[a] + 1]
        square = _curve(data, indices, start, stop, logit[a], h, p, cross[a])
        rest = square - cross[a] @ (inverse @ cross[a])
        diagonal[a] = rest if rest > _FLAT * square else 0.0
    return diagonal, cross, cross @ inverse


@njit(nogil=True, cache=True)
def _slope(model, a):
    """Derivative of the model for a coordinate, without its absolute value."""
    j, k = model.column[a], model.logit[a]
    start, stop = model.indptr[j], model.indptr[j + 1]
    slope = _pull(model.data, model.indices, start, stop, model.h[k], model.z[k], model.q)
    for c in range(model.beta.size):
        slope += model.cross[a, c] * model.beta[c]
    return slope + model.g[a] + model.l2[a] * model.d[a]


@njit(nogil=True, cache=True)
def _move(model, a, change):
    """A change of a coordinate."""
    j, k = model.column[a], model.logit[a]
    start, stop = model.indptr[j], model.indptr[j + 1]
    _push(model.data, model.indices, start, stop, change, model.z[k], model.p[k], model.q)
    for c in range(model.beta.size):
        model.beta[c] -= model.answer[a, c] * change
    model.d[a] += change


@njit(nogil=True, cache=True)
def _sweep(model, which):
    """Minimise over each coordinate in turn; return the sum of diagonal x change^2, in nats."""
    total = 0.0
    for a in which:
        slope, width, curvature = _slope(model, a), model.l1[a], model.diagonal[a]
        w = model.w[a]
        if curvature > 0:
            aim, width = w - slope / curvature, width / curvature
            new = aim - width if aim > width else aim + width if aim < -width else 0.0
        else:
            new = 0.0 if abs(slope) < width else w
        if new != w:
            _move(model, a, new - w)
            model.w[a] = new
            total += curvature * (new - w) ** 2
    return total


@njit(nogil=True, cache=True)
def descend(model, share, n_sweeps):
    """Sweep over all coordinates, and in between over those that are not zero.

    Parameters
    ----------
    model : Model
    share : float
        The end is where a sweep over all does no more than this, in nats.
    n_sweeps : int
        Sweeps over the coordinates that are not zero, at the most.

    Returns
    -------
    done : bool
    """
    everything = np.arange(len(model.w))
    used = 0
    while _sweep(model, everything) > share:
        which = np.flatnonzero(model.w)
        while used < n_sweeps:
            used += 1
            if _sweep(model, which) <= share / 2:
                break
        if used == n_sweeps:
            return False
    return True


@njit(nogil=True, cache=True)
def gram(model, face):
    """H + l2 of some of the coordinates, (F, F), with the intercepts eliminated."""
    column, logit = model.column[face], model.logit[face]
    start, stop = model.indptr[column], model.indptr[column + 1]
    data, indices, p, h = model.data, model.indices, model.p, model.h
    H = np.empty((len(face), len(face)))
    z, q = np.zeros_like(model.z), np.zeros_like(model.q)
    for a in range(len(face)):
        k = logit[a]
        _push(data, indices, start[a], stop[a], 1.0, z[k], p[k], q)
        for b in range(a):
            c = logit[b]
            value = _pull(data, indices, start[b], stop[b], h[c], z[c], q)
            H[a, b] = H[b, a] = value - model.cross[face[a]] @ model.answer[face[b]]
        H[a, a] = model.diagonal[face[a]]
        z[k] = 0
        q[:] = 0
    return H


@njit(nogil=True, cache=True)
def slopes(model, face):
    """Derivatives of the model for some of the coordinates, without the absolute values."""
    slope = np.empty(len(face))
    for i in range(len(face)):
        slope[i] = _slope(model, face[i])
    return slope


@njit(nogil=True, cache=True)
def move(model, face, w):
    """Some of the weights set to w."""
    for i in range(len(face)):
        if w[i] != model.w[face[i]]:
            _move(model, face[i], w[i] - model.w[face[i]])
            model.w[face[i]] = w[i]
