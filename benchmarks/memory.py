"""Memory that estimators take beyond the data they are given.

Each call runs in a process of its own, after a small fit that loads and compiles what there is to
load and compile. Quoted is the peak of resident memory during the call less what was in use before
it, with the data in memory, by the bytes of the data; of text by its characters, and of lists by
their tokens. "Of more" is the slope between the two largest sizes, which leaves out what does not
grow with the data: layers, blocks, the state of optimizers.

    python benchmarks/memory.py [--full] [--only NAME]

A row is added to CASES. It needs Linux.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from report import machine, rst_table, text_table, write
from threadpoolctl import threadpool_limits

import skem

PACKAGES = ("skem", "numpy", "scikit-learn", "torch")
SIZES = (50, 100, 200)  # MB of a table
CHARACTERS = (5, 20, 50)  # millions, of text
FEW = (1, 3)  # millions of characters or tokens, for what is slow
WARM = 0.02  # of those units, that the small fit gets


# ------------------------------------------------------------------ data, and how large they are
def normal(size: float, dtype: str, d: int = 50) -> tuple[np.ndarray, int]:
    """Normal columns, correlated by one factor."""
    n = round(size * 1e6 / (np.dtype(dtype).itemsize * d))
    rng = np.random.default_rng(0)
    X = np.empty((n, d), dtype)
    for start in range(0, n, 4096):
        rows = X[start : start + 4096]
        rng.standard_normal(out=rows, dtype=dtype)
        rows += rows[:, :1]
    return X, X.nbytes


def on_disk(size: float) -> tuple[np.ndarray, int]:
    """The same rows in a file, read once: what is mapped counts as data."""
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, normal(size, "float64")[0])
        file.flush()
        X = np.load(file.name, mmap_mode="r")
    X.sum()
    return X, X.nbytes


def with_nan(size: float) -> tuple[np.ndarray, int]:
    """One number in fifty is missing."""
    X, n_bytes = normal(size, "float64")
    rng = np.random.default_rng(1)
    for row in X:
        row[rng.integers(len(row))] = np.nan
    return X, n_bytes


def binary(size: float, dtype: str, d: int = 50) -> tuple[np.ndarray, int]:
    X = np.empty((round(size * 1e6 / (np.dtype(dtype).itemsize * d)), d), dtype)
    rng = np.random.default_rng(0)
    for start in range(0, len(X), 4096):
        rows = X[start : start + 4096]
        rows[:] = rng.random(rows.shape, dtype=np.float32) < 0.3
    return X, X.nbytes


def codes(size: float) -> tuple[np.ndarray, int]:
    """Half of the columns normal, half codes of ten categories."""
    X, n_bytes = normal(size, "float64", 10)
    X[:, 5:] = np.clip(np.floor(2 * np.abs(X[:, 5:])), 0, 9)
    X[0, 5:] = 9
    return X, n_bytes


def words(n_characters: float) -> list[str]:
    """Words as often as those of a language: 20 000 different ones, Zipf's."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    own = ["".join(rng.choice(letters, 2 + rng.poisson(2.5))) for _ in range(20_000)]
    numbers = rng.zipf(1.2, round(n_characters / 4.4)) % len(own)
    return [own[i] for i in numbers.tolist()]


def string(size: float) -> tuple[str, int]:
    """One text, of lines of twelve words."""
    own = words(size * 1e6)
    lines = (" ".join(own[i : i + 12]) for i in range(0, len(own), 12))
    text = "\n".join(lines)[: round(size * 1e6)]
    return text, len(text)


def strings(size: float) -> tuple[list[str], int]:
    """The same, a string a line."""
    text, n = string(size)
    return [line for line in text.split("\n") if line], n


def string_lists(size: float) -> tuple[list[list[str]], int]:
    own = words(size * 1e6 * 4.4)
    return [own[i : i + 12] for i in range(0, len(own), 12)], len(own)


def integer_lists(size: float) -> tuple[list[list[int]], int]:
    numbers = np.random.default_rng(0).integers(0, 200, (round(size * 1e6 / 20), 20)).tolist()
    return numbers, 20 * len(numbers)


def integers(size: float, dtype: str) -> tuple[np.ndarray, int]:
    n = round(size * 1e6 / (20 * np.dtype(dtype).itemsize))
    X = np.random.default_rng(0).integers(0, 100, (n, 20), dtype)
    return X, X.nbytes


def with_tags(X: list[list]) -> dict[str, Any]:
    names = ["NOUN", "VERB", "ADJ", "DET", "PUNCT"]
    return {"y": [[names[len(str(token)) % 5] for token in row] for row in X]}


def with_classes(X: Any) -> dict[str, Any]:
    return {"y": np.arange(len(X)) % 3}


def with_a_zero_weight(X: Any) -> dict[str, Any]:
    return {"sample_weight": (np.arange(len(X)) > 0).astype(float)}


def with_labels(X: Any) -> dict[str, Any]:
    """The component of one row in fifty."""
    return {"labels": np.where(np.arange(len(X)) % 50, -1, 0)}


# ------------------------------------------------------------------ models
def vae(**options: Any) -> Any:
    return skem.VAETransformer(
        4, hidden_layer_sizes=(32,), max_epochs=1, batch_size=4096, random_state=0, **options
    )


def language_model(**options: Any) -> Any:
    small = {"hidden_size": 4, "embedding_dim": 4, "batch_size": 256, "max_epochs": 1}
    return skem.RNNLanguageModel(**{**small, "random_state": 0, **options})


def labelled(kind: type, **options: Any) -> Any:
    small = {"hidden_size": 4, "embedding_dim": 4, "batch_size": 1024, "max_epochs": 1}
    return kind(**{**small, "random_state": 0, **options})


MIXED = ["gaussian"] * 5 + ["categorical"] * 5


# ------------------------------------------------------------------ what is measured
class Case(NamedTuple):
    """A call of an estimator on data of some sizes; others than fit follow a fit on few data."""

    estimator: str
    call: str
    data: str
    make: Callable[[float], tuple[Any, int]]
    model: Callable[[], Any]
    given: Callable[[Any], dict[str, Any]] = lambda X: {}  # what fit gets besides
    sizes: tuple[float, ...] = SIZES

    @property
    def name(self) -> str:
        return f"{self.estimator}, {self.call}, {self.data}"


def of_calls(calls: tuple[str, ...], estimator: str, *others: Any, **options: Any) -> list[Case]:
    return [Case(estimator, call, *others, **options) for call in calls]


def vae_cases() -> list[Case]:
    name, cases = "VAETransformer", []
    for dtype in ("float32", "float64"):
        table = f"{dtype}, 50 columns", functools.partial(normal, dtype=dtype), vae
        cases += of_calls(("fit", "transform", "reconstruct"), name, *table)
        cases += of_calls(("score_samples",), name, *table, sizes=(10, 20))
    stopping = functools.partial(vae, early_stopping=True)
    mixed = functools.partial(vae, likelihood=MIXED)
    bernoulli = functools.partial(vae, likelihood="bernoulli")
    return [
        *cases,
        Case("VAETransformer, early stopping", "fit", "float32, 50 columns",
             lambda n: normal(n, "float32"), stopping),
        Case("VAETransformer, mixed columns", "fit", "float64, 10 columns", codes, mixed),
        Case("VAETransformer, bernoulli", "fit", "float32, 50 columns",
             lambda n: binary(n, "float32"), bernoulli),
    ]  # fmt: skip


def language_cases() -> list[Case]:
    by_words = functools.partial(language_model, tokenizer="word", max_vocabulary=200)
    name, use = "RNNLanguageModel", ("score_samples", "score_tokens", "perplexity", "transform")
    return [
        Case(name, "fit", "one string", string, language_model, sizes=CHARACTERS),
        Case(name, "fit", "strings", strings, language_model, sizes=CHARACTERS),
        Case(name + ", words", "fit", "one string", string, by_words, sizes=(5, 20)),
        Case(name, "fit", "lists of strings", string_lists, by_words, sizes=FEW),
        Case(name, "fit", "lists of integers", integer_lists, language_model, sizes=FEW),
        Case(name, "fit", "int8, 20 columns", lambda n: integers(n, "int8"), language_model,
             sizes=(5, 20)),
        Case(name, "fit", "int64, 20 columns", lambda n: integers(n, "int64"), language_model,
             sizes=(50, 100)),
        Case(name + ", early stopping", "fit", "one string", string,
             functools.partial(language_model, early_stopping=True), sizes=(5, 20)),
        *of_calls(("perplexity",), name, "one string", string, language_model, sizes=FEW),
        *of_calls(use, name, "strings", strings, language_model, sizes=(2, 5)),
    ]  # fmt: skip


def labelled_cases() -> list[Case]:
    by_character = functools.partial(labelled, skem.RNNClassifier, tokenizer="char")
    by_word = functools.partial(labelled, skem.RNNClassifier, max_vocabulary=1000)
    tagger = functools.partial(labelled, skem.RNNTagger, characters=None, max_vocabulary=1000)
    sizes = (2, 5)
    return [
        *of_calls(("fit", "predict"), "RNNClassifier, characters", "strings", strings,
                  by_character, with_classes, sizes=sizes),
        *of_calls(("fit", "predict"), "RNNClassifier, words", "strings", strings, by_word,
                  with_classes, sizes=sizes),
        *of_calls(("fit", "predict"), "RNNTagger", "lists of strings", string_lists, tagger,
                  with_tags, sizes=FEW),
    ]  # fmt: skip


def mixture_cases() -> list[Case]:
    options = {"max_iter": 3, "tol": 0, "random_state": 0}
    gaussian = functools.partial(skem.GaussianMixtureEM, 5, **options)
    diagonal = functools.partial(gaussian, covariance_type="diag")
    bernoulli = functools.partial(skem.BernoulliMixtureEM, 5, n_init=1, **options)
    coins = functools.partial(skem.ThreeCoinMixture, n_init=1, **options)
    plain, single = (functools.partial(normal, dtype=dtype) for dtype in ("float64", "float32"))
    cases = []
    for name, model in [("GaussianMixtureEM", gaussian), ("GaussianMixtureEM, diag", diagonal)]:
        cases += [
            *of_calls(("fit", "predict_proba", "score_samples"), name, "float64, 50 columns",
                      plain, model),
            Case(name, "fit", "float32, 50 columns", single, model),
            Case(name, "fit", "memmap, 50 columns", on_disk, model),
            Case(name, "fit", "one weight of zero", plain, model, with_a_zero_weight),
            Case(name, "fit", "labels", plain, model, with_labels),
            *of_calls(("fit", "impute", "predict_proba"), name, "missing values", with_nan, model),
        ]  # fmt: skip
    wide = functools.partial(normal, dtype="float64", d=5000)
    cases.append(Case("GaussianMixtureEM, diag", "fit", "float64, 5000 columns", wide, diagonal))
    for dtype in ("int8", "bool", "int64", "float64"):
        ones = functools.partial(binary, dtype=dtype)
        calls = ("fit", "predict_proba", "score_samples") if dtype == "int8" else ("fit",)
        cases += of_calls(calls, "BernoulliMixtureEM", f"{dtype}, 50 columns", ones, bernoulli)
    few = functools.partial(binary, dtype="int8", d=20)
    return [
        *cases,
        Case("BernoulliMixtureEM", "fit", "one weight of zero", few, bernoulli, with_a_zero_weight),
        Case("ThreeCoinMixture", "fit", "int8, 20 columns", few, coins),
    ]


CASES = {
    case.name: case
    for case in (*vae_cases(), *language_cases(), *labelled_cases(), *mixture_cases())
}


# ------------------------------------------------------------------ measuring
def peak_of(call: Callable[[], Any]) -> int:
    """Bytes that resident memory rises above what was in use, at its peak."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from now on
    before = in_use("VmRSS")
    call()
    return max(in_use("VmHWM") - before, 0)


def in_use(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


def measure(case: Case, size: float) -> tuple[int, int]:
    """Bytes beyond the data, and the size of the data; in a process of its own."""
    import torch

    torch.set_num_threads(1)
    X, n = case.make(size)
    few, _ = case.make(20 * WARM if "5000" in case.data else WARM)
    model = case.model().fit(few, **case.given(few))
    if case.call == "fit":
        others = case.given(X)
        return peak_of(lambda: case.model().fit(X, **others)), n
    getattr(model, case.call)(few)
    return peak_of(lambda: getattr(model, case.call)(X)), n


def in_own_process(case: Case, size: float) -> tuple[int, int]:
    command = [sys.executable, __file__, "--case", case.name, "--size", str(size)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return tuple(json.loads(run.stdout))


def row_of(case: Case, full: bool) -> list[str]:
    found = [in_own_process(case, size) for size in case.sizes[: None if full else 2]]
    (a, m), (b, n) = found[-2:]
    unit = "MB" if isinstance(case.make(WARM)[0], np.ndarray) else "million"
    return [case.estimator, case.call, case.data, f"{n / 1e6:.0f} {unit}", f"{b / 1e6:.0f}",
            f"{b / n:.1f}", f"{(b - a) / (n - m):.1f}"]  # fmt: skip


def main(full: bool, only: str) -> None:
    about = machine(*PACKAGES)
    print(about)
    header = ["estimator", "call", "data", "size", "MB beyond", "times the data", "of more"]
    rows = []
    for name, case in CASES.items():
        if only in name:
            rows.append(row_of(case, full))
            print("  ".join(rows[-1]), flush=True)
    print(text_table(header, rows))
    title = "Peak of memory beyond the data: bytes by bytes of a table, characters or tokens"
    write(full, "memory", f"Measured on {about}.", rst_table(title, header, rows))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all sizes; writes the docs' table")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--case", help="measure this one here")
    parser.add_argument("--size", type=float)
    options = parser.parse_args()
    if options.case:
        with threadpool_limits(1):
            print(json.dumps(measure(CASES[options.case], options.size)))
    else:
        main(options.full, options.only)
