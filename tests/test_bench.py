"""The benchmark's own parts: bodies of the promised size, answers told apart."""

import msgspec
import pytest

from bench.answers import Answer, problem
from bench.requests import Case, cases, parse_size

CASES = list(cases())


@pytest.mark.parametrize(("label", "size"), [("1.7k", 1740), ("64k", 65_536), ("1m", 1_048_576), ("300", 300)])
def test_a_size_label_counts_bytes(label: str, size: int) -> None:
    assert parse_size(label) == size


@pytest.mark.parametrize("case", [c for c in CASES if c.definition.text == "ordinary"], ids=lambda case: case.name)
def test_an_ordinary_body_has_exactly_its_size(case: Case) -> None:
    assert len(case.body()) == case.size


@pytest.mark.parametrize("case", [c for c in CASES if c.label == "64k"], ids=lambda case: case.name)
def test_a_hostile_body_is_nearly_as_large_as_told(case: Case) -> None:
    assert 0.85 * case.size <= len(case.body()) <= 1.2 * case.size


def test_a_body_is_the_same_each_time() -> None:
    for case in CASES:
        if case.label == "8k":
            assert case.body() == case.body()


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)


def test_an_ordinary_body_has_turns_outputs_and_metadata() -> None:
    body = next(c for c in CASES if c.name == "curated/ordinary/64k").body()
    request = msgspec.json.decode(body)
    planner = request["plannerContext"]
    assert len(planner["chatHistory"]) > 10
    assert len(planner["previousToolsOutputs"]) > 5
    assert request["conversationMetadata"]["agent"]["tenantId"]


@pytest.mark.parametrize(
    ("name", "got", "wrong"),
    [
        ("curated/policy/8k", Answer("block", reasonCode=710), False),
        ("curated/policy/8k", Answer("block", reasonCode=201), True),
        ("curated/policy/8k", Answer("allow"), True),
        ("curated/ordinary/8k", Answer("allow"), False),
        ("curated/ordinary/8k", Answer("block", reasonCode=202), True),
        ("worst/too-deep/64k", Answer("error", errorCode=4002), False),
        ("worst/too-deep/64k", Answer("error", errorCode=4001), True),
    ],
)
def test_an_answer_is_wrong_when_any_part_differs(name: str, got: Answer, wrong: bool) -> None:
    case = next(c for c in CASES if c.name == name)
    assert bool(problem(case, got)) is wrong
