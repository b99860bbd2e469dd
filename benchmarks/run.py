"""Runs all benchmarks; --full runs every size and writes the tables that the docs show."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

BENCHMARKS = (
    "gaussian_mixture.py",
    "acceleration.py",
    "maxent.py",
    "maxent_joint.py",
    "topics.py",
    "vae.py",
    "language_model.py",
    "tagging.py",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    options = ["--full"] if parser.parse_args().full else []
    here = Path(__file__).parent
    for name in BENCHMARKS:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(here / name), *options], check=True)


if __name__ == "__main__":
    main()
