"""Words with a slip of the pen or a sign inside: two letters exchanged, or ``pr*ompt``.

Only the words that orders to a model are made of are mended, and only where the scan saw one of their broken forms, so
that ordinary slips cost nothing and change nothing.
"""

import re
from collections.abc import Iterator
from functools import cache

from sentra.normalize.vocabulary import any_of, words

KEYS = (
    "assistant",
    "confidential",
    "credentials",
    "customer",
    "developer",
    "directives",
    "disregard",
    "forward",
    "guidelines",
    "ignore",
    "instruction",
    "instructions",
    "override",
    "password",
    "passwords",
    "previous",
    "prompt",
    "restrictions",
    "reveal",
    "secrets",
    "system",
    "transfer",
    "upload",
)
SIGNS = "*|~^_"
_TAKEN = frozenset(("pervious",))
_WORD = re.compile(r"[A-Za-z]{5,15}")
_SPLAT = re.compile(rf"[A-Za-z]+(?:[{re.escape(SIGNS)}]{{1,2}}[A-Za-z]+)+")


def mended(text: str) -> str:
    """``text`` with key words in their usual spelling, and signs inside words taken out."""
    return _WORD.sub(_corrected, _SPLAT.sub(_whole, text))


def _whole(found: re.Match[str]) -> str:
    plain = re.sub(r"[^A-Za-z]", "", found[0])
    return plain if "_" not in found[0] or plain.lower() in words() else found[0]


def _corrected(found: re.Match[str]) -> str:
    return corrections().get(found[0].lower(), found[0])


@cache
def corrections() -> dict[str, str]:
    """Every broken form of a key word, with the word. A form that is a word itself stays what it is."""
    known = words() | _TAKEN | set(KEYS)
    return {form: word for word in KEYS for form in _slips(word) if form not in known}


def _slips(word: str) -> Iterator[str]:
    """``word`` with two neighbours exchanged; it keeps its first letter."""
    for place in range(1, len(word) - 1):
        yield word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def pattern() -> str:
    """A pattern for key words with a slip in them, and for what is left and right of a sign inside one."""
    return rf"(?i)(?:\b{any_of(corrections())}\b|{any_of(splats())})"


def splats() -> Iterator[str]:
    """What key words look like around a sign that was put into them."""
    for word in KEYS:
        for place in range(2, len(word) - 1):
            for sign in SIGNS:
                yield word[place - 2 : place] + sign + word[place : place + 2]
