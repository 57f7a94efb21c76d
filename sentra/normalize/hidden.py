"""Text smuggled in characters that are not shown: tags, variation selectors, zero-width binary."""

import re
from collections import Counter
from collections.abc import Iterator

from sentra.normalize.readable import readable

Piece = tuple[str, int, int]

_TAGS = re.compile("[\U000e0020-\U000e007e]")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_ZERO_WIDTH = re.compile("[\u200b-\u200f\u2060-\u2064\u180e\ufeff\u00ad\u034f]")
LEAST = 8


def tags(text: str) -> Iterator[Piece]:
    """The ASCII that the tag characters of ``text`` spell: each is its ASCII character plus 0xE0000."""
    found = _TAGS.findall(text)
    if len(found) >= LEAST:
        yield "".join(chr(ord(character) - 0xE0000) for character in found), *_extent(_TAGS, text)


def selectors(text: str) -> Iterator[Piece]:
    """The bytes that variation selectors stand for: 1 to 16 for 0 to 15, 17 to 256 for the rest."""
    found = _SELECTORS.findall(text)
    if len(found) < LEAST:
        return
    data = bytes(ord(c) - 0xFE00 if ord(c) <= 0xFE0F else ord(c) - 0xE0100 + 16 for c in found)
    for way in (data, data.lstrip(b"\x0e\x0f")):
        plain = readable(way)
        if plain is not None:
            yield plain, *_extent(_SELECTORS, text)
            return


def zero_width(text: str) -> Iterator[Piece]:
    """The bytes that two kinds of zero-width characters spell as bits; other kinds between them separate."""
    found = "".join(_ZERO_WIDTH.findall(text))
    common = [character for character, _ in Counter(found).most_common(2)]
    if len(found) < 8 * LEAST or len(common) < 2:
        return
    for zero, one in (common, common[::-1]):
        bits = found.translate({ord(zero): "0", ord(one): "1"})
        plain = readable(from_bits(re.sub("[^01]", "", bits)))
        if plain is not None:
            yield plain, *_extent(_ZERO_WIDTH, text)
            return


def from_bits(bits: str) -> bytes:
    """The bytes of a row of ``0`` and ``1``, most significant first; a rest of less than eight is left out."""
    size = len(bits) // 8
    return int(bits[: 8 * size], 2).to_bytes(size, "big") if size and size <= 1 << 16 else b""


def _extent(kind: re.Pattern[str], text: str) -> tuple[int, int]:
    """Where the first such character begins and the last one ends."""
    first = kind.search(text)
    start = first.start() if first else 0
    end = len(text)
    while end > start and not kind.match(text, end - 1):
        end -= 1
    return start, end
