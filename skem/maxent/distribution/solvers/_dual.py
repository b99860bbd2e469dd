r"""The convex dual of maximum entropy, and Newton's method on it.

The distribution of largest entropy relative to a base with E f = tau is

    p(x) = base(x) exp(-lambda' f(x)) / Z(lambda)

(Su 2015, eqs. 20, 24; Jaynes 1957), where lambda minimises the dual, whose gradient is
tau - E f and whose Hessian is Cov f (Mead and Papanicolaou 1984):

    D(lambda) = log Z(lambda) + lambda' tau  >=  entropy of any distribution with E f = tau.

It is minimised in coordinates psi = (phi - mean) W that are white under a density on the way, of
shape (n, r), r the number of functions that are linearly independent on the support; eta of shape
(r,) are their multipliers, theta = W eta those of the basis phi. W = B M, where phi B are r
independent functions, the same all along, and M makes them white. When the covariance of psi is no
longer near 1, they are made white anew, so that what is small or singular is judged in units of the
density that was reached, not of the first one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from skem.maxent.distribution.problem._feasibility import ConstraintError, Facts
from skem.maxent.distribution.problem._features import Functions
from skem.maxent.distribution.problem._quadrature import (
    Domain,
    LineDomain,
    Nodes,
    PointDomain,
    log_integrand,
)

DEPENDENT = 1e-11  # eigenvalue of the correlation matrix below which a combination is constant
STALE = 1e2  # variances of psi beyond which, or below its inverse, they are made white anew
SHORT, MAX_SHORT = 1e-3, 8  # steps of that length and fall, one after the other, lead nowhere
EXACT = 1e-10  # what a fact is missed by where no step need follow, in the units of MET
MET = 1e-7  # what a fact may be missed by, in mean absolute deviations of its function
FAR = 1e12  # standard deviations from a density to facts that it is not on the way to
STEEP = 0.1  # share of its first slope with which the dual falls where a longer step pays
HIDDEN = 1e-9  # of the size of the dual: falls that its rounding may hide
LONGEST = 2.0**10  # step
_EPS = 2.0**-52


class White(NamedTuple):
    """psi = (phi - mean) B M, white under a density; ``start`` is the eta of the first one."""

    mean: NDArray  # (k,)
    B: NDArray  # (k, r)
    M: NDArray  # (r, r)
    M_inverse: NDArray  # (r, r)
    back: NDArray  # (r, k): phi - mean = psi back, up to what is constant
    deviation: NDArray  # (k,) standard deviations of phi; one where it is constant
    start: NDArray  # (r,)
    exact: bool = True  # whether multipliers that are only rounding must be zero, as of powers

    @property
    def W(self) -> NDArray:
        """The coordinates as combinations of phi, shape (k, r)."""
        return self.B @ self.M

    def target(self, tau: NDArray) -> NDArray:
        """Expectations of psi that belong to expectations tau of phi B, of shape (r,)."""
        return (tau - self.mean @ self.B) @ self.M

    def theta(self, eta: NDArray) -> NDArray:
        """Multipliers of phi; what is only rounding is zero, as a top power must not have it."""
        W = self.W
        theta = W @ eta
        if not self.exact:
            return theta
        return np.where(np.abs(theta) <= 1e-14 * (np.abs(W) @ np.abs(eta)), 0.0, theta)

    def contradiction(self, tau: NDArray) -> NDArray:
        """By how much facts miss the linear dependences of phi."""
        return np.abs(tau - self.mean - self.target(tau @ self.B) @ self.back)


def plain(k: int) -> White:
    """The basis itself as coordinates."""
    one = np.eye(k)
    return White(np.zeros(k), one, one, one, one, np.ones(k), np.zeros(k))


class Moments(NamedTuple):
    """A density, and what it says of psi."""

    log_z: float  # of base exp(-theta' phi) dy
    mean: NDArray  # (r,)
    covariance: NDArray  # (r, r)
    nodes: Nodes
    probability: NDArray  # (n,) of the nodes


class DualFit(NamedTuple):
    """Where a minimisation of the dual ended."""

    white: White  # the coordinates of eta and target
    eta: NDArray
    target: NDArray
    moments: Moments
    gap: float
    n_iter: int
    status: str  # 'converged', 'max_iter' or 'stalled'


def whiten(domain: Domain, start: NDArray) -> White:
    """White coordinates under the density with multipliers ``start`` of the basis.

    Combinations that are constant under this density are left out, unless points are known to have
    none.
    """
    nodes = domain.nodes(start)
    assert nodes is not None
    p = _probability(log_integrand(nodes, start))[1]
    mean = p @ nodes.basis
    centered = nodes.basis - mean
    covariance = (p[:, None] * centered).T @ centered
    deviation = np.sqrt(np.diag(covariance))
    everywhere = (
        nodes.basis if isinstance(domain, PointDomain) else nodes.basis[p > 1e-18 * p.max()]
    )
    size = np.abs(everywhere).max(axis=0, initial=0.0)
    k = len(mean)
    exact = not (isinstance(domain, LineDomain) and isinstance(domain.features, Functions))
    if isinstance(domain, PointDomain) and domain.independent:
        M, M_inverse = _whitening(covariance)
        return White(mean, np.eye(k), M, M_inverse, M_inverse, deviation, M_inverse @ start, exact)
    constant = deviation <= 1e-12 * size
    deviation = np.where(constant, 1.0, deviation)
    correlation = np.where(np.outer(constant, constant), 0.0, covariance)
    correlation = correlation / np.outer(deviation, deviation)
    values, vectors = np.linalg.eigh(correlation)
    keep = values > DEPENDENT * max(values.max(initial=0.0), 1e-300)
    roots = np.sqrt(values[keep])
    W = vectors[:, keep] / roots / deviation[:, None]
    back = (vectors[:, keep] * roots).T * deviation
    units = np.where(constant, np.maximum(size, 1e-300), deviation)
    if keep.all():
        return White(mean, np.eye(k), W, back, back, units, back @ start, exact)
    one = np.eye(int(keep.sum()))
    return White(mean, W, one, one, back, units, back @ start, exact)


def _whitening(covariance: NDArray) -> tuple[NDArray, NDArray]:
    """M with M' C M = 1, and its inverse; where C is singular in double precision, less than 1."""
    deviation = np.sqrt(np.diag(covariance))
    # A function that is constant as far as double precision tells keeps its unit.
    deviation = np.where(deviation > 0, deviation, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
    roots = np.sqrt(np.maximum(values, DEPENDENT * max(values.max(initial=0.0), 1e-300)))
    return vectors / roots / deviation[:, None], (vectors * roots).T * deviation


def whiten_anew(white: White, state: Moments, eta: NDArray) -> tuple[White, NDArray, Moments]:
    """The same functions, white under the density that was reached; its eta, and its moments."""
    p, basis = state.probability, state.nodes.basis
    mean = p @ basis
    used = (basis - mean) @ white.B
    M, M_inverse = _whitening((p[:, None] * used).T @ used)
    back = M_inverse @ (white.M @ white.back)
    new = white._replace(mean=mean, M=M, M_inverse=M_inverse, back=back)
    return new, M_inverse @ (white.M @ eta), _of_density(new, state.log_z, state.nodes, p)


def is_stale(covariance: NDArray) -> bool:
    """Whether coordinates are far from white."""
    if not np.isfinite(covariance).all():
        return False
    values = np.linalg.eigvalsh(covariance)
    return bool(len(values) and (values[0] < 1 / STALE or values[-1] > STALE))


def _probability(log_values: NDArray) -> tuple[float, NDArray]:
    """Log of the sum, and the shares."""
    top = float(log_values.max())
    p = np.exp(log_values - top)
    total = float(p.sum())
    # Divided by the sum itself: log Z may be large, and exp(x - log Z) would not add up to one.
    return top + float(np.log(total)), p / total


def moments(
    domain: Domain, white: White, eta: NDArray, theta: NDArray | None = None
) -> Moments | None:
    """The density with multipliers theta = W eta; None if it cannot be normalised."""
    theta = white.theta(eta) if theta is None else theta
    nodes = domain.nodes(theta)
    if nodes is None:
        return None
    log_z, p = _probability(log_integrand(nodes, theta))
    return _of_density(white, log_z, nodes, p)


def _of_density(white: White, log_z: float, nodes: Nodes, p: NDArray) -> Moments:
    possible = p > 0  # elsewhere functions may be too large for any product
    share = p[possible]
    psi = (nodes.basis[possible] - white.mean) @ white.W
    mean = share @ psi
    psi -= mean
    return Moments(log_z, mean, (share[:, None] * psi).T @ psi, nodes, p)


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
    has converged where the gap is at most ``tol`` and the facts are met. From there steps go on as
    long as they shorten the gap, to the limit of rounding. Below ``floor`` no feasible distribution
    exists.
    """
    eta = white.start
    state = moments(domain, white, eta)
    if state is None:
        raise ConstraintError(
            "No multipliers were found that double precision can tell from those for which the "
            "density has no normaliser. Change the units or the origin of the features."
        )
    n_iter = n_short = 0
    integrates = not isinstance(domain, PointDomain)  # each step is costly
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
            if off <= EXACT:
                return fit
            if best is not None and off > least / 2:
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
    off = np.abs(p @ (values - tau)) - 64 * _EPS * (p @ np.abs(values))
    unit = np.maximum(p @ np.abs(values - tau), 1e-300)
    return float((np.maximum(off, 0.0) / unit).max(initial=0.0))


def are_within(state: Moments, A: NDArray, b: NDArray, facts: Facts) -> bool:
    """Whether expectations lie within their bounds, in the units of `missed`."""
    p = state.probability
    possible = p > 0
    values, p = state.nodes.basis[possible] @ A.T + b, p[possible]
    attained = p @ values
    nearest = np.clip(attained, facts.lower, facts.upper)
    room = MET * (p @ np.abs(values - nearest)) + 64 * _EPS * (p @ np.abs(values) + np.abs(b))
    return bool((np.abs(attained - nearest) <= room).all())


def _is_sound(gradient: NDArray, gap: float, state: Moments, target: NDArray) -> bool:
    """Whether the Newton step solves its equations: |g|^2 <= g' H^-1 g tr H.

    It does not where the covariance has vanished because the facts cannot hold.
    """
    if not np.isfinite(gap) or gap < 0 or not np.abs(gradient).max(initial=0.0) < FAR:
        return False
    rounding = 1e-18 * (1.0 + float(target @ target))
    return float(gradient @ gradient) <= 4 * gap * np.trace(state.covariance) + rounding


def _newton_step(covariance: NDArray, gradient: NDArray) -> tuple[NDArray, float]:
    """The step, and half its decrement; not finite where the covariance has vanished."""
    with np.errstate(over="ignore", invalid="ignore"):
        step = -solve(covariance, gradient)
        return step, float(-gradient @ step) / 2


def solve(covariance: NDArray, right: NDArray) -> NDArray:
    """covariance^-1 right, for a covariance that may be badly scaled or nearly singular."""
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    correlation = covariance / np.outer(scale, scale)
    try:
        return cho_solve(cho_factor(correlation), right / scale) / scale
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(correlation, right / scale, rcond=1e-14)[0] / scale


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
        noise = 1e-14 * max(size, 1.0) if length > 0.1 else 0.0
        return (new, found, length) if fall >= 1e-4 * length * 2 * gap - noise else None

    length = min(1.0, _wall(white, target, eta, state, step))
    for _ in range(40):
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
        for _ in range(60 if isinstance(domain, PointDomain) else 12):
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
    for _ in range(8):
        if fit.gap < 1e-30:
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
        if not 0 <= gap < 0.25 * fit.gap:
            break
        fit = fit._replace(eta=eta, moments=state, gap=gap, n_iter=fit.n_iter + 1)
    return fit
