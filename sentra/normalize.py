"""Views of a text: what it says once escapes, encodings and look-alike characters are undone.

A ``Decoder`` names the pattern whose presence makes it worth running; that pattern is part of the one scan, so text
without suspicious runs pays nothing. All work is linear in the text and bounded by ``MAX_DEPTH`` and the caller's
byte allowance.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

MAX_DEPTH = 3


class View(NamedTuple):
    """``text`` as read by the decoder ``name`` from the original's bytes ``start``..``end``."""

    name: str
    text: str
    start: int
    end: int


class Decoder(NamedTuple):
    """``decode`` undoes one encoding: of each run that ``pattern`` matches, or, if ``whole``, of the segment's text.

    ``decode`` returns the decoded text, or nothing when the run is not of that encoding.
    """

    name: str
    pattern: str
    decode: Callable[[str], str | None]
    whole: bool = False


def fold(text: str) -> str | None:
    """``text`` in NFKC, or nothing when that is no different."""
    folded = unicodedata.normalize("NFKC", text)
    return folded if folded != text else None


DECODERS: tuple[Decoder, ...] = (Decoder("folded", r"[^\x00-\x7f]", fold, whole=True),)


def run_views(decoder: Decoder, text: str, spans: Iterable[tuple[int, int]]) -> Iterator[View]:
    """The views that ``decoder`` makes of ``text``, whose runs stand at the byte offsets ``spans``."""
    raw = text.encode("utf-8", "replace")
    if decoder.whole:
        decoded = decoder.decode(text)
        if decoded is not None:
            yield View(decoder.name, decoded, 0, len(raw))
        return
    for start, end in spans:
        decoded = decoder.decode(raw[start:end].decode("utf-8", "replace"))
        if decoded is not None:
            yield View(decoder.name, decoded, start, end)
