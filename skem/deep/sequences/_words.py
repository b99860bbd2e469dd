"""Text as words and punctuation, and back."""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator

# Written without spaces, each character a token: Han characters, kana and their iteration marks.
_HAN = (
    "\u3005-\u3007\u3040-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U000323af"
)
_PIECE = 1 << 17  # characters of a long text that are cut at once
_BLANK = re.compile(r"[ \n]")
_JOINERS = "\u200c\u200d"
_TONES = "\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"  # of skin; tags of flags of regions
_FLAG = "[\U0001f1e6-\U0001f1ff]{2}"
_WIDE = _HAN + "\u3001-\u303f\uff00-\uff65"  # with the punctuation that goes with them


def split_words(text: str) -> list[str]:
    """Cut text into words, numbers, punctuation marks and line ends.

    Han characters and kana are tokens of their own. Words keep apostrophes and hyphens inside
    ("don't", "well-known"), numbers their points and commas. Runs of full stops, dashes and
    ellipses are one token; so is an emoji with its joiners, skin tones and variation marks, and a
    flag. Blanks are left out.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _pattern().findall(text)


def words_of(text: str) -> Iterator[str]:
    """The same of a long text, cut a piece at a time after a blank: no word has one."""
    start = 0
    while start < len(text):
        blank = _BLANK.search(text, start + _PIECE)
        stop = len(text) if blank is None else blank.end()
        yield from split_words(text[start:stop])
        start = stop


def join_words(tokens: Iterable[str]) -> str:
    """Put words and punctuation together, with blanks where they are usual."""
    text = " ".join(tokens)
    for pattern, replacement in _joints():
        text = pattern.sub(replacement, text)
    return text


@functools.cache
def _pattern() -> re.Pattern[str]:
    # Marks (accents, vowel signs) belong to the letter or the punctuation before; \w has only
    # letters and digits. So do the invisible joiners of Indic scripts, Persian and emoji, and what
    # colours an emoji.
    marks = _marks()
    letters = rf"[^\W{_HAN}]+"
    word = rf"{letters}(?:[{marks}{_JOINERS}]+(?:{letters})?)*"
    inner = r"['’\-]|(?<=\d)[.,](?=\d)"
    symbol = rf"[^\w\s][{marks}{_TONES}]*"
    return re.compile(
        rf"{word}(?:(?:{inner}){word})*|[{_HAN}][{marks}]*|\n|(?:\.+|-+|—+|…+|{_FLAG})[{marks}]*"
        rf"|{symbol}(?:[{_JOINERS}]+{symbol})*"
    )


def _marks() -> str:
    """Combining characters, as ranges of a character class."""
    planes = itertools.chain(range(0x20000), range(0xE0000, 0xE0200))  # Han has no marks
    marks = [i for i in planes if unicodedata.category(chr(i))[0] == "M"]
    runs = itertools.groupby(enumerate(marks), lambda pair: pair[1] - pair[0])
    ranges = [[code for _, code in run] for _, run in runs]
    return "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in ranges)


@functools.cache
def _joints() -> tuple[tuple[re.Pattern[str], str], ...]:
    rules = (
        (r" ?\n ?", "\n"),
        (rf"(?<=[{_WIDE}]) (?=[{_WIDE}…—“”‘’\w])|(?<=[…—“”‘’\w]) (?=[{_WIDE}])", ""),
        (r"(?<=[…”’]) (?=[—…])|(?<=—) (?=[“‘])", ""),
        (r'" ([^"\n]*?) "', r'"\1"'),
        (r" (?=[.,;:!?%)\]}”’…])", ""),
        (r"(?<=[(\[{“‘$£€#]) ", ""),
        (r"(?<=\w) (?=n't\b|'(?:s|re|ve|ll|d|m)\b)", ""),  # as treebanks cut them
    )
    return tuple((re.compile(pattern), replacement) for pattern, replacement in rules)
