r"""The objective of a conditional maximum-entropy model and its entropy dual.

With mean loss over rows of total weight S, logits z_i = A_i theta and a separable penalty,

    F(theta) = (1/S) sum_i s_i (log Z_i - z_i[y_i]) + sum_j (l2_j theta_j^2 / 2 + l1_j |theta_j|).

Its dual maximises entropy over conditional distributions alpha_i, with a price on how far the
expectations of the features are from the empirical ones, u = (1/S) sum_i s_i A_i'(y_i - alpha_i):

    D(alpha) = (1/S) sum_i s_i H(alpha_i) - sum_j max(|u_j| - l1_j, 0)^2 / (2 l2_j),

and u_j within [-l1_j, l1_j] where l2_j = 0. Every alpha gives a lower bound, D(alpha) <= min F
<= F(theta), so F - D is a proof of how far F is from its minimum (Lebanon & Lafferty 2001;
Dudik, Phillips & Schapire 2007). An excess e_j of |u_j| over l1_j that is rounding beside the size
of its feature, where l2_j is too light to pay for it, costs e_j |theta*_j| at the minimum theta*.
That weight is not known; the excess is charged for the weight now, twice the Newton step, and a
few times as much as moves the logits of a typical row by one. There alone the bound rests on an
assumption: that the weight is no larger. Nothing in this depends on the units of features. The
distribution of the model itself, alpha = p, is loose where the penalty is light. One Newton step
on the dual makes it as tight as F: alpha = p + J A v, with J the curvature of a row and v a Newton
step of theta.
"""

from __future__ import annotations

import functools
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from skem.maxent.classifier.designs._column_units import inverse_diagonal
from skem.maxent.classifier.designs._design import Design

_MISSED = 1e-10
"""Expectations may exceed their tolerance by this share of the size of their feature, for what that
costs."""

_NOTHING = 1e-15
"""Nats that need no lower price."""

_ROOM = 4.0
"""Weights at the optimum may be larger than those that move typical logits by one, by this factor.
"""


AnyDesign = TypeVar("AnyDesign", bound=Design)


class Objective(Generic[AnyDesign]):
    """Mean loss of a design plus a separable penalty.

    Parameters
    ----------
    design : Design
    l2, l1 : ndarray of shape (n_weights,)
        Penalties of the weights, in nats per unit of sample weight; intercepts have none.
    signs : ndarray of shape (n_weights,), default=None
        1 for weights of at least zero, -1 for those of at most zero, 0 for any. In the dual, only
        an expectation that is off in the direction of the sign has a price.
    """

    def __init__(self, design: AnyDesign, l2: NDArray, l1: NDArray, signs: NDArray | None = None):
        n_free = design.n_params - design.n_weights
        self.design = design
        self.l2 = np.concatenate([l2, np.zeros(n_free)])
        self.l1 = np.concatenate([l1, np.zeros(n_free)])
        self.signs = np.zeros(design.n_params)
        self.signs[: design.n_weights] = 0.0 if signs is None else signs
        self.best: tuple[float, NDArray] | None = None  # lowest F so far, and where

    @property
    def kinked(self) -> NDArray:
        """Parameters whose penalty or bound has a kink at zero, (n_params,)."""
        return (self.l1 > 0) | (self.signs != 0)

    @functools.cached_property
    def centred(self) -> NDArray:
        """Columns whose weights sum to zero over the classes at the minimum, (n_columns,).

        They do where each class has a logit of its own and the same penalty, without absolute
        values: there is no curvature but that penalty where all classes move together.
        """
        n_weights, kinked = self.design.n_weights, self.kinked
        l2, kinks = (self.design.matrix(v[:n_weights]) for v in (self.l2, kinked))
        if l2.ndim == 1 or self.design.reference:  # joint features; two classes with one logit
            return np.zeros(l2.shape[-1], dtype=bool)
        return (l2 == l2[:1]).all(0) & ~kinks.any(0)

    def centre(self, theta: NDArray) -> NDArray:
        """The parameters of the same distribution with the least penalty, or a step to such."""
        design = self.design
        if design.reference:
            return theta
        weights, b = design.split(theta)
        W = design.matrix(weights)
        if self.centred.any():
            W = W - np.where(self.centred, W.mean(0), 0.0)
        return design.join(W, b - b.mean())

    def smooth(self, theta: NDArray) -> tuple[float, NDArray]:
        """F without the absolute values, and its gradient."""
        loss, gradient = self.design.evaluate(theta)
        total = self.design.total_weight
        value = loss / total + float(self.l2 @ (theta * theta)) / 2
        F = value + self.absolute(theta)
        if self.best is None or self.best[0] > F:
            self.best = F, theta.copy()
        return value, gradient / total + self.l2 * theta

    def absolute(self, theta: NDArray) -> float:
        """The part of F with the absolute values."""
        return float(self.l1 @ np.abs(theta))

    def curvature_product(self, v: NDArray) -> NDArray:
        """Second derivative of the smooth part times v, at the parameters evaluated last."""
        design = self.design
        pulled = design.pull(design.curve(design.logits(v)))
        return pulled / design.total_weight + self.l2 * v

    def gap(self, theta: NDArray, value: float, step: NDArray) -> float:
        """F - D in nats per unit of sample weight, at the parameters evaluated last.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
        value : float
            F(theta).
        step : ndarray of shape (n_params,)
            A Newton step, or near it, that moves the dual point; zeros for the model's own.

        Returns
        -------
        gap : float
            Infinite where this dual point is not feasible.
        """
        design = self.design
        alpha = self._dual_point(step)
        targets = design.targets()
        u = design.pull(design.row_weight * (targets - alpha)) / design.total_weight
        travelled = np.abs(theta) + 2 * np.abs(step)
        best = -np.inf
        for share in self._shares(u):
            moved = alpha if share == 1 else targets + share * (alpha - targets)
            price = self._price(share * u, travelled)
            if np.isfinite(price):
                best = max(best, design.dual_value(moved) - price)
        return max(value - best, 0.0) if np.isfinite(best) else np.inf

    @functools.cached_property
    def _sizes(self) -> NDArray:
        """Root mean square of the feature of each parameter, (n_params,); of intercepts, one."""
        return self._per_parameter(self.design.sizes.size)

    @functools.cached_property
    def _unit_logits(self) -> NDArray:
        """By how much each parameter may move for logits to move by one, with room.

        Those of the rows together, and those of a typical row: a few large values may hide how
        large a weight the others need. Zero where logits cannot move.
        """
        design = self.design
        together = inverse_diagonal(design.sizes.deviation)
        typical = np.where(design.sizes.deviation > 0, _ROOM * design.inverse_distances, 0.0)
        return self._per_parameter(np.maximum(together, typical))

    def _per_parameter(self, columns: NDArray) -> NDArray:
        design = self.design
        sizes = np.ones(design.n_params)
        design.matrix(sizes[: design.n_weights])[...] = columns
        return sizes

    def _dual_point(self, step: NDArray) -> NDArray:
        """P + J A v, or as far on the way there as probabilities stay positive."""
        design = self.design
        P = design.probabilities
        moved = P + design.change_of_probabilities(design.logits(step)) if step.any() else P
        aim = self._balanced(moved)
        if self._lowest(aim) >= 0:
            return aim
        origin = self._balanced(P)
        if self._lowest(origin) < 0:  # class frequencies keep the constraints of intercepts
            weight = design.row_weight / design.total_weight
            means = (design.targets() * weight).sum(1, keepdims=True)
            origin = np.broadcast_to(means, P.shape)
        low = aim < 0
        reach = (origin[low] / (origin[low] - aim[low])).min(initial=1.0)
        if design.reference:
            over = aim.sum(0) > 1
            left = 1 - origin.sum(0)[over]
            reach = min(reach, (left / (left + aim.sum(0)[over] - 1)).min(initial=1.0))
        return origin + 0.99 * reach * (aim - origin)

    def _lowest(self, alpha: NDArray) -> float:
        """The least probability of any class."""
        left = 1 - alpha.sum(0) if self.design.reference else np.inf
        return float(min(alpha.min(), np.min(left)))

    def _balanced(self, alpha: NDArray) -> NDArray:
        """Alpha moved as intercepts move it until their own constraints hold."""
        design, P = self.design, self.design.probabilities
        if not design.intercept:
            return alpha
        rest = ((design.targets() - alpha) * design.row_weight).sum(1)
        curvature = -(design.row_weight * P) @ P.T
        curvature[np.diag_indices(len(P))] += (design.row_weight * P).sum(1)
        shift = np.linalg.lstsq(curvature, rest, rcond=None)[0]
        return alpha + design.change_of_probabilities(np.broadcast_to(shift[:, None], P.shape))

    def _price(self, u: NDArray, travelled: NDArray) -> float:
        """What the excess of |u_j| over l1_j costs, in all; infinite where nothing pays for it."""
        excess = self._excess(u)
        curved = self.l2 > 0
        paid = np.where(excess > 0, np.inf, 0.0)
        with np.errstate(over="ignore"):
            paid[curved] = np.square(excess[curved] / np.sqrt(self.l2[curved])) / 2
        light = (excess <= _MISSED * self._sizes) & (paid > _NOTHING)
        if light.any():
            of_columns = light[: self.design.n_weights].any()  # which takes a look at the rows
            charged = excess * (travelled + (self._unit_logits if of_columns else 1.0))
            paid[light] = np.minimum(paid, charged)[light]
        return float(paid.sum())

    def _excess(self, u: NDArray) -> NDArray:
        """By how much expectations are off beyond their tolerance."""
        above = np.where(self.signs < 0, 0.0, np.maximum(u - self.l1, 0.0))
        return np.where(self.signs > 0, above, np.maximum(above, -u - self.l1))

    def _shares(self, u: NDArray) -> list[float]:
        """How far from the observed classes alpha may be, or had better be, for |u| <= l1."""
        limits = [1.0]
        excess = self._excess(u)
        over = (self.l1 > 0) & (excess > _MISSED * self._sizes)
        for some in (over & (self.l2 == 0), (self.l1 > 0) & (excess > 0)):
            ratio = (np.abs(u[some]) / self.l1[some]).max(initial=1.0)
            if 1 / ratio not in limits:
                limits.append(1 / ratio)
        return limits
