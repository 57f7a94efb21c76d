"""How much a passage reads like an order to the model: weights of words and of pairs of words, summed over sentences.

A pattern knows the phrases that somebody thought of; a sum of evidence also knows those that say the same in other
words. All of it is done on arrays, so what it costs is a matter of the text's length alone, whatever stands in it.

A word is a run of Latin letters, and its first ``LETTERS`` bytes are what counts of it; the end of a sentence is a word
too. A feature is a word, or a word and the one before it, or a word and the one before that. Weights are natural
logarithms of odds, and they differ by who speaks.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args

from sentra.errors import ConfigError
from sentra.findings import Source

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251 - numpy would start a thread for each processor
import numpy as np

Kind = Literal["data", "user", "description"]
KINDS: dict[Source, Kind] = {
    "user_message": "user",
    "thought": "user",
    "history.user": "user",
    "tool_description": "description",
}

LETTERS = 8  # bytes
WORDS, SENTENCES = 36, 3
SHORT = 300  # bytes; a shorter text is read word by word
MOST_KNOWN = 8_192
LEAST = 1.0  # what scores less is nothing to any rule
STEP = 1 / 24  # the least difference of two weights

_BITS = 20
_CHECK = 0xFF
_SHIFT = np.uint64(64 - _BITS - 8)
_SPREAD, _BEFORE, _AFTER, _SKIPPED = (
    np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5)
)
_SPREADING, _SHIFTED, _WHOLE = int(_SPREAD), int(_SHIFT), (1 << 64) - 1
_PERIOD, _BLANK = b". "
_END, _STOP, _POINT = range(3)  # NUL, what ends a sentence, and what ends one before a blank


def _code(byte: int) -> int:
    """What a byte is to words: a small letter, a part of a letter, a blank or an end."""
    if byte >= 0x80 or byte == ord("'"):
        return byte
    if chr(byte).isalpha():
        return byte | 0x20
    return {0: _END, _PERIOD: _POINT, **dict.fromkeys(b"!?;\n", _STOP)}.get(byte, _BLANK)


_CODES = bytes(map(_code, range(256)))
_CLASSES = bytes((code >= _BLANK) + (code > _BLANK) for code in _CODES)
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(LETTERS + 1)], np.uint64)
_SIGN, _LAST_LATIN = 0xC2, 0xC5  # first bytes of the signs of Latin-1, and of the last letters of Latin Extended-A
_WORD = re.compile(rb"[a-z'\x80-\xff]+|[\x00-\x02]+")

Array = np.ndarray[Any, np.dtype[Any]]
_ROWS: dict[Kind, int] = {kind: row for row, kind in enumerate(get_args(Kind))}
_USER, _DESCRIPTION = _ROWS["user"] << _BITS, _ROWS["description"] << _BITS


class Passage(NamedTuple):
    """A few sentences and their ``score``; ``start`` and ``end`` are offsets in bytes."""

    score: float
    start: int
    end: int

    def moved(self, offset: int) -> "Passage":
        """The same, ``offset`` bytes further on."""
        return Passage(self.score, self.start + offset, self.end + offset)


def apart(passages: Iterable[Passage]) -> list[Passage]:
    """The best of those that overlap, in the order of the text."""
    kept: list[Passage] = []
    end = -1
    for passage in sorted(passages, key=lambda passage: (passage.start, passage.end)):
        if passage.start >= end:
            kept.append(passage)
        elif passage.score > kept[-1].score:
            kept[-1] = passage
        end = max(end, passage.end)
    return kept


def words(buffer: bytes) -> list[str]:
    """The words of a text as ``Lexicon`` reads them; every text begins and ends like a sentence."""
    return [word.decode("utf-8", "replace") for _, word in _words(buffer)[0]]


def _words(buffer: bytes) -> tuple[list[tuple[int, bytes]], list[int], set[int]]:
    """The words of a text with their offsets, where each ends, and which are the ends of texts."""
    found: list[tuple[int, bytes]] = []
    ends: list[int] = []
    texts: set[int] = set()
    plain = _latin(buffer)
    for match in _WORD.finditer(b"\0%b\0" % plain.translate(_CODES)):
        word, (start, end) = match[0], match.span()
        if word[0] > _BLANK:
            found.append((start - 1, word[:LETTERS]))
        elif _END in word:
            texts.add(len(found))
            found.append((start - 1, b"."))
        elif word[-1] != _POINT or plain[end - 1] == _BLANK:
            found.append((start - 1, b"."))
        else:
            continue
        ends.append(end - 1)
    return found, ends, texts


def passages(bounds: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Up to ``SENTENCES`` neighbours with at most ``WORDS`` words together: the first word, and one past the last."""
    for size in range(1, SENTENCES + 1):
        for low, high in zip(bounds, bounds[size:], strict=False):
            if 1 < high - low <= WORDS:
                yield low, high


class Lexicon:
    """Weights of features by the kind of text, in a table that a feature's number leads to."""

    def __init__(self, weights: Mapping[str, Sequence[float]], bias: float):
        self._bias = bias
        # Of two features in one slot the last stays, so the stronger ones come last.
        weights = dict(sorted(weights.items(), key=lambda entry: max(map(abs, entry[1]))))
        self._table = np.zeros(len(_ROWS) << _BITS, np.uint16)
        places = _places(np.array([_number(feature) for feature in weights], np.uint64))
        for row, values in enumerate(zip(*weights.values(), strict=True)):
            steps = np.clip((np.array(values) / STEP).round(), -127, 127).astype(np.int8)
            self._table[_slots(places) + (row << _BITS)] = (places & _CHECK) << 8 | steps.view(np.uint8)
        self._entries = memoryview(self._table.data)
        self._known: dict[bytes, tuple[int, int, int, int]] = {}

    def passages(self, buffer: bytes, turns: tuple[int, int], least: float) -> list[Passage]:
        """Passages of ``buffer``, texts with NULs between them, that score at least ``least``.

        Words that begin up to the first of ``turns`` are the user's, from the second on a tool's description's, between
        them data's. A text's end begins where the text ends.
        """
        if not buffer:
            return []
        if len(buffer) <= SHORT:
            return self._short_passages(buffer, turns, math.ceil((least - self._bias) / STEP))
        keys, starts, ends, texts = _keys(buffer)
        if len(keys) < 2:
            return []
        bounds = bounds_of((keys == _PERIOD).nonzero()[0], len(keys))
        user, description = int(starts.searchsorted(turns[0], "right")), int(starts.searchsorted(turns[1]))
        sums = self._sums(keys, user, description, texts)[bounds]
        enough = math.ceil((least - self._bias) / STEP)
        found: list[Passage] = []
        for size in range(1, min(SENTENCES, len(bounds) - 1) + 1):
            worth = sums[size:] - sums[:-size]
            if worth.max() < enough:
                continue
            low, high = bounds[:-size], bounds[size:]
            within = texts.searchsorted(low) == texts.searchsorted(high - 1)
            for index in ((worth >= enough) & (high - low <= WORDS) & (high - low > 1) & within).nonzero()[0]:
                first, last = low[index], high[index] - 1
                end = ends[last - 1] if keys[last] == _PERIOD and last > first else ends[last]
                score = float(worth[index]) * STEP + self._bias
                found.append(Passage(score, max(0, int(starts[first])), int(end)))
        return found

    def _short_passages(self, buffer: bytes, turns: tuple[int, int], enough: int) -> list[Passage]:
        """The same word by word: some eighty calls on arrays take longer than a few dozen words."""
        found, ends, texts = _words(buffer)
        if len(found) < 2:
            return []
        sums = self._short_sums(found, turns, texts)
        bounds = [number + 1 for number, (_, word) in enumerate(found) if word == b"."] + [len(found)]
        for low, high in list(pairwise(bounds)):
            bounds += range(low, high, WORDS - 2) if high - low > WORDS else ()
        bounds.sort()
        passages: list[Passage] = []
        for size in range(1, min(SENTENCES, len(bounds) - 1) + 1):
            for low, high in zip(bounds, bounds[size:], strict=False):
                worth = sums[high] - sums[low]
                if worth < enough or not 1 < high - low <= WORDS or not texts.isdisjoint(range(low, high - 1)):
                    continue
                last = high - 1 - (found[high - 1][1] == b".")
                passages.append(Passage(worth * STEP + self._bias, max(0, found[low][0]), ends[last]))
        return passages

    def _short_sums(self, found: list[tuple[int, bytes]], turns: tuple[int, int], texts: set[int]) -> list[int]:
        """As ``_sums``, for the words ``found`` with their offsets."""
        table, known = self._entries, self._known
        if len(known) > MOST_KNOWN:
            known.clear()
        sums, total = [0], 0
        before = skipped = 0
        for number, (start, word) in enumerate(found):
            numbers = known.get(word)
            if numbers is None:
                numbers = known[word] = _numbers(word)
            own, ahead, after, over = numbers
            row = _USER if start <= turns[0] else _DESCRIPTION if start >= turns[1] else 0
            entry = table[(own >> 8) + row]
            if entry and entry >> 8 == own & _CHECK:
                total += (entry & 0xFF) - ((entry & 0x80) << 1)
            place = ((before ^ after) * _SPREADING & _WHOLE) >> _SHIFTED if number else 0
            entry = table[(place >> 8) + row]
            if entry and entry >> 8 == place & _CHECK:
                total += (entry & 0xFF) - ((entry & 0x80) << 1)
            if number - 1 not in texts:
                place = ((skipped ^ over) * _SPREADING & _WHOLE) >> _SHIFTED if number else 0
                entry = table[(place >> 8) + row]
                if entry and entry >> 8 == place & _CHECK:
                    total += (entry & 0xFF) - ((entry & 0x80) << 1)
            sums.append(total)
            skipped, before = before, ahead
        return sums

    def _sums(self, keys: Array, user: int, description: int, texts: Array) -> Array:
        """The weights of all features that end with the words before each place, added up; none reaches into the next text."""
        size, before = len(keys), keys * _BEFORE
        places = np.empty(3 * size, np.uint64)
        each, pairs, skips = places[:size], places[size : 2 * size], places[2 * size :]
        each[:], pairs[:1], skips[:2] = keys, 0, 0
        np.bitwise_xor(before[:-1], keys[1:] * _AFTER, out=pairs[1:])
        np.bitwise_xor(before[:-2], keys[2:] * _SKIPPED, out=skips[2:])
        places *= _SPREAD
        places >>= _SHIFT
        table = places.view(np.int64).reshape(3, size)
        slots = table >> 8
        slots[:, :user] += _USER
        slots[:, description:] += _DESCRIPTION
        entries = self._table[slots]
        worth = entries.view(np.int8)[:, ::2] * (entries >> 8 == table & _CHECK)
        worth[2, texts[:-1] + 1] = 0
        sums = np.zeros(size + 1, np.int32)
        worth.sum(axis=0, dtype=np.int32).cumsum(out=sums[1:])
        return sums


def _keys(buffer: bytes) -> tuple[Array, Array, Array, Array]:
    """The words of ``buffer`` as numbers, where each begins and ends, and which are the ends of texts."""
    padded = b" \0%b\0%b" % (_latin(buffer), b" " * LETTERS)
    plain = padded.translate(_CODES)
    codes, classes = np.frombuffer(plain, np.uint8), np.frombuffer(padded.translate(_CLASSES), np.uint8)
    turns = (classes[1:] != classes[:-1]).nonzero()[0]
    starts, ends = turns[:-1], turns[1:]
    kinds = codes[ends]
    points = (kinds == _POINT).nonzero()[0]
    kinds[points[np.frombuffer(padded, np.uint8)[ends[points] + 1] != _BLANK]] = _BLANK
    kinds[ends.searchsorted((codes == _END).nonzero()[0])] = _END
    kept = (kinds != _BLANK).nonzero()[0]
    starts, ends, kinds = starts[kept], ends[kept], kinds[kept]
    every: Array = np.ndarray((len(plain) - LETTERS + 1,), "<u8", plain, 0, (1,))
    keys = every[starts + 1] & _MASKS[np.minimum(ends - starts, LETTERS)]
    keys[kinds < _BLANK] = _PERIOD
    return keys, starts - 1, ends - 1, (kinds == _END).nonzero()[0]


def _latin(buffer: bytes) -> bytes:
    """``buffer`` with blanks for all characters but ASCII and the letters of Latin-1 and Latin Extended-A."""
    if buffer.isascii():
        return buffer
    raw = np.frombuffer(buffer + b"   ", np.uint8).copy()
    others = ((raw > _LAST_LATIN) | (raw == _SIGN)).nonzero()[0]
    first = raw[others]
    for place, least in enumerate((0, 0, 0xE0, 0xF0)):
        raw[others[first >= least] + place] = _BLANK
    return raw[:-3].tobytes()


def bounds_of(stops: Array, size: int) -> Array:
    """Where sentences begin, behind ``stops``, as numbers of words, and the end; those of more than ``WORDS`` words are cut."""
    bounds = np.concatenate((stops + 1, [size]))
    long = (bounds[1:] - bounds[:-1] > WORDS).nonzero()[0]
    if len(long):
        cuts = [np.arange(bounds[index], bounds[index + 1], WORDS - 2) for index in long]
        bounds = np.sort(np.concatenate((bounds, *cuts)))
    return bounds


def _places(numbers: Array) -> Array:
    """Where the weights of numbered features stand: the slot in a row, and behind it what tells them from others there."""
    return ((numbers * _SPREAD) >> _SHIFT).view(np.int64)


def _slots(places: Array) -> Array:
    return places >> 8


def _numbers(word: bytes) -> tuple[int, int, int, int]:
    """A word's place; what it is as a word before others; what it is behind one, and behind one and another."""
    number = int.from_bytes(word, "little")
    before, after, skipped = (number * int(factor) & _WHOLE for factor in (_BEFORE, _AFTER, _SKIPPED))
    return (number * _SPREADING & _WHOLE) >> _SHIFTED, before, after, skipped


def _number(feature: str) -> int:
    """The number of ``word``, of ``before word`` or of ``before * word``."""
    *before, word = [int.from_bytes(part.encode(), "little") for part in feature.split(" ") if part != "*"]
    if not before:
        return word
    return (before[0] * int(_BEFORE) ^ word * int(_SKIPPED if "*" in feature else _AFTER)) & 0xFFFF_FFFF_FFFF_FFFF


@cache
def shipped(plugin: str, name: str) -> Lexicon:
    """The lexicon in the file ``name`` of the rules of ``plugin``. Raises ``ConfigError`` for a line that says nothing.

    A line holds a feature and its weights in data, in a user's words and in a tool's description, parted by tabs; the
    feature without a name is the score of no words at all.
    """
    weights: dict[str, list[float]] = {}
    text = (files("sentra") / "rules" / plugin / f"{name}.tsv").read_text("utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        feature, *values = line.split("\t")
        try:
            weights[feature] = [float(value) for value in values]
        except ValueError:
            values = []
        if len(values) != len(get_args(Kind)):
            raise ConfigError([f"{plugin}/{name}.tsv, line {number}: {line!r}; expected a feature and its weights"])
    bias, *_ = weights.pop("")
    return Lexicon(weights, bias)
