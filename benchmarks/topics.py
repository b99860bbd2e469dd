"""PLSA and LatentDirichletAllocationVB beside scikit-learn, tomotopy and enstop.

Speed: seconds of one iteration are the difference of two whole fits, one with a few iterations and
one with more, divided by theirs; what comes before and after cancels. All take turns in one
process, medians of the pairs are quoted. For tomotopy an iteration is a pass of Gibbs sampling.
Memory: each fits in a process of its own, and the peak beyond what was in use before is quoted.
Quality: see topics_quality.py.

    python benchmarks/topics.py [--full] [--only PART] [--data DIR]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from gaussian_mixture import resident
from report import machine, write
from sklearn.decomposition import NMF, LatentDirichletAllocation
from topics_common import (
    CORPORA,
    KL,
    PACKAGES,
    gibbs,
    gibbs_seconds,
    seconds_of,
    show,
    synthetic,
)
from topics_quality import quality, starts

from skem import PLSA
from skem import LatentDirichletAllocationVB as LDA


# ------------------------------------------------------------------ speed
def timed(make: Callable, X: sp.csr_array, n_iter: int) -> float:
    """Seconds of a fit, after a small one that compiles and starts processes."""
    make(1).fit(X[:200])
    return seconds_of(make(n_iter).fit, X)[0]


def steppers(X: sp.csr_array, k: int, full: bool) -> dict[str, tuple]:
    """Of each competitor: the seconds of some iterations, how few and many to take, pairs."""
    own = {"tol": 0, "init": "random", "random_state": 0}
    nmf = partial(NMF, k, init="random", random_state=0, **KL)
    blei = partial(LatentDirichletAllocation, k, random_state=0, evaluate_every=-1)
    X32 = X.astype(np.float32)
    makers = {
        "skem PLSA": (lambda n: PLSA(k, acceleration=None, max_iter=n, **own), X, 2, 12, 5),
        "skem PLSA, float32": (lambda n: PLSA(k, acceleration=None, max_iter=n, **own), X32, 2, 12,
                               5),
        "skem LDA, cvb0": (lambda n: LDA(k, max_iter=n, **own), X, 2, 12, 5),
        "skem LDA, vb": (lambda n: LDA(k, inference="vb", max_iter=n, **own), X, 2, 7, 3),
        "NMF-KL": (lambda n: nmf(max_iter=n), X, 2, 7, 3),
        "NMF-KL, float32": (lambda n: nmf(max_iter=n), X32, 2, 7, 3),
        "scikit-learn LDA": (lambda n: blei(max_iter=n), X, 1, 2, 1),
        "scikit-learn LDA, n_jobs=2": (lambda n: blei(max_iter=n, n_jobs=2), X, 1, 2, 1),
    }  # fmt: skip
    found = {name: (partial(timed, make, Y), *rest) for name, (make, Y, *rest) in makers.items()}
    if "tomotopy" in PACKAGES:
        model = gibbs(X, k, optim_interval=0)
        model.train(5, workers=2)
        found["tomotopy, Gibbs"] = (partial(gibbs_seconds, model), 2, 7, 3)
    if "enstop" in PACKAGES and full:  # compiles for long
        vars(np)["float"] = float  # enstop 0.2 asks for the old name
        from enstop import PLSA as Other

        Y = sp.csr_matrix(X)
        make = partial(Other, k, tolerance=0, random_state=0)
        found["enstop PLSA, float32"] = (lambda n: timed(lambda m: make(n_iter=m), Y, n), 2, 7, 3)
    return found


def flops() -> float:
    """Operations a second of a product of two float64 matrices."""
    A = np.random.default_rng(0).standard_normal((3000, 3000))
    return 2 * len(A) ** 3 / min(seconds_of(np.dot, A, A)[0] for _ in range(5))


def speed(full: bool, data: Path) -> tuple[list[str], str]:
    k, rate = 50, flops()
    corpora = {"synthetic": synthetic(20_000 if full else 2000)}
    try:
        corpora["AP"] = CORPORA["AP"](data)
    except FileNotFoundError as error:
        print(f"AP: left out, no {error.filename}")
    header = ["corpus", "estimator", "s/iteration", "times the arithmetic"]
    rows, notes = [], [f"Product of float64 matrices: {rate / 1e9:.1f} GFlop/s."]
    for corpus, X in corpora.items():
        X = X if full else X[:2000]
        floor = 6 * X.nnz * k / rate
        calls = steppers(X, k, full)
        taken: dict[str, list[float]] = {name: [] for name in calls}
        for pair in range(5 if full else 3):
            for name, (call, few, more, pairs) in calls.items():
                if pair < pairs:
                    taken[name].append((call(more) - call(few)) / (more - few))
        s = {name: statistics.median(values) for name, values in taken.items()}
        for name, value in s.items():
            rows.append([corpus, name, f"{value:.4f}", f"{value / floor:.1f}"])
        blei = min(s["scikit-learn LDA"], s["scikit-learn LDA, n_jobs=2"])
        ratios = {
            "NMF-KL / PLSA": s["NMF-KL"] / s["skem PLSA"],
            "the same in float32": s["NMF-KL, float32"] / s["skem PLSA, float32"],
            "scikit-learn LDA / cvb0": blei / s["skem LDA, cvb0"],
            "scikit-learn LDA / vb": blei / s["skem LDA, vb"],
        }
        notes.append(
            f"{corpus}, {X.shape[0]} x {X.shape[1]}, {X.nnz} entries, {k} topics: 6 nnz k "
            f"operations take {floor:.4f} s at that rate. Ratios: "
            + ", ".join(f"{name} {ratio:.1f}" for name, ratio in ratios.items()) + "."
        )  # fmt: skip
    return show("Seconds of one iteration", header, rows, notes)


FIRST = """
import time, numpy as np
from skem import PLSA, LatentDirichletAllocationVB as LDA
X = np.eye(4) + 1
begin = time.perf_counter()
{}.fit(X)
print(time.perf_counter() - begin)
"""


def first_call(full: bool, data: Path) -> tuple[list[str], str]:
    """Seconds of a tiny first fit in a new process, with nothing compiled and with all."""
    calls = [
        "PLSA(2, max_iter=5)",
        "LDA(2, max_iter=5)",
        "LDA(2, max_iter=5, inference='vb')",
    ]
    rows = []
    for call in calls if full else calls[:1]:
        with tempfile.TemporaryDirectory() as cache:
            command = [sys.executable, "-W", "ignore", "-c", FIRST.format(call)]
            env = {**os.environ, "NUMBA_CACHE_DIR": cache}
            runs = [subprocess.run(command, env=env, capture_output=True, text=True, check=True)
                    for _ in range(2)]  # fmt: skip
        rows.append([call, *(f"{float(run.stdout):.2f}" for run in runs)])
    return show("Seconds of a first fit", ["fit", "compiles", "from the cache"], rows)


# ------------------------------------------------------------------ memory
def peak_memory(name: str, n: int, k: int) -> float:
    """MiB beyond what was in use before the fit, at its peak; run in a process of its own."""
    X = synthetic(n)
    make = MEMORY[name]
    make(k).fit(X[:200])
    before, peak, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    make(k).fit(X)
    done.set()
    watcher.join()
    return max(peak[0] - before, 0) / 2**20


MEMORY: dict[str, Callable] = {
    "skem PLSA": lambda k: PLSA(k, max_iter=10, random_state=0),
    "skem PLSA, plain EM": lambda k: PLSA(k, max_iter=10, acceleration=None, random_state=0),
    "skem LDA, cvb0": lambda k: LDA(k, max_iter=3, random_state=0),
    "skem LDA, vb": lambda k: LDA(k, max_iter=3, inference="vb", random_state=0),
    "NMF-KL": lambda k: NMF(k, max_iter=3, init="random", random_state=0, **KL),
    "scikit-learn LDA": lambda k: LatentDirichletAllocation(k, max_iter=1, random_state=0),
}


def memory(full: bool, data: Path) -> tuple[list[str], str]:
    n = 20_000 if full else 1000
    sizes, nnz = (50, 100) if full else (50,), synthetic(n).nnz
    rows = []
    for name in MEMORY if full else ("skem PLSA", "skem LDA, cvb0", "NMF-KL"):
        runs = [subprocess.run([sys.executable, __file__, "--memory", name, str(n), str(k)],
                               capture_output=True, text=True, check=True)
                for k in sizes]  # fmt: skip
        rows.append([name, *(f"{float(run.stdout):.0f}" for run in runs)])
    rows.append(["nnz x k numbers", *(f"{nnz * k * 8 / 2**20:.0f}" for k in sizes)])
    header = ["estimator", *(f"MiB, {k} topics" for k in sizes)]
    return show(f"Peak of memory during fit, {n} documents, {nnz} entries", header, rows)


# ------------------------------------------------------------------ all
PARTS: dict[str, Callable] = {
    "speed": speed,
    "first call": first_call,
    "memory": memory,
    **{f"quality {name}": partial(quality, name) for name in CORPORA},
    **{f"starts {name}": partial(starts, name) for name in CORPORA},
}


def main(full: bool, data: Path, only: str) -> None:
    about = machine(*PACKAGES)
    print(about)
    for name, measure in PARTS.items():
        quick = not full and not only
        if only not in name or (quick and ("BBC" in name or "DBLP" in name)):
            continue
        try:
            notes, table = measure(full, data)
        except FileNotFoundError as error:
            print(f"{name}: left out, no {error.filename}")
            continue
        slug = name.lower().replace(" ", "_")
        write(full, f"topics_{slug}", f"Measured on {about}.", *notes, table)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if "--memory" in sys.argv:
        print(peak_memory(sys.argv[2], *map(int, sys.argv[3:])))
    else:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument("--full", action="store_true", help="all sizes; writes the docs' table")
        parser.add_argument("--only", default="", help="parts whose name contains this")
        parser.add_argument(
            "--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data"
        )
        options = parser.parse_args()
        main(options.full, options.data, options.only)
