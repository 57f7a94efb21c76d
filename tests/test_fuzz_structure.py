"""Requests of every structure: each is judged, and nothing but their content decides the verdict."""

import json
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import request_with
from tests.fuzz import contract
from tests.fuzz.judging import check_request
from tests.fuzz.samples import MEMBERS, ODD, texts
from tests.fuzz.service import judging

EXAMPLES = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
DEEP = 150

TEXTS = st.one_of(st.text(max_size=60), st.sampled_from(texts()))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.sampled_from([odd for odd in ODD if odd != "\ud800"]),
)
NAMES = st.one_of(st.sampled_from(MEMBERS), st.text(max_size=12))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
TURNS = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": TEXTS}, optional={"id": VALUES}),
    max_size=3,
)
OUTPUTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "toolId": TEXTS,
            "outputs": st.one_of(VALUES, st.lists(st.fixed_dictionaries({"name": NAMES, "value": VALUES}))),
        },
    ),
    max_size=2,
)


def member(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What is usual, mostly; null or anything else otherwise."""
    return st.one_of(usual, usual, VALUES)


PLANNERS = st.fixed_dictionaries(
    {},
    optional={
        "userMessage": member(TEXTS),
        "thought": member(TEXTS),
        "chatHistory": member(TURNS),
        "previousToolsOutputs": member(OUTPUTS),
        "previousToolOutputs": member(OUTPUTS),
        "unknown": VALUES,
    },
)
TOOLS = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=40)},
    optional={
        "name": member(TEXTS),
        "description": member(TEXTS),
        "inputParameters": VALUES,
        "outputParameters": VALUES,
    },
)
METADATA = st.fixed_dictionaries(
    {}, optional={"agent": VALUES, "user": VALUES, "conversationId": VALUES, "channelId": VALUES}
)
REQUESTS = st.fixed_dictionaries(
    {"plannerContext": PLANNERS, "toolDefinition": TOOLS},
    optional={
        "inputValues": member(st.dictionaries(NAMES, VALUES, max_size=4)),
        "conversationMetadata": member(METADATA),
        "extra": VALUES,
    },
)


def answer(body: str) -> contract.Decision:
    given = judging().analyze(body.encode())
    assert given.status == 200
    return contract.decision(given.body)


def gist(decision: contract.Decision) -> tuple[Any, ...]:
    """What must not depend on the order in which an object's members come."""
    rule = json.loads(decision.diagnostics or "{}").get("ruleId")
    return decision.blockAction, decision.reasonCode, decision.blockedBy, rule


@given(request=REQUESTS)
@EXAMPLES
def test_any_valid_request_is_judged_in_the_contracts_shape(request: dict[str, Any]) -> None:
    body = json.dumps(request).encode()
    assert contract.must_be_judged(body)
    check_request(body)


@given(value=VALUES, depth=st.integers(1, DEEP), name=st.sampled_from(["a", "bcc", "value", "content", ""]))
@EXAMPLES
def test_deep_values_are_judged(value: Any, depth: int, name: str) -> None:
    for level in range(depth):
        value = {name: value} if level % 2 else [value]
    check_request(json.dumps(request_with(inputValues={"x": value})).encode())


@given(request=REQUESTS)
@EXAMPLES
def test_spaces_and_escapes_do_not_change_the_answer(request: dict[str, Any]) -> None:
    expected = answer(json.dumps(request, ensure_ascii=False, separators=(",", ":")))
    assert answer(json.dumps(request)) == expected
    assert answer(json.dumps(request, indent="\t", separators=(" ,\r\n", " : "))) == expected
    assert answer(escaped(request)) == expected


def escaped(document: Any) -> str:
    """``document`` with every character of every string as an escape."""
    if isinstance(document, dict):
        return "{" + ",".join(f"{escaped(key)}:{escaped(value)}" for key, value in document.items()) + "}"
    if isinstance(document, list):
        return "[" + ",".join(map(escaped, document)) + "]"
    if isinstance(document, str):
        units = document.encode("utf-16-be")
        return '"' + "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2)) + '"'
    return json.dumps(document)


@given(request=REQUESTS, seed=st.integers(0, 1000))
@EXAMPLES
def test_the_order_of_members_does_not_change_the_verdict(request: dict[str, Any], seed: int) -> None:
    expected = gist(answer(json.dumps(request)))
    assert gist(answer(json.dumps(shuffled(request, Random(seed))))) == expected


def shuffled(document: Any, random: Random) -> Any:
    if isinstance(document, dict):
        keys = list(document)
        random.shuffle(keys)
        return {key: shuffled(document[key], random) for key in keys}
    return [shuffled(item, random) for item in document] if isinstance(document, list) else document


BENIGN = st.sampled_from(
    [
        "",
        "hello",
        "thank you",
        "please send the agenda for monday",
        "the meeting is at noon",
        "ok",
        "好的",
        "42",
        "noted \U0001f44d",
    ]
)
HISTORY = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": BENIGN, "id": BENIGN}),
    max_size=30,
)


@cache
def blocked() -> tuple[str, ...]:
    """Texts that are blocked as the user's message."""
    found = [text for text in texts()[::3] if answer(json.dumps(request_with(text))).blockAction]
    assert len(found) > 100
    return tuple(found)


@given(data=st.data(), history=HISTORY, outputs=st.lists(BENIGN, max_size=20), thought=BENIGN)
@EXAMPLES
def test_honest_text_beside_it_does_not_undo_a_block(
    data: st.DataObject, history: list[dict[str, str]], outputs: list[str], thought: str
) -> None:
    text = data.draw(st.sampled_from(blocked()))
    planner = {
        "userMessage": text,
        "thought": thought,
        "chatHistory": history,
        "previousToolsOutputs": [{"outputs": [{"name": "note", "value": output}]} for output in outputs],
    }
    values = {f"argument{number}": output for number, output in enumerate(outputs)}
    assert answer(json.dumps(request_with(plannerContext=planner, inputValues=values))).blockAction


@given(data=st.data(), filler=st.integers(0, 5_000))
@EXAMPLES
def test_padding_does_not_undo_a_block(data: st.DataObject, filler: int) -> None:
    text = data.draw(st.sampled_from(blocked()))
    padded = [{"role": "user", "content": "all is well. " * filler}]
    assert answer(json.dumps(request_with(plannerContext={"chatHistory": padded, "userMessage": text}))).blockAction


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd)[:20])
@pytest.mark.parametrize("place", ["plannerContext", "toolDefinition", "inputValues", "conversationMetadata", "other"])
def test_an_odd_value_anywhere_is_judged_or_refused_by_the_contract(place: str, odd: Any) -> None:
    check_request(json.dumps(request_with("hello", **{place: odd})).encode())
    inner = request_with("hello")
    for name in MEMBERS:
        inner.setdefault(place, {})
        inner[place][name] = odd
    check_request(json.dumps(inner).encode())
