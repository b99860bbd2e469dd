"""Rows for the cases of the common tests: numbers, counts, texts and tags."""

import numpy as np
from sklearn.datasets import load_iris

from tests.topics import corpora

IRIS = load_iris()


def binary_rows():
    """Rows of zeros and ones, of two kinds."""
    rng = np.random.default_rng(0)
    p = np.array([[0.9, 0.8, 0.7, 0.9], [0.2, 0.1, 0.3, 0.2]])
    return (rng.uniform(size=(120, 4)) < p[rng.integers(2, size=120)]).astype(np.float64)


# Words that PLSA has a chance for, whichever half of the documents it is fitted to.
COUNTS = corpora.X[:, corpora.X[::2].any(axis=0) & corpora.X[1::2].any(axis=0)]

# Sequences of tokens, and a class for each.
LINES = ["the cat sat", "on the mat", "a dog", "the dog sat on the log", "a"] * 4
IDS = [[3, 1, 4], [1, 5, 9, 2], [6, 5, 3, 5, 8], [9, 7], [9, 3, 2, 3, 8, 4]] * 4
TABLE = np.random.default_rng(0).integers(0, 4, (20, 6))
TOKENS = {"texts": LINES, "ids": IDS, "numbers": TABLE}
OUTPUTS = {
    "texts": [line[::-1] for line in LINES],
    "ids": [row[1:] for row in IDS],
    "numbers": TABLE[:, 0] + 1,
}
CLASSES = np.array(["animals", "animals", "money", "money", "animals"] * 4)

# Sequences with a tag for each token.
SENTENCES = [
    ["The", "cat", "sat", "on", "the", "mat", "."], ["A", "dog", "ran"], ["cats", "run", "!"],
    ["Walking", "helps"], ["Dogs"],
] * 4  # fmt: skip
TAGS = [
    ["DET", "NOUN", "VERB", "ADP", "DET", "NOUN", "PUNCT"], ["DET", "NOUN", "VERB"],
    ["NOUN", "VERB", "PUNCT"], ["NOUN", "VERB"], ["NOUN"],
] * 4  # fmt: skip
TAGGED = {
    "words": (SENTENCES, TAGS),
    "ids": (IDS, [[i % 2 for i in row] for row in IDS]),
    "numbers": (TABLE, TABLE % 3),
}
