"""Runs of text that are bytes in another alphabet: base64, base32, hexadecimal and lists of numbers.

A run is told by the shape that ASCII text takes in that alphabet where there is one, so that hashes, identifiers and
pictures cost a look at their beginning at most.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import re2

from sentra.normalize.hidden import Piece, from_bits
from sentra.normalize.readable import readable

MAX_RUNS = 1024
_HEAD = 128
_BREAK = r"(?:\\r|\\n|[\r\n])+[ \t]{0,8}"
# Four base64 characters of three ASCII bytes: the high bit of each byte is clear, and none is a control character.
_QUAD = r"[CI-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
_WIDE_QUADS = r"[I-Za-f][AQgw][AB][A-Za-z0-9+/_-]A[A-H][AEIMQUYcgkosw048]A"


class TooMany(Exception):
    """A text holds more runs than are looked at."""


def _finder(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = 64 << 20
    return re2.compile(pattern.encode(), options)


_TAIL = rf"[A-Za-z0-9+/_-]*(?:{_BREAK}[A-Za-z0-9+/_-]{{4,}})*={{0,2}}"
_BASE64 = _finder(rf"(?:(?:{_QUAD}){{5}}|(?:{_WIDE_QUADS}){{3}}){_TAIL}")
_ANY_BASE64 = _finder(rf"[A-Za-z0-9+/_-]{{40,}}{_TAIL}")
_BASE32 = _finder(rf"(?:[A-Z2-7]{{24,}}|[a-z2-7]{{24,}})(?:{_BREAK}[A-Za-z2-7]{{8,}})*={{0,6}}")
_HEX = _finder(r"(?:[2-7][0-9A-Fa-f]|0[9AaDd]|[cCdDeE][0-9A-Fa-f][89ABab][0-9A-Fa-f]){10,}")
_HEX_LIST = _finder(r"(?:(?:0[xX]|\\x|%|=)?[0-9A-Fa-f]{2}[\s,:;-]{1,3}){6,}(?:0[xX]|\\x)?[0-9A-Fa-f]{2}")
_NUMBERS = _finder(r"(?:[0-9]{2,3}[\s,;:.-]{1,3}){6,}[0-9]{2,3}")
_BITS = _finder(r"(?:[01]{7,8}[\s,]{0,2}){6,}")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_WRITTEN_BREAK = re.compile(rb"\\[rn]")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_HEX_DIGITS = b"0123456789abcdefABCDEF"
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"


def from_base64(raw: bytes) -> Iterator[Piece]:
    """Text in base64, standard or URL-safe, with or without padding and line breaks, UTF-8 or UTF-16."""
    seen = -1
    for start, end in _runs(_BASE64, raw):
        start, seen = _aligned_start(raw, start), end
        yield from _base64_piece(raw, start, end)
    for start, end in _runs(_ANY_BASE64, raw) if seen < 0 else ():
        if raw[start:end].strip(_HEX_DIGITS):
            yield from _base64_piece(raw, start, end)


def _base64_piece(raw: bytes, start: int, end: int) -> Iterator[Piece]:
    plain = _guarded(_base64, raw[start : start + _HEAD])
    if plain is not None and end - start > _HEAD and len(plain) >= _HEAD // 4:
        plain = _guarded(_base64, raw[start:end])
    if plain is not None:
        yield plain, start, end


def _aligned_start(raw: bytes, start: int) -> int:
    """The beginning of the run that ``start`` stands in, at a distance of whole groups of four."""
    before = raw[max(0, start - 64) : start]
    position = start - (len(before) - len(before.rstrip(_ALPHABET))) // 4 * 4
    return position if position == start or _guarded(_base64, raw[position : start + 20]) is not None else start


def _base64(run: bytes) -> str | None:
    body = run.translate(_STANDARD, b"=")
    if not body.isalnum():
        body = _NOT_BASE64.sub(b"", _WRITTEN_BREAK.sub(b"", body))
    return readable(binascii.a2b_base64(body[: len(body) - (len(body) % 4 == 1)] + b"==="))


def from_base32(raw: bytes) -> Iterator[Piece]:
    """Text in base32 (RFC 4648), in either letter case."""
    for start, end in _runs(_BASE32, raw):
        plain = _guarded(_base32, raw[start:end])
        if plain is not None:
            yield plain, start, end


def _base32(run: bytes) -> str | None:
    body = re.sub(rb"[^A-Z2-7]+", b"", _WRITTEN_BREAK.sub(b"", run).upper())
    body = body[: len(body) - (len(body) % 8 in (1, 3, 6))]
    return readable(base64.b32decode(body + b"=" * (-len(body) % 8)))


def from_hex(raw: bytes) -> Iterator[Piece]:
    """Text as one run of hexadecimal digits."""
    return _hex(_HEX, raw)


def from_hex_list(raw: bytes) -> Iterator[Piece]:
    """Text as hexadecimal bytes with separators and prefixes between them."""
    return _hex(_HEX_LIST, raw)


def _hex(finder: Any, raw: bytes) -> Iterator[Piece]:
    for start, end in _runs(finder, raw):
        digits = re.sub(rb"0[xX]|[^0-9A-Fa-f]", b"", raw[start:end])
        plain = readable(binascii.unhexlify(digits[: len(digits) & ~1]), wordy=0.4)
        if plain is not None:
            yield plain, start, end


def from_numbers(raw: bytes) -> Iterator[Piece]:
    """Text as a list of decimal or octal character codes."""
    for start, end in _runs(_NUMBERS, raw):
        words = re.findall(rb"[0-9]+", raw[start:end])
        for base in (10, 8):
            plain = _guarded(partial(_codes, base=base), words)
            if plain is not None:
                yield plain, start, end
                break


def _codes(words: list[bytes], base: int) -> str | None:
    return readable(bytes(int(word, base) for word in words), wordy=0.6)


def from_binary(raw: bytes) -> Iterator[Piece]:
    """Text in groups of eight, or seven, binary digits."""
    for start, end in _runs(_BITS, raw):
        words = raw[start:end].split()
        if len(words) > 1 and all(len(word.strip(b",")) == 7 for word in words):
            words = [b"0" + word.strip(b",") for word in words]
        bits = re.sub("[^01]", "", b"".join(words).decode())
        plain = readable(from_bits(bits), wordy=0.6)
        if plain is not None:
            yield plain, start, end


def _runs(finder: Any, raw: bytes) -> Iterator[tuple[int, int]]:
    """Where ``finder`` matches. Raises ``TooMany`` after ``MAX_RUNS`` runs when there is another."""
    for count, match in enumerate(finder.finditer(raw)):
        if count >= MAX_RUNS:
            raise TooMany
        yield match.span()


def _guarded(decode: Callable[[Any], str | None], run: Any) -> str | None:
    """What ``decode`` makes of ``run``; nothing when it is not of that encoding."""
    try:
        return decode(run)
    except ValueError:
        return None
