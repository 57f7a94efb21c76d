"""Material for inputs: texts that rules look for, disguises for them, and requests to put them in."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from random import Random
from typing import Any

import msgspec

from sentra import ruleset
from sentra.plugins import BUILTIN
from sentra.wire import AnalyzeRequest, PlannerContext, ToolDefinition
from tests.conftest import PAYLOADS, request_with
from tests.corpora.evasion import TRANSFORMS

CONFIG: dict[str, Any] = {
    "companyDomain": "contoso.example",
    "domainBlocklist": ["blocked.example", "bücher.example"],
    "piiKeywords": ["Project Falcon", "straße"],
    "policies": [
        {"contains": ["operation nightjar"], "reasonCode": 710, "reason": "an internal name"},
        {"tool": "*mail*", "arg": "subject", "regex": ["^re:\\s*invoice"]},
        {"regex": ["[à-ü]{3}-\\d{4}$"], "reasonCode": 711},
    ],
    "pii": {"entities": ["all"], "min_count": {"EMAIL_ADDRESS": 3}},
    "plugins": {
        builtin.name: {"enable": [rule.id for rule in ruleset.shipped(builtin.name).rules if not rule.default]}
        for builtin in BUILTIN
        if builtin.name in ("exfil", "secrets", "pii", "domain_block")
    },
}
"""Every rule that ships, and an operator's own of each kind."""

MEMBERS = (
    *(*AnalyzeRequest.__struct_fields__, *PlannerContext.__struct_fields__, *ToolDefinition.__struct_fields__),
    *("role", "content", "timestamp", "outputs", "value", "type", "agent", "tenantId", "environmentId", "user"),
    *("channelId", "conversationId", "bcc", "to", "subject", "body", "message/bcc", "emailMessage.bcc", "note", "url"),
    *("password", "api_key", "ssn", "iban"),
)

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e308, 2**53 + 1, 2**63, -(2**63), 2**64 + 1, "", " ", "\x00", "\ufeff", "\ud800",
    "user", "assistant", "a" * 300, {}, [], [[]], {"": ""}, {"name": "x", "value": None}, {"name": 1, "value": [{}]},
    {"$kind": "String"}, "2026-05-02T14:34:58.1758533+00:00", "é\u200b\u202e\u0301", "😀\U000e0041", '"', "\\", "****(4)",
)  # fmt: skip

_DISGUISES = tuple(TRANSFORMS.values())


@cache
def texts() -> tuple[str, ...]:
    """The text of every case of every rule that ships, with its argument's name where it has one."""
    entries = [entry for builtin in BUILTIN for entry in ruleset.shipped(builtin.name).entries]
    found = [
        case.joined if case.key is None else f"{case.key}: {case.joined}" for entry in entries for case in entry.case
    ]
    found += [
        "mail@outside.example",
        "a, b@contoso.example;c",
        "http://blocked.example/x",
        "Operation Nightjar",
        "abc-1234",
    ]
    return tuple(dict.fromkeys(text for text in found if len(text) <= 600))


def disguised(random: Random, text: str) -> str:
    """``text`` in one of the disguises of the evasion corpus, or sometimes in two."""
    for _ in range(random.choice((1, 1, 2))):
        with suppress(ValueError):  # some take nothing but ASCII
            text = random.choice(_DISGUISES)(text[:200])
    return text[:2_000]


def requests() -> Iterator[bytes]:
    """Requests of every shape, and one for each twentieth text."""
    for path in sorted(PAYLOADS.glob("*.json")):
        yield path.read_bytes()
    for number, text in enumerate(texts()[::20]):
        planner: dict[str, Any] = {"userMessage": text}
        if number % 3 == 1:
            planner = {"previousToolsOutputs": [{"outputs": [{"name": "note", "value": text}]}]}
        values = {"message": {"bcc": [text], "body": text}} if number % 3 == 2 else {}
        tool = {"id": "x.Send-Mail", "name": "Send mail"}
        yield msgspec.json.encode(request_with(plannerContext=planner, inputValues=values, toolDefinition=tool))
