"""Corpora and peers of the benchmarks of topics."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from maxent import text
from report import rst_table, text_table
from sklearn.feature_extraction.text import CountVectorizer

KL = {"beta_loss": "kullback-leibler", "solver": "mu", "tol": 0}  # of NMF
PEERS = ("tomotopy", "enstop")
PACKAGES = ("skem", "numpy", "scipy", "scikit-learn", "numba",
            *(name for name in PEERS if importlib.util.find_spec(name)))  # fmt: skip


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


def seconds_of(call: Callable, *args: Any) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = call(*args)
    return time.perf_counter() - begin, result


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


def show(title: str, header: list[str], rows: list, notes: Any = ()) -> tuple[list[str], str]:
    """Print a table, and give it as the docs have it."""
    print(f"{title}\n{text_table(header, rows)}", *notes, sep="\n", flush=True)
    return list(notes), rst_table(title, header, rows)
