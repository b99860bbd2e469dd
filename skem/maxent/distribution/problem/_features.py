r"""The functions whose expectations are constrained, and coordinates to compute them in.

Constraints are about functions f(x) of shape (n_constraints,). What is computed with is a basis
phi(x) of the same shape that loses no digits, with f = A phi + b. Multipliers and expectations
follow:

    lambda' f = theta' phi + lambda' b,   theta = A' lambda,   E f = A E phi + b.

For powers, phi are orthogonal polynomials of y = (x - center) / scale, or of z, which is y with the
mean and the deviation of the bulk taken out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.polynomial import HermiteE, Laguerre, Legendre, Polynomial
from numpy.polynomial.hermite_e import hermevander
from numpy.polynomial.laguerre import lagvander
from numpy.polynomial.legendre import legvander
from numpy.typing import NDArray

FAMILIES: dict[str, tuple[Any, Callable]] = {
    "line": (HermiteE, hermevander),
    "half line": (Laguerre, lagvander),
    "interval": (Legendre, legvander),
}

# Where functions are looked at far out, up to |log y| = REACH: y and its square are finite numbers
# there. Powers are looked at up to y = 1e50, far beyond the tails of exp(-y), and no farther than
# y^m = exp(450) = 3e195, which is below what the quadrature takes to be too large.
REACH = 300.0
REACH_OF_POWERS = 115.0
LOG_LARGEST_POWER = 450


class Basis(ABC):
    """Functions of x that can be integrated, and the coordinate y in which they are."""

    center: NDArray  # (n_columns,)
    scale: NDArray  # (n_columns,) y = (x - center) / scale
    reach = REACH  # |log y| up to which they are looked at where the support is not bounded

    # Whether a multiplier that is only rounding must be an exact zero on a line, as that of a top
    # power: any other number decides the tails.
    exact_zeros = False

    @abstractmethod
    def of(self, x: NDArray, y: NDArray) -> NDArray:
        """Their values at the points, shape (n, k); y of shape (n,) or (n, n_columns)."""


class Features(Basis):
    """The basis phi, the way from it to f, and where a minimisation may begin."""

    n_constraints: int

    # Whether phi is a difference f - shift, with the rounding of f. What is smaller than that is
    # judged by f then, not by phi.
    has_rounding_of_f = False

    @abstractmethod
    def linear_map(self) -> tuple[NDArray, NDArray]:
        """A and b with f = A phi + b."""

    @abstractmethod
    def up_to_constants(self, x: NDArray, y: NDArray) -> NDArray:
        """Values of f but for a constant of each, shape (n, n_constraints)."""

    @abstractmethod
    def at_means(self, values: NDArray, weight: NDArray | None) -> tuple[Features, NDArray]:
        """The same f with a basis that suits data, and the means of it, which lose no digits.

        values : ndarray of shape (n, n_constraints), the basis at rows of data.
        """

    def moments_on_points(self, points: NDArray, p: NDArray, moments: NDArray) -> NDArray:
        """E f under probabilities of points; ``moments`` are A E phi + b."""
        return moments

    @abstractmethod
    def first_start(self) -> NDArray:
        """Exponents to begin with where they can be normalised."""

    def starts(self) -> list[NDArray]:
        """Exponents to begin with where not every one can be normalised, if some are known."""
        return []

    @abstractmethod
    def name(self, i: int) -> str:
        """The i-th expectation in words."""

    @property
    def names(self) -> tuple[str, ...]:
        """The expectations in words."""
        return tuple(self.name(i) for i in range(self.n_constraints))


class Powers(Features):
    """x, x^2, ..., x^m of each column, one column after the other.

    Parameters
    ----------
    m : int
    center, scale : ndarray of shape (n_columns,)
        y = (x - center) / scale; a negative scale turns a half line around.
    kind : {'line', 'half line', 'interval'}
        Where y lives: the line, [0, inf) or [-1, 1].
    bulk : (mean, standard deviation) of y, default=None
        Where the mass is, of one column. The basis is then made of polynomials of
        z = (y - mean) / deviation, so that moments of a narrow bulk lose no digits.
    narrow : ndarray of bool of shape (n_columns,), default=None
        Columns of points of which center and scale are themselves mean and standard deviation of a
        narrow bulk.
    """

    exact_zeros = True

    def __init__(
        self,
        m: int,
        center: Any,
        scale: Any,
        kind: str,
        bulk: tuple[float, float] | None = None,
        narrow: NDArray | None = None,
    ):
        self.m = m
        self.center = np.atleast_1d(np.asarray(center, dtype=np.float64))
        self.scale = np.atleast_1d(np.asarray(scale, dtype=np.float64))
        self.kind = kind
        self.bulk = bulk
        self.narrow = np.zeros(len(self.center), dtype=bool) if narrow is None else narrow
        self.family, self._vandermonde = FAMILIES["line" if bulk else kind]
        self.n_constraints = m * len(self.center)
        self.reach = min(REACH_OF_POWERS, LOG_LARGEST_POWER / m)

    def of(self, x: NDArray, y: NDArray) -> NDArray:
        """The basis at the points, shape (n, n_constraints)."""
        mean, deviation = self.bulk or (0.0, 1.0)
        columns = (y.reshape(len(y), -1).T - mean) / deviation
        return np.column_stack([self._vandermonde(z, self.m)[:, 1:] for z in columns])

    @property
    def ends(self) -> tuple[float, float]:
        """Where the support ends, in z."""
        mean, deviation = self.bulk or (0.0, 1.0)
        low, high = {
            "line": (-np.inf, np.inf), "half line": (0.0, np.inf), "interval": (-1.0, 1.0),
        }[self.kind]  # fmt: skip
        return (low - mean) / deviation, (high - mean) / deviation

    @property
    def unit(self) -> float:
        """How much x is one z, of one column."""
        return float(self.scale[0] * (self.bulk or (0.0, 1.0))[1])

    def linear_map(self) -> tuple[NDArray, NDArray]:
        """A and b with f = A phi + b."""
        A, b = np.zeros((self.n_constraints, self.n_constraints)), np.zeros(self.n_constraints)
        mean, deviation = self.bulk or (0.0, 1.0)
        origins, units = self.center + self.scale * mean, self.scale * deviation
        for j, (center, scale) in enumerate(zip(origins, units, strict=True)):
            for k in range(1, self.m + 1):
                row = j * self.m + k - 1
                coefficients = self._in_family(Polynomial([center, scale]) ** k)
                b[row] = coefficients[0]
                A[row, j * self.m : (j + 1) * self.m] = coefficients[1:]
        return A, b

    def up_to_constants(self, x: NDArray, y: NDArray) -> NDArray:
        """The powers at the points but for a constant of each."""
        return self.of(x, y) @ self.linear_map()[0].T

    def at_means(self, values: NDArray, weight: NDArray | None) -> tuple[Powers, NDArray]:
        """The same powers, whose basis suits data already, and its means."""
        return self, np.average(values, axis=0, weights=weight)

    def moments_on_points(self, points: NDArray, p: NDArray, moments: NDArray) -> NDArray:
        """The sums themselves: a point much nearer to zero than the others keeps its digits."""
        x, powers = points[p > 0], np.arange(1, self.m + 1)
        return (p[p > 0] @ (x.T[..., None] ** powers)).ravel()

    def _in_family(self, polynomial: Polynomial) -> NDArray:
        """Coefficients of P_0, ..., P_m."""
        coefficients = polynomial.convert(kind=self.family).coef
        return np.pad(coefficients, (0, self.m + 1 - len(coefficients)))

    def monomial(self, k: int) -> NDArray:
        """Coefficients of y^k in the basis but for the constant, of one column."""
        return self._in_family(Polynomial(self.bulk or (0.0, 1.0)) ** k)[1:]

    def power_moments(self, basis_moments: NDArray) -> NDArray:
        """E z^0, ..., E z^m from the expectations of the basis, of one column."""
        full = np.concatenate([[1.0], basis_moments])
        return np.array([self._in_family(Polynomial.basis(k)) @ full for k in range(self.m + 1)])

    def first_start(self) -> NDArray:
        """Exponents to begin with where they can be normalised: flat, or a normal bulk."""
        start = np.zeros(self.n_constraints)
        if self.bulk and self.m > 1:
            start[1] = 0.5
        if self.narrow.any():
            start[1 :: self.m][self.narrow] = 0.5
        return start

    def starts(self) -> list[NDArray]:
        """Exponents to begin with where not every one can be normalised; the top power first."""
        return [self.monomial(k) / k for k in range(self.m, 0, -1)]

    def name(self, i: int) -> str:
        """The i-th expectation in words."""
        power = i % self.m + 1
        x = "x" if len(self.center) == 1 else f"x{i // self.m}"
        return f"E[{x}]" if power == 1 else f"E[{x}^{power}]"

    def lower(self, m: int) -> Powers:
        """The first m powers in the same coordinates, of one column."""
        return Powers(m, self.center, self.scale, self.kind, self.bulk)


class Functions(Features):
    """Functions given by the user; they see x itself, as an array of numbers or of rows.

    The basis is f - shift, which loses no digits to a large offset where the shift is what the
    constraints say.
    """

    has_rounding_of_f = True

    def __init__(
        self,
        functions: Sequence[Callable],
        center: Any = 0.0,
        scale: Any = 1.0,
        shift: NDArray | None = None,
    ):
        self.functions = functions
        self.n_constraints = len(functions)
        self.center = np.atleast_1d(np.asarray(center, dtype=np.float64))
        self.scale = np.atleast_1d(np.asarray(scale, dtype=np.float64))
        self.shift = np.zeros(self.n_constraints) if shift is None else shift

    def shifted(self, shift: NDArray) -> Functions:
        """The same functions, from which the basis subtracts something else."""
        return Functions(self.functions, self.center, self.scale, shift)

    def at(self, center: float, scale: float) -> Functions:
        """The same functions in other coordinates y."""
        return Functions(self.functions, center, scale, self.shift)

    def of(self, x: NDArray, y: NDArray) -> NDArray:
        """The basis at the points, shape (n, n_constraints)."""
        values = [evaluate(f, x, f"features[{i}]") for i, f in enumerate(self.functions)]
        return np.column_stack(values) - self.shift

    def linear_map(self) -> tuple[NDArray, NDArray]:
        """A and b with f = A phi + b."""
        return np.eye(self.n_constraints), self.shift

    def up_to_constants(self, x: NDArray, y: NDArray) -> NDArray:
        """The functions at the points, without a shift."""
        return self.shifted(np.zeros(self.n_constraints)).of(x, y)

    def at_means(self, values: NDArray, weight: NDArray | None) -> tuple[Functions, NDArray]:
        """The functions less their means, and what rounding leaves of the means."""
        tau = np.average(values, axis=0, weights=weight)
        return self.shifted(tau), np.average(values - tau, axis=0, weights=weight)

    def first_start(self) -> NDArray:
        """The base itself."""
        return np.zeros(self.n_constraints)

    def name(self, i: int) -> str:
        """The i-th expectation in words."""
        name = getattr(self.functions[i], "__name__", "<lambda>")
        return f"E[features[{i}]]" if name == "<lambda>" else f"E[{name}]"


class Extended(Basis):
    """A basis and one function more, for its expectation."""

    def __init__(self, features: Basis, function: Callable):
        self._features, self._function = features, function
        self.center, self.scale, self.reach = features.center, features.scale, features.reach

    def of(self, x: NDArray, y: NDArray) -> NDArray:
        """Phi and the function, shape (n, n_constraints + 1)."""
        return np.column_stack([self._features.of(x, y), evaluate(self._function, x, "f")])


class Nothing(Basis):
    """No functions, for the integral of a base."""

    def __init__(self, features: Basis):
        self.center, self.scale = features.center, features.scale

    def of(self, x: NDArray, y: NDArray) -> NDArray:
        """An array of shape (n, 0)."""
        return np.empty((len(x), 0))


def evaluate(function: Callable, x: NDArray, name: str) -> NDArray:
    """Values of a user's function, one a point; infinite ones are let through.

    Raises
    ------
    ValueError
        If the values have another shape, are not real, or some are NaN.
    """
    with np.errstate(all="ignore"):
        values = np.asarray(function(x))
    if values.shape != (len(x),) or values.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} returned an array of shape {values.shape} and dtype {values.dtype} for "
            f"{len(x)} points of shape {x.shape}: it must return one real number a point. Use "
            "functions of NumPy, which take arrays."
        )
    values = values.astype(np.float64)
    if np.isnan(values).any():
        raise ValueError(
            f"{name} is NaN at x = {x[np.isnan(values)][0]}, which is in the support. Let it "
            "return a number on the whole support, or make the support smaller."
        )
    return values
