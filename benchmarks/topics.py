"""PLSA and LatentDirichletAllocationVB beside scikit-learn, tomotopy and enstop.

Speed: seconds of one iteration are the difference of two whole fits, one with a few iterations and
one with more, divided by theirs; what comes before and after cancels. All take turns in one
process, medians of the pairs are quoted. For tomotopy an iteration is a pass of Gibbs sampling.
Memory: each fits in a process of its own, and the peak beyond what was in use before is quoted.
Quality at equal time: all train on the same 80 % of the documents, with growing numbers of
iterations. Of each other document they see the same half of the tokens, from which they infer the
document's topics their own way, and are scored on the other half: log p(w|d), nats per token. What
tomotopy infers is a single sample, which scores worse; its topics and alpha are given to skem's
inference. The vocabulary is that of the training documents. PLSA and NMF give some words no chance
at all; the words of all documents together are mixed in, with the best of the shares in MIXED.
NPMI: of the 10 first words of each topic, how often two are in one document, over all documents.

    python benchmarks/topics.py [--full] [--only PART] [--data DIR]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from gaussian_mixture import resident
from maxent import text
from report import machine, rst_table, text_table, write
from sklearn.decomposition import NMF, LatentDirichletAllocation
from sklearn.feature_extraction.text import CountVectorizer

from skem import PLSA
from skem import LatentDirichletAllocationVB as LDA

K = 20  # topics where quality is compared
MIXED = (0, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3)
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
DEFAULT_STEPS = 500  # skem's max_iter
LEVELS = (0.5, 1, 2, 6)  # seconds
INITS = ("random", "random_documents", "svd")
KL = {"beta_loss": "kullback-leibler", "solver": "mu", "tol": 0}
PEERS = ("tomotopy", "enstop")
PACKAGES = ("skem", "numpy", "scipy", "scikit-learn", "numba",
            *(name for name in PEERS if importlib.util.find_spec(name)))  # fmt: skip


# ------------------------------------------------------------------ data
def synthetic(n: int) -> sp.csr_array:
    """Documents of 173 tokens from 50 topics, whose 10 000 words are Zipf's: 145 entries each."""
    rng, k, p = np.random.default_rng(0), 50, 10_000
    tokens = rng.multinomial(173, rng.dirichlet(np.full(k, 0.1), n))
    rows, columns = [], []
    for z in range(k):
        phi = rng.gamma(0.3, size=p) / np.arange(10, p + 10)
        rows.append(np.repeat(np.arange(n), tokens[:, z]))
        columns.append(rng.choice(p, tokens[:, z].sum(), p=phi / phi.sum()))
    dyads = np.concatenate(rows), np.concatenate(columns)
    return sp.coo_array((np.ones(len(dyads[0])), dyads), shape=(n, p)).tocsr()


def ap(data: Path) -> sp.csr_array:
    """Lines "n id:count id:count ...", a document each."""
    lines = (data / "ap" / "ap.dat").read_text().splitlines()
    rows = [[pair.split(":") for pair in line.split()[1:]] for line in lines]
    words, counts = np.array([pair for row in rows for pair in row], dtype=int).T
    indptr = np.cumsum([0] + [len(row) for row in rows])
    return sp.csr_array((counts.astype(float), words, indptr))


CORPORA: dict[str, Callable[[Path], sp.csr_array]] = {
    "AP": ap,
    "BBC News": lambda data: sp.csr_array(text(data, "bbc_news.tsv.xz", CountVectorizer())[0]),
    "DBLP": lambda data: sp.csr_array(text(data, "dblp.tsv.xz", CountVectorizer())[0]),
}


class Problem(NamedTuple):
    """Counts of training documents, and two halves of the tokens of the others."""

    train: sp.csr_array
    seen: sp.csr_array
    hidden: sp.csr_array
    present: sp.csc_array  # (documents, words): which words all the documents have

    @classmethod
    def of(cls, X: sp.csr_array) -> Problem:
        rng = np.random.default_rng(0)
        order = rng.permutation(X.shape[0])
        train, test = np.split(order, [int(0.8 * len(order))])
        X = X[:, np.flatnonzero(X[train].sum(axis=0))]
        hidden = X[test]
        seen = hidden.copy()
        hidden.data = rng.binomial(seen.data.astype(int), 0.5).astype(float)
        seen.data = seen.data - hidden.data
        seen.eliminate_zeros()
        hidden.eliminate_zeros()
        both = (seen.sum(axis=1) > 0) & (hidden.sum(axis=1) > 0)
        return cls(X[train], seen[both], hidden[both], (X > 0).astype(float).tocsc())


# ------------------------------------------------------------------ scores
def completion(phi: np.ndarray, theta: np.ndarray, problem: Problem, shares: tuple) -> float:
    """Nats per hidden token, with the best of the shares of all words mixed into the topics."""
    hidden, overall = problem.hidden.tocoo(), problem.train.sum(axis=0)
    q = (overall / overall.sum())[hidden.col]
    p = np.einsum("ij,ij->i", theta[hidden.row], phi.T[hidden.col])
    with np.errstate(divide="ignore"):
        values = [hidden.data @ np.log((1 - e) * p + e * q) for e in shares]
    return max(values) / hidden.data.sum()


def npmi(phi: np.ndarray, present: sp.csc_array) -> float:
    """Mean of log(p_ij / (p_i p_j)) / -log(p_ij) of two words; -1 if they never meet."""
    i, j = np.triu_indices(10, 1)
    values = []
    for row in phi:
        some = present[:, np.argsort(-row)[:10]]
        p = (some.T @ some).toarray() / present.shape[0]
        joint = np.maximum(p[i, j], 1e-300)
        lift = np.log(joint / (p[i, i] * p[j, j])) / -np.log(joint)
        values.append(np.where(p[i, j] > 0, lift, -1).mean())
    return float(np.mean(values))


# ------------------------------------------------------------------ speed
def seconds_of(call: Callable, *args: Any) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = call(*args)
    return time.perf_counter() - begin, result


def timed(make: Callable, X: sp.csr_array, n_iter: int) -> float:
    """Seconds of a fit, after a small one that compiles and starts processes."""
    make(1).fit(X[:200])
    return seconds_of(make(n_iter).fit, X)[0]


def gibbs(X: sp.csr_array, k: int, seed: int = 0, eta: float = 0.01, **options: int) -> Any:
    """tomotopy's model with the documents in it; words are named by their numbers."""
    import tomotopy

    model = tomotopy.LDAModel(k=k, seed=seed, eta=eta)
    for name, value in options.items():
        setattr(model, name, value)
    for row in (X[[i]] for i in range(X.shape[0])):
        model.add_doc(np.repeat(row.indices, row.data.astype(int)).astype(str).tolist())
    model.train(0, workers=2)
    return model


def gibbs_seconds(model: Any, n_iter: int) -> float:
    return seconds_of(lambda: model.train(n_iter, workers=2))[0]


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
    corpora = {"synthetic": synthetic(20_000 if full else 500), "AP": ap(data)}
    header = ["corpus", "estimator", "s/iteration", "times the arithmetic"]
    rows, notes = [], [f"Product of float64 matrices: {rate / 1e9:.1f} GFlop/s."]
    for corpus, X in corpora.items():
        X = X if full else X[:500]
        floor = 6 * X.nnz * k / rate
        calls = steppers(X, k, full)
        taken: dict[str, list[float]] = {name: [] for name in calls}
        for pair in range(5 if full else 1):
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


# ------------------------------------------------------------------ quality
def read(model: Any, seen: sp.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """p(w|z), and p(z|d) as the model infers them; NMF with 200 updates."""
    totals = np.maximum(model.components_.sum(axis=1), 1e-300)
    if isinstance(model, NMF):
        theta = model.set_params(max_iter=200).transform(seen) * totals + 1e-12
    else:
        theta = model.transform(seen)
    return model.components_ / totals[:, None], theta / theta.sum(axis=1, keepdims=True)


def refits(make: Callable, problem: Problem, seed: int, budget: float) -> Iterator[tuple]:
    """Fits with more and more iterations: these, seconds, p(w|z), p(z|d)."""
    make(1, seed).fit(problem.train[:200])
    last, before = 0.0, 0
    for n, following in zip(STEPS, [*STEPS[1:], np.inf], strict=True):
        seconds, model = seconds_of(make(n, seed).fit, problem.train)
        skem = isinstance(model, (PLSA, LDA))
        ended = skem and (model.converged_ or n == DEFAULT_STEPS)
        yield (DEFAULT_STEPS if ended else n), seconds, *read(model, problem.seen)
        slope = (seconds - last) / (n - before) if n > 1 else 0.0
        if ended or seconds + slope * (following - n) > budget:
            return
        last, before = seconds, n


def sampled(options: dict, problem: Problem, seed: int, budget: float) -> Iterator[tuple]:
    """tomotopy, which goes on from where it was; its own inference would be a single sample."""
    gibbs_seconds(gibbs(problem.train[:200], K), 20)  # fills its tables
    model = gibbs(problem.train, K, seed, **options)
    order = np.array([int(word) for word in model.used_vocabs])
    spent, done, phi = 0.0, 0, np.empty((K, len(order)))
    for n in STEPS[3:]:
        if done and spent * n / done > budget:
            return
        spent, done = spent + gibbs_seconds(model, n - done), n
        phi[:, order] = [model.get_topic_word_dist(z) for z in range(K)]
        alpha = np.broadcast_to(model.alpha, (K,)).astype(float)
        reader = LDA(K)
        reader.components_, reader.n_features_in_ = phi, phi.shape[1]
        reader.doc_topic_prior_, reader.topic_prior_ = alpha, alpha / alpha.sum()
        yield n, spent, phi.copy(), reader.transform(problem.seen)


def own(kind: Callable, **options: Any) -> Callable:
    return partial(refits, lambda n, seed: kind(K, max_iter=n, random_state=seed, **options))


MODELS: dict[str, Callable] = {
    "skem LDA": own(LDA),
    "skem LDA, vb": own(LDA, inference="vb"),
    "skem PLSA": own(PLSA),
    "skem PLSA, priors 1.1, 1.05": own(PLSA, doc_topic_prior=1.1, topic_word_prior=1.05),
    "scikit-learn LDA, batch": own(LatentDirichletAllocation, n_jobs=2),
    "scikit-learn LDA, online": own(LatentDirichletAllocation, learning_method="online"),
    "NMF-KL": own(NMF, **KL),
    "NMF-KL, random": own(NMF, init="random", **KL),
}
if "tomotopy" in PACKAGES:
    MODELS |= {
        "tomotopy": partial(sampled, {}),
        "tomotopy, burn-in 100": partial(sampled, {"burn_in": 100}),
        "tomotopy, fixed alpha": partial(sampled, {"optim_interval": 0}),
        "tomotopy, eta 0.1": partial(sampled, {"eta": 0.1}),
    }


def curve(name: str, problem: Problem, seeds: int, budget: float) -> dict[int, np.ndarray]:
    """Medians over the seeds of seconds, completion and NPMI, by iterations."""
    shares = MIXED if "PLSA" in name or "NMF" in name else (0,)
    found: dict[int, list] = {}
    for seed in range(seeds):
        for n, seconds, phi, theta in MODELS[name](problem, seed, budget):
            scores = completion(phi, theta, problem, shares), npmi(phi, problem.present)
            found.setdefault(n, []).append((seconds, *scores))
    points = {n: np.median(v, axis=0) for n, v in found.items() if len(v) == seeds}
    points = dict(sorted(points.items()))
    lines = [f"{n}: {s:.2f} s {c:.4f} ({t:.3f})" for n, (s, c, t) in points.items()]
    print(f"{name}\n    " + ", ".join(lines), flush=True)
    return points


def quality(corpus: str, full: bool, data: Path) -> tuple[list[str], str]:
    X = CORPORA[corpus](data)
    problem = Problem.of(X if full else X[:500])
    budget, seeds = (6.0, 2) if full else (0.3, 1)
    curves = {name: curve(name, problem, seeds, budget) for name in MODELS}
    usual = curves["skem LDA"].get(DEFAULT_STEPS, np.array([budget]))[0]
    levels = [usual, *(level for level in LEVELS if usual < level <= budget)]
    header = ["nats (NPMI) within", *(f"{level:.3g} s" for level in levels),
              "most iterations", "best NPMI"]  # fmt: skip
    rows = []
    for name, points in curves.items():
        rows.append([name])
        values = list(points.values())
        for level in levels:
            inside = [point for point in values if point[0] <= level * (1 + 1e-9)]
            best = max(inside, key=lambda point: point[1], default=None)
            rows[-1].append("" if best is None else f"{best[1]:.4f} ({best[2]:.3f})")
        rows[-1].append(f"{values[-1][1]:.4f} ({values[-1][2]:.3f}), {values[-1][0]:.3g} s")
        rows[-1].append(f"{max(point[2] for point in values):.3f}")
    note = f"{corpus}, {K} topics; skem LDA takes {usual:.2f} s with its defaults."
    return show(f"Completion of documents, {corpus}", header, rows, [note])


def starts(corpus: str, full: bool, data: Path) -> tuple[list[str], str]:
    """Where each start leads, with the estimators' defaults; medians over the seeds."""
    X = CORPORA[corpus](data)
    problem, rows = Problem.of(X if full else X[:500]), []
    for kind in (PLSA, LDA):
        for init in INITS:
            found = []
            for seed in range(3 if full else 1):
                model = kind(K, init=init, random_state=seed)
                seconds, _ = seconds_of(model.fit, problem.train)
                phi, theta = read(model, problem.seen)
                score = completion(phi, theta, problem, MIXED if kind is PLSA else (0,))
                found.append((seconds, model.n_iter_, model.lower_bound_, score,
                              npmi(phi, problem.present)))  # fmt: skip
            s, n, bound, score, coherence = np.median(found, axis=0)
            rows.append([kind.__name__, init, f"{s:.2f}", f"{n:.0f}", f"{bound:.4f}",
                         f"{score:.4f}", f"{coherence:.3f}"])  # fmt: skip
    header = ["estimator", "init", "seconds", "passes", "bound", "completion", "NPMI"]
    return show(f"Starts, {corpus}", header, rows)


# ------------------------------------------------------------------ all
def show(title: str, header: list[str], rows: list, notes: Any = ()) -> tuple[list[str], str]:
    """Print a table, and give it as the docs have it."""
    print(f"{title}\n{text_table(header, rows)}", *notes, sep="\n", flush=True)
    return list(notes), rst_table(title, header, rows)


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
