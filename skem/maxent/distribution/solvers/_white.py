r"""White coordinates of the basis, and what a density says in them.

The dual is minimised in coordinates psi = (phi - mean) W that are white under a density on the way,
of shape (n, r), r the number of functions that are linearly independent on the support; eta of
shape (r,) are their multipliers, theta = W eta those of the basis phi. W = B M, where phi B are r
independent functions, the same all along, and M makes them white. When the covariance of psi is no
longer near 1, they are made white anew, so that what is small or singular is judged in units of the
density that was reached, not of the first one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem._numbers import NOT_ZERO
from skem.maxent.distribution.problem._quadrature import (
    Domain,
    Nodes,
    log_integrand,
    normalised_nodes,
)

DEPENDENT = 1e-11  # eigenvalue of the correlation matrix below which a combination is constant
CONSTANT_FUNCTION = 1e-12  # standard deviation, relative to its size, of a constant one
VISIBLE = 1e-18  # of the largest probability: nodes below it do not say how large functions are
STALE = 1e2  # variances of psi beyond which, or below its inverse, they are made white anew
CANCELLED = 1e-14  # of a multiplier, relative to the terms that it is the sum of


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
        return np.where(np.abs(theta) <= CANCELLED * (np.abs(W) @ np.abs(eta)), 0.0, theta)

    def contradiction(self, tau: NDArray) -> NDArray:
        """By how much constraints miss the linear dependences of phi."""
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
    return None if nodes is None else _at_nodes(white, theta, nodes)


def required_moments(
    domain: Domain, white: White, eta: NDArray, theta: NDArray | None = None
) -> Moments:
    """The same where the density must have a normaliser.

    Raises
    ------
    ConstraintError
        If it has none.
    """
    theta = white.theta(eta) if theta is None else theta
    return _at_nodes(white, theta, normalised_nodes(domain, theta))


def _at_nodes(white: White, theta: NDArray, nodes: Nodes) -> Moments:
    log_z, p = _probability(log_integrand(nodes, theta))
    return _of_density(white, log_z, nodes, p)


def _of_density(white: White, log_z: float, nodes: Nodes, p: NDArray) -> Moments:
    possible = p > 0  # elsewhere functions may be too large for any product
    share = p[possible]
    psi = (nodes.basis[possible] - white.mean) @ white.W
    mean = share @ psi
    psi -= mean
    return Moments(log_z, mean, (share[:, None] * psi).T @ psi, nodes, p)


def whiten(domain: Domain, start: NDArray) -> White:
    """White coordinates under the density with multipliers ``start`` of the basis.

    Combinations that are constant under this density are left out, unless points are known to have
    none.
    """
    nodes = normalised_nodes(domain, start)
    p = _probability(log_integrand(nodes, start))[1]
    mean = p @ nodes.basis
    centered = nodes.basis - mean
    covariance = (p[:, None] * centered).T @ centered
    deviation = np.sqrt(np.diag(covariance))
    everywhere = nodes.basis if domain.is_sum else nodes.basis[p > VISIBLE * p.max()]
    size = np.abs(everywhere).max(axis=0, initial=0.0)
    k = len(mean)
    exact = domain.exact_zeros
    if domain.independent:
        M, M_inverse = _whitening(covariance)
        return White(mean, np.eye(k), M, M_inverse, M_inverse, deviation, M_inverse @ start, exact)
    constant = deviation <= CONSTANT_FUNCTION * size
    deviation = np.where(constant, 1.0, deviation)
    correlation = np.where(np.outer(constant, constant), 0.0, covariance)
    correlation = correlation / np.outer(deviation, deviation)
    values, vectors = np.linalg.eigh(correlation)
    keep = values > DEPENDENT * max(values.max(initial=0.0), NOT_ZERO)
    roots = np.sqrt(values[keep])
    W = vectors[:, keep] / roots / deviation[:, None]
    back = (vectors[:, keep] * roots).T * deviation
    units = np.where(constant, np.maximum(size, NOT_ZERO), deviation)
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
    roots = np.sqrt(np.maximum(values, DEPENDENT * max(values.max(initial=0.0), NOT_ZERO)))
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
