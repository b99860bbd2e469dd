"""MaxEntClassifier beside sklearn.linear_model.LogisticRegression: time to the optimum.

Solvers stop by different rules, so each fits again and again with a smaller tolerance (or, on
MNIST, with more steps), and what counts is the shortest whole ``fit`` whose weights have an
objective within a relative 1e-4, and 1e-6, of the optimum. The objective is computed from the
weights in the same way for all. The optimum is the lowest objective of all fits, and the duality
gap of skem's tightest fit tells how far it is proved. scikit-learn's best solver of each case is
the one that skem's default is compared with. A fit that takes longer than the budget is stopped.

    python benchmarks/maxent.py [--full] [--data DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import lzma
import signal
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from report import machine, rst_table, text_table, write
from scipy.special import logsumexp
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from skem import MaxEntClassifier

TARGETS = (1e-4, 1e-6)
BY_TOLERANCE = [{"tol": 10.0**-k} for k in range(1, 11)]
BY_STEPS = [{"tol": 1e-9, "max_iter": int(20 * 1.5**k)} for k in range(10)]


class Case(NamedTuple):
    """One problem, and the solvers of scikit-learn that take it and may be best."""

    name: str
    load: Callable[[Path], tuple]
    solvers: tuple[str, ...]
    l1_ratio: float = 0.0
    full: bool = False  # only with --full, and skem's fits by numbers of steps
    long: bool = False  # only with --full
    budget: float = 20.0  # seconds for each solver


def mnist(data: Path, scale: float) -> tuple:
    with np.load(data / "mnist.npz") as file:
        return file["x_train"] / scale, file["y_train"].astype(int)


def text(data: Path, name: str, vectorizer) -> tuple:
    with lzma.open(data / name, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    X = vectorizer.fit_transform([row[0] for row in rows]).astype(float)
    return X, np.unique([row[-1] for row in rows], return_inverse=True)[1]


def bbc(data: Path) -> tuple:
    return text(data, "bbc_news.tsv.xz", TfidfVectorizer())


def wide(data: Path) -> tuple:
    """Few rows of many correlated columns, as gene expression has them."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((300, 20))
    X = Z @ rng.standard_normal((20, 20_000)) + 3 * rng.standard_normal((300, 20_000))
    return X, (Z[:, :3] + rng.standard_normal((300, 3))).argmax(1)


def tall(data: Path) -> tuple:
    return make_classification(
        500_000, 30, n_informative=15, n_redundant=10, n_classes=3, random_state=0
    )


CASES = [
    Case("breast cancer, unscaled", lambda data: load_breast_cancer(return_X_y=True),
         ("newton-cholesky", "newton-cg", "lbfgs")),
    Case("digits, unscaled", lambda data: load_digits(return_X_y=True),
         ("newton-cholesky", "newton-cg", "lbfgs")),
    Case("BBC News, tf-idf", bbc, ("lbfgs", "newton-cg", "sag", "saga")),
    Case("BBC News, tf-idf, L1", bbc, ("saga",), 1.0),
    Case("DBLP, words", lambda data: text(data, "dblp.tsv.xz", CountVectorizer()),
         ("lbfgs", "newton-cg", "sag", "saga")),
    Case("500 000 x 30, 3 classes", tall, ("newton-cholesky", "newton-cg", "lbfgs"),
         long=True),
    Case("300 x 20 000, 3 classes", wide, ("lbfgs", "newton-cg", "sag"), long=True),
    Case("MNIST in [0, 1]", lambda data: mnist(data, 255.0), ("newton-cg", "lbfgs"), full=True,
         budget=60.0),
    Case("MNIST in [0, 255]", lambda data: mnist(data, 1.0), ("newton-cg", "lbfgs"), full=True,
         budget=300.0),
]  # fmt: skip


def objective(model, X, y: np.ndarray, l1_ratio: float) -> float:
    """Mean loss plus penalty / n, in nats, at the weights of a fitted model with C = 1."""
    Z = np.asarray(X @ model.coef_.T + model.intercept_)
    if Z.shape[1] == 1:
        Z = np.column_stack([np.zeros(len(Z)), Z])
    loss = (logsumexp(Z, axis=1) - Z[np.arange(len(Z)), y]).mean()
    W = model.coef_
    penalty = l1_ratio * np.abs(W).sum() + (1 - l1_ratio) * np.square(W).sum() / 2
    return float(loss + penalty / len(y))


@contextlib.contextmanager
def at_most(seconds: float):
    """Stop what runs inside after so many seconds."""

    def stop(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def fits(
    make: Callable, settings: list[dict], case: Case, X, y, best: float, budget: float
) -> list[tuple]:
    """Seconds and objective of a fit with each setting, until it is best or the budget spent."""
    results: list[tuple[float, float]] = []
    spent = 0.0
    for setting in settings:
        taken: list[float] = []
        with contextlib.suppress(TimeoutError), at_most(budget - spent):
            while len(taken) < 5 and (not taken or sum(taken) < 1):
                model = make(**setting)
                begin = time.perf_counter()
                model.fit(X, y)
                taken.append(time.perf_counter() - begin)
        if not taken:
            break
        spent += sum(taken)
        results.append((statistics.median(taken), objective(model, X, y, case.l1_ratio)))
        if spent > budget or results[-1][1] <= best * (1 + TARGETS[-1] / 4):
            break
    return results


def shortest(results: list[tuple[float, float]], level: float) -> float:
    """Seconds of the shortest fit that comes down to that objective; inf if none does."""
    return min((seconds for seconds, value in results if value <= level), default=np.inf)


def compare(case: Case, data: Path) -> list[str]:
    budget = case.budget
    X, y = case.load(data)
    if sp.issparse(X):
        X = X.tocsr()

    def ours(**setting) -> MaxEntClassifier:
        return MaxEntClassifier(
            l1_ratio=case.l1_ratio, random_state=0, **{"max_iter": 1200, **setting}
        )

    tight = ours(tol=1e-9).fit(X, y)  # compiles, too
    near = objective(tight, X, y, case.l1_ratio)
    mine = fits(ours, BY_STEPS if case.full else BY_TOLERANCE, case, X, y, near, budget)
    theirs = {}
    for solver in case.solvers:

        def make(solver: str = solver, **setting) -> LogisticRegression:
            return LogisticRegression(
                l1_ratio=case.l1_ratio, solver=solver, **{"max_iter": 10_000, **setting}
            )

        settings = BY_TOLERANCE[3:] if case.full else BY_TOLERANCE
        theirs[solver] = fits(make, settings, case, X, y, near, budget)
    values = [value for results in (mine, *theirs.values()) for _, value in results]
    best = min(near, *values)
    row = [case.name, tight.solver_, f"{best:.7g}", f"{tight.optimality_gap_ / best:.0e}"]
    for target in TARGETS:
        level = best * (1 + target)
        seconds = shortest(mine, level)
        solver = min(theirs, key=lambda name: shortest(theirs[name], level))
        other = shortest(theirs[solver], level)
        known = np.isfinite(other)
        reached = np.isfinite(seconds)
        row += [f"{seconds:.3g}" if reached else f"> {budget:.0f}"]
        row += [f"{other:.3g} ({solver})" if known else f"> {budget:.0f}"]
        ratio = f"{'' if known else '> '}{(other if known else budget) / seconds:.1f}"
        row += [ratio if reached else "not known"]
    return row


def main(full: bool, data: Path, only: str) -> None:
    warnings.simplefilter("ignore")
    about = machine("skem", "numpy", "scipy", "scikit-learn", "numba")
    print(about)
    header = ["problem", "solver", "optimum", "proved to",
              "skem s, 1e-4", "scikit-learn s, 1e-4", "times",
              "skem s, 1e-6", "scikit-learn s, 1e-6", "times"]  # fmt: skip
    rows = []
    for case in CASES:
        if ((case.full or case.long) and not full) or only not in case.name:
            continue
        try:
            rows.append(compare(case, data))
        except FileNotFoundError as error:
            print(f"{case.name}: left out, no {error.filename}")
            continue
        print("  ".join(rows[-1]), flush=True)
    print(text_table(header, rows))
    summary = f"Geometric means of the ratios that are known: {means(rows)}."
    print(summary)
    if not only:
        table = rst_table("Seconds of a whole fit to a relative suboptimality", header, rows)
        write(full, "maxent", f"Measured on {about}. {summary}", table)


def means(rows: list[list[str]]) -> str:
    """Geometric means of the ratios; of those that are lower bounds the bounds count."""
    known = [row for row in rows if row[6] != "not known" and row[9] != "not known"]
    parts = []
    for target, column in zip(TARGETS, (6, 9), strict=True):
        ratios = [float(row[column].removeprefix("> ")) for row in known]
        parts.append(f"{statistics.geometric_mean(ratios):.1f} to {target:g}")
    return ", ".join(parts) if known else "none"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all cases; writes the docs' table")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data"
    )
    options = parser.parse_args()
    main(options.full, options.data, options.only)
