"""Labels in any script: what is drawn for a token, and a font that has the glyphs for it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem.inspection.drawing._axes import verbatim

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties
    from matplotlib.text import Text

BLANK, CIRCLE = "␣", "◌"
"""A blank that can be seen, and what a combining mark is drawn on."""

CODE_POINT = "U+0123456789ABCDEF."
"""Characters of code points, and of the dots where a label is cut."""

LONGEST = 30
"""Characters of a label, at most."""

NO_TEXT = ("Adobe Blank", "Last Resort", "LastResort", "STIXNonUnicode", "STIXSize", "cm")
"""How names of fonts begin whose glyphs are not those of the characters: boxes, parts of formulas
and the fonts of TeX, which have their own code."""

_NO_GLYPH = ("Cc", "Cn", "Co", "Cs", "Zl", "Zp")
"""Categories of characters that have no glyph, or none with a meaning of its own."""


class Piece(NamedTuple):
    """A character of a token."""

    drawn: str  # what shows it; nothing, if there is no such thing
    code: str  # its code point


class Fonts:
    """The fonts that matplotlib knows: first the current one, then others of its families."""

    def __init__(self) -> None:
        self.files = _files()

    def label(self, token: Any) -> tuple[str, str | None]:
        """What is drawn for a token, and the file of its font; None for the current font.

        Characters that cannot be seen, or that no font has, are code points: U+1112.
        """
        pieces = _pieces(str(token))
        file = self._first(pieces)
        if file is None:
            file = next((f for f in self.files if _has(f, CODE_POINT)), self.files[0])
            pieces = [p if _has(file, p.drawn) else p._replace(drawn="") for p in pieces]
        text = _spelled(pieces) or "''"
        if len(text) > LONGEST:
            text = text[: LONGEST - 3] + "..."
        return text, None if file == self.files[0] else file

    def _first(self, pieces: list[Piece]) -> str | None:
        """The first font that has all that is drawn."""
        needed = "".join(piece.drawn for piece in pieces)
        if not all(piece.drawn for piece in pieces) or len(pieces) > LONGEST:
            needed += CODE_POINT
        return next((file for file in self.files if _has(file, needed)), None)


def write(texts: Iterable[Text], files: Iterable[str | None], **style: Any) -> None:
    """Give texts their fonts and a style, and draw them literally."""
    for text, file in zip(texts, files, strict=True):
        text.update(style)
        verbatim(text)
        if file is not None:
            text.set_fontproperties(_with_font(text.get_fontproperties(), file))


def _with_font(properties: FontProperties, file: str) -> FontProperties:
    """Properties with a font before those that they have.

    These stay, for matplotlib before 3.11 measures lines by Latin letters, which the font may lack.
    """
    from matplotlib import font_manager

    found = properties.copy()
    found.set_family([font_manager.get_font(file).family_name, *properties.get_family()])
    if os.path.realpath(font_manager.findfont(found)) != os.path.realpath(file):
        found.set_file(file)  # its family has another font of this style
    return found


def _pieces(token: str) -> list[Piece]:
    pieces: list[Piece] = []
    for i, character in enumerate(token):
        after = token[:i].strip() != "" and pieces[-1].drawn != ""
        inside = after and token[i:].strip() != ""
        drawn = _drawn(character, after, inside)
        pieces.append(Piece(drawn, f"U+{ord(character):04X}"))
    return pieces


def _drawn(character: str, after: bool, inside: bool) -> str:
    """What shows a character that comes after others, or inside a token."""
    category = unicodedata.category(character)
    if category in _NO_GLYPH:
        return ""
    if character == " ":
        return character if inside else BLANK
    if category == "Zs":
        return character if inside else ""
    if _joins(character):
        return character if after else ""
    if category == "Cf":
        return ""
    if category.startswith("M") and not after:
        return CIRCLE + character
    return character


def _joins(character: str) -> bool:
    """Whether a character cannot be seen, but may change how the one before it looks."""
    if character in "\u034f\u200c\u200d":
        return True
    return "VARIATION SELECTOR" in unicodedata.name(character, "")


def _spelled(pieces: list[Piece]) -> str:
    """Glyphs and code points, with blanks between the two."""
    text, glyph = "", True
    for piece in pieces:
        text += " " * (text != "" and not (glyph and piece.drawn)) + (piece.drawn or piece.code)
        glyph = bool(piece.drawn)
    return text


# ---------------------------------------------------------------------------------- fonts
def _files() -> list[str]:
    """Files of fonts, the current one first, then those of its families, upright ones first."""
    import matplotlib as mpl
    from matplotlib import font_manager

    current = font_manager.FontProperties()
    names: list[str] = []
    params: Any = mpl.rcParams
    for family in current.get_family():
        generic = {"sans": "sans-serif", "sans serif": "sans-serif"}.get(family, family)
        names += params.get(f"font.{generic}", [family])
    place = {name: i for i, name in reversed(list(enumerate(names)))}

    def order(font: Any) -> tuple:
        plain = font.style == font.variant == font.stretch == "normal"
        light = font.weight in (400, "normal", "regular")
        return place.get(font.name, len(names)), not (plain and light), font.name, font.fname

    usable = [
        font
        for font in font_manager.fontManager.ttflist
        if not font.name.startswith(NO_TEXT) and not getattr(font, "index", 0)
    ]
    files = [font.fname for font in sorted(usable, key=order)]
    return list(dict.fromkeys([font_manager.findfont(current), *files]))


@cache
def _characters(file: str) -> NDArray:
    """Code points that a font has, ascending."""
    from matplotlib.font_manager import get_font

    try:
        codes = get_font(file).get_charmap()
    except (OSError, RuntimeError):  # it has been removed, or FreeType cannot read it
        codes = {}
    return np.sort(np.fromiter(codes, dtype=np.uint32, count=len(codes)))


def _has(file: str, text: str) -> bool:
    """Whether a font has glyphs for all characters."""
    return all(_has_glyph(file, character) for character in set(text))


@lru_cache(maxsize=1 << 16)
def _has_glyph(file: str, character: str) -> bool:
    """Whether a font has a character; a visible one must have an outline."""
    from matplotlib.font_manager import get_font

    codes, code = _characters(file), ord(character)
    i = int(np.searchsorted(codes, code))
    if i == len(codes) or codes[i] != code:
        return False
    if unicodedata.category(character) == "Zs" or _joins(character):
        return True
    font = get_font(file)
    font.set_size(12, 72)
    try:
        left, _, right, _ = font.load_char(code).bbox
    except RuntimeError:  # a glyph that is no outline
        return False
    return right > left
