"""Warnings that point to the user's line."""

from __future__ import annotations

import sys
import warnings

_INSIDE = {"contextlib", "joblib", "numba", "skem", "sklearn"}


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the line of the first caller outside skem and of libraries that call it.

    Decorators of scikit-learn stand between ``fit`` and its caller, so the level is not fixed.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _package(frame.f_globals) in _INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package(namespace: dict) -> str:
    return namespace.get("__name__", "").partition(".")[0]
