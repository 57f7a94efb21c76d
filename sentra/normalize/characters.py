"""Characters that look like others, or like nothing: what a text says to a reader, in plain letters.

``clean`` undoes compatibility forms and removes what is invisible; ``fold`` goes on to the ASCII letters that the rest
looks like. Both look each distinct character up once, so the work is linear in the text.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files

import msgspec

MAX_MARKS = 8
MAX_REPLACED = 96
MAX_KINDS = 64
# Where look-alikes, compatibility forms and invisible characters are: not among ideographs, Hangul and private use.
_SETTLED = (
    (0x00, 0x3400), (0xA000, 0xAC00), (0xF900, 0x10000), (0x10280, 0x10500), (0x11000, 0x11A00), (0x16E00, 0x17000),
    (0x1BCA0, 0x1BCA4), (0x1CC00, 0x1CD00), (0x1D165, 0x1D245), (0x1D400, 0x1D800), (0x1E000, 0x1E960),
    (0x1EE00, 0x1EF00), (0x1F100, 0x1FC00), (0x2F800, 0x2FA20), (0xE0000, 0xE0200),
)  # fmt: skip
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


class _Table(dict[str, str]):
    """What ``make`` makes of each character that becomes another."""

    def __init__(self, make: Callable[[str], str]):
        characters = (chr(code) for first, last in _SETTLED for code in range(first, last))
        super().__init__((c, made) for c in characters if (made := make(c)) != c)

    def apply(self, text: str) -> str:
        """``text`` with every character replaced; few distinct ones are replaced one by one, which is faster."""
        changed = self.keys() & set(text)
        if len(changed) > MAX_REPLACED:
            return "".join([self.get(character, character) for character in text])
        for character in changed:
            text = text.replace(character, self[character])
        return text


def clean(text: str) -> str:
    """``text`` in NFKC, without invisible characters and with every blank as a space."""
    done = _tables()[0].apply(text)
    marks = "" if done.isascii() else "".join(sorted(_marks().intersection(done)))
    if not marks or len(marks) > MAX_KINDS:
        return done
    return unicodedata.normalize("NFC", re.sub(f"([{marks}]{{{MAX_MARKS}}})[{marks}]+", r"\1", done))


def fold(text: str) -> str:
    """``text`` with every character that looks like ASCII letters or digits replaced by those, accents removed."""
    return text if text.isascii() else _tables()[1].apply(text)


@cache
def _marks() -> frozenset[str]:
    """All combining marks. More than ``MAX_MARKS`` in a row would take quadratic time to put in order."""
    return frozenset(chr(code) for code in range(0x300, 0x1F000) if unicodedata.combining(chr(code)))


@cache
def _tables() -> tuple[_Table, _Table]:
    return _Table(_visible), _Table(_likeness)


def prepare() -> None:
    """Make the tables now, so that no request waits for them."""
    _tables(), _marks()


def _visible(character: str) -> str:
    """``character`` as it is read: nothing when it is not shown."""
    if character in "\t\n\r" or (character.isascii() and character.isprintable()):
        return character
    if character in _BLANK:
        return _BLANK[character]
    kind = unicodedata.category(character)
    if kind in ("Zs", "Zl", "Zp"):
        return " "
    if kind in ("Co", "Cn", "Cs"):
        return character
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
