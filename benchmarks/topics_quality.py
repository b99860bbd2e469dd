"""What topics are worth after equal time, and where starts lead: part of benchmarks/topics.py.

Quality at equal time: all train on the same 80 % of the documents, with growing numbers of
iterations. Of each other document they see the same half of the tokens, from which they infer the
document's topics their own way, and are scored on the other half: log p(w|d), nats per token. What
tomotopy infers is a single sample, which scores worse; its topics and alpha are given to skem's
inference. The vocabulary is that of the training documents. PLSA and NMF give some words no chance
at all; the words of all documents together are mixed in, with the best of the shares in MIXED.
NPMI: of the 10 first words of each topic, how often two are in one document, over all documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import NMF, LatentDirichletAllocation
from topics_common import CORPORA, KL, PACKAGES, gibbs, gibbs_seconds, seconds_of, show

from skem import PLSA
from skem import LatentDirichletAllocationVB as LDA

K = 20
MIXED = (0, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3)
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
DEFAULT_STEPS = 500  # skem's max_iter
LEVELS = (0.5, 1, 2, 6)  # seconds
INITS = ("random", "random_documents", "svd")


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


# ------------------------------------------------------------------ curves
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
