"""GaussianMixtureEM beside sklearn.mixture.GaussianMixture on real tables, as a user calls them.

Default fits: ``fit(X)`` with nothing but the number of components, the covariance type and a seed,
whole calls, each seed in turn with both; then scores of the rows. Of many rows each fit has a
process of its own, which is ended after five minutes. EM iterations: both from the
same parameters, those that skem has after ten maps.

    python benchmarks/gaussian_tables.py [--full] [--resume] [--data DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import multiprocessing
import queue
import statistics
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from report import ROOT, folder, machine, rst_table, text_table, write
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
MANY = 5000  # rows from which on fits take seconds, and are not repeated
LIMIT = 300.0  # seconds of a fit, which is then ended
BUDGET = 200.0  # seconds for the seeds of one case; those that do not fit in are left out


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


def send_fit(sent: multiprocessing.Queue, peer: str, k: int, X: np.ndarray, **options) -> None:
    warnings.simplefilter("ignore")
    with contextlib.suppress(ValueError):  # of so few rows a covariance may be singular
        fit(peer, k, X[:500], **options | {"max_iter": 2})  # compiles and loads
    try:
        seconds, mixture = fit(peer, k, X, **options)
    except ValueError as error:
        print(f"{peer}: {error}", flush=True)
        sent.put((math.nan, math.nan))
    else:
        sent.put((seconds, mixture.score(X)))


def long_fit(peer: str, k: int, X: np.ndarray, **options) -> tuple[float, float]:
    """Seconds and score of a fit in a process of its own.

    Seconds are inf if it takes too long, nan if it fails; the score is nan then.
    """
    context = multiprocessing.get_context("spawn")
    sent = context.Queue()
    process = context.Process(target=send_fit, args=(sent, peer, k, X), kwargs=options)
    process.start()
    try:
        return sent.get(timeout=LIMIT)
    except queue.Empty:
        process.terminate()
        return math.inf, math.nan
    finally:
        process.join()


def short_fit(peer: str, k: int, X: np.ndarray, **options) -> tuple[float, float]:
    """Median of the seconds of some equal fits, and their score."""
    fits = [fit(peer, k, X, **options) for _ in range(5)]
    return statistics.median(taken for taken, _ in fits), fits[-1][1].score(X)


class Fits(NamedTuple):
    """Default fits of both, over the seeds; the ratio is a lower bound if the peer was ended."""

    n_seeds: int
    seconds: dict[str, float]
    ratio: float
    bound: bool
    mean: dict[str, float]
    best: dict[str, float]

    @property
    def cells(self) -> list[str]:
        more = "> " if self.bound else ""
        cells = [
            str(self.n_seeds),
            f"{more}{self.seconds['sklearn']:.3g}",
            f"{self.seconds['skem']:.3g}",
            f"{more}{self.ratio:.2f}",
            *(f"{of[peer]:.4f}" for of in (self.mean, self.best) for peer in PEERS),
        ]
        return ["none" if cell.removeprefix(more) == "nan" else cell for cell in cells]


def default_fits(X: np.ndarray, k: int, covariance_type: str, n_seeds: int) -> Fits:
    measured = short_fit if len(X) < MANY else long_fit
    found: dict[str, list[tuple[float, float]]] = {peer: [] for peer in PEERS}
    begin = time.perf_counter()
    for seed in range(n_seeds):
        for peer in PEERS:
            options = {"covariance_type": covariance_type, "random_state": seed}
            found[peer].append(measured(peer, k, X, **options))
        spent = time.perf_counter() - begin
        if spent * (seed + 2) / (seed + 1) > BUDGET or not math.isfinite(found["sklearn"][0][0]):
            break
    seconds = {peer: [taken for taken, _ in fits] for peer, fits in found.items()}
    scores = {peer: [score for _, score in fits] for peer, fits in found.items()}
    bound = math.inf in seconds["sklearn"]
    seconds["sklearn"] = [min(taken, LIMIT) for taken in seconds["sklearn"]]
    return Fits(
        len(scores["skem"]),
        {peer: statistics.median(taken) for peer, taken in seconds.items()},
        statistics.median(a / b for a, b in zip(*seconds.values(), strict=True)),
        bound,
        {peer: float(np.mean(values)) for peer, values in scores.items()},
        {peer: float(np.max(values)) for peer, values in scores.items()},
    )


def iterations(X: np.ndarray, k: int, covariance_type: str, n_iter: int = 2) -> dict[str, float]:
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
        for _ in range(3 if len(X) < MANY else 1):
            few, _ = fit(peer, k, X, max_iter=1, **own)
            many, _ = fit(peer, k, X, max_iter=1 + n_iter, **own)
            taken.append(max(many - few, 1e-9) / n_iter)
        seconds[peer] = statistics.median(taken)
    return seconds


def measure_case(
    name: str, X: np.ndarray, k: int, covariance_type: str, n_seeds: int
) -> dict[str, list]:
    """Rows of both tables, and the ratio of whole fits."""
    with contextlib.suppress(ValueError):  # of so few rows a covariance may be singular
        fit("skem", k, X[:500], covariance_type=covariance_type, random_state=0)
    n, d = X.shape
    case = [name, f"{n} x {d}, {k}", covariance_type, X.dtype.name]
    found = default_fits(X, k, covariance_type, n_seeds)
    rows = {"whole": [*case, *found.cells], "ratio": [found.ratio], "steps": []}
    if d >= 50:
        seconds = iterations(X, k, covariance_type)
        times = seconds["sklearn"] / seconds["skem"]
        rows["steps"] = [*case, f"{seconds['sklearn']:.3g}", f"{seconds['skem']:.3g}",
                         f"{times:.1f}"]  # fmt: skip
    return rows


def measure(full: bool, resume: bool, data: Path) -> tuple[tuple, tuple, str]:
    log = folder(full=False) / f"gaussian_tables{'_full' if full else ''}.json"
    done = json.loads(log.read_text(encoding="utf-8")) if resume and log.exists() else {}
    for name, X, k in tables(data):
        if not full:
            X = X[:MANY]
        for covariance_type in ("full", "diag"):
            for dtype in (np.float64, np.float32):
                key = f"{name}, {k}, {covariance_type}, {np.dtype(dtype).name}"
                if key not in done:
                    done[key] = measure_case(
                        name, X.astype(dtype), k, covariance_type, 5 if full else 2
                    )
                    log.write_text(json.dumps(done), encoding="utf-8")
                print("  ".join(done[key]["whole"]), *done[key]["steps"][-3:], flush=True)
    whole = [found["whole"] for found in done.values()]
    steps = [found["steps"] for found in done.values() if found["steps"]]
    ratios = [r for found in done.values() for r in found["ratio"] if math.isfinite(r)]
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    about = f"Geometric mean of the ratios: {mean:.2f}; lowest {min(ratios):.2f}."
    case = ["table", "rows x columns, K", "covariance", "dtype"]
    peers = ("scikit-learn", "skem")
    scores = [f"{which} score, {peer}" for which in ("mean", "best") for peer in peers]
    header = [*case, "seeds", *(f"{peer} s" for peer in peers), "times faster", *scores]
    of_steps = [*case, "scikit-learn s/iteration", "skem s/iteration", "times faster"]
    return (header, whole), (of_steps, steps), about


def main(full: bool, resume: bool, data: Path) -> None:
    warnings.simplefilter("ignore")
    about = machine("skem", "numpy", "scipy", "scikit-learn", "numba")
    print(about)
    whole, steps, mean = measure(full, resume, data)
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
    parser.add_argument("--resume", action="store_true", help="keep what an ended run has measured")
    arguments = parser.parse_args()
    main(arguments.full, arguments.resume, arguments.data)
