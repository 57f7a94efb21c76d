"""What the pii pack finds and leaves alone, on values and look-alikes that tests/corpora/pii.py makes."""

from collections.abc import Iterable
from functools import cache

import pytest

from sentra import ruleset
from sentra.cases import Bench
from sentra.findings import Finding
from sentra.inspection import inspect
from sentra.locate import Compiled
from sentra.plugins import BY_NAME, Context
from sentra.plugins.rulepack import RulePack
from sentra.ruleset import Rule
from sentra.scanner import Scanner
from sentra.wire import AnalyzeRequest, PlannerContext, ToolDefinition
from tests.conftest import CACHE
from tests.corpora import pii

PACK = ruleset.shipped("pii")
GROUPS = {rule.id: set(rule.group) for rule in PACK.rules}
TECHNICAL = {"IP_ADDRESS", "MAC_ADDRESS", "URL", "COORDINATES", "VIN"}
DEFAULT_SAMPLES, OTHER_SAMPLES, NEAR_MISSES = 1500, 60, 1500
LEAST_RECALL, LEAST_RECALL_OVERALL, MOST_FALSE = 0.97, 0.97, 0.005


def _scanner(rules: Iterable[Rule]) -> Scanner:
    return Scanner([Compiled(rule, BY_NAME["pii"].sources) for rule in rules])


@cache
def _defaults() -> Scanner:
    return _scanner(rule for rule in PACK.rules if rule.default)


@cache
def _everything() -> Scanner:
    return Bench(PACK, CACHE).scanner


def _found(scanner: Scanner, request: AnalyzeRequest) -> list[Finding]:
    return list(scanner.scan(inspect(request)).findings("pii"))


def _text(text: str) -> AnalyzeRequest:
    return AnalyzeRequest(PlannerContext(userMessage=text), ToolDefinition())


def _missed(scanner: Scanner, entity: str, count: int) -> list[str]:
    """The values of ``entity`` in which no rule of that entity found anything."""
    return [
        value
        for value, request in pii.positives(entity, count)
        if not any(entity in GROUPS[finding.rule_id] for finding in _found(scanner, request))
    ]


@pytest.mark.parametrize("entity", pii.DEFAULTS)
def test_default_entities_are_found_by_default_rules(entity: str) -> None:
    missed = _missed(_defaults(), entity, DEFAULT_SAMPLES)
    assert len(missed) / DEFAULT_SAMPLES <= 1 - LEAST_RECALL, missed[:10]


def test_all_entities_are_found_when_chosen() -> None:
    missed = {entity: _missed(_everything(), entity, OTHER_SAMPLES) for entity in pii.NATIONAL}
    assert sum(map(len, missed.values())) <= (1 - LEAST_RECALL_OVERALL) * OTHER_SAMPLES * len(missed), missed
    assert not [entity for entity, values in missed.items() if len(values) > OTHER_SAMPLES / 10]


def test_every_entity_of_the_corpus_is_an_entity_of_the_pack() -> None:
    assert set(pii.ENTITIES) <= set().union(*GROUPS.values())


def test_exactly_the_five_entities_are_on_by_default() -> None:
    assert {rule.group[0] for rule in PACK.rules if rule.default} == set(pii.DEFAULTS)


def test_default_rules_never_fire_on_ordinary_ids_times_and_figures() -> None:
    false = [(text, found) for text, request in pii.negatives(NEAR_MISSES) if (found := _found(_defaults(), request))]
    assert false == []


def test_all_rules_about_people_rarely_fire_on_ordinary_ids_times_and_figures() -> None:
    false = [
        (text, {finding.rule_id for finding in found})
        for text, request in pii.negatives(NEAR_MISSES)
        if (found := [f for f in _found(_everything(), request) if not GROUPS[f.rule_id] & TECHNICAL])
    ]
    assert len(false) / NEAR_MISSES <= MOST_FALSE, false[:10]


def test_values_of_one_entity_are_counted_across_its_rules() -> None:
    rules = [rule for rule in PACK.rules if rule.default]
    plugin = RulePack(BY_NAME["pii"], rules, min_count={"PHONE_NUMBER": 3})
    scanner = _defaults()

    def blocks(text: str) -> bool:
        request = _text(text)
        return plugin.judge(Context(request, scanner.scan(inspect(request)))).block

    two = "+44 20 7946 0958 or 415-555-0132"
    assert (blocks(two), blocks(f"{two} or phone 030 901820")) == (False, True)


@pytest.mark.parametrize(
    "text",
    [
        "order,item\n" + "".join(f"{4_155_550_132 + n},{12_345_678 + n}\n" for n in range(6000)),
        ", ".join(str(401_234_567_890 + n) for n in range(4000)),
        "Call the phone line about order 4155550132. " * 400,
        "".join(f"2024-05-01T10:15:30.{n:07}Z worker {n} is done\n" for n in range(3000)),
    ],
    ids=["orders", "tracking", "phone words", "log"],
)
def test_long_lists_of_ids_are_no_finding(text: str) -> None:
    assert _found(_defaults(), _text(text)) == []


def test_a_value_far_down_a_column_is_named_by_its_header() -> None:
    rows = "".join(f"Ann {n},4155550{n:03},open\n" for n in range(100, 200))
    assert len(_found(_defaults(), _text("name,mobile,state\n" + rows))) == 100
    assert _found(_defaults(), _text("name,order,state\n" + rows)) == []
