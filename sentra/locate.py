"""Where a candidate rule really matches: RE2 over the buffer, then its second looks, under a cap of work.

What a rule found is decided here alone, in linear time; an exceeded cap is a finding, not silence.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from msgspec import structs

from sentra import lexicon, ruleset
from sentra.allowance import WINDOW, Allowance, Exceeded
from sentra.confirm import READS_OTHERS, Confirm, Hit, labels
from sentra.findings import Finding, Source, Span
from sentra.inspection import Inspection, Path, Segment
from sentra.lexicon import KINDS, LEAST
from sentra.linear import Match, Pattern
from sentra.ruleset import Rule

CONFIRM_COST = 2_000
AROUND = 300  # bytes

_WORD = re.compile(rb"[A-Za-z0-9_]*")
_NOWHERE = Segment("input", (None, ""), "", start=-1, end=-1)


class Compiled:
    """A rule ready to locate: its pattern and second looks are compiled at first use.

    ``allow`` are the operator's patterns of values that are no finding. ``searched`` counts the bytes that were searched
    since the pattern was compiled.
    """

    __slots__ = (
        "_confirms",
        "_context",
        "_names",
        "_pattern",
        "allow",
        "by_segment",
        "group",
        "lexicon",
        "rule",
        "searched",
        "sources",
    )

    def __init__(self, rule: Rule, sources: tuple[Source, ...], allow: Sequence[Pattern] = ()):
        self.rule, self.sources, self.allow = rule, sources, tuple(allow)
        self.by_segment = rule.arg is not None or ruleset.anchored(rule.pattern)
        self.lexicon = lexicon.shipped(rule.plugin, rule.lexicon) if rule.lexicon else None
        self._pattern: Any = None
        self._context: Pattern | None = None
        self._names: Pattern | None = None
        self._confirms: tuple[Confirm, ...] = ()
        self.group: int = 0
        self.searched = 0

    @property
    def widest(self) -> int | None:
        """The most bytes that a match can have, where there is a most."""
        return self.rule.widest or ruleset.widest(self.rule.pattern)

    def prepare(self) -> Any:
        """The compiled pattern."""
        if not self.rule.pattern:
            self._confirms = ruleset.confirms(self.rule)
        elif self._pattern is None:
            pattern = ruleset.compile_pattern(self.rule.pattern)
            self.group = pattern.groupindex.get(b"value", 0)
            self._confirms = ruleset.confirms(self.rule)
            if self.rule.context:
                self._context = ruleset.compile_pattern(ruleset.word_pattern(self.rule.context))
                if any(spec.partition(":")[0] == "label" for spec in self.rule.confirm):
                    self._names = ruleset.compile_pattern(labels.finder(self.rule.context))
            self._pattern = pattern
        return self._pattern

    def renew(self) -> None:
        """Compile anew what is compiled: a pattern remembers every state that texts have led it to."""
        self._pattern, self.searched = None, 0
        self.prepare()

    def search(self, buffer: bytes, low: int, high: int, allowance: Allowance) -> Match | None:
        """The first match from ``low`` to ``high``, or nothing.

        Some patterns take 10 us for a byte of a text made for them, and no deadline ends a search: so a long text is
        searched window by window, each with what a match that begins in it can reach of the next.
        """
        pattern = self.prepare()
        self.searched += high - low
        widest = self.widest if high - low > WINDOW else None
        match: Match | None
        while widest and high - low > WINDOW + widest:
            match = allowance.window(partial(pattern.search, buffer, low, low + WINDOW + widest))
            if match is not None and match.start() < low + WINDOW:
                allowance.take(match.end() - low)
                return match
            allowance.take(WINDOW)
            low += WINDOW
        match = pattern.search(buffer, low, high)
        allowance.take((match.end() if match else high) - low)
        return match

    @property
    def by_text_alone(self) -> bool:
        """Whether what it finds in a text depends on nothing but the text: not on its path, its name or other texts."""
        names = {spec.removeprefix("not ").partition(":")[0] for spec in self.rule.confirm}
        return not self.by_segment and READS_OTHERS.isdisjoint(names)

    @property
    def needs_names(self) -> bool:
        """Whether it is only looked for near its context words."""
        return self._names is not None

    def places(self, buffer: bytes, low: int, high: int, allowance: Allowance) -> Iterable[tuple[int, int]]:
        """Where to look: everywhere, or near its context words for a rule whose values mean nothing without them."""
        if self._names is None:
            return ((low, high),)
        allowance.take(high - low)
        return labels.places(buffer, self._names, low, high, allowance.take)

    def holds(self, layer: Inspection, segment: Segment, start: int, end: int, allowance: Allowance) -> str | None:
        """The value at ``start``..``end`` when every second look confirms it and the operator does not allow it.

        A check that fails confirms, and is noted: an input that breaks a check must not pass because of it.
        """
        allowance.confirms += 1
        allowance.take(CONFIRM_COST)
        hit = Hit(layer.buffer, start, end, segment.start, segment.end, self._context, layer)
        try:
            for check in self._confirms:
                if not check(hit):
                    return None
            if self.lexicon is not None and self.rule.pattern and not self._worded(layer, segment, start, end):
                return None
        except Exception as error:
            allowance.failed[self.rule.id] = type(error).__name__
        value = hit.value.encode("utf-8", "replace") if self.allow else b""
        return None if any(pattern.fullmatch(value) for pattern in self.allow) else hit.value

    def _worded(self, layer: Inspection, segment: Segment, start: int, end: int) -> bool:
        """Does the value stand in a passage that scores enough?"""
        low, high = max(segment.start, start - AROUND), min(segment.end, end + AROUND)
        kind, size = KINDS.get(segment.source, "data"), high - low
        turns = (size if kind == "user" else -1, 0 if kind == "description" else size + 1)
        assert self.lexicon is not None
        passages = self.lexicon.passages(layer.buffer[low:high], turns, self.rule.least)
        return any(low + passage.start < end and low + passage.end > start for passage in passages)


def locate(layer: Inspection, compiled: Compiled, allowance: Allowance) -> Iterator[Finding]:
    """Every confirmed match of one rule in the segments that it reads."""
    compiled.prepare()
    if not compiled.rule.pattern:
        yield from _weighed(layer, compiled, allowance)
        return
    ranges = layer.ranges_of(compiled.sources)
    first, begin = 0, None
    allowance.begin()
    try:
        for first, last in ranges:
            if compiled.by_segment:
                for segment in layer.segments[first:last]:
                    yield from _search_value(layer, compiled, segment, allowance)
                continue
            begin = _first_match(layer, compiled, ranges, allowance) if begin is None else begin
            low, high = layer.bounds(first, last)
            low = max(begin, low)
            if low < high:
                for start, end in compiled.places(layer.buffer, low, high, allowance):
                    yield from _search(layer, compiled, start, end, allowance)
    except Exceeded:
        segment = layer.segments[first]
        yield exceeded(compiled.rule, layer.span(segment, segment.start, segment.end))
    finally:
        allowance.end()


def locate_beside(
    layer: Inspection, compiled: Compiled, segment: Segment, low: int, high: int, allowance: Allowance
) -> Iterator[Finding]:
    """Every confirmed match in one segment that begins between the offsets ``low`` and ``high`` of its text.

    A view is searched whole: its findings stand where the text begins that it was made from.
    """
    compiled.prepare()
    begin = segment.start + (max(0, low) if segment.view is None else 0)
    allowance.begin()
    try:
        for found in _search(layer, compiled, begin, segment.end, allowance):
            if found.span.start > high:
                return
            yield found
    except Exceeded:
        yield exceeded(compiled.rule, layer.span(segment, segment.start, segment.end))
    finally:
        allowance.end()


def weighed(layer: Inspection, compiled: Compiled) -> list[lexicon.Passage]:
    """The passages of ``layer`` that score enough for a rule with a lexicon, in the sources that it reads."""
    passages = [passage for passage in worded(layer, compiled) if passage.score >= compiled.rule.least]
    if not passages:
        return []
    reads = [layer.bounds(*at) for at in layer.ranges_of(compiled.sources)]
    return lexicon.apart(passage for passage in passages if any(low <= passage.start < high for low, high in reads))


def worded(layer: Inspection, compiled: Compiled) -> list[lexicon.Passage]:
    """The passages of ``layer`` that are anything to the lexicon of a rule."""
    if compiled.lexicon is None:
        return []
    name = compiled.rule.lexicon
    if name not in layer.passages:
        layer.passages[name] = compiled.lexicon.passages(layer.buffer, _turns(layer), LEAST)
    return layer.passages[name]


def _turns(layer: Inspection) -> tuple[int, int]:
    """Where in the buffer the user's words end and the tool's description begins; sources stand in their order."""
    said, described = 0, None
    for source, (first, last) in layer.ranges.items():
        if KINDS.get(source) == "user":
            said = last
        elif KINDS.get(source) == "description":
            described = first
    user = layer.bounds(0, said)[1] if said else -1
    description = len(layer.buffer) + 1 if described is None else layer.bounds(described, described)[0]
    return user, description


def _weighed(layer: Inspection, compiled: Compiled, allowance: Allowance) -> Iterator[Finding]:
    """Every passage that scores enough and holds, as much of it as stands in one segment."""
    allowance.begin()
    segment = _NOWHERE
    try:
        for passage in weighed(layer, compiled):
            segment = layer.segments[layer.segment_at(passage.start)]
            end = min(passage.end, segment.end)
            value = compiled.holds(layer, segment, passage.start, end, allowance)
            if value is not None:
                yield finding(compiled.rule, layer.span(segment, passage.start, end), value)
    except Exceeded:
        yield exceeded(compiled.rule, layer.span(segment, segment.start, segment.end))
    finally:
        allowance.end()


def _first_match(layer: Inspection, compiled: Compiled, ranges: Sequence[tuple[int, int]], allowance: Allowance) -> int:
    """Where the first match can begin in any of ``ranges``: one search over all of them, as most candidates are none."""
    low, high = layer.bounds(ranges[0][0], ranges[-1][1])
    if len(ranges) == 1 or compiled.needs_names:
        return low
    match = compiled.search(layer.buffer, low, high, allowance)
    return match.start() if match else high


def _search(layer: Inspection, compiled: Compiled, low: int, high: int, allowance: Allowance) -> Iterator[Finding]:
    """Matches in the buffer from ``low`` to ``high``; one that crosses a segment's end is sought inside it again."""
    group, buffer = compiled.group, layer.buffer
    segment = _NOWHERE
    while low < high:
        match = compiled.search(buffer, low, high, allowance)
        if match is None:
            return
        start, end = match.span()
        if not segment.start <= start <= segment.end:
            segment = layer.segments[layer.segment_at(start)]
        if end > segment.end:
            if start < segment.end and high > segment.end:
                yield from _search(layer, compiled, max(low, segment.start), segment.end, allowance)
            low = max(segment.end, start) + 1  # a match can begin in the separator too
            continue
        first, last = match.span(group) if group else (start, end)
        value = compiled.holds(layer, segment, first, last, allowance)
        if value is not None:
            yield finding(compiled.rule, layer.span(segment, first, last), value)
            low = max(end, start + 1)
        else:
            low = _next_word(buffer, start, end)


def _search_value(layer: Inspection, compiled: Compiled, segment: Segment, allowance: Allowance) -> Iterator[Finding]:
    """Matches in a segment's value alone, where ``^`` and ``$`` are the value's ends."""
    base = segment.start + segment.skip
    if compiled.rule.arg is not None and not _under(segment, compiled.rule.arg):
        return
    allowance.take(segment.end - base)
    compiled.searched += segment.end - base
    for match in compiled.prepare().finditer(layer.buffer[base : segment.end]):
        start, end = base + match.start(compiled.group), base + match.end(compiled.group)
        value = compiled.holds(layer, segment, start, end, allowance)
        if value is not None:
            yield finding(compiled.rule, layer.span(segment, start, end), value)


def _under(segment: Segment, argument: str) -> bool:
    wanted = argument.casefold()
    path: Path | None = segment.path
    while path is not None:
        path, step = path
        if isinstance(step, str) and step.casefold() == wanted and path is not None:
            return True
    return False


def _next_word(buffer: bytes, start: int, end: int) -> int:
    """Where to look on after a match that was not confirmed: behind its first word, as the next one may be true."""
    word = _WORD.match(buffer, start, end)
    return min((word.end() if word else start) + 1, end) if end > start else start + 1


def exceeded(rule: Rule, span: Span, reason: str = "") -> Finding:
    """What candidates of ``rule`` are that cannot be told apart in the time allowed, however weak the rule."""
    found = finding(rule, span, "", reason or f"{rule.title}: too many candidates to tell apart")
    return structs.replace(found, strength="strong")


def finding(rule: Rule, span: Span, value: str, reason: str = "") -> Finding:
    """What a confirmed match of ``rule`` is to the pipeline."""
    return Finding(
        plugin=rule.plugin,
        rule_id=rule.id,
        reason=reason or rule.reason or rule.title,
        span=span,
        value=value,
        strength=rule.strength,
        reason_code=rule.reason_code,
        blocks=rule.maturity == "stable",
    )
