"""Runs the cases beside the rules: a pack that fails its own cases does not load."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from sentra.errors import ConfigError
from sentra.findings import SOURCES, Finding, Source
from sentra.inspection import Inspection, Path, Segment
from sentra.locate import Compiled
from sentra.plugins import BY_NAME, Context
from sentra.plugins.rulepack import RulePack
from sentra.ruleset import Case, Combination, Pack, Rule
from sentra.scanned import Scanned
from sentra.scanner import Scanner
from sentra.wire import AnalyzeRequest, PlannerContext, ToolDefinition


class Outcome(NamedTuple):
    """What became of one case; ``problem`` is empty when it held."""

    rule_id: str
    case: Case
    problem: str

    @property
    def test_id(self) -> str:
        """The id of the case in test runs."""
        return f"{self.rule_id}::{self.case.name}"


class Bench:
    """A pack's rules in a scanner of their own, those that are off by default included, compiled in ``cache_folder``."""

    def __init__(self, pack: Pack, cache_folder: str | None = None):
        self.pack, self._cache_folder = pack, cache_folder
        self._builtin = BY_NAME[pack.plugin]
        self.rules: Mapping[str, Rule] = {rule.id: rule for rule in pack.rules}

    @cached_property
    def scanner(self) -> Scanner:
        """All rules of the pack in one database."""
        return Scanner([Compiled(rule, self._sources(rule)) for rule in self.pack.rules], self._cache_folder)

    @cached_property
    def _plugin(self) -> RulePack:
        return RulePack(self._builtin, self.pack.rules, self.pack.combinations)

    @cached_property
    def _patterns(self) -> RulePack:
        rules = [rule for rule in self.pack.rules if rule.pattern]
        return RulePack(self._builtin, rules, self.pack.combinations)

    def _sources(self, rule: Rule) -> tuple[Source, ...]:
        return rule.sources or self._builtin.sources

    def outcomes(self, word: str = "") -> Iterator[Outcome]:
        """The outcome of every case of every rule and combination whose id holds ``word``."""
        for rule in self.pack.rules:
            for case in rule.case if word in rule.id else ():
                yield Outcome(rule.id, case, self._rule_problem(rule, case))
        for combination in self.pack.combinations:
            for case in combination.case if word in combination.id else ():
                yield Outcome(combination.id, case, self._combination_problem(combination, case))

    def inspection(self, case: Case, default: Source) -> Inspection:
        """The case's text as a request would hold it."""
        source = case.source or default
        path: Path = (None, source)
        text = Segment(source, path, case.joined)
        if case.key is not None:
            text = Segment(source, (path, case.key), f"{case.key}: {case.joined}", len(case.key.encode()) + 2)
        beside: tuple[tuple[Source, str], ...] = (("user_message", case.asked), ("input", case.planned))
        segments = [text, *(Segment(other, (None, other), words) for other, words in beside if words)]
        return Inspection(sorted(segments, key=lambda segment: SOURCES.index(segment.source)))

    def scan(self, case: Case, default: Source) -> Scanned:
        """What the pack's scanner leaves to look at in the case's text."""
        return self.scanner.scan(self.inspection(case, default))

    def _rule_problem(self, rule: Rule, case: Case) -> str:
        scanned = self.scan(case, self._sources(rule)[0])
        found = [*scanned.findings(self.pack.plugin), *scanned.companions(self.pack.plugin)]
        if scanned.allowance.failed:
            return f"a check failed: {scanned.allowance.failed}"
        own = [finding for finding in found if finding.rule_id == rule.id]
        # A view of an escaped text holds the value once more, in another spelling than the case's text.
        values = {finding.value for finding in own if finding.span.view is None} or {finding.value for finding in own}
        if values != set(case.match):
            return f"expected {case.match}, found {sorted(values)}"
        return _others([finding for finding in found if self._tells(finding.rule_id, case)], rule.id, case)

    def _tells(self, rule_id: str, case: Case) -> bool:
        """Would a finding of another rule be a surprise? An attack is worded like one, whatever rule the case is for."""
        return not case.match or bool(self.rules[rule_id].pattern)

    def _combination_problem(self, combination: Combination, case: Case) -> str:
        empty = AnalyzeRequest(PlannerContext(), ToolDefinition())
        plugin = self._patterns if case.match else self._plugin
        verdict = plugin.judge(Context(empty, self.scan(case, self._builtin.sources[0])))
        if case.match:
            return "" if verdict.rule_id == combination.id else f"expected a block, got {verdict.rule_id}"
        return "" if verdict.rule_id in (None, *case.also) else f"expected no block, got {verdict.rule_id}"


def _others(found: list[Finding], own: str, case: Case) -> str:
    """Strong rules that fired without being named in ``also``."""
    others = {f.rule_id for f in found if f.rule_id != own and f.strength == "strong" and f.blocks}
    unnamed = sorted(others - set(case.also))
    return f"also fired: {', '.join(unnamed)}" if unnamed else ""


def require(pack: Pack, cache_folder: str | None = None) -> None:
    """Raise ``ConfigError`` with every case of ``pack`` that does not hold."""
    failed = [outcome for outcome in Bench(pack, cache_folder).outcomes() if outcome.problem]
    if failed:
        raise ConfigError(f"{outcome.test_id}: {outcome.problem}" for outcome in failed)
