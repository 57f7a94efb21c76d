"""Every case of every shipped rule; `pytest -k aws-access-key` selects a rule's."""

import re

import pytest

from sentra import ruleset
from sentra.cases import Bench, Outcome
from sentra.plugins import BUILTIN
from tests.conftest import CACHE

PACKS = {builtin.name: Bench(ruleset.shipped(builtin.name), CACHE) for builtin in BUILTIN}
OUTCOMES = [outcome for bench in PACKS.values() for outcome in bench.outcomes()]
LEAST_CASES = 1_000


@pytest.mark.parametrize("outcome", OUTCOMES, ids=[outcome.test_id for outcome in OUTCOMES])
def test_case(outcome: Outcome) -> None:
    assert outcome.problem == ""


def test_no_case_is_skipped() -> None:
    assert len(OUTCOMES) >= LEAST_CASES


@pytest.mark.parametrize("plugin", [name for name, bench in PACKS.items() if bench.pack.rules])
def test_without_its_rule_exactly_the_rule_s_cases_fail(plugin: str) -> None:
    bench = PACKS[plugin]
    for rule in bench.pack.rules[::7]:
        for case in rule.case:
            scanned = bench.scan(case, rule.sources[0] if rule.sources else "user_message")
            others = {finding.rule_id for finding in (*scanned.findings(plugin), *scanned.companions(plugin))}
            assert (rule.id in others) == bool(case.match)


TAG = re.compile(r"LLM(?:0[1-9]|10):2025|ASI(?:0[1-9]|10):2026|AML\.T\d{4}(?:\.\d{3})?|CWE-\d+")


@pytest.mark.parametrize("plugin", [name for name, bench in PACKS.items() if bench.pack.rules])
def test_every_rule_is_tagged_in_the_spelling_of_the_lists_themselves(plugin: str) -> None:
    untagged = [entry.id for entry in PACKS[plugin].pack.entries if not entry.tags]
    others = {tag for entry in PACKS[plugin].pack.entries for tag in entry.tags if not TAG.fullmatch(tag)}
    assert (untagged, others) == ([], set())
