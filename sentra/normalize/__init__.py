"""Views of a text: what it says once escapes, encodings and look-alike characters are undone.

A ``Decoder`` names the pattern whose presence makes it worth running; that pattern is part of the one scan, so text
without suspicious runs pays nothing. Nearly all of these patterns are literals for that reason: they look for what
frequent letters become in an encoding. All work is linear in the text and bounded by ``MAX_DEPTH`` and ``Meter``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from sentra.normalize import blocks, ciphers, escapes, hidden, mending, vocabulary, wording
from sentra.normalize.characters import clean, fold, prepare
from sentra.normalize.hidden import Piece
from sentra.normalize.vocabulary import any_of, bounded, pairs

__all__ = ["DECODERS", "MAX_DEPTH", "MAX_PIECES", "Decoder", "Meter", "View", "prepare", "run_views"]

LONG_RUN = r"[A-Za-z0-9]{20}"
MAX_DEPTH = 3
MIN_BYTES = 1 << 19
MIN_WORK = 6_000_000
WORK_PER_BYTE = 70
PIECE_WORK = 2_500
MAX_PIECES = 64
_BINARY_GAPS = ("", " ", ",", ", ")
_GAPS = (" ", ",", ", ", ":", "-", ";", "\n")


class View(NamedTuple):
    """``text`` as read by the decoder ``name`` from the original's bytes ``start``..``end``."""

    name: str
    text: str
    start: int
    end: int


class Decoder(NamedTuple):
    """Undoes one disguise. Exactly one of the four functions is set.

    ``inplace`` rewrites running text, and one view holds what all such decoders make of a text; ``whole`` reads the
    whole text in another way, as a view of its own; ``runs`` finds encoded runs in the text's UTF-8 bytes, or, with
    ``characters``, in its characters, and each is a view of its own. ``cost`` is the work that a byte of hostile text
    can cost, in units of about a nanosecond; of a text longer than ``limit`` characters it reads the beginning.
    """

    name: str
    pattern: str
    inplace: Callable[[str], str] | None = None
    whole: Callable[[str], str] | None = None
    runs: Callable[[bytes], Iterator[Piece]] | None = None
    characters: Callable[[str], Iterator[Piece]] | None = None
    cost: int = 40
    limit: int = 1 << 22


class Meter:
    """What the views of one request may cost: bytes to scan, and work to make them.

    ``cut`` counts what was left out. A layer of views gets a share of what is left, so that a wall of text on the
    first one leaves something for what is nested deeper.
    """

    __slots__ = ("_bytes", "_work", "cut", "left_bytes", "left_work")

    def __init__(self, size: int):
        self.left_bytes, self.left_work = MIN_BYTES + 2 * size, MIN_WORK + WORK_PER_BYTE * size
        self._bytes = self._work = self.cut = 0

    def start_layer(self) -> None:
        """Give the next layer of views its share."""
        self._bytes, self._work = self.left_bytes * 3 // 4, self.left_work * 3 // 4

    def affords(self, work: int) -> bool:
        """Take ``work`` from what is left; false, and counted, when that is too little."""
        if work > self._work:
            self.cut += 1
            return False
        self._work -= work
        self.left_work -= work
        return True

    def grants(self, size: int) -> bool:
        """Take ``size`` bytes from what is left; false, and counted, when that is too little."""
        if size > self._bytes:
            self.cut += 1
            return False
        self._bytes -= size
        self.left_bytes -= size
        return True


def _hints(change: Callable[[str], str], short: Iterable[str] = vocabulary.SHORT) -> str:
    """A pattern for frequent words as ``change`` leaves them."""
    return bounded(change(word) for word in (*short, *vocabulary.HINTS))


DECODERS: tuple[Decoder, ...] = (
    Decoder("normalized", r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x{10ffff}]", inplace=clean, cost=70),
    Decoder(
        "entities",
        r"&(?:#[0-9xX]|(?:amp|lt|gt|quot|apos|nbsp|shy|period|colon|sol|Tab|NewLine|excl|commat|lowbar|ZeroWidthSpace|zwnj|zwj|comma|hyphen|dash);)",
        inplace=escapes.entities,
    ),
    Decoder("percent", r"%[0-9A-Fa-f]{2}", inplace=escapes.percent),
    Decoder("backslash", r"\\(?:[uU][0-9A-Fa-f{]|[xX][0-9A-Fa-f]|[nrt\"/\\']|[0-7]{2})", inplace=escapes.backslash),
    Decoder(
        "quoted-printable",
        "=(?:3D|20|2E|22|27|C2|C3|E2|D0|0D|0A|\n|\r)|"
        + pairs("02X", ("=",)).replace("(?i)", "").replace("(?:", "=(?:", 1),
        inplace=escapes.quoted_printable,
        cost=20,
    ),
    Decoder("markup", "(?i)<!--|</?[a-z]{1,10}[^<>]{0,20}>[a-z]", inplace=escapes.markup, cost=80),
    Decoder(
        "refanged",
        r"(?i)\bh(?:xx|\*\*|__)p|[\[({] ?(?:\.|dot|at|@) ?[\])}]|\[(?:\.|:|/|@)|\.\]|[a-z0-9] dot [a-z0-9]",
        inplace=escapes.refanged,
        cost=80,
    ),
    Decoder("punycode", r"(?i)\bxn--[a-z0-9]", inplace=escapes.punycode),
    Decoder("base64", LONG_RUN, runs=blocks.from_base64, cost=10),
    Decoder("base32", LONG_RUN, runs=blocks.from_base32, cost=5),
    Decoder("hex", LONG_RUN, runs=blocks.from_hex, cost=5),
    Decoder("hex-list", pairs("02x", (*_GAPS, " 0x", ", 0x", ",0x", r"\x")), runs=blocks.from_hex_list, cost=5),
    Decoder(
        "decimal",
        f"{pairs('d', _GAPS)}|{pairs('03o', _GAPS)[4:]}|{pairs('o', _GAPS)[4:]}",
        runs=blocks.from_numbers,
        cost=70,
    ),
    Decoder(
        "binary", f"{pairs('08b', _BINARY_GAPS)}|{pairs('07b', _BINARY_GAPS[1:])[4:]}", runs=blocks.from_binary, cost=15
    ),
    Decoder("tags", r"[\x{e0020}-\x{e007e}]", characters=hidden.tags, cost=40),
    Decoder("selectors", r"[\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}]{4}", characters=hidden.selectors, cost=40),
    Decoder("zero-width", r"[\x{200b}-\x{200f}\x{2060}-\x{2064}\x{feff}]{8}", characters=hidden.zero_width, cost=80),
    Decoder("rot13", _hints(ciphers.rot13), whole=ciphers.rot13, cost=10),
    Decoder("turned", r"[\x{250}\x{1dd}\x{279}\x{287}\x{265}\x{28e}\x{26f}\x{28c}]", whole=ciphers.turned, cost=40),
    Decoder("atbash", _hints(ciphers.atbash), whole=ciphers.atbash, cost=10),
    Decoder("reversed", _hints(ciphers.reversed_text), whole=ciphers.reversed_text, cost=5),
    Decoder("reversed-words", _hints(ciphers.reversed_text), whole=ciphers.reversed_words, cost=120),
    Decoder(
        "leet",
        rf"{vocabulary.leet_parts()}|\b{any_of(f for w in ('the', 'all', 'and', 'you') for f in vocabulary.leet_forms(w))}\b",
        whole=wording.leet,
        cost=80,
        limit=1 << 17,
    ),
    Decoder("mended", mending.pattern(), whole=mending.mended, cost=120, limit=1 << 16),
    Decoder("split", vocabulary.split_triples(), whole=wording.joined, cost=100, limit=1 << 15),
    Decoder(
        "morse",
        any_of(
            ciphers.morse_of(word)
            for word in ("the", "ing", "and", "all", "ore", "our", "you", "ous", "ion", "ate", "ent", "sec", "pro")
        ),
        whole=ciphers.morse,
        cost=100,
    ),
)


def run_views(decoders: Sequence[Decoder], text: str, meter: Meter) -> Iterator[View]:
    """The views that ``decoders`` make of ``text``, as many as ``meter`` grants."""
    raw = text.encode("utf-8", "replace")
    able = [decoder for decoder in decoders if meter.affords(decoder.cost * len(raw) + PIECE_WORK)]
    meter.cut += sum(len(text) > decoder.limit for decoder in able)
    for view in _views(able, text, raw, meter):
        if meter.grants(len(view.text)) and meter.affords(PIECE_WORK):
            yield view


def _views(decoders: Sequence[Decoder], text: str, raw: bytes, meter: Meter) -> Iterator[View]:
    yield from _rewritten([decoder for decoder in decoders if decoder.inplace], text, len(raw))
    for decoder in decoders:
        if decoder.whole is not None:
            part = text[: decoder.limit]
            changed = decoder.whole(part)
            if changed != part:
                yield View(decoder.name, changed, 0, len(raw))
        elif decoder.runs is not None:
            yield from _gathered(decoder.name, decoder.runs(raw), meter)
        elif decoder.characters is not None:
            for piece, start, end in decoder.characters(text):
                yield View(decoder.name, piece, _size(text[:start]), _size(text[:end]))


def _rewritten(decoders: Sequence[Decoder], text: str, size: int) -> Iterator[View]:
    """What all in-place decoders make of ``text``, one after the other; then, if it is another, its ASCII likeness."""
    names, done = [], text
    for decoder in decoders:
        before, done = done, decoder.inplace(done) if decoder.inplace else done
        if done != before:
            names.append(decoder.name)
    if done != text:
        yield View("+".join(names), done, 0, size)
    if decoders and not done.isascii():
        folded = fold(done)
        if folded != done:
            yield View("+".join([*names, "folded"]), folded, 0, size)


def _gathered(name: str, pieces: Iterable[Piece], meter: Meter) -> Iterator[View]:
    """A view of each of the first ``MAX_PIECES`` pieces, and one of all others together."""
    rest: list[Piece] = []
    for number, (text, start, end) in enumerate(_counted(pieces, meter)):
        if number < MAX_PIECES:
            yield View(name, text, start, end)
        else:
            rest.append((text, start, end))
    if rest:
        yield View(name, "\n".join(text for text, _, _ in rest), rest[0][1], rest[-1][2])


def _counted(pieces: Iterable[Piece], meter: Meter) -> Iterator[Piece]:
    """``pieces``; that there were more runs than are looked at is counted as a cut."""
    try:
        yield from pieces
    except blocks.TooMany:
        meter.cut += 1


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
