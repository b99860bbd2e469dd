r"""The strings of tokens that are not in a vocabulary, and their probabilities.

A bigram model of the letters of a token, from the first to the end after the last, estimated from
tokens that occurred and are not in the vocabulary. Each distribution of the next letter c is mixed
with a broader one, whose share grows with the number of different letters that were met (Witten and
Bell 1991, method C):

    u(c)   = (n(c) + T / S) / (n + T)                   letters,
    v(c)   = (n'(c) + T' u(c)) / (n' + T')              what follows any letter, the end included,
    p(c|a) = (n(a, c) + T(a) v(c)) / (n(a) + T(a))      what follows a; for a first letter with u,

where n counts how often, and T how many different ones, and S is the number of all code points and
the end. After a letter that was never met, it is v. These are distributions over all code points
and the end, whose probability is never zero, so those of all finite strings sum to one. The tokens
of the vocabulary are taken out of this sum, and the rest is divided by what is left of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem.deep.sequences._documents import Documents, code_points
from skem.deep.sequences._sequences import Sequences
from skem.deep.sequences._text import UNKNOWN, Vocabulary

_N_SYMBOLS = 0x110000 + 1  # code points, and the end
_BLOCK = 1 << 14  # strings that are looked at together


class Spelling:
    """Probabilities of strings, given that they are not among those that are known.

    Parameters
    ----------
    words : sequence of str
        Strings to learn from, at least one.
    counts : array-like of shape (n_words,)
        How often each was met.
    known : sequence of str, default=()
        Strings that are excluded.

    References
    ----------
    Witten and Bell (1991). The zero-frequency problem: estimating the probabilities of novel events
    in adaptive text compression. IEEE Transactions on Information Theory 37.
    """

    # Symbols are 0, ..., A - 1 for the A letters, A for start and end, A + 1 for other letters.

    def __init__(self, words: Sequence[str], counts: ArrayLike, known: Sequence[str] = ()):
        self._letters = np.unique(code_points(words))
        each = np.asarray(counts, dtype=np.float64)
        before, after, word = self._pairs(words)
        first, size = before == self._end, self._end + 2
        weight = each[word]
        letter = after != self._end
        self._first = _witten_bell(after[letter], weight[letter], np.full(size, 1 / _N_SYMBOLS))
        self._inner = _witten_bell(after[~first], weight[~first], self._first)
        self._seen, number = np.unique(before * size + after, return_inverse=True)
        self._n_seen = np.bincount(number, weights=weight)
        contexts = self._seen // size
        self._n = np.bincount(contexts, weights=self._n_seen, minlength=size)
        self._kinds = np.bincount(contexts, minlength=size)
        self._kinds[self._n == 0] = 1  # letters that were never met have the broader one alone
        self._log_rest = 0.0
        if len(known):
            rest = 1 - np.exp(self.log_prob(known)).sum()
            self._log_rest = float(np.log(max(rest, np.finfo(np.float64).eps)))

    @property
    def _end(self) -> int:
        return len(self._letters)

    def log_prob(self, words: Sequence[str]) -> NDArray:
        """Log-probability of each string among all that are not known, in nats.

        Parameters
        ----------
        words : sequence of str

        Returns
        -------
        log_prob : ndarray of shape (n_words,)
        """
        found = np.empty(len(words))
        for start in range(0, len(words), _BLOCK):
            part = slice(start, start + _BLOCK)
            found[part] = self._of_strings(words[part])
        return found - self._log_rest

    def _of_strings(self, words: Sequence[str]) -> NDArray:
        """Log-probability of each string among all, (n_words,)."""
        before, after, word = self._pairs(words)
        pair = before * (self._end + 2) + after
        at = np.searchsorted(self._seen, pair).clip(max=len(self._seen) - 1)
        n_pair = np.where(self._seen[at] == pair, self._n_seen[at], 0.0)
        broad = np.where(before == self._end, self._first[after], self._inner[after])
        n, kinds = self._n[before], self._kinds[before]
        log_p = np.log((n_pair + kinds * broad) / (n + kinds))
        return np.bincount(word, weights=log_p, minlength=len(words))

    def _pairs(self, words: Sequence[str]) -> tuple[NDArray, NDArray, NDArray]:
        """Symbols and those after them, from start to end, and the number of the word of each."""
        codes = code_points(words)
        symbols = np.searchsorted(self._letters, codes)
        symbols[~np.isin(codes, self._letters)] = self._end + 1
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        framed = Sequences.of_lengths(symbols, lengths).framed(self._end, self._end)
        inside = np.ones(len(framed.tokens), dtype=bool)
        inside[framed.offsets[1:] - 1] = False  # after an end comes another word
        at = np.flatnonzero(inside)
        word = np.repeat(np.arange(len(words)), lengths + 1)
        return framed.tokens[at], framed.tokens[at + 1], word


def _witten_bell(symbols: NDArray, weight: NDArray, broad: NDArray) -> NDArray:
    """Probabilities of symbols as often as met, mixed with a broader distribution of them."""
    counts = np.bincount(symbols, weights=weight, minlength=len(broad))
    kinds = max(1, np.count_nonzero(counts))
    return (counts + kinds * broad) / (counts.sum() + kinds)


def learn_spelling(documents: Documents, vocabulary: Vocabulary) -> Spelling | None:
    """Learn how tokens are spelled that are not in the vocabulary of these documents.

    Parameters
    ----------
    documents : Documents
        From which the vocabulary was learned.
    vocabulary : Vocabulary

    Returns
    -------
    spelling : Spelling or None
        From the tokens that became unknown; if none did, from the rarest ones of the vocabulary.
        None if tokens are integers, or none can be unknown.
    """
    if vocabulary.unknown is None or vocabulary.kind == "int":
        return None
    special = set(vocabulary.special)
    known = [token for i, token in enumerate(vocabulary.tokens_) if i not in special]
    types, counts = documents.types, documents.sequences.counts(len(documents.types))
    chosen = np.flatnonzero([token not in vocabulary for token in types])
    if not len(chosen):
        own = np.array([token != UNKNOWN for token in types])
        chosen = np.flatnonzero(own & (counts == counts[own].min()))
    return Spelling([types[i] for i in chosen.tolist()], counts[chosen], known)
