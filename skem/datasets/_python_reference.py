"""The language reference that ships with Python, as documents for topic models."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skem._validation import check_positive_integer

# Productions are `name ::= ...` up to Python 3.13 and `name: "token" other | another` after it.
_GRAMMAR = re.compile(r"\s+\w+\s*(::=|: .*(\"| \| ))|.*::=")
_RULE = re.compile(r"^[ \t|+*=-]{3,}$", re.MULTILINE)  # under headings, and inside tables
_NOTE = re.compile(r"-\[ Footnotes \]-|\[\d+\]")
_EMPHASIS = re.compile(r"(?<![\w*])\*(\w(?:[^*\n]*\w)?)\*(?![\w*])")


def load_python_reference(
    *, n_words: int = 120, strip_markup: bool = True, return_X_y: bool = False
) -> Any:
    """Load passages of the reference of the Python language, text that needs no download.

    The text is that of ``help("topics")``, as the running Python has it, so that it differs a
    little from one version to another.

    =================   ==========================
    Samples                     several hundred
    Features               text (str), in English
    Classes                             about 80
    =================   ==========================

    Parameters
    ----------
    n_words : int, default=120
        About how many words a passage has. A passage is whole paragraphs of one topic: they are
        taken until they have so many words, and a rest of less than half of that goes with them.
    strip_markup : bool, default=True
        Leave out what is no prose: productions of the grammar, rules of tables and headings, marks
        of footnotes, quotes around code, stars around emphasis.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` in place of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch` or tuple
        A tuple ``(data, target)`` if `return_X_y`, else an object with these attributes:

        data : list of str of length n_samples
            The passages, in the order of the topics. A paragraph that is in several topics is kept
            in the shortest of them only, so that no text is there twice.
        target : ndarray of shape (n_samples,)
            The number of the topic that a passage is from.
        target_names : list of str
            Names of the topics, sorted: "assert", "assignment", ...
        names : list of str of length n_samples
            A name of each passage: its topic, and its number in it from 0.
        DESCR : str
            Description and origin.

    Raises
    ------
    ImportError
        If Python was built without ``pydoc_data``.
    ValueError
        If `n_words` is not a positive integer.

    References
    ----------
    .. [1] Van Rossum, G. and the Python development team. "The Python Language Reference".
       Python Software Foundation. https://docs.python.org/3/reference/

    Examples
    --------
    >>> from skem.datasets import load_python_reference
    >>> reference = load_python_reference()
    >>> passage = reference.data[reference.names.index("while 0")]
    >>> passage.splitlines()[0]
    'The while statement'
    >>> reference.target_names[:3]
    ['assert', 'assignment', 'async']
    """
    n_words = check_positive_integer(n_words, "n_words")
    data: list[str] = []
    names: list[str] = []
    target: list[int] = []
    target_names: list[str] = []
    for topic, paragraphs in sorted(_own_paragraphs(_topics(), strip_markup).items()):
        for number, passage in enumerate(_passages(paragraphs, n_words)):
            data.append("\n\n".join(passage))
            names.append(f"{topic} {number}")
            target.append(len(target_names))
        target_names.append(topic)
    if return_X_y:
        return data, np.array(target)
    return Bunch(
        data=data,
        target=np.array(target),
        target_names=target_names,
        names=names,
        DESCR=(files("skem.datasets") / "descr" / "python_reference.rst").read_text("utf-8"),
    )


def _topics() -> dict[str, str]:
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise ImportError(
            "load_python_reference needs pydoc_data, which this Python was built without. It is a "
            "part of the standard library: install the whole of it (Debian: libpython3-stdlib)."
        ) from error
    return topics


def _own_paragraphs(topics: dict[str, str], strip_markup: bool) -> dict[str, list[str]]:
    """Paragraphs of each topic that no shorter topic has; topics without any are left out."""
    seen: set[str] = set()
    own: dict[str, list[str]] = {}
    for topic in sorted(topics, key=lambda topic: (len(topics[topic]), topic)):
        kept = []
        for paragraph in re.split(r"\n\s*\n", topics[topic]):
            text = _without_markup(paragraph) if strip_markup else paragraph.strip("\n")
            words = " ".join(text.split())
            if words and words not in seen:
                seen.add(words)
                kept.append(text)
        if kept:
            own[topic] = kept
    return own


def _without_markup(paragraph: str) -> str:
    if _GRAMMAR.match(paragraph):
        return ""
    text = _NOTE.sub("", _RULE.sub("", paragraph))
    return _EMPHASIS.sub(r"\1", text.replace('"', "")).strip("\n")


def _passages(paragraphs: list[str], n_words: int) -> list[list[str]]:
    """Consecutive paragraphs of n_words words or more in all; a short rest goes with the last."""
    passages: list[list[str]] = [[]]
    size = 0
    for paragraph in paragraphs:
        if size >= n_words:
            passages.append([])
            size = 0
        passages[-1].append(paragraph)
        size += len(paragraph.split())
    if len(passages) > 1 and size < n_words / 2:
        rest = passages.pop()
        passages[-1].extend(rest)
    return passages
