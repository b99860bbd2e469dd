"""Ctrl-C: how it arrives, who has pressed it, and when it has to wait.

Python turns the signal into a KeyboardInterrupt wherever it next looks for signals. Inside a
compiled kernel that is on the way back, where the exception is taken for a fault of the kernel:
what arrives is a SystemError whose cause is the KeyboardInterrupt. Other libraries wrap it in
errors of their own.
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
        What was being handled when the work began, such as an interrupt of an earlier fit: it is
        in the chain of all that is raised meanwhile, and has not led to it.
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
    """Raise a KeyboardInterrupt in the place of any exception that one has led to."""
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
    """Whether Ctrl-C was pressed meanwhile."""

    def __init__(self) -> None:
        self.pressed = False


@contextlib.contextmanager
def _handler(handle: Callable[[Any, int, Any], None]) -> Iterator[Any]:
    """Handle SIGINT by ``handle(previous handler, number, frame)``; yields the previous one.

    Python handles signals in the main thread only: nothing is done in others, nor where there is
    no handler of Python's.
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
        except KeyboardInterrupt:  # it handles what is pending first, and then changes nothing
            signal.signal(signal.SIGINT, previous)
            raise


@contextlib.contextmanager
def interrupts_noted() -> Iterator[Noted]:
    """Note whether Ctrl-C is pressed, which has the effect that it always has."""
    noted = Noted()

    def handle(previous: Any, number: int, frame: Any) -> None:
        noted.pressed = True
        previous(number, frame)

    with _handler(handle):
        yield noted


@contextlib.contextmanager
def interrupts_later() -> Iterator[Noted]:
    """Let Ctrl-C wait until the work inside is done, and note it.

    The handler that was there is called afterwards. Where it raises KeyboardInterrupt, ``pressed``
    takes its place: whoever asked for the delay has a result, and says that it came to an early
    end.
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
