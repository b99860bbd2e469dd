r"""Separable data: where weights without penalty have no maximum-likelihood value.

A direction d of the weights without penalty separates the data if no margin falls along it,

    d'(f(x_i, y_i) - f(x_i, c)) >= 0  for all rows i and classes c,  > 0 for some,

for then the likelihood grows without end along d (Albert & Anderson 1984). If all are positive the
separation is complete, and the loss goes to zero; else it is quasi-complete. What is done:

1. While the solver runs: if every row's own class is the most probable one, its weights are such a
   d (`SeparationWatch.complete`). The solver stops there.
2. After the fit, a proof that there is none. Let v be the Newton step and lambda_ic = s_i p_ic / S.
   Scale a separating d so that its largest margin is 1; G = -gradient'd = sum lambda_ic margin_ic
   is at least the smallest lambda_ic. By Cauchy and Schwarz G = v'Hd <= |v|_H |d|_H, and
   |d|_H^2 <= sum lambda_ic margin_ic^2 <= G. So min lambda_ic <= |v|_H^2: where the fit is so near
   its optimum that this is false, no d separates. Nothing is proven by a v that does not solve
   Hv = -gradient.
3. Else a linear programme (Konis 2007): maximise the sum of the margins, each from 0 to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from skem._interrupts import plain_interrupts
from skem.maxent.classifier.solvers._newton_step import newton_step
from skem.maxent.classifier.solvers._objective import Objective
from skem.maxent.classifier.solvers._smooth import Result

_LARGEST_PROGRAMME = 2_000_000
_SECONDS = 20.0
"""The linear programme is tried up to this size, for so long."""

_ROUNDING = 1e-12
"""Shares of the gradient below this may be lost among its rounding errors."""

_CLEAR = 1e-9
"""By how much a probability must be above another one, as a share of it, so that rounding does not
decide which class is more probable."""

_PROOF_STEPS = 4
"""Newton steps of the proof: where the fit was near its optimum, few are needed."""

_SAFETY = 2
"""Of what a proof asks, so many times as much: for rounding."""

_ZERO_MARGIN, _LEAST_TERMS = 1e-5, 1e-2
"""A margin of the programme below the first is zero, as a share of the sum of the sizes of its
terms, which count as at least the second: that is the accuracy of its solver."""

_SOME_MARGIN = 0.5
"""The largest margin of the programme is 1 where there is separation, and 0 where there is none."""

MESSAGE = (
    "The data are separable ({kind}): the likelihood grows without end with some weights, which "
    "have no maximum-likelihood value, and coef_ are those at which the fit stopped. Give a finite "
    "C, such as the default of 1; finite values in prior_variance, if it is given."
)


class SeparationWatch:
    """Looks for separation during a fit and after it.

    Parameters
    ----------
    objective : Objective

    Attributes
    ----------
    kind : {'complete separation', 'quasi-complete separation'} or None
        What was proven.
    """

    def __init__(self, objective: Objective):
        self.objective = objective
        self.free = (objective.l2 == 0) & (objective.l1 == 0)
        offset = objective.design.offset
        # With offsets the logits of weights alone are not those of the model.
        self.alone = offset is None or not offset[np.isfinite(offset)].any()
        self.kind: str | None = None
        # A solver may work on another design at first: NaN separates nothing.
        objective.design.probabilities.fill(np.nan)

    def complete(self) -> bool:
        """Whether the parameters evaluated last separate all rows, with no penalty on any."""
        return self.alone and bool(self.free.all()) and _all_right(self.objective.design)

    def after(self, result: Result) -> None:
        """Set ``kind``, and the gap where the loss can go to zero; Ctrl-C ends the search."""
        if result.interrupted:
            return
        try:
            with plain_interrupts():
                self._search(result)
        except KeyboardInterrupt:
            result.interrupted = True

    def _search(self, result: Result) -> None:
        design = self.objective.design
        if not self.free[: design.n_weights].any():
            return
        self.objective.smooth(result.theta)
        if self.complete():
            self.kind = "complete separation"
            result.gap = min(result.gap, result.value)
        elif not _overlap_is_proven(self.objective, result.theta, self.free):
            self.kind = _programme(design, self.free, self.objective.signs)


def _all_right(design: Any) -> bool:
    """Whether each row's own class is more probable than any other."""
    P, y = design.probabilities, design.y
    if design.reference:
        return bool((np.where(y == 1, P[0], 1 - P[0]) > 0.5 + _CLEAR).all())
    own = P[y, np.arange(len(y))]
    return bool(((own <= P * (1 + _CLEAR)).sum(0) == 1).all())


def _overlap_is_proven(objective: Objective, theta: NDArray, free: NDArray) -> bool:
    """Step 2; from an optimum that exists, Newton steps get there if the fit stopped before."""
    design = objective.design
    for _ in range(_PROOF_STEPS):
        _, gradient = objective.smooth(theta)
        P = design.probabilities
        if design.reference:
            others = np.where(design.y == 1, 1 - P[0], P[0])
            if design.offset is not None:
                others = np.where(np.isfinite(design.offset).all(0), others, np.inf)
        else:
            others = np.where((design.targets() == 1) | ~design.possible(), np.inf, P)
        smallest = (design.row_weight * others).min() / design.total_weight
        if smallest <= _ROUNDING:
            return False
        step, solved = newton_step(objective, gradient, free)
        if solved and smallest > _SAFETY * abs(float(gradient[free] @ step[free])):
            return True
        theta = theta + step
    return False


def _programme(design: Any, free: NDArray, signs: NDArray) -> str | None:
    """Step 3; None if there is no separation, or if the programme is too large to tell."""
    if design.n_logits * design.n_rows > _LARGEST_PROGRAMME:
        return None
    D = _differences(design)[:, free]
    if not 0 < D.nnz <= _LARGEST_PROGRAMME:
        return None
    D = _equilibrated(D)
    answer = milp(
        -np.asarray(D.sum(axis=0)).ravel(),
        constraints=LinearConstraint(D, 0, 1),
        bounds=Bounds(
            np.where(signs[free] > 0, 0.0, -np.inf), np.where(signs[free] < 0, 0.0, np.inf)
        ),
        options={"time_limit": _SECONDS},
    )
    if answer.x is None:
        return None
    margins = D @ answer.x
    terms = np.clip(abs(D) @ np.abs(answer.x), _LEAST_TERMS, 1.0)  # of which a margin is the sum
    if margins.max() < _SOME_MARGIN or (margins < -_ZERO_MARGIN * terms).any():
        return None
    return "complete separation" if margins.min() > _ZERO_MARGIN else "quasi-complete separation"


def _equilibrated(D: sp.csr_array) -> sp.csr_array:
    """Positive multiples of columns and rows, which change no sign of a margin.

    Columns are divided by their geometric mean, which a few large values do not make, and rows by
    their largest value, so that the tolerance of a programme is the same for all rows.
    """
    D = sp.csr_array(D, copy=True)
    D.eliminate_zeros()
    logs = np.log(np.abs(D.data))
    count = np.maximum(np.bincount(D.indices, minlength=D.shape[1]), 1)
    D.data /= np.exp(np.bincount(D.indices, logs, minlength=D.shape[1]) / count)[D.indices]
    largest = abs(D).max(axis=1).toarray().ravel()
    return sp.diags_array(1 / np.where(largest > 0, largest, 1.0)) @ D


def _differences(design: Any) -> sp.csr_array:
    """f(x_i, y_i) - f(x_i, c) for all rows and other classes, one a row, (n_pairs, n_params)."""
    features = [_features(design, c) for c in range(design.n_logits + design.reference)]
    own = sum(sp.diags_array((design.y == c) * 1.0) @ F for c, F in enumerate(features))
    other = design.y != np.arange(len(features))[:, None]
    if design.offset is not None:
        other &= np.isfinite(design.offset)
    return sp.vstack(
        [(own - F)[np.flatnonzero(rows)] for F, rows in zip(features, other, strict=True)],
        format="csr",
    )


def _features(design: Any, c: int) -> sp.csr_array:
    """f(x_i, c) with the intercepts among the features, (n, n_params)."""
    n, n_logits, k = design.n_rows, design.n_logits, c - design.reference
    one = np.ones((n, 1)) * (np.arange(n_logits) == k)
    F = sp.csr_array(design.features(c), dtype=np.float64)
    return sp.hstack([F, one], format="csr") if design.intercept else F
