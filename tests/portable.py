"""The numerical tests as other machines would compute them: `make test-portable`.

The last digits of a result depend on the processor: BLAS has other products for each, their sums
are cut among threads, and compiled kernels fuse products and sums where the processor can. Each
configuration below is a run of pytest that has one processor's way, and a seed of hypothesis of
its own. Every BLAS kernel is there, every number of threads with several kernels, and numba without
fused products with several kernels; not every combination.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

# What depends on no arithmetic (docstrings, displays, the common tests of estimators) is not here.
DEEP = ("distinct", "flows", "language_model_module", "likelihoods", "linear", "random",
        "recurrent", "segments", "vae_module")  # fmt: skip
FOLDERS = ["tests/em", "tests/maxent", "tests/mixture", "tests/topics"]
FOLDERS += [f"tests/deep/test_{name}.py" for name in DEEP]

# Names that OpenBLAS gives its kernels: one build has Haswell's for Zen too, and the oldest one
# of x86-64 (SSE3) goes by the name of the first of its family.
KERNELS = {
    "Haswell": ("Haswell",),
    "Zen": ("Zen", "Haswell"),
    "Sandybridge": ("Sandybridge",),
    "SkylakeX": ("SkylakeX",),
    "Prescott": ("Prescott", "Katmai"),
}

# Whatever the caller's environment sets of these would hide what a configuration sets.
VARIED = (
    "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_CACHE_DIR",
    "CI",  # the profile of continuous integration has one seed for all
)  # fmt: skip


class Configuration(NamedTuple):
    """A way to compute."""

    kernel: str | None  # of OpenBLAS; None is the one that it takes by itself
    threads: int  # of BLAS, OpenMP and numba, each
    generic: bool  # whether numba compiles for a processor without FMA and AVX
    seed: int  # of hypothesis

    @property
    def name(self) -> str:
        generic = "-generic" if self.generic else ""
        return f"{(self.kernel or 'own').lower()}-{self.threads}{generic}"

    def environment(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if name not in VARIED}
        for variable in ("OPENBLAS", "OMP", "MKL", "NUMBA"):
            env[f"{variable}_NUM_THREADS"] = str(self.threads)
        if self.kernel:
            env["OPENBLAS_CORETYPE"] = self.kernel
        if self.generic:
            env |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
        # Compiled once for all runs, and apart from the caller's own.
        cache = ROOT / "build" / "portable" / ("generic" if self.generic else "host")
        return env | {"NUMBA_CACHE_DIR": str(cache)}


CONFIGURATIONS = [
    Configuration("Haswell", 1, False, 1),
    Configuration("Haswell", 4, False, 2),
    Configuration("Zen", 2, False, 3),
    Configuration("Sandybridge", 1, False, 4),
    Configuration("Sandybridge", 2, True, 5),  # a processor with AVX, but no fused products
    Configuration("SkylakeX", 1, False, 6),
    Configuration("SkylakeX", 4, False, 7),
    Configuration("Prescott", 1, False, 8),
    Configuration("Prescott", 4, True, 9),  # the oldest processors of x86-64
    Configuration(None, 2, True, 10),
]

# How a process ends that meets an instruction unknown to the processor: SIGILL, or on Windows its
# name.
ILLEGAL = (-4, 0xC000001D)

# NumPy and SciPy each bring a BLAS.
PROBE = """
import numpy as np, scipy.linalg, threadpoolctl
A = np.random.default_rng(0).standard_normal((200, 200))
for dtype in (np.float64, np.float32):
    B = (A @ A.T + 200 * np.eye(200)).astype(dtype)
    scipy.linalg.cho_solve(scipy.linalg.cho_factor(B), B @ B)
    np.linalg.eigh(B), scipy.linalg.eigh(B)
for library in threadpoolctl.threadpool_info():
    if library["user_api"] == "blas":
        print(library["internal_api"], library.get("architecture"))
"""


class Outcome(NamedTuple):
    """What became of a configuration."""

    passed: int
    failed: int
    seconds: float
    names: list[str]  # of the tests that failed
    skipped: str = ""  # why it was not run


def why_not(configuration: Configuration) -> str:
    """Why this machine cannot compute that way; empty if it can."""
    if configuration.kernel is None:
        return ""
    probe = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=configuration.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode in ILLEGAL:
        return "the processor does not have its instructions"
    if probe.returncode:
        raise RuntimeError(f"{configuration.name}: status {probe.returncode}. {probe.stderr}")
    found = [line.split() for line in probe.stdout.splitlines()]
    others = {api for api, _ in found} - {"openblas"}
    if others or not found:
        return f"NumPy or SciPy do not compute by OpenBLAS but by {', '.join(others) or 'others'}"
    taken = {architecture for _, architecture in found}
    if not taken <= set(KERNELS[configuration.kernel]):
        return f"OpenBLAS has taken {' and '.join(sorted(taken))} instead"
    return ""


def run(configuration: Configuration, tests: list[str], options: list[str]) -> Outcome:
    """Run the tests in that way."""
    try:
        reason = why_not(configuration)
    except RuntimeError as error:
        return Outcome(0, 1, 0.0, [str(error)])
    if reason:
        return Outcome(0, 0, 0.0, [], reason)
    workers = max(1, (os.cpu_count() or 1) // configuration.threads)
    start = time.perf_counter()
    process = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider"),
            *("--numprocesses", str(workers if workers > 1 else 0)),
            *(f"--hypothesis-seed={configuration.seed}", *options, *tests),
        ],
        env=configuration.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    names = re.findall(r"^(?:FAILED|ERROR) (\S+)", process.stdout, flags=re.MULTILINE)
    last = (process.stdout.strip().splitlines() or [""])[-1]
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error)", last)}
    failed = counts.get("failed", 0) + counts.get("error", 0)
    if process.returncode and not failed:  # it crashed, was stopped, or had a wrong option
        names.append(f"pytest ended with status {process.returncode}. {process.stderr[-2000:]}")
        failed = 1
    if failed:
        print(process.stdout)
    return Outcome(counts.get("passed", 0), failed, seconds, names)


def processor() -> str:
    """Its name."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def table(outcomes: dict[Configuration, Outcome], tests: list[str]) -> str:
    """The runs in reStructuredText."""
    lines = [
        f"{datetime.date.today():%d %B %Y}, {processor()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}: ``{'``, ``'.join(tests)}``.",
        "",
        ".. list-table::",
        "   :header-rows: 1",
        "",
    ]
    rows = [["OpenBLAS", "threads", "numba", "seed", "passed", "failed", "seconds"]]
    for (kernel, threads, generic, seed), outcome in outcomes.items():
        way = [kernel or "own", str(threads), "generic" if generic else "own", str(seed)]
        passed, failed, seconds, _, reason = outcome
        result = [f"skipped: {reason}", "", ""] if reason else [passed, failed, f"{seconds:.0f}"]
        rows.append([*way, *map(str, result)])
    for row in rows:
        marks = ["   * -", *["     -"] * (len(row) - 1)]
        lines += [f"{mark} {value}".rstrip() for mark, value in zip(marks, row, strict=True)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run what the command line asks for; 1 if a test failed."""
    names = [configuration.name for configuration in CONFIGURATIONS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="*", default=FOLDERS, help="folders or files of tests")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME",
                        help=f"configurations: {', '.join(names)}")  # fmt: skip
    parser.add_argument("--pytest", default="", help="options for pytest, as one word")
    parser.add_argument("--write", type=Path, help="file for the table, in reStructuredText")
    args = parser.parse_args()
    print(f"{'configuration':24} {'passed':>7} {'failed':>7} {'seconds':>8}", flush=True)
    outcomes = {}
    for configuration in CONFIGURATIONS:
        if configuration.name not in args.only:
            continue
        outcome = outcomes[configuration] = run(configuration, args.tests, args.pytest.split())
        counts = f"{outcome.passed:7} {outcome.failed:7} {outcome.seconds:8.0f}"
        said = f"skipped: {outcome.skipped}" if outcome.skipped else counts
        print(f"{configuration.name:24} {said}", flush=True)
        print("".join(f"    {name}\n" for name in outcome.names), end="", flush=True)
    if args.write:
        args.write.write_text(table(outcomes, args.tests))
    return int(any(outcome.failed for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
