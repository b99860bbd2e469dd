"""Sections and pictures of the demo: the maximum-entropy classifier."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from demo_table import Row, timed
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline

from skem import MaxEntClassifier
from skem.inspection import ExpectationsDisplay, WeightsDisplay

PACKAGES = ("asyncio", "email", "importlib", "multiprocessing", "unittest", "xml")


def prepare() -> None:
    """Load or compile the kernels, so that no row includes this time."""
    for load in (load_wine, load_breast_cancer):
        MaxEntClassifier().fit(*load(return_X_y=True))
    texts, packages = docstrings()
    for l1_ratio in (0.0, 1.0):
        words(l1_ratio, C=0.1).fit(texts[::10], packages[::10])


# ------------------------------------------------------------------ unscaled columns
def columns_as_they_come() -> Iterator[Row]:
    """Unscaled columns, up to 4254: mean loss plus penalty at C=1, in nats per row"""
    for name, load in (("wine", load_wine), ("breast cancer", load_breast_cancer)):
        X, y = load(return_X_y=True)
        data = f"{name} {len(X)} x {X.shape[1]}"
        classifier, seconds = timed(MaxEntClassifier().fit, X, y)
        peer = LogisticRegression(solver="newton-cholesky", tol=1e-8)
        peer, theirs = timed(peer.fit, X, y)
        optimum = f"{_objective(peer, X, y):.6f}"
        result, reference = f"{_objective(classifier, X, y):.6f}", f"{optimum} ({theirs:.2f} s)"
        yield Row("MaxEntClassifier", data, result, reference, seconds)
        gap = f"{classifier.optimality_gap_:.0e}"
        yield Row("  proven distance to the optimum", data, gap, "at most 1e-06 (tol)")
        peer, seconds = timed(LogisticRegression().fit, X, y)
        title = "  scikit-learn's at its defaults"
        yield Row(title, data, f"{_objective(peer, X, y):.6f}", optimum, seconds)


def _objective(classifier: Any, X: np.ndarray, y: np.ndarray) -> float:
    penalty = np.sum(classifier.coef_**2) / 2 / (classifier.C * len(y))
    return log_loss(y, classifier.predict_proba(X)) + penalty


def grid_search() -> Iterator[Row]:
    """Choice of columns and C in a Pipeline: held-out log loss in nats per row, and the choice"""
    X, y = load_breast_cancer(return_X_y=True)
    ours, seconds = timed(_search(MaxEntClassifier()).fit, X, y)
    peer, theirs = timed(_search(LogisticRegression(solver="newton-cholesky")).fit, X, y)
    reference = f"{_choice(peer)} ({theirs:.1f} s)"
    title = "GridSearchCV, MaxEntClassifier"
    yield Row(title, "breast cancer 569 x 30", _choice(ours), reference, seconds)


def _search(classifier: Any) -> GridSearchCV:
    pipeline = Pipeline([("select", SelectKBest()), ("classify", classifier)])
    grid = {"select__k": [5, 10, 30], "classify__C": 10.0 ** np.arange(-2, 5)}
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=folds)


def _choice(search: GridSearchCV) -> str:
    k, C = search.best_params_["select__k"], search.best_params_["classify__C"]
    return f"{-search.best_score_:.4f} k={k} C={C:g}"


# ------------------------------------------------------------------ text
@cache
def docstrings() -> tuple[list[str], list[str]]:
    """Docstrings of the standard library, each once per package, and their packages."""
    texts, packages = [], []
    library = Path(sysconfig.get_path("stdlib"))
    for package in PACKAGES:
        found = set()
        for path in (library / package).rglob("*.py"):
            if "test" not in path.relative_to(library).parts:
                found |= _docstrings_of(ast.parse(path.read_bytes()))
        texts += sorted(found)
        packages += [package] * len(found)
    return texts, packages


def _docstrings_of(tree: ast.Module) -> set[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for node in ast.walk(tree) if isinstance(node, documented))
    return {text for node in nodes if (text := ast.get_docstring(node))}


def words(l1_ratio: float, C: float) -> Pipeline:
    return make_pipeline(_words(), MaxEntClassifier(C=C, l1_ratio=l1_ratio))


def _words() -> TfidfVectorizer:
    return TfidfVectorizer(sublinear_tf=True, min_df=2)


def packages_of_docstrings() -> Iterator[Row]:
    """Package of a docstring: accuracy on a held-out third, and number of non-zero weights"""
    texts, packages = docstrings()
    train, held_out, y_train, y_held_out = train_test_split(
        texts, packages, test_size=1 / 3, stratify=packages, random_state=0
    )
    guess = make_pipeline(_words(), MultinomialNB(alpha=0.1)).fit(train, y_train)
    data = f"{len(texts)} docstrings"
    for l1_ratio, C, peer in (
        (0, 10, LogisticRegression(C=10, tol=1e-6)),
        (1, 3, LogisticRegression(C=3, l1_ratio=1, solver="saga", tol=1e-5, max_iter=5000)),
    ):
        ours, seconds = timed(words(l1_ratio, C).fit, train, y_train)
        theirs, their_seconds = timed(make_pipeline(_words(), peer).fit, train, y_train)
        title = f"Pipeline: MaxEntClassifier, {'L1' if l1_ratio else 'L2'}"
        reference = (
            f"{_accuracy(theirs, held_out, y_held_out)} ({peer.solver}, {their_seconds:.1f} s)"
        )
        yield Row(title, data, _accuracy(ours, held_out, y_held_out), reference, seconds)
    score = f"{guess.score(held_out, y_held_out):.3f}"
    yield Row("  naive Bayes, for comparison", data, score, f"{_share(packages):.3f} (always one)")


def _accuracy(pipeline: Pipeline, texts: list[str], packages: list[str]) -> str:
    weights = np.count_nonzero(pipeline[-1].coef_)
    return f"{pipeline.score(texts, packages):.3f}, {weights} weights"


def _share(packages: list[str]) -> float:
    return max(packages.count(name) for name in PACKAGES) / len(packages)


# ------------------------------------------------------------------ pictures
def words_of_packages() -> Figure:
    """words that identify the package of a docstring: the largest weights under L1"""
    pipeline = words(l1_ratio=1, C=3).fit(*docstrings())
    figure = WeightsDisplay.from_estimator(pipeline).figure_
    figure.suptitle("Words that identify the package of a docstring: largest weights")
    return figure


def expectations() -> Figure:
    """expectations of features in the data and under the model: equal, up to the penalty"""
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.6), layout="constrained")
    cancer = load_breast_cancer(as_frame=True)
    classifier = MaxEntClassifier().fit(cancer.data, cancer.target_names[cancer.target])
    ExpectationsDisplay.from_estimator(classifier, ax=axes[0])
    axes[0].set_title("breast cancer, C=1")
    texts, packages = docstrings()
    C = 0.3
    pipeline = words(l1_ratio=1, C=C).fit(texts, packages)
    ExpectationsDisplay.from_estimator(pipeline, ax=axes[1])
    box = 1 / (C * len(texts))
    for sign in (-1, 1):
        axes[1].axline((0, sign * box), slope=1, color="0.6", linestyle="--", linewidth=1)
    axes[1].set_title(f"words of docstrings, L1 with C={C:g}: at most {box:.4f} off")
    return figure


SECTIONS = (columns_as_they_come, grid_search, packages_of_docstrings)
PICTURES = (words_of_packages, expectations)
