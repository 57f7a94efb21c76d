"""A request with every matched value hidden, for records that leave the process.

In doubt more is hidden: a value that was read in a decoded view, or across an argument's name and its value, hides the
whole string that it stands in, and what cannot be told apart at bounded cost is not shown at all.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from itertools import count as count_from
from typing import Any, NamedTuple

import re2

from sentra.entra import is_guid
from sentra.findings import Finding, Source, Span, mask
from sentra.inspection import Segment
from sentra.normalize import DECODERS
from sentra.scanned import Scanned

MAX_VALUES = 500
MAX_LONG = 50
LONG_BYTES = 1024
MAX_NODES = 50_000
MAX_EXACT = 10_000
MAX_PLACES = 5_000
MAX_PATH = 4_096
MAX_STEPS = 200_000
MAX_ALIKE = 50
EXACT_BYTES = 32 << 20
CUT_CHARS = 128
MIN_PART = 4
REWRITING = frozenset({decoder.name for decoder in DECODERS if decoder.inplace} | {"folded"})
_GAP = b"\n\x00\n"


class Unmaskable(Exception):
    """A request that cannot be shown; the message says why without quoting it."""


class Masker:
    """Hides each of ``values``, in any letter case, wherever it stands in a text, and texts that equal one of ``whole``.

    Raises ``Unmaskable`` when there are too many values to look for.
    """

    def __init__(self, values: Iterable[str], whole: Iterable[str] = ()):
        encoded = sorted({_bytes(value) for value in values if value}, key=len, reverse=True)
        self._long = [value for value in encoded if len(value) > LONG_BYTES]
        self._short = encoded[len(self._long) :]
        self._whole = frozenset(whole)
        if len(self._short) > MAX_VALUES or len(self._long) > MAX_LONG:
            raise Unmaskable("too many values")
        self._pattern = _any_of(self._short) if self._short else None
        self.idle = not (encoded or self._whole)
        self._alike = [value.decode() for value in encoded if len(value) < 10 and set(value) <= set(b"*()0123456789")]

    def text(self, text: str) -> str:
        """``text`` with what must be hidden replaced by its length, as ``****(16)``."""
        if text in self._whole:
            return self._hidden(text)
        raw = text.encode("utf-8", "replace")
        spans = self._spans(raw)
        return self._replaced(raw, spans) if spans else text

    def cut_text(self, text: str) -> str:
        """``text`` as above; where it may have been cut off, a value that begins at its end is hidden too."""
        if self.idle or len(text) < CUT_CHARS:
            return self.text(text)
        raw = text.encode("utf-8", "replace")
        lower = raw.lower()
        for value in (*self._long, *self._short):
            for size in range(min(len(value), len(raw)), MIN_PART - 1, -1):
                if lower.endswith(value[:size].lower()):
                    return self.text(raw[:-size].decode("utf-8", "replace")) + "****"
        return self.text(text)

    def tree(self, root: Any) -> Any:
        """A copy of JSON-like ``root`` with strings, numbers and object keys masked."""
        leaves = list(_leaves(root))
        names = {leaf: self.text(leaf) for leaf in self._suspects(leaves)}
        return _rebuilt(root, names)

    def _suspects(self, leaves: list[str]) -> set[str]:
        """Those of ``leaves`` that hold something to hide, found in one pass over all of them."""
        raws = [leaf.encode("utf-8", "replace") for leaf in leaves]
        starts = list(accumulate((len(raw) + len(_GAP) for raw in raws), initial=0))
        suspects = set(self._whole.intersection(leaves))
        for start, end in self._spans(_GAP.join(raws)):
            suspects.update(leaves[bisect_right(starts, start) - 1 : bisect_left(starts, end)])
        return suspects

    def _spans(self, raw: bytes) -> list[tuple[int, int]]:
        spans = [match.span() for match in self._pattern.finditer(raw)] if self._pattern else []
        for value in self._long:
            spans.extend(_exact(raw, value))
        return sorted(spans)

    def _replaced(self, raw: bytes, spans: list[tuple[int, int]]) -> str:
        if len(raw) * len(self._short) > EXACT_BYTES:
            return self._hidden(raw.decode("utf-8", "replace"))
        spans = _united([*spans, *(span for value in self._short for span in _exact(raw, value))])
        parts, position = [], 0
        for start, end in spans:
            parts += [
                raw[position:start].decode("utf-8", "replace"),
                self._hidden(raw[start:end].decode("utf-8", "replace")),
            ]
            position = end
        return "".join([*parts, raw[position:].decode("utf-8", "replace")])

    def _hidden(self, text: str) -> str:
        shown = mask(text)
        return "****" if any(value in shown for value in self._alike) else shown


class Blank(Masker):
    """Hides every text: for a request with more values than can be looked for."""

    def __init__(self) -> None:
        super().__init__(())
        self.idle = False

    def text(self, text: str) -> str:
        return "****"

    def cut_text(self, text: str) -> str:
        return self.text(text)


class OnlyIds(Blank):
    """Shows GUIDs, which say who it was, and hides every other text: for a request whose values are not all known."""

    def text(self, text: str) -> str:
        return text if is_guid(text) else "****"


def _any_of(values: Iterable[bytes]) -> Any:
    options = re2.Options()
    options.case_sensitive, options.longest_match, options.log_errors = False, True, False
    options.max_mem = 64 << 20
    try:
        return re2.compile(b"|".join(re2.escape(value) for value in values), options)
    except re2.error:
        raise Unmaskable("too many values") from None


def _exact(raw: bytes, value: bytes) -> Iterator[tuple[int, int]]:
    """Where ``value`` stands in ``raw``, overlaps included; from the 10,000th place on, everything."""
    start, count = raw.find(value), 0
    while start >= 0:
        count += 1
        if count >= MAX_EXACT:
            yield start, len(raw)
            return
        yield start, start + len(value)
        start = raw.find(value, start + 1)


def _united(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    united: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if united and start < united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united


def _leaves(root: Any) -> set[str]:
    """The text of every string, number and object key in ``root``. Raises ``Unmaskable`` when there are too many."""
    leaves: set[str] = set()
    pending = [root]
    for count in count_from(1):
        if not pending:
            return leaves
        if count > MAX_NODES:
            break
        value = pending.pop()
        if isinstance(value, dict):
            leaves.update(value)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif _is_text(value):
            leaves.add(str(value))
    raise Unmaskable("too many members")


def _is_text(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _rebuilt(root: Any, names: Mapping[str, str]) -> Any:
    """A copy of ``root`` in which every text that ``names`` holds is replaced; no two keys of an object become one."""
    top: list[Any] = []
    pending: list[tuple[Callable[[Any], Any], Any]] = [(top.append, root)]
    while pending:
        put, value = pending.pop()
        if isinstance(value, dict):
            copy: dict[str, Any] = {}
            for key, item in value.items():
                new = _unused(names.get(key, key), copy)
                copy[new] = None
                pending.append((partial(copy.__setitem__, new), item))
            put(copy)
        elif isinstance(value, list):
            items: list[Any] = [None] * len(value)
            pending.extend((partial(items.__setitem__, index), item) for index, item in enumerate(value))
            put(items)
        else:
            put(names.get(str(value), value) if _is_text(value) else value)
    return top[0]


def _unused(key: str, taken: Mapping[str, Any]) -> str:
    if key not in taken:
        return key
    return next(name for number in count_from(2) if (name := f"{key}#{number}") not in taken)


def masker_for(root: Any, findings: Sequence[Finding], scanned: Scanned) -> Masker:
    """What hides all ``findings`` of the request with the tree ``root``.

    Raises ``Unmaskable`` when a finding does not tell what it found or where.
    """
    values = {finding.value for finding in findings}
    repeated = _repeats(findings)
    whole: set[str] = set()
    places = dict.fromkeys((f.span, f.value) for f in findings if not _stands_alone(f) and not repeated(f))
    if "" in values:
        raise Unmaskable("too many candidates")
    if len(places) > MAX_PLACES:
        raise Unmaskable("too many findings")
    if len(values) > MAX_VALUES + MAX_LONG:
        raise Unmaskable("too many values")
    if not places:
        return Masker(values)
    if len(scanned.inspection.segments) > MAX_NODES:
        raise Unmaskable("too many members")
    finder, names = _Finder(root), _Names(scanned)
    standing: dict[tuple[Source, str], list[_Standing]] = {}
    for span, value in places:
        key = (span.source, span.path)
        if key not in standing:
            found = finder.places(span.path)
            standing[key] = [_Standing(each, _bytes(each.text or ""), names.before(span, each)) for each in found]
        hidden_values, hidden_whole = _around(span, value, standing[key])
        values |= hidden_values
        whole |= hidden_whole
    return Masker(values, whole)


def _stands_alone(finding: Finding) -> bool:
    """Whether the value was read as it stands, in a name or in a value: no part of the ``: `` between them is in it."""
    value = finding.value
    return finding.span.view is None and ":" not in value and value == value.strip()


def _repeats(findings: Sequence[Finding]) -> Callable[[Finding], bool]:
    """Tells of a finding in a rewritten view whether it only repeats one of the original text.

    Rewriting leaves what was plain as it was: as long as a view holds a value no more often than the text does, nothing
    but the plain ones was found there, and hiding those is enough.
    """
    counts = Counter((finding.rule_id, finding.span.path, finding.value, finding.span.view) for finding in findings)

    def repeats(finding: Finding) -> bool:
        place = (finding.rule_id, finding.span.path, finding.value)
        return _rewritten(finding.span) and counts[*place, finding.span.view] <= counts[*place, None]

    return repeats


def _rewritten(span: Span) -> bool:
    return span.view is not None and REWRITING.issuperset(span.view.split("+"))


class _Place(NamedTuple):
    """What stands at a path: a string's or number's text (none for anything else) and what may name it."""

    text: str | None
    key: str
    name: str | None


class _Names:
    """How many bytes of a name stand before a value in its segment."""

    def __init__(self, scanned: Scanned):
        self._segments: dict[tuple[Source, bytes], list[Segment]] = {}
        for segment in scanned.inspection.segments:
            if segment.skip:
                value = segment.text.encode("utf-8", "replace")[segment.skip :]
                self._segments.setdefault((segment.source, value), []).append(segment)

    def before(self, span: Span, place: _Place) -> int:
        """The bytes before the value at ``place``, for all that can be told; 0 for a value without a name."""
        if place.text is None:
            return len(place.key.encode("utf-8", "replace"))
        alike = self._segments.get((span.source, place.text.encode("utf-8", "replace")), [])
        for segment in alike[:MAX_ALIKE]:
            step = segment.path[1]
            if span.path.endswith(f"[{step}]" if isinstance(step, int) else f".{step}"):
                return segment.skip
        return 0


class _Standing(NamedTuple):
    """A place with its text as bytes, and how many bytes of a name stand before that in the segment."""

    place: _Place
    raw: bytes
    skip: int


def _around(span: Span, value: str, standing: Iterable[_Standing]) -> tuple[set[str], set[str]]:
    """Values and whole texts to hide besides ``value`` itself, where that does not stand as such."""
    parts: set[str] = set()
    whole: set[str] = set()
    for place, raw, skip in standing:
        if span.view is None and _literal(span, value, place, raw, skip):
            continue
        name = place.name or place.key
        if place.text is not None and span.end > skip:
            whole.add(place.text)
            parts.add(_cut(raw, span.start - skip, span.end - skip))
        if place.text is None or span.end <= skip:
            whole.add(name)
            parts.add(_cut(_bytes(name), span.start, span.end))
        elif span.start < skip and not (_rewritten(span) and _is_word(name)):
            whole.add(name)
            parts |= set() if _is_word(name) else {name}
    return {part for part in parts if len(part) >= MIN_PART}, whole


def _literal(span: Span, value: str, place: _Place, raw: bytes, skip: int) -> bool:
    """Whether ``value`` stands in the text or the key as such; where it was found is looked at first, as texts are long."""
    if span.start >= skip and raw[span.start - skip : span.end - skip] == _bytes(value):
        return True
    return value in (place.text or "") or value in place.key


def _is_word(name: str) -> bool:
    """Whether ``name`` is a name as programs use them, which rewriting does not change."""
    return name.isascii() and name.isidentifier()


def _cut(raw: bytes, start: int, end: int) -> str:
    return raw[max(0, start) : max(0, end)].decode("utf-8", "replace")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


class _Finder:
    """Resolves paths as findings show them; where a path can be read in several ways, all of them count."""

    def __init__(self, root: Any):
        self._root, self._steps = root, MAX_STEPS

    def places(self, path: str) -> list[_Place]:
        """What stands at ``path``. Raises ``Unmaskable`` when that is nothing or takes too long to tell."""
        if len(path) > MAX_PATH:
            raise Unmaskable("a path is too long")
        found: list[_Place] = []
        pending: list[tuple[Any, str, str, str | None]] = [(self._root, f".{path}", "", None)]
        while pending:
            node, rest, key, name = pending.pop()
            if not rest:
                found.append(_Place(str(node) if _is_text(node) else None, key, name))
            elif isinstance(node, dict):
                pending.extend(self._members(node, rest))
            elif rest[0] == "[":
                index, _, rest = rest[1:].partition("]")
                inside = isinstance(node, list) and index.isdecimal() and int(index) < len(node)
                if inside or not isinstance(node, list):
                    pending.append((node[int(index)] if inside else node, rest, key, name))
        if not found:
            raise Unmaskable("a path leads nowhere")
        return found

    def _members(self, node: dict[str, Any], rest: str) -> Iterator[tuple[Any, str, str, str | None]]:
        if rest[0] == "[":
            yield node, rest.partition("]")[2], "", None
        for end in range(1, len(rest) + 1):
            if end == len(rest) or rest[end] in ".[":
                self._steps -= 1
                if self._steps < 0:
                    raise Unmaskable("too many paths")
                key = rest[1:end]
                if rest[0] == "." and key in node:
                    name = node.get("name") if key == "value" else None
                    yield node[key], rest[end:], key, name if isinstance(name, str) else None
