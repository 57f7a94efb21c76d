"""The matrix of reply settings and reply bodies: block, allow, or an error of its own kind."""

from typing import Any

import msgspec
import pytest

from sentra.errors import ConfigError
from sentra.plugins.external.reply import Answer, CallError, Reader
from tests.external import definition

LIST = {"blockField": "/entities", "nonEmptyPointerBlocks": True}
ROOT_LIST = {"blockField": "/", "nonEmptyPointerBlocks": True}
SCORE = {"blockField": "/result/score", "threshold": 0.8}
PRESIDIO = ROOT_LIST | {"items": {"types": ["CREDIT_CARD", "IBAN_CODE"], "minScore": 0.6}}
CARD = {"entity_type": "CREDIT_CARD", "score": 0.9, "start": 0, "end": 16}

ANSWERS: list[tuple[dict[str, Any], Any, bool | str]] = [
    # a boolean, by default called block
    ({}, {"block": True}, True),
    ({}, {"block": False}, False),
    ({}, {"block": False, "other": True}, False),
    ({}, {"block": "true"}, "shape"),
    ({}, {"block": 1}, "shape"),
    ({}, {"block": None}, "shape"),
    ({}, {"block": []}, "shape"),
    ({}, {"Block": True}, "missing_field"),
    ({}, {}, "missing_field"),
    ({}, [], "missing_field"),
    ({}, [True], "missing_field"),
    ({}, True, "shape"),
    ({}, None, "shape"),
    ({}, "block", "shape"),
    # its opposite
    ({"blockField": "allow"}, {"allow": True}, False),
    ({"blockField": "allow"}, {"allow": False}, True),
    ({"blockField": "allow"}, {"allow": None}, "shape"),
    ({"blockField": "allow"}, {"block": False}, "missing_field"),
    # the root
    ({"blockField": "/"}, True, True),
    ({"blockField": "/"}, False, False),
    ({"blockField": "/"}, {"block": True}, "shape"),
    ({"blockField": "/"}, "true", "shape"),
    # a JSON Pointer
    ({"blockField": "/result/flagged"}, {"result": {"flagged": True}}, True),
    ({"blockField": "/result/flagged"}, {"result": {"flagged": False}}, False),
    ({"blockField": "/result/flagged"}, {"result": {}}, "missing_field"),
    ({"blockField": "/result/flagged"}, {"result": None}, "shape"),
    ({"blockField": "/results/0/flagged"}, {"results": [{"flagged": True}]}, True),
    ({"blockField": "/results/1/flagged"}, {"results": [{"flagged": True}]}, "missing_field"),
    ({"blockField": "/results/-1/flagged"}, {"results": [{"flagged": True}]}, "missing_field"),
    ({"blockField": "/a~1b/c~0d"}, {"a/b": {"c~d": True}}, True),
    # a list or an object that should be empty
    (LIST, {"entities": [1]}, True),
    (LIST, {"entities": []}, False),
    (LIST, {"entities": {"PERSON": 1}}, True),
    (LIST, {"entities": {}}, False),
    (LIST, {"entities": None}, "shape"),
    (LIST, {"entities": True}, "shape"),
    (LIST, {"entities": "x"}, "shape"),
    (LIST, {"entities": 0}, "shape"),
    (LIST, {}, "missing_field"),
    (ROOT_LIST, [], False),
    (ROOT_LIST, {}, False),
    (ROOT_LIST, [CARD], True),
    (ROOT_LIST, None, "shape"),
    # a score
    (SCORE, {"result": {"score": 0.8}}, True),
    (SCORE, {"result": {"score": 0.79}}, False),
    (SCORE, {"result": {"score": 1}}, True),
    (SCORE, {"result": {"score": True}}, "shape"),
    (SCORE, {"result": {"score": "0.9"}}, "shape"),
    (SCORE, {"result": {}}, "missing_field"),
    # items of a list, filtered
    (PRESIDIO, [CARD], True),
    (PRESIDIO, [CARD | {"score": 0.6}], True),
    (PRESIDIO, [CARD | {"score": 0.59}], False),
    (PRESIDIO, [CARD | {"entity_type": "PERSON"}], False),
    (PRESIDIO, [CARD | {"entity_type": "PERSON"}, CARD | {"entity_type": "IBAN_CODE"}], True),
    (PRESIDIO, [[], [CARD]], True),
    (PRESIDIO, [[], []], False),
    (PRESIDIO, [], False),
    (PRESIDIO, [CARD | {"score": None}], "shape"),
    (PRESIDIO, [{"entity_type": "CREDIT_CARD"}], "shape"),
    (PRESIDIO, [{"score": 1.0}], "shape"),
    (PRESIDIO, ["CREDIT_CARD"], "shape"),
    (PRESIDIO, [[[CARD]]], "shape"),
    (PRESIDIO, {"error": "no language"}, "shape"),
    (ROOT_LIST | {"items": {"minScore": 0.5}}, [{"score": 0.7}], True),
    (ROOT_LIST | {"items": {"minScore": 0.5}}, [{"score": 0.2}], False),
    (ROOT_LIST | {"items": {"types": ["x"], "typeField": "kind"}}, [{"kind": "x"}], True),
    # another provider of the same contract
    ({"preset": "provider"}, {"blockAction": True, "reasonCode": 112, "reason": "r"}, True),
    ({"preset": "provider"}, {"blockAction": False}, False),
    ({"preset": "provider"}, {"isSuccessful": True}, "missing_field"),
    ({"preset": "provider"}, {"blockAction": "yes"}, "shape"),
]

RAW: list[tuple[bytes, str]] = [
    (b"", "not_json"),
    (b"OK", "not_json"),
    (b'{"block": true', "not_json"),
    (b'{"block": true}{}', "not_json"),
    (b'{"block": "\xff"}', "not_json"),
    (b"[" * 100_000, "not_json"),
    (b"<html><body>Request blocked. Incident 42</body></html>", "html"),
    (b"\n  <!DOCTYPE html>", "html"),
]

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"blockField": "blocked"}, "blockField: 'blocked': expected 'block', 'allow', '/'"),
    ({"blockField": "$.block"}, "JSON Pointer"),
    (LIST | {"threshold": 1}, "only one of them"),
    ({"blockField": "allow", "nonEmptyPointerBlocks": True}, "'allow' is a boolean"),
    ({"blockField": "allow", "threshold": 1}, "'allow' is a boolean"),
    ({"items": {"minScore": 1}}, "set nonEmptyPointerBlocks too"),
    ({"preset": "provider", "blockField": "block"}, "preset 'provider'"),
    ({"preset": "provider", "threshold": 1}, "preset 'provider'"),
]


def outcome(settings: dict[str, Any], body: bytes) -> bool | str:
    try:
        return Reader(definition(**settings)).read(body).block
    except CallError as error:
        return error.kind


@pytest.mark.parametrize(("settings", "reply", "expected"), ANSWERS)
def test_a_reply_means_what_the_settings_say(settings: dict[str, Any], reply: Any, expected: bool | str) -> None:
    assert outcome(settings, msgspec.json.encode(reply)) == expected


@pytest.mark.parametrize("settings", [{}, LIST, SCORE, PRESIDIO, {"blockField": "/"}, {"preset": "provider"}])
@pytest.mark.parametrize(("body", "expected"), RAW)
def test_a_reply_that_is_no_json_is_an_error(settings: dict[str, Any], body: bytes, expected: str) -> None:
    assert outcome(settings, body) == expected


def test_a_byte_order_mark_before_the_json_is_read_over() -> None:
    assert outcome({}, b'\xef\xbb\xbf{"block": true}') is True


@pytest.mark.parametrize("reason", [rb"\ud800", rb"\udc00 \ud83d", rb"\ud83d\ude00", rb"\\ud800"])
def test_a_reason_that_echoes_half_a_surrogate_pair_does_not_undo_a_block(reason: bytes) -> None:
    assert outcome({}, b'{"block": true, "reason": "%b"}' % reason) is True


@pytest.mark.parametrize(("settings", "message"), CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("$", r"\$")):
        Reader(definition(**settings))


def test_the_type_that_blocked_is_named() -> None:
    assert Reader(definition(**PRESIDIO)).read(msgspec.json.encode([CARD])) == Answer(True, "CREDIT_CARD")


@pytest.mark.parametrize(
    ("reply", "code", "reason"),
    [
        ({"reasonCode": 112, "reason": "blind copy"}, 112, "blind copy"),
        ({"reasonCode": "112", "reason": ["x"]}, None, ""),
        ({"reasonCode": -1, "reason": "a\nb\x00" + "c" * 500}, None, "ab" + "c" * 198),
        ({"reasonCode": True}, None, ""),
        ({"reasonCode": 10**30}, None, ""),
    ],
)
def test_another_providers_reason_is_taken_over_as_far_as_it_fits(reply: Any, code: int | None, reason: str) -> None:
    body = msgspec.json.encode({"blockAction": True} | reply)
    assert Reader(definition(preset="provider")).read(body) == Answer(True, "", reason, code)
