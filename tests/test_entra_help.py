"""Federated-credential subjects and the explanations of errors."""

import base64
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentra.entra_help import AADSTS, COPILOT_STUDIO, codes, endpoint_problems, federated_subject, read_subject

TENANT = "00112233-4455-6677-8899-aabbccddeeff"


def test_a_subject_has_the_form_that_copilot_studio_presents() -> None:
    mixed_endian = bytes.fromhex("33221100554477668899aabbccddeeff")
    tenant = base64.urlsafe_b64encode(mixed_endian).decode().rstrip("=")
    endpoint = base64.urlsafe_b64encode(b"https://threat.contoso.example/validate").decode().rstrip("=")
    expected = f"/eid1/c/pub/t/{tenant}/a/m1WPnYRZpEaQKq1Cceg--g/{endpoint}"
    assert federated_subject(TENANT, "https://threat.contoso.example/validate") == expected


@given(st.uuids(), st.text(st.characters(min_codepoint=0x21, max_codepoint=0x2FFF), min_size=1, max_size=200))
def test_a_subject_is_read_back_from_within_a_message(tenant: uuid.UUID, endpoint: str) -> None:
    message = f"AADSTS700213: presented assertion subject '{federated_subject(str(tenant), endpoint)}'. Please check"
    assert list(read_subject(message)) == [(str(tenant), COPILOT_STUDIO, endpoint)]


@pytest.mark.parametrize("text", ["", "/eid1/c/pub/t/AAAA/a/AAAA/AAAA", "/eid1/c/pub/t/A/a/A/A", "/eid1/c/pub/t//a//"])
def test_what_is_no_subject_is_passed_over(text: str) -> None:
    assert list(read_subject(text)) == []


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("http://a.example", "it must begin with https:// and a host name"),
        ("a.example", "it must begin with https:// and a host name"),
        ("https://", "it must not end with a slash"),
        ("https://a.example/", "it must not end with a slash"),
        ("https://a.example/validate", "it must be the base address"),
        ("https://a.example/x/analyze-tool-execution", "it must be the base address"),
        ("https://a.example?x=1", "it must be scheme, host and path only"),
        ("https://a.example#x", "it must be scheme, host and path only"),
        ("https://u@a.example", "it must be scheme, host and path only"),
        ("https://a.example ", "it must be scheme, host and path only"),
        ("https://[a", "it is no address"),
    ],
)
def test_an_endpoint_that_cannot_work_is_told(endpoint: str, problem: str) -> None:
    assert any(told.startswith(problem) for told in endpoint_problems(endpoint))


@pytest.mark.parametrize("endpoint", ["https://a.example", "https://a.example:8443/api/agentSecurity"])
def test_an_endpoint_that_can_work_is_accepted(endpoint: str) -> None:
    assert list(endpoint_problems(endpoint)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500011", ["500011"]),
        (" AADSTS500011 ", ["500011"]),
        ("AADSTS700213: no match. See also AADSTS70021, AADSTS700213.", ["700213", "70021"]),
        ("Trace ID: 12345678", []),
        ("AADSTS1", []),
        ("", []),
    ],
)
def test_codes_are_found(text: str, expected: list[str]) -> None:
    assert codes(text) == expected


def test_every_explanation_says_what_and_what_to_do() -> None:
    assert len(AADSTS) >= 15
    for code, explanation in AADSTS.items():
        assert codes(f"AADSTS{code}: ") == [code]
        assert explanation.meaning.endswith(".")
        assert explanation.remedy.endswith(".")


def test_the_guide_lists_exactly_the_known_codes() -> None:
    guide = (Path(__file__).parent.parent / "docs" / "copilot-studio.md").read_text()
    assert set(codes(guide)) == set(AADSTS)
