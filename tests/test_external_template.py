"""Every placeholder, every way that a template is refused, and values that only look like placeholders."""

from typing import Any

import msgspec
import pytest

from sentra.errors import ConfigError
from sentra.plugins.external.template import DEFAULT, FILLERS, Template
from tests.conftest import payload
from tests.external import context_of

DOCUMENT: dict[str, Any] = {
    "plannerContext": {"userMessage": 'say "hi"\n\\ to ü', "thought": "why\tnot"},
    "toolDefinition": {"id": "agent.action.Send-Mail", "name": 'Send "Mail"'},
    "inputValues": {"to": ["a@b.example"], "n": 1.5, "deep": {"x": None}},
    "conversationMetadata": {"agent": {"id": "agent-1"}, "conversationId": "conversation-9", "extra": "kept"},
    "later": "a member of a newer version",
}

FILLED: list[tuple[str, Any]] = [
    ('{"a": "${userMessage}"}', {"a": 'say "hi"\n\\ to ü'}),
    ('{"a": "<${userMessage}> and <${toolName}>"}', {"a": '<say "hi"\n\\ to ü> and <Send "Mail">'}),
    ('{"a": ${userMessageJson}}', {"a": 'say "hi"\n\\ to ü'}),
    ('{"a": "${toolName}", "b": ${toolNameJson}}', {"a": 'Send "Mail"', "b": 'Send "Mail"'}),
    ("${inputJson}", DOCUMENT["inputValues"]),
    ('["${thought}", "${toolId}"]', ["why\tnot", "agent.action.Send-Mail"]),
    ('["${agentId}", "${conversationId}"]', ["agent-1", "conversation-9"]),
    ('{"${toolName}": 1}', {'Send "Mail"': 1}),
    ('{"price": "$5 {a}", "b": "$"}', {"price": "$5 {a}", "b": "$"}),
    ("{}", {}),
    (DEFAULT, {"userMessage": 'say "hi"\n\\ to ü', "toolName": 'Send "Mail"', "input": DOCUMENT["inputValues"]}),
]

REFUSED: list[tuple[str, str]] = [
    ("{${userMessage}}", "no valid JSON"),
    ('{"a": ${userMessage}}', "no valid JSON"),
    ('{"a": "${userMessageJson}"}', "no valid JSON"),
    ('{"a": "${inputJson}"}', "no valid JSON"),
    ('{"a": "${texts}"}', "no valid JSON"),
    ('{"a": "${requestJson}"}', "no valid JSON"),
    ('{"a": "\\${userMessage}"}', "no valid JSON"),
    ('{"a": "b"', "no valid JSON"),
    ("text", "no valid JSON"),
    ('{"a": "${usermessage}"}', r"unknown placeholder '\$\{usermessage\}'; expected one of \$\{userMessage\}"),
    ('{"a": "${}"}', "unknown placeholder"),
    ('{"a": ${input}}', "unknown placeholder"),
]


def render(text: str, document: Any = None, body: bytes = b"", sources: Any = None) -> Any:
    return msgspec.json.decode(Template(text).render(context_of(document or DOCUMENT, body), sources))


@pytest.mark.parametrize(("text", "expected"), FILLED, ids=[text for text, _ in FILLED])
def test_a_template_is_filled(text: str, expected: Any) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text for text, _ in REFUSED])
def test_a_template_that_cannot_become_json_is_refused_at_load(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Template(text)


def test_every_text_placeholder_is_escaped_for_quotes() -> None:
    names = [name for name in FILLERS if not name.endswith("Json") and name != "texts"]
    hostile = '", "injected": "yes'
    document = {
        "plannerContext": {"userMessage": hostile, "thought": hostile},
        "toolDefinition": {"id": hostile, "name": hostile},
        "conversationMetadata": {"agent": {"id": hostile}, "conversationId": hostile},
    }
    template = "{" + ", ".join(f'"{name}": "${{{name}}}"' for name in names) + "}"
    assert render(template, document) == dict.fromkeys(names, hostile)


def test_a_value_that_looks_like_a_placeholder_is_data() -> None:
    document = DOCUMENT | {
        "plannerContext": {"userMessage": "${toolName} ${inputJson} $", "thought": "{userMessage}"},
        "toolDefinition": {"name": "${userMessage}"},
    }
    template = '{"a": "$${userMessage}${thought}", "b": ${toolNameJson}}'
    assert render(template, document) == {"a": "$${toolName} ${inputJson} ${userMessage}", "b": "${userMessage}"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [(None, ""), ("", ""), ({"card": ["x"]}, '{"card":["x"]}'), (["a"], '["a"]'), (12, "12"), (True, "true")],
)
def test_a_user_message_of_any_shape_is_sent_as_text(message: Any, expected: str) -> None:
    document = DOCUMENT | {"plannerContext": {"userMessage": message}}
    assert render('["${userMessage}", ${userMessageJson}]', document) == [expected, expected]


def test_no_input_is_an_empty_object() -> None:
    assert render("${inputJson}", {**DOCUMENT, "inputValues": None}) == {}


def test_numbers_of_any_size_arrive_as_they_are() -> None:
    document = b'{"plannerContext":{},"toolDefinition":{"name":"x"},"inputValues":{"n":123456789012345678901234567890}}'
    filled = Template("${inputJson}").render(context_of(msgspec.json.decode(document)), None)
    assert filled == b'{"n":123456789012345678901234567890}'


def test_texts_are_all_segments_with_their_names() -> None:
    texts = render("${texts}")
    assert 'say "hi"\n\\ to ü' in texts
    assert "to: a@b.example" in texts
    assert "why\tnot" in texts


def test_texts_are_those_of_the_chosen_sources() -> None:
    assert render("${texts}", sources=frozenset(["thought"])) == ["why\tnot"]


def test_the_request_is_forwarded_with_members_that_sentra_does_not_know() -> None:
    assert render("${requestJson}", body=msgspec.json.encode(DOCUMENT)) == DOCUMENT


def test_a_request_without_its_body_is_forwarded_as_understood() -> None:
    known = {name: value for name, value in DOCUMENT.items() if name != "later"}
    assert render('{"request": ${requestJson}}') == {"request": known}


@pytest.mark.parametrize("body", [b'{"plannerContext": "\\ud800"}', b"\xff", b"{", b"[" * 5000])
def test_a_body_that_strict_readers_refuse_is_written_anew(body: bytes) -> None:
    assert render("${requestJson}", body=body)["toolDefinition"] == DOCUMENT["toolDefinition"]


@pytest.mark.parametrize("name", ["send-email"])
def test_a_captured_request_fills_every_placeholder(name: str) -> None:
    quoted = [f'"${{{p}}}"' for p in FILLERS if not p.endswith("Json") and p != "texts"]
    plain = [f"${{{p}}}" for p in FILLERS if p.endswith("Json") or p == "texts"]
    assert len(render(f"[{', '.join(quoted + plain)}]", payload(name))) == len(FILLERS)
