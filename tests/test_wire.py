"""Decoding: lenient to the caller, exact in its errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentra.errors import RequestError
from sentra.wire import decode_request, identity


def body(message: str) -> bytes:
    return b'{"plannerContext":{"userMessage":"' + message.encode() + b'"},"toolDefinition":{"id":"a"}}'


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\ud800", "\ufffd"),
        (r"\udfff\ud83d\ude00", "\ufffd😀"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
        (r"\\ud800 \ud800", "\\ud800 \ufffd"),
        (r"\\\ud800", "\\\ufffd"),
        (r"\uD83Dx\uDE00", "\ufffdx\ufffd"),
    ],
)
def test_lone_surrogates_become_replacement_characters(escaped: str, text: str) -> None:
    assert decode_request(body(escaped)).plannerContext.userMessage == text


@given(st.lists(st.sampled_from(["\\ud800", "\\udc00", "\\\\", "a", "\\n", "\\ud83d\\ude00", '\\"', "\\u0041"])))
def test_every_mix_of_escapes_is_judged_as_the_reference_reads_it(parts: list[str]) -> None:
    import json

    expected = json.loads('"' + "".join(parts) + '"')
    expected = expected.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert decode_request(body("".join(parts))).plannerContext.userMessage == expected


def test_a_number_that_overflows_is_kept_as_text() -> None:
    request = decode_request(b'{"plannerContext":{},"toolDefinition":{"id":"a"},"inputValues":{"n":1e999}}')
    assert request.inputValues == {"n": "1e999"}


def test_a_byte_order_mark_is_ignored() -> None:
    assert decode_request(b"\xef\xbb\xbf" + body("x")).tool_id == "a"


def test_an_error_tells_the_place_and_not_the_value() -> None:
    with pytest.raises(RequestError) as caught:
        decode_request(b'{"plannerContext":"hunter2","toolDefinition":{"id":"a"}}')
    assert "$.plannerContext" in caught.value.message
    assert "hunter2" not in caught.value.message


def error_code(raw: bytes) -> int | None:
    try:
        decode_request(raw)
    except RequestError as error:
        return error.code
    return None


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_request_error(raw: bytes) -> None:
    assert error_code(raw) in (None, 4002)


def test_identity_takes_odd_metadata_as_missing() -> None:
    request = decode_request(
        b'{"plannerContext":{},"toolDefinition":{"id":"a"},"conversationMetadata":{"agent":3,"user":{"id":["x"]},"channelId":"'
        + b"c" * 500
        + b'"}}'
    )
    who = identity(request)
    assert (who.agent_id, who.user_id, who.tool_id) == (None, None, "a")
    assert who.channel_id == "c" * 256
