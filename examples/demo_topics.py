"""Sections and pictures of the demo: topics of the Python language reference."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp
from demo_table import Row, timed
from matplotlib.figure import Figure
from sklearn.decomposition import NMF, LatentDirichletAllocation
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from skem import PLSA, LatentDirichletAllocationVB, MaxEntClassifier
from skem.datasets import load_python_reference
from skem.inspection import DocumentTopicsDisplay, TopicsDisplay
from skem.topics import topic_coherence

K = 8
MIN_PASSAGES = 12


def prepare() -> None:
    """Load or compile the kernels, so that no row includes this time."""
    X, _ = counts()
    for model in (PLSA(2, max_iter=3), LatentDirichletAllocationVB(2, max_iter=3)):
        model.fit(X[:50]).perplexity(X[:50], method="completion")


def vectorizer() -> CountVectorizer:
    return CountVectorizer(stop_words="english", min_df=3, token_pattern=r"[a-zA-Z_]{3,}")


@cache
def counts() -> tuple[sp.csr_matrix, np.ndarray]:
    counter = vectorizer()
    X = counter.fit_transform(load_python_reference().data)
    return X.astype(np.float64), counter.get_feature_names_out()


# ------------------------------------------------------------------ topics
def topics_of_the_reference() -> Iterator[Row]:
    """Topics of the Python reference, K=8: perplexity of completed documents, and NPMI"""
    X, _ = counts()
    train, test = X[::2], X[1::2]
    data = f"{X.shape[0]} x {X.shape[1]}"
    peer = LatentDirichletAllocation(K, max_iter=30, random_state=0)
    peer, seconds = timed(peer.fit, train)
    theirs = f"{_completion(peer, test):.0f} ({seconds:.1f} s, scikit-learn)"
    for model in (
        LatentDirichletAllocationVB(K, random_state=0),
        LatentDirichletAllocationVB(K, inference="vb", random_state=0),
        PLSA(K, doc_topic_prior=1.1, topic_word_prior=1.05, random_state=0),
    ):
        model, seconds = timed(model.fit, train)
        name = type(model).__name__.removesuffix("AllocationVB")
        title = f"{name}, {model.inference}" if hasattr(model, "inference") else f"{name}, MAP"
        result = f"{_completion(model, test):.0f}, {topic_coherence(model, X).mean():.3f}"
        yield Row(title, data, result, theirs, seconds)


def _completion(model: Any, X: sp.csr_matrix) -> float:
    """Perplexity of a half of the tokens, topics of documents inferred from the other half."""
    rng = np.random.default_rng(0)
    hidden = X.copy()
    hidden.data = rng.binomial(X.data.astype(int), 0.5).astype(float)
    theta = model.transform(X - hidden)
    phi = model.components_ / model.components_.sum(1, keepdims=True)
    entries = hidden.tocoo()
    p = np.einsum("ik,ik->i", theta[entries.row], phi.T[entries.col])
    use = entries.data > 0
    return float(np.exp(-(entries.data[use] @ np.log(p[use])) / entries.data[use].sum()))


def one_step() -> Iterator[Row]:
    """EM of PLSA is KL-NMF: Kullback-Leibler divergence after 100 plain steps, nats per token"""
    X, _ = counts()
    plsa = PLSA(K, init="random", acceleration=None, max_iter=100, tol=0, random_state=0)
    plsa, ours = timed(plsa.fit, X)
    nmf = NMF(K, solver="mu", beta_loss="kullback-leibler", init="random", random_state=0,
              max_iter=100, tol=0)  # fmt: skip
    nmf, theirs = timed(nmf.fit, X)
    sizes = np.asarray(X.sum(1)).ravel()
    fit = np.log(X.data / np.repeat(sizes, np.diff(X.indptr))) @ X.data / X.sum()
    reference = f"{nmf.reconstruction_err_**2 / 2 / X.sum():.4f} (NMF, {theirs:.1f} s)"
    data = f"{X.shape[0]} x {X.shape[1]}"
    yield Row("PLSA", data, f"{fit - plsa.lower_bound_:.4f}", reference, ours)


# ------------------------------------------------------------------ topics in a pipeline
def search() -> Iterator[Row]:
    """Chapter of a passage: CountVectorizer, PLSA and MaxEntClassifier in GridSearchCV"""
    reference = load_python_reference()
    sizes = np.bincount(reference.target)
    chosen = np.flatnonzero(sizes[reference.target] >= MIN_PASSAGES)
    texts, y = [reference.data[i] for i in chosen], reference.target[chosen]
    steps = [
        ("count", vectorizer()),
        ("topics", PLSA(topic_word_prior=1.05, random_state=0)),
        ("classify", MaxEntClassifier(C=100)),
    ]
    grid = {"topics__n_components": [5, 10, 20], "topics__doc_topic_prior": [None, 1.1]}
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    best, seconds = timed(GridSearchCV(Pipeline(steps), grid, cv=folds).fit, texts, y)
    chance = f"{np.bincount(y).max() / len(y):.3f} (always one)"
    k = best.best_params_["topics__n_components"]
    result = f"{best.best_score_:.3f} with {k} topics"
    yield Row("GridSearchCV", f"{len(texts)} passages", result, chance, seconds)


# ------------------------------------------------------------------ pictures
def topics() -> Figure:
    """topics of the Python language reference: their most probable words"""
    X, names = counts()
    lda = LatentDirichletAllocationVB(K, random_state=0).fit(X)
    figure = TopicsDisplay.from_estimator(lda, feature_names=names).figure_
    figure.suptitle("Topics of the Python language reference (LDA)")
    return figure


def topics_of_chapters() -> Figure:
    """chapters of the reference, by the topics of their passages"""
    X, _ = counts()
    reference = load_python_reference()
    lda = LatentDirichletAllocationVB(K, random_state=0).fit(X)
    largest = np.argsort(-np.bincount(reference.target), kind="stable")[:12]
    rows = np.flatnonzero(np.isin(reference.target, largest))
    names = np.asarray(reference.target_names)[reference.target[rows]]
    figure, ax = plt.subplots(figsize=(9, 5), layout="constrained")
    DocumentTopicsDisplay.from_estimator(lda, X[rows], by=names, ax=ax)
    ax.set_title("Topics of the twelve longest chapters")
    return figure


SECTIONS = (topics_of_the_reference, one_step, search)
PICTURES = (topics, topics_of_chapters)
