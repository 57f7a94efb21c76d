"""One Hyperscan scan of each text for all rules that read it; candidates are located with RE2, segment by segment.

Plugins that read the same sources share a database, so a tool's output is not scanned for what is only looked for in
prompts. Safety: the scan over-reports (it sees the joined buffer, where a pattern can cross a separator) and never says
a false "no"; what a rule found is decided by ``locate`` alone, in linear time under a cap, and an exceeded cap is a
finding, not silence.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import re2

from sentra import ruleset
from sentra.allowance import Allowance, ScanTime, never, no_clock
from sentra.engine import Database
from sentra.errors import EngineError
from sentra.findings import SOURCES, Source
from sentra.inspection import Inspection, Segment, inspect_views
from sentra.known import NOTHING, TOO_MUCH, Known, LedTo, Met
from sentra.lexicon import Passage
from sentra.locate import Compiled, locate, weighed
from sentra.normalize import DECODERS, MAX_DEPTH, Decoder, Meter, View, prepare, run_views
from sentra.scanned import Scanned

LONG = 256 << 10  # bytes; what scanning less costs is little beside a request's time, whatever it holds
PIECE, OVERLAP = 64 << 10, 4 << 10  # bytes
LEARNABLE, LEARN_SECONDS = 32 << 10, 0.02  # characters of one text; for a request
QUICK = 8 << 10  # bytes; not worth asking for the time
WORTH_PARTING = 2048  # bytes; less is scanned faster as one than in the pieces that a plugin reads


class _Part:
    """The rules of the plugins that read ``sources``, and the gates, in one database; ``numbers`` name its patterns."""

    __slots__ = ("_database", "numbers", "sources")

    def __init__(
        self, sources: tuple[Source, ...], numbers: Sequence[int], patterns: Sequence[str], cache_folder: str | None
    ):
        self.sources, self.numbers = sources, numbers
        self._database = Database(patterns, cache_folder)

    def scan(self, buffer: bytes) -> list[int]:
        return [self.numbers[fired] for fired in self._database.scan(buffer)]

    def scan_layer(self, layer: Inspection, time: ScanTime) -> list[int]:
        buffer = layer.buffer
        if len(buffer) < WORTH_PARTING:
            return self.scan(buffer)
        fired: list[int] = []
        for first, last in layer.ranges_of(self.sources):
            low, high = layer.bounds(first, last)
            if len(buffer) <= QUICK:
                fired += self.scan(buffer[low:high])
            elif not time.over:
                fired += self._scan_long(buffer[low:high], time)
        return fired

    def _scan_long(self, buffer: bytes, time: ScanTime) -> list[int]:
        """The same for a long text: no deadline ends a scan, and a text made for it takes 1 us for a byte.

        It is scanned in pieces until the time is over. If that was quick it is scanned again as one, for what is wider
        than the overlap of two pieces.
        """
        fired: list[int] = []
        if len(buffer) > LONG:
            for start in range(0, len(buffer), PIECE):
                fired += time.timed(self.scan, _whole_characters(buffer, start, start + PIECE + OVERLAP))
                if time.over:
                    return fired
            if not time.fair:
                return fired
        return fired + time.timed(self.scan, buffer)


class Scanner:
    """All rules of all plugins in few databases, and the decoders' patterns with them.

    ``rules`` are in no particular order; a rule's number is its place in it, whether it is scanned for or a companion.
    Up to ``known_texts`` texts of requests are known again.
    """

    def __init__(
        self,
        rules: Sequence[Compiled],
        cache_folder: str | None = None,
        cpu: Callable[[], float] = no_clock,
        known_texts: int = 0,
    ):
        self.rules, self.cpu, self._known = tuple(rules), cpu, Known(known_texts)
        self.companions = {compiled.rule.id: compiled for compiled in self.rules if compiled.rule.companion}
        self._weighed = [number for number, compiled in enumerate(self.rules) if not compiled.rule.pattern]
        self._lexicons = {self.rules[number].rule.lexicon: self.rules[number] for number in self._weighed}
        self._gate_base = len(self.rules)
        self._gates = tuple(dict.fromkeys(decoder.pattern for decoder in DECODERS))
        self._parts = [self._part(sources, numbers, cache_folder) for sources, numbers in _by_sources(self.rules)]
        self._finders = [ruleset.compile_pattern(gate) for gate in self._gates]
        prepare()

    def _part(self, sources: tuple[Source, ...], numbers: Sequence[int], cache_folder: str | None) -> _Part:
        patterns = [ruleset.database_pattern(self.rules[number].rule) for number in numbers]
        gates = range(self._gate_base, self._gate_base + len(self._gates))
        return _Part(sources, [*numbers, *gates], [*patterns, *self._gates], cache_folder)

    def candidates(self, buffer: bytes) -> set[int]:
        """Numbers of the rules and decoders whose pattern fires somewhere in ``buffer``."""
        return {number for part in self._parts for number in part.scan(buffer)}

    def fired(self, layer: Inspection, time: ScanTime) -> set[int]:
        """The same for the texts of ``layer``, each scanned for the rules of the plugins that read its source.

        When the scan's time is over some rule has fired, as too much to tell apart is a finding.
        """
        fired: set[int] = set()
        for part in self._parts:
            fired.update(part.scan_layer(layer, time))
            if time.over:
                rules = [number for number in fired if number < self._gate_base]
                return fired | {min(rules or part.numbers, key=self._rank)}
        fired.update(number for number in self._weighed if weighed(layer, self.rules[number]))
        return fired

    def _fired_anew(self, layer: Inspection, time: ScanTime) -> set[int]:
        """As ``fired`` for a request's own texts; those that are known are not scanned again."""
        met = self._known.meet(layer.texts, layer.ranges.items())
        if met is None:
            return self.fired(layer, time)
        all_unknown = len(met.unknown) == len(layer.texts)
        fired = self.fired(layer, time) if all_unknown else self._fired_beside(layer, met, time)
        if met.again and not time.over:
            self._learn(layer, met, nothing=not fired and not any(layer.passages.values()))
        return fired

    def _learn(self, layer: Inspection, met: Met, nothing: bool) -> None:
        """Find out what texts lead to that were met again, for a short time; the rest is left for when they come again."""
        until = self.cpu() + LEARN_SECONDS
        for key, number in met.again:
            if nothing:
                self._known.learn(key, NOTHING)
            elif len(layer.texts[number]) > LEARNABLE:
                self._known.learn(key, TOO_MUCH)
            elif self.cpu() < until:
                self._known.learn(key, self._led_to(layer.excerpt([number])))

    def _fired_beside(self, layer: Inspection, met: Met, time: ScanTime) -> set[int]:
        """What fires in the texts of ``layer`` that are not known, and what is known of the others."""
        passages: dict[str, list[Passage]] = {name: [] for name in self._lexicons}
        fired: set[int] = set()
        if met.unknown:
            excerpt = layer.excerpt(met.unknown)
            fired = self.fired(excerpt, time)
            for name, found in excerpt.passages.items():
                for passage in found:
                    place = excerpt.segment_at(passage.start)
                    offset = excerpt.bounds(place, place + 1)[0]
                    passages[name].append(
                        passage.moved(layer.bounds(met.unknown[place], met.unknown[place] + 1)[0] - offset)
                    )
        for number, led_to in met.known:
            fired.update(led_to.fired)
            for name, passage in led_to.passages:
                passages[name].append(passage.moved(layer.bounds(number, number + 1)[0]))
        layer.passages.update(passages)
        if any(passages.values()):
            fired.update(number for number in self._weighed if weighed(layer, self.rules[number]))
        return fired

    def _led_to(self, alone: Inspection) -> LedTo:
        """What one text leads to; nothing if no rule can have a finding in it nor in any view of it."""
        scanned, time = self._scanned(alone, never), ScanTime(self.cpu)
        scanned.allowance.renew(never, LEARN_SECONDS)
        fired = self.fired(alone, time)
        self._go_through(scanned, fired, Meter(len(alone.buffer)), time)
        if time.over:
            return TOO_MUCH
        finds = {n for n in fired if n < self._gate_base and self._may_find(alone, self.rules[n], scanned)}
        passages = tuple((name, passage) for name in self._lexicons for passage in alone.passages[name])
        views = scanned.views_cut or any(self._may_find(layer, rule, scanned) for layer, rule in scanned.in_views())
        if not (finds or passages or views):
            return NOTHING
        gates = {number for number in fired if number >= self._gate_base}
        return LedTo(tuple(sorted(finds.difference(self._weighed) | gates)), passages)

    def _may_find(self, layer: Inspection, compiled: Compiled, scanned: Scanned) -> bool:
        """Whether a rule has a finding in the one text of ``layer``, or might have beside others."""
        return not compiled.by_text_alone or any(True for _ in locate(layer, compiled, scanned.allowance))

    def prove(self) -> None:
        """Compile what the shipped rules need, and see each of them fire on its own cases.

        Raises ``EngineError`` for a rule that would silently not run.
        """
        for number, compiled in enumerate(self.rules):
            if compiled.rule.case:
                _prepare(compiled)
            for case in () if compiled.rule.companion else compiled.rule.case:
                text = case.joined.encode("utf-8", "replace")
                if case.match and not self._sees(number, compiled, text):
                    raise EngineError(f"{compiled.rule.id}: the scan engine misses its case {case.name!r}")

    def renew(self, enough: Callable[[], bool]) -> int:
        """Compile patterns anew until it is ``enough``, the ones that were searched most before; how many there were."""
        re2.purge()
        searched = sorted((compiled for compiled in self.rules if compiled.searched), key=_most_searched)
        for number, compiled in enumerate(searched):
            if number and enough():
                return number
            compiled.renew()
        if searched:
            self._finders = [ruleset.compile_pattern(gate) for gate in self._gates]
        return len(searched)

    def _sees(self, number: int, compiled: Compiled, text: bytes) -> bool:
        """Is rule ``number`` a candidate for ``text``, if there is anything in it for the rule?"""
        if not compiled.rule.pattern:
            source = compiled.sources[0]
            return bool(weighed(Inspection([Segment(source, (None, source), text.decode())]), compiled))
        return number in self.candidates(text) or not compiled.prepare().search(text)

    def scan(self, inspection: Inspection, expired: Callable[[], bool] = never) -> Scanned:
        """Scan a request's segments and the views that the scan itself points at, to a bounded depth and size."""
        scanned, time = self._scanned(inspection, expired), ScanTime(self.cpu)
        began = self.cpu() if len(inspection.buffer) > QUICK else None
        self._go_through(scanned, self._fired_anew(inspection, time), Meter(len(inspection.buffer)), time)
        if began is not None:
            scanned.allowance.scanned(self.cpu() - began)
        return scanned

    def _scanned(self, inspection: Inspection, expired: Callable[[], bool]) -> Scanned:
        return Scanned(self.rules, self.companions, inspection, Allowance(len(inspection.buffer), expired, self.cpu))

    def _go_through(self, scanned: Scanned, fired: set[int], meter: Meter, time: ScanTime) -> None:
        """Note what ``fired`` in the segments, make the views that it asks for, and go on with those."""
        layer = scanned.inspection
        seen: set[tuple[str, str]] = set()
        for depth in range(MAX_DEPTH + 1):
            fired = self.fired(layer, time) if depth else fired
            scanned.bytes += len(layer.buffer)
            scanned.add(layer, [number for number in fired if number < self._gate_base])
            if time.over:
                scanned.cut(layer, min(fired, key=self._rank))
                break
            touched = self._touched(layer, [n - self._gate_base for n in fired if n >= self._gate_base])
            if not touched:
                break
            if depth == MAX_DEPTH or scanned.allowance.expired():
                meter.cut += len(touched)
                break
            layer = inspect_views(_views(layer, touched, meter, seen))
            if not layer.segments:
                break
            scanned.views += len(layer.segments)
        scanned.views_cut = meter.cut

    def _rank(self, number: int) -> tuple[bool, int]:
        """Rules that block by themselves come first, in their order."""
        rule = self.rules[number].rule if number < self._gate_base else None
        strong = rule is not None and rule.strength == "strong" and rule.maturity == "stable" and rule.tool is None
        return not strong, number

    def _touched(self, layer: Inspection, gates: Sequence[int]) -> dict[int, list[Decoder]]:
        """The decoders that each segment, by number, gives work to, in the order of ``DECODERS``."""
        found: dict[int, set[str]] = {}
        for number in gates:
            for index in _segments_with(layer, self._finders[number]):
                found.setdefault(index, set()).add(self._gates[number])
        if layer.holds_nul():
            for index, segment in enumerate(layer.segments):
                if "\x00" in segment.text:
                    found.setdefault(index, set()).add(DECODERS[0].pattern)
        return {index: [decoder for decoder in DECODERS if decoder.pattern in found[index]] for index in sorted(found)}


def _prepare(compiled: Compiled) -> None:
    """Compile what ``compiled`` needs, and search for nothing: RE2 takes memory for a pattern at its first search."""
    try:
        compiled.prepare()
    except re2.error as error:
        raise EngineError(f"{compiled.rule.id}: pattern {compiled.rule.pattern!r} does not compile: {error}") from None


def _whole_characters(buffer: bytes, low: int, high: int) -> bytes:
    """``buffer`` from ``low`` to ``high``, and what is missing of the characters there: the engine wants valid UTF-8."""
    while low > 0 and buffer[low] & 0xC0 == 0x80:
        low -= 1
    while high < len(buffer) and buffer[high] & 0xC0 == 0x80:
        high += 1
    return buffer[low:high]


def _most_searched(compiled: Compiled) -> int:
    return -compiled.searched * len(compiled.rule.pattern)


def _by_sources(rules: Sequence[Compiled]) -> Iterator[tuple[tuple[Source, ...], list[int]]]:
    """Numbers of the rules to scan for, together where their plugins read the same sources."""
    sources: dict[str, set[Source]] = {}
    for compiled in rules:
        sources.setdefault(compiled.rule.plugin, set()).update(compiled.sources)
    groups: dict[frozenset[Source], list[int]] = {}
    for number, compiled in enumerate(rules):
        if compiled.rule.pattern and not compiled.rule.companion:
            groups.setdefault(frozenset(sources[compiled.rule.plugin]), []).append(number)
    for read, numbers in groups.items():
        yield tuple(source for source in SOURCES if source in read), numbers


def _segments_with(layer: Inspection, pattern: Any) -> Iterator[int]:
    """Numbers of the segments that hold a match of ``pattern``."""
    position, end = 0, len(layer.buffer)
    while position < end:
        match = pattern.search(layer.buffer, position, end)
        if match is None:
            return
        first, last = match.span()
        index = layer.segment_at(first)
        low, high = layer.bounds(index, index + 1)
        if first < high and (last <= high or pattern.search(layer.buffer, low, high) is not None):
            yield index
        position = max(high, first + 1)


def _views(
    layer: Inspection, touched: Mapping[int, Sequence[Decoder]], meter: Meter, seen: set[tuple[str, str]]
) -> list[tuple[Segment, View]]:
    """The views of all touched segments, short ones first, so that a long one cannot use up what they need."""
    views: list[tuple[Segment, View]] = []
    meter.start_layer()
    for index, decoders in sorted(touched.items(), key=lambda item: len(layer.segments[item[0]].text)):
        segment = layer.segments[index]
        for view in run_views(decoders, segment.text, meter):
            if (segment.source, view.text) not in seen:
                seen.add((segment.source, view.text))
                views.append((segment, view))
    return views
