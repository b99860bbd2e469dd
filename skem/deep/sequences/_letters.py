"""Words as their letters, for features that words which were never seen have too."""

from __future__ import annotations

import numpy as np

from skem.deep.sequences._documents import Documents
from skem.deep.sequences._sequences import Sequences, id_type
from skem.deep.sequences._text import Vocabulary, learn_vocabulary, read

_LONGEST = 24  # letters of a word that are read: its first and last ones


def lowered(texts: Documents) -> Documents:
    """Documents whose words are in lower case; integers as they are."""
    if texts.kind == "int":
        return texts
    words = [word.lower() for word in texts.types]
    types = list(dict.fromkeys(words))
    number = {word: i for i, word in enumerate(types)}
    table = np.array([number[word] for word in words], dtype=id_type(len(types)))
    return Documents(
        texts.kind, types, texts.sequences.mapped(table), texts.n_characters, texts.tokenizer
    )


def letters_of(texts: Documents) -> Vocabulary | None:
    """The letters of words, each different word counted once; None if there is one letter only."""
    if len(set().union(*texts.types)) < 2:
        return None
    return learn_vocabulary(read(texts.types, "char"))


def spelled(texts: Documents, letters: Vocabulary) -> Sequences:
    """The letters of each different word, between a start and an end.

    Of long words the first and the last letters.
    """
    half = _LONGEST // 2
    words = [w if len(w) <= _LONGEST else w[:half] + w[-half:] for w in texts.types]
    return letters.compact(read(words, "char")).framed(letters.start, letters.end)
