"""Targets from bytes on the wire to the decision: ``request``, ``records``, ``call`` and ``repeated``."""

import json
import math
import time
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any
from zlib import crc32

import msgspec

from sentra import wire
from sentra.findings import Finding
from sentra.inspection import Inspection, Segment
from sentra.records import AuditRecord, TelemetryRecord
from sentra.wire import Identity, request_tree
from tests.conftest import request_with
from tests.fuzz import contract, mutation, samples
from tests.fuzz.service import TOKEN, Answer, Service, guarded, judging, recording
from tests.fuzz.target import COST, Native, Target, demand, within

STEADY_SECONDS = 0.05
"""Confirm work ends by processor time, so only what took less must have the same verdict twice."""
SCANNED_PER_BYTE, SCANNED_FREE = 16, 1 << 20
LEAST_SECRET = 4
METRICS_SHARE = 16
"""Metrics are looked at after one request in this many: that costs more than to judge it."""
REPEATED_BYTES = 64 << 10


def check_request(body: bytes) -> Iterable[str]:
    """A body of any bytes: judged the same way twice, in time, in the contract's shape, without its matched values."""
    service = judging()
    answer, seconds = _timed(service, body)
    _is_answer(answer)
    if contract.must_be_judged(body):
        demand(answer.status == 200, "an error for a request that can be judged")
    _is_sound(service, body)
    marks = _marks(service)
    if answer.status == 200:
        _tells_no_value(service, answer)
    if seconds < STEADY_SECONDS:
        again, _ = _timed(service, body)
        demand(again == answer, "another answer to the same request")
    return marks


def _timed(service: Service, body: bytes) -> tuple[Answer, float]:
    started = time.thread_time()
    with within():
        answer = service.analyze(body)
    return answer, time.thread_time() - started


def _is_answer(answer: Answer) -> None:
    headers = dict(answer.headers)
    demand(headers[b"content-type"] == b"application/json", "an answer that is not JSON")
    demand(headers[b"content-length"] == b"%d" % len(answer.body), "a wrong length")
    if answer.status == 200:
        contract.decision(answer.body)
    else:
        contract.error(answer.status, answer.body)


def _is_sound(service: Service, body: bytes) -> None:
    """No check failed on the request, nothing was late, and the work is in proportion to its size."""
    demand(service.event is not None, "nothing recorded")
    decision = service.decision
    if decision is None:
        return
    demand(not decision.late, "late without a deadline")
    demand(not decision.errors or decision.errors[0].startswith("limits: "), f"a check failed: {decision.errors}")
    demand(decision.counts.get("scanBytes", 0) <= SCANNED_FREE + SCANNED_PER_BYTE * len(body), "scanned too much")


def _marks(service: Service) -> list[str]:
    rules = service.pipeline.scanner.rules
    fired = [rules[n].rule.id if n < len(rules) else f"gate {n}" for n in service.candidates()]
    found = [f"{finding.rule_id} {(finding.span.view or '').partition('+')[0]}" for finding in service.findings()]
    decision = service.decision
    verdict = decision.verdict if decision else None
    return [*fired, *found, verdict.rule_id or "" if verdict else "allow"]


def _tells_no_value(service: Service, answer: Answer) -> None:
    decision = service.decision
    if decision is None or decision.verdict is None or decision.verdict.finding is None:
        return
    told = contract.decision(answer.body)
    members = json.loads(told.diagnostics or "{}")
    path = members.get("path", "").casefold()
    for finding in service.findings():
        value = finding.value.casefold()
        if len(value) >= LEAST_SECRET and finding.span.view is None and finding.strength == "strong":
            demand(value not in path or not _says(service, finding), f"the path tells a value of {finding.rule_id}")


def _says(service: Service, finding: Finding) -> bool:
    """Whether the value is found by itself too, as in a path: some are only a value beside what stands around them."""
    alone = service.pipeline.scanner.scan(Inspection([Segment(finding.span.source, (None, ""), finding.value)]))
    found = alone.findings(finding.plugin, (service.tool, service.tool))
    return any(finding.value in again.value for again in found)


def check_records(body: bytes) -> Iterable[str]:
    """What is recorded of a request has the records' form and, when it was blocked, none of the matched values."""
    service = recording()
    with within():
        answer = service.analyze(body)
    _is_answer(answer)
    lines = [*service.telemetry.lines, *service.audit.lines]
    demand(len(service.telemetry.lines) == 1, "not one line of telemetry")
    told = [msgspec.json.decode(line, type=TelemetryRecord) for line in service.telemetry.lines]
    told += [msgspec.json.decode(line, type=AuditRecord) for line in service.audit.lines]
    demand(all(record.outcome != "error" for record in told) == (answer.status == 200), "another outcome recorded")
    for line in [*lines, *(text.encode() for text in service.log)]:
        demand(b"\n" not in line, "a record of two lines")
    if any(record.would_block for record in told):
        _tell_no_value(service, told)
    if crc32(body) % METRICS_SHARE == 0:
        demand(service.labels() <= service.known_labels, "a metric's label says something new")
    return _marks(service)


def _tell_no_value(service: Service, told: list[TelemetryRecord]) -> None:
    values = {f.value.casefold(): f.rule_id for f in service.findings() if len(f.value) >= LEAST_SECRET}
    shown = [text.casefold() for record in told for text in _shown(record)]
    shown += [line.casefold() for line in service.log]
    for value, rule in values.items():
        holders = [text for text in shown if value in text]
        demand(not holders, f"a record tells a value of {rule}")


_IDENTIFIERS = ("correlation_id", *Identity.__struct_fields__, "path")


def _shown(record: TelemetryRecord) -> Iterator[str]:
    """The texts of a record that come from the request."""
    yield from (text for name in _IDENTIFIERS if (text := getattr(record, name)) is not None)
    if isinstance(record, AuditRecord):
        yield from (finding.path for finding in record.findings)
        yield from _texts(record.request)


def _texts(root: Any) -> Iterator[str]:
    pending = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += [key for key in value if key not in _OUR_NAMES] + list(value.values())
        elif isinstance(value, list):
            pending += value
        elif value is not None and not isinstance(value, bool):
            yield str(value)


_OUR_NAMES = frozenset(request_tree(wire.decode_request(msgspec.json.encode(request_with("x"))))) | {
    *wire.PlannerContext.__struct_fields__,
    *wire.ToolDefinition.__struct_fields__,
}


def check_repeated(data: bytes) -> Iterable[str]:
    """A piece of text over and over in one request: the work stays in proportion to the size."""
    layout, piece = (data[0] if data else 0) % 4, data[1:].decode("utf-8", "replace") or "a"
    count = max(1, REPEATED_BYTES // max(1, len(piece.encode("utf-8", "replace"))))
    body = msgspec.json.encode(_layout(layout, piece, count))
    service = judging()
    started = time.thread_time()
    with within():
        answer = service.analyze(body)
    _is_answer(answer)
    _is_sound(service, body)
    spent = time.thread_time() - started
    fired = service.candidates()
    return [f"candidates {n}" for n in fired] + [f"{COST}{layout} {math.ceil(10 * math.log2(1e-3 + spent))}"]


def _layout(layout: int, piece: str, count: int) -> dict[str, Any]:
    if layout == 0:
        return request_with(piece * count)
    if layout == 1:
        outputs = [{"outputs": [{"name": "note", "value": piece}]}] * min(count, 4_000)
        return request_with(plannerContext={"userMessage": "x", "previousToolsOutputs": outputs})
    if layout == 2:
        mail = {"id": "x.Send-Mail", "name": "Send mail"}
        return request_with("x", inputValues={"bcc": piece * count, "body": "x"}, toolDefinition=mail)
    return request_with("x", inputValues={f"{piece}{number}": {piece: [number]} for number in range(min(count, 4_000))})


def check_call(data: bytes) -> Iterable[str]:
    """Any method, path, query, headers and pieces of a body: always one of the contract's answers."""
    try:
        call = json.loads(data.decode("latin-1"))
        scope, parts, gone = _scope(call)
    except (ValueError, TypeError, AttributeError, KeyError, UnicodeEncodeError, RecursionError):
        return []
    service = guarded()
    with within():
        answer = service.ask(scope, parts, gone)
    demand(answer.status in {200, 400, 401, 404, 405, 408, 413, 503}, f"status {answer.status}")
    if answer.status >= 400:
        contract.error(answer.status, answer.body)
    elif scope["path"].endswith("/analyze-tool-execution"):
        contract.decision(answer.body)
        demand(_bearers(scope) == [TOKEN.encode()], "judged without the bearer token")
    for name, value in answer.headers:
        demand(not set(name + value) & set(b"\r\n\0"), "a header of two lines")
    demand(not any("Traceback" in line or TOKEN in line for line in service.log), "a log line that tells too much")
    return [f"{answer.status} {scope['path'] if scope['path'] in service.app._routes else 'elsewhere'}"]


def _scope(call: dict[str, Any]) -> tuple[dict[str, Any], list[bytes], bool]:
    headers = [(str(n).lower().encode("latin-1"), str(v).encode("latin-1")) for n, v in call.get("headers", [])]
    parts = [str(part).encode("latin-1") for part in call.get("parts", [])]
    scope = {
        "method": str(call.get("method", "POST")),
        "path": str(call["path"]),
        "query_string": str(call.get("query", "")).encode("latin-1"),
        "headers": headers,
    }
    return scope, parts, bool(call.get("gone"))


def _bearers(scope: dict[str, Any]) -> list[bytes]:
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    return [value.strip(b" \t").partition(b" ")[2].strip(b" ") for value in found]


def _calls() -> Iterator[bytes]:
    body = json.dumps(request_with("hello"))
    query, bearer = "api-version=2025-05-01", ["authorization", f"Bearer {TOKEN}"]
    analyze: dict[str, Any] = {"method": "POST", "path": "/analyze-tool-execution", "query": query}
    prefixed = analyze | {"path": "/api/agentSecurity/analyze-tool-execution"}
    length = ["content-length", str(len(body))]
    calls: list[dict[str, Any]] = [
        analyze | {"headers": [bearer, length, ["x-ms-correlation-id", "c-1"]], "parts": [body]},
        prefixed | {"headers": [bearer], "parts": [body[:20], body[20:]]},
        analyze | {"headers": [bearer, ["content-length", "9999999"]], "parts": [body]},
        analyze | {"headers": [bearer, ["expect", "100-continue"]], "parts": ["x" * 5000]},
        analyze | {"headers": [bearer], "parts": [body[:9]], "gone": True},
        analyze | {"headers": [bearer], "parts": [json.dumps(request_with(inputValues=[[[0]]] * 60))]},
        analyze | {"headers": [bearer], "parts": ['{"plannerContext":{},"inputValues":' + "[" * 30]},
        analyze | {"headers": [bearer, bearer], "parts": [body]},
        analyze | {"headers": [["authorization", "Basic eDp5"]], "parts": [body]},
        analyze | {"query": "", "headers": [bearer], "parts": [body]},
        {"method": "POST", "path": "/validate", "query": query, "headers": [bearer], "parts": []},
        *({"method": "GET", "path": p, "headers": [bearer]} for p in ("/healthz", "/readyz", "/metrics", "/openapi.yaml")),
        {"method": "DELETE", "path": "/nowhere", "headers": []},
    ]  # fmt: skip
    yield from (json.dumps(call).encode() for call in calls)


def _texts_of_cases() -> Iterator[bytes]:
    for number, sample in enumerate(samples.texts()[::40]):
        yield bytes([number % 4]) + sample[:120].encode()
    for piece in ("a", '"', "(", "<", "@", "=", "\\", "é", "\u200b", "1 ", "AB1", "a.", "x=", "://", "[", "&#x"):
        yield from (bytes([layout]) + piece.encode() for layout in range(4))


def _short_text(data: bytes, random: Random, native: Native) -> bytes:
    return mutation.text(data, random, native)


REQUEST = Target("request", check_request, mutation.document, samples.requests)
RECORDS = Target("records", check_records, mutation.document, samples.requests)
CALL = Target("call", check_call, mutation.document, _calls, most=6_000, kept=200)
REPEATED = Target("repeated", check_repeated, _short_text, _texts_of_cases, most=600, kept=40)
