"""The sums of the lexicon in arrays, for an installation without machine code: the same passages, 4 to 40 times as slow."""

import os
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251 - numpy would start a thread for each processor
import numpy as np

from sentra.lexicon.words import (
    AFTER,
    BEFORE,
    BITS,
    BLANK,
    CHECK,
    END,
    LETTERS,
    POINT,
    SENTENCES,
    SHIFT,
    SKIPPED,
    SPREAD,
    WORDS,
)

PERIOD = ord(".")
_SIGN, _LAST_LATIN = 0xC2, 0xC5  # first bytes of the signs of Latin-1, and of the last letters of Latin Extended-A
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(LETTERS + 1)], np.uint64)
_SPREAD, _BEFORE, _AFTER, _SKIPPED = (np.uint64(odd) for odd in (SPREAD, BEFORE, AFTER, SKIPPED))

Array = np.ndarray[Any, np.dtype[Any]]


def weigh(
    text: bytes, codes: bytes, table: Any, user: int, description: int, enough: int
) -> list[tuple[int, int, int]]:
    """Worth, start and end of each passage that is worth ``enough``; see ``sentra.lexicon``."""
    keys, starts, ends, texts = _keys(text, codes)
    if len(keys) < 2:
        return []
    bounds = bounds_of((keys == PERIOD).nonzero()[0], len(keys))
    first, second = int(starts.searchsorted(user, "right")), int(starts.searchsorted(description))
    sums = _sums(keys, np.frombuffer(table, np.uint16), first, second, texts)[bounds]
    found: list[tuple[int, int, int]] = []
    for size in range(1, min(SENTENCES, len(bounds) - 1) + 1):
        worth = sums[size:] - sums[:-size]
        if worth.max() < enough:
            continue
        low, high = bounds[:-size], bounds[size:]
        within = texts.searchsorted(low) == texts.searchsorted(high - 1)
        for index in ((worth >= enough) & (high - low <= WORDS) & (high - low > 1) & within).nonzero()[0]:
            begin, last = low[index], high[index] - 1
            end = ends[last - 1] if keys[last] == PERIOD and last > begin else ends[last]
            found.append((int(worth[index]), max(0, int(starts[begin])), int(end)))
    return found


def _sums(keys: Array, table: Array, user: int, description: int, texts: Array) -> Array:
    """The weights of all features that end with the words before each place, added up; none reaches into the next text."""
    size, before = len(keys), keys * _BEFORE
    places = np.empty(3 * size, np.uint64)
    each, pairs, skips = places[:size], places[size : 2 * size], places[2 * size :]
    each[:], pairs[:1], skips[:2] = keys, 0, 0
    np.bitwise_xor(before[:-1], keys[1:] * _AFTER, out=pairs[1:])
    np.bitwise_xor(before[:-2], keys[2:] * _SKIPPED, out=skips[2:])
    places *= _SPREAD
    places >>= np.uint64(SHIFT)
    each_place = places.view(np.int64).reshape(3, size)
    slots = each_place >> 8
    slots[:, :user] += 1 << BITS
    slots[:, description:] += 2 << BITS
    entries = table[slots]
    worth = entries.view(np.int8)[:, ::2] * (entries >> 8 == each_place & CHECK)
    worth[2, texts[:-1] + 1] = 0
    sums = np.zeros(size + 1, np.int32)
    worth.sum(axis=0, dtype=np.int32).cumsum(out=sums[1:])
    return sums


def _keys(buffer: bytes, codes: bytes) -> tuple[Array, Array, Array, Array]:
    """The words of ``buffer`` as numbers, where each begins and ends, and which are the ends of texts."""
    padded = b" \0%b\0%b" % (_latin(buffer), b" " * LETTERS)
    plain = padded.translate(codes)
    kinds_of = np.frombuffer(plain, np.uint8)
    classes = (kinds_of >= BLANK).view(np.uint8) + (kinds_of > BLANK)
    turns = (classes[1:] != classes[:-1]).nonzero()[0]
    starts, ends = turns[:-1], turns[1:]
    kinds = kinds_of[ends]
    points = (kinds == POINT).nonzero()[0]
    kinds[points[np.frombuffer(padded, np.uint8)[ends[points] + 1] != BLANK]] = BLANK
    kinds[ends.searchsorted((kinds_of == END).nonzero()[0])] = END
    kept = (kinds != BLANK).nonzero()[0]
    starts, ends, kinds = starts[kept], ends[kept], kinds[kept]
    every: Array = np.ndarray((len(plain) - LETTERS + 1,), "<u8", plain, 0, (1,))
    keys = every[starts + 1] & _MASKS[np.minimum(ends - starts, LETTERS)]
    keys[kinds < BLANK] = PERIOD
    return keys, starts - 1, ends - 1, (kinds == END).nonzero()[0]


def _latin(buffer: bytes) -> bytes:
    """``buffer`` with blanks for all characters but ASCII and the letters of Latin-1 and Latin Extended-A."""
    if buffer.isascii():
        return buffer
    raw = np.frombuffer(buffer + b"   ", np.uint8).copy()
    others = ((raw > _LAST_LATIN) | (raw == _SIGN)).nonzero()[0]
    first = raw[others]
    for place, least in enumerate((0, 0, 0xE0, 0xF0)):
        raw[others[first >= least] + place] = BLANK
    return raw[:-3].tobytes()


def bounds_of(stops: Array, size: int) -> Array:
    """Where sentences begin, behind ``stops``, as numbers of words, and the end; those of more than ``WORDS`` words are cut."""
    bounds = np.concatenate((stops + 1, [size]))
    long = (bounds[1:] - bounds[:-1] > WORDS).nonzero()[0]
    if len(long):
        cuts = [np.arange(bounds[index], bounds[index + 1], WORDS - 2) for index in long]
        bounds = np.sort(np.concatenate((bounds, *cuts)))
    return bounds
