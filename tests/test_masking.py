"""Every matched value is hidden, wherever and however it stands in a request."""

import base64
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentra import wire
from sentra.config import PolicyRule
from sentra.findings import SOURCES, Finding, Source, Span
from sentra.inspection import inspect
from sentra.locate import Compiled
from sentra.masking import Masker, Unmaskable, masker_for
from sentra.operator_rules import policy_rules
from sentra.pipeline import Pipeline
from sentra.plugins import BY_NAME
from sentra.plugins.rulepack import RulePack
from sentra.scanned import Scanned
from sentra.scanner import Scanner
from sentra.wire import request_tree
from tests.conftest import request_with

VALUE = "ZQ9-4417-KESTREL-8820"


@pytest.mark.parametrize(
    ("values", "text", "shown"),
    [
        (["secret"], "a secret here", "a ****(6) here"),
        (["secret"], "a SeCrEt here", "a ****(6) here"),
        (["secret"], "nothing", "nothing"),
        ([], "nothing", "nothing"),
        (["abcdef", "defghi"], "xabcdefghix", "x****(9)x"),
        (["aba"], "ababa", "****(5)"),
        (["abc", "abcdef"], "abcdef abc", "****(6) ****(3)"),
        (["größe"], "die GRÖßE", "die ****(5)"),
        (["a.b*c"], "a.b*c axbbc", "****(5) axbbc"),
        (["x" * 2000], "y" + "x" * 2000, "y****(2000)"),
        (["\ufffd"], "a\ufffdb", "a****(1)b"),
        (["(6)", "abcdef"], "abcdef (6)", "**** ****(3)"),
    ],
)
def test_text_is_shown_as(values: list[str], text: str, shown: str) -> None:
    assert Masker(values).text(text) == shown


def test_a_whole_text_is_hidden_only_where_it_is_all() -> None:
    masker = Masker([], whole=["to"])
    assert masker.text("to") == "****(2)"
    assert masker.text("tomorrow") == "tomorrow"


@pytest.mark.parametrize("size", [4, 10, 19])
def test_a_value_that_was_cut_off_at_the_end_of_a_text_is_hidden(size: int) -> None:
    text = "x" * 240 + VALUE[:size]
    assert Masker([VALUE]).cut_text(text) == "x" * 240 + "****"


def test_a_short_text_was_not_cut() -> None:
    assert Masker([VALUE]).cut_text("ends with ZQ9-") == "ends with ZQ9-"


def test_a_tree_keeps_its_shape() -> None:
    tree = {"b": [1, 2.5, None, True, "secret"], "a": {"my secret": {"x": "secret secret"}}, "n": 123456}
    assert Masker(["secret", "123456"]).tree(tree) == {
        "b": [1, 2.5, None, True, "****(6)"],
        "a": {"my ****(6)": {"x": "****(6) ****(6)"}},
        "n": "****(6)",
    }


def test_a_tree_keeps_its_order() -> None:
    assert list(Masker(["q"]).tree({"z": 1, "q": 2, "a": 3})) == ["z", "****(1)", "a"]


def test_keys_that_look_alike_when_hidden_stay_apart() -> None:
    masked = Masker(["one", "two"]).tree({"one": 1, "two": 2, "****(3)": 3})
    assert masked == {"****(3)": 1, "****(3)#2": 2, "****(3)#3": 3}


def test_a_value_that_two_neighbouring_strings_make_up_hides_both() -> None:
    assert Masker(["b\n\x00\nc"]).tree(["a", "b\n\x00\nc"]) == ["a", "****(5)"]


def test_a_deep_tree_is_masked() -> None:
    tree: Any = "secret"
    for _ in range(5000):
        tree = [tree]
    masked = Masker(["secret"]).tree(tree)
    for _ in range(5000):
        masked = masked[0]
    assert masked == "****(6)"


def test_too_many_values_are_refused() -> None:
    with pytest.raises(Unmaskable, match="too many values"):
        Masker(f"value {number}" for number in range(501))


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentra.masking.MAX_NODES", 100)
    with pytest.raises(Unmaskable, match="too many members"):
        Masker(["x"]).tree([1] * 100)


@cache
def empty_scanner() -> Scanner:
    return Scanner([])


def scanned(request: Any) -> tuple[Any, Scanned]:
    """The tree of a request, and a scan without rules of it."""
    decoded = wire.decode_request(msgspec.json.encode(request))
    return request_tree(decoded), empty_scanner().scan(inspect(decoded))


def found(path: str, value: str, start: int = 0, end: int = 0, view: str | None = None) -> Finding:
    source: Source = "input" if path.startswith("inputValues") else "tool_output"
    return Finding("p", "p.rule", "why", Span(source, path, start, end, view), value)


def masked(inputs: Any, *findings: Finding, **members: Any) -> Any:
    tree, looked = scanned(request_with(inputValues=inputs) | members)
    return masker_for(tree, findings, looked).tree(tree)


def test_a_value_is_hidden_in_its_argument_and_everywhere_else() -> None:
    shown = masked(
        {"to": f"x {VALUE}"}, found("inputValues.to", VALUE), toolDefinition={"id": f"t.{VALUE}", "name": "n"}
    )
    assert shown["inputValues"] == {"to": "x ****(21)"}
    assert shown["toolDefinition"]["id"] == "t.****(21)"


def test_a_value_across_name_and_value_hides_the_whole_value_and_its_name() -> None:
    shown = masked({"code 12": "34 and more", "x": 1}, found("inputValues.code 12", "12: 34", 5, 11))
    assert shown["inputValues"] == {"****(7)": "****(11)", "x": 1}


def test_a_value_across_name_and_value_in_a_list_does_too() -> None:
    shown = masked({"code 12": ["ab", "34 and more"]}, found("inputValues.code 12[1]", "12: 34", 5, 11))
    assert shown["inputValues"] == {"****(7)": ["ab", "****(11)"]}


def test_the_name_of_a_tool_output_counts_as_its_name() -> None:
    outputs = [{"outputs": [{"name": "code 12", "value": "34 and more"}]}]
    path = "plannerContext.previousToolsOutputs[0].outputs[0].value"
    shown = masked({}, found(path, "12: 34", 5, 11), plannerContext={"previousToolsOutputs": outputs})
    assert shown["plannerContext"]["previousToolsOutputs"] == [{"outputs": [{"name": "****(7)", "value": "****(11)"}]}]


def test_what_a_decoded_view_shows_hides_the_string_and_the_encoded_run_elsewhere() -> None:
    run = base64.b64encode(VALUE.encode()).decode()
    finding = found("inputValues.note", VALUE, 6 + 4, 6 + 4 + len(run), "base64")
    shown = masked({"note": f"see {run} now"}, finding, plannerContext={"thought": f"copy of {run}!"})
    assert shown["inputValues"] == {"note": "****(36)"}
    assert shown["plannerContext"]["thought"] == "copy of ****(28)!"


def test_a_rewritten_view_that_repeats_the_plain_text_hides_no_more_than_that() -> None:
    text = f"it’s {VALUE}, please"
    plain = found("inputValues.note", VALUE, 13, 34)
    view = found("inputValues.note", VALUE, 0, 50, "normalized")
    assert masked({"note": text}, plain, view)["inputValues"] == {"note": "it’s ****(21), please"}


def test_a_rewritten_view_that_shows_one_more_hides_the_whole_string() -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) for c in VALUE)
    plain = found("inputValues.note", VALUE, 6, 27)
    view = found("inputValues.note", VALUE, 0, 100, "normalized+folded")
    shown = masked({"note": f"{VALUE} {wide}"}, plain, view, view)
    assert shown["inputValues"] == {"note": "****(43)"}


def test_a_path_that_can_be_read_in_two_ways_hides_both() -> None:
    inputs = {"a.b": "12 x", "a": {"b": "12 y"}, "c": "12 z"}
    shown = masked(inputs, found("inputValues.a.b", "no literal", 0, 20, "rot13"))
    assert shown["inputValues"]["c"] == "12 z"
    assert "12 x" not in str(shown)
    assert "12 y" not in str(shown)


def test_where_a_list_was_expected_and_one_object_stands_the_path_is_still_found() -> None:
    outputs = {"outputs": {"value": "43 21"}}
    path = "plannerContext.previousToolsOutputs[0].outputs.value"
    shown = masked({}, found(path, "decoded", 0, 12, "hex"), plannerContext={"previousToolsOutputs": outputs})
    assert shown["plannerContext"]["previousToolsOutputs"] == {"outputs": {"****(5)": "****(5)"}}


@pytest.mark.parametrize(
    ("finding", "why"),
    [
        (found("inputValues.a", ""), "too many candidates"),
        (found("inputValues.gone", "decoded", view="hex"), "a path leads nowhere"),
        (found("inputValues." + "a" * 5000, "decoded", view="hex"), "a path is too long"),
    ],
)
def test_a_finding_that_cannot_be_hidden_is_refused(finding: Finding, why: str) -> None:
    with pytest.raises(Unmaskable, match=why):
        masked({"a": "x"}, finding)


def test_hostile_paths_cost_little() -> None:
    dotted = "." * 4000
    inputs = {dotted: {dotted: "x"}}
    started = time.process_time()
    with pytest.raises(Unmaskable):
        masked(inputs, *(found(f"inputValues.{dotted[:3900]}{number}", "v", view="hex") for number in range(4000)))
    assert time.process_time() - started < 5


@cache
def pipeline() -> Pipeline:
    """A pipeline whose one policy is the planted value, read in every source; made once."""
    rules = policy_rules([PolicyRule(contains=(VALUE,))])
    scanner = Scanner([Compiled(rule, SOURCES) for rule in rules])
    return Pipeline(scanner, [RulePack(BY_NAME["policy_pack"], rules)], clock=time.monotonic)


WIDE = "".join(chr(ord(c) + 0xFEE0) for c in VALUE)
ENCODED = (base64.b64encode(b"the value " + VALUE.encode()).decode(), VALUE.encode().hex())
PLANTED = st.sampled_from([VALUE, VALUE.lower(), VALUE.title(), WIDE, *ENCODED])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
planted = st.tuples(texts, PLANTED, texts).map(" ".join)
scalars = st.one_of(texts, planted, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False))
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | planted, inner, max_size=4),
    max_leaves=12,
)


def findings_in(body: dict[str, Any]) -> tuple[Any, Sequence[Finding], Scanned]:
    request = wire.decode_request(msgspec.json.encode(body))
    _, context = pipeline().decide(request, time.monotonic() + 60)
    return request_tree(request), pipeline().all_findings(context), context.scanned


@settings(deadline=None, max_examples=200)
@given(inputs=trees, outputs=trees, thought=trees, name=texts)
def test_a_planted_value_appears_nowhere_in_what_is_shown(inputs: Any, outputs: Any, thought: Any, name: str) -> None:
    """Plain in any letter case, in wide letters and encoded, in strings and keys of every source and of none."""
    body = request_with(f"use {VALUE}", inputValues=inputs, toolDefinition={"id": f"{name} {VALUE}", "name": name})
    body["plannerContext"] |= {"thought": thought, "previousToolsOutputs": [{"outputs": outputs}]}
    tree, findings, looked = findings_in(body)
    assert VALUE in {finding.value for finding in findings}
    shown = msgspec.json.encode(masker_for(tree, findings, looked).tree(tree)).decode()
    for disguise in (VALUE, WIDE, *ENCODED):
        assert disguise.casefold() not in shown.casefold()


@settings(deadline=None)
@given(tree=trees)
def test_without_findings_the_tree_is_unchanged(tree: Any) -> None:
    assert msgspec.json.encode(Masker([]).tree(tree)) == msgspec.json.encode(tree)


class Watched(str):
    """A text that counts how often it is searched from its beginning."""

    searched = 0

    def __str__(self) -> str:
        return self

    def __contains__(self, value: object) -> bool:
        Watched.searched += 1
        return super().__contains__(str(value))


def watched(count: int) -> tuple[Any, list[Finding], Scanned]:
    """The tree of a request with ``count`` values in one text, what finds them, and a scan of the request."""
    text = Watched(" ".join(f"n:{number:05d}" for number in range(count)))
    findings = [found("inputValues.d", text[at : at + 7], at + 3, at + 10) for at in range(0, len(text), 8)]
    return (
        {"inputValues": {"d": text}},
        findings,
        scanned(request_with(inputValues={"d": str(text.encode(), "ascii")}))[1],
    )


def test_a_long_text_is_not_searched_for_each_value_that_was_found_in_it() -> None:
    Watched.searched = 0
    masker = masker_for(*watched(400))
    assert Watched.searched == 0
    assert masker.text("see n:00399") == "see ****(7)"


def test_too_many_values_are_not_looked_for_one_by_one() -> None:
    Watched.searched = 0
    with pytest.raises(Unmaskable, match="too many values"):
        masker_for(*watched(2_000))
    assert Watched.searched == 0
