"""The one place that uses scikit-learn's private helpers."""

from typing import Any

import numpy as np
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _param_validation
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as openmp_threads
from sklearn.utils._param_validation import StrOptions


class Interval(_param_validation.Interval):
    """An interval of numbers, to which True and False do not belong."""

    def is_satisfied_by(self, val: Any) -> bool:
        return not isinstance(val, (bool, np.bool_)) and super().is_satisfied_by(val)


__all__ = [
    "Interval",
    "StrOptions",
    "fit_context",
    "openmp_threads",
]
