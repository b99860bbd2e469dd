"""Runs all benchmarks, and puts their ratios into one table.

Tables of a quick run go to build/benchmarks; --full runs every size and writes the tables that the
docs show. What needs data or packages that are not there is left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from report import folder

BENCHMARKS = (
    "gaussian_tables.py",
    "gaussian_mixture.py",
    "far_components.py",
    "acceleration.py",
    "maxent.py",
    "maxent_joint.py",
    "topics.py",
    "vae.py",
    "language_model.py",
    "tagging.py",
    "seq2seq.py",
    "memory.py",
    "summary.py",
)
LONG = ("memory.py", "seq2seq.py")  # hundreds of processes, or hours: for --full only


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    options = ["--full"] if parser.parse_args().full else []
    if not options:
        for table in folder(full=False).glob("*.inc"):  # of an earlier run
            table.unlink()
    here = Path(__file__).parent
    for name in BENCHMARKS:
        if name in LONG and not options:
            continue
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(here / name), *options], check=True)


if __name__ == "__main__":
    main()
