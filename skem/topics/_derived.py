"""What E steps derive from the parameters: computed by the first block, and used by all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Derived:
    """Keeps what was computed from the last parameters; copies and pickles are empty.

    Blocks are worked on in threads: one of them computes, and the others wait for it. It also
    serves the M step that follows, which starts from the same parameters.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._params: Any = None
        self._value: Any = None

    def of(self, params: Any, compute: Callable[[Any], Any]) -> Any:
        """``compute(params)``, or what it gave for the same object before."""
        with self._lock:
            if self._params is not params:
                self._value = compute(params)
                self._params = params
            return self._value

    def __reduce__(self) -> tuple[type[Derived], tuple[()]]:
        return Derived, ()
