"""GaussianMixtureEM beside sklearn.mixture.GaussianMixture: time, memory, EM maps.

Speed: both fit the same data from the same start for the same number of EM iterations, in turn in
one process; whole ``fit`` calls are timed and the median of the ratios is quoted. Memory: each
fits in a process of its own, and the peak beyond what was in use before the fit is quoted.
Acceleration: EM maps and seconds to a log-likelihood within 1e-6 nats per row of the maximum.

    python benchmarks/gaussian_mixture.py [--full]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from report import machine, rst_table, text_table, write
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture

from skem import GaussianMixtureEM
from skem.datasets import load_old_faithful

SIZES = [
    (200_000, 32, 32),
    (500_000, 8, 16),
    (1_000_000, 2, 8),
    (50_000, 64, 16),
    (20_000, 128, 8),
]
QUICK = ((200_000, 2, 8), (10_000, 64, 16))
TYPES = ("full", "tied", "diag", "spherical")
N_ITER = 5


def make_data(n: int, d: int, k: int, covariance_type: str) -> tuple[np.ndarray, dict]:
    """Overlapping clusters, and a start for them."""
    rng = np.random.default_rng(0)
    means = 2.0 * rng.standard_normal((k, d))
    X = means[rng.integers(0, k, n)] + rng.standard_normal((n, d))
    shapes = {"full": np.eye(d)[None].repeat(k, 0), "tied": np.eye(d),
              "diag": np.ones((k, d)), "spherical": np.ones(k)}  # fmt: skip
    start = {
        "weights_init": np.full(k, 1 / k),
        "means_init": X[:k],
        "precisions_init": shapes[covariance_type],
    }
    return X, start


def make_estimator(peer: str, k: int, covariance_type: str, start: dict):
    options = {"covariance_type": covariance_type, "tol": 0, "max_iter": N_ITER, **start}
    if peer == "sklearn":
        return GaussianMixture(k, **options)
    return GaussianMixtureEM(k, acceleration=None, **options)


def time_pair(size: tuple, covariance_type: str, repeats: int, dtype: type) -> tuple:
    """Seconds per iteration of skem and scikit-learn, and the median ratio of whole fits."""
    n, d, k = size
    X, start = make_data(n, d, k, covariance_type)
    X = X.astype(dtype)
    seconds: dict[str, list[float]] = {"skem": [], "sklearn": []}
    make_estimator("skem", k, covariance_type, start).fit(X[:2000])  # compile
    for _ in range(repeats):
        for peer, taken in seconds.items():
            estimator = make_estimator(peer, k, covariance_type, start)
            begin = time.perf_counter()
            estimator.fit(X)
            taken.append(time.perf_counter() - begin)
    ratio = statistics.median(
        b / a for a, b in zip(seconds["skem"], seconds["sklearn"], strict=True)
    )
    return *(statistics.median(seconds[p]) / N_ITER for p in ("skem", "sklearn")), ratio


def resident() -> int:
    """Bytes of memory in use now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def peak_memory(peer: str, n: int, d: int, k: int, covariance_type: str) -> float:
    """MiB beyond what was in use before the fit, at its peak; run in a process of its own."""
    X, start = make_data(n, d, k, covariance_type)
    make_estimator(peer, k, covariance_type, start).fit(X[:2000])
    before, peak, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    make_estimator(peer, k, covariance_type, start).fit(X)
    done.set()
    watcher.join()
    return max(peak[0] - before, 0) / 2**20


def memory_in_own_process(peer: str, size: tuple, covariance_type: str) -> float:
    command = [sys.executable, __file__, "--memory", peer, *map(str, size), covariance_type]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def speed(full: bool) -> tuple[list[str], list[list[str]]]:
    sizes = SIZES if full else QUICK
    header = ["n, d, k", "covariance", "dtype", "scikit-learn s/iteration", "skem s/iteration",
              "times faster", "scikit-learn MiB", "skem MiB"]  # fmt: skip
    rows = []
    for size in sizes:
        for covariance_type in TYPES:
            for dtype in (np.float64, np.float32) if covariance_type == "full" else (np.float64,):
                mine, theirs, ratio = time_pair(size, covariance_type, 3 if full else 2, dtype)
                memory = ["", ""]
                if dtype == np.float64 and (full or covariance_type == "full"):
                    memory = [
                        f"{memory_in_own_process(p, size, covariance_type):.0f}"
                        for p in ("sklearn", "skem")
                    ]
                rows.append(
                    [", ".join(f"{s:,}".replace(",", " ") for s in size), covariance_type,
                     np.dtype(dtype).name, f"{theirs:.3f}", f"{mine:.4f}", f"{ratio:.1f}", *memory]
                )  # fmt: skip
                print("  ".join(rows[-1]), flush=True)
    return header, rows


def overlapping(n: int, d: int, k: int) -> np.ndarray:
    """Clusters one standard deviation apart in each direction."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((k, d))[rng.integers(0, k, n)] + rng.standard_normal((n, d))


def acceleration(full: bool) -> tuple[list[str], list[list[str]]]:
    """EM maps and seconds to the maximum, plain and accelerated, from the same start."""
    problems = [
        ("Old Faithful", load_old_faithful().data, 3, "tied"),
        ("iris", load_iris().data, 3, "tied"),
        ("iris", load_iris().data, 3, "full"),
        ("overlapping 2 000 x 5", overlapping(2000, 5, 4), 4, "full"),
        ("overlapping 5 000 x 2", overlapping(5000, 2, 3), 3, "diag"),
    ]
    if full:
        problems.append(("overlapping 200 000 x 8", overlapping(200_000, 8, 6), 6, "full"))
    header = ["data", "model", "EM maps, plain", "EM maps, accelerated", "times fewer",
              "seconds, plain", "seconds, accelerated", "nats between the maxima"]  # fmt: skip
    rows = []
    for name, X, k, covariance_type in problems:
        options = {"covariance_type": covariance_type, "reg_covar": 0, "tol": 1e-10,
                   "max_iter": 100_000, "random_state": 0}  # fmt: skip
        start = GaussianMixture(k, covariance_type=covariance_type, max_iter=1, random_state=0)
        start.fit(X)
        options |= {"weights_init": start.weights_, "means_init": start.means_,
                    "precisions_init": start.precisions_}  # fmt: skip
        fits = {}
        for mode in (None, "auto"):
            begin = time.perf_counter()
            mixture = GaussianMixtureEM(k, acceleration=mode, **options).fit(X)
            fits[mode] = mixture, time.perf_counter() - begin
        maps, seconds = [], []
        for mixture, taken in fits.values():
            near = np.flatnonzero(np.asarray(mixture.lower_bounds_) >= mixture.lower_bound_ - 1e-6)
            reached = int(near[0]) + 1
            maps.append(reached)
            seconds.append(taken * reached / mixture.n_iter_)
        gap = abs(fits[None][0].lower_bound_ - fits["auto"][0].lower_bound_) * len(X)
        rows.append([name, f"{covariance_type}, {k}", *map(str, maps), f"{maps[0] / maps[1]:.1f}",
                     *(f"{s:.3f}" for s in seconds), f"{gap:.1e}"])  # fmt: skip
    return header, rows


def main(full: bool) -> None:
    warnings.simplefilter("ignore")
    about = machine("skem", "numpy", "scipy", "scikit-learn", "numba")
    print(about)
    table = speed(full)
    print(text_table(*table))
    faster = acceleration(full)
    print(text_table(*faster))
    write(
        full,
        "gaussian_mixture",
        f"Measured on {about}.",
        rst_table("Whole fits from the same start, 5 EM iterations", *table),
        rst_table("To within 1e-6 nats per row of the maximum, from the same start", *faster),
    )


if __name__ == "__main__":
    if "--memory" in sys.argv:
        warnings.simplefilter("ignore")
        peer, n, d, k, covariance_type = sys.argv[2:]
        print(peak_memory(peer, int(n), int(d), int(k), covariance_type))
    else:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument("--full", action="store_true", help="all sizes; writes the docs' table")
        main(parser.parse_args().full)
