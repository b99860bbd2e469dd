r"""Facts that bound an expectation, lower <= E f <= upper (Kazama and Tsujii 2003).

The dual gains a support function: with f = C psi + e, of shape (m, r) and (m,),

    D(lambda) = log Z(C' lambda) - lambda' e + sum_i max(lambda_i lower_i, lambda_i upper_i),

so lambda_i is positive only where the upper bound is active, negative only where the lower one is,
and zero where neither is. Each step minimises a quadratic model of log Z plus the exact rest. The
dual of that is a least distance problem, which non-negative least squares solve (Lawson and Hanson
1974, ch. 23). When the active facts no longer change, Newton's method goes on with them alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky
from scipy.optimize import nnls

from skem.maxent._dual import DualFit, Moments, White, moments, newton
from skem.maxent._feasibility import Facts
from skem.maxent._quadrature import Domain

# Multipliers below this share of the largest, in units of their functions, are rounding. An odd
# power must not have them: where the power above has none, no density could be normalised.
ROUNDING = 1e-10


class BoundedFit(NamedTuple):
    """Where a minimisation under inequalities ended."""

    multipliers: NDArray  # (m,) of f
    white: White  # the coordinates of the fit
    fit: DualFit


def newton_with_bounds(
    domain: Domain,
    white: White,
    A: NDArray,
    b: NDArray,
    facts: Facts,
    *,
    tol: float,
    max_iter: int,
    start: NDArray,
    floor: float = -np.inf,
) -> BoundedFit:
    """Minimise D over the multipliers of f = A phi + b, from ``start``."""
    C, e = A @ white.back.T, A @ white.mean + b
    lam = start
    state = moments(domain, white, C.T @ lam, A.T @ lam)
    assert state is not None
    value = _value(lam, state, white, C, e, facts)
    gap, status = np.inf, "max_iter"
    for n_iter in range(max_iter + 1):
        new = _model_minimum(lam, state, C, e, facts)
        if new is None:
            status = "stalled"
            break
        full, size = new, np.abs(new) * np.linalg.norm(C, axis=1)
        new = np.where(size > ROUNDING * size.max(initial=0.0), new, 0.0)
        slope = (new - lam) @ -(C @ state.mean + e) + _support(new, facts) - _support(lam, facts)
        gap = max(-slope, 0.0)
        if gap <= max(tol, 1e-9):
            for lam_active in (full, new):
                fit = _with_active(
                    domain, white, A, C, e, lam_active, facts, tol=tol, max_iter=max_iter
                )
                if fit is not None:
                    return fit._replace(fit=fit.fit._replace(n_iter=n_iter + fit.fit.n_iter))
        if n_iter == max_iter:
            break
        found = _line_search(domain, white, A, C, e, facts, lam, new, value, slope)
        if found is None or found[2] < floor:
            status = "stalled"
            break
        lam, state, value = found
    end = DualFit(C.T @ lam, state.mean, state, gap, n_iter, status)
    return BoundedFit(lam, white, end)


def _support(lam: NDArray, facts: Facts) -> float:
    """sum_i max over tau_i of lambda_i tau_i, with 0 times infinity = 0."""
    with np.errstate(invalid="ignore"):
        terms = np.where(lam > 0, lam * facts.upper, lam * facts.lower)
    return float(terms[lam != 0].sum())


def admissible(lam: NDArray, facts: Facts) -> bool:
    """Whether the support function is finite."""
    return bool(np.isfinite(_support(np.where(np.abs(lam) > 1e-14, lam, 0.0), facts)))


def _value(
    lam: NDArray, state: Moments, white: White, C: NDArray, e: NDArray, facts: Facts
) -> float:
    """D(lambda); the state has log Z of the basis, whose mean is no part of psi."""
    of_psi = state.log_z + float(white.W @ (C.T @ lam) @ white.mean)
    return of_psi - float(lam @ e) + _support(lam, facts)


def _model_minimum(
    lam: NDArray, state: Moments, C: NDArray, e: NDArray, facts: Facts
) -> NDArray | None:
    """Minimum of the quadratic model of log Z plus the support function.

    Its dual: the s nearest to s0 = E psi + H eta in the metric of H^-1, H = Cov psi, that meets
    the facts. With s = s0 + L z, H = L L', the smallest z with G z >= h.
    """
    H = state.covariance
    if not np.isfinite(H).all():
        return None
    try:
        L = cholesky(H + 1e-14 * np.trace(H) / max(len(H), 1) * np.eye(len(H)), lower=True)
    except np.linalg.LinAlgError:
        return None
    s0 = state.mean + L @ (L.T @ (C.T @ lam))
    middle = C @ s0 + e
    scale = np.maximum(np.linalg.norm(C @ L, axis=1), 1e-300)
    equal = facts.equal
    lower, upper = ~equal & np.isfinite(facts.lower), ~equal & np.isfinite(facts.upper)
    rows = (C @ L) / scale[:, None]
    G = np.vstack([rows[equal], rows[lower], -rows[upper]])
    below, above = (facts.lower - middle) / scale, (middle - facts.upper) / scale
    h = np.concatenate([below[equal], below[lower], above[upper]])
    # Lawson and Hanson's problem LDP, in units in which the distance is about one.
    size = max(np.abs(h).max(initial=0.0), 1e-300)
    E, f = np.vstack([G.T, h / size]), np.append(np.zeros(len(H)), 1.0)
    y = _least_squares(E, f, n_free=int(equal.sum()))
    residual = E @ y - f
    if abs(residual[-1]) < 1e-14:
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
        return nnls(others, f)[0]
    by_free = np.linalg.lstsq(free, np.column_stack([others, f]), rcond=None)[0]
    rest = np.column_stack([others, f]) - free @ by_free
    y = nnls(rest[:, :-1], rest[:, -1])[0] if others.size else np.empty(0)
    return np.concatenate([by_free[:, -1] - by_free[:, :-1] @ y, y])


def _line_search(
    domain: Domain,
    white: White,
    A: NDArray,
    C: NDArray,
    e: NDArray,
    facts: Facts,
    lam: NDArray,
    new: NDArray,
    value: float,
    slope: float,
) -> tuple[NDArray, Moments, float] | None:
    length = 1.0
    for _ in range(60):
        trial = new if length == 1.0 else lam + length * (new - lam)
        state = moments(domain, white, C.T @ trial, A.T @ trial)
        if state is not None:
            found = _value(trial, state, white, C, e, facts)
            if found <= value + 1e-4 * length * slope + 1e-14 * max(abs(value), 1.0):
                return trial, state, found
        length /= 2
    return None


def _with_active(
    domain: Domain,
    white: White,
    A: NDArray,
    C: NDArray,
    e: NDArray,
    lam: NDArray,
    facts: Facts,
    *,
    tol: float,
    max_iter: int,
) -> BoundedFit | None:
    """Newton's method with the active facts as equalities; None if they are not the right ones."""
    active = lam != 0
    tau = np.where(lam > 0, facts.upper, facts.lower)[active]
    Q, R = np.linalg.qr(C[active].T)
    if np.abs(np.diag(R)).min(initial=1.0) == 0:
        return None
    # W Q, in a form that leaves out exactly what no active function needs.
    W = np.linalg.solve(R.T, A[active]).T
    inner = White(white.mean, W, Q.T @ white.back, white.deviation, Q.T @ (C.T @ lam))
    target = np.linalg.lstsq(C[active] @ Q, tau - e[active], rcond=None)[0]
    if moments(domain, inner, inner.start) is None:
        return None
    fit = newton(domain, inner, target, tol=tol, max_iter=max_iter)
    new = np.zeros(len(lam))
    new[active] = np.linalg.lstsq(C[active].T, Q @ fit.eta, rcond=None)[0]
    state = moments(domain, white, C.T @ new, A.T @ new)
    if fit.status != "converged" or state is None:
        return None
    attained = C @ state.mean + e
    room = 1e-8 * np.maximum(np.linalg.norm(C, axis=1), 1e-300)
    inside = (attained >= facts.lower - room) & (attained <= facts.upper + room)
    right_sign = facts.equal | (new * lam >= 0)
    return BoundedFit(new, inner, fit) if (inside & right_sign).all() else None
