r"""Generalized and improved iterative scaling, as textbooks have them: for study.

Both raise the likelihood by one equation a feature. With q(c|x) the model now, f#(x, c) the sum
of the features of a pair and E the expectation over the data, a step d of the weights changes
the loss by no more than

    sum_j (-d_j E f_j(x, y) + E sum_c q(c|x) f_j(x, c) (exp(d_j g) - 1) / g),        g >= f#(x, c),

by Jensen's inequality for exp with the shares f_j / g, which asks for features that are not
negative. Each term is convex in a d_j of its own, least where

    E f_j(x, y) = E sum_c q(c|x) f_j(x, c) exp(d_j g),                                         (*)

so the objective never rises. An L2 penalty adds l2_j (w_j + d_j) on the right (Chen & Rosenfeld
1999).

- GIS (Darroch & Ratcliff 1972) has g = M, the largest sum of all pairs: without a penalty
  d_j = log(E f_j / E_q f_j) / M. A correction feature M - f# makes all sums M.
- IIS (Della Pietra, Della Pietra & Lafferty 1997) has g = f#, so steps are longer where sums
  vary. (*) is then a polynomial in exp(d_j), solved by Newton.

They end where every other solver ends, and later.

Conventions: J parameters (intercepts are features 1[y = c]); L levels of g;
T.shape = (L, J), expectations of f_j over the pairs at each level.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from skem.maxent.classifier.solvers._newton_step import newton_step
from skem.maxent.classifier.solvers._objective import Objective
from skem.maxent.classifier.solvers._smooth import Each, Result, at, go_on

_LONGEST = 7.0
"""A step multiplies the expectation of a feature by at most e^7: one that never occurs with its
class would ask for a weight of -inf at once."""

_N_LEVELS = 32
"""IIS rounds the sums of features up to so many levels; the inequality still holds."""

_CORRECTED = 1e-12
"""Share of the level that a correction feature, or its expectation, must have: less is rounding."""

_MAX_STEPS, _ROOT_TOL = 60, 1e-12
"""Newton's steps for the roots, at most, and a step, as a share of the longest, that ends them."""

_NEXT_PROOF, _BETWEEN_PROOFS = 1.2, 5
"""A proof of the gap costs several steps: the next one waits for a fifth more steps, and five."""


def _scale(
    objective: Objective,
    theta: NDArray,
    *,
    n_levels: int,
    tol: float,
    max_iter: int,
    each: Each = go_on,
) -> Result:
    """Iterative scaling until the duality gap is at most ``tol``."""
    design = objective.design
    weight = design.row_weight / design.total_weight
    sums = design.logits(np.ones(design.n_params))
    g, level = levels(sums, n_levels)
    observed = design.pull(weight * design.targets())
    corrected = n_levels == 1 and not objective.l2.any()

    value, gradient = objective.smooth(theta)
    result = Result(theta, value, np.inf, 0, [value])
    next_proof = 0.0
    while result.n_iter < max_iter:
        Q = weight * design.probabilities
        T = np.array([design.pull(Q * (level == i)) for i in range(len(g))])
        step = solve_equations(observed, T, g, objective.l2, theta)
        if corrected:
            rest = np.array([g[0] - observed.sum()]), np.array([g - T.sum()])
            if min(rest[0], rest[1].ravel()) > _CORRECTED * g[0]:
                # Raising M - f# by d is lowering all others by d: M is the same for all classes.
                step = step - solve_equations(*rest, g, np.zeros(1), np.zeros(1))
        theta = theta + step
        value, gradient = objective.smooth(theta)
        result.n_iter += 1
        result.values.append(value)
        small = result.values[-2] - value <= tol
        if small and result.n_iter >= next_proof:
            next_proof = _NEXT_PROOF * result.n_iter + _BETWEEN_PROOFS
            result.gap = min(result.gap, _gap(objective, theta, value, gradient))
        if each(result.n_iter, value, result.gap, at(theta)) or result.gap <= tol:
            break
    result.theta, result.value = theta, value
    if result.gap > tol:
        result.gap = min(result.gap, _gap(objective, theta, value, gradient))
    return result


def _gap(objective: Objective, theta: NDArray, value: float, gradient: NDArray) -> float:
    steps = newton_step(objective, gradient).step, np.zeros_like(theta)
    return min(objective.gap(theta, value, step) for step in steps)


def levels(sums: NDArray, n_levels: int) -> tuple[NDArray, NDArray]:
    """Levels g of the sums of features, and for each pair the number of its level, g >= sum."""
    g = np.unique(sums[sums > 0])
    if len(g) > n_levels:
        g = np.unique(np.quantile(g, np.linspace(0, 1, n_levels + 1)[1:], method="higher"))
    if len(g) == 0:
        g = np.ones(1)
    return g, np.searchsorted(g, sums)


def solve_equations(a: NDArray, T: NDArray, g: NDArray, l2: NDArray, w: NDArray) -> NDArray:
    """Roots d_j of a_j = sum_i T_ij exp(d_j g_i) + l2_j (w_j + d_j), all by Newton at once.

    Left minus right is concave and falls: from the second step on Newton comes down to the root
    from above.
    """
    d = np.zeros_like(a)
    longest = _LONGEST / g.max()
    for _ in range(_MAX_STEPS):
        terms = T * np.exp(np.outer(g, d))
        excess = a - terms.sum(0) - l2 * (w + d)
        slope = g @ terms + l2
        step = np.divide(excess, slope, out=np.zeros_like(d), where=slope > 0)
        new = np.clip(d + step, -longest, longest)
        if np.abs(new - d).max() <= _ROOT_TOL * longest:
            return new
        d = new
    return d


generalized_iterative_scaling = functools.partial(_scale, n_levels=1)
improved_iterative_scaling = functools.partial(_scale, n_levels=_N_LEVELS)
