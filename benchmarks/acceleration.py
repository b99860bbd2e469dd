"""How many EM maps an acceleration saves: counts, which no other load of the machine changes.

Each start is fitted plain and with each acceleration. Counted are E steps, undone ones included,
until the bound is within 1e-6 nats per row of its limit; starts from which an acceleration ends at
another maximum than plain EM are counted beside it. Another table tells how many E steps a fit
takes until it stops by itself, and how often its limit is further away than it thought.

    python benchmarks/acceleration.py [--full]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from report import machine, rst_table, text_table, write
from sklearn.cluster import kmeans_plusplus
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.metrics import pairwise_distances_argmin
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import scale

from skem import BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture
from skem.datasets import load_old_faithful

MODES = (None, "squarem", "quasi-newton")
NAMES = ("plain", "SQUAREM", "quasi-Newton")
NEAR = 1e-6
"""Nats per row: so near to its limit a bound has arrived; limits further apart are two maxima."""
TOLS = (1e-3, 1e-6)
LIMIT_TOL = 1e-9
"""Of the fits whose end is taken for the limit."""
N_STOPPED = 10
"""Starts of each problem that are fitted again for the table of stops."""


class Problem(NamedTuple):
    """Rows, a model, and starts: ``estimator(start)`` is the model that begins there."""

    data: str
    model: str
    X: np.ndarray
    random_start: Callable[[np.ndarray, np.random.RandomState], dict]
    estimator: Callable[..., Any]
    kmeans_start: Callable[[], dict] | None = None

    def fit(self, start: dict, acceleration: str | None, tol: float) -> Any:
        options = {"tol": tol, "max_iter": 200_000, "n_jobs": 1, "acceleration": acceleration}
        return self.estimator(**start, **options).fit(self.X)


def parts(X: np.ndarray, k: int, rng: np.random.RandomState) -> np.ndarray:
    """Responsibilities (n, k): each row belongs to the nearest of k seeds of k-means++."""
    Z = scale(X)
    seeds, _ = kmeans_plusplus(Z, k, random_state=rng)
    return np.eye(k)[pairwise_distances_argmin(Z, seeds)]


def gaussian(data: str, X: np.ndarray, k: int, covariance_type: str) -> Problem:
    def start(X: np.ndarray, rng: np.random.RandomState) -> dict:
        return {"init_params": parts(X, k, rng)}

    def estimator(**options: Any) -> GaussianMixtureEM:
        return GaussianMixtureEM(k, covariance_type=covariance_type, random_state=0, **options)

    def kmeans_start() -> dict:
        """Parameters after scikit-learn's k-means and one EM map."""
        fitted = GaussianMixture(k, covariance_type=covariance_type, max_iter=1, random_state=0)
        fitted.fit(X)
        return {"weights_init": fitted.weights_, "means_init": fitted.means_,
                "precisions_init": fitted.precisions_}  # fmt: skip

    return Problem(data, f"{covariance_type}, {k}", X, start, estimator, kmeans_start)


def bernoulli(data: str, X: np.ndarray, k: int) -> Problem:
    def start(X: np.ndarray, rng: np.random.RandomState) -> dict:
        part = parts(X, k, rng)
        counts = part.sum(0)
        # two rows of average composition keep each component open to all rows
        probabilities = (part.T @ X + 2 * (X.sum(0) + 1) / (len(X) + 2)) / (counts + 2)[:, None]
        return {"weights_init": counts / counts.sum(), "probabilities_init": probabilities}

    def estimator(**options: Any) -> BernoulliMixtureEM:
        return BernoulliMixtureEM(k, binarize=None, **options)

    return Problem(data, f"Bernoulli, {k}", X, start, estimator)


def coins(n: int, n_tosses: int) -> Problem:
    rng = np.random.default_rng(2)
    p = np.where(rng.uniform(size=(n, 1)) < 0.4, 0.3, 0.8)
    X = (rng.uniform(size=(n, n_tosses)) < p).astype(float)

    def start(X: np.ndarray, rng: np.random.RandomState) -> dict:
        return {"init": tuple(rng.uniform(0.05, 0.95, size=3))}

    return Problem(f"{n} x {n_tosses} tosses", "three coins", X, start, ThreeCoinMixture)


def overlapping(n: int, d: int, k: int) -> np.ndarray:
    """Clusters one standard deviation apart in each direction."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((k, d))[rng.integers(0, k, n)] + rng.standard_normal((n, d))


def make_problems(full: bool) -> list[Problem]:
    iris, wine = load_iris().data, load_wine().data
    digits = (load_digits().data > 7).astype(float)
    problems = [
        gaussian("Old Faithful", load_old_faithful().data, 3, "tied"),
        gaussian("Old Faithful", load_old_faithful().data, 2, "full"),
        gaussian("iris", iris, 3, "tied"),
        gaussian("iris", iris, 3, "full"),
        gaussian("wine", wine, 3, "tied"),
        gaussian("wine", wine, 3, "diag"),
        gaussian("overlapping 2 000 x 5", overlapping(2000, 5, 4), 4, "full"),
        bernoulli("digits, binarized", digits, 10),
        coins(1000, 3),
        coins(1000, 10),
    ]
    if full:  # thousands of plain EM maps
        X = overlapping(5000, 2, 3)
        problems.insert(7, gaussian("overlapping 5 000 x 2", X, 3, "diag"))
    return problems


def maps_to(bounds: list[float], limit: float) -> int:
    """E steps until a bound is near the limit."""
    return int(np.argmax(np.asarray(bounds) >= limit - NEAR)) + 1


class Counted(NamedTuple):
    """Starts of a problem, E steps (n_starts, n_modes) and where the fits ended (likewise)."""

    problem: Problem
    starts: list[dict]
    maps: np.ndarray
    limits: np.ndarray


def count(problem: Problem, n_starts: int) -> Counted:
    """Fit from each random start in each mode; starts that collapse have no maximum, and go."""
    starts, maps, limits = [], [], []
    for seed in range(n_starts):
        start = problem.random_start(problem.X, np.random.RandomState(seed))
        fits = [problem.fit(start, mode, LIMIT_TOL) for mode in MODES]
        if any(len(getattr(fit, "collapsed_", ())) for fit in fits):
            continue
        starts.append(start)
        maps.append([maps_to(fit.lower_bounds_, fit.lower_bound_) for fit in fits])
        limits.append([fit.lower_bound_ for fit in fits])
    return Counted(problem, starts, np.array(maps), np.array(limits))


def quartiles(values: np.ndarray) -> str:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def maps_table(counted: list[Counted]) -> tuple[list[str], list[list[str]]]:
    """E steps over the random starts, ratios to plain EM, and ends at another maximum."""
    header = ["data", "model", "starts", *NAMES, *(f"{name} / plain" for name in NAMES[1:]),
              *(f"{name} higher, lower" for name in NAMES[1:])]  # fmt: skip
    rows, ratios = [], []
    for problem, starts, maps, limits in counted:
        ratios.append(np.median(maps[:, 1:] / maps[:, :1], axis=0))
        beyond = limits[:, 1:] - limits[:, :1]
        ends = zip((beyond > NEAR).sum(0), (beyond < -NEAR).sum(0), strict=True)
        rows.append([problem.data, problem.model, str(len(starts)),
                     *(quartiles(column) for column in maps.T),
                     *(f"{ratio:.2f}" for ratio in ratios[-1]),
                     *(f"{higher}, {lower}" for higher, lower in ends)])  # fmt: skip
    middle = [f"{ratio:.2f}" for ratio in np.median(ratios, axis=0)]
    rows.append(["median of the problems", "", "", "", "", "", *middle, "", ""])
    return header, rows


def kmeans_table(problems: list[Problem]) -> tuple[list[str], list[list[str]]]:
    """From scikit-learn's k-means start: E steps to the limit, and of a fit that stops itself."""
    header = ["data", "model", *NAMES, *(f"{name}, until it stops" for name in NAMES)]
    rows = []
    for problem in problems:
        if problem.kmeans_start is None:
            continue
        start = problem.kmeans_start()
        fits = [problem.fit(start, mode, LIMIT_TOL) for mode in MODES]
        reached = [maps_to(fit.lower_bounds_, fit.lower_bound_) for fit in fits]
        stopped = [problem.fit(start, mode, NEAR).n_iter_ for mode in MODES]
        rows.append([problem.data, problem.model, *map(str, reached), *map(str, stopped)])
    return header, rows


def stopping_table(counted: list[Counted]) -> tuple[list[str], list[list[str]]]:
    """E steps of fits with ``tol``, and how many stopped more than 3 tol below their limit.

    The limit is where the fit with ``LIMIT_TOL`` ended, from the same start in the same mode.
    """
    header = ["tol", *(f"{n}, E steps" for n in NAMES), *(f"{n}, gap > 3 tol" for n in NAMES)]
    rows = []
    for tol in TOLS:
        steps, short = [], []
        for problem, starts, _, limits in counted:
            for start, ends in zip(starts[:N_STOPPED], limits, strict=False):
                fits = [problem.fit(start, mode, tol) for mode in MODES]
                steps.append([fit.n_iter_ for fit in fits])
                short.append(
                    [e - f.lower_bound_ > 3 * tol for e, f in zip(ends, fits, strict=True)]
                )
        means = np.exp(np.log(steps).mean(0))
        rows.append([f"{tol:.0e}", *(f"{m:.0f}" for m in means),
                     *(f"{n} of {len(steps)}" for n in np.sum(short, 0))])  # fmt: skip
    return header, rows


def main(full: bool) -> None:
    warnings.simplefilter("ignore")
    about = machine("skem", "numpy", "scipy", "scikit-learn", "numba")
    print(about)
    problems = make_problems(full)
    from_kmeans = kmeans_table(problems)
    print(text_table(*from_kmeans), flush=True)
    counted = [count(problem, 30 if full else 5) for problem in problems]
    from_random = maps_table(counted)
    print(text_table(*from_random), flush=True)
    stops = stopping_table(counted)
    print(text_table(*stops))
    write(
        full,
        "acceleration",
        f"Counted on {about}.",
        rst_table(
            "E steps to within 1e-6 nats per row of the limit, random starts: median (quartiles); "
            "median ratios; ends at another maximum than plain EM's",
            *from_random,
        ),
        rst_table(
            "The same from the k-means start, and E steps of a fit with tol=1e-6", *from_kmeans
        ),
        rst_table("E steps of whole fits, geometric mean, and fits that stopped too early", *stops),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="30 starts; writes the docs' tables")
    main(parser.parse_args().full)
