"""Minimise an objective with absolute values: proximal Newton by coordinate descent.

Each step minimises the quadratic model of the loss with the exact curvature of the softmax, plus
the penalty as it is (Friedman, Hastie & Tibshirani 2010; Yuan, Ho & Lin 2012), over a working set
of weights: those that are not zero, and as many again of those that most want to leave zero
(Massias, Gramfort & Salmon 2018). Where coordinate descent is slow, as it is when columns are
correlated, the weights that are not zero take a Newton step together, by a Cholesky factor, which
costs what a few hundred passes do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from skem._numbers import NOT_ZERO
from skem.maxent.classifier.designs._column_units import SPREADLESS
from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers._newton_step import proven_gap
from skem.maxent.classifier.solvers._objective import Objective
from skem.maxent.classifier.solvers._smooth import Each, Result, at, go_on

if TYPE_CHECKING:
    from skem.maxent.classifier.solvers._coordinate_kernels import Model

_FIRST = 300
"""Weights of the first working set."""
_MAX_FACE = 2000
"""Weights that a Cholesky factor is made for."""
_FARTHEST = 1e100
"""Steps beyond this are along what is flat but for rounding, and are not taken."""
_MAX_ROUNDS = 20
"""Of coordinate descent and Newton steps in turn, for one model."""
_SWEEPS, _WEIGHTS_A_SWEEP, _SWEEPS_ALONE = 10, 4, 200
"""Sweeps before a Newton step: these, and one more for so many weights, as a factor costs more
then; and where there are too many for a factor."""
_RANK = 1e-12
"""Singular values, as a share of the largest, below which a curvature of intercepts is rounding."""
_RIDGE = 1e-12
"""What is added to the diagonal of a face, as a share of it, so that it has a factor."""
_LEAST_FREQUENCY = 1e-12
"""Least frequency of a class in a start, so that it has a logarithm."""
_FINEST, _COARSEST = 1e-12, 1e-2
"""A model is minimised to a share of what there is to do: as much as that is of the value, within
these limits. Near the optimum, steps are ever more exact."""
_NEAR = 10
"""A proof of the gap is worth its price where a step promises no more than so many times ``tol``.
"""
_LOOSE = 100
"""A gap so many times what a step promises needs no better proof before the step is taken."""
_ENOUGH = 1e-2
"""Share of the promised fall with which a step is content (Armijo)."""


class _Columns:
    """X by columns, a copy: CSC, or dense columns less their means.

    Attributes
    ----------
    data, indices, indptr : ndarray
        As in CSC; dense columns have no indices.
    centre : ndarray of shape (p,)
        What was taken from dense columns; zeros for sparse ones and without intercepts.
    means, scales : ndarray of shape (p,)
        Weighted means (zeros without intercepts) and deviations from them.
    """

    def __init__(self, design: LinearDesign):
        weight = np.broadcast_to(design.row_weight, design.n_rows) / design.total_weight
        first, second = design.moments(weight[None])
        self.means = first[0] if design.intercept else np.zeros(design.n_columns)
        spread = second[0] - self.means**2
        self.scales = np.sqrt(np.where(spread > SPREADLESS * second[0], spread, 1.0))
        if design.sparse:
            X = design.X.tocsc()
            X.sum_duplicates()
            self.data, self.indices, self.indptr = X.data, X.indices, X.indptr
            self.centre: NDArray = np.zeros(design.n_columns)
        else:
            self.centre = self.means.astype(design.X.dtype)
            self.data = np.subtract(design.X.T, self.centre[:, None], order="C").ravel()
            self.indices = np.empty(0, dtype=np.int32)
            self.indptr = np.arange(design.n_columns + 1) * design.n_rows

    @property
    def csc(self) -> tuple[NDArray, NDArray, NDArray]:
        return self.data, self.indices, self.indptr


def _model(
    objective: Objective[LinearDesign],
    columns: _Columns,
    W: NDArray,
    G: NDArray,
    gb: NDArray,
    working: NDArray,
) -> Model:
    """The model at the parameters evaluated last, for some of the weights, before any step.

    Parameters
    ----------
    W, G : ndarray of shape (n_logits, n_columns)
        Weights, and the gradient of the smooth part.
    gb : ndarray of shape (n_logits,)
        Gradient for the intercepts.
    working : ndarray of int
        Indices into W flattened.
    """
    from skem.maxent.classifier.solvers._coordinate_kernels import Model, curve

    design = objective.design
    logit, column = np.divmod(working, W.shape[1])
    p = design.probabilities
    h = p * (design.row_weight / design.total_weight)
    inverse: NDArray = np.zeros((len(W), len(W)))
    if design.intercept:
        own = np.diag(h.sum(1)) - h @ p.T
        inverse = np.linalg.pinv(own, rcond=_RANK, hermitian=True)
    diagonal, cross, answer = curve(*columns.csc, column, logit, p, h, inverse)
    l2 = objective.l2[working]
    return Model(
        *columns.csc,
        column=column,
        logit=logit,
        p=p,
        h=h,
        g=(G - gb[:, None] * columns.centre).ravel()[working],
        l1=objective.l1[working],
        l2=l2,
        diagonal=diagonal + l2,
        cross=cross,
        answer=answer,
        w=W.ravel()[working],
        d=np.zeros(len(working)),
        beta=-inverse @ gb,
        z=np.zeros_like(p),
        q=np.zeros(design.n_rows),
    )


def _decrement(model: Model, gb: NDArray) -> float:
    """What each coordinate would do alone, summed, in nats: how much there is to do."""
    use = model.diagonal > 0
    slope, w, c = (model.g + model.cross @ model.beta)[use], model.w[use], model.diagonal[use]
    aim = w - slope / c
    new = np.sign(aim) * np.maximum(np.abs(aim) - model.l1[use] / c, 0.0)
    return float((c * (new - w) ** 2).sum()) - float(gb @ model.beta)


def _minimise_model(model: Model, share: float) -> None:
    """Minimise until a pass of coordinate descent does no more than ``share`` nats."""
    from skem.maxent.classifier.solvers import _coordinate_kernels as kernels

    for _ in range(_MAX_ROUNDS):
        n_nonzero = np.count_nonzero(model.w)
        with_factor = n_nonzero <= _MAX_FACE
        n_sweeps = _SWEEPS + n_nonzero // _WEIGHTS_A_SWEEP if with_factor else _SWEEPS_ALONE
        if kernels.descend(model, share, n_sweeps):
            break
        face = np.flatnonzero(model.w)
        if len(face) <= _MAX_FACE:
            H, slope = kernels.gram(model, face), kernels.slopes(model, face)
            kernels.move(model, face, _on_face(H, slope, model.w[face], model.l1[face]))


def _on_face(H: NDArray, slope: NDArray, w: NDArray, l1: NDArray) -> NDArray:
    """Minimise slope'd + d'Hd / 2 + l1'|w + d| by Newton steps; no sign changes, but to zero."""
    sign, w = np.sign(w), w.copy()
    slope = slope + sign * l1
    free = np.arange(len(w))
    H[np.diag_indices(len(w))] *= 1 + _RIDGE
    while free.size:
        part = H[np.ix_(free, free)]
        try:
            factor = scipy.linalg.cho_factor(part, lower=True, check_finite=False)
        except scipy.linalg.LinAlgError:
            break
        full = -scipy.linalg.cho_solve(factor, slope[free], check_finite=False)
        if not (np.abs(full) < _FARTHEST).all():
            break
        crossing = (w[free] + full) * sign[free] <= 0
        step = np.where(crossing, -w[free], full)
        if crossing.any() and slope[free] @ step + step @ (part @ step) / 2 > 0:
            lengths = np.where(crossing, -w[free] / np.where(crossing, full, 1.0), np.inf)
            crossing = lengths <= lengths.min()
            step = np.where(crossing, -w[free], full * lengths.min())
        w[free] = np.where(crossing, 0.0, w[free] + step)
        slope = slope + H[:, free] @ step
        if not crossing.any():
            break
        free = free[~crossing]
    return w


def _working_set(W: NDArray, G: NDArray, l1: NDArray, scales: NDArray) -> NDArray:
    """Weights not zero or without L1, and as many of the others that most want to move."""
    excess = np.maximum(np.abs(G) - l1, 0.0) / scales
    use = ((W != 0) | (l1 == 0)).ravel()
    excess = np.where(use, 0.0, excess.ravel())
    n_more = max(_FIRST, int(use.sum()))
    if int((excess > 0).sum()) > n_more:
        excess[excess < np.partition(excess, -n_more)[-n_more]] = 0.0
    return np.flatnonzero(use | (excess > 0))


def coordinate_descent(
    objective: Objective[LinearDesign],
    theta: NDArray,
    *,
    tol: float,
    max_iter: int,
    each: Each = go_on,
) -> Result:
    """Minimise until the duality gap is at most ``tol``.

    Parameters
    ----------
    objective : Objective
        Of a `LinearDesign`.
    theta : ndarray of shape (n_params,)
        Start.
    tol : float
        Gap in nats per unit of sample weight.
    max_iter : int
        Maximum number of proximal Newton steps.
    each : callable
        Called after each step; True stops.
    """
    design = objective.design
    columns = _Columns(design)
    theta = theta if theta.any() else _class_frequencies(design)
    smooth, gradient = objective.smooth(theta)
    value, lower = smooth + objective.absolute(theta), -np.inf
    result = Result(theta, value, np.inf, 0, [value])
    while result.n_iter < max_iter:
        step, promised = _step(objective, columns, theta, value, gradient)
        if promised <= _NEAR * tol or promised * promised <= tol * value:
            gap = proven_gap(
                objective, theta, value, gradient, step, enough=max(_LOOSE * promised, tol)
            )
            lower = max(lower, value - gap)
        moved = _search(objective, theta, step, value, promised)
        if moved is not None:
            theta, value, gradient = moved
            result.n_iter += 1
            result.values.append(value)
        result.gap = value - lower
        asked = moved is not None and each(result.n_iter, value, result.gap, at(theta))
        if moved is None or asked or result.gap <= tol:
            break
    if not np.isfinite(lower):
        zero = np.zeros_like(theta)
        lower = value - proven_gap(objective, theta, value, gradient, zero, enough=tol)
    result.theta, result.value, result.gap = theta, value, max(value - lower, 0.0)
    return result


def _class_frequencies(design: LinearDesign) -> NDArray:
    """Zero weights, with the intercepts that are best for them."""
    means = (design.targets() * design.row_weight).sum(1) / design.total_weight
    log_means = np.log(np.maximum(means, _LEAST_FREQUENCY))
    if design.reference:
        b = log_means - np.log(np.maximum(1 - means, _LEAST_FREQUENCY))
    else:
        b = log_means - log_means.mean()
    return design.join(np.zeros(design.n_weights), b)


def _step(
    objective: Objective[LinearDesign],
    columns: _Columns,
    theta: NDArray,
    value: float,
    gradient: NDArray,
) -> tuple[NDArray, float]:
    """Step to the minimum of the model, and by how much the model lowers F, in nats.

    Zeros where the model is so flat that rounding decides.
    """
    design = objective.design
    (weights, _), (slope, gb) = design.split(theta), design.split(gradient)
    W, G = design.matrix(weights), design.matrix(slope)
    l1 = design.matrix(objective.l1[: design.n_weights])
    working = _working_set(W, G - gb[:, None] * columns.means, l1, columns.scales)
    model = _model(objective, columns, W, G, gb, working)
    todo = _decrement(model, gb)
    _minimise_model(model, todo * np.clip(todo / max(value, NOT_ZERO), _FINEST, _COARSEST))
    D = np.zeros(W.shape)
    D.ravel()[working] = model.d
    step = design.join(D, model.beta - D @ columns.centre)
    # What became zero is zero, whatever rounding says of theta + step.
    step[working] = np.where(model.w == 0, -theta[working], step[working])
    L = model.z + model.beta[:, None]
    if not ((np.abs(step) < _FARTHEST).all() and (np.abs(L) < _FARTHEST).all()):
        return np.zeros_like(step), 0.0
    bent = float((model.h * L * (L - (model.p * L).sum(0))).sum()) + objective.l2 @ step**2
    absolute = objective.absolute(theta + step) - objective.absolute(theta)
    return step, -float(gradient @ step + bent / 2 + absolute)


def _search(
    objective: Objective[LinearDesign], theta: NDArray, step: NDArray, value: float, promised: float
) -> tuple[NDArray, float, NDArray] | None:
    """Parameters that lower F, with value and gradient there; None if rounding is all there is."""
    length = 1.0
    while promised * length > np.finfo(np.float64).eps * value / 4:
        new = theta + length * step
        smooth, gradient = objective.smooth(new)
        new_value = smooth + objective.absolute(new)
        if new_value < value - _ENOUGH * length * promised:
            return new, new_value, gradient
        length /= 2
    objective.smooth(theta)
    return None
