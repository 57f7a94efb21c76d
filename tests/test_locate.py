"""Long texts are searched in pieces: what is found is the same, and the work can be ended between two of them."""

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentra import locate, ruleset
from sentra.allowance import CONFIRM_SECONDS, WINDOW, Allowance, never, no_clock
from sentra.engine import is_utf8
from sentra.findings import SOURCES
from sentra.inspection import Inspection, Segment
from sentra.locate import Compiled
from sentra.plugins import BUILTIN
from sentra.ruleset import Rule
from sentra.scanner import Scanner

BOUNDED = (
    r"(?i)(?:ab|a)[^.]{0,3}b",
    r"\ba{1,4}\b",
    r"(?:a|ab)(?:b|ba)",
    r"b[^\n.]{2}(?P<value>a?b)",
    r"(?:ж|жa)[^.]{0,2}(?:b|ж)",
    r"[^a]{2,5}a",
)
QUICK = ("bidi-override", "fake-turns", "hidden-container", "hidden-order", "image-with-data", "tag-characters",
         "tool-call-markup", "variation-selector-run")  # fmt: skip
SHIPPED = [rule for builtin in BUILTIN for rule in ruleset.shipped(builtin.name).rules if rule.pattern]


def compiled(pattern: str, widest: int = 0) -> Compiled:
    return Compiled(Rule(id="exfil.piece", title="Piece", pattern=pattern, widest=widest), SOURCES)


@pytest.mark.parametrize(
    ("pattern", "widest"),
    [
        ("abc", 3),
        ("(?i)a[^.]{0,20}b", 22),
        ("ж[^.]{0,3}", 16),
        (r"\x{436}", 4),
        (r"(?:one|three)\d{2,4}", 9),
        ("a+", None),
        ("a{2,}", None),
        (r"a[\]*]{2}", 3),
        (r"a\*", 2),
        ("a{,9}", None),
        ("(?U)a", None),
        ("a{5000}", None),
    ],
)
def test_the_most_bytes_of_a_match_are_known(pattern: str, widest: int | None) -> None:
    assert ruleset.widest(pattern) == widest


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_match_is_longer(data: st.DataObject) -> None:
    pattern = data.draw(st.sampled_from(BOUNDED))
    text = data.draw(st.from_regex(pattern, fullmatch=True, alphabet="abж .\n" if is_utf8(pattern) else "ab .\n"))
    widest = ruleset.widest(pattern)
    assert widest is not None
    assert len(text.encode()) <= widest


def test_every_shipped_pattern_can_be_searched_for() -> None:
    patterns = [pattern for rule in SHIPPED for pattern in (rule.pattern, rule.scan) if pattern]
    assert [problem for pattern in patterns for problem in ruleset.pattern_problems(pattern)] == []


def test_no_case_of_a_rule_has_a_longer_match() -> None:
    for rule in SHIPPED:
        rule_of = Compiled(rule, SOURCES)
        for case in rule.case:
            for match in rule_of.prepare().finditer(case.joined.encode()):
                assert rule_of.widest is None or match.end() - match.start() <= rule_of.widest, rule.id


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(BOUNDED), st.text("ab ж.\n", max_size=80), st.integers(0, 20), st.integers(1, 12))
def test_a_text_searched_in_pieces_has_the_same_first_match(pattern: str, text: str, low: int, window: int) -> None:
    buffer, rule = text.encode(), compiled(pattern)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locate, "WINDOW", window)
        found = rule.search(buffer, low, len(buffer), Allowance(len(buffer), never, no_clock))
    expected = rule.prepare().search(buffer, low, len(buffer))
    assert (found and found.spans) == (expected and expected.spans)


class Watched:
    """A pattern that notes how much each search of it covers."""

    def __init__(self, rule: Compiled):
        self.pattern, self.sizes = rule.prepare(), list[int]()

    def search(self, buffer: bytes, low: int, high: int) -> object:
        self.sizes.append(high - low)
        return self.pattern.search(buffer, low, high)


def clock(step: float) -> Iterator[float]:
    """Seconds: each look at it comes ``step`` later."""
    return (step * number for number in count())


@pytest.mark.parametrize("rule", [compiled("ж[^.]{0,3}б"), compiled(r"left\s+right", widest=40)])
def test_a_long_text_ends_in_a_finding_when_its_pieces_take_too_long(rule: Compiled) -> None:
    watched = Watched(rule)
    rule._pattern = watched  # type: ignore[assignment]
    layer = Inspection([Segment("input", (None, "note"), "ж left " * (100 * WINDOW // 10))])
    steps = clock(CONFIRM_SECONDS / 4)
    (found,) = locate.locate(layer, rule, Allowance(len(layer.buffer), never, lambda: next(steps)))
    assert (found.reason, found.strength) == ("Piece: too many candidates to tell apart", "strong")
    assert max(watched.sizes) <= WINDOW + (rule.widest or 0)
    assert len(watched.sizes) < 10


def test_patterns_that_take_long_on_a_text_made_for_them_are_searched_in_pieces() -> None:
    """Gaps between alternatives make states without number: a megabyte of the right words took seconds in one search."""
    quick = {f"exfil.{name}" for name in QUICK}
    assert {rule.id for rule in SHIPPED if "exfil." in rule.id and Compiled(rule, SOURCES).widest is None} == quick


def test_pieces_find_what_stands_in_a_long_text() -> None:
    rule = compiled(r"left[^.]{0,9}right")
    text = "left - " * 5_000 + "left or right" + " - right" * 5_000
    found = list(Scanner([rule]).scan(Inspection([Segment("input", (None, "note"), text)])).findings("exfil"))
    assert [(f.span.start, f.value) for f in found] == [(35_000, "left or right")]
