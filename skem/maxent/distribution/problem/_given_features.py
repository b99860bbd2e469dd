"""The functions that a user asks for, and the coordinates that suit data or constraints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem.maxent.distribution.problem._features import Features, Functions, Powers
from skem.maxent.distribution.problem._problem import PowerProblem, Problem
from skem.maxent.distribution.problem._quadrature import LogBase
from skem.maxent.distribution.problem._supports import Support
from skem.maxent.distribution.problem._units import (
    bulk_of_columns,
    bulk_of_functions,
    bulk_of_moments,
    possible_values,
    units_of_moments,
)

MOST_POWERS = 100  # ``maxpower`` of NumPy's polynomials, above which ** raises an error
LARGEST_EXPONENT = 300  # of 10, up to which powers of x and their sums are finite numbers


class GivenFeatures(ABC):
    """The parameter ``features``: which functions, not yet in coordinates."""

    is_mean = False  # whether E x is the only expectation

    @abstractmethod
    def n_constraints(self, support: Support) -> int:
        """Constraints about one column, or about all columns together."""

    def exponent(self, size: float) -> float:
        """Of ten, of the largest power of numbers of that size; zero without powers."""
        return 0.0

    def problem_class(self, support: Support, tau: NDArray | None) -> type[Problem]:
        """The class of problems that they make; tau is None where not all are equalities."""
        return Problem

    @abstractmethod
    def for_data(self, support: Support, mean: Any, deviation: Any) -> Features:
        """The functions in coordinates that suit rows with that mean and standard deviation."""

    @abstractmethod
    def for_constraints(
        self,
        support: Support,
        low: NDArray,
        high: NDArray,
        where: tuple[str, ...],
        log_base: LogBase,
    ) -> Features:
        """The functions in coordinates that suit bounds of their expectations.

        Raises
        ------
        ValueError
            If the bounds contradict the support, or are too large; ``where`` names each.
        """


class GivenPowers(GivenFeatures):
    """x, ..., x^m of each column."""

    def __init__(self, m: int):
        self.m = m
        self.is_mean = m == 1

    def n_constraints(self, support: Support) -> int:
        """As many as powers of a column, or of all columns that are described together."""
        return self.m * (support.n_columns or 1)

    def exponent(self, size: float) -> float:
        """Of ten, of the largest power of numbers of that size."""
        return self.m * float(np.log10(size))

    def problem_class(self, support: Support, tau: NDArray | None) -> type[Problem]:
        """Equalities about powers of one column have solvers of their own."""
        return PowerProblem if support.by_column and tau is not None else Problem

    def for_data(self, support: Support, mean: Any, deviation: Any) -> Powers:
        """The powers in units of the support or the data."""
        return support.powers(self.m, *support.units(mean, deviation), mean, deviation)

    def for_constraints(
        self,
        support: Support,
        low: NDArray,
        high: NDArray,
        where: tuple[str, ...],
        log_base: LogBase,
    ) -> Powers:
        """The powers in units that the first two moments say."""
        mean: Any = np.nan
        deviation: Any = np.nan
        equal = (low == high).all()
        if support.by_column:
            center, scale = units_of_moments(self.m, support, low, high, where)
            if equal:
                mean, deviation = bulk_of_moments(low, high)
        else:
            center, scale = support.units()
            if equal:
                mean, deviation = bulk_of_columns(self.m, low)
        largest = max(np.abs(center).max(), np.abs(scale).max(), 1.0)
        if not self.exponent(largest) < LARGEST_EXPONENT:
            raise ValueError("moments are too large for the powers. Change their units.")
        return support.powers(self.m, center, scale, mean, deviation)


class GivenFunctions(GivenFeatures):
    """Functions of x."""

    def __init__(self, functions: list[Callable]):
        self.functions = functions

    def n_constraints(self, support: Support) -> int:
        """One a function."""
        return len(self.functions)

    def for_data(self, support: Support, mean: Any, deviation: Any) -> Functions:
        """The functions in units of the support or the data."""
        return Functions(self.functions, *support.units(mean, deviation))

    def for_constraints(
        self,
        support: Support,
        low: NDArray,
        high: NDArray,
        where: tuple[str, ...],
        log_base: LogBase,
    ) -> Functions:
        """The functions less what they may be, in units in which they are as large as that."""
        features = Functions(self.functions, *support.units(), possible_values(low, high))
        if not support.is_bounded and log_base is None:
            return features.at(*bulk_of_functions(features, support))
        return features


def read_features(features: Any) -> GivenFeatures:
    """What the parameter ``features`` says.

    Raises
    ------
    ValueError
        If it is a sequence that is empty or holds something that cannot be called, or the powers
        are too many.
    """
    if isinstance(features, (int, np.integer)):
        if features > MOST_POWERS:
            raise ValueError(
                f"features={features} powers are too many: {MOST_POWERS} at most, of which float64 "
                "hardly tells the higher ones apart. Give fewer, or a sequence of functions."
            )
        return GivenPowers(int(features))
    functions = list(features)
    if not functions:
        raise ValueError("features is empty: give an integer m or a sequence of functions.")
    for i, function in enumerate(functions):
        if not callable(function):
            raise ValueError(
                f"features[{i}] = {function!r} cannot be called: features must be an integer m "
                "(the powers 1 to m) or a sequence of functions of x."
            )
    return GivenFunctions(functions)
