"""MaxEntClassifier beside nltk's MaxentClassifier: joint features in dictionaries.

Which of the 50 most frequent content words a BBC News article has, a feature for each word and
class, without penalty, for nltk's scaling methods have none. nltk runs as many steps as each line
says, one fit after the other, until one takes longer than the budget; skem runs to tolerances. The
optimum is that of skem's tightest fit, proved by its duality gap.

    python benchmarks/maxent_joint.py [--full] [--data DIR]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from maxent import text
from report import machine, rst_table, text_table, write
from sklearn.feature_extraction.text import CountVectorizer

from skem import MaxEntClassifier

STEPS = {False: (10, 20), True: (10, 20, 50, 100, 200, 400)}
LEVELS = (0.1, 0.01, 1e-3, 1e-4, 1e-6)


def features(rows: list[dict], c: int) -> list[dict]:
    """The words of each row, joined with the class."""
    return [{f"{word}|{c}": 1 for word in row} for row in rows]


def ours(rows: list[dict], y: np.ndarray, tol: float) -> tuple[float, MaxEntClassifier]:
    model = MaxEntClassifier(C=np.inf, feature_function=features, fit_intercept=False, tol=tol)
    begin = time.perf_counter()
    model.fit(rows, y)
    return time.perf_counter() - begin, model


def theirs(rows: list[dict], y: np.ndarray, algorithm: str, steps: int) -> tuple[float, float]:
    """Seconds of a training, and the mean loss in nats where it ends."""
    from nltk.classify import MaxentClassifier

    tokens = list(zip(rows, y.tolist(), strict=True))
    begin = time.perf_counter()
    model = MaxentClassifier.train(tokens, algorithm=algorithm, trace=0, max_iter=steps)
    seconds = time.perf_counter() - begin
    chances = zip(model.prob_classify_many(rows), y.tolist(), strict=True)
    return seconds, -np.mean([chance.logprob(c) for chance, c in chances]) * np.log(2)


def shortest(fits: list[tuple[float, float]], level: float) -> float:
    return min((seconds for seconds, value in fits if value <= level), default=np.inf)


def main(full: bool, data: Path, budget: float = 100.0) -> None:
    about = machine("skem", "nltk", "numpy", "scikit-learn", "numba")
    print(about)
    words = CountVectorizer(max_features=50, stop_words="english", binary=True)
    X, y = text(data, "bbc_news.tsv.xz", words)
    rows = [{str(word): True for word in X[i].indices} for i in range(X.shape[0])]
    _, tight = ours(rows, y, 1e-12)
    fits: dict[str, list] = {"skem": []}
    for tol in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8):
        seconds, model = ours(rows, y, tol)
        fits["skem"].append((seconds, model.objective_))
    for algorithm in ("GIS", "IIS"):
        fits[algorithm] = []
        for steps in STEPS[full]:
            fits[algorithm].append(theirs(rows, y, algorithm, steps))
            if fits[algorithm][-1][0] > budget / 2:
                break
    header = ["relative suboptimality", "skem s", "nltk GIS s", "nltk IIS s", "times the better"]
    table = []
    for level in LEVELS:
        found = [shortest(fits[name], tight.objective_ * (1 + level)) for name in fits]
        longest = max(seconds for seconds, _ in fits["IIS"] + fits["GIS"])
        other = min(found[1:])
        times = f"{'' if np.isfinite(other) else '> '}{min(other, longest) / found[0]:.0f}"
        cells = [f"{s:.3g}" if np.isfinite(s) else f"> {longest:.0f}" for s in found]
        table.append([f"{level:g}", *cells, times])
    print(text_table(header, table))
    title = f"Seconds of a training; optimum {tight.objective_:.6f} nats, proved to "
    title += f"{tight.optimality_gap_:.0e}"
    write(full, "maxent_joint", f"Measured on {about}.", rst_table(title, header, table))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="more steps; writes the docs' table")
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data"
    )
    options = parser.parse_args()
    try:
        main(options.full, options.data)
    except (ImportError, FileNotFoundError) as error:
        print(f"left out: {error}")
