"""Memory that mixtures take beyond the rows that they are given.

Each case runs in a process of its own, after the same call on few rows, at two sizes. Quoted are
the peak beyond what was in use before the call and, from the difference of the two sizes, how it
grows with the data, both in units of the data as given: what is returned counts.

    python benchmarks/mixture_memory.py [--full] [case ...]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from report import machine, rst_table, text_table, write

from skem import BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture

D, K = 20, 3
SMALL, LARGE = 60_000, 180_000


def clusters(n: int, dtype: type = np.float64) -> np.ndarray:
    rng = np.random.default_rng(0)
    X = np.empty((n, D), dtype)
    means = 3 * rng.standard_normal((K, D))
    for start in range(0, n, 10_000):
        part = X[start : start + 10_000]
        part[:] = means[rng.integers(0, K, len(part))] + rng.standard_normal(part.shape)
    return X


def with_holes(n: int, dtype: type = np.float64) -> np.ndarray:
    """A tenth of the values missing."""
    rng, X = np.random.default_rng(1), clusters(n, dtype)
    for start in range(0, n, 10_000):
        part = X[start : start + 10_000]
        part[rng.random(part.shape) < 0.1] = np.nan
    return X


def memmap(n: int) -> np.ndarray:
    path = Path(tempfile.gettempdir()) / f"skem-rows-{os.getpid()}-{n}.f64"
    clusters(n).tofile(path)
    X = np.memmap(path, np.float64, mode="r", shape=(n, D))
    path.unlink()
    return X


def binary(n: int, dtype: type = np.int8) -> np.ndarray:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, (K, D))
    X = np.empty((n, D), dtype)
    for start in range(0, n, 10_000):
        part = X[start : start + 10_000]
        part[:] = rng.random(part.shape) < p[rng.integers(0, K, len(part))]
    return X


def binary_with_holes(n: int) -> np.ndarray:
    rng, X = np.random.default_rng(1), binary(n, np.float64)
    for start in range(0, n, 10_000):
        part = X[start : start + 10_000]
        part[rng.random(part.shape) < 0.1] = np.nan
    return X


def gaussian(covariance_type: str = "full", max_iter: int = 3) -> GaussianMixtureEM:
    return GaussianMixtureEM(
        K, covariance_type=covariance_type, max_iter=max_iter, tol=0, random_state=0
    )


def one_zero_weight(X: np.ndarray) -> dict:
    weight = np.ones(len(X))
    weight[7] = 0
    return {"sample_weight": weight}


def some_labels(X: np.ndarray) -> dict:
    labels = np.full(len(X), -1)
    labels[::50] = 0
    return {"labels": labels}


def fit(estimator: Any, extras: Callable[[np.ndarray], dict] = lambda X: {}) -> Callable:
    """A fit, as a pair: what is made beforehand, and the call."""
    return lambda X: (extras(X), lambda given: estimator.fit(X, **given))


def fitted(method: str, covariance_type: str = "full", make: Callable = clusters) -> Callable:
    def prepare(X: np.ndarray) -> tuple:
        model = gaussian(covariance_type).fit(make(3000))
        return model, lambda model: getattr(model, method)(X)

    return prepare


def sample(X: np.ndarray) -> tuple:
    return gaussian().fit(clusters(3000)), lambda model: model.sample(len(X))


def of_bernoulli(method: str, dtype: type) -> Callable:
    def prepare(X: np.ndarray) -> tuple:
        model = BernoulliMixtureEM(K, max_iter=3, tol=0, n_init=1, random_state=0)
        return model.fit(binary(3000, dtype)), lambda model: getattr(model, method)(X)

    return prepare


def sample_bernoulli(X: np.ndarray) -> tuple:
    model = BernoulliMixtureEM(K, max_iter=3, tol=0, n_init=1, random_state=0).fit(binary(3000))
    return model, lambda model: model.sample(len(X))


BERNOULLI = BernoulliMixtureEM(K, max_iter=3, tol=0, n_init=1, random_state=0)
COINS = ThreeCoinMixture(max_iter=3, tol=0, n_init=1, random_state=0)
ERRORS = GaussianMixtureEM(
    2, covariance_type="tied_spherical", max_iter=3, tol=0, random_state=0, standard_errors=True
)

CASES: dict[str, tuple[Callable, Callable]] = {
    "fit full float64": (clusters, fit(gaussian())),
    "fit full float32": (lambda n: clusters(n, np.float32), fit(gaussian())),
    "fit full memmap": (memmap, fit(gaussian())),
    "fit full one zero weight": (clusters, fit(gaussian(), one_zero_weight)),
    "fit full NaN": (with_holes, fit(gaussian())),
    "fit full NaN float32": (lambda n: with_holes(n, np.float32), fit(gaussian())),
    "fit full labels": (clusters, fit(gaussian(), some_labels)),
    "fit diag float64": (clusters, fit(gaussian("diag"))),
    "fit diag float32": (lambda n: clusters(n, np.float32), fit(gaussian("diag"))),
    "fit diag memmap": (memmap, fit(gaussian("diag"))),
    "fit diag one zero weight": (clusters, fit(gaussian("diag"), one_zero_weight)),
    "fit diag NaN": (with_holes, fit(gaussian("diag"))),
    "fit diag labels": (clusters, fit(gaussian("diag"), some_labels)),
    "impute full": (with_holes, fitted("impute")),
    "impute diag": (with_holes, fitted("impute", "diag")),
    "predict_proba": (clusters, fitted("predict_proba")),
    "predict_proba NaN": (with_holes, fitted("predict_proba")),
    "score_samples": (clusters, fitted("score_samples")),
    "score_samples NaN": (with_holes, fitted("score_samples")),
    "score": (clusters, fitted("score")),
    "bic": (clusters, fitted("bic")),
    "sample": (clusters, sample),
    "standard_errors": (clusters, fit(ERRORS)),
    "Bernoulli int8": (binary, fit(BERNOULLI)),
    "Bernoulli int8 one zero weight": (binary, fit(BERNOULLI, one_zero_weight)),
    "Bernoulli bool": (lambda n: binary(n, np.bool_), fit(BERNOULLI)),
    "Bernoulli int64": (lambda n: binary(n, np.int64), fit(BERNOULLI)),
    "Bernoulli float64": (lambda n: binary(n, np.float64), fit(BERNOULLI)),
    "Bernoulli NaN": (binary_with_holes, fit(BERNOULLI)),
    "Bernoulli predict_proba int8": (binary, of_bernoulli("predict_proba", np.int8)),
    "Bernoulli score_samples int8": (binary, of_bernoulli("score_samples", np.int8)),
    "Bernoulli sample": (lambda n: binary(n, np.float64), sample_bernoulli),
    "ThreeCoin int8": (binary, fit(COINS)),
    "ThreeCoin NaN": (binary_with_holes, fit(COINS)),
}


def resident() -> int:
    """Bytes of memory in use now, without files that are mapped."""
    resident, shared = Path("/proc/self/statm").read_text().split()[1:3]
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def peak(name: str, n: int) -> float:
    """Bytes beyond what was in use before the call, at the peak; run in a process of its own."""
    make, prepare = CASES[name]
    extras, call = prepare(make(2000))
    call(extras)  # compiles
    X = make(n)
    extras, call = prepare(X)
    ctypes.CDLL(None).malloc_trim(0)
    before, highest, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.001):
            highest[0] = max(highest[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    call(extras)
    done.set()
    watcher.join()
    return max(highest[0] - before, 0)


def in_own_process(name: str, n: int) -> float:
    command = [sys.executable, __file__, "--peak", name, str(n)]
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed is gone
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


def main(names: list[str], full: bool) -> None:
    about = machine("skem", "numpy", "scikit-learn", "numba")
    print(about)
    header = ["case", "data MiB", "peak MiB", "peak / data", "growth / data"]
    rows = []
    for name in names or CASES:
        sizes = [CASES[name][0](n).nbytes / 2**20 for n in (SMALL, LARGE)]
        small, large = (in_own_process(name, n) / 2**20 for n in (SMALL, LARGE))
        growth = (large - small) / (sizes[1] - sizes[0])
        rows.append([name, f"{sizes[1]:.0f}", f"{large:.1f}", f"{large / sizes[1]:.2f}",
                     f"{growth:.2f}"])  # fmt: skip
        print("  ".join(rows[-1]), flush=True)
    print(text_table(header, rows))
    title = f"Memory beyond the data: {LARGE} rows of {D} columns"
    write(full, "mixture_memory", f"Measured on {about}.", rst_table(title, header, rows))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if "--peak" in sys.argv:
        print(peak(sys.argv[2], int(sys.argv[3])))
    else:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument("--full", action="store_true", help="writes the docs' table")
        parser.add_argument("cases", nargs="*", help="some of the cases")
        options = parser.parse_args()
        main(options.cases, options.full)
