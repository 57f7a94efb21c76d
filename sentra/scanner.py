"""One Hyperscan scan of each text for all rules that read it; candidates are located with RE2, segment by segment.

Plugins that read the same sources share a database, so a tool's output is not scanned for what is only looked for in
prompts. Safety: the scan over-reports (it sees the joined buffer, where a pattern can cross a separator) and never says
a false "no"; what a rule found is decided by ``locate`` alone, in linear time under a cap, and an exceeded cap is a
finding, not silence.
"""

import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import re2

from sentra import ruleset
from sentra.allowance import COLLECT_SECONDS, Allowance, ScanTime, never, no_clock
from sentra.engine import Database
from sentra.errors import EngineError
from sentra.findings import SOURCES, Finding, Source
from sentra.inspection import Inspection, Segment, inspect_views
from sentra.locate import Compiled, exceeded, locate, locate_beside, weighed
from sentra.normalize import DECODERS, MAX_DEPTH, Decoder, Meter, View, prepare, run_views

LONG = 256 << 10  # bytes; what scanning less costs is little beside a request's time, whatever it holds
TOO_LONG = "The text takes too long to scan"
PIECE, OVERLAP = 64 << 10, 4 << 10  # bytes
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
            if len(buffer) <= PIECE:
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
    """

    def __init__(self, rules: Sequence[Compiled], cache_folder: str | None = None, cpu: Callable[[], float] = no_clock):
        self.rules, self.cpu = tuple(rules), cpu
        self.companions = {compiled.rule.id: compiled for compiled in self.rules if compiled.rule.companion}
        self._weighed = [number for number, compiled in enumerate(self.rules) if not compiled.rule.pattern]
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

    def prove(self) -> None:
        """Compile what the shipped rules need, and see each of them fire on its own cases.

        Raises ``EngineError`` for a rule that would silently not run.
        """
        for number, compiled in enumerate(self.rules):
            if compiled.rule.case:
                compiled.prepare()
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

    def scan(self, inspection: Inspection, expired: Callable[[], bool] = never) -> "Scanned":
        """Scan a request's segments and the views that the scan itself points at, to a bounded depth and size."""
        scanned, time = Scanned(self, inspection, expired), ScanTime(self.cpu)
        began = self.cpu() if len(inspection.buffer) > PIECE else None
        layer, meter = inspection, Meter(len(inspection.buffer))
        seen: set[tuple[str, str]] = set()
        for depth in range(MAX_DEPTH + 1):
            fired = self.fired(layer, time)
            scanned.bytes += len(layer.buffer)
            scanned.add(layer, [number for number in fired if number < self._gate_base])
            if time.over:
                scanned.cut(layer, min(fired, key=self._rank))
                break
            touched = self._touched(layer, [n - self._gate_base for n in fired if n >= self._gate_base])
            if not touched:
                break
            if depth == MAX_DEPTH or expired():
                meter.cut += len(touched)
                break
            layer = inspect_views(_views(layer, touched, meter, seen))
            if not layer.segments:
                break
            scanned.views += len(layer.segments)
        scanned.views_cut = meter.cut
        if began is not None:
            scanned.allowance.scanned(self.cpu() - began)
        return scanned

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


class Scanned:
    """What the scan of one request left to look at: candidates by plugin, in every layer."""

    def __init__(self, scanner: Scanner, inspection: Inspection, expired: Callable[[], bool]):
        self.inspection = inspection
        self.bytes = 0
        self.views = 0
        self.views_cut = 0
        self.candidates = 0
        self.allowance = Allowance(len(inspection.buffer), expired, scanner.cpu)
        self._scanner = scanner
        self._layers: list[Inspection] = []
        self._by_plugin: dict[str, list[tuple[Inspection, Compiled]]] = {}
        self._cut: Finding | None = None

    def cut(self, layer: Inspection, number: int) -> None:
        """Note that ``layer`` was too much to scan in the time allowed, as a finding of rule ``number``."""
        first = layer.segments[0]
        self._cut = exceeded(self._scanner.rules[number].rule, layer.span(first, first.start, first.end), TOO_LONG)

    def renew(self) -> None:
        """Allow the work of looking at everything once more, briefly: the decision stands, and others wait for theirs."""
        self.allowance.renew(never, COLLECT_SECONDS)

    def add(self, layer: Inspection, fired: Sequence[int]) -> None:
        """Note the candidates of one layer, in the order of the rules."""
        self.candidates += len(fired)
        self._layers.append(layer)
        for number in sorted(fired):
            compiled = self._scanner.rules[number]
            self._by_plugin.setdefault(compiled.rule.plugin, []).append((layer, compiled))

    def names(self, plugin: str) -> bool:
        """Whether there are candidates of ``plugin``."""
        return plugin in self._by_plugin

    def findings(
        self, plugin: str, tool: tuple[str, str] = ("", ""), ids: Container[str] | None = None
    ) -> Iterator[Finding]:
        """The confirmed findings of ``plugin``, rule by rule; with ``ids`` only of these rules.

        ``tool`` is the id and name that policies match on.
        """
        if self._cut is not None and self._cut.plugin == plugin:
            yield self._cut
        for layer, compiled in self._by_plugin.get(plugin, ()):
            rule = compiled.rule
            if (ids is None or rule.id in ids) and (rule.tool is None or _matches(rule.tool, tool)):
                yield from locate(layer, compiled, self.allowance)

    def fired(self, plugin: str) -> frozenset[str]:
        """Ids of the rules of ``plugin`` that are candidates."""
        return frozenset([compiled.rule.id for _, compiled in self._by_plugin.get(plugin, ())])

    def beside(self, rule_id: str, findings: Sequence[Finding], near: int) -> Iterator[Finding]:
        """What a companion matches in the segments of ``findings``, from ``near`` bytes before the first (0: anywhere)."""
        companion = self._scanner.companions[rule_id]
        starts: dict[str, list[int]] = {}
        for finding in findings:
            starts.setdefault(finding.span.path, []).append(finding.span.start)
        for layer in self._layers:
            for first, last in [layer.ranges[source] for source in companion.sources if source in layer.ranges]:
                for segment in layer.segments[first:last]:
                    found = starts.get(segment.name)
                    if found is not None:
                        low, high = (min(found) - near, max(found) + near) if near else (0, sys.maxsize)
                        yield from locate_beside(layer, companion, segment, low, high, self.allowance)

    def companions(self, plugin: str) -> Iterator[Finding]:
        """What the companions of ``plugin`` match anywhere, for masking."""
        for compiled in self._scanner.companions.values():
            if compiled.rule.plugin == plugin:
                for layer in self._layers:
                    yield from locate(layer, compiled, self.allowance)


def _matches(glob: str, tool: tuple[str, str]) -> bool:
    return any(fnmatchcase(name.casefold(), glob.casefold()) for name in tool if name)
