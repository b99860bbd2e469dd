"""GaussianMixtureEM beside sklearn.mixture.GaussianMixture on real tables, as a user calls them.

Default fits: ``fit(X)`` with nothing but the number of components, the covariance type and a seed,
whole calls, each seed in turn with both; then scores of the rows. EM iterations: both from the same
parameters, those that skem has after ten maps.

    python benchmarks/gaussian_tables.py [--full] [--data DIR]
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from report import ROOT, machine, rst_table, text_table, write
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from skem import GaussianMixtureEM

PEERS = {"sklearn": GaussianMixture, "skem": GaussianMixtureEM}
SHORT = 0.020  # whole fits of the peer below this, in seconds, are mostly calls
BUDGET = 900.0  # seconds for the seeds of one case; those that do not fit in are left out


def tables(data: Path) -> Iterator[tuple[str, np.ndarray, int]]:
    """Name, rows and number of components."""
    yield "iris", load_iris().data, 3
    yield "wine", load_wine().data, 3
    yield "breast cancer", load_breast_cancer().data, 2
    yield "diabetes", load_diabetes().data, 4
    digits = load_digits().data
    yield "digits, 20 principal components", PCA(20, random_state=0).fit_transform(digits), 10
    if not (data / "mnist.npz").exists():
        print(f"left out: MNIST, no {data / 'mnist.npz'}")
        return
    pixels = np.load(data / "mnist.npz")["x_train"].astype(np.float64)
    components = PCA(50, svd_solver="covariance_eigh").fit_transform(pixels)
    for d, k in [(10, 20), (30, 10), (50, 10), (50, 40)]:
        yield f"MNIST, {d} principal components", np.ascontiguousarray(components[:, :d]), k
    halved = pixels.reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(len(pixels), 196)
    yield "MNIST, 14 x 14 pixels with spread", halved[:, halved.std(0) > 1], 10


def fit(peer: str, k: int, X: np.ndarray, **options) -> tuple[float, object]:
    """Seconds of a whole fit, and the fitted mixture."""
    mixture = PEERS[peer](k, **options)
    begin = time.perf_counter()
    mixture.fit(X)
    return time.perf_counter() - begin, mixture


def default_fits(X: np.ndarray, k: int, covariance_type: str, seeds: int) -> dict | None:
    """Ratio of seconds, and scores of both, over the seeds."""
    repeats = 5 if len(X) < 5000 else 1
    seconds: dict[str, list[float]] = {peer: [] for peer in PEERS}
    scores: dict[str, list[float]] = {peer: [] for peer in PEERS}
    begin = time.perf_counter()
    for seed in range(seeds):
        for peer in PEERS:
            options = {"covariance_type": covariance_type, "random_state": seed}
            fits = [fit(peer, k, X, **options) for _ in range(repeats)]
            seconds[peer].append(statistics.median(taken for taken, _ in fits))
            scores[peer].append(fits[-1][1].score(X))
        spent = time.perf_counter() - begin
        if spent * (seed + 2) / (seed + 1) > BUDGET:
            break
    return {
        "seeds": len(scores["skem"]),
        "ratio": statistics.median(
            a / b for a, b in zip(seconds["sklearn"], seconds["skem"], strict=True)
        ),
        "seconds": {peer: statistics.median(taken) for peer, taken in seconds.items()},
        "mean": {peer: float(np.mean(values)) for peer, values in scores.items()},
        "best": {peer: float(np.max(values)) for peer, values in scores.items()},
    }


def iterations(X: np.ndarray, k: int, covariance_type: str, n_iter: int = 3) -> dict[str, float]:
    """Seconds of an EM iteration of both, from the same parameters, starts and all taken off."""
    options = {"covariance_type": covariance_type, "random_state": 0}
    start = GaussianMixtureEM(k, max_iter=10, **options).fit(X)
    options |= {
        "weights_init": start.weights_,
        "means_init": start.means_,
        "precisions_init": start.precisions_,
        "tol": 0,
    }
    seconds = {}
    for peer in PEERS:
        own = options | ({"acceleration": None} if peer == "skem" else {})
        taken = []
        for _ in range(3 if len(X) < 5000 else 2):
            few, _ = fit(peer, k, X, max_iter=1, **own)
            many, _ = fit(peer, k, X, max_iter=1 + n_iter, **own)
            taken.append(max(many - few, 1e-9) / n_iter)
        seconds[peer] = statistics.median(taken)
    return seconds


def measure(full: bool, data: Path) -> tuple[tuple, tuple, str]:
    whole, steps, ratios = [], [], []
    for name, X, k in tables(data):
        n, d = X.shape
        if not full and n > 5000:
            X = X[:5000]
        for covariance_type in ("full", "diag"):
            for dtype in (np.float64, np.float32):
                rows = X.astype(dtype)
                fit("skem", k, rows[:500], covariance_type=covariance_type, random_state=0)
                case = [name, f"{len(rows)} x {d}, {k}", covariance_type, np.dtype(dtype).name]
                found = default_fits(rows, k, covariance_type, 5 if full else 2)
                ratios.append(found["ratio"])
                mean, best = found["mean"], found["best"]
                whole.append(
                    [*case, str(found["seeds"]), f"{found['seconds']['sklearn']:.3g}",
                     f"{found['seconds']['skem']:.3g}", f"{found['ratio']:.2f}",
                     f"{mean['sklearn']:.4f}", f"{mean['skem']:.4f}",
                     f"{best['sklearn']:.4f}", f"{best['skem']:.4f}"]
                )  # fmt: skip
                print("  ".join(whole[-1]), flush=True)
                if d >= 50:
                    seconds = iterations(rows, k, covariance_type)
                    times = seconds["sklearn"] / seconds["skem"]
                    steps.append([*case, f"{seconds['sklearn']:.3g}", f"{seconds['skem']:.3g}",
                                  f"{times:.1f}"])  # fmt: skip
                    print("  ".join(steps[-1]), flush=True)
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    about = f"Geometric mean of the ratios: {mean:.2f}; lowest {min(ratios):.2f}."
    case = ["table", "rows x columns, K", "covariance", "dtype"]
    peers = ("scikit-learn", "skem")
    scores = [f"{which} score, {peer}" for which in ("mean", "best") for peer in peers]
    header = [*case, "seeds", *(f"{peer} s" for peer in peers), "times faster", *scores]
    of_steps = [*case, "scikit-learn s/iteration", "skem s/iteration", "times faster"]
    return (header, whole), (of_steps, steps), about


def main(full: bool, data: Path) -> None:
    warnings.simplefilter("ignore")
    about = machine("skem", "numpy", "scipy", "scikit-learn", "numba")
    print(about)
    whole, steps, mean = measure(full, data)
    print(text_table(*whole), text_table(*steps), mean, sep="\n\n")
    write(
        full,
        "gaussian_tables",
        f"Measured on {about}. {mean}",
        rst_table("Default fits, whole calls; scores are nats a row", *whole),
        rst_table("An EM iteration from the same parameters, 50 columns and more", *steps),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all rows; writes the docs' table")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments = parser.parse_args()
    main(arguments.full, arguments.data)
