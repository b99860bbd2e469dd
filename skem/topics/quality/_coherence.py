"""Coherence and diversity of topics, from their most probable words.

Shapes: together (n_words, n_words), numbers of windows that hold both words of a pair, with those
that hold each word on the diagonal; npmi (n_words, n_words), in [-1, 1]. The windows are documents,
or windows of tokens that slide over them.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem._validation import check_positive_integer
from skem._warnings import warn_user
from skem.topics.quality._cooccurrence import (
    count_in_matrix,
    count_in_tokens,
    is_tokens,
    names_of_columns,
)
from skem.topics.quality._words import Word, names_known_to, top_words

MEASURES = ("npmi", "umass", "c_v")
C_V_WINDOW = 110
"""Tokens of a window of 'c_v' (Röder, Both and Hinneburg 2015)."""


def npmi_of_pairs(together: NDArray, n_windows: int, epsilon: float) -> NDArray:
    """log[p(v, w) / (p(v) p(w))] / -log p(v, w) of all pairs (Bouma 2009).

    Its limits are -1 for words that are never together and 1 for words that are together always.
    """
    p = together.diagonal() / n_windows
    joint = together / n_windows + epsilon
    with np.errstate(divide="ignore", invalid="ignore"):
        npmi = np.log(joint / np.outer(p, p)) / -np.log(joint)
    npmi[joint <= 0] = -1.0
    npmi[joint >= 1] = 1.0
    return npmi


def mean_npmi(together: NDArray, n_windows: int, epsilon: float) -> float:
    """Mean of NPMI over pairs of different words."""
    pairs = np.triu_indices(len(together), 1)
    return float(npmi_of_pairs(together, n_windows, epsilon)[pairs].mean())


def mean_umass(together: NDArray, n_windows: int, epsilon: float) -> float:
    """Mean of log[(D(v_m, v_l) + 1) / D(v_l)] over pairs l < m (Mimno et al. 2011, eq. 1)."""
    m, first = np.tril_indices(len(together), -1)
    return float(np.log((together[m, first] + 1) / together[first, first]).mean())


def c_v(together: NDArray, n_windows: int, epsilon: float) -> float:
    """Mean over words of cos(v_w, sum_u v_u), v_w the NPMI of w with each word, itself included.

    Röder, Both and Hinneburg (2015), with gamma = 1 and one word set against all words. The cosine
    of a zero vector is zero.
    """
    vectors = npmi_of_pairs(together, n_windows, epsilon)
    total = vectors.sum(axis=0)
    length = np.linalg.norm(vectors, axis=1) * np.linalg.norm(total)
    return float(np.divide(vectors @ total, length, where=length > 0, out=0 * length).mean())


_KERNELS = {"npmi": mean_npmi, "umass": mean_umass, "c_v": c_v}


def topic_coherence(
    topics: Any,
    reference: Any,
    *,
    measure: str = "npmi",
    n_words: int = 10,
    window: int | None = None,
    vocabulary: Mapping[str, int] | Sequence[str] | None = None,
    epsilon: float = 0.0,
) -> NDArray:
    """How often the most probable words of each topic occur together in reference documents.

    Parameters
    ----------
    topics : estimator, array-like of shape (n_topics, n_features), or sequence of lists
        A fitted model with ``components_`` (also at the end of a pipeline or a search); rows that
        are proportional to p(w | z), as real numbers; or lists of words, most probable first, by
        the integer numbers of their columns or as strings.
    reference : {array-like, sparse matrix} of shape (n_documents, n_features) or list of lists
        Counts of words in documents, of which only presence is used; or documents as lists of
        tokens.
    measure : {'npmi', 'umass', 'c_v'}, default='npmi'
        'npmi' is the mean of the normalised pointwise mutual information of pairs [1]_ [2]_: 1 if
        words are together wherever they occur, 0 if they are independent, -1 if they are never
        together. 'umass' is the mean of log[(D(v, w) + 1) / D(w)], in nats, over pairs where w is
        the more probable one and D counts documents [3]_ (its authors take the sum). 'c_v' is the
        mean cosine between the NPMI vector of a word and the sum of those of all words [4]_.
    n_words : int, default=10
        Maximum number of words of a topic; words of probability zero are not used.
    window : int, default=None
        Number of tokens in a window that slides over lists of tokens; co-occurrence is inside a
        window, and a shorter document is one window. Default is 110 for 'c_v', and whole
        documents for the others and for counts.
    vocabulary : sequence of str of length n_features, or dict of str to int, default=None
        Tokens of the columns; default is the names that the estimator, or the pipeline before it,
        knows. Needed where words are numbers on one side and strings on the other.
    epsilon : float, default=0.0
        Added to the probability of a pair in 'npmi' and 'c_v'. With zero, the limits are those
        above; gensim uses 1e-12, with which words that never occur together are above -1.

    Returns
    -------
    coherence : ndarray of shape (n_topics,)
        Higher is better. NaN for a topic of which fewer than two words occur in the reference.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it has no ``components_``.
    ValueError
        If a parameter is out of range, a topic lists a word twice, or a word has no column or name.

    Warns
    -----
    UserWarning
        If some of the words never occur in the reference; they are left out.

    References
    ----------
    .. [1] Bouma, G. (2009). "Normalized (pointwise) mutual information in collocation extraction".
       Proceedings of GSCL, 31-40.
    .. [2] Lau, J. H., Newman, D. and Baldwin, T. (2014). "Machine reading tea leaves". EACL,
       530-539.
    .. [3] Mimno, D., Wallach, H., Talley, E., Leenders, M. and McCallum, A. (2011). "Optimizing
       semantic coherence in topic models". EMNLP, 262-272.
    .. [4] Röder, M., Both, A. and Hinneburg, A. (2015). "Exploring the space of topic coherence
       measures". WSDM, 399-408.

    Examples
    --------
    >>> from skem.topics import topic_coherence
    >>> documents = [["cat", "dog"], ["cat", "dog", "pet"], ["bond", "stock"], ["stock", "bond"]]
    >>> topic_coherence([["cat", "dog"], ["cat", "bond"]], documents)
    array([ 1., -1.])
    """
    if measure not in MEASURES:
        raise ValueError(f"measure must be one of {MEASURES}, got {measure!r}.")
    if isinstance(epsilon, bool) or not isinstance(epsilon, Real) or not 0 <= epsilon < 1:
        raise ValueError(f"epsilon must be a small number, at least 0, got {epsilon!r}.")
    lists = top_words(topics, n_words)
    names = names_known_to(topics) if vocabulary is None else names_of_columns(vocabulary)
    number = {word: i for i, word in enumerate(dict.fromkeys(word for t in lists for word in t))}
    n_windows, together = _count(list(number), reference, names, window, measure)
    _warn_of_unseen(list(number), together.diagonal(), names)
    values = np.full(len(lists), np.nan)
    for topic, words in enumerate(lists):
        chosen = [number[word] for word in words if together[number[word], number[word]] > 0]
        if len(chosen) > 1:
            pairs = together[np.ix_(chosen, chosen)]
            values[topic] = _KERNELS[measure](pairs, n_windows, float(epsilon))
    return values


def _count(
    words: list[Word], reference: Any, names: list[str] | None, window: int | None, measure: str
) -> tuple[int, NDArray]:
    """Number of windows, and of those with each pair of words."""
    if window is not None:
        window = check_positive_integer(window, "window")
    if is_tokens(reference):
        if window is None and measure == "c_v":
            window = C_V_WINDOW
        return count_in_tokens(words, reference, names, window)
    if window is not None:
        raise ValueError(
            "window needs the order of words, which counts do not have: give reference as a list "
            "of documents, each a list of tokens, or leave window=None for whole documents."
        )
    return count_in_matrix(words, reference, names)


def _warn_of_unseen(words: list[Word], occurrences: NDArray, names: list[str] | None) -> None:
    unseen: list[Word] = [word for word, n in zip(words, occurrences, strict=True) if not n]
    if unseen:
        if names is not None:
            unseen = [word if isinstance(word, str) else names[word] for word in unseen]
        warn_user(
            f"{len(unseen)} of the {len(words)} words of the topics never occur in reference, and "
            f"are left out: {reprlib.repr(unseen)}.",
            UserWarning,
        )


def topic_diversity(topics: Any, *, n_words: int = 25) -> float:
    """Share of different words among the most probable words of all topics.

    Parameters
    ----------
    topics : estimator, array-like of shape (n_topics, n_features), or sequence of lists
        As for `topic_coherence`.
    n_words : int, default=25
        Maximum number of words of a topic; words of probability zero are not used.

    Returns
    -------
    diversity : float
        1 if no word is in two lists, 1 / n_topics if all lists are the same.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it has no ``components_``.
    ValueError
        If `n_words` is out of range, or no topic has a word.

    References
    ----------
    .. [1] Dieng, A. B., Ruiz, F. J. R. and Blei, D. M. (2020). "Topic modeling in embedding
       spaces". Transactions of the ACL 8, 439-453.

    Examples
    --------
    >>> from skem.topics import topic_diversity
    >>> topic_diversity([["cat", "dog"], ["cat", "bond"]])
    0.75
    """
    words = [word for topic in top_words(topics, n_words) for word in topic]
    if not words:
        raise ValueError("topics has no words: all its rows are zero throughout.")
    return len(set(words)) / len(words)
