"""RNNTagger on parts of speech, and RNNClassifier beside MaxEntClassifier on news.

Tags: universal parts of speech of UD English EWT, share of tokens that are right, without vectors
that were trained elsewhere; CPU minutes are those of the whole ``fit``, all cores together.
Classes: BBC News (five classes, words in an order without stop words), share of stories that are
right. MaxEntClassifier has tf-idf of words, its C being chosen on the validation stories, as the
number of epochs of RNNClassifier is by early stopping on a part of the training stories.

    python benchmarks/tagging.py [--full] [--only PART] [--epochs N] [--seeds N] [--data DIR]
"""

from __future__ import annotations

import argparse
import lzma
import time
import warnings
from pathlib import Path

import numpy as np
from report import machine, rst_table, text_table, write
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skem import MaxEntClassifier, RNNClassifier, RNNTagger

Tagged = tuple[list[list[str]], list[list[str]]]


def unpacked(path: Path) -> str:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return file.read()


def ewt(data: Path, part: str) -> Tagged:
    """Sentences as lists of words, and their tags."""
    text = unpacked(data / f"ud_ewt_upos_{part}.tsv.xz")
    X, y = [], []
    for block in text.strip("\n").split("\n\n"):
        pairs = [line.split("\t") for line in block.split("\n")]
        X.append([word for word, _ in pairs])
        y.append([tag for _, tag in pairs])
    return X, y


def bbc(data: Path) -> dict[str, tuple[list[str], np.ndarray]]:
    """Stories and classes of each part."""
    text = unpacked(data / "bbc_news.tsv.xz")
    rows = [line.split("\t") for line in text.strip("\n").split("\n")]
    return {
        part: ([r[0] for r in rows if r[1] == part],
               np.array([r[2] for r in rows if r[1] == part]))
        for part in ("train", "val", "test")
    }  # fmt: skip


def most_frequent(train: Tagged, test: Tagged) -> float:
    """Each word has its most frequent tag; words that were never seen are nouns."""
    counts: dict[str, dict[str, int]] = {}
    for words, tags in zip(*train, strict=True):
        for word, tag in zip(words, tags, strict=True):
            own = counts.setdefault(word, {})
            own[tag] = own.get(tag, 0) + 1
    best = {word: max(own, key=own.__getitem__) for word, own in counts.items()}
    pairs = [pair for X, y in zip(*test, strict=True) for pair in zip(X, y, strict=True)]
    return float(np.mean([best.get(word, "NOUN") == tag for word, tag in pairs]))


# ------------------------------------------------------------------ tags
def tags(full: bool, data: Path, epochs: int | None, seeds: int) -> None:
    train, dev, test = (ewt(data, part) for part in ("train", "dev", "test"))
    if not full:
        train = train[0][:3000], train[1][:3000]
    known = {word for words in train[0] for word in words}
    header = ["model", "dev", "test", "test, words never seen", "CPU minutes", "tokens/s"]
    rows = [["most frequent tag", f"{most_frequent(train, dev):.4f}",
             f"{most_frequent(train, test):.4f}", "", "", ""]]  # fmt: skip
    chosen = {} if epochs is None else {"max_epochs": epochs}
    for seed in range(seeds):
        tagger = RNNTagger(random_state=seed, device="cpu", **chosen)
        cpu, wall = time.process_time(), time.perf_counter()
        tagger.fit(*train)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        predicted = tagger.predict(test[0])
        new = [
            tag == guess
            for words, own, guesses in zip(*test, predicted, strict=True)
            for word, tag, guess in zip(words, own, guesses, strict=True)
            if word not in known
        ]
        speed = sum(map(len, train[0])) * tagger.n_iter_ / wall
        rows.append([f"RNNTagger, seed {seed}", f"{tagger.score(*dev):.4f}",
                     f"{tagger.score(*test):.4f}", f"{np.mean(new):.4f}", f"{cpu / 60:.1f}",
                     f"{speed:.0f}"])  # fmt: skip
        print("  ".join(rows[-1]), flush=True)
    print(text_table(header, rows))
    about = machine("skem", "torch", "skorch", "numpy")
    table = rst_table("Universal parts of speech, UD English EWT", header, rows)
    write(full, "tagging", f"Measured on {about}.", table)


# ------------------------------------------------------------------ classes
def classes(full: bool, data: Path, seeds: int) -> None:
    parts = bbc(data)
    (X, y), val, test = parts["train"], parts["val"], parts["test"]
    header = ["model", "validation", "test", "CPU seconds"]
    rows, best = [], (-1.0, -1.0, "", 0.0)
    for C in (1.0, 10.0, 100.0):
        begin = time.process_time()
        model = make_pipeline(TfidfVectorizer(sublinear_tf=True), MaxEntClassifier(C=C)).fit(X, y)
        seconds = time.process_time() - begin
        found = model.score(*val), model.score(*test), f"MaxEntClassifier, tf-idf, C={C:g}", seconds
        best = max(best, found, key=lambda row: row[0])
    rows.append([best[2], f"{best[0]:.4f}", f"{best[1]:.4f}", f"{best[3]:.1f}"])
    for pooling in ("mean", "last"):
        for seed in range(seeds):
            rnn = RNNClassifier(pooling=pooling, early_stopping=True, random_state=seed,
                                max_epochs=20 if full else 4, device="cpu")  # fmt: skip
            begin = time.process_time()
            rnn.fit(X, y)
            seconds = time.process_time() - begin
            rows.append([f"RNNClassifier, {pooling}, seed {seed}", f"{rnn.score(*val):.4f}",
                         f"{rnn.score(*test):.4f}", f"{seconds:.1f}"])  # fmt: skip
            print("  ".join(rows[-1]), flush=True)
    print(text_table(header, rows))
    about = machine("skem", "torch", "skorch", "numpy")
    table = rst_table("BBC News, 5 classes, 445 test stories", header, rows)
    write(full, "sequence_classes", f"Measured on {about}.", table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all data; writes the docs' tables")
    parser.add_argument("--only", default="", choices=["", "tags", "classes"])
    parser.add_argument("--epochs", type=int, default=None, help="of the tagger")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data"
    )
    options = parser.parse_args()
    print(machine("skem", "torch", "skorch", "numpy"))
    try:
        if options.only != "classes":
            tags(options.full, options.data, options.epochs, options.seeds)
        if options.only != "tags":
            classes(options.full, options.data, options.seeds)
    except FileNotFoundError as error:
        print(f"left out, no {error.filename}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
