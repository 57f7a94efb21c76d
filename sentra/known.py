"""What texts led to, known again by their hash: a planner that takes ten steps sends its tools and history ten times over.

No match reaches from one text into the next. So what fires in a text depends on it and its source alone, and a text that
was scanned need not be scanned again. Only hashes are kept, keyed with a secret of the process, and what fired by number.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sentra.findings import SOURCES, Source
from sentra.lexicon import Passage

MOST_TEXTS = 4_000  # of one request; more are so short that scanning all of them is no dearer
MOST_LED_TO = 32
_SALTS = {source: number * 0x5851F42D4C957F2D for number, source in enumerate(SOURCES)}


class LedTo(NamedTuple):
    """Numbers of what fired in one text, and its passages by lexicon, with offsets in the text."""

    fired: tuple[int, ...] = ()
    passages: tuple[tuple[str, Passage], ...] = ()


NOTHING = LedTo()
TOO_MUCH = LedTo((-1,))
"""For a text that is scanned each time."""


class Met(NamedTuple):
    """Numbers of a request's texts: those to be scanned, those among them met before with their keys, and known ones.

    Of the known ones only those are named that led to something.
    """

    unknown: list[int]
    again: list[tuple[int, int]]
    known: list[tuple[int, LedTo]]


def _secret() -> bool:
    """Whether nobody knows the key of the hash: who did could write a text that is taken for another one."""
    seed = os.environ.get("PYTHONHASHSEED")  # noqa: TID251 - it is Python's, and was read before any of ours
    return bool(sys.flags.hash_randomization) and seed in (None, "", "random")


class Known:
    """What is known of at most ``most`` texts. Those that were not met for long are forgotten first."""

    def __init__(self, most: int):
        self._half = most // 2 if _secret() else 0
        self._young: dict[int, LedTo | None] = {}
        self._old: dict[int, LedTo | None] = {}

    def meet(self, texts: Sequence[str], ranges: Iterable[tuple[Source, tuple[int, int]]]) -> Met | None:
        """Tell known ``texts``, whose sources have ``ranges``, from others; nothing where that does not pay."""
        if not self._half or not 0 < len(texts) <= MOST_TEXTS:
            return None
        if len(self._young) > self._half:
            self._old, self._young = self._young, {}
        young, old = self._young, self._old
        met = Met([], [], [])
        for source, (first, last) in ranges:
            salt = _SALTS[source]
            for number in range(first, last):
                key = hash(texts[number]) ^ salt
                if key not in young:
                    if key not in old:
                        young[key] = None
                        met.unknown.append(number)
                        continue
                    young[key] = old[key]
                led_to = young[key]
                if led_to is None:
                    met.unknown.append(number)
                    met.again.append((key, number))
                elif led_to is TOO_MUCH:
                    met.unknown.append(number)
                elif led_to is not NOTHING:
                    met.known.append((number, led_to))
        return met

    def learn(self, key: int, led_to: LedTo) -> None:
        """Keep what the text of ``key`` led to, unless that is much."""
        self._young[key] = led_to if len(led_to.fired) + len(led_to.passages) <= MOST_LED_TO else TOO_MUCH
