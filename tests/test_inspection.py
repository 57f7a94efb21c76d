"""Segments: every text of a request, with its source and path."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sentra.findings import SOURCES
from sentra.inspection import SEPARATOR, Inspection, Path, inspect
from sentra.wire import AnalyzeRequest, PlannerContext, ToolDefinition
from tests.conftest import payload


def inspected(inputs: Any = None, **planner: Any) -> Inspection:
    return inspect(AnalyzeRequest(PlannerContext(**planner), ToolDefinition(id="a"), inputs))


def texts(inspection: Inspection) -> list[tuple[str, str, str]]:
    return [(segment.source, segment.name, segment.text) for segment in inspection.segments]


def test_an_argument_reads_name_and_value() -> None:
    assert texts(inspected({"to": "a@b.c", "n": 4111, "deep": {"list": ["x", None, True]}})) == [
        ("input", "inputValues.deep", "deep"),
        ("input", "inputValues.to", "to: a@b.c"),
        ("input", "inputValues.n", "n: 4111"),
        ("input", "inputValues.deep.list", "list"),
        ("input", "inputValues.deep.list[0]", "list: x"),
    ]


def test_history_is_told_apart_by_role() -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": {"body": "a"}}, "odd", None]
    assert texts(inspected(chatHistory=turns)) == [
        ("history.user", "plannerContext.chatHistory[0].content", "q"),
        ("history.user", "plannerContext.chatHistory[2]", "odd"),
        ("history.assistant", "plannerContext.chatHistory[1].content.body", "body: a"),
    ]


def test_tool_outputs_of_any_shape_are_read() -> None:
    listed = [{"toolId": "t", "outputs": [{"name": "mail", "type": "String", "value": "text"}]}]
    single = [{"outputs": {"name": "mail", "value": {"deep": ["text"]}}}]
    assert ("tool_output", "plannerContext.previousToolsOutputs[0].outputs[0].value", "mail: text") in texts(
        inspected(previousToolsOutputs=listed)
    )
    assert ("tool_output", "plannerContext.previousToolOutputs[0].outputs.value.deep[0]", "deep: text") in texts(
        inspected(previousToolOutputs=single)
    )
    assert texts(inspected(previousToolOutputs="text"))[0][2] == "text"


def test_a_captured_request_is_read_whole() -> None:
    import msgspec

    from sentra.wire import decode_request

    found = texts(inspect(decode_request(msgspec.json.encode(payload("send-email")))))
    assert {source for source, _, _ in found} == {
        "user_message",
        "thought",
        "history.user",
        "history.assistant",
        "input",
        "tool_description",
    }
    assert ("input", "inputValues.subject", "subject: Test Email") in found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in strings(item))]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []


@given(JSON)
def test_every_string_and_key_of_nested_json_is_in_some_segment(value: Any) -> None:
    found = [segment.text for segment in inspected(value).segments]
    assert all(any(text in segment for segment in found) for text in strings(value) if text)


@given(st.lists(st.text(max_size=20), max_size=6))
def test_offsets_delimit_each_segment_in_the_buffer(values: list[str]) -> None:
    inspection = inspected(values)
    for index, segment in enumerate(inspection.segments):
        assert inspection.buffer[segment.start : segment.end] == segment.text.encode("utf-8", "replace")
        assert inspection.segment_at(segment.start) == index
    assert inspection.buffer.count(SEPARATOR) >= len(inspection.segments) - 1


KEYS = st.sampled_from(["", "name", "value", "type", "outputs", "role", "content", "k" * 70]) | st.text(max_size=3)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["user", ""])
ANY = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
TURNS = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": ANY}) | ANY) | ANY
OUTPUT = st.fixed_dictionaries({"name": LEAVES, "type": ANY, "value": ANY}) | ANY
OUTPUTS = st.lists(st.fixed_dictionaries({"outputs": st.lists(OUTPUT, max_size=3) | OUTPUT}) | ANY, max_size=3) | ANY


def at(request: AnalyzeRequest, path: Path | None) -> Any:
    """What stands at ``path``."""
    if path is None:
        return request
    before, step = path
    value = at(request, before)
    if isinstance(value, PlannerContext | ToolDefinition | AnalyzeRequest):
        return getattr(value, str(step))
    return value[step] if isinstance(step, str) or isinstance(value, list) else value  # one entry without its list


@given(ANY, TURNS, OUTPUTS, ANY, ANY)
def test_each_path_leads_to_the_text_of_its_segment(
    message: Any, turns: Any, outputs: Any, inputs: Any, tool: Any
) -> None:
    planner = PlannerContext(userMessage=message, chatHistory=turns, previousToolOutputs=outputs)
    request = AnalyzeRequest(planner, ToolDefinition(description=message, inputParameters=tool), inputs)
    for segment in inspect(request).segments:
        value = at(request, segment.path)
        read = segment.text.encode("utf-8", "replace")[segment.skip :].decode()
        shown = str(value) if type(value) in (str, int, float) else str(segment.path[1])
        assert read == shown.encode("utf-8", "replace").decode()


@given(ANY, TURNS, OUTPUTS, ANY)
def test_segments_stand_in_the_order_of_their_sources(message: Any, turns: Any, outputs: Any, inputs: Any) -> None:
    planner = PlannerContext(message, message, turns, outputs)
    inspection = inspect(AnalyzeRequest(planner, ToolDefinition(description=inputs), inputs))
    places = [SOURCES.index(segment.source) for segment in inspection.segments]
    assert places == sorted(places)
    for source, (first, last) in inspection.ranges.items():
        assert {segment.source for segment in inspection.segments[first:last]} == {source}
    assert sum(last - first for first, last in inspection.ranges.values()) == len(places)


@given(st.lists(st.text("a\x00\né", max_size=4), max_size=6))
def test_a_nul_in_a_text_is_told_from_those_between_texts(values: list[str]) -> None:
    assert inspected(values).holds_nul() is any("\x00" in value for value in values)


def test_segments_are_made_once() -> None:
    segments = inspected({"a": "b"}).segments
    assert segments[0] is segments[-1]
    assert next(iter(segments)) is segments[0]
