"""Ctrl-C: how it arrives, whether it was pressed, and how it can be delayed.

Python turns the signal into a KeyboardInterrupt wherever it next checks for signals. For a compiled
kernel this is on its return, where the exception is mistaken for a fault of the kernel: what
arrives is a SystemError whose cause is the KeyboardInterrupt. Other libraries wrap it in errors of
their own.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any


def is_interrupt(error: BaseException | None, before: BaseException | None = None) -> bool:
    """Whether an exception, or one in the chain that led to it, is a KeyboardInterrupt.

    Parameters
    ----------
    error : BaseException or None
    before : BaseException or None, default=None
        The exception that was being handled when the work began, such as an interrupt of an earlier
        fit. It is in the chain of everything that is raised meanwhile, without being its cause.
    """
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if one is None or one is before or id(one) in seen:
            continue
        if isinstance(one, KeyboardInterrupt):
            return True
        seen.add(id(one))
        left += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
    return False


@contextlib.contextmanager
def plain_interrupts() -> Iterator[None]:
    """Raise a KeyboardInterrupt instead of any exception that was caused by one."""
    before = sys.exception()
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if not is_interrupt(error, before):
            raise
        raise KeyboardInterrupt from error


class Noted:
    """Whether Ctrl-C was pressed during the work."""

    def __init__(self) -> None:
        self.pressed = False


@contextlib.contextmanager
def _handler(handle: Callable[[Any, int, Any], None]) -> Iterator[Any]:
    """Handle SIGINT by ``handle(previous handler, number, frame)``; yields the previous one.

    Python handles signals only in the main thread: nothing is done in other threads, or if there is
    no handler of Python's own.
    """
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield None
        return
    signal.signal(signal.SIGINT, lambda number, frame: handle(previous, number, frame))
    try:
        yield previous
    finally:
        try:
            signal.signal(signal.SIGINT, previous)
        except KeyboardInterrupt:  # raised for a pending signal, before the handler is changed
            signal.signal(signal.SIGINT, previous)
            raise


@contextlib.contextmanager
def interrupts_noted() -> Iterator[Noted]:
    """Note whether Ctrl-C is pressed, which has its usual effect."""
    noted = Noted()

    def handle(previous: Any, number: int, frame: Any) -> None:
        noted.pressed = True
        previous(number, frame)

    with _handler(handle):
        yield noted


@contextlib.contextmanager
def interrupts_later() -> Iterator[Noted]:
    """Delay Ctrl-C until the work inside is done, and note it.

    The previous handler is called afterwards. If it raises a KeyboardInterrupt, ``pressed`` is set
    instead: the caller has a result by then, and reports that the fit was interrupted.
    """
    noted, waiting = Noted(), []

    def handle(previous: Any, number: int, frame: Any) -> None:
        waiting.append((number, frame))

    with _handler(handle) as previous:
        yield noted
    if waiting:
        try:
            previous(*waiting[-1])
        except KeyboardInterrupt:
            noted.pressed = True
