"""Section of the demo: a language model of the Python language reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache

import numpy as np
from demo_table import Row, timed

from skem import RNNLanguageModel
from skem.datasets import load_python_reference


@cache
def fitted_language_model() -> RNNLanguageModel:
    """A language model of nine tenths of the language reference."""
    model = RNNLanguageModel(
        hidden_size=128, max_epochs=2, learning_rate=0.01, dropout=0.1, random_state=0
    )
    return model.fit(passages()[0])


def passages() -> tuple[list[str], list[str]]:
    """Those to train on, and a tenth to test."""
    texts = load_python_reference().data
    return [text for i, text in enumerate(texts) if i % 10], texts[::10]


def language_model() -> Iterator[Row]:
    """A model that writes: bits per character of a tenth of the language reference, held out"""
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
    """Bits per character of a character given the two before, each order mixed with the next."""
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


SECTIONS = (language_model,)
