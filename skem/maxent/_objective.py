r"""The objective of a conditional maximum-entropy model and its entropy dual.

With mean loss over rows of total weight S, logits z_i = A_i theta and a separable penalty,

    F(theta) = (1/S) sum_i s_i (log Z_i - z_i[y_i]) + sum_j (l2_j theta_j^2 / 2 + l1_j |theta_j|).

Its dual maximises entropy over conditional distributions alpha_i, with a price on how far the
expectations of the features are from the empirical ones, u = (1/S) sum_i s_i A_i'(y_i - alpha_i):

    D(alpha) = (1/S) sum_i s_i H(alpha_i) - sum_j max(|u_j| - l1_j, 0)^2 / (2 l2_j),

and u_j within [-l1_j, l1_j] where l2_j = 0. Every alpha gives a lower bound, D(alpha) <= min F
<= F(theta), so F - D is a proof of how far F is from its minimum (Lebanon & Lafferty 2001;
Dudik, Phillips & Schapire 2007). The distribution of the model itself, alpha = p, is loose where
the penalty is light. One Newton step on the dual makes it as tight as F: alpha = p + J A v, with J
the curvature of a row and v a Newton step of theta.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skem.maxent._designs import Design


class Objective:
    """Mean loss of a design plus a separable penalty.

    Parameters
    ----------
    design : Design
    l2, l1 : ndarray of shape (n_weights,)
        Penalties of the weights, in nats per unit of sample weight; intercepts have none.
    """

    def __init__(self, design: Design, l2: NDArray, l1: NDArray):
        n_free = design.n_params - design.n_weights
        self.design = design
        self.l2 = np.concatenate([l2, np.zeros(n_free)])
        self.l1 = np.concatenate([l1, np.zeros(n_free)])
        self.n_evaluations = 0

    def smooth(self, theta: NDArray) -> tuple[float, NDArray]:
        """F without the absolute values, and its gradient."""
        self.n_evaluations += 1
        loss, gradient = self.design.evaluate(theta)
        total = self.design.total_weight
        value = loss / total + float(self.l2 @ (theta * theta)) / 2
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
        if alpha is None:
            return np.inf
        u = design.pull(design.row_weight * (design.targets() - alpha)) / design.total_weight
        free = (self.l2 == 0) & (self.l1 == 0)
        slack = float(np.abs(u[free] * theta[free]).sum())  # zero but for rounding
        if (np.abs(u[free]) > 1e-6).any():
            return np.inf
        alpha, u = self._shrunk(alpha, u)
        excess = np.maximum(np.abs(u) - self.l1, 0.0)
        curved = self.l2 > 0
        price = float((excess[curved] ** 2 / self.l2[curved]).sum()) / 2
        return max(value - design.entropy(alpha) + price + slack, 0.0)

    def _dual_point(self, step: NDArray) -> NDArray | None:
        """P + J A v, with the intercepts of v such that their own constraints hold."""
        design = self.design
        P = design.probabilities
        alpha = P + _curve(P, design.logits(step)) if step.any() else P.copy()
        if design.intercept:
            rest = ((design.targets() - alpha) * design.row_weight).sum(1)
            curvature = -(design.row_weight * P) @ P.T
            curvature[np.diag_indices(len(P))] += (design.row_weight * P).sum(1)
            shift = np.linalg.lstsq(curvature, rest, rcond=None)[0]
            alpha += _curve(P, np.broadcast_to(shift[:, None], P.shape))
        left = 1 - alpha.sum(0) if design.reference else 0.0
        if (alpha < 0).any() or np.min(left) < 0:
            return None
        return alpha

    def _shrunk(self, alpha: NDArray, u: NDArray) -> tuple[NDArray, NDArray]:
        """Move alpha towards the observed classes until |u| <= l1 where there is no l2."""
        hard = (self.l2 == 0) & (self.l1 > 0)
        over = np.abs(u[hard]) / self.l1[hard]
        if over.size and over.max() > 1:
            share = 1 / over.max()
            targets = self.design.targets()
            return targets + share * (alpha - targets), share * u
        return alpha, u


def _curve(P: NDArray, L: NDArray) -> NDArray:
    """The derivative of the probabilities P in the direction L of the logits."""
    return P * (L - (P * L).sum(0))
