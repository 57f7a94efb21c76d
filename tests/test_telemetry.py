"""What is recorded of a decision, and that no record tells a matched value."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from sentra import wire
from sentra.config import PolicyRule, Settings
from sentra.errors import ConfigError
from sentra.findings import SOURCES, Decision, Finding, Mode, Span, Verdict
from sentra.journal import Journal
from sentra.locate import Compiled
from sentra.operator_rules import policy_rules
from sentra.pipeline import Pipeline
from sentra.plugins import BY_NAME, Context
from sentra.plugins.rulepack import RulePack
from sentra.records import schemas
from sentra.scanner import Scanner
from sentra.telemetry import Event, Recorder
from tests.conftest import payload, request_with

VALUE = "ZQ9-4417-KESTREL-8820"
KEY = "a key of more than sixteen bytes"


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    rules = policy_rules([PolicyRule(contains=(VALUE,), reasonCode=710)])
    return Scanner([Compiled(rule, SOURCES) for rule in rules])


class Bench:
    """A recorder on files in a folder, and a pipeline that blocks the planted value."""

    def __init__(self, folder: Path, scanner: Scanner):
        self.folder = folder
        plugin = RulePack(BY_NAME["policy_pack"], [compiled.rule for compiled in scanner.rules])
        self.enforcing = Pipeline(scanner, [plugin], clock=time.monotonic)
        self.auditing = Pipeline(scanner, [plugin], clock=time.monotonic, mode=Mode.AUDIT)

    def recorder(self, **changes: Any) -> Recorder:
        files = {"log_file": self.folder / "telemetry.jsonl", "audit_log_file": self.folder / "audit.jsonl"}
        return Recorder(Settings(**(files | changes)), "digest000000")

    def event(self, body: Any, *, audit: bool = False, **changes: Any) -> Event:
        pipeline = self.auditing if audit else self.enforcing
        request = wire.decode_request(msgspec.json.encode(body))
        decision, context = pipeline.decide(request, time.monotonic() + 60)
        members: dict[str, Any] = {
            "outcome": "block" if decision.blocked else "allow",
            "request": request,
            "context": context,
            "find": pipeline.all_findings,
            "decision": decision,
            "seconds": 0.0125,
        }
        return Event(**members | changes)

    def records(self, name: str = "telemetry") -> list[dict[str, Any]]:
        """All records of a file, each true to its schema."""
        path = self.folder / f"{name}.jsonl"
        records = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
        for record in records:
            jsonschema.validate(record, schemas()[name])
        return records

    def recorded(self, event: Event, name: str = "telemetry", **changes: Any) -> dict[str, Any]:
        """The one record that ``event`` leaves in a file."""
        recorder = self.recorder(**changes)
        assert recorder.record(event)
        recorder.close()
        (record,) = self.records(name)
        return record


@pytest.fixture
def bench(tmp_path: Path, scanner: Scanner) -> Bench:
    return Bench(tmp_path, scanner)


BLOCKED = request_with(f"the file of {VALUE}")


def test_an_allowed_request_tells_who_what_and_how_long(bench: Bench) -> None:
    event = bench.event(payload(), correlation_id="c-1", auth_ms=0.25, decode_ms=0.5)
    record = bench.recorded(event)
    told = {name: record[name] for name in ("outcome", "blockAction", "wouldBlock", "auditRecorded", "reasonCode")}
    assert told == {
        "outcome": "allow",
        "blockAction": False,
        "wouldBlock": False,
        "auditRecorded": None,
        "reasonCode": None,
    }
    body = payload()
    assert record["tenantId"] == body["conversationMetadata"]["agent"]["tenantId"]
    assert record["userId"] == body["conversationMetadata"]["user"]["id"]
    assert record["planStepId"] == body["conversationMetadata"]["planStepId"]
    assert (record["toolName"], record["channelId"]) == ("Send-an-Email", "pva-studio")
    assert (record["correlationId"], record["configHash"]) == ("c-1", "digest000000")
    assert record["latencyMs"] == record["phases"]["total"] == 12.5
    assert (record["phases"]["auth"], record["phases"]["decode"]) == (0.25, 0.5)
    assert {"segment", "scan", "plugins"} <= record["phases"].keys()
    assert record["counts"]["scanBytes"] > 0
    assert len(record["ts"]) == 24


def test_a_block_tells_what_it_rests_on(bench: Bench) -> None:
    record = bench.recorded(bench.event(BLOCKED))
    told = {n: record[n] for n in ("outcome", "blockAction", "reasonCode", "blockedBy", "ruleId", "source", "path")}
    assert told == {
        "outcome": "block",
        "blockAction": True,
        "reasonCode": 710,
        "blockedBy": "policy_pack",
        "ruleId": "policy_pack.rule-1",
        "source": "user_message",
        "path": "plannerContext.userMessage",
    }
    assert (record["masked"], record["auditRecorded"], record["fingerprint"]) == ("****(21)", True, None)


def test_a_withheld_block_tells_what_would_have_been(bench: Bench) -> None:
    record = bench.recorded(bench.event(BLOCKED, audit=True))
    told = [record[name] for name in ("outcome", "blockAction", "wouldBlock", "auditSuppressed", "ruleId")]
    assert told == ["allow", False, True, True, "policy_pack.rule-1"]


@pytest.mark.parametrize("audit", [False, True], ids=["real", "withheld"])
def test_each_block_leaves_one_audit_record(bench: Bench, audit: bool) -> None:
    recorder = bench.recorder()
    for body in (BLOCKED, payload(), BLOCKED):
        recorder.record(bench.event(body, audit=audit))
    recorder.close()
    assert len(bench.records("audit")) == 2
    assert len(bench.records("telemetry")) == 3


def test_the_audit_record_holds_all_of_the_telemetry_line(bench: Bench) -> None:
    recorder = bench.recorder()
    recorder.record(bench.event(BLOCKED))
    recorder.close()
    (audit,), (line,) = bench.records("audit"), bench.records("telemetry")
    assert {name: audit[name] for name in line} == line


def test_the_audit_record_holds_the_request_masked(bench: Bench) -> None:
    body = request_with(f"the file of {VALUE}", inputValues={VALUE.lower(): None, "n": ["x", 7]})
    record = bench.recorded(bench.event(body), "audit")
    assert record["requestOmitted"] is None
    assert record["request"] == {
        "plannerContext": {"userMessage": "the file of ****(21)"},
        "toolDefinition": {"id": "x.action.Do-Thing", "name": "Do-Thing"},
        "inputValues": {"****(21)": None, "n": ["x", 7]},
    }
    assert [finding["path"] for finding in record["findings"]] == ["plannerContext.userMessage", "inputValues.****(21)"]


def test_no_record_tells_the_value_wherever_it_stands(bench: Bench) -> None:
    """In the tool's name, ids, the correlation id, keys, an error and numbers of the request."""
    body = payload()
    body["plannerContext"]["userMessage"] = VALUE
    body["toolDefinition"] |= {"id": f"a.{VALUE}", "name": VALUE.title()}
    body["conversationMetadata"] |= {"conversationId": VALUE, "channelId": f"x{VALUE}x", "planId": "p" * 245 + VALUE}
    body["inputValues"] = {f"k {VALUE}": {"deep": [VALUE, {VALUE: VALUE}]}}
    event = bench.event(body, correlation_id=f"c-{VALUE}")
    event = msgspec.structs.replace(event, decision=msgspec.structs.replace(event.decision, errors=(f"x: {VALUE}",)))
    recorder = bench.recorder(fingerprint_key=KEY)
    recorder.record(event)
    recorder.close()
    for name in ("telemetry", "audit"):
        assert len(bench.records(name)) == 1
        text = (bench.folder / f"{name}.jsonl").read_text()
        assert VALUE.casefold() not in text.casefold()
        assert VALUE[:11].casefold() not in text.casefold()


def test_a_number_that_matches_is_masked(tmp_path: Path) -> None:
    rules = policy_rules([PolicyRule(contains=("730519286441",))])
    bench = Bench(tmp_path, Scanner([Compiled(rule, SOURCES) for rule in rules]))
    record = bench.recorded(bench.event(request_with(inputValues={"account": 730519286441})), "audit")
    assert record["request"]["inputValues"] == {"account": "****(12)"}


def test_a_noted_value_is_masked_in_an_allowed_line(bench: Bench) -> None:
    noted = Finding("pii", "pii.sandboxed", "why", Span("input", "inputValues.a", 0, 5), "do-thing", blocks=False)
    record = bench.recorded(bench.event(request_with(), decision=Decision(blocked=False, noted=(noted,))))
    assert (record["toolName"], record["noted"]) == ("****(8)", ["pii.sandboxed"])


@pytest.mark.parametrize(
    ("mode", "shown", "why"),
    [("none", None, "SENTRA_AUDIT_REQUEST=none"), ("full", {"userMessage": f"the file of {VALUE}"}, None)],
)
def test_the_operator_chooses_what_is_shown_of_a_request(bench: Bench, mode: str, shown: Any, why: str | None) -> None:
    record = bench.recorded(bench.event(BLOCKED), "audit", audit_request=mode)
    assert record["requestOmitted"] == why
    assert (record["request"] or {}).get("plannerContext") == shown


def _broken(context: Context) -> Sequence[Finding]:
    raise ValueError(VALUE)


def _undecided(context: Context) -> Sequence[Finding]:
    return [Finding("p", "p.r", "too many", Span("input", "inputValues", 0, 1), "")]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"find": _broken}, "a check failed: ValueError"),
        ({"find": _undecided}, "too many candidates"),
        ({"find": None}, "its findings are not known"),
        ({"context": None}, "its findings are not known"),
        ({"request": None}, "no request"),
    ],
)
def test_a_request_that_cannot_be_masked_is_left_out(bench: Bench, changes: dict[str, Any], why: str) -> None:
    record = bench.recorded(bench.event(BLOCKED, **changes), "audit")
    assert (record["request"], record["requestOmitted"]) == (None, why)
    assert VALUE not in (bench.folder / "audit.jsonl").read_text()


def test_more_values_than_can_be_looked_for_hide_all_texts(bench: Bench) -> None:
    many = [
        Finding("p", "p.r", "why", Span("user_message", "plannerContext.userMessage", 0, 1), f"value {n}")
        for n in range(600)
    ]
    event = bench.event(BLOCKED, find=lambda context: many)
    record = bench.recorded(event, "audit")
    assert (record["request"], record["requestOmitted"], record["toolName"]) == (None, "too many values", "****")
    assert len(record["findings"]) == 100


class Steps:
    """A clock of processor time that goes on by 10 ms whenever it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.asked * 0.01


def test_looking_for_everything_ends_in_bounded_time_and_then_no_text_is_shown(tmp_path: Path) -> None:
    second, cpu = "unfound-4711-ORIOLE", Steps()
    rules = policy_rules([PolicyRule(contains=(VALUE,)), PolicyRule(contains=(second,))])
    bench = Bench(tmp_path, Scanner([Compiled(rule, SOURCES) for rule in rules], cpu=cpu))
    body = payload()
    body["inputValues"] = {"a": f"{VALUE} " * 20_000, f"key {second}": f"{second} {VALUE}"}
    body["conversationMetadata"]["agent"]["name"] = f"Agent {second}"
    event = bench.event(body, correlation_id=second)
    before = cpu.asked
    record = bench.recorded(event, "audit")
    assert cpu.asked - before < 50
    assert (record["request"], record["requestOmitted"]) == (None, "too many candidates")
    assert record["tenantId"] == body["conversationMetadata"]["agent"]["tenantId"]
    assert (record["agentName"], record["path"], record["correlationId"]) == ("****", "****", "****")
    assert record["ruleId"] == "policy_pack.rule-1"
    for file in ("audit.jsonl", "telemetry.jsonl"):
        text = (tmp_path / file).read_text()
        assert second not in text
        assert VALUE not in text


def test_a_check_that_fails_while_everything_is_looked_for_hides_all_texts(bench: Bench) -> None:
    def fail(context: Context) -> Sequence[Finding]:
        raise ValueError(VALUE)

    body = BLOCKED | {"conversationMetadata": {"agent": {"name": "Unknown ORIOLE"}}}
    record = bench.recorded(bench.event(body, find=fail), "audit")
    assert (record["agentName"], record["requestOmitted"]) == ("****", "a check failed: ValueError")


def test_a_request_nested_too_deeply_for_json_is_left_out(bench: Bench) -> None:
    deep: Any = "x"
    for _ in range(20_000):
        deep = [deep]
    event = bench.event(BLOCKED)
    assert event.request is not None
    event.request.inputValues = deep
    record = bench.recorded(event, "audit")
    assert (record["request"], record["requestOmitted"]) == (None, "nested too deeply")


def test_every_text_of_a_record_is_bounded(bench: Bench) -> None:
    body = payload()
    body["conversationMetadata"]["conversationId"] = "c" * 100_000
    body["toolDefinition"]["name"] = "n" * 100_000
    body["inputValues"] = {"k" * 10_000: VALUE}
    event = bench.event(body, correlation_id="i" * 100_000)
    recorder = bench.recorder(audit_request="none")
    recorder.record(event)
    recorder.close()
    assert (bench.folder / "telemetry.jsonl").stat().st_size < 4_000
    assert (bench.folder / "audit.jsonl").stat().st_size < 6_000


def test_an_error_is_recorded_with_its_code(bench: Bench) -> None:
    record = bench.recorded(Event(outcome="error", error_code=4002, seconds=0.001))
    assert (record["outcome"], record["errorCode"], record["blockAction"], record["toolId"]) == (
        "error",
        4002,
        False,
        None,
    )


def test_a_late_decision_and_a_caller_that_left_are_told(bench: Bench) -> None:
    record = bench.recorded(Event(outcome="allow", decision=Decision(blocked=False, late=True), dropped=True))
    assert (record["late"], record["dropped"]) == (True, True)


def test_a_block_without_a_finding_is_recorded(bench: Bench) -> None:
    verdict = Verdict("deadline", True, 0, "The time budget was used up before a verdict", "deadline")
    event = bench.event(request_with(), outcome="block", decision=Decision(blocked=True, verdict=verdict, late=True))
    record = bench.recorded(event, "audit")
    assert (record["blockedBy"], record["path"], record["findings"]) == ("deadline", None, [])
    assert record["request"]["plannerContext"] == {"userMessage": "hello"}


def test_outside_plugins_count_as_external_time(bench: Bench) -> None:
    decision = Decision(blocked=False, plugin_timings={"pii": 1.0, "secrets": 2.0, "external_dlp": 30.0})
    phases = bench.recorded(Event(outcome="allow", decision=decision))["phases"]
    assert (phases["plugins"], phases["external"]) == (3.0, 30.0)


def test_equal_values_have_equal_fingerprints_and_others_have_not(bench: Bench) -> None:
    recorder = bench.recorder(fingerprint_key=KEY)
    for body in (BLOCKED, request_with("other words", inputValues={"x": VALUE}), request_with(VALUE.lower())):
        recorder.record(bench.event(body))
    recorder.close()
    first, second, other = [record["fingerprint"] for record in bench.records()]
    assert first == second != other
    assert len(first) == 16


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fingerprint_key": "hush"}, "SENTRA_FINGERPRINT_KEY"),
        ({"log_file": Path("no-such-folder/t.jsonl")}, "LOG_FILE: no-such-folder/t.jsonl: "),
        ({"audit_log_file": Path("no-such-folder/a.jsonl")}, "AUDIT_LOG_FILE: no-such-folder/a.jsonl: "),
        ({"log_file": Path("same"), "audit_log_file": Path("./same")}, "is the same file as LOG_FILE"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Recorder(Settings(**changes), "d")
    assert told in str(caught.value)


def test_without_files_nothing_is_written(tmp_path: Path, bench: Bench) -> None:
    recorder = Recorder(Settings(), "d")
    assert recorder.record(bench.event(BLOCKED))
    recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_a_reload_changes_the_configuration_hash(bench: Bench) -> None:
    recorder = bench.recorder()
    recorder.record(Event(outcome="error"))
    recorder.reconfigure("digest111111")
    recorder.record(Event(outcome="error"))
    recorder.record(Event(outcome="error", config_digest="digest222222"))
    recorder.close()
    assert [record["configHash"] for record in bench.records()] == ["digest000000", "digest111111", "digest222222"]


@pytest.fixture
def full_audit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The audit file fails on every write."""
    real = Journal._write

    def failing(journal: Journal, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        return (0, OSError(28, "No space left on device")) if journal.name == "audit.jsonl" else real(journal, lines)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_write", failing)
        yield


@pytest.mark.usefixtures("full_audit")
@pytest.mark.parametrize(("policy", "blocked"), [("allow", False), ("block", True)])
def test_a_withheld_block_that_cannot_be_audited_follows_the_setting(bench: Bench, policy: str, blocked: bool) -> None:
    recorder = bench.recorder(on_audit_failure=policy)
    assert recorder.audit is not None
    assert recorder.record(bench.event(BLOCKED, audit=True))
    recorder.audit.flush(0.2)
    assert recorder.why_not == "audit.jsonl cannot be written"
    assert not recorder.record(bench.event(BLOCKED, audit=True))
    recorder.close()
    record = bench.records()[1]
    assert (record["blockAction"], record["auditSuppressed"]) == (blocked, not blocked)
    assert (record["outcome"], record["auditRecorded"]) == ("block" if blocked else "allow", False)


def test_lines_lost_before_are_told_by_the_next(bench: Bench) -> None:
    recorder = bench.recorder()
    assert recorder.telemetry is not None
    recorder.record(Event(outcome="error"))
    recorder.telemetry.put(b"x" * (9 << 20))
    recorder.telemetry.put(b"x" * (9 << 20))
    recorder.record(Event(outcome="error"))
    recorder.record(Event(outcome="error"))
    recorder.close()
    assert [record["droppedBefore"] for record in bench.records()] == [0, 2, 0]


def test_a_block_is_made_into_records_outside_of_the_callers_thread(bench: Bench) -> None:
    threads: list[str] = []

    def find(context: Context) -> Sequence[Finding]:
        threads.append(threading.current_thread().name)
        return bench.enforcing.all_findings(context)

    recorder = bench.recorder()
    recorder.record(bench.event(BLOCKED, find=find))
    recorder.close()
    assert len(threads) == 1
    assert threads[0].startswith("write ")


MIRROR = """
from sentra.config import Settings
from sentra.findings import Decision, Verdict
from sentra.telemetry import Event, Recorder
recorder = Recorder(Settings(log_stdout=True, log_sample_n=3), "d")
block = Decision(blocked=False, withheld=True, verdict=Verdict("pii", True, 202, "why", "pii.x"))
for number in range(9):
    recorder.record(Event(outcome="allow", correlation_id=f"allow {number}", decision=Decision(blocked=False)))
    recorder.record(Event(outcome="allow", correlation_id=f"withheld {number}", decision=block))
    recorder.record(Event(outcome="error", correlation_id=f"error {number}"))
recorder.close()
"""


def test_standard_output_shows_a_sample_of_allows_and_all_else() -> None:
    ended = subprocess.run([sys.executable, "-c", MIRROR], capture_output=True, timeout=30, check=True)
    told = [msgspec.json.decode(line)["correlationId"] for line in ended.stdout.splitlines()]
    assert [name for name in told if name.startswith("allow")] == ["allow 0", "allow 3", "allow 6"]
    assert sum(name.startswith("withheld") for name in told) == 9
    assert sum(name.startswith("error") for name in told) == 9


def test_a_reader_of_standard_output_that_stalls_does_not_stop_the_caller() -> None:
    code = MIRROR.replace("range(9)", "range(30_000)").replace(
        "recorder.close()", "import os; os.write(2, b'done'); os._exit(0)"
    )
    reader, writer = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    _, errors = process.communicate(timeout=60)
    os.close(reader)
    assert errors.endswith(b"done")
