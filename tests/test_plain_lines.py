"""Telemetry lines of plain allows and refusals: written by a form, and the same as the encoder's."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sentra import plain_lines
from sentra.config import Settings
from sentra.findings import Decision, Verdict
from sentra.masking import Masker
from sentra.plain_lines import Plain, PlainLines
from sentra.telemetry import Event, Recorder
from sentra.wire import AnalyzeRequest, Identity, PlannerContext, ToolDefinition, identity

STAMP = "2026-05-02T14:00:00.123Z"
TIMES = st.floats(0.0006, 5_000.0)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
TEXTS = st.none() | st.text(st.characters(codec="utf-8"), max_size=300) | st.sampled_from(['"%d\\', "%b", "\x00"])


def request(texts: list[Any]) -> AnalyzeRequest:
    keys = ("tenantId", "environmentId", "id", "name")
    agent, user = dict(zip(keys, texts, strict=False)), {"id": texts[4]}
    metadata = {"agent": agent, "user": user, "channelId": texts[5], "planId": texts[6]}
    return AnalyzeRequest(PlannerContext(), ToolDefinition(texts[7], "tool"), None, metadata)


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    return Recorder(Settings(log_file=tmp_path_factory.mktemp("lines") / "t.jsonl"), "digest")


@given(
    texts=st.lists(TEXTS, min_size=8, max_size=8),
    correlation=TEXTS,
    plugins=st.dictionaries(NAMES, TIMES, min_size=1, max_size=4),
    counts=st.dictionaries(NAMES, st.integers(0, 1 << 40), max_size=3),
    times=st.lists(TIMES, min_size=6, max_size=6),
)
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_line_by_form_says_what_the_encoder_says(
    recorder: Recorder,
    texts: list[Any],
    correlation: str | None,
    plugins: dict[str, float],
    counts: dict[str, int],
    times: list[float],
) -> None:
    timings = dict(zip(("segment", "scan", "confirm"), times, strict=False))
    decision = Decision(blocked=False, timings=timings, plugin_timings=plugins, counts=counts)
    event = Event(
        outcome="allow",
        correlation_id=correlation,
        request=request(texts),
        decision=decision,
        seconds=times[3] / 1000,
        auth_ms=times[4],
        decode_ms=times[5],
    )
    says_what_the_encoder_says(recorder, event)


@given(
    correlation=TEXTS,
    code=st.sampled_from([2001, 4000, 4002, 5031]),
    errors=st.lists(st.sampled_from(["limits: wait", "auth: expired", "limits: 5 % of %d"]), max_size=2),
    seconds=TIMES,
    auth=TIMES | st.just(0.0),
)
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_refusal_by_form_says_what_the_encoder_says(
    recorder: Recorder, correlation: str | None, code: int, errors: list[str], seconds: float, auth: float
) -> None:
    decision = Decision(blocked=False, errors=tuple(errors)) if errors else None
    says_what_the_encoder_says(
        recorder,
        Event(
            outcome="error",
            correlation_id=correlation,
            decision=decision,
            seconds=seconds / 1000,
            auth_ms=auth,
            error_code=code,
        ),
    )


def says_what_the_encoder_says(recorder: Recorder, event: Event) -> None:
    plain = recorder._plain(event, STAMP, 7)
    assert plain is not None
    first, line = recorder._plain_line(plain), recorder._lines.line(plain)
    assert line is not None
    expected = recorder.entry(event, STAMP, Masker(()), 7, None)
    assert first == msgspec.json.encode(expected) or first == line
    assert msgspec.json.decode(line) == msgspec.json.decode(msgspec.json.encode(expected))


REMARKABLE: dict[str, dict[str, Any]] = {
    "a block": {"outcome": "block", "decision": Decision(blocked=True, verdict=Verdict("secrets", True))},
    "an error of a known request": {"outcome": "error", "error_code": 4002},
    "a caller that is gone": {"outcome": "error", "request": None, "dropped": True},
    "a failed plugin": {"decision": Decision(blocked=False, errors=("pii: KeyError",))},
    "a late decision": {"decision": Decision(blocked=False, late=True)},
    "a withheld block": {"decision": Decision(blocked=False, withheld=True, verdict=Verdict("secrets", True))},
    "an answer that nobody read": {"dropped": True},
    "an unknown request": {"request": None},
    "an identity of its own": {"identity": Identity(tenant_id="t")},
}


@pytest.mark.parametrize("changes", REMARKABLE.values(), ids=list(REMARKABLE))
def test_what_is_remarkable_has_no_form(recorder: Recorder, changes: dict[str, Any]) -> None:
    plain: dict[str, Any] = {
        "outcome": "allow",
        "request": request([None] * 8),
        "decision": Decision(blocked=False),
        "auth_ms": 0.1,
        "decode_ms": 0.1,
    }
    assert recorder._plain(Event(**plain), STAMP, 0) is not None
    assert recorder._plain(Event(**plain | changes), STAMP, 0) is None


def allow(digest: str = "digest", **timings: float) -> Plain:
    decision = Decision(blocked=False, timings=timings)
    return Plain(STAMP, None, identity(request(["x"] * 8)), 1.0, 0.1, 0.1, 0, decision, digest)


def test_a_line_without_some_phase_is_no_form() -> None:
    lines = PlainLines()
    lines.learn(allow(scan=1.0), b'{"phases":{"auth":0.1,"scan":1.0,"total":1.0}}')
    assert lines.line(allow(scan=1.0)) is None


def test_forms_are_bounded() -> None:
    lines = PlainLines()
    for number in range(3 * plain_lines.MAX_FORMS):
        lines.learn(allow(f"{number}"), b'{"phases":{"auth":0.1,"decode":0.1,"total":1.0}}')
    assert 0 < len(lines._forms) <= plain_lines.MAX_FORMS


def test_the_first_and_the_later_line_of_a_worker_are_alike(tmp_path: Path) -> None:
    log = tmp_path / "t.jsonl"
    recorder = Recorder(Settings(log_file=log), "digest")
    decision = Decision(blocked=False, timings={"scan": 1.5}, plugin_timings={"pii": 2.25}, counts={"views": 3})
    for _ in range(3):
        recorder.record(
            Event(
                outcome="allow", request=request(["é"] * 8), decision=decision, seconds=0.5, auth_ms=1.0, decode_ms=2.0
            )
        )
    recorder.close()
    records = [msgspec.json.decode(line) for line in log.read_bytes().splitlines()]
    assert [record.pop("ts")[:2] for record in records] == ["20"] * 3
    assert records[0] == records[1] == records[2]
