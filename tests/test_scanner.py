"""The one scan: what reads the same sources is scanned together, and no text is scanned for what does not read it."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from sentra import ruleset, scanner
from sentra.allowance import SCAN_SECONDS, ScanTime, no_clock
from sentra.errors import EngineError
from sentra.findings import SOURCES, Source
from sentra.inspection import Inspection, Segment
from sentra.linear import Pattern
from sentra.locate import Compiled
from sentra.plugins import BUILTIN
from sentra.ruleset import Case, Rule
from sentra.scanned import TOO_LONG
from sentra.scanner import LONG, PIECE, WORTH_PARTING, Scanner

WORDS = ("alpha", "beta", "gamma", "other")
SETS: tuple[tuple[Source, ...], ...] = (
    ("user_message", "history.user", "tool_output"),
    ("user_message", "history.user", "history.assistant", "input"),
    ("tool_description",),
)
RULES = [
    Compiled(Rule(id=f"{plugin}.word", title="Word", pattern=rf"\b{word}\b"), sources)
    for plugin, word, sources in zip(("exfil", "secrets", "pii"), WORDS, SETS, strict=False)
]
SCANNER = Scanner(RULES)
ALONE = [Scanner([compiled]) for compiled in RULES]
PAIR = Scanner([Compiled(Rule(id="exfil.pair", title="Pair", pattern=r"left\s*right"), SOURCES)])
TEXTS = st.lists(st.tuples(st.sampled_from(SOURCES), st.sampled_from(WORDS)), max_size=12)


def layer(texts: list[tuple[Source, str]], filler: int = WORTH_PARTING) -> Inspection:
    """Texts, and a long one that no rule reads, so that they are not scanned as one."""
    named = [(source, str(index), text) for index, (source, text) in enumerate(texts)]
    ordered = sorted([*named, ("thought", "filler", "-" * filler)], key=lambda each: SOURCES.index(each[0]))
    return Inspection([Segment(source, (None, name), text) for source, name, text in ordered])


def fired(scanner: Scanner, texts: list[tuple[Source, str]], filler: int = WORTH_PARTING) -> set[int]:
    return scanner.fired(layer(texts, filler), ScanTime(no_clock))


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_a_rule_fires_exactly_where_its_plugin_reads(texts: list[tuple[Source, str]]) -> None:
    expected = {
        number
        for number, (word, sources) in enumerate(zip(WORDS, SETS, strict=False))
        if any(source in sources and text == word for source, text in texts)
    }
    assert fired(SCANNER, texts) == expected
    assert fired(SCANNER, texts, filler=0) >= expected


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_what_is_found_does_not_depend_on_what_else_is_scanned(texts: list[tuple[Source, str]]) -> None:
    together = SCANNER.scan(layer(texts))
    for compiled, alone in zip(RULES, ALONE, strict=True):
        plugin = compiled.rule.plugin
        assert list(together.findings(plugin)) == list(alone.scan(layer(texts)).findings(plugin))


def test_a_match_that_begins_between_two_texts_is_none_and_costs_little() -> None:
    scanner = Scanner([Compiled(Rule(id="exfil.led", title="Led", pattern=r"\W\s{1,3}system:"), SOURCES)])
    scanned = scanner.scan(
        layer([("input", "see you on monday"), ("input", "system: linux"), ("input", "a - system: b")])
    )
    assert [(f.span.path, f.value) for f in scanned.findings("exfil")] == [("2", "- system:")]
    assert scanned.allowance.confirms == 1


@pytest.mark.parametrize("source", get_args(Source))
def test_a_match_does_not_cross_from_one_text_to_the_next(source: Source) -> None:
    assert not list(PAIR.scan(layer([(source, "left"), (source, "right")])).findings("exfil"))
    assert list(PAIR.scan(layer([(source, "left right"), (source, "right")])).findings("exfil"))


def test_the_sources_that_the_shipped_plugins_read_make_few_scans() -> None:
    assert len({frozenset(builtin.sources) for builtin in BUILTIN if builtin.name != "email_bcc"}) == 2


CASE = Case(name="open", text="the door is open", match=["open"])
SEEN = Rule(id="exfil.seen", title="Seen", pattern="open", case=(CASE,))
WORDED = next(rule for rule in ruleset.shipped("exfil").rules if rule.id == "exfil.worded-as-order")


def test_rules_that_fire_on_their_cases_are_proved() -> None:
    Scanner([Compiled(rule, ("tool_output",)) for rule in (SEEN, WORDED)]).prove()


def test_what_the_scan_saw_is_not_searched_for_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its first search RE2 takes memory for a pattern: 15 MB for all of them in each worker."""
    monkeypatch.setattr(Pattern, "search", lambda *arguments: pytest.fail("a search"))
    Scanner([Compiled(SEEN, ("tool_output",))]).prove()


@pytest.mark.parametrize("rule", [structs.replace(SEEN, scan="shut"), structs.replace(WORDED, least=99.0)])
def test_a_rule_that_would_silently_not_run_ends_the_start(rule: Rule) -> None:
    with pytest.raises(EngineError, match=rf"{rule.id}: the scan engine misses its case '{rule.case[0].name}'"):
        Scanner([Compiled(rule, ("tool_output",))]).prove()


def test_a_pattern_that_cannot_be_searched_for_ends_the_start() -> None:
    rule = structs.replace(SEEN, pattern="open(?=x)", scan="open")
    with pytest.raises(EngineError, match=r"exfil\.seen: pattern .* does not compile"):
        Scanner([Compiled(rule, ("tool_output",))]).prove()


PIECES = [
    Compiled(Rule(id=f"exfil.piece-{number}", title="Piece", pattern=pattern, strength=strength), SOURCES)
    for number, (pattern, strength) in enumerate(
        [("ab{1,3}a", "weak"), (r"\bжb", "strong"), ("a[^a]*c", "strong"), ("(?i)Ж[^a]{0,2}ж", "weak")]
    )
]
PARTED = Scanner(PIECES)


class Clock:
    """Seconds of processor time: each look at it comes ``step`` later."""

    def __init__(self, step: float) -> None:
        self.step, self.now = step, 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@settings(max_examples=300, deadline=None)
@given(st.text("ab жc", max_size=60), st.integers(1, 12))
def test_a_long_text_scanned_in_pieces_fires_what_the_whole_would(text: str, piece: int) -> None:
    whole = fired(PARTED, [("input", text)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanner, "LONG", 1)
        patch.setattr(scanner, "PIECE", piece)
        patch.setattr(scanner, "OVERLAP", 10)
        assert fired(PARTED, [("input", text)]) >= whole


def test_no_piece_cuts_a_character() -> None:
    for low in range(6):
        for high in range(low, 7):
            scanner._whole_characters("жжж".encode(), low, high).decode()


@pytest.mark.parametrize(
    ("text", "expected"), [("abba c", "exfil.piece-2"), ("abba", "exfil.piece-0"), ("no", "exfil.piece-1")]
)
def test_a_scan_that_takes_too_long_is_a_finding(text: str, expected: str) -> None:
    slow = Scanner(PIECES, cpu=Clock(SCAN_SECONDS / 3 + 1e-9))
    scanned = slow.scan(Inspection([Segment("input", (None, "note"), f"{text} " * (LONG // 2))]))
    first = next(iter(scanned.findings("exfil")))
    assert (first.rule_id, first.strength, first.reason, first.span.path) == (expected, "strong", TOO_LONG, "note")
    assert scanned.names("exfil")
    assert scanned.bytes < 2 * LONG * len(text.encode())


def test_a_quick_scan_of_a_long_text_finds_what_is_wider_than_two_pieces() -> None:
    text = "a" + "-" * (2 * PIECE) + "c" + "-" * LONG
    scanned = PARTED.scan(Inspection([Segment("input", (None, "note"), text)]))
    assert [finding.rule_id for finding in scanned.findings("exfil")] == ["exfil.piece-2"]
