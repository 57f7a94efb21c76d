"""Characters that look like others, or like nothing: what a text says to a reader, in plain letters.

``clean`` undoes compatibility forms and removes what is invisible; ``fold`` goes on to the ASCII letters that the rest
looks like. Both look each distinct character up once, so the work is linear in the text.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files

import msgspec

MAX_MARKS = 8
_LETTER = re.compile(
    r"(?:MODIFIER LETTER |COMBINING )?(?:LATIN|NEGATIVE CIRCLED LATIN|NEGATIVE SQUARED LATIN|REGIONAL INDICATOR SYMBOL"
    r"|SQUARED LATIN)(?: SUBSCRIPT)? (?:LETTER SMALL CAPITAL|(?P<case>SMALL|CAPITAL)? ?LETTER)"
    r"(?: TURNED| REVERSED| OPEN| SCRIPT| DOTLESS| LONG| MIDDLE-WELSH| INSULAR)? (?P<letter>[A-Z])(?: WITH .*)?"
)
# Likenesses that people use and the Unicode table of confusables does not list.
_ALSO = dict(
    zip(
        "ηиИяЯгпцЦωшШσλΛΔΣΞєЄ∑∆√№øØłŁđĐħŧßæœ",
        "nnNrRrnuUwwWoaAAEEeEEAvNoOlLdDhtsao",
        strict=True,
    )
)
_STOPS = dict.fromkeys("\u3002\uff61\uff0e\u2024\ufe52", ".")
_BLANK = {
    "\u2800": " ",
    "\u3164": "",
    "\u115f": "",
    "\u1160": "",
    "\uffa0": "",
    "\u034f": "",
    "\u17b4": "",
    "\u17b5": "",
}


class _Table(dict[int, str]):
    """What each character becomes; computed at its first use."""

    def __missing__(self, code: int) -> str:
        self[code] = made = self.make(chr(code))
        return made

    def make(self, character: str) -> str:
        raise NotImplementedError


class _Clean(_Table):
    def make(self, character: str) -> str:
        if character.isascii():
            return character if (character >= " " and character != "\x7f") or character in "\t\n\r" else ""
        return character if character in _STOPS else _visible(character)


class _Fold(_Table):
    def make(self, character: str) -> str:
        return character if character.isascii() else _likeness(character)


_CLEAN, _FOLD = _Clean(), _Fold()


def clean(text: str) -> str:
    """``text`` in NFKC, without invisible characters and with every blank as a space."""
    done = text.translate(_CLEAN)
    marks = "".join(character for character in set(done) if unicodedata.combining(character))
    return unicodedata.normalize("NFC", _fewer_marks(done, marks)) if marks else done


def fold(text: str) -> str:
    """``text`` with every character that looks like ASCII letters or digits replaced by those, accents removed."""
    return text if text.isascii() else text.translate(_FOLD)


def prepare() -> None:
    """Load the table of confusables now, so that no request waits for it."""
    _confusables()


def _fewer_marks(text: str, marks: str) -> str:
    """At most ``MAX_MARKS`` combining marks in a row: ordering a long row of them takes quadratic time."""
    kind = f"[{re.escape(marks)}]"
    return re.sub(f"({kind}{{{MAX_MARKS}}}){kind}+", r"\1", text)


def _visible(character: str) -> str:
    if character in _BLANK:
        return _BLANK[character]
    kind = unicodedata.category(character)
    if kind in ("Zs", "Zl", "Zp"):
        return " "
    if kind in ("Cf", "Cc") or 0xFE00 <= ord(character) <= 0xFE0F or 0xE0000 <= ord(character) <= 0xE0FFF:
        return "\n" if character == "\x85" else ""
    return unicodedata.normalize("NFKC", character)


def _likeness(character: str) -> str:
    """The ASCII that ``character`` looks like; itself when it looks like none."""
    if character in _ALSO or character in _STOPS:
        return _ALSO.get(character, ".")
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    kind = unicodedata.category(character)
    if kind == "Mn" and ord(character) < 0x0370:
        return ""
    base = unicodedata.normalize("NFKD", character)[0]
    found = base if base.isascii() else _similar(base) or _similar(character)
    if found:
        return found
    return " " if kind in ("So", "Sk") else character


def _similar(character: str) -> str:
    named = _LETTER.fullmatch(unicodedata.name(character, ""))
    if named:
        return named["letter"] if named["case"] == "CAPITAL" else named["letter"].lower()
    table = _confusables()
    if character in table:
        return table[character]
    upper = character.upper()
    return table[upper].lower() if upper in table else ""


@cache
def _confusables() -> Mapping[str, str]:
    """Characters of the Unicode confusables table (UTS #39) with the ASCII text that they look like."""
    raw = (files("confusable_homoglyphs") / "confusables.json").read_bytes()
    table = msgspec.json.decode(raw, type=dict[str, list[dict[str, str]]])
    found: dict[str, str] = {}
    for character, entries in table.items():
        plain = next(_ascii(entry["c"] for entry in entries), "")
        if plain and not character.isascii() and len(character) == 1:
            found[character] = "I" if plain == "l" and character.isupper() else plain
    return found


def _ascii(options: Iterable[str]) -> Iterator[str]:
    for option in options:
        plain = "".join(part for part in option if unicodedata.category(part) not in ("Mn", "Cf"))
        if plain and plain.isascii():
            yield plain
