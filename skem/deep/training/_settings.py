"""The parameters that define a fitted network, kept beside its weights.

Parameters may be set after a fit. Those of training are heeded by the next fit; those that say what
the weights mean cannot be. What a fitted network is asked, it answers as it was fitted, and a fit
that goes on from its weights refuses to take them for those of another model.
"""

from __future__ import annotations

import copy
import reprlib
from typing import Any


class FittedSettingsMixin:
    """Keeps the values that the parameters in `_defining` had in the last fit.

    Attributes
    ----------
    _settings : dict
        These values, from the beginning of a fit on.
    """

    _defining: tuple[str, ...] = ()
    _settings: dict[str, Any]

    def _note_settings(self, *, goes_on: bool) -> None:
        """Begin a fit with the parameters as they are.

        Parameters
        ----------
        goes_on : bool
            Whether it starts from the weights of the last fit.

        Raises
        ------
        ValueError
            If it does, and a parameter that defines the model has been set to something else since.
        """
        if goes_on:
            self._check_settings()
        self._settings = {name: _kept(getattr(self, name)) for name in self._defining}

    def _check_settings(self) -> None:
        for name in self._defining:
            before, now = self._as_fitted(name), getattr(self, name)
            if not same_setting(before, now):
                raise ValueError(
                    "A fit that goes on from the weights of the last one needs the parameters of "
                    f"their model: {name} was {reprlib.repr(before)} then, and is "
                    f"{reprlib.repr(now)} now. Set it back, or fit anew with warm_start=False."
                )

    def _as_fitted(self, name: str) -> Any:
        """Value of a parameter in the last fit; the present one before the first."""
        return getattr(self, "_settings", {}).get(name, getattr(self, name))


def same_setting(before: Any, now: Any) -> bool:
    """Whether two values of a parameter say the same.

    Lists, tuples and arrays do if they have the same items; functions and classes if they are the
    same, or call themselves equal.
    """
    if before is now:
        return True
    try:
        return bool(_plain(before) == _plain(now))
    except Exception:  # objects of the user may not be able to say
        return False


def _plain(value: Any) -> Any:
    """A sequence as a list, a number of NumPy as one of Python's own."""
    if callable(value):
        return value
    value = value.tolist() if hasattr(value, "tolist") else value
    return list(value) if isinstance(value, tuple) else value


def _kept(value: Any) -> Any:
    """A value that stays as it is if the user changes a list that was given."""
    return value if callable(value) else copy.deepcopy(value)
