"""Compiled kernels are kept on disk if possible, and otherwise compiled again in each process.

numba stores compiled code next to the source, or in the user's cache directory. If neither can be
written, it refuses to define the kernel; and on a full disk, or with a truncated file, each call
fails. Here, faults of the cache do not affect the kernel.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache

from skem._interrupts import is_interrupt
from skem._warnings import warn_user

_lock = threading.Lock()
_has_warned = False


def njit(function: Callable | None = None, *, cache: bool = False, **options: Any) -> Any:
    """`numba.njit`, with a cache that is used only as far as it works.

    Parameters
    ----------
    function : callable, default=None
        The kernel; with None, a decorator is returned.
    cache : bool, default=False
        Whether to keep the compiled code on disk.
    **options : dict
        Other options of `numba.njit`.
    """
    if function is None:
        return lambda kernel: njit(kernel, cache=cache, **options)
    kernel = numba.njit(**options)(function)
    if cache and isinstance(kernel, numba.core.dispatcher.Dispatcher):  # NUMBA_DISABLE_JIT
        kernel._cache = KernelCache(function)
    return kernel


class KernelCache(FunctionCache):
    """numba's cache of one function, whose failures do not affect the function."""

    def __init__(self, py_func: Callable):
        self._why_not: Exception | None = None
        try:
            super().__init__(py_func)
        except (OSError, RuntimeError) as error:  # no directory can be written
            self._why_not, self._cache_path = error, None
            self.disable()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        before = sys.exception()
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:
            if is_interrupt(error, before):
                raise
            self._begin_anew(error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if not self._enabled:
            if self._why_not is not None:
                _warn(self._why_not)
            return
        before = sys.exception()
        try:
            super().save_overload(sig, data)
        except Exception as error:
            if is_interrupt(error, before):
                raise
            _warn(error)

    def _begin_anew(self, error: Exception) -> None:
        """Replace files that cannot be read, if possible."""
        try:
            self.flush()
        except OSError:
            self._why_not = error
            self.disable()
        _warn(error)


def _warn(error: Exception) -> None:
    """Warn once per process: the message is the same for each kernel."""
    global _has_warned
    with _lock:
        if _has_warned:
            return
        _has_warned = True
    warn_user(
        f"Compiled kernels cannot be kept on disk ({type(error).__name__}: {error}), so this "
        "process compiles them again: results are the same, but first calls take longer. Set the "
        "environment variable NUMBA_CACHE_DIR to a writable directory with free space.",
        RuntimeWarning,
    )
