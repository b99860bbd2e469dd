r"""Mixtures of independent Bernoulli variables as the engine sees them.

    log p(x, k) = log w_k + sum_j m_j log(1 - p_kj) + sum_j x_j logit(p_kj)

with m_j = 1 where x_j is known. Linear in (1, x) or, with missing values, in (1, x, m), so the E
step is the compiled one of `_features`. With ``shared=True`` a component has one probability for
all columns, as the coins of `ThreeCoinMixture` do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from skem._numbers import NOT_ZERO
from skem.em import EMModelBase, Geometry, Rows
from skem.mixture._features import binary_features, linear_e_step
from skem.mixture._weights import counts_of, solve_weights

MARGIN = 1e-12
"""Probabilities stay this far from 0 and 1, where log-odds are infinite."""

THRESHOLD = 0.5
"""Between the zeros and ones that need no threshold."""

_OF_TERMS = 4
"""Rounding error of each term of a log-density, in units of eps times the largest log-odds."""


class BernoulliParams(NamedTuple):
    weights: NDArray  # (k,)
    probabilities: NDArray  # (k, d), or (k, 1) if shared


class BernoulliStatistics(NamedTuple):
    log_likelihood: float
    weight: float
    counts: NDArray  # (k,) expected rows of each component
    ones: NDArray  # (k, d) expected ones
    known: NDArray  # (k, d) expected known entries


def log_joint_coefficients(
    weights: NDArray, probabilities: NDArray, d: int
) -> tuple[NDArray, NDArray, NDArray]:
    """Log w (k,), log(1 - p) (k, d) and logit p (k, d)."""
    p = np.broadcast_to(probabilities, (len(weights), d))
    return np.log(np.maximum(weights, NOT_ZERO)), np.log1p(-p), logit(p)


class BernoulliModel(EMModelBase):
    """EM for a mixture of Bernoulli variables, with weights and missing values.

    Parameters
    ----------
    d : int
        Number of columns.
    threshold : float
        An entry above it is a one.
    masked : bool
        Whether values are missing.
    shared : bool
        One probability for all columns of a component.
    beta : tuple of two floats
        Beta prior of the probabilities, each at least 1.
    concentration : float
        Dirichlet prior of the weights, at least 1.
    dtype : dtype
    """

    def __init__(
        self,
        d: int,
        *,
        threshold: float = THRESHOLD,
        masked: bool = False,
        shared: bool = False,
        beta: tuple[float, float] = (1.0, 1.0),
        concentration: float = 1.0,
        dtype: type | np.dtype = np.float64,
    ):
        self.d = d
        self.threshold = np.full(d, threshold)
        self.masked = masked
        self.shared = shared
        self.beta = beta
        self.concentration = concentration
        self.dtype = np.dtype(dtype)
        self.features = binary_features(d, masked=masked)

    def expected_statistics(self, params: BernoulliParams, rows: Rows) -> BernoulliStatistics:
        log_weights, log_zero, log_odds = log_joint_coefficients(*params, self.d)
        if self.masked:
            theta = np.hstack([log_weights[:, None], log_odds, log_zero])
        else:
            theta = np.hstack([(log_weights + log_zero.sum(1))[:, None], log_odds])
        threshold = self.threshold
        if rows.X.dtype.kind != "f" and rows.X.dtype != np.uint8:  # one kernel for all integers
            ones = (threshold < rows.X).view(np.uint8)
            rows, threshold = replace(rows, X=ones), np.full(self.d, THRESHOLD)
        log_likelihood, sums, _ = linear_e_step(
            rows,
            self.features.layout(theta, self.dtype),
            self.features,
            threshold,
            np.ones(self.d),
        )
        counts, ones = sums[:, 0], sums[:, 1 : 1 + self.d]
        known = sums[:, 1 + self.d :] if self.masked else np.repeat(counts[:, None], self.d, 1)
        weight = float(len(rows.X) if rows.weight is None else rows.weight.sum(dtype=np.float64))
        return BernoulliStatistics(log_likelihood, weight, counts, ones, known)

    def maximize(
        self, statistics: BernoulliStatistics, params: BernoulliParams | None = None
    ) -> BernoulliParams:
        weights = statistics.counts + self.concentration - 1
        ones, known = statistics.ones, statistics.known
        if self.shared:
            ones, known = ones.sum(1, keepdims=True), known.sum(1, keepdims=True)
        a, b = self.beta
        # a component without data keeps its probabilities (0 / 0 otherwise)
        total = known + a + b - 2
        with np.errstate(invalid="ignore", divide="ignore"):
            probabilities = (ones + a - 1) / total
        if params is not None:
            probabilities = np.where(total > 0, probabilities, params.probabilities)
        probabilities = np.clip(probabilities, MARGIN, 1 - MARGIN)
        return BernoulliParams(weights / weights.sum(), probabilities)

    def statistics_of(self, params: BernoulliParams, weight: float) -> BernoulliStatistics:
        """Statistics of complete rows of that total weight whose M step gives these parameters.

        The pseudo-counts of the priors are subtracted again. Counts are not negative: if the
        parameters cannot be a MAP estimate under these priors, these are the nearest counts.
        """
        a, b = self.beta
        counts = counts_of(params.weights, weight, self.concentration)
        known = np.repeat(counts[:, None], self.d, axis=1)
        ones = np.clip(params.probabilities * (known + a + b - 2) - (a - 1), 0.0, known)
        return BernoulliStatistics(0.0, weight, counts, ones, known)

    def bound(self, statistics: BernoulliStatistics, params: BernoulliParams) -> float:
        value = statistics.log_likelihood
        a, b = self.beta
        if self.concentration != 1:
            log_weights = np.log(np.maximum(params.weights, NOT_ZERO))
            value += float((self.concentration - 1) * log_weights.sum())
        if (a, b) != (1, 1):
            p = params.probabilities
            value += float(((a - 1) * np.log(p) + (b - 1) * np.log1p(-p)).sum())
        return float(value / statistics.weight)

    def rounding(self, statistics: BernoulliStatistics, params: BernoulliParams) -> float:
        eps = float(np.finfo(self.dtype).eps)
        steepest = float(np.abs(logit(params.probabilities)).max())
        return _OF_TERMS * eps * self.d * (1 + steepest) + super().rounding(statistics, params)

    def to_vector(self, params: BernoulliParams) -> NDArray:
        """Log weights (up to a constant) and angles phi, p = sin^2(phi / 2).

        The information of an angle does not depend on p, and the boundary is at a finite angle:
        where EM moves a probability to 0 or 1, log-odds would diverge along a plateau.
        """
        log_weights = np.log(np.maximum(params.weights, NOT_ZERO))
        p = params.probabilities
        angles = 2 * np.arctan2(np.sqrt(p), np.sqrt(1 - p))
        return np.concatenate([log_weights, angles.ravel()])

    def from_vector(self, vector: NDArray, params: BernoulliParams) -> BernoulliParams:
        k = len(params.weights)
        # an extrapolation may lead to subnormal numbers
        weights = np.exp(np.maximum(vector[:k] - vector[:k].max(), np.log(NOT_ZERO)))
        probabilities = np.sin(vector[k:].reshape(params.probabilities.shape) / 2) ** 2
        return BernoulliParams(weights / weights.sum(), np.clip(probabilities, MARGIN, 1 - MARGIN))

    def geometry(
        self, statistics: BernoulliStatistics, params: BernoulliParams, new: BernoulliParams
    ) -> Geometry:
        """Gradient and complete-data information in the coordinates of `to_vector`."""
        a, b = self.beta
        known = statistics.known
        if self.shared:
            known = known.sum(1, keepdims=True)
        strength = (known + a + b - 2) / statistics.weight
        p = params.probabilities
        information = np.maximum(np.broadcast_to(strength, p.shape), NOT_ZERO).ravel()
        total = 1 + len(p) * (self.concentration - 1) / statistics.weight
        of_angles = strength * (new.probabilities - p) / np.sqrt(p * (1 - p))
        gradient = np.concatenate([total * (new.weights - params.weights), of_angles.ravel()])

        def solve(q: NDArray) -> NDArray:
            k = len(p)
            return np.concatenate([solve_weights(q[:k], new.weights, total), q[k:] / information])

        return Geometry(gradient, solve)

    def ready(self, statistics: BernoulliStatistics) -> bool:
        """Whether every component has seen enough rows for an M step (online EM)."""
        return bool((statistics.counts > 1).all())
