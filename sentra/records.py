"""The telemetry and the audit record: their members, how some of them come about, and the JSON Schema made from them."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Struct

from sentra.findings import Decision, Source

SCHEMA_VERSION = 1


class Phases(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where the time went, in milliseconds."""

    auth: float | None = None
    decode: float | None = None
    segment: float | None = None
    scan: float | None = None
    confirm: float | None = None
    plugins: float | None = None
    external: float | None = None
    total: float = 0.0


class TelemetryRecord(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One request: who asked for what, the verdict and what it rests on, and how long it took.

    ``blockAction`` is what the caller was told. ``wouldBlock`` is true for every block, also one that audit mode withheld
    (``auditSuppressed``). ``auditRecorded`` is null when no audit record was due. ``late``: the time budget was used up.
    ``dropped``: the caller was gone before the answer. ``droppedBefore``: lines that this process lost since its last.
    """

    schema_version: int
    ts: str
    correlation_id: str | None
    tenant_id: str | None
    environment_id: str | None
    agent_id: str | None
    agent_name: str | None
    user_id: str | None
    channel_id: str | None
    conversation_id: str | None
    message_id: str | None
    plan_id: str | None
    plan_step_id: str | None
    tool_id: str | None
    tool_name: str | None
    outcome: Literal["allow", "block", "error"]
    block_action: bool
    would_block: bool
    audit_suppressed: bool
    audit_recorded: bool | None
    reason_code: int | None
    blocked_by: str | None
    rule_id: str | None
    source: Source | None
    path: str | None
    view: str | None
    masked: str | None
    fingerprint: str | None
    noted: tuple[str, ...]
    latency_ms: float
    phases: Phases
    plugin_timings: dict[str, float]
    late: bool
    dropped: bool
    dropped_before: int
    errors: tuple[str, ...]
    error_code: int | None
    counts: dict[str, int]
    config_hash: str


class AuditFinding(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One of the findings in a blocked request."""

    plugin: str
    rule_id: str
    source: Source
    path: str
    view: str | None
    masked: str
    fingerprint: str | None


class AuditRecord(TelemetryRecord, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A telemetry record with the first 100 findings and the request; ``requestOmitted`` says why that is missing."""

    findings: tuple[AuditFinding, ...]
    request: Any
    request_omitted: str | None


def phases(decision: Decision, auth_ms: float | None, decode_ms: float | None, seconds: float) -> Phases:
    """Where the time of a request went that took ``seconds``."""
    timings, plugins = decision.timings, decision.plugin_timings
    return Phases(
        auth=milliseconds(auth_ms),
        decode=milliseconds(decode_ms),
        segment=milliseconds(timings.get("segment")),
        scan=milliseconds(timings.get("scan")),
        confirm=milliseconds(timings.get("confirm")),
        plugins=milliseconds(_plugins_ms(decision)) if plugins else None,
        external=milliseconds(timings.get("external", _outside_ms(decision) or None)),
        total=milliseconds(seconds * 1000),
    )


def _plugins_ms(decision: Decision) -> float:
    """What the plugins took in this process, without the confirming of candidates."""
    local = sum(decision.plugin_timings.values()) - _outside_ms(decision)
    return max(0.0, local - decision.timings.get("confirm", 0.0))


def _outside_ms(decision: Decision) -> float:
    return sum([spent for name, spent in decision.plugin_timings.items() if name.startswith("external_")])


def milliseconds(value: Any) -> Any:
    """A time as records have it: to the microsecond; nothing for nothing."""
    return value and round(value, 3)


def stamp() -> str:
    """Now, in UTC, to the millisecond."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{nanoseconds // 1_000_000:03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]


def schemas() -> dict[str, Any]:
    """JSON Schema of the telemetry and the audit record."""
    return {
        name: {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(kind)}
        for name, kind in (("telemetry", TelemetryRecord), ("audit", AuditRecord))
    }
