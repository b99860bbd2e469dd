"""Several plain EM maps of a Gaussian mixture in one compiled call, for small tables.

An EM map of a small table is microseconds of arithmetic, and calling each of its steps from Python
takes a hundred times as long. These loops consist of the same kernels as the steps of
`GaussianModel`: the E step by quadratic features, the M step without priors, and the squared
length of the EM step, gradient x step in the coordinates of `GaussianModel.to_vector`.

A loop ends early where the model has to decide: a component without rows, a covariance that is not
positive definite, or one so steep that features lose digits. It then returns the parameters before
the map that it has not made.
"""

from __future__ import annotations

import math

import numpy as np

from skem._kernel_cache import njit
from skem._numbers import NOT_ZERO
from skem.mixture._kernels import product_e_step, row_e_step
from skem.mixture._kernels_content import SQUARES
from skem.mixture.gaussian.kernels._parameters import (
    coordinates_of,
    diagonal_terms,
    factor,
    full_terms,
    gradient,
    moments_to_covariances,
)

EMPTY = 1e-100
"""Share of the rows below which a component has none."""

LEAST_VARIANCE, WORST_CONDITION = 1e-28, 1e14
"""The limits of `_model`, with their reasons there."""


@njit(nogil=True, cache=True)
def _size_of_weights_and_means(weights, new_weights, move, pulled, counts):
    """Gradient x step of log weights and means; ``pulled`` is precision x move."""
    size = 0.0
    for j in range(len(weights)):
        size += (new_weights[j] - weights[j]) * math.log(new_weights[j] / max(weights[j], NOT_ZERO))
        for a in range(move.shape[1]):
            size += counts[j] * pulled[j, a] * move[j, a]
    return size


@njit(nogil=True, cache=True)
def diagonal_maps(
    X, weight, labels, center, scale, B, total, reg, base, steepest, weights, means, covariances,
    n_maps,
):  # fmt: skip
    """Up to n_maps EM maps with diagonal covariances (k, d), in the type of center and scale.

    Returns how many were made; bound, size of the step and steepness of each; and the parameters.
    """
    k, d = means.shape
    bounds, sizes, steeps = np.empty(n_maps), np.empty(n_maps), np.empty(n_maps)
    for done in range(n_maps):
        if not covariances.min() >= LEAST_VARIANCE:
            return done, bounds, sizes, steeps, weights, means, covariances
        factors = 1 / np.sqrt(covariances)
        _, steepness, theta = diagonal_terms(weights, means, factors, reg, base, False)
        if not steepness.max() < steepest:
            return done, bounds, sizes, steeps, weights, means, covariances
        log_likelihood, S = row_e_step(
            X, weight, labels, theta.astype(center.dtype), center, scale, SQUARES, B
        )
        if not S[:, 0].min() > EMPTY * total:
            return done, bounds, sizes, steeps, weights, means, covariances
        counts = S[:, 0] / total
        new_weights = counts / counts.sum()
        new_means, new_covariances = np.empty((k, d)), np.empty((k, d))
        for j in range(k):
            for a in range(d):
                new_means[j, a] = S[j, 1 + a] / S[j, 0]
                within = new_means[j, a] * new_means[j, a]
                new_covariances[j, a] = S[j, 1 + d + a] / S[j, 0] - within + reg[a]
        if not new_covariances.min() > 0:
            return done, bounds, sizes, steeps, weights, means, covariances
        move = new_means - means
        size = _size_of_weights_and_means(weights, new_weights, move, move / covariances, counts)
        for j in range(k):
            for a in range(d):
                ratio = new_covariances[j, a] / covariances[j, a]
                slope = counts[j] * (ratio - 1 + move[j, a] * move[j, a] / covariances[j, a])
                size += slope * math.log(ratio) / 2
        bounds[done], sizes[done], steeps[done] = log_likelihood / total, size, steepness.max()
        weights, means, covariances = new_weights, new_means, new_covariances
    return n_maps, bounds, sizes, steeps, weights, means, covariances


@njit(nogil=True, cache=True)
def full_maps(
    X, weight, labels, center, scale, B, total, reg, base, steepest, weights, means, covariances,
    n_maps, pairs,
):  # fmt: skip
    """The same with full covariances (k, d, d); the features in one panel, pairs (1, m, 2)."""
    k, d = means.shape
    bounds, sizes, steeps = np.empty(n_maps), np.empty(n_maps), np.empty(n_maps)
    choleskys, factors, failed = factor(covariances)
    for done in range(n_maps):
        if failed >= 0:
            return done, bounds, sizes, steeps, weights, means, covariances
        _, steepness, relative, theta = full_terms(
            weights, means, covariances, factors, reg, base, False
        )
        proper = steepness.max() < steepest and relative.max() * d <= WORST_CONDITION
        for j in range(k):
            for a in range(d):
                proper = proper and covariances[j, a, a] >= LEAST_VARIANCE
        if not proper:
            return done, bounds, sizes, steeps, weights, means, covariances
        laid = theta.astype(center.dtype).reshape((1, k, theta.shape[1]))
        log_likelihood, sums, _ = product_e_step(X, weight, labels, laid, pairs, center, scale, B)
        S = sums[0]
        if not S[:, 0].min() > EMPTY * total:
            return done, bounds, sizes, steeps, weights, means, covariances
        counts = S[:, 0] / total
        new_weights = counts / counts.sum()
        of_means, of_squares = S[:, 1 : 1 + d].copy(), S[:, 1 + d :].copy()
        new_means, new_covariances = moments_to_covariances(
            S[:, 0].copy(), of_means, of_squares, reg, False
        )
        new_choleskys, new_factors, failed = factor(new_covariances)
        if failed >= 0:
            return done, bounds, sizes, steeps, weights, means, covariances
        move = new_means - means
        pulled = np.zeros((k, d))
        pull = np.empty((k, d, d))
        for j in range(k):
            for c in range(d):
                along = 0.0
                for b in range(c + 1):
                    along += factors[j, c, b] * move[j, b]
                for a in range(c + 1):
                    pulled[j, a] += factors[j, c, a] * along
            for a in range(d):
                for b in range(d):
                    pull[j, a, b] = counts[j] * move[j, a] * move[j, b]
        slope = gradient(covariances, choleskys, factors, new_covariances, pull, counts)
        step = coordinates_of(new_choleskys) - coordinates_of(choleskys)
        size = _size_of_weights_and_means(weights, new_weights, move, pulled, counts)
        size += (slope * step).sum()
        bounds[done], sizes[done], steeps[done] = log_likelihood / total, size, steepness.max()
        weights, means, covariances = new_weights, new_means, new_covariances
        choleskys, factors = new_choleskys, new_factors
    return n_maps, bounds, sizes, steeps, weights, means, covariances
