"""Measures the rules on labelled requests: recall, false positives and precision by family and by rule."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal

import msgspec

from sentra import wire
from sentra.assembly import Assembly
from sentra.errors import ConfigError, RequestError

BUDGET_SECONDS = 60.0


class Labelled(msgspec.Struct, frozen=True):
    """One line of an evaluation file: a request, what should become of it, and the family it counts for."""

    request: msgspec.Raw
    label: Literal["block", "allow"]
    family: Annotated[str, msgspec.Meta(min_length=1)] = "all"


class Tally(msgspec.Struct):
    """Counts of one family. An attack is labelled ``block``; a false alarm is an ``allow`` that was blocked."""

    attacks: int = 0
    caught: int = 0
    benign: int = 0
    alarms: int = 0

    @property
    def recall(self) -> float | None:
        return self.caught / self.attacks if self.attacks else None

    @property
    def false_positive_rate(self) -> float | None:
        return self.alarms / self.benign if self.benign else None

    @property
    def precision(self) -> float | None:
        blocked = self.caught + self.alarms
        return self.caught / blocked if blocked else None

    def figures(self) -> dict[str, Any]:
        """Counts and rates; a rate that nothing was counted for is null."""
        rates = {"recall": self.recall, "falsePositiveRate": self.false_positive_rate, "precision": self.precision}
        return {**msgspec.to_builtins(self), **rates}


class Wrong(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request that was judged against its label; nothing of its text."""

    line: int
    family: str
    label: str
    rule: str | None = None
    path: str | None = None
    masked: str | None = None


class Report(msgspec.Struct):
    """What an evaluation found."""

    families: dict[str, Tally] = {}
    rules: dict[str, Tally] = {}
    misses: list[Wrong] = []
    alarms: list[Wrong] = []

    def total(self) -> Tally:
        """All families together."""
        tallies = self.families.values()
        return Tally(*(sum(getattr(tally, name) for tally in tallies) for name in Tally.__struct_fields__))

    def as_json(self) -> dict[str, Any]:
        """The whole report for ``--json``."""
        return {
            "total": self.total().figures(),
            "families": {name: tally.figures() for name, tally in self.families.items()},
            "rules": {name: tally.figures() for name, tally in self.rules.items()},
            "misses": msgspec.to_builtins(self.misses),
            "alarms": msgspec.to_builtins(self.alarms),
        }


def read(lines: Iterable[bytes], name: str) -> Iterator[Labelled]:
    """The labelled requests of a JSONL file called ``name``. Raises ``ConfigError`` with the line's number."""
    decoder = msgspec.json.Decoder(Labelled)
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ConfigError([f"{name}:{number}: {error}"]) from None


def evaluate(assembly: Assembly, cases: Iterable[Labelled], tick: Callable[[], None] = lambda: None) -> Report:
    """Judge every case with the local plugins of ``assembly``; ``tick`` is called after each."""
    report = Report()
    for number, case in enumerate(cases, 1):
        blocked, rule, path, masked = _judge(assembly, bytes(case.request))
        tally = report.families.setdefault(case.family, Tally())
        _count(tally, case.label, blocked)
        if rule is not None:
            _count(report.rules.setdefault(rule, Tally()), case.label, blocked)
        if case.label == "block" and not blocked:
            report.misses.append(Wrong(number, case.family, case.label))
        elif case.label == "allow" and blocked:
            report.alarms.append(Wrong(number, case.family, case.label, rule, path, masked))
        tick()
    return report


def _count(tally: Tally, label: str, blocked: bool) -> None:
    if label == "block":
        tally.attacks += 1
        tally.caught += blocked
    else:
        tally.benign += 1
        tally.alarms += blocked


def _judge(assembly: Assembly, body: bytes) -> tuple[bool, str | None, str | None, str | None]:
    """Blocked or not, by which rule, where, and the masked form. A request that cannot be judged is allowed."""
    try:
        request = wire.decode_request(body)
    except RequestError:
        return False, None, None, None
    decision, _ = assembly.pipeline.decide_alone(request, time.monotonic() + BUDGET_SECONDS, body)
    verdict = decision.verdict
    if verdict is None:
        return False, None, None, None
    if verdict.finding is None:
        return True, verdict.rule_id, None, None
    evidence = verdict.finding.evidence()
    return True, verdict.rule_id, evidence.path, evidence.masked


def table(report: Report) -> list[str]:
    """The report as lines of text."""
    lines = [f"{'':<36} {'attacks':>8} {'recall':>8} {'benign':>8} {'false +':>8} {'precision':>9}"]
    rows = [*sorted(report.families.items()), ("all families", report.total())]
    lines += [_row(name, tally) for name, tally in rows]
    if report.rules:
        lines += ["", f"{'blocked by':<44} {'attacks':>8} {'benign':>8}"]
        ranked = sorted(report.rules.items(), key=lambda item: -item[1].caught - item[1].alarms)
        lines += [f"{name:<44} {tally.caught:>8} {tally.alarms:>8}" for name, tally in ranked]
    lines += [f"missed: line {wrong.line} ({wrong.family})" for wrong in report.misses]
    lines += [f"false alarm: line {w.line} ({w.family}) {w.rule} at {w.path} {w.masked}" for w in report.alarms]
    return lines


def _row(name: str, tally: Tally) -> str:
    rates = [_percent(tally.recall), _percent(tally.false_positive_rate), _percent(tally.precision)]
    return f"{name:<36} {tally.attacks:>8} {rates[0]:>8} {tally.benign:>8} {rates[1]:>8} {rates[2]:>9}"


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.2%}"
