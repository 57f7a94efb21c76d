"""Blind copies: every address must be in the company."""

from typing import Any

import pytest

from sentra.inspection import inspect
from sentra.plugins import Context
from sentra.plugins.email_bcc import EmailBcc
from sentra.scanner import Scanner
from sentra.wire import AnalyzeRequest, PlannerContext, ToolDefinition

PLUGIN = EmailBcc(("corp.example", "bücher.example"))


def judged(inputs: Any, tool: str = "x.action.Send-Email", plugin: EmailBcc = PLUGIN) -> bool:
    request = AnalyzeRequest(PlannerContext(), ToolDefinition(id=tool), inputs)
    return plugin.judge(Context(request, Scanner([]).scan(inspect(request)))).block


@pytest.mark.parametrize(
    "value",
    [
        "",
        None,
        [],
        " ; ",
        "a@corp.example",
        "A@CORP.EXAMPLE.",
        "Ann <a@corp.example>",
        '"Doe, Jane" <j@corp.example>; b@corp.example',
        ["a@corp.example", "b@corp.example"],
        "a@bücher.example",
        "a@xn--bcher-kva.example",
    ],
)
def test_what_stays_inside_is_allowed(value: Any) -> None:
    assert not judged({"bcc": value})


@pytest.mark.parametrize(
    "value",
    [
        "a@other.example",
        "a@corp.example, b@other.example",
        "a@corp.example;b@other.example",
        "a@corp.example\nb@other.example",
        ["a@corp.example", ["b@other.example"]],
        {"address": "b@other.example"},
        "a@mail.corp.example",
        "a@corp.example.evil.example",
        "a@notcorp.example",
        "a@evil.example@corp.example",
        '"a@corp.example" <b@other.example>',
        "b@other.example <a@corp.example>",
        "not an address",
        "@corp.example",
        "a b@corp.example",
        42,
        True,
        "<a@corp.example",
        "a@[127.0.0.1]",
    ],
)
def test_what_leaves_or_cannot_be_parsed_is_blocked(value: Any) -> None:
    assert judged({"bcc": value})


@pytest.mark.parametrize(
    "value", ["(" * 2_000, "a:" * 400, "a@b:" * 20_000, "<" * 500, "x," * 500_000, "a@corp.example" * 90]
)
def test_an_address_that_would_exhaust_the_parser_is_blocked(value: str) -> None:
    assert judged({"bcc": value})


def test_a_display_name_with_a_comment_is_an_address() -> None:
    assert not judged({"bcc": "Jane Doe (Sales) <jane@corp.example>"})


@pytest.mark.parametrize(
    ("value", "blocked"),
    [
        (["a@corp.example"] * 1_000, False),
        (["a@corp.example"] * 1_001, True),
        ("a@corp.example;" * 1_000, False),
        ("a@corp.example;" * 1_001, True),
        (" " * 100_000, False),
        (" " * 100_001, True),
    ],
    ids=["list at the limit", "list over it", "text at the limit", "text over it", "characters at", "characters over"],
)
def test_more_recipients_than_can_be_read_are_blocked(value: Any, blocked: bool) -> None:
    assert judged({"bcc": value}) is blocked


@pytest.mark.parametrize("name", ["bcc", "BCC", "emailMessage/Bcc", "message.bcc", " Bcc "])
def test_every_spelling_of_the_argument_counts(name: str) -> None:
    assert judged({"nested": [{name: "a@other.example"}]})


@pytest.mark.parametrize("name", ["cc", "abcc", "bccs", "to", "bcc/note"])
def test_other_arguments_do_not_count(name: str) -> None:
    assert not judged({name: "a@other.example"})


def test_only_mail_tools_are_judged() -> None:
    assert not judged({"bcc": "a@other.example"}, tool="x.action.Create-Row")
    assert judged({"bcc": "a@other.example"}, tool="OUTLOOKMAIL")


def test_without_a_company_domain_every_address_is_external() -> None:
    assert judged({"bcc": "a@corp.example"}, plugin=EmailBcc(()))


def test_the_finding_names_the_path_and_not_the_address() -> None:
    request = AnalyzeRequest(PlannerContext(), ToolDefinition(name="mail"), {"m": {"Bcc": ["a@other.example"]}})
    verdict = PLUGIN.judge(Context(request, Scanner([]).scan(inspect(request))))
    assert verdict.finding is not None
    assert verdict.finding.evidence().path == "inputValues.m.Bcc[0]"
    assert "other" not in repr(verdict)
