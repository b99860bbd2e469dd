"""Whether constraints can hold at all, which of them cannot, and what it would have to be."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

TOLERANCE = 1e-9  # in units of the range of a function
SAME_NUMBER = 1e-12  # of two numbers that are one but for rounding
BALANCED_ROUNDING = 1e-11  # of balanced rows and of their singular values, relative to the largest
SMALL_MOMENT = 1e-3  # of z: a smaller one may be off by the rounding of larger terms
NEAREST = 4  # points nearest to zero, for each row and one more, whose sizes make its unit

# In `possible_points`, the s of a point is 0 or 1 but for the tolerance of the program. The slacks
# of the proof are zero, or one and more; one between the two bounds below proves nothing.
PRESENT = 0.5
NO_SLACK, SLACK = 1e-3, 0.5

PROGRAM_TOLERANCES = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class ConstraintError(ValueError):
    """Constraints that no distribution, or none of largest entropy, can meet."""


class Constraints(NamedTuple):
    """What is known of the expectations of f: an interval each, a point for an equality."""

    lower: NDArray  # (n_constraints,) -inf where not bounded
    upper: NDArray  # (n_constraints,) inf where not bounded
    where: tuple[str, ...]  # the parameter that gave each constraint
    name: tuple[str, ...]  # its expectation in words

    @property
    def equal(self) -> NDArray:
        """Which of them are equalities."""
        return self.lower == self.upper

    def said(self, i: int) -> str:
        """The i-th constraint in words."""
        low, high = self.lower[i], self.upper[i]
        if low == high:
            return f"{self.where[i]}: {self.name[i]} = {low:.10g}"
        if np.isinf(high):
            return f"{self.where[i]}: {self.name[i]} >= {low:.10g}"
        if np.isinf(low):
            return f"{self.where[i]}: {self.name[i]} <= {high:.10g}"
        return f"{self.where[i]}: {self.name[i]} in [{low:.10g}, {high:.10g}]"


# ---------------------------------------------------------------------- points, by linear programs
def attainable(f: NDArray, constraints: Constraints, i: int) -> tuple[float, float]:
    """Smallest and largest E f_i over the points, given the constraints before it.

    f of shape (n_points, n_constraints).
    """
    if i == 0:
        return float(f[:, 0].min()), float(f[:, 0].max())
    middle, half = _units(f)
    before = ((f - middle) / half)[:, :i].T
    low, high = ((constraints.lower - middle) / half)[:i], ((constraints.upper - middle) / half)[:i]
    equal = constraints.equal[:i]
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


def check_reachable(
    f: NDArray, constraints: Constraints, support: object, slack: float = TOLERANCE
) -> None:
    """Raise an error that names the first constraint that contradicts the support or earlier ones.

    f of shape (n_points, n_constraints): the functions at the points, or at a grid that stands for
    them.
    """
    units = _units(f)[1]
    for i in range(f.shape[1]):
        low, high = attainable(f, constraints, i)
        room = slack * units[i]
        if constraints.upper[i] < low - room or constraints.lower[i] > high + room:
            given = "" if i == 0 else ", given the constraints before it,"
            name = constraints.name[i]
            raise ConstraintError(
                f"{constraints.said(i)} cannot hold: on {support}{given} {name} lies between "
                f"{low:.6g} and {high:.6g}. Correct this constraint or the support, or omit it."
            )


class Cone(NamedTuple):
    """What the points miss of the constraints: measures p that meet them have

    equal p = 0 and above p >= 0, of shapes (n_equal, n_points) and (n_above, n_points).

    The cone of such p knows no size of a point's column, so far points are as good as near ones.
    """

    equal: NDArray
    above: NDArray

    @property
    def matrix(self) -> NDArray:
        """All rows, those of equalities first."""
        return np.vstack([self.equal, self.above])


def cone_of_equalities(basis: NDArray, tau: NDArray) -> Cone:
    """The cone where all constraints are equalities, of the basis; its rows lose no digits."""
    return Cone(_without_rounding(basis.T, tau), np.empty((0, len(basis))))


def cone_of_bounds(f: NDArray, constraints: Constraints) -> Cone:
    """The cone of equalities and bounds."""
    below, above = (
        ~constraints.equal & np.isfinite(constraints.lower),
        ~constraints.equal & np.isfinite(constraints.upper),
    )
    return Cone(
        _without_rounding(f.T[constraints.equal], constraints.lower[constraints.equal]),
        np.vstack(
            [
                _without_rounding(f.T[below], constraints.lower[below]),
                -_without_rounding(f.T[above], constraints.upper[above]),
            ]
        ),
    )


def _without_rounding(rows: NDArray, value: NDArray) -> NDArray:
    """Rows minus value, zero where that is rounding of both."""
    off = rows - value[:, None]
    return np.where(np.abs(off) <= SAME_NUMBER * (np.abs(rows) + np.abs(value[:, None])), 0.0, off)


def possible_points(cone: Cone, known: NDArray | None = None) -> NDArray:
    """Which points can have positive probability under the constraints.

    Measures p = s + t with s <= 1, of which the largest sum of s is looked for: a point off the
    face that the constraints lie on has s = 0, any other s = 1. The dual of this program is the
    proof: y, not positive for bounds, with y' g_j >= 0 for the columns g_j of all points, and >= 1
    for those that cannot be.

    Parameters
    ----------
    cone : Cone
    known : ndarray of bool of shape (n_points,), default=None
        Points that have positive probability in a distribution that meets the constraints, as those
        of data do. Their columns lie in the face, and only what is at right angles to them decides.

    Returns
    -------
    possible : ndarray of bool of shape (n_points,)
    """
    n_equal = len(cone.equal)
    rows = _balanced(cone.matrix)
    if known is not None:
        padded = np.hstack([rows[:, known], np.zeros((len(rows), len(rows)))])
        _, values, directions = np.linalg.svd(padded.T, full_matrices=False)
        rows = directions[values <= BALANCED_ROUNDING * values.max(initial=0.0)] @ rows
        n_equal, rows = len(rows), np.where(np.abs(rows) <= BALANCED_ROUNDING, 0.0, rows)
        rows = _balanced(rows)
    if not rows.any():
        return np.ones(rows.shape[1], dtype=bool)
    both = np.hstack([rows, rows])
    n = rows.shape[1]
    for method, presolve in (("highs-ds", True), ("highs-ds", False), ("highs-ipm", True)):
        result = linprog(
            np.repeat([-1.0, 0.0], n),
            A_eq=both[:n_equal] if n_equal else None,
            b_eq=np.zeros(n_equal) if n_equal else None,
            A_ub=-both[n_equal:] if n_equal < len(rows) else None,
            b_ub=np.zeros(len(rows) - n_equal) if n_equal < len(rows) else None,
            bounds=np.column_stack([np.zeros(2 * n), np.repeat([1.0, np.inf], n)]),
            method=method,
            options=PROGRAM_TOLERANCES | {"presolve": presolve},
        )
        if result.status == 0:
            y = np.concatenate([-result.eqlin.marginals, result.ineqlin.marginals])
            impossible = result.x[:n] < PRESENT
            if _is_proof(y @ rows, impossible):
                return ~impossible
    raise ConstraintError(
        "Whether the constraints can hold is too near a tie for double precision: they lie on the "
        "boundary of what is possible, or within rounding of it. Give them with more digits, or "
        "leave one out."
    )


def _is_proof(slack: NDArray, impossible: NDArray) -> bool:
    """Whether y' g_j are zero for points that can be, and positive for those that cannot."""
    inside = np.abs(slack[~impossible]).max(initial=0.0)
    return bool(inside < NO_SLACK and (slack[impossible] > SLACK).all())


def are_independent(basis: NDArray, tolerance: float = BALANCED_ROUNDING) -> bool:
    """Whether no combination of the basis is constant on the points, of shape (n_points, k).

    Each point counts by the direction in which it lies from another one, whatever its distance: a
    far one would hide how the near ones differ.
    """
    middle = np.argsort(_closeness(basis.T - np.median(basis, axis=0)[:, None]), kind="stable")[0]
    rows = np.delete(basis.T - basis[middle][:, None], middle, axis=1)
    if rows.shape[1] < rows.shape[0]:
        return False
    values = np.linalg.svd(_balanced(rows), compute_uv=False)
    return bool(values[-1] > tolerance * values[0])


def _closeness(rows: NDArray) -> NDArray:
    """Largest rank of a point's distance among all points, over the rows."""
    return np.abs(rows).argsort(axis=1, kind="stable").argsort(axis=1).max(axis=0, initial=0)


def _balanced(rows: NDArray) -> NDArray:
    """Rows in units of the points nearest to zero, then columns of a largest entry of 1."""
    near = np.argsort(_closeness(rows), kind="stable")[: NEAREST * (len(rows) + 1)]
    size = np.abs(rows[:, near])
    with np.errstate(divide="ignore"):
        logs = np.where(size > 0, np.log(size), 0.0)
    units = np.exp(logs.sum(axis=1) / np.maximum((size > 0).sum(axis=1), 1))
    rows = rows / units[:, None]
    return rows / np.where(rows.any(axis=0), np.abs(rows).max(axis=0, initial=0.0), 1.0)


# ---------------------------------------------------------------------- powers, by Hankel matrices
def check_moment_sequence(power_moments: NDArray, ends: tuple[float, float]) -> int:
    """The first power whose moment no density on the support can have, or 0.

    power_moments: E z^0, ..., E z^m; ends: those of the support in z.
    """
    for k in range(1, len(power_moments)):
        low, high = moment_range(power_moments[:k], ends)
        room = SAME_NUMBER * max(abs(power_moments[k]), SMALL_MOMENT)
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
