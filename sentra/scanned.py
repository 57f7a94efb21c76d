"""What the scan of one request left to look at, and what is found there."""

import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from sentra.allowance import COLLECT_SECONDS, Allowance, never
from sentra.findings import Finding
from sentra.inspection import Inspection
from sentra.locate import Compiled, exceeded, locate, locate_beside

TOO_LONG = "The text takes too long to scan"


class Scanned:
    """What the scan of one request left to look at: candidates by plugin, in every layer."""

    def __init__(
        self,
        rules: Sequence[Compiled],
        companions: Mapping[str, Compiled],
        inspection: Inspection,
        allowance: Allowance,
    ):
        self.inspection, self.allowance = inspection, allowance
        self.bytes = 0
        self.views = 0
        self.views_cut = 0
        self.candidates = 0
        self._rules, self._companions = rules, companions
        self._layers: list[Inspection] = []
        self._by_plugin: dict[str, list[tuple[Inspection, Compiled]]] = {}
        self._cut: Finding | None = None

    def cut(self, layer: Inspection, number: int) -> None:
        """Note that ``layer`` was too much to scan in the time allowed, as a finding of rule ``number``."""
        first = layer.segments[0]
        self._cut = exceeded(self._rules[number].rule, layer.span(first, first.start, first.end), TOO_LONG)

    def renew(self) -> None:
        """Allow the work of looking at everything once more, briefly: the decision stands, and others wait for theirs."""
        self.allowance.renew(never, COLLECT_SECONDS)

    def add(self, layer: Inspection, fired: Sequence[int]) -> None:
        """Note the candidates of one layer, in the order of the rules."""
        self.candidates += len(fired)
        self._layers.append(layer)
        for number in sorted(fired):
            compiled = self._rules[number]
            self._by_plugin.setdefault(compiled.rule.plugin, []).append((layer, compiled))

    def in_views(self) -> Iterator[tuple[Inspection, Compiled]]:
        """The candidates in views, and the companions that might be there."""
        for candidates in self._by_plugin.values():
            yield from (each for each in candidates if each[0] is not self.inspection)
        for layer in self._layers[1:]:
            yield from ((layer, compiled) for compiled in self._companions.values())

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
        companion = self._companions[rule_id]
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
        for compiled in self._companions.values():
            if compiled.rule.plugin == plugin:
                for layer in self._layers:
                    yield from locate(layer, compiled, self.allowance)


def _matches(glob: str, tool: tuple[str, str]) -> bool:
    return any(fnmatchcase(name.casefold(), glob.casefold()) for name in tool if name)
