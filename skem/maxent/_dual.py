r"""The convex dual of maximum entropy, and Newton's method on it.

The distribution of largest entropy relative to a base with E f = tau is

    p(x) = base(x) exp(-lambda' f(x)) / Z(lambda)

(Su 2015, eqs. 20, 24; Jaynes 1957), where lambda minimises the dual, whose gradient is
tau - E f and whose Hessian is Cov f (Mead and Papanicolaou 1984):

    D(lambda) = log Z(lambda) + lambda' tau  >=  entropy of any distribution with E f = tau.

It is minimised in coordinates psi = (phi - mean) W that are white under a first density, of shape
(n, r), r the number of functions that are linearly independent on the support; eta of shape (r,)
are their multipliers, theta = W eta those of the basis phi.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from skem.maxent._quadrature import Domain, Nodes, PointDomain, log_integrand

DEPENDENT = 1e-11  # eigenvalue of the correlation matrix below which a combination is constant
SHORT, MAX_SHORT = 1e-3, 8  # steps of that length, one after the other, lead nowhere


class White(NamedTuple):
    """psi = (phi - mean) W, white under a first density, of which ``start`` is the eta."""

    mean: NDArray  # (k,)
    W: NDArray  # (k, r)
    back: NDArray  # (r, k): phi - mean = psi back, up to what is constant
    deviation: NDArray  # (k,) standard deviations of phi; one where it is constant
    start: NDArray  # (r,)

    def target(self, tau: NDArray) -> NDArray:
        """Expectations of psi that belong to expectations of phi."""
        return (tau - self.mean) @ self.W

    def theta(self, eta: NDArray) -> NDArray:
        """Multipliers of phi; what is only rounding is zero, as a top power must not have it."""
        theta = self.W @ eta
        return np.where(np.abs(theta) <= 1e-14 * (np.abs(self.W) @ np.abs(eta)), 0.0, theta)

    def contradiction(self, tau: NDArray) -> NDArray:
        """By how many standard deviations facts miss the linear dependences of phi."""
        left = tau - self.mean - self.target(tau) @ self.back
        return np.abs(left / self.deviation)


class Moments(NamedTuple):
    """A density, and what it says of psi."""

    log_z: float  # of base exp(-theta' phi) dy
    mean: NDArray  # (r,)
    covariance: NDArray  # (r, r)
    nodes: Nodes
    probability: NDArray  # (n,) of the nodes


class DualFit(NamedTuple):
    """Where a minimisation of the dual ended."""

    eta: NDArray
    target: NDArray
    moments: Moments
    gap: float
    n_iter: int
    status: str  # 'converged', 'max_iter' or 'stalled'


def whiten(domain: Domain, start: NDArray) -> White:
    """White coordinates under the density with multipliers ``start`` of the basis."""
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
    return White(mean, W, back, units, back @ start)


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
    psi = (nodes.basis - white.mean) @ white.W
    mean = p @ psi
    psi -= mean
    return Moments(log_z, mean, (p[:, None] * psi).T @ psi, nodes, p)


def newton(
    domain: Domain,
    white: White,
    target: NDArray,
    *,
    tol: float,
    max_iter: int,
    eta: NDArray | None = None,
    floor: float = -np.inf,
) -> DualFit:
    """Minimise D over eta by Newton's method with a line search.

    The gap is half the squared Newton decrement: the fall that the quadratic model promises, and
    to second order the distance to the minimum. Once it is at most ``tol``, steps go on as long as
    they shorten it, to the limit of rounding. Below ``floor`` no feasible distribution exists.
    """
    eta = white.start if eta is None else eta
    state = moments(domain, white, eta)
    assert state is not None
    n_iter = n_short = 0
    while True:
        gradient = target - state.mean
        step = -solve(state.covariance, gradient)
        gap = float(-gradient @ step) / 2
        if not _is_sound(gradient, gap, state, target):
            return DualFit(eta, target, state, np.inf, n_iter, "stalled")
        if gap <= tol:
            return _polish(
                domain, white, target, DualFit(eta, target, state, gap, n_iter, "converged")
            )
        if n_iter == max_iter:
            return DualFit(eta, target, state, gap, n_iter, "max_iter")
        found = _line_search(domain, white, target, eta, state, step, gap)
        if found is None or dual(white, target, *found[:2])[0] < floor:
            return DualFit(eta, target, state, gap, n_iter, "stalled")
        eta, state, length = found
        n_iter += 1
        n_short = n_short + 1 if length < SHORT else 0
        if n_short > MAX_SHORT:
            return DualFit(eta, target, state, gap, n_iter, "stalled")


def _is_sound(gradient: NDArray, gap: float, state: Moments, target: NDArray) -> bool:
    """Whether the Newton step solves its equations: |g|^2 <= g' H^-1 g tr H.

    It does not where the covariance has vanished because the facts cannot hold.
    """
    if not np.isfinite(gap) or gap < 0:
        return False
    rounding = 1e-18 * (1.0 + float(target @ target))
    return float(gradient @ gradient) <= 4 * gap * np.trace(state.covariance) + rounding


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
    """Halve the step until the dual falls by a part of what was promised."""
    value, size = dual(white, target, eta, state)
    length = 1.0
    for _ in range(40):
        new = eta + length * step
        found = moments(domain, white, new)
        if found is not None:
            fall = value - dual(white, target, new, found)[0]
            noise = 1e-14 * max(size, 1.0) if length > 0.1 else 0.0
            if fall >= 1e-4 * length * 2 * gap - noise:
                return new, found, length
        length /= 2
    return None


def dual(white: White, target: NDArray, eta: NDArray, state: Moments) -> tuple[float, float]:
    """D = log Z + theta' tau of the basis, and the size of its terms."""
    inner = float(white.W @ eta @ (white.mean + target @ white.back))
    return state.log_z + inner, abs(state.log_z) + abs(inner)


def _polish(domain: Domain, white: White, target: NDArray, fit: DualFit) -> DualFit:
    """Full Newton steps, as long as each shortens the next by much."""
    for _ in range(8):
        if fit.gap < 1e-30:
            break
        gradient = target - fit.moments.mean
        eta = fit.eta - solve(fit.moments.covariance, gradient)
        state = moments(domain, white, eta)
        if state is None:
            break
        gradient = target - state.mean
        gap = float(gradient @ solve(state.covariance, gradient)) / 2
        if not 0 <= gap < 0.25 * fit.gap:
            break
        fit = DualFit(eta, target, state, gap, fit.n_iter + 1, "converged")
    return fit


def expectations(state: Moments, values: NDArray) -> Any:
    """Expectation of values at the nodes, of shape (n,) or (n, m)."""
    possible = state.probability > 0
    return state.probability[possible] @ values[possible]
