"""The one place that uses private helpers of scikit-learn and joblib."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

import joblib
import numpy as np
from sklearn import base
from sklearn.utils import _param_validation
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as openmp_threads
from sklearn.utils._param_validation import InvalidParameterError, StrOptions

__all__ = [
    "Interval",
    "StrOptions",
    "check_parameters",
    "fit_context",
    "n_jobs_was_set",
    "openmp_threads",
]


_SHOWN = 80
"""Characters of a wrong value that an error shows."""


class Interval(_param_validation.Interval):
    """An interval of numbers, which does not contain True and False.

    An interval of real numbers does not contain integers that are too large for a float.
    """

    def is_satisfied_by(self, val: Any) -> bool:
        if isinstance(val, (bool, np.bool_)) or not super().is_satisfied_by(val):
            return False
        return self.type is Integral or not isinstance(val, int) or abs(val) <= sys.float_info.max


def n_jobs_was_set() -> bool:
    """Whether a context of joblib sets the number of jobs.

    joblib itself reports one job both if nothing is set and if one job was asked for.
    """
    config = getattr(joblib.parallel._backend, "config", {})
    return isinstance(config.get("n_jobs"), int)


def check_parameters(estimator: Any, *names: str) -> None:
    """Check those that are used after the fit, and may have been set since.

    Raises
    ------
    ValueError
        If one is not what its constraints allow; the message names it.
    """
    constraints = {name: estimator._parameter_constraints[name] for name in names}
    values = {name: getattr(estimator, name) for name in names}
    _param_validation.validate_parameter_constraints(
        constraints, values, caller_name=type(estimator).__name__
    )


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Callable], Callable]:
    """As scikit-learn's, which checks the parameters; during the call, they are Python numbers.

    A search sets NumPy numbers: torch and threadpoolctl refuse some of them, and products of small
    integer types overflow. Errors show only the beginning of a long value.
    """
    checked = base._fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)

    def decorate(method: Callable) -> Callable:
        @functools.wraps(method)
        def with_own_numbers(estimator: Any, *args: Any, **kwargs: Any) -> Any:
            with _own_numbers(estimator):
                return method(estimator, *args, **kwargs)

        decorated: Callable = checked(with_own_numbers)

        @functools.wraps(decorated)
        def with_short_errors(estimator: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return decorated(estimator, *args, **kwargs)
            except InvalidParameterError as error:
                raise InvalidParameterError(_shortened(str(error))) from None

        return with_short_errors

    return decorate


def _shortened(message: str) -> str:
    head, got, value = message.partition(" Got ")
    value = " ".join(value.removesuffix(" instead.").split())
    if len(value) > _SHOWN:
        value = f"{value[:_SHOWN]} ..."
    return f"{head}{got}{value} instead." if got else message


@contextlib.contextmanager
def _own_numbers(estimator: Any) -> Iterator[None]:
    """Convert parameters to Python numbers, and restore them afterwards."""
    given = {}
    for name, value in list(vars(estimator).items()):
        if name.startswith("_") or name.endswith("_"):
            continue  # not a parameter
        own = _own(value)
        if own is not value:
            given[name] = value
            setattr(estimator, name, own)
    try:
        yield
    finally:
        for name, value in given.items():
            setattr(estimator, name, value)


def _own(value: Any) -> Any:
    """A NumPy number as a Python number, also in a tuple or list; anything else unchanged."""
    if isinstance(value, (np.integer, np.floating, np.bool_)):
        return value.item()
    if type(value) in (tuple, list) and any(isinstance(part, np.generic) for part in value):
        return type(value)(_own(part) for part in value)
    return value
