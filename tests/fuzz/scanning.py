"""Targets behind the decoder: ``text`` through views, the one scan and the second looks; ``config`` to rules."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock
from zlib import crc32

import yaml

from sentra import assembly
from sentra.allowance import no_clock
from sentra.config import Settings, load_settings
from sentra.engine import Database
from sentra.errors import ConfigError
from sentra.findings import SOURCES, Finding, Span
from sentra.inspection import Inspection, Segment
from sentra.locate import Compiled
from sentra.normalize import DECODERS, Meter, run_views
from sentra.operator_rules import domain_rules, keyword_rules, policy_rules
from sentra.plugins import BUILTIN
from sentra.ruleset import Rule, compile_pattern, database_pattern
from sentra.scanner import Scanned, Scanner
from tests.conftest import CACHE
from tests.fuzz import mutation, samples
from tests.fuzz.service import judging
from tests.fuzz.target import Native, Target, demand, within

TOOL = ("x.action.Send-Mail", "Send mail")
SHARE = 5
NEIGHBOUR = "see you on monday"
COMPILE_SECONDS = 8.0
"""Time to compile an operator's patterns: they are trusted, but must not stop a reload for long."""


def check_text(data: bytes) -> Iterable[str]:
    """A text is read the same alone and beside others, in time, and the scan never misses what RE2 finds."""
    lead, text = data[0] if data else 0, data[1:].decode("utf-8", "replace")
    source = SOURCES[lead % len(SOURCES)]
    scanner = judging().pipeline.scanner
    name = "note: " if lead >= 128 else ""
    with within():
        scanned = scanner.scan(Inspection([Segment(source, (None, "x"), name + text, len(name))]))
        alone = _findings(scanned)
    _spans_hold(alone, name + text)
    _no_false_no(scanner, name + text)
    _views_are_steady(text)
    around = [Segment(source, (None, str(n)), NEIGHBOUR) for n in range(2)]
    segments = [around[0], Segment(source, (None, "x"), name + text, len(name)), around[1]]
    beside = [finding for finding in _findings(scanner.scan(Inspection(segments))) if finding.span.path == "x"]
    if not any(finding.value == "" for finding in alone):
        demand(_told(beside) == _told(alone), f"found otherwise beside other texts: {_difference(alone, beside)}")
    return [f"{finding.rule_id} {(finding.span.view or '').partition('+')[0]}" for finding in alone]


def _findings(scanned: Scanned) -> list[Finding]:
    found = [finding for builtin in BUILTIN for finding in scanned.findings(builtin.name, TOOL)]
    demand(not scanned.allowance.failed, f"a second look failed: {scanned.allowance.failed}")
    return found


def _told(findings: Iterable[Finding]) -> set[tuple[str, Span, str]]:
    return {(finding.rule_id, finding.span, finding.value) for finding in findings}


def _difference(one: Iterable[Finding], other: Iterable[Finding]) -> list[str]:
    return sorted({rule for rule, _, _ in _told(one) ^ _told(other)})


def _spans_hold(findings: Iterable[Finding], text: str) -> None:
    raw = text.encode()
    for finding in findings:
        span = finding.span
        demand(0 <= span.start <= span.end <= len(raw), f"{finding.rule_id}: a span outside of the text")
        if span.view is None and finding.value:
            value = raw[span.start : span.end].decode("utf-8", "replace")
            demand(value == finding.value, f"{finding.rule_id}: another value than stands at its place")


def _no_false_no(scanner: Scanner, text: str) -> None:
    """One rule in ``SHARE``, by the text's checksum: searching with each of them costs more than all else together."""
    raw = text.encode()
    fired, patterns = set(scanner.candidates(raw)), _patterns()
    for number in range(crc32(raw) % SHARE, len(patterns), SHARE):
        if number in fired or patterns[number] is None or scanner.rules[number].rule.companion:
            continue  # a companion is not in the scan, and a lexicon has no pattern
        if patterns[number].search(raw) is not None:
            demand(False, f"{scanner.rules[number].rule.id}: the scan misses what RE2 finds")


@cache
def _patterns() -> list[Any]:
    return [compiled.prepare() for compiled in judging().pipeline.scanner.rules]


def _views_are_steady(text: str) -> None:
    size = len(text.encode())
    made = [list(_views(text, size)) for _ in range(2)]
    demand(made[0] == made[1], "another view of the same text")
    for view in made[0]:
        demand(0 <= view.start <= view.end <= size, f"{view.name}: a view of what is not in the text")
        demand(view.text.encode("utf-8", "replace").decode() == view.text, f"{view.name}: a view that is no text")


def _views(text: str, size: int) -> Iterator[Any]:
    meter = Meter(size)
    meter.start_layer()
    return run_views(DECODERS, text, meter)


def _sample_texts() -> Iterator[bytes]:
    random = Random(1)
    for number, text in enumerate(samples.texts()[::6]):
        yield bytes([number % 256]) + text.encode()
        if number % 3 == 0:
            yield bytes([number % 256]) + samples.disguised(random, text).encode("utf-8", "replace")


def check_config(data: bytes) -> Iterable[str]:
    """A configuration file of any bytes is refused with every mistake told, or its rules find what they name."""
    suffix = (".json", ".toml", ".yaml")[(data[0] if data else 0) % 3]
    path = _folder() / f"config{suffix}"
    path.write_bytes(data[1:])
    with within(COMPILE_SECONDS):
        try:
            made = _assembled(path)
        except ConfigError as error:
            demand(error.problems and all(problem.strip() for problem in error.problems), "a refusal without a reason")
            return [f"refused {suffix} {_kind(problem)}" for problem in error.problems[:5]]
    file = made.file
    own = [*policy_rules(file.policies), *keyword_rules(file.piiKeywords), *domain_rules(file.domainBlocklist)]
    _rules_find(own, [text for policy in file.policies for text in policy.contains])
    return [f"accepted {suffix}", *(f"own {rule.plugin} {rule.arg is None} {rule.tool is None}" for rule in own)]


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="sentra-fuzz-config-"))


@cache
def _settings(path: Path) -> Settings:
    return load_settings({"SENTRA_PLUGIN_CONFIG": str(path), "SENTRA_CACHE_DIR": CACHE, "SENTRA_WORKERS": "1"})[0]


class _Unscanned(Scanner):
    """A scanner of no rules: the shipped ones are not compiled again for each input."""

    def __init__(self, rules: Any, cache_folder: Any = None, cpu: Any = no_clock, known_texts: int = 0):
        self.rules, self.cpu = (), cpu


def _assembled(path: Path) -> assembly.Assembly:
    with mock.patch.object(assembly, "Scanner", _Unscanned):
        return assembly.assemble(_settings(path))


def _kind(problem: str) -> str:
    """The words of a message that do not come from the file."""
    words = [word for word in problem.split() if word.isalpha() and word.isascii()]
    return " ".join(words[:4])


def _rules_find(rules: list[Rule], contained: list[str]) -> None:
    """What an operator's rules name in so many words is found, by the scan and by RE2."""
    database = Database([database_pattern(rule) for rule in rules])
    patterns = [compile_pattern(rule.pattern) for rule in rules]
    for text in contained:
        raw = f"note: {text}.".encode()
        found = {number for number, pattern in enumerate(patterns) if pattern.search(raw) is not None}
        demand(found, "a text that its own policy does not find")
        demand(found <= set(database.scan(raw)), "the scan misses what RE2 finds")
    for rule in rules:
        Compiled(rule, SOURCES).prepare()


def _configs() -> Iterator[bytes]:
    external = {"name": "external_x", "url": "https://policy.example/check", "failOpen": True, "timeoutMs": 5}
    documents: list[dict[str, Any]] = [
        {},
        samples.CONFIG | {"plugins": {}},
        {"externalHttp": [external | {"requestTemplate": '{"text": "{{userMessage}}"}', "blockField": "a.b"}]},
        {"plugins": {"secrets": {"allow": [{"pattern": "AB+", "reason": "ours"}], "sources": ["input"]}}},
        {
            "policies": [
                {"regex": [pattern]} for pattern in ("a|b", "(?i)x{2,5}", "[^a]$", "\\bé+\\b", "a.*b", "(a(b))")
            ]
        },
        {"companyDomain": ["a.example", "B.EXAMPLE"], "pii": {"min_count": {"PERSON": 2}}, "externalConcurrency": 3},
        {
            "policies": [{}],
            "unknown": 1,
            "plugins": {"pii": {"disable": ["no-such"]}},
            "domainBlocklist": ["no domain"],
        },
    ]
    for document in documents:
        yield b"\0" + json.dumps(document).encode()
        yield b"\2" + yaml.safe_dump(document).encode()
    yield b'\1companyDomain = "a.example"\n[[policies]]\ncontains = ["x y"]\nreasonCode = 7\n[plugins.pii]\ndisable = []\n'
    yield b'\1piiKeywords = ["a", "b"]\ndomainBlocklist = ["x.example"]\n'
    yield b"\2policies: &a\n- contains: [x]\npiiKeywords: *a\n"


def _config(data: bytes, random: Random, native: Native) -> bytes:
    lead, rest = data[:1] or b"\0", data[1:]
    if lead[0] % 3 == 0:
        return lead + mutation.document(rest, random, native)
    if lead[0] % 3 == 2 and random.random() < 0.5:
        try:
            root = yaml.safe_load(rest)
            return lead + yaml.safe_dump(mutation.Editor(random, native).edited(root), allow_unicode=True).encode(
                "utf-8", "replace"
            )
        except (yaml.YAMLError, ValueError, TypeError, RecursionError):
            return lead + native(rest)
    return lead + native(rest)


TEXT = Target("text", check_text, mutation.text, _sample_texts, most=3_000, kept=800)
CONFIG = Target("config", check_config, _config, _configs, most=3_000, kept=70)
