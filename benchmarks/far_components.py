"""EM iterations and scores of mixtures whose components are near, and far apart.

Far from a component a row has a responsibility near the end of the range of numbers, where some
processors take a hundred times as long for a product. One EM iteration, by the difference of two
fits from the same parameters with few and with more iterations, should take no longer there. Nor
should ``score_samples``.

    python benchmarks/far_components.py [--full]
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from report import machine, rst_table, text_table, write

from skem import BernoulliMixtureEM, GaussianMixtureEM

APART = (0.0, 0.5, 3.0, 30.0)  # standard deviations in each column
SHARES = (0.0, 0.5, 0.9, 0.999)  # how far probabilities of ones go from 1/2 to 0 and 1
K, N_ITER = 10, 8


def gaussian(
    n: int, d: int, apart: float, covariance_type: str, dtype: str, missing: float = 0.0
) -> tuple[Any, np.ndarray]:
    """A mixture at the parameters that the rows were drawn with, and the rows."""
    rng = np.random.default_rng(0)
    means = apart * rng.standard_normal((K, d))
    X = means[rng.integers(0, K, n)] + rng.standard_normal((n, d))
    X[rng.random((n, d)) < missing] = np.nan
    eye = {"full": np.eye(d)[None].repeat(K, 0), "tied": np.eye(d), "diag": np.ones((K, d))}
    model = GaussianMixtureEM(
        K,
        covariance_type=covariance_type,
        weights_init=np.full(K, 1 / K),
        means_init=means,
        precisions_init=eye[covariance_type],
    )
    return model, X.astype(dtype)


def bernoulli(n: int, d: int, share: float, dtype: str, missing: float = 0.0) -> tuple:
    rng = np.random.default_rng(0)
    p = 0.5 + 0.5 * share * rng.choice([-1.0, 1.0], (K, d))
    X = (rng.random((n, d)) < p[rng.integers(0, K, n)]).astype(dtype)
    X[rng.random((n, d)) < missing] = np.nan
    return BernoulliMixtureEM(K, weights_init=np.full(K, 1 / K), probabilities_init=p), X


def cases(full: bool) -> list[tuple[str, str, str, tuple[float, ...], Callable]]:
    """Model, dtype, size, distances, and what makes the mixture and the rows."""
    n = 20_000 if full else 2000
    found: list[tuple] = []
    for dtype in ("float64", "float32"):
        for name, kind, d, missing in (
            ("full", "full", 128, 0.0),
            ("full, 16 columns", "full", 16, 0.0),
            ("tied", "tied", 128, 0.0),
            ("diag", "diag", 128, 0.0),
            ("full, missing values", "full", 16, 0.02),
        ):
            found.append(
                (f"Gaussian, {name}", dtype, f"{n} x {d}", APART,
                 lambda a, d=d, kind=kind, t=dtype, m=missing: gaussian(n, d, a, kind, t, m))
            )  # fmt: skip
        for name, missing in (("Bernoulli", 0.0), ("Bernoulli, missing values", 0.02)):
            found.append(
                (name, dtype, f"{n} x 256", SHARES,
                 lambda s, t=dtype, m=missing: bernoulli(n, 256, s, t, m))
            )  # fmt: skip
    return found


def seconds_of(model: Any, X: np.ndarray, repeats: int) -> tuple[float, float]:
    """Of an iteration, and of the scores of all rows."""

    def fit(max_iter: int) -> tuple[float, Any]:
        model.set_params(max_iter=max_iter, tol=0, acceleration=None)
        begin = time.perf_counter()
        model.fit(X)
        return time.perf_counter() - begin, model

    fit(1)  # compiles and loads
    steps, scores = [], []
    for _ in range(repeats):
        few, many = fit(1)[0], fit(1 + N_ITER)[0]
        steps.append((many - few) / N_ITER)
        begin = time.perf_counter()
        model.score_samples(X)
        scores.append(time.perf_counter() - begin)
    return max(statistics.median(steps), 1e-9), statistics.median(scores)


def main(full: bool) -> None:
    warnings.simplefilter("ignore")
    about = machine("skem", "numpy", "numba")
    print(about)
    ranks = ("together", "near", "far", "farthest")
    header = ["mixture", "dtype", "rows x columns", *(f"ms, {rank}" for rank in ranks),
              "the slowest / near", "scores: the slowest / near"]  # fmt: skip
    rows = []
    for name, dtype, size, distances, make in cases(full):
        found = [seconds_of(*make(distance), 7 if full else 3) for distance in distances]
        steps, scores = zip(*found, strict=True)
        rows.append([name, dtype, size, *(f"{1e3 * step:.3g}" for step in steps),
                     *(f"{max(of[1:]) / of[1]:.2f}" for of in (steps, scores))])  # fmt: skip
        print("  ".join(rows[-1]), flush=True)
    print(text_table(header, rows))
    title = "An EM iteration of ten components, as they move apart"
    write(full, "far_components", f"Measured on {about}.", rst_table(title, header, rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all rows; writes the docs' table")
    main(parser.parse_args().full)
