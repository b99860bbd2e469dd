"""The table of the demo: its rows, their alignment, and a stop-watch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, NamedTuple

WIDTHS = (37, 23, 20, 31)


class Row(NamedTuple):
    """The model, the data, the result, a reference value, and the time of the fit."""

    estimator: str
    data: str
    result: str
    reference: str
    seconds: float | None = None


def timed(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, float]:
    """The value of a call, and how long it took."""
    start = perf_counter()
    value = call(*args, **kwargs)
    return value, perf_counter() - start


def _line(*cells: str) -> str:
    aligned = (f"{cell:<{width}}" for cell, width in zip(cells, (*WIDTHS, 0), strict=True))
    return "  " + " ".join(aligned)


def print_head() -> None:
    head = _line(*Row._fields[:4], "seconds")
    print(f"{head}\n{'-' * len(head)}")


def print_section(title: str, rows: Iterable[Row]) -> None:
    """A heading, and each row as soon as it is available."""
    print(f"\n{title}", flush=True)
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:7.2f}"
        print(_line(*row[:4], seconds).rstrip(), flush=True)
