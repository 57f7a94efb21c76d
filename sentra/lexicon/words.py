"""What a word is to the lexicon, and what a passage and the number of a feature are: for all ways to do its sums.

A word is a run of Latin letters, and its first ``LETTERS`` bytes are what counts of it; the end of a sentence is a word
too. A feature is a word, or a word and the one before it, or a word and the one before that.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

LETTERS = 8  # bytes
WORDS, SENTENCES = 36, 3

BITS, SHIFT, CHECK = 20, 36, 0xFF
SPREAD, BEFORE, AFTER, SKIPPED = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5
_WHOLE = (1 << 64) - 1
BLANK = 32
END, STOP, POINT = range(3)  # NUL, what ends a sentence, and what ends one before a blank


def _code(byte: int) -> int:
    """What a byte is to words: a small letter, a part of a letter, a blank or an end."""
    if byte >= 0x80 or byte == ord("'"):
        return byte
    if chr(byte).isalpha():
        return byte | 0x20
    return {0: END, ord("."): POINT, **dict.fromkeys(b"!?;\n", STOP)}.get(byte, BLANK)


CODES = bytes(map(_code, range(256)))
_OTHERS = re.compile("[^\0-\x7f\u00c0-\u017f]")
_WORD = re.compile(rb"[a-z'\x80-\xff]+|[\x00-\x02]+")


def words(buffer: bytes) -> list[str]:
    """The words of a text as ``weigh`` reads them; every text begins and ends like a sentence."""
    found: list[str] = []
    plain = _OTHERS.sub(lambda other: " " * len(other[0].encode()), buffer.decode("utf-8", "replace")).encode()
    for match in _WORD.finditer(b"\0%b\0" % plain.translate(CODES)):
        word = match[0]
        if word[0] > BLANK:
            found.append(word[:LETTERS].decode("utf-8", "replace"))
        elif END in word or word[-1] != POINT or plain[match.end() - 1] == BLANK:
            found.append(".")
    return found


def passages(bounds: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Up to ``SENTENCES`` neighbours with at most ``WORDS`` words together: the first word, and one past the last."""
    for size in range(1, SENTENCES + 1):
        for low, high in zip(bounds, bounds[size:], strict=False):
            if 1 < high - low <= WORDS:
                yield low, high


def place_of(feature: str) -> int:
    """Where the weights of ``word``, of ``before word`` or of ``before * word`` stand: a slot, and behind it a check."""
    others, _, word = feature.rpartition(" ")
    number = _number(word)
    if others:
        before = _number(others.removesuffix(" *"))
        number = before * BEFORE ^ number * (AFTER if others[-1] != "*" else SKIPPED)
    return (number * SPREAD & _WHOLE) >> SHIFT


@cache
def _number(word: str) -> int:
    return int.from_bytes(word.encode(), "little")
