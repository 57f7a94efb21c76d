"""A plugin that is nothing but rules: strong findings, counts, and weak findings that block together."""

import base64
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentra.findings import Evidence, Finding, Source, Verdict
from sentra.inspection import Inspection, Segment
from sentra.locate import Compiled
from sentra.plugins import BY_NAME, Context
from sentra.plugins.rulepack import RulePack
from sentra.ruleset import Combination, Rule
from sentra.scanner import Scanner
from sentra.wire import AnalyzeRequest, PlannerContext, ToolDefinition

EXFIL = BY_NAME["exfil"]
RULES = (
    Rule(id="exfil.strong", title="Strong", pattern="STRONG", reason="It is strong"),
    Rule(id="exfil.coded", title="Coded", pattern="CODED", reason_code=712),
    Rule(id="exfil.tried", title="Tried", pattern="TRIED", maturity="sandbox"),
    Rule(id="exfil.counted", title="Counted", pattern="COUNT[0-9]", group=("COUNTED",)),
    Rule(id="exfil.red", title="Red", pattern="RED", strength="weak", group=("colour",)),
    Rule(id="exfil.blue", title="Blue", pattern="BLUE", strength="weak", group=("colour",)),
    Rule(id="exfil.round", title="Round", pattern="ROUND", strength="weak"),
    Rule(id="exfil.tall", title="Tall", pattern="TALL", strength="weak"),
)
BALL = Combination(id="exfil.ball", title="A ball", all=("colour", "exfil.round"), reason="It rolls")
TWO_COLOURS = Combination(id="exfil.flag", title="A flag", all=("colour", "colour"))


def judge(
    *texts: str, combinations: tuple[Combination, ...] = (BALL,), min_count: dict[str, int] | None = None
) -> Verdict:
    source: Source = "tool_output"
    segments = [Segment(source, (None, f"text{index}"), text) for index, text in enumerate(texts)]
    scanner = scanner_of(RULES)
    context = Context(AnalyzeRequest(PlannerContext(), ToolDefinition()), scanner.scan(Inspection(segments)))
    return RulePack(EXFIL, RULES, combinations, min_count).judge(context)


def near(size: int) -> Combination:
    return msgspec.structs.replace(BALL, near=size)


def beside(size: int) -> Combination:
    return msgspec.structs.replace(BALL, near=size, within="request")


def test_a_strong_finding_blocks_with_its_reason_and_the_code_of_the_plugin() -> None:
    verdict = judge("so STRONG")
    assert (verdict.block, verdict.rule_id, verdict.reason, verdict.reason_code) == (
        True,
        "exfil.strong",
        "It is strong",
        111,
    )


def test_a_rule_may_bring_its_own_code() -> None:
    assert judge("CODED").reason_code == 712


def test_a_sandbox_rule_is_noted_and_does_not_block() -> None:
    verdict = judge("TRIED")
    assert (verdict.block, [finding.rule_id for finding in verdict.noted]) == (False, ["exfil.tried"])


def test_nothing_found_is_no_block() -> None:
    assert judge("plain") == Verdict("exfil")


@pytest.mark.parametrize(
    ("text", "block"),
    [("COUNT1 COUNT2", False), ("COUNT1 COUNT1 COUNT1", False), ("COUNT1 COUNT2 COUNT3", True)],
)
def test_a_group_may_need_several_distinct_values(text: str, block: bool) -> None:
    assert judge(text, min_count={"COUNTED": 3}).block is block


@pytest.mark.parametrize("text", ["RED", "ROUND", "RED BLUE", "ROUND TALL", "RED TALL"])
def test_weak_findings_do_not_block_unless_they_complete_a_combination(text: str) -> None:
    assert not judge(text).block


@pytest.mark.parametrize("text", ["RED ROUND", "ROUND BLUE", "TALL ROUND RED BLUE"])
def test_one_finding_of_each_entry_blocks_in_any_order(text: str) -> None:
    verdict = judge(text)
    assert (verdict.block, verdict.rule_id, verdict.reason) == (True, "exfil.ball", "It rolls")


def test_a_combination_rests_on_a_finding_of_its_first_entry() -> None:
    finding = judge("ROUND BLUE").finding
    assert isinstance(finding, Finding)
    assert finding.evidence() == Evidence("tool_output", "text0", "****(4)")


def test_a_strong_finding_goes_before_a_combination() -> None:
    assert judge("RED ROUND STRONG").rule_id == "exfil.strong"


def test_one_finding_does_not_stand_for_two_entries() -> None:
    assert not judge("RED", combinations=(TWO_COLOURS,)).block
    assert judge("RED BLUE", combinations=(TWO_COLOURS,)).block


def test_findings_of_two_segments_do_not_complete_a_combination_of_a_segment() -> None:
    assert not judge("RED", "ROUND").block


def test_findings_of_two_segments_complete_a_combination_of_the_request() -> None:
    assert judge("RED", "ROUND", combinations=(beside(0),)).block


@pytest.mark.parametrize(("gap", "block"), [(16, True), (17, False)])
def test_entries_stand_within_the_given_bytes_in_either_order(gap: int, block: bool) -> None:
    assert judge("RED" + " " * (gap - 3) + "ROUND", combinations=(near(16),)).block is block
    assert judge("ROUND" + " " * (gap - 5) + "RED", combinations=(near(16),)).block is block


def test_a_finding_beyond_the_distance_does_not_hide_a_nearer_one() -> None:
    assert judge("RED" + " " * 100 + "BLUE ROUND", combinations=(near(16),)).block


def test_many_weak_findings_cost_little() -> None:
    assert not judge("RED " * 400 + " " * 100 + "ROUND " * 400, combinations=(near(16),)).block


COMPANION = tuple(msgspec.structs.replace(rule, companion=rule.id == "exfil.round") for rule in RULES)
HIDDEN = base64.b64encode(b"and it is ROUND, as it was told before").decode()
WORDS = st.lists(st.sampled_from(("RED", "BLUE", "ROUND", "STRONG", "TALL", "é" * 30, ". " * 40, HIDDEN)), max_size=8)


@cache
def scanner_of(rules: tuple[Rule, ...]) -> Scanner:
    return Scanner([Compiled(rule, EXFIL.sources) for rule in rules])


def judge_with(rules: tuple[Rule, ...], combination: Combination, texts: list[str]) -> Verdict:
    segments = [Segment("tool_output", (None, f"text{index}"), text) for index, text in enumerate(texts)]
    scanned = scanner_of(rules).scan(Inspection(segments))
    return RulePack(EXFIL, rules, (combination,)).judge(
        Context(AnalyzeRequest(PlannerContext(), ToolDefinition()), scanned)
    )


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(WORDS, min_size=1, max_size=3), size=st.sampled_from((0, 20, 100, 400)))
def test_a_companion_completes_a_combination_exactly_where_a_scanned_rule_would(
    parts: list[list[str]], size: int
) -> None:
    texts = [" ".join(part) for part in parts]
    verdict, expected = (judge_with(rules, near(size), texts) for rules in (COMPANION, RULES))
    assert (verdict.block, verdict.rule_id) == (expected.block, expected.rule_id)


def test_what_companions_match_is_known_for_masking_wherever_it_stands() -> None:
    scanner = scanner_of(COMPANION)
    segments = [Segment("tool_output", (None, "text"), "RED, then TALL"), Segment("tool_output", (None, "b"), "ROUND")]
    context = Context(AnalyzeRequest(PlannerContext(), ToolDefinition()), scanner.scan(Inspection(segments)))
    found = RulePack(EXFIL, COMPANION, (BALL,)).findings(context)
    assert {finding.rule_id for finding in found} == {"exfil.red", "exfil.tall", "exfil.round"}


@pytest.mark.parametrize("rules", [RULES, COMPANION])
def test_too_many_candidates_of_a_weak_rule_block(rules: tuple[Rule, ...]) -> None:
    scanned = scanner_of(rules).scan(Inspection([Segment("tool_output", (None, "text"), "ROUND and RED")]))
    scanned.allowance.left = 0
    context = Context(AnalyzeRequest(PlannerContext(), ToolDefinition()), scanned)
    verdict = RulePack(EXFIL, rules, (BALL,)).judge(context)
    assert (verdict.block, verdict.rule_id) == (True, "exfil.red")


def test_too_much_work_blocks_whatever_count_the_rule_has() -> None:
    counted = [Compiled(rule, ("tool_output",)) for rule in RULES if "COUNTED" in rule.group]
    layer = Inspection([Segment("tool_output", (None, "text"), "COUNT1 " * 40_000)])
    for clock in (iter(number * 0.02 for number in range(10**6)), iter(number * 1.0 for number in range(10**6))):
        scanned = Scanner(counted, cpu=clock.__next__).scan(layer)
        context = Context(AnalyzeRequest(PlannerContext(), ToolDefinition()), scanned)
        verdict = RulePack(EXFIL, RULES, (), {"COUNTED": 3}).judge(context)
        assert (verdict.block, verdict.rule_id) == (True, "exfil.counted")
