"""How much a passage reads like an order to the model: weights of words and of pairs of words, summed over sentences.

A pattern knows the phrases that somebody thought of; a sum of evidence also knows those that say the same in other
words. What it costs is a matter of the text's length alone, whatever stands in it.

Weights are natural logarithms of odds, and they differ by who speaks.

The sums are done in machine code (``compiled``) where a compiler was at hand at the installation, else in arrays
(``arrays``), which find the same.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, get_args

from sentra.errors import ConfigError
from sentra.findings import Source
from sentra.lexicon.words import BITS, CHECK, CODES, place_of

Kind = Literal["data", "user", "description"]
KINDS: dict[Source, Kind] = {
    "user_message": "user",
    "thought": "user",
    "history.user": "user",
    "tool_description": "description",
}

LEAST = 1.0  # what scores less is nothing to any rule
STEP = 1 / 24  # the least difference of two weights


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


Weigh = Callable[[bytes, bytes, Any, int, int, int], list[tuple[int, int, int]]]
"""Worth, start and end of each passage of a text that is worth enough; see ``Lexicon.passages``."""


def is_compiled() -> bool:
    """Whether the sums are done in machine code."""
    return find_spec("sentra.lexicon.compiled") is not None


@cache
def _weigh() -> Weigh:
    if is_compiled():
        from sentra.lexicon.compiled import weigh
    else:
        from sentra.lexicon.arrays import weigh
    return weigh


def _steps(values: tuple[float, ...]) -> tuple[float, list[int]]:
    """The strength of weights, and each in steps, as a byte."""
    return max(map(abs, values)), [max(-127, min(127, round(value / STEP))) & 0xFF for value in values]


class Lexicon:
    """Weights of features by the kind of text, in a table that a feature's number leads to."""

    def __init__(self, weights: Mapping[str, Sequence[float]], bias: float):
        self._bias, self._weigh = bias, _weigh()
        self._table = array("H", bytes(2 * len(get_args(Kind)) << BITS))
        table, rows = self._table, [row << BITS for row in range(len(get_args(Kind)))]
        in_steps = {values: _steps(values) for values in set(map(tuple, weights.values()))}
        entries = [(in_steps[tuple(values)], feature) for feature, values in weights.items()]
        # Of two features in one slot the last stays, so the stronger ones come last.
        for (_, steps), feature in sorted(entries, key=lambda entry: entry[0][0]):
            place = place_of(feature)
            slot, check = place >> 8, (place & CHECK) << 8
            for row, step in zip(rows, steps, strict=True):
                table[slot + row] = check | step

    def passages(self, buffer: bytes, turns: tuple[int, int], least: float) -> list[Passage]:
        """Passages of ``buffer``, texts with NULs between them, that score at least ``least``.

        Words that begin up to the first of ``turns`` are the user's, from the second on a tool's description's, between
        them data's. A text's end begins where the text ends.
        """
        if not buffer:
            return []
        enough = math.ceil((least - self._bias) / STEP)
        found = self._weigh(buffer, CODES, self._table, turns[0], turns[1], enough)
        return [Passage(worth * STEP + self._bias, start, end) for worth, start, end in found]


@cache
def shipped(plugin: str, name: str) -> Lexicon:
    """The lexicon in the file ``name`` of the rules of ``plugin``. Raises ``ConfigError`` for a line that says nothing.

    A line holds a feature and its weights in data, in a user's words and in a tool's description, parted by tabs; the
    feature without a name is the score of no words at all.
    """
    weights: dict[str, tuple[float, ...]] = {}
    read: dict[str, tuple[float, ...]] = {}
    text = (files("sentra") / "rules" / plugin / f"{name}.tsv").read_text("utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        feature, _, told = line.partition("\t")
        values = read.get(told)
        if values is None:
            values = read[told] = _weights(told)
        if len(values) != len(get_args(Kind)):
            raise ConfigError([f"{plugin}/{name}.tsv, line {number}: {line!r}; expected a feature and its weights"])
        weights[feature] = values
    bias, *_ = weights.pop("")
    return Lexicon(weights, bias)


def _weights(told: str) -> tuple[float, ...]:
    """Numbers parted by tabs; none if one is no number."""
    try:
        return tuple(map(float, told.split("\t")))
    except ValueError:
        return ()
