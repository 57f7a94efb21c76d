"""Words in disguise: digits and signs for letters, letters set apart. Only run where the scan saw such forms."""

import re
from collections import Counter
from functools import cache, lru_cache

from sentra.normalize.vocabulary import words

MAX_WORD = 24
MAX_LINK = 96
MAX_GLUED = 2000
MAX_CUT = 4000
_LONGEST = 16
_LEET = str.maketrans("4@83\u20ac690!1|$5+72\u00a3", "aabeeggoiiissttzl")
_SPACED = re.compile(r"(?<![A-Za-z0-9])(?:[A-Za-z0-9@$][^A-Za-z0-9@$]{1,4}){4,}[A-Za-z0-9@$](?![A-Za-z0-9])", re.ASCII)
_EDGES = ".,;:?\"'()[]{}<>`*_-"


def leet(text: str) -> str:
    """``text`` with the digits and signs inside words read as letters; which one, the vocabulary decides."""
    parts = re.split(r"(\s+)", text)
    known = {part: _plain(part) for part in set(parts[::2])}
    parts[::2] = [known[part] for part in parts[::2]]
    return "".join(parts)


def _plain(token: str) -> str:
    core = token.strip(_EDGES)
    if not core or core.isalpha() or len(core) > (MAX_WORD if core.isalnum() else MAX_LINK):
        return token
    left = token[: token.index(core)]
    right = token[len(left) + len(core) :]
    for candidate, mark in ((core, ""), (core.rstrip("!"), core[len(core.rstrip("!")) :])):
        word = _by_shape().get(_shape(candidate))
        if word is not None:
            return left + word + mark + right
    if core.isdigit():
        return token
    return left + core.translate(_LEET) + right


_SHAPES = str.maketrans("4@83\u20ac690!1|l$5+72", "aabeeggoiiiissttz")


def _shape(token: str) -> str:
    """``token`` with everything that may stand for the same letter made equal."""
    return token.lower().translate(_SHAPES)


@cache
def _by_shape() -> dict[str, str]:
    return {_shape(word): word for word in sorted(words(), reverse=True)}


def joined(text: str) -> str:
    """``text`` with letters that are set apart put together again into words."""
    runs = list(_SPACED.finditer(text))
    parts, position, left = [], 0, MAX_CUT
    for run in runs:
        glued = _glued(run[0])
        left -= len(glued)
        parts += [text[position : run.start()], _cut_words(glued) if left > 0 else glued]
        position = run.end()
    return "".join([*parts, text[position:]])


def _glued(run: str) -> str:
    """The letters of ``run`` without the gaps between them; unusual gaps stay."""
    letters: list[str] = re.findall(r"[A-Za-z0-9@$]", run)
    gaps: list[str] = re.findall(r"[^A-Za-z0-9@$]+", run)
    usual: str = Counter(gaps).most_common(1)[0][0]
    kept = {gap: _gap(gap, usual) for gap in set(gaps)}
    return letters[0] + "".join(kept[gap] + letter for gap, letter in zip(gaps, letters[1:], strict=True))


def _cut_words(glued: str) -> str:
    return " ".join(cut(word) for word in glued.split(" ") if word)


def _gap(gap: str, usual: str) -> str:
    """What stands between two letters: nothing for the usual gap, its sign for a point, else a blank."""
    if gap == usual:
        return ""
    sign = gap.replace(usual, "").strip()
    return sign if (sign and sign in ".:/@-_=") or sign == "://" else " "


@lru_cache(maxsize=2048)
def cut(glued: str) -> str:
    """``glued`` cut into words of the vocabulary, with as few letters left over as can be."""
    lower, size = glued.lower(), len(glued)
    if lower in words() or size > MAX_GLUED or not glued.isalnum():
        return glued
    cost = [0.0] * (size + 1)
    back = [0] * (size + 1)
    for end in range(1, size + 1):
        cost[end], back[end] = cost[end - 1] + 1.5, end - 1
        for start in range(max(0, end - _LONGEST), end - 1):
            if cost[start] + 0.3 < cost[end] and lower[start:end] in words():
                cost[end], back[end] = cost[start] + (0.3 if end - start > 2 else 0.9), start
    return _spelled(glued, back)


def _spelled(glued: str, back: list[int]) -> str:
    """The words that ``back`` marks; letters left over stay together."""
    pieces: list[str] = []
    end, loose = len(glued), ""
    while end:
        start = back[end]
        if end - start == 1:
            loose = glued[start:end] + loose
        else:
            pieces += [loose, glued[start:end]]
            loose = ""
        end = start
    return " ".join(piece for piece in reversed([*pieces, loose]) if piece)
