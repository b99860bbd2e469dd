"""Whether a model keeps its promises to the engine."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem._numbers import NOT_ZERO
from skem.em._base import check_declares
from skem.em._geometry import Geometry
from skem.em._model import EMModel, Rows
from skem.em._statistics import add, scale

_DIRECTIONS = 6
"""Random directions, beside the EM step, in which a gradient is compared with differences."""
_STEP = 1e-4
"""Coordinates are moved by this and by half of it, for central differences: their errors, of about
step**2 and eps / step, are then both far below the root of the default rtol."""
_SAFETY = 4
"""A gradient may differ from a difference by this many of its estimated errors, which are rough."""


def check_model(
    model: EMModel, rows: Rows, params: Any, *, rtol: float = 1e-6, random_state: int = 0
) -> None:
    """Test that a user's model has the properties that the engine relies on.

    A fit does not check them: statistics are sums over blocks of rows, and linear in the weights;
    an EM map does not lower the bound; `from_vector` inverts `to_vector`; and a ``geometry`` has
    the gradient of the bound, and an information that is symmetric and positive.

    Parameters
    ----------
    model : EMModel
        The model, which derives from `EMModelBase`.
    rows : Rows
        At least two rows; a few dozen are enough.
    params : Any
        Parameters to test at; not those of the maximum, where gradients are zero.
    rtol : float, default=1e-6
        Relative error allowed; for gradients, which differences tell less exactly, its root.
    random_state : int, default=0
        Seed of the directions in which gradients are compared.

    Raises
    ------
    AssertionError
        Which says what does not hold, and by how much.
    TypeError
        If the model does not declare what it can do.
    ValueError
        If there are fewer than two rows.

    Examples
    --------
    Half of the rows are normal with mean m and variance one, the others with mean -m. The weights
    have been forgotten:

    >>> from typing import NamedTuple
    >>> import numpy as np
    >>> from skem.em import EMModelBase, Rows, check_model
    >>> class Statistics(NamedTuple):
    ...     log_likelihood: float  # up to a constant
    ...     weight: float
    ...     sums: float
    >>> class TwoSides(EMModelBase):
    ...     def expected_statistics(self, m, rows):
    ...         x = rows.X[:, 0]
    ...         log_p = np.log(np.cosh(m * x)) - m**2 / 2
    ...         return Statistics(log_p.sum(), len(x), (x * np.tanh(m * x)).sum())
    ...
    ...     def maximize(self, statistics, m):
    ...         return statistics.sums / statistics.weight
    ...
    ...     def to_vector(self, m):
    ...         return np.array([m])
    ...
    ...     def from_vector(self, vector, m):
    ...         return vector[0]
    >>> rows = Rows(0, np.array([[-2.2], [-1.6], [1.8], [2.4]]))
    >>> check_model(TwoSides(), rows, 0.5)
    Traceback (most recent call last):
        ...
    AssertionError: TwoSides: statistics of twice the weights: log_likelihood is off by ...
    """
    _Checks(model, rows, params, rtol, np.random.default_rng(random_state)).run()


class _Checks:
    def __init__(
        self, model: EMModel, rows: Rows, params: Any, rtol: float, rng: np.random.Generator
    ):
        check_declares(model)
        self.model, self.rows, self.params, self.rtol, self.rng = model, rows, params, rtol, rng
        self.name = type(model).__name__
        self.statistics = model.expected_statistics(params, rows)
        self.bound = model.bound(self.statistics, params)

    def run(self) -> None:
        self.fields()
        self.additivity()
        self.weights()
        new = self.map()
        self.coordinates()
        if self.model.geometry is not None:
            self.geometry(self.model.geometry(self.statistics, self.params, new), new)

    def fail(self, what: str) -> None:
        raise AssertionError(f"{self.name}: {what}")

    def fields(self) -> None:
        first = getattr(self.statistics, "_fields", ())[:2]
        if first != ("log_likelihood", "weight"):
            self.fail(
                "expected_statistics must return a NamedTuple whose first two fields are "
                f"log_likelihood and weight, got {first or type(self.statistics).__name__}."
            )
        n = self.rows.X.shape[0]
        weight = n if self.rows.weight is None else self.rows.weight.sum()
        if not self.statistics.weight > 0 or not np.isfinite(self.bound):
            self.fail(
                f"the weight of {n} rows of total weight {weight:g} is {self.statistics.weight}, "
                f"and their bound {self.bound}."
            )

    def additivity(self) -> None:
        n = self.rows.X.shape[0]
        if n < 2:
            raise ValueError("rows must hold at least two rows, so that they can be cut.")
        for cuts in ((n // 2,), (1, n // 3 + 1)):
            edges = sorted({0, *cuts, n})
            parts = [
                self.model.expected_statistics(self.params, part_of(self.rows, slice(a, b)))
                for a, b in itertools.pairwise(edges)
            ]
            together = parts[0]
            for part in parts[1:]:
                together = add(together, part)
            self.compare(together, self.statistics, f"statistics of rows cut at {edges[1:-1]}")

    def weights(self) -> None:
        n = self.rows.X.shape[0]
        weight = np.ones(n) if self.rows.weight is None else self.rows.weight
        doubled = replace(self.rows, weight=2 * weight, memo={})
        double = self.model.expected_statistics(self.params, doubled)
        self.compare(double, scale(self.statistics, 2.0), "statistics of twice the weights")

    def map(self) -> Any:
        """One EM map; its image."""
        before = self.vector(self.params).copy()
        new = self.model.maximize(self.statistics, self.params)
        if not np.array_equal(before, self.vector(self.params)):
            self.fail("maximize changed the parameters that it was given, in place.")
        value = self.bound_at(new)
        allowed = self.model.rounding(self.statistics, self.params)
        if self.model.monotone and not value >= self.bound - 2 * allowed:
            self.fail(
                f"an EM map lowered the bound by {self.bound - value:.3g} (rounding error "
                f"{allowed:.3g})."
            )
        return new

    def coordinates(self) -> None:
        vector = self.vector(self.params)
        again = self.model.from_vector(vector.copy(), self.params)
        if again is None:
            self.fail("from_vector(to_vector(params)) is None.")
        error = abs(self.bound_at(again) - self.bound)
        allowed = self.rtol * max(1.0, abs(self.bound))
        if not error <= allowed:
            self.fail(
                f"from_vector does not undo to_vector: the bound differs by {error:.3g}, more "
                f"than {allowed:.3g}."
            )

    def geometry(self, geometry: Geometry, new: Any) -> None:
        x = self.vector(self.params)
        step = self.vector(new) - x
        gradient = np.asarray(geometry.gradient)
        if gradient.shape != x.shape:
            self.fail(f"the gradient has shape {gradient.shape}, the coordinates {x.shape}.")
        directions = [step, *self.rng.standard_normal((_DIRECTIONS, len(x)))]
        largest = 0.0
        for number, direction in enumerate(directions):
            unit = direction / (np.linalg.norm(direction) or 1.0)
            slope, error = self.slope(x, unit)
            claimed = float(gradient @ unit)
            largest = max(largest, abs(slope))
            allowed = self.rtol**0.5 * largest + _SAFETY * error
            if not abs(claimed - slope) <= allowed:
                where = "the EM step" if number == 0 else "a random direction"
                self.fail(
                    f"the gradient says that the bound changes by {claimed:.6g} a unit along "
                    f"{where}; differences say {slope:.6g} (to {allowed:.1g})."
                )
        for u, v in itertools.combinations(directions[1:], 2):
            of_u, of_v = geometry.solve(u), geometry.solve(v)
            if not float(u @ of_u) > 0:
                self.fail(f"solve is not positive: u @ solve(u) is {float(u @ of_u):.3g}.")
            a, b = float(v @ of_u), float(u @ of_v)
            size = np.linalg.norm(v) * np.linalg.norm(of_u)
            if not abs(a - b) <= self.rtol * size:
                self.fail(f"solve is not symmetric: v @ solve(u) is {a:.6g}, u @ solve(v) {b:.6g}.")

    def slope(self, x: NDArray, unit: NDArray) -> tuple[float, float]:
        """Of the bound along a direction, and an estimate of its error."""
        found = []
        for h in (_STEP, _STEP / 2):
            ahead, behind = (self.bound_along(x + s * h * unit) for s in (1, -1))
            found.append((ahead - behind) / (2 * h))
        rounding = self.model.rounding(self.statistics, self.params) / (_STEP / 2)
        # Richardson: without the error of order h**2, which a step of half the length quarters
        return found[1] + (found[1] - found[0]) / 3, abs(found[1] - found[0]) + rounding

    def bound_along(self, vector: NDArray) -> float:
        params = self.model.from_vector(vector, self.params)
        if params is None:
            self.fail(f"from_vector is None a step of {_STEP:g} from the parameters.")
        return self.bound_at(params)

    def bound_at(self, params: Any) -> float:
        return self.model.bound(self.model.expected_statistics(params, self.rows), params)

    def vector(self, params: Any) -> NDArray:
        return np.asarray(self.model.to_vector(params), dtype=np.float64)

    def compare(self, got: Any, wanted: Any, what: str) -> None:
        for name, a, b in zip(type(wanted)._fields, got, wanted, strict=True):
            if b is None and a is None:
                continue
            if isinstance(b, tuple):
                a, b = (np.concatenate([np.ravel(part) for part in both]) for both in (a, b))
            a, b = np.asarray(a, float), np.asarray(b, float)
            if a.shape != b.shape:
                self.fail(f"{what}: {name} has shape {a.shape}, expected {b.shape}.")
            error = float(np.abs(a - b).max(initial=0.0))
            if not error <= self.rtol * max(float(np.abs(b).max(initial=0.0)), NOT_ZERO):
                self.fail(f"{what}: {name} is off by {error:.3g}, of {np.abs(b).max():.3g}.")


def part_of(rows: Rows, part: slice) -> Rows:
    """Some of the rows, as a block of its own."""
    return Rows(
        rows.start + part.start,
        rows.X[part],
        None if rows.weight is None else rows.weight[part],
        None if rows.labels is None else rows.labels[part],
    )
