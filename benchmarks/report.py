"""What every benchmark prints and writes: the machine, the versions, a table."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def folder(full: bool) -> Path:
    """Where tables go: those of all sizes into the docs, others into build/benchmarks."""
    place = ROOT / ("docs" if full else "build") / "benchmarks"
    place.mkdir(parents=True, exist_ok=True)
    return place


def cpu_name() -> str:
    """The processor as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine(*packages: str) -> str:
    """One line: cores, processor, Python, versions of the packages."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return f"{os.cpu_count()} cores ({cpu_name()}), Python {platform.python_version()}, {versions}"


def text_table(header: list[str], rows: list[list[str]]) -> str:
    """Columns aligned for a terminal."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True))
             for row in [header, *rows]]  # fmt: skip
    return "\n".join(lines)


def rst_table(title: str, header: list[str], rows: list[list[str]]) -> str:
    """The same as a reStructuredText list table."""
    lines = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for row in [header, *rows]:
        cells = [re.sub(r"(?<=\d) (?=\d{3}\b)", "\N{NO-BREAK SPACE}", cell) for cell in row]
        lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(cells)]
    return "\n".join([*lines, ""])


def write(full: bool, name: str, *parts: str) -> None:
    """Write the tables to a page fragment; those of all sizes to the one that the docs include."""
    (folder(full) / f"{name}.inc").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
