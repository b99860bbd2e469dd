"""The one place that uses scikit-learn's private helpers."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import base
from sklearn.utils import _param_validation
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as openmp_threads
from sklearn.utils._param_validation import InvalidParameterError, StrOptions

_SHOWN = 80
"""Characters of a wrong value that an error shows."""


class Interval(_param_validation.Interval):
    """An interval of numbers, to which True and False do not belong."""

    def is_satisfied_by(self, val: Any) -> bool:
        return not isinstance(val, (bool, np.bool_)) and super().is_satisfied_by(val)


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Callable], Callable]:
    """scikit-learn's decorator of fits, whose errors would show a wrong value at full length."""

    def decorate(fit: Callable) -> Callable:
        checked = base._fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)(
            fit
        )

        @functools.wraps(checked)
        def with_short_errors(estimator: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return checked(estimator, *args, **kwargs)
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


__all__ = [
    "Interval",
    "StrOptions",
    "fit_context",
    "openmp_threads",
]
