"""Patterns over bytes, searched for in linear time: RE2 without the Python layer of its package.

That layer takes several times as long as a search of a few hundred bytes, and nearly all searches are that short. What is
called below it is no public interface: the package is pinned, and a property test holds both to the same answers.
"""

from collections.abc import Iterator
from typing import Any

import re2

_ANYWHERE, _WHOLE = re2._Anchor.UNANCHORED, re2._Anchor.ANCHOR_BOTH


class Match:
    """Where a pattern matched: the offsets of the whole, then those of each group, or -1 where it took no part."""

    __slots__ = ("spans",)

    def __init__(self, spans: list[tuple[int, int]]):
        self.spans = spans

    def span(self, group: int = 0) -> tuple[int, int]:
        """The first offset of a group, or of the whole, and the one after its last."""
        return self.spans[group]

    def start(self, group: int = 0) -> int:
        """Where it begins."""
        return self.spans[group][0]

    def end(self, group: int = 0) -> int:
        """The offset after its last."""
        return self.spans[group][1]


class Pattern:
    """A compiled pattern, with the numbers of its named groups. Raises ``re2.error`` when it does not compile."""

    __slots__ = ("_find", "groupindex")

    def __init__(self, pattern: bytes, options: Any):
        compiled = re2.compile(pattern, options)
        self._find = compiled._regexp.Match
        self.groupindex: dict[bytes, int] = compiled.groupindex

    def search(self, text: bytes, low: int = 0, high: int | None = None) -> Match | None:
        """The first match from ``low`` to ``high``, beyond which nothing is seen."""
        high = len(text) if high is None or high > len(text) else high
        if low > high:
            return None
        spans = self._find(_ANYWHERE, text, low, high)
        return Match(spans) if spans[0][0] >= 0 else None

    def finditer(self, text: bytes, low: int = 0, high: int | None = None) -> Iterator[Match]:
        """Every match from ``low`` to ``high`` that does not overlap the one before."""
        match = self.search(text, low, high)
        while match is not None:
            yield match
            match = self.search(text, max(match.end(), match.start() + 1), high)

    def fullmatch(self, text: bytes) -> bool:
        """Whether the whole of ``text`` is a match."""
        return bool(self._find(_WHOLE, text, 0, len(text))[0][0] >= 0)
