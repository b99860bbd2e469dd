"""Whether facts can hold at all, which of them cannot, and what it would have to be."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, hstack, vstack

TOLERANCE = 1e-9  # in units of the range of a function
EXACT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class FactError(ValueError):
    """Facts that no distribution, or none of largest entropy, can meet."""


class Facts(NamedTuple):
    """What is known of the expectations of f: an interval each, a point for an equality."""

    lower: NDArray  # (n_facts,) -inf where not bounded
    upper: NDArray  # (n_facts,) inf where not bounded
    where: tuple[str, ...]  # the parameter that gave each fact
    name: tuple[str, ...]  # its expectation in words

    @property
    def equal(self) -> NDArray:
        """Which of them are equalities."""
        return self.lower == self.upper

    def said(self, i: int) -> str:
        """The i-th fact in words."""
        low, high = self.lower[i], self.upper[i]
        if low == high:
            return f"{self.where[i]}: {self.name[i]} = {low:.10g}"
        if np.isinf(high):
            return f"{self.where[i]}: {self.name[i]} >= {low:.10g}"
        if np.isinf(low):
            return f"{self.where[i]}: {self.name[i]} <= {high:.10g}"
        return f"{self.where[i]}: {self.name[i]} in [{low:.10g}, {high:.10g}]"


# ---------------------------------------------------------------------- points, by linear programs
def attainable(f: NDArray, facts: Facts, i: int) -> tuple[float, float]:
    """Smallest and largest E f_i over the points, given the facts before it.

    f of shape (n_points, n_facts).
    """
    if i == 0:
        return float(f[:, 0].min()), float(f[:, 0].max())
    middle, half = _units(f)
    before = ((f - middle) / half)[:, :i].T
    low, high = ((facts.lower - middle) / half)[:i], ((facts.upper - middle) / half)[:i]
    equal = facts.equal[:i]
    above, below = ~equal & np.isfinite(high), ~equal & np.isfinite(low)
    limits = np.vstack([before[above], -before[below]])
    ends = []
    for sign in (1, -1):
        result = linprog(
            sign * (f[:, i] - middle[i]) / half[i],
            A_ub=limits if len(limits) else None,
            b_ub=np.concatenate([high[above], -low[below]]) + TOLERANCE if len(limits) else None,
            A_eq=np.vstack([before[equal], np.ones(len(f))]),
            b_eq=np.append(low[equal], 1.0),
            bounds=(0, None),
            method="highs",
        )
        if result.status != 0:
            return np.nan, np.nan
        ends.append(middle[i] + half[i] * sign * result.fun)
    return float(ends[0]), float(ends[1])


def _units(f: NDArray) -> tuple[NDArray, NDArray]:
    """Middle and half range of each function."""
    low, high = f.min(axis=0), f.max(axis=0)
    return (low + high) / 2, np.where(high > low, (high - low) / 2, 1.0)


def check_reachable(f: NDArray, facts: Facts, support: object, slack: float = TOLERANCE) -> None:
    """Raise an error that names the first fact that contradicts the support or those before it.

    f of shape (n_points, n_facts): the functions at the points, or at a grid that stands for them.
    """
    units = _units(f)[1]
    for i in range(f.shape[1]):
        low, high = attainable(f, facts, i)
        room = slack * units[i]
        if facts.upper[i] < low - room or facts.lower[i] > high + room:
            given = "" if i == 0 else ", given the facts before it,"
            raise FactError(
                f"{facts.said(i)} cannot hold: on {support}{given} {facts.name[i]} lies between "
                f"{low:.6g} and {high:.6g}. Correct this fact or the support, or leave it out."
            )


def possible_points(f: NDArray, facts: Facts) -> NDArray:
    """Which points can have positive probability under the facts.

    One linear program on the cone of measures p that meet the facts: the largest sum of s with
    0 <= s <= min(p, 1). A point off the face that the facts lie on has s = 0, any other s = 1.
    """
    n, m = f.shape
    middle, half = _units(f)
    centered = ((f - middle) / half).T
    low, high = (facts.lower - middle) / half, (facts.upper - middle) / half
    equal = facts.equal
    no_s = csr_array((m, n))
    rows = np.arange(m)
    at_low = hstack([csr_array(centered - np.where(np.isfinite(low), low, 0)[:, None]), no_s])
    at_high = hstack([csr_array(centered - np.where(np.isfinite(high), high, 0)[:, None]), no_s])
    below, above = rows[~equal & np.isfinite(low)], rows[~equal & np.isfinite(high)]
    s_at_most_p = hstack([-eye_array(n), eye_array(n)])
    limits = vstack([s_at_most_p, -at_low.tocsr()[below], at_high.tocsr()[above]])
    result = linprog(
        np.concatenate([np.zeros(n), -np.ones(n)]),
        A_ub=limits.tocsr(),
        b_ub=np.zeros(limits.shape[0]),
        A_eq=at_low.tocsr()[rows[equal]] if equal.any() else None,
        b_eq=np.zeros(int(equal.sum())) if equal.any() else None,
        bounds=[(0, None)] * n + [(0, 1)] * n,
        method="highs",
        options=EXACT,
    )
    if result.status != 0:
        raise FactError(f"The facts could not be decided by linear programming: {result.message}")
    return result.x[n:] > 1e-4


# ---------------------------------------------------------------------- powers, by Hankel matrices
def check_moment_sequence(power_moments: NDArray, ends: tuple[float, float]) -> int:
    """The first power whose moment no density on the support can have, or 0.

    power_moments: E z^0, ..., E z^m; ends: those of the support in z.
    """
    for k in range(1, len(power_moments)):
        low, high = moment_range(power_moments[:k], ends)
        room = 1e-12 * max(abs(power_moments[k]), 1e-3)
        if not low + room < power_moments[k] < high - room:
            return k
    return 0


def moment_range(before: NDArray, ends: tuple[float, float]) -> tuple[float, float]:
    """Between which values E z^k may lie, given E z^0, ..., E z^(k-1) of a density.

    A polynomial that is not negative on the support has a positive expectation: with w = 1,
    z - low, high - z or (z - low)(high - z), the Hankel matrix of E w z^(i+j) is positive
    definite, and E z^k in its last entry is bounded by a Schur complement.
    """
    k = len(before)
    moments = np.append(before, 0.0)
    low, high = -np.inf, np.inf
    for w in _weights(ends):
        degree = len(w) - 1
        if degree > k or (k - degree) % 2:
            continue
        sequence = np.array([w @ moments[i : i + degree + 1] for i in range(k - degree + 1)])
        bound = (_schur(sequence[:-1]) - sequence[-1]) / w[-1]
        low, high = (max(low, bound), high) if w[-1] > 0 else (low, min(high, bound))
    return float(low), float(high)


def _weights(ends: tuple[float, float]) -> list[NDArray]:
    """Coefficients of polynomials that are not negative between the ends."""
    low, high = ends
    above, below = np.array([-low, 1.0]), np.array([high, -1.0])
    if np.isinf(low):
        return [np.ones(1)]
    if np.isinf(high):
        return [np.ones(1), above]
    return [np.ones(1), above, below, np.convolve(above, below)]


def _schur(sequence: NDArray) -> float:
    """V' H^-1 v of the Hankel matrix [[H, v], [v', c]] of (sequence, c)."""
    j = len(sequence) // 2
    if j == 0:
        return 0.0
    index = np.arange(j)
    H, v = sequence[index[:, None] + index], sequence[j:]
    scale = np.sqrt(np.abs(np.diag(H)))
    H, v = H / np.outer(scale, scale), v / scale
    return float(v @ np.linalg.lstsq(H, v, rcond=None)[0])
