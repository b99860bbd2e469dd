"""Sections of the demo: models of sequences, on the reference and the library of Python."""

from __future__ import annotations

import importlib
import inspect
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache

import numpy as np
from demo_table import Row, timed
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skem import MaxEntClassifier, RNNClassifier, RNNLanguageModel, RNNSeq2Seq, RNNTagger
from skem.datasets import load_python_reference


@cache
def fitted_language_model() -> RNNLanguageModel:
    """A language model of nine tenths of the language reference."""
    model = RNNLanguageModel(
        hidden_size=128, max_epochs=2, learning_rate=0.01, dropout=0.1, random_state=0
    )
    return model.fit(passages()[0])


def passages() -> tuple[list[str], list[str]]:
    """Training rows, and a tenth for testing."""
    texts = load_python_reference().data
    return [text for i, text in enumerate(texts) if i % 10], texts[::10]


def language_model() -> Iterator[Row]:
    """A language model: bits per character of a held-out tenth of the language reference"""
    train, test = passages()
    model, seconds = timed(fitted_language_model)
    data = f"{sum(map(len, train)) / 1000:.0f} 000 characters"
    reference = f"{_trigrams(train, test):.2f} (trigrams)"
    bits = f"{model.bits_per_character(test):.2f}"
    yield Row("RNNLanguageModel, LSTM of 128", data, bits, reference, seconds)
    written = model.generate("A class ", 300, temperature=0.6, random_state=0)
    words = f"A class {written}".split()
    for i in range(0, min(len(words), 24), 8):
        yield Row("    it writes" if i == 0 else "", " ".join(words[i : i + 8]), "", "", None)


def _trigrams(train: list[str], test: list[str]) -> float:
    """Bits per character given the two before, with each order interpolated with the next."""
    n_characters = len(set("".join([*train, *test])))
    counts, totals = Counter[str](), Counter[str]()
    for text in train:
        for i, character in enumerate(text):
            for order in range(min(i, 2) + 1):
                before = text[max(i - order, 0) : i]
                counts[before + "|" + character] += 1
                totals[before] += 1
    bits, n = 0.0, 0
    for text in test:
        for i, character in enumerate(text):
            p = 1 / n_characters
            for order in range(min(i, 2) + 1):
                before = text[max(i - order, 0) : i]
                p = (counts[before + "|" + character] + 5 * p) / (totals[before] + 5)
            bits -= np.log2(p)
            n += 1
    return bits / n


# ------------------------------------------------------------------ classes and tags
MODULES = """
argparse ast asyncio calendar codecs collections configparser csv ctypes dataclasses datetime
decimal difflib dis email enum fractions functools gzip html http inspect io ipaddress itertools
json logging math multiprocessing os pathlib pickle pstats random re shutil socket sqlite3 ssl
statistics string subprocess symtable tarfile tempfile textwrap threading time tokenize trace
traceback types typing unittest urllib.parse uuid warnings weakref xml.dom.minidom zipfile
"""


def names() -> Iterator[Row]:
    """Class or function? Lower-cased names in Python's library; accuracy on a held-out third"""
    kinds: dict[str, str] = {}
    for module in map(importlib.import_module, MODULES.split()):
        for name, value in vars(module).items():
            if not name.startswith("_") and (inspect.isclass(value) or inspect.isroutine(value)):
                kinds[name.lower()] = "class" if inspect.isclass(value) else "function"
    X, y = list(kinds), np.array(list(kinds.values()))
    held_out = np.arange(len(X)) % 3 == 0
    train, test = (
        [x for x, out in zip(X, held_out, strict=True) if out == part] for part in (0, 1)
    )
    ngrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)
    peer = make_pipeline(ngrams, MaxEntClassifier(C=10)).fit(train, y[~held_out])
    model = RNNClassifier(tokenizer="char", pooling="last", dropout=0.2, random_state=0)
    model, seconds = timed(model.fit, train, y[~held_out])
    reference = f"{peer.score(test, y[held_out]):.3f} (n-grams, MaxEntClassifier)"
    result = f"{model.score(test, y[held_out]):.3f}"
    yield Row("RNNClassifier, of characters", f"{len(X)} names", result, reference, seconds)


def capitals() -> Iterator[Row]:
    """Which words begin with a capital letter? Accuracy for the words of a held-out tenth"""
    words = [re.findall(r"\w+|[^\w\s]", text) for text in load_python_reference().data]
    X = [[word.lower() for word in some] for some in words]
    y = [["capital" if word[0].isupper() else "small" for word in some] for some in words]
    train = [i for i in range(len(X)) if i % 10]
    seen = Counter(pair for i in train for pair in zip(X[i], y[i], strict=True))
    usual = [
        tag == max(("small", "capital"), key=lambda t: seen[word, t])
        for some, tags in zip(X[::10], y[::10], strict=True)
        for word, tag in zip(some, tags, strict=True)
    ]
    tagger = RNNTagger(hidden_size=64, embedding_dim=48, max_epochs=3, random_state=0)
    tagger, seconds = timed(tagger.fit, [X[i] for i in train], [y[i] for i in train])
    result, reference = f"{tagger.score(X[::10], y[::10]):.3f}", f"{np.mean(usual):.3f} (as usual)"
    yield Row("RNNTagger", f"{sum(map(len, X))} words", result, reference, seconds)


def romanised() -> Iterator[Row]:
    """Latin letters of Korean words? Share that are right, of syllables that are new"""
    rng = np.random.default_rng(0)
    syllables = rng.permutation([chr(i) for i in range(0xAC00, 0xD7A4)])
    words = rng.choice(syllables[:3000], (1500, 2)).tolist()
    new = rng.choice(syllables[3000:], (300, 2)).tolist()
    X, X_new = ([unicodedata.normalize("NFD", "".join(w)) for w in some] for some in (words, new))
    y, y_new = (
        ["".join(unicodedata.name(s).split()[-1].lower() for s in w) for w in some]
        for some in (words, new)
    )
    sizes = {"hidden_size": 64, "embedding_dim": 32, "learning_rate": 0.01, "max_epochs": 12}
    model, seconds = timed(RNNSeq2Seq(**sizes, random_state=0).fit, X, y)
    none = RNNSeq2Seq(attention=None, **sizes, random_state=0).fit(X, y)
    result, reference = (f"{one.score(X_new, y_new):.3f}" for one in (model, none))
    yield Row("RNNSeq2Seq", f"{len(X)} words", result, f"{reference} (no attention)", seconds)


SECTIONS = (language_model, names, capitals, romanised)
