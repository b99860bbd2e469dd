r"""The convex dual of maximum entropy, and Newton's method on it.

The distribution of largest entropy relative to a base with E f = tau is

    p(x) = base(x) exp(-lambda' f(x)) / Z(lambda)

(Su 2015, eqs. 20, 24; Jaynes 1957), where lambda minimises the dual, whose gradient is
tau - E f and whose Hessian is Cov f (Mead and Papanicolaou 1984):

    D(lambda) = log Z(lambda) + lambda' tau  >=  entropy of any distribution with E f = tau.

It is minimised in the white coordinates psi of `_white`, whose multipliers are eta.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from skem._numbers import NOT_ZERO
from skem.maxent.distribution.problem._feasibility import Constraints
from skem.maxent.distribution.problem._quadrature import Domain, log_integrand
from skem.maxent.distribution.solvers._white import (
    Moments,
    White,
    is_stale,
    moments,
    required_moments,
    whiten_anew,
)

SHORT, MAX_SHORT = 1e-3, 8  # steps of that length and fall, one after the other, lead nowhere
MET_EXACTLY = 1e-10  # what a constraint is missed by where no step need follow, in the units of MET
MET = 1e-7  # what a constraint may be missed by, in mean absolute deviations of its function
FAR = 1e12  # standard deviations from a density to constraints that it is not on the way to
STEEP = 0.1  # share of its first slope with which the dual falls where a longer step pays
HIDDEN = 1e-9  # of the size of the dual: falls that its rounding may hide
LONGEST = 2.0**10  # step, in units of Newton's
SUMMED = 64 * 2.0**-52  # rounding of an expectation, relative to that of the absolute values
BETTER = 0.5  # share to which a step past tol must shrink what the constraints are missed by

# The Newton equations count as solved where |g|^2 is at most that many times its bound, plus the
# rounding of g, relative to the squares of the expectations whose difference it is.
SOUND, SOUND_ROUNDING = 2, 1e-18
SINGULAR = 1e-14  # singular value, relative to the largest, that least squares leave out

# The line search.
ENOUGH = 1e-4  # share of the promised fall that is enough (Nocedal and Wright 2006, sec. 3.1)
NOISE = 1e-14  # rounding of the dual, relative to its terms, that a fall may lack ...
NOISE_LENGTH = 0.1  # ... if the step is longer: rounding is no reason to take a short one
MAX_HALVINGS = 40  # to 1e-12 of a step, where rounding hides what it does
MAX_BISECTIONS = 12  # between a wall and the last step before it
MAX_BISECTIONS_ON_POINTS = 60  # down to double precision: sums over points are cheap

# Steps past the tolerance.
MAX_POLISH = 8  # each squares the error, so that a few suffice
POLISHED = 1e-30  # nats: the step is 1e-15 standard deviations, which is rounding
MUCH = 0.25  # share of the gap that such a step must get below


class DualFit(NamedTuple):
    """Where a minimisation of the dual ended."""

    white: White  # the coordinates of eta and target
    eta: NDArray
    target: NDArray
    moments: Moments
    gap: float
    n_iter: int
    status: str  # 'converged', 'max_iter' or 'stalled'


def newton(
    domain: Domain,
    white: White,
    tau: NDArray,
    *,
    tol: float,
    max_iter: int,
    floor: float = -np.inf,
) -> DualFit:
    """Minimise D over eta by Newton's method with a line search; tau of shape (r,) is E phi B.

    The gap is half the squared Newton decrement: the fall that the quadratic model promises, and
    to second order the distance to the minimum. Far from it that may be a small part of the
    distance: a heavy tail makes the variance large, and the step and the decrement small. So a fit
    has converged where the gap is at most ``tol`` and the constraints are met. From there steps go
    on as long as they shorten the gap, to the limit of rounding. Below ``floor`` no feasible
    distribution exists.
    """
    eta = white.start
    state = required_moments(domain, white, eta)
    n_iter = n_short = 0
    integrates = not domain.is_sum  # each step is costly
    best: DualFit | None = None
    least = np.inf
    while True:
        if is_stale(state.covariance):
            white, eta, state = whiten_anew(white, state, eta)
        target = white.target(tau)
        gradient = target - state.mean
        step, gap = _newton_step(state.covariance, gradient)
        fit = DualFit(white, eta, target, state, gap, n_iter, "converged")
        if not _is_sound(gradient, gap, state, target):
            return best or fit._replace(gap=np.inf, status="stalled")
        if gap <= tol:
            fit = _polish(domain, fit)
            off = missed(white, fit.moments, tau)
            if off <= MET_EXACTLY:
                return fit
            if best is not None and off > BETTER * least:
                return best
            if off <= MET:
                best, least = fit, off
        if n_iter >= max_iter:
            return best or fit._replace(status="max_iter")
        found = _line_search(domain, white, target, eta, state, step, gap)
        if found is None or dual(white, target, *found[:2])[0] < floor:
            return best or fit._replace(status="stalled")
        fall = dual(white, target, eta, state)[0] - dual(white, target, *found[:2])[0]
        eta, state, length = found
        n_iter += 1
        n_short = n_short + 1 if length < SHORT and (fall < SHORT or integrates) else 0
        if n_short > MAX_SHORT:
            return best or fit._replace(status="stalled")


def missed(white: White, state: Moments, tau: NDArray) -> float:
    """The largest distance of E phi B from tau, in the units of these functions.

    The unit is E |phi B - tau|, of which the distance is at most the whole. A standard deviation
    would be no unit: that of a heavy tail hides any distance. Rounding counts as nothing.
    """
    p = state.probability
    possible = p > 0
    p, values = p[possible], state.nodes.basis[possible] @ white.B
    off = np.abs(p @ (values - tau)) - SUMMED * (p @ np.abs(values))
    unit = np.maximum(p @ np.abs(values - tau), NOT_ZERO)
    return float((np.maximum(off, 0.0) / unit).max(initial=0.0))


def are_within(state: Moments, A: NDArray, b: NDArray, constraints: Constraints) -> bool:
    """Whether expectations lie within their bounds, in the units of `missed`."""
    p = state.probability
    possible = p > 0
    values, p = state.nodes.basis[possible] @ A.T + b, p[possible]
    attained = p @ values
    nearest = np.clip(attained, constraints.lower, constraints.upper)
    room = MET * (p @ np.abs(values - nearest)) + SUMMED * (p @ np.abs(values) + np.abs(b))
    return bool((np.abs(attained - nearest) <= room).all())


def _is_sound(gradient: NDArray, gap: float, state: Moments, target: NDArray) -> bool:
    """Whether the Newton step solves its equations: |g|^2 <= g' H^-1 g tr H.

    It does not where the covariance has vanished because the constraints cannot hold.
    """
    if not np.isfinite(gap) or gap < 0 or not np.abs(gradient).max(initial=0.0) < FAR:
        return False
    rounding = SOUND_ROUNDING * (1.0 + float(target @ target))
    bound = 2 * gap * np.trace(state.covariance)
    return float(gradient @ gradient) <= SOUND * bound + rounding


def _newton_step(covariance: NDArray, gradient: NDArray) -> tuple[NDArray, float]:
    """The step, and half its decrement; not finite where the covariance has vanished."""
    with np.errstate(over="ignore", invalid="ignore"):
        step = -solve(covariance, gradient)
        return step, float(-gradient @ step) / 2


def solve(covariance: NDArray, right: NDArray) -> NDArray:
    """covariance^-1 right, for a covariance that may be badly scaled or nearly singular."""
    scale = np.sqrt(np.maximum(np.diag(covariance), NOT_ZERO))
    correlation = covariance / np.outer(scale, scale)
    try:
        return cho_solve(cho_factor(correlation), right / scale) / scale
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(correlation, right / scale, rcond=SINGULAR)[0] / scale


def _line_search(
    domain: Domain,
    white: White,
    target: NDArray,
    eta: NDArray,
    state: Moments,
    step: NDArray,
    gap: float,
) -> tuple[NDArray, Moments, float] | None:
    """Halve the step until the dual falls by a part of what was promised, or double it.

    It is doubled where the dual is still steep at its end, as it is where a heavy tail is taken off
    piece by piece. It begins no farther than where one point would outweigh all others. A step that
    became short has met such a wall; then the least value along the step is looked for, next to the
    wall, so that the next step knows it.
    """
    value, size = dual(white, target, eta, state)

    def attempt(length: float) -> tuple[NDArray, Moments, float] | None:
        new = eta + length * step
        found = moments(domain, white, new)
        if found is None:
            return None
        # Still downhill there: the convex dual has fallen, though rounding hides it.
        if gap < HIDDEN * max(size, 1.0) and (target - found.mean) @ step <= 0:
            return new, found, length
        fall = value - dual(white, target, new, found)[0]
        noise = NOISE * max(size, 1.0) if length > NOISE_LENGTH else 0.0
        return (new, found, length) if fall >= ENOUGH * length * 2 * gap - noise else None

    length = min(1.0, _wall(white, target, eta, state, step))
    for _ in range(MAX_HALVINGS):
        found = attempt(length)
        if found is not None:
            break
        length /= 2
    if found is None:
        return None

    def is_steep(point: tuple[NDArray, Moments, float]) -> bool:
        return bool((target - point[1].mean) @ step < -STEEP * 2 * gap)

    while 1 <= found[2] < LONGEST and is_steep(found):
        longer = attempt(2 * found[2])
        if longer is None:
            break
        found = longer
    if found[2] < SHORT:
        low, high = found[2], 2 * found[2]
        for _ in range(MAX_BISECTIONS_ON_POINTS if domain.is_sum else MAX_BISECTIONS):
            if not is_steep(found):
                break
            middle = attempt((low + high) / 2)
            if middle is None:
                high = (low + high) / 2
            else:
                low, found = middle[2], middle
    return found


def _wall(white: White, target: NDArray, eta: NDArray, state: Moments, step: NDArray) -> float:
    """Length of a step at which a point would get e times the probability of all together now."""
    log_p = log_integrand(state.nodes, white.theta(eta)) - state.log_z
    with np.errstate(over="ignore", invalid="ignore"):
        growth = (target + white.mean @ white.W - state.nodes.basis @ white.W) @ step
        grows = (growth > 0) & (log_p > -np.inf)
        return float(((1 - log_p[grows]) / growth[grows]).min(initial=np.inf))


def dual(white: White, target: NDArray, eta: NDArray, state: Moments) -> tuple[float, float]:
    """D = log Z + theta' tau of the basis, and the size of its terms."""
    inner = float(white.theta(eta) @ white.mean + eta @ target)
    return state.log_z + inner, abs(state.log_z) + abs(inner)


def _polish(domain: Domain, fit: DualFit) -> DualFit:
    """Full Newton steps, as long as each shortens the next by much."""
    for _ in range(MAX_POLISH):
        if fit.gap < POLISHED:
            break
        gradient = fit.target - fit.moments.mean
        step, gap = _newton_step(fit.moments.covariance, gradient)
        if not np.isfinite(gap):
            break
        eta = fit.eta + step
        state = moments(domain, fit.white, eta)
        if state is None:
            break
        _, gap = _newton_step(state.covariance, fit.target - state.mean)
        if not 0 <= gap < MUCH * fit.gap:
            break
        fit = fit._replace(eta=eta, moments=state, gap=gap, n_iter=fit.n_iter + 1)
    return fit
