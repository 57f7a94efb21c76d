"""The published schemas are those of the records."""

from typing import Any

import jsonschema
import pytest

from sentra.records import AuditRecord, TelemetryRecord, schemas

NAMED_BY_CONTRACT = [
    "schemaVersion",
    "ts",
    "correlationId",
    "conversationId",
    "agentId",
    "environmentId",
    "tenantId",
    "userId",
    "channelId",
    "planStepId",
    "toolId",
    "toolName",
    "blockAction",
    "reasonCode",
    "blockedBy",
    "ruleId",
    "source",
    "path",
    "view",
    "masked",
    "fingerprint",
    "latencyMs",
    "phases",
    "pluginTimings",
    "auditSuppressed",
    "wouldBlock",
    "late",
    "dropped",
    "errors",
    "counts",
    "configHash",
]


@pytest.mark.parametrize("name", ["telemetry", "audit"])
def test_a_schema_is_valid_itself(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas()[name])


def definition(name: str, record: type) -> dict[str, Any]:
    members: dict[str, Any] = schemas()[name]["$defs"][record.__name__]
    return members


@pytest.mark.parametrize(("name", "record"), [("telemetry", TelemetryRecord), ("audit", AuditRecord)])
def test_every_member_stands_in_every_record(name: str, record: type) -> None:
    members = definition(name, record)
    assert set(members["properties"]) == set(members["required"])
    assert set(NAMED_BY_CONTRACT) <= set(members["properties"])
    assert members["additionalProperties"] is False


def test_the_audit_record_adds_the_request_and_its_findings() -> None:
    more = set(definition("audit", AuditRecord)["properties"]) - set(
        definition("telemetry", TelemetryRecord)["properties"]
    )
    assert more == {"request", "requestOmitted", "findings"}
