r"""Constraints that bound an expectation, lower <= E f <= upper (Kazama and Tsujii 2003).

The dual gains a support function: with f = C psi + e, of shape (m, r) and (m,),

    D(lambda) = log Z(C' lambda) - lambda' e + sum_i max(lambda_i lower_i, lambda_i upper_i),

so lambda_i is positive only where the upper bound is active, negative only where the lower one is,
and zero where neither is. Each step minimises a quadratic model of log Z plus the exact rest. The
dual of that is a least distance problem, which non-negative least squares solve (Lawson and Hanson
1974, ch. 23). When the active constraints no longer change, Newton's method goes on with them
alone.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky
from scipy.optimize import nnls

from skem._numbers import NOT_ZERO
from skem.maxent.distribution.problem._feasibility import Constraints
from skem.maxent.distribution.problem._quadrature import Domain
from skem.maxent.distribution.solvers._dual import (
    ENOUGH,
    LONGEST,
    NOISE,
    STEEP,
    DualFit,
    are_within,
    newton,
)
from skem.maxent.distribution.solvers._white import (
    Moments,
    White,
    is_stale,
    moments,
    required_moments,
    whiten_anew,
)

# Multipliers below this share of the largest, in units of their functions, are rounding. An odd
# power must not have them: where the power above has none, no density could be normalised.
NEGLIGIBLE_MULTIPLIER = 1e-10
SETTLED = 1e-9  # nats of the model's fall below which the active constraints hardly change any more
# A multiplier below it is rounding, even with the sign of a bound that is not given.
NO_MULTIPLIER = 1e-14
RIDGE = 1e-14  # of the mean variance: makes a covariance that is singular but for rounding definite
# Residual of the distance problem, in units of one: no point of the model meets the constraints.
NO_RESIDUAL = 1e-14
MAX_HALVINGS_WITH_BOUNDS = 60  # to 1e-18 of a step, which changes no multiplier
MAX_TRIES = 3  # of one active set: Newton's method ends at the same point from anywhere


class BoundedFit(NamedTuple):
    """Where a minimisation under inequalities ended."""

    multipliers: NDArray  # (m,) of f
    fit: DualFit


def newton_with_bounds(
    domain: Domain,
    white: White,
    A: NDArray,
    b: NDArray,
    constraints: Constraints,
    *,
    tol: float,
    max_iter: int,
    start: NDArray,
    floor: float = -np.inf,
) -> BoundedFit:
    """Minimise D over the multipliers of f = A phi + b, from ``start``."""
    C, e = A @ white.back.T, A @ white.mean + b
    lam = start
    state = required_moments(domain, white, C.T @ lam, A.T @ lam)
    value = _value(lam, state, white, C, e, constraints)
    gap, status = np.inf, "max_iter"
    tried: Counter[bytes] = Counter()
    for n_iter in range(max_iter + 1):
        if is_stale(state.covariance):
            white, _, state = whiten_anew(white, state, C.T @ lam)
            C, e = A @ white.back.T, A @ white.mean + b
            value = _value(lam, state, white, C, e, constraints)
        new = _model_minimum(lam, state, C, e, constraints)
        if new is None:
            status = "stalled"
            break
        full, size = new, np.abs(new) * np.linalg.norm(C, axis=1)
        new = np.where(size > NEGLIGIBLE_MULTIPLIER * size.max(initial=0.0), new, 0.0)
        slope = (
            (new - lam) @ -(C @ state.mean + e)
            + _support(new, constraints)
            - _support(lam, constraints)
        )
        gap = max(-slope, 0.0)
        if gap <= max(tol, SETTLED):
            for lam_active in (full, new):
                active = np.sign(lam_active).tobytes()
                tried[active] += 1
                if tried[active] > MAX_TRIES:
                    continue
                fit = _with_active(
                    domain, white, A, C, b, lam_active, constraints, tol=tol, max_iter=max_iter
                )
                if fit is not None:
                    return fit._replace(fit=fit.fit._replace(n_iter=n_iter + fit.fit.n_iter))
        if n_iter == max_iter:
            break
        found = _line_search(domain, white, A, C, e, constraints, lam, new, value, slope)
        if found is None or found[2] < floor:
            status = "stalled"
            break
        lam, state, value = found
    return BoundedFit(lam, DualFit(white, C.T @ lam, state.mean, state, gap, n_iter, status))


def _support(lam: NDArray, constraints: Constraints) -> float:
    """sum_i max over tau_i of lambda_i tau_i, with 0 times infinity = 0."""
    with np.errstate(invalid="ignore"):
        terms = np.where(lam > 0, lam * constraints.upper, lam * constraints.lower)
    return float(terms[lam != 0].sum())


def admissible(lam: NDArray, constraints: Constraints) -> bool:
    """Whether the support function is finite."""
    return bool(np.isfinite(_support(np.where(np.abs(lam) > NO_MULTIPLIER, lam, 0.0), constraints)))


def _value(
    lam: NDArray, state: Moments, white: White, C: NDArray, e: NDArray, constraints: Constraints
) -> float:
    """D(lambda); the state has log Z of the basis, whose mean is no part of psi."""
    of_psi = state.log_z + float(white.W @ (C.T @ lam) @ white.mean)
    return of_psi - float(lam @ e) + _support(lam, constraints)


def _model_minimum(
    lam: NDArray, state: Moments, C: NDArray, e: NDArray, constraints: Constraints
) -> NDArray | None:
    """Minimum of the quadratic model of log Z plus the support function.

    Its dual: the s nearest to s0 = E psi + H eta in the metric of H^-1, H = Cov psi, that meets
    the constraints. With s = s0 + L z, H = L L', the smallest z with G z >= h.
    """
    H = state.covariance
    if not np.isfinite(H).all():
        return None
    try:
        L = cholesky(H + RIDGE * np.trace(H) / max(len(H), 1) * np.eye(len(H)), lower=True)
    except np.linalg.LinAlgError:
        return None
    s0 = state.mean + L @ (L.T @ (C.T @ lam))
    middle = C @ s0 + e
    scale = np.maximum(np.linalg.norm(C @ L, axis=1), NOT_ZERO)
    equal = constraints.equal
    lower, upper = ~equal & np.isfinite(constraints.lower), ~equal & np.isfinite(constraints.upper)
    rows = (C @ L) / scale[:, None]
    G = np.vstack([rows[equal], rows[lower], -rows[upper]])
    below, above = (constraints.lower - middle) / scale, (middle - constraints.upper) / scale
    h = np.concatenate([below[equal], below[lower], above[upper]])
    # Lawson and Hanson's problem LDP, in units in which the distance is about one.
    size = max(np.abs(h).max(initial=0.0), NOT_ZERO)
    E, f = np.vstack([G.T, h / size]), np.append(np.zeros(len(H)), 1.0)
    y = _least_squares(E, f, n_free=int(equal.sum()))
    residual = E @ y - f
    if abs(residual[-1]) < NO_RESIDUAL:
        return None
    y = size * y / abs(residual[-1])
    of_equal, of_lower, of_upper = np.split(y, np.cumsum([equal.sum(), lower.sum()]))
    new = np.zeros(len(lam))
    new[equal] -= of_equal / scale[equal]
    new[lower] -= of_lower / scale[lower]
    new[upper] += of_upper / scale[upper]
    return new


def _least_squares(E: NDArray, f: NDArray, n_free: int) -> NDArray:
    """The y nearest to E y = f, where all but the first ``n_free`` are not negative.

    What the free ones can do is taken out of the others first. As two that are not negative, with
    opposite columns, they would make the problem of the others singular.
    """
    free, others = E[:, :n_free], E[:, n_free:]
    if not n_free:
        return _not_negative(others, f)
    by_free = np.linalg.lstsq(free, np.column_stack([others, f]), rcond=None)[0]
    rest = np.column_stack([others, f]) - free @ by_free
    y = _not_negative(rest[:, :-1], rest[:, -1])
    return np.concatenate([by_free[:, -1] - by_free[:, :-1] @ y, y])


def _not_negative(E: NDArray, f: NDArray) -> NDArray:
    """Non-negative least squares; SciPy's writes past its memory where there are no unknowns."""
    return nnls(E, f)[0] if E.size else np.empty(0)


def _line_search(
    domain: Domain,
    white: White,
    A: NDArray,
    C: NDArray,
    e: NDArray,
    constraints: Constraints,
    lam: NDArray,
    new: NDArray,
    value: float,
    slope: float,
) -> tuple[NDArray, Moments, float] | None:
    def attempt(length: float) -> tuple[NDArray, Moments, float] | None:
        trial = new if length == 1.0 else lam + length * (new - lam)
        state = moments(domain, white, C.T @ trial, A.T @ trial)
        if state is None:
            return None
        found = _value(trial, state, white, C, e, constraints)
        enough = value + ENOUGH * length * slope + NOISE * max(abs(value), 1.0)
        return (trial, state, found) if found <= enough else None

    length = 1.0
    for _ in range(MAX_HALVINGS_WITH_BOUNDS):
        found = attempt(length)
        if found is not None:
            break
        length /= 2
    while found is not None and 1 <= length < LONGEST:  # as in `_dual`
        trial, state, _ = found
        after = (new - lam) @ -(C @ state.mean + e) + _support(new - lam + trial, constraints)
        if after - _support(trial, constraints) >= STEEP * slope:
            break
        length *= 2
        longer = attempt(length)
        if longer is None:
            break
        found = longer
    return found


def _with_active(
    domain: Domain,
    white: White,
    A: NDArray,
    C: NDArray,
    b: NDArray,
    lam: NDArray,
    constraints: Constraints,
    *,
    tol: float,
    max_iter: int,
) -> BoundedFit | None:
    """Newton's method with the active constraints as equalities; None if these are wrong."""
    active = lam != 0
    tau = np.where(lam > 0, constraints.upper, constraints.lower)[active]
    Q, R = np.linalg.qr(C[active].T)
    if np.abs(np.diag(R)).min(initial=1.0) == 0:
        return None
    # The active functions themselves, so that exactly what none of them needs is left out.
    M = np.linalg.inv(R)
    inner = White(
        white.mean, A[active].T, M, R, Q.T @ white.back, white.deviation, Q.T @ (C.T @ lam)
    )
    if moments(domain, inner, inner.start) is None:
        return None
    fit = newton(domain, inner, tau - b[active], tol=tol, max_iter=max_iter)
    new = np.zeros(len(lam))
    new[active] = fit.white.M @ fit.eta
    state = moments(domain, white, C.T @ new, A.T @ new)
    if fit.status != "converged" or state is None:
        return None
    right_sign = constraints.equal | (new * lam >= 0)
    if not (right_sign.all() and are_within(state, A, b, constraints)):
        return None
    return BoundedFit(new, fit)
