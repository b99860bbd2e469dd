"""E steps and scores of mixtures whose components are near, and far apart.

Far from a component a row has a responsibility near the end of the range of numbers, where some
processors take a hundred times as long for a product. An E step should take no longer there, nor
should ``score_samples``. E steps are those of the models in the package, on the rows in blocks, at
the parameters that the rows were drawn with.

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
from skem.em import RowBlocks
from skem.mixture._patterns import pattern_order
from skem.mixture.bernoulli._model import BernoulliModel, BernoulliParams
from skem.mixture.gaussian.model._model import GaussianModel

RANKS = ("together", "near", "far", "farthest")
APART = (0.0, 0.5, 3.0, 30.0)  # standard deviations in each column
SHARES = (0.0, 0.5, 0.9, 0.999)  # how far probabilities of ones go from 1/2 to 0 and 1
K = 10
WEIGHTS = np.full(K, 1 / K)


def gaussian(
    n: int, d: int, apart: float, covariance_type: str, dtype: str, missing: float = 0.0
) -> tuple[Any, Any, RowBlocks, Any]:
    """Model, parameters, rows, and a mixture with about those parameters."""
    rng = np.random.default_rng(0)
    means = apart * rng.standard_normal((K, d))
    X = means[rng.integers(0, K, n)] + rng.standard_normal((n, d))
    X[rng.random((n, d)) < missing] = np.nan
    X = X[pattern_order(X)] if missing else X  # the engine sees them so
    X = np.ascontiguousarray(X, dtype)
    center, scale = np.nanmean(X, 0, dtype=float), 1 / np.nanstd(X, 0, dtype=float)
    model = GaussianModel(
        covariance_type,
        center=center,
        scale=scale,
        reg=1e-6 * scale**2,
        dtype=X.dtype,
        incomplete=missing > 0,
    )
    own = model.structure.rescale(
        np.broadcast_to({"full": np.eye(d), "tied": np.eye(d), "diag": np.ones(d)}[covariance_type],
                        (1 if model.tied else K, *model.structure.shape(d))),
        scale,
    )  # fmt: skip
    params = model.params(WEIGHTS, (means - center) * scale, own, share=2 / K)
    inverse = {"full": np.eye(d)[None].repeat(K, 0), "tied": np.eye(d), "diag": np.ones((K, d))}
    mixture = GaussianMixtureEM(
        K,
        covariance_type=covariance_type,
        weights_init=WEIGHTS,
        means_init=means,
        precisions_init=inverse[covariance_type],
        max_iter=1,
    )
    return model, params, RowBlocks(X), mixture


def bernoulli(n: int, d: int, share: float, dtype: str, missing: float = 0.0) -> tuple:
    rng = np.random.default_rng(0)
    p = 0.5 + 0.5 * share * rng.choice([-1.0, 1.0], (K, d))
    X = (rng.random((n, d)) < p[rng.integers(0, K, n)]).astype(dtype)
    X[rng.random((n, d)) < missing] = np.nan
    model = BernoulliModel(d, masked=missing > 0, dtype=X.dtype)
    mixture = BernoulliMixtureEM(K, weights_init=WEIGHTS, probabilities_init=p, max_iter=1)
    return model, BernoulliParams(WEIGHTS, p), RowBlocks(X), mixture


def cases(full: bool) -> list[tuple[str, str, str, tuple[float, ...], Callable]]:
    """Mixture, dtype, size, distances, and what makes the model and the rows."""
    n = 20_000 if full else 2000
    found: list[tuple] = []
    for dtype in ("float64", "float32"):
        for name, kind, d, missing in (
            ("full", "full", 128, 0.0),
            ("full", "full", 16, 0.0),
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


def seconds_of(call: Callable[[], Any], repeats: int) -> float:
    call()  # compiles and loads
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def measure(model: Any, params: Any, rows: RowBlocks, mixture: Any, repeats: int) -> list[float]:
    """Seconds of an E step, and of the scores of all rows."""
    mixture.fit(rows.X)
    with rows:
        step = seconds_of(
            lambda: rows.reduce(lambda block: model.expected_statistics(params, block)), repeats
        )
    return [step, seconds_of(lambda: mixture.score_samples(rows.X), repeats)]


def main(full: bool) -> None:
    warnings.simplefilter("ignore")
    about = machine("skem", "numpy", "numba")
    print(about)
    header = ["mixture", "dtype", "rows x columns", *(f"ms, {rank}" for rank in RANKS),
              "the slowest / near", "scores: the slowest / near"]  # fmt: skip
    rows = []
    for name, dtype, size, distances, make in cases(full):
        found = [measure(*make(distance), 9 if full else 3) for distance in distances]
        steps, scores = zip(*found, strict=True)
        rows.append([name, dtype, size, *(f"{1e3 * step:.3g}" for step in steps),
                     *(f"{max(of[1:]) / of[1]:.2f}" for of in (steps, scores))])  # fmt: skip
        print("  ".join(rows[-1]), flush=True)
    print(text_table(header, rows))
    title = "An E step of ten components, as they move apart"
    write(full, "far_components", f"Measured on {about}.", rst_table(title, header, rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all rows; writes the docs' table")
    main(parser.parse_args().full)
