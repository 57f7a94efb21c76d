"""Metrics: what is counted, in which totals it ends over processes that come and go, and how it is written."""

import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from sentra.errors import ConfigError
from sentra.findings import Decision, Verdict
from sentra.metrics import DEFINITIONS, Definition, Metrics, claim_slot, counting, prepare_folder
from sentra.metrics.counting import MAX_RULES
from sentra.metrics.files import GAUGE_FILE_BYTES, Slot, _map

ALLOWED = Decision(blocked=False)
VERDICT = Verdict("pii", block=True, reason_code=202, reason="An account number", rule_id="pii.iban")
BLOCKED = Decision(blocked=True, verdict=VERDICT)
WITHHELD = Decision(blocked=False, withheld=True, verdict=VERDICT)
TIMED = Decision(
    blocked=False,
    timings={"scan": 0.2, "segment": 0.05},
    plugin_timings={"secrets": 0.3},
    counts={"scanBytes": 4000, "candidates": 3, "confirms": 2, "views": 1, "viewsCut": 2},
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Journal:
    """Running totals as a log file's writer has them."""

    lines: int = 0
    dropped: int = 0
    write_errors: int = 0
    size_bytes: int = 0


def samples(rendered: Metrics) -> Samples:
    text = rendered.render("")[1].decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Metrics | Samples, name: str, **labels: str) -> float | None:
    table = samples(found) if isinstance(found, Metrics) else found
    return table.get((name, frozenset(labels.items())))


@pytest.fixture
def counted() -> Iterator[Metrics]:
    made = Metrics(None)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare_folder(tmp_path / "metrics")
    return tmp_path / "metrics"


def exercise(made: Metrics) -> None:
    """Make every metric of the table appear."""
    made.self_test(True)
    made.configured("abc", "1.0.0", time.monotonic())
    made.reload(True)
    made.journal("telemetry", Journal(lines=1, size_bytes=10))
    made.journal("audit", Journal(lines=1, size_bytes=10))
    made.outside(lambda: {"external_x": {"calls": {"allow": 1}, "inFlight": 1, "breaker": "closed"}})
    made.keys(lambda: 1.0)
    for decision in (ALLOWED, BLOCKED, WITHHELD, TIMED, Decision(blocked=True, late=True, errors=("pii: ValueError",))):
        made.decided(decision, 0.001)
    made.error(4002, 0.001)
    made.auth_failure("missing")
    made.over_limit("size", "error")
    made.client_gone()
    made.flush()


@pytest.mark.parametrize(
    ("decision", "name", "labels", "expected"),
    [
        (ALLOWED, "sentra_requests_total", {"outcome": "allow"}, 1),
        (ALLOWED, "sentra_requests_total", {"outcome": "block"}, 0),
        (ALLOWED, "sentra_blocks_total", {"plugin": "pii", "rule": "pii.iban"}, None),
        (BLOCKED, "sentra_requests_total", {"outcome": "block"}, 1),
        (BLOCKED, "sentra_requests_total", {"outcome": "allow"}, 0),
        (BLOCKED, "sentra_blocks_total", {"plugin": "pii", "rule": "pii.iban"}, 1),
        (BLOCKED, "sentra_audit_suppressed_total", {"plugin": "pii", "rule": "pii.iban"}, None),
        (WITHHELD, "sentra_requests_total", {"outcome": "allow"}, 1),
        (WITHHELD, "sentra_requests_total", {"outcome": "block"}, 0),
        (WITHHELD, "sentra_blocks_total", {"plugin": "pii", "rule": "pii.iban"}, None),
        (WITHHELD, "sentra_audit_suppressed_total", {"plugin": "pii", "rule": "pii.iban"}, 1),
        (Decision(blocked=False, late=True), "sentra_late_answers_total", {}, 1),
        (ALLOWED, "sentra_late_answers_total", {}, 0),
        (Decision(blocked=False, errors=("pii: ValueError",)), "sentra_plugin_errors_total", {"plugin": "pii"}, 1),
    ],
)
def test_a_decision_is_counted_at_once(
    counted: Metrics, decision: Decision, name: str, labels: dict[str, str], expected: float | None
) -> None:
    counted.decided(decision, 0.001)
    assert value(counted, name, **labels) == expected


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("sentra_request_duration_seconds_count", {}, 1),
        ("sentra_request_duration_seconds_sum", {}, 0.004),
        ("sentra_request_duration_seconds_bucket", {"le": "0.0025"}, 0),
        ("sentra_request_duration_seconds_bucket", {"le": "0.005"}, 1),
        ("sentra_request_duration_seconds_bucket", {"le": "+Inf"}, 1),
        ("sentra_phase_duration_seconds_sum", {"phase": "scan"}, 0.0002),
        ("sentra_phase_duration_seconds_bucket", {"phase": "scan", "le": "0.0001"}, 0),
        ("sentra_phase_duration_seconds_bucket", {"phase": "scan", "le": "0.00025"}, 1),
        ("sentra_phase_duration_seconds_count", {"phase": "segment"}, 1),
        ("sentra_plugin_duration_seconds_sum", {"plugin": "secrets"}, 0.0003),
        ("sentra_scanned_bytes_total", {}, 4000),
        ("sentra_candidates_total", {}, 3),
        ("sentra_confirms_total", {}, 2),
        ("sentra_decoded_views_total", {}, 1),
        ("sentra_decoded_views_cut_total", {}, 2),
    ],
)
def test_times_and_volumes_are_written_by_the_flush(
    counted: Metrics, name: str, labels: dict[str, str], expected: float
) -> None:
    counted.decided(TIMED, 0.004)
    counted.flush()
    counted.flush()
    assert value(counted, name, **labels) == pytest.approx(expected)


def test_a_value_on_a_bound_falls_into_that_bucket(counted: Metrics) -> None:
    counted.decided(ALLOWED, 0.01)
    counted.flush()
    assert value(counted, "sentra_request_duration_seconds_bucket", le="0.01") == 1
    assert value(counted, "sentra_request_duration_seconds_bucket", le="0.005") == 0


def test_a_time_beyond_the_last_bound_is_still_counted(counted: Metrics) -> None:
    counted.decided(ALLOWED, 60.0)
    counted.flush()
    assert value(counted, "sentra_request_duration_seconds_bucket", le="2.5") == 0
    assert value(counted, "sentra_request_duration_seconds_count") == 1


def test_a_plugin_that_judged_has_an_error_count_of_zero(counted: Metrics) -> None:
    counted.decided(TIMED, 0.001)
    counted.flush()
    assert value(counted, "sentra_plugin_errors_total", plugin="secrets") == 0


def test_an_unknown_volume_is_left_out(counted: Metrics) -> None:
    counted.decided(Decision(blocked=False, counts={"somethingNew": 1, "scanBytes": 5}), 0.001)
    counted.flush()
    assert value(counted, "sentra_scanned_bytes_total") == 5


def test_an_error_counts_as_outcome_and_by_code(counted: Metrics) -> None:
    counted.error(4001, 0.002)
    counted.flush()
    found = samples(counted)
    assert value(found, "sentra_requests_total", outcome="error") == 1
    assert value(found, "sentra_errors_total", code="4001") == 1
    assert value(found, "sentra_errors_total", code="4002") == 0
    assert value(found, "sentra_request_duration_seconds_count") == 1


def test_an_error_on_another_path_is_no_request_without_a_verdict(counted: Metrics) -> None:
    counted.error(4004, 0.002, to_judge=False)
    counted.flush()
    found = samples(counted)
    assert value(found, "sentra_errors_total", code="4004") == 1
    assert value(found, "sentra_requests_total", outcome="error") == 0
    assert value(found, "sentra_request_duration_seconds_count") == 0


def test_phases_before_the_decision_are_observed_too(counted: Metrics) -> None:
    counted.decided(TIMED, 0.001, {"auth": 0.05})
    counted.flush()
    assert value(counted, "sentra_phase_duration_seconds_sum", phase="auth") == pytest.approx(0.00005)


def test_refused_callers_are_counted_by_cause(counted: Metrics) -> None:
    counted.auth_failure("missing")
    counted.auth_failure("missing")
    assert value(counted, "sentra_auth_failures_total", cause="missing") == 2


def test_what_was_gathered_in_batches_and_since_is_in_the_totals(counted: Metrics) -> None:
    for _ in range(2 * counting.GATHERED + 3):
        counted.decided(TIMED, 0.001)
    counted.flush()
    counted.flush()
    for name, labels in (("request", {}), ("plugin", {"plugin": "secrets"}), ("phase", {"phase": "scan"})):
        count = value(counted, f"sentra_{name}_duration_seconds_count", **labels)
        assert count == 2 * counting.GATHERED + 3


def test_a_request_is_in_flight_until_its_block_is_left(counted: Metrics) -> None:
    with counted.in_flight():
        assert value(counted, "sentra_inflight_requests") == 1
    assert value(counted, "sentra_inflight_requests") == 0


def test_a_failing_request_is_no_longer_in_flight(counted: Metrics) -> None:
    with pytest.raises(ValueError, match="x"), counted.in_flight():
        raise ValueError("x")
    assert value(counted, "sentra_inflight_requests") == 0


def test_the_totals_of_a_writer_are_published_by_the_flush(counted: Metrics) -> None:
    journal = Journal()
    counted.journal("telemetry", journal)
    for lines in (3, 7):
        journal.lines, journal.dropped, journal.write_errors, journal.size_bytes = lines, 2, 1, lines * 100
        counted.flush()
    found = samples(counted)
    assert value(found, "sentra_telemetry_lines_total") == 7
    assert value(found, "sentra_telemetry_dropped_total") == 2
    assert value(found, "sentra_telemetry_write_errors_total") == 1
    assert value(found, "sentra_telemetry_size_bytes") == 700


def test_the_log_size_is_that_of_the_worker_that_wrote_last(folder: Path) -> None:
    with ExitStack() as stack:
        first, second = Metrics(folder), Metrics(folder)
        stack.callback(first.close)
        stack.callback(second.close)
        big, small = Journal(lines=1, size_bytes=900), Journal(lines=1, size_bytes=900)
        first.journal("telemetry", big)
        second.journal("telemetry", small)
        first.flush()
        small.lines, small.size_bytes = 2, 40
        second.flush()
        first.flush()
        assert value(first, "sentra_telemetry_size_bytes") == 40


def test_calls_to_outside_services_are_published_by_the_flush(counted: Metrics) -> None:
    state = {"calls": {"block": 2, "status 503": 1, "status 500": 1}, "inFlight": 3, "breaker": "half_open"}
    counted.outside(lambda: {"external_x": state})
    counted.flush()
    counted.flush()
    found = samples(counted)
    assert value(found, "sentra_external_calls_total", plugin="external_x", outcome="block") == 2
    assert value(found, "sentra_external_calls_total", plugin="external_x", outcome="status") == 2
    assert value(found, "sentra_external_inflight_calls", plugin="external_x") == 3
    assert value(found, "sentra_external_breakers_open", plugin="external_x") == 1


def test_after_a_reload_outside_services_count_on_and_removed_ones_rest(counted: Metrics) -> None:
    state = {"calls": {"allow": 2}, "inFlight": 3, "breaker": "open"}
    counted.outside(lambda: {"external_x": state, "external_y": state})
    counted.flush()
    counted.outside(lambda: {"external_x": state | {"calls": {"allow": 1}}})
    counted.flush()
    found = samples(counted)
    assert value(found, "sentra_external_calls_total", plugin="external_x", outcome="allow") == 3
    assert value(found, "sentra_external_inflight_calls", plugin="external_y") == 0
    assert value(found, "sentra_external_breakers_open", plugin="external_y") == 0


def test_only_rules_up_to_a_limit_have_a_series(counted: Metrics) -> None:
    for number in range(MAX_RULES + 20):
        verdict = Verdict("domain_block", block=True, rule_id=f"domain_block.config-{number}")
        counted.decided(Decision(blocked=True, verdict=verdict), 0.001)
    found = samples(counted)
    rules = [labels for name, labels in found if name == "sentra_blocks_total"]
    assert len(rules) == MAX_RULES + 1
    assert value(found, "sentra_blocks_total", plugin="domain_block", rule="other") == 20


def test_files_keep_their_size_when_every_rule_fires(counted: Metrics) -> None:
    sizes = {path: path.stat().st_size for path in counted.folder.glob("*.db")}
    for number in range(MAX_RULES + 20):
        verdict = Verdict("policy_pack", block=True, rule_id=f"policy_pack.rule-{number}-{'long' * 20}")
        counted.decided(Decision(blocked=True, verdict=verdict, plugin_timings={f"external_{number % 40}": 1}), 0.001)
    counted.flush()
    assert {path: path.stat().st_size for path in sizes} == sizes


def test_a_reload_replaces_the_configuration_hash(counted: Metrics) -> None:
    for digest in ("aaa", "bbb"):
        counted.configured(digest, "1.0.0", time.monotonic())
    found = samples(counted)
    assert value(found, "sentra_config_info", hash="bbb") == 1
    assert value(found, "sentra_config_info", hash="aaa") is None
    assert value(found, "sentra_config_last_load_timestamp_seconds") == pytest.approx(time.time(), abs=60)


def test_many_reloads_do_not_grow_the_files(counted: Metrics) -> None:
    for number in range(600):
        counted.configured(f"{number:012}", "1.0.0", time.monotonic())
    assert sum(path.stat().st_size for path in counted.folder.glob("gauge_livemax*")) == GAUGE_FILE_BYTES


def test_workers_with_different_configurations_show_both_hashes(folder: Path) -> None:
    first, second = Metrics(folder), Metrics(folder)
    first.configured("aaa", "1.0.0", time.monotonic())
    second.configured("bbb", "1.0.0", time.monotonic())
    found = samples(first)
    first.close()
    assert value(found, "sentra_config_info", hash="aaa") == value(found, "sentra_config_info", hash="bbb") == 1
    assert value(second, "sentra_config_info", hash="aaa") is None
    second.close()


def test_a_failed_reload_shows_until_one_succeeds(counted: Metrics) -> None:
    counted.configured("aaa", "1.0.0", time.monotonic())
    counted.reload(False)
    assert value(counted, "sentra_config_last_reload_success") == 0
    counted.reload(True)
    found = samples(counted)
    assert value(found, "sentra_config_last_reload_success") == 1
    assert value(found, "sentra_config_reloads_total", outcome="failure") == 1
    assert value(found, "sentra_config_reloads_total", outcome="success") == 1


def test_one_worker_with_a_failed_self_test_shows(folder: Path) -> None:
    first, second = Metrics(folder), Metrics(folder)
    first.self_test(True)
    second.self_test(False)
    assert value(first, "sentra_engine_selftest_ok") == 0
    second.close()
    assert value(first, "sentra_engine_selftest_ok") == 1
    first.close()


def test_the_age_of_signing_keys_is_that_of_the_worker_with_the_oldest(folder: Path) -> None:
    first, second = Metrics(folder), Metrics(folder)
    for worker, age in ((first, 10.0), (second, float("inf"))):
        worker.flush()
        assert value(worker, "sentra_entra_keys_age_seconds") == (None if worker is first else 10)
        worker.keys(lambda age=age: age)
        worker.flush()
    assert value(first, "sentra_entra_keys_age_seconds") == float("inf")
    second.keys(lambda: 20.0)
    second.configured("next", "1.0.0", 0.0)
    second.flush()
    assert value(first, "sentra_entra_keys_age_seconds") == 20
    second.close()
    assert value(first, "sentra_entra_keys_age_seconds") == 10
    first.close()


def test_the_service_is_as_old_as_its_first_worker(folder: Path) -> None:
    first = Metrics(folder)
    first.configured("aaa", "1.0.0", time.monotonic() - 1000)
    second = Metrics(folder)
    second.configured("aaa", "1.0.0", time.monotonic())
    first.close()
    found = samples(second)
    second.close()
    assert value(found, "sentra_uptime_seconds") == pytest.approx(1000, abs=60)
    assert value(found, "sentra_start_time_seconds") == pytest.approx(time.time() - 1000, abs=60)


def test_a_reload_does_not_make_the_service_younger(counted: Metrics) -> None:
    counted.configured("aaa", "1.0.0", time.monotonic() - 1000)
    counted.configured("bbb", "1.0.0", time.monotonic())
    assert value(counted, "sentra_uptime_seconds") == pytest.approx(1000, abs=60)


def test_a_start_that_is_not_written_yet_is_not_told(counted: Metrics) -> None:
    counted._cell("sentra_start_time_seconds")
    found = samples(counted)
    assert value(found, "sentra_start_time_seconds") is None
    assert value(found, "sentra_uptime_seconds") is None


def test_build_info_names_the_versions(counted: Metrics) -> None:
    counted.configured("aaa", "1.2.3", time.monotonic())
    (labels,) = [dict(labels) for name, labels in samples(counted) if name == "sentra_build_info"]
    assert labels["version"] == "1.2.3"
    assert set(labels) == {"version", "python", "hyperscan"}


def test_two_instances_in_one_process_do_not_mix(counted: Metrics) -> None:
    other = Metrics(None)
    other.decided(BLOCKED, 0.001)
    other.close()
    assert value(counted, "sentra_requests_total", outcome="block") == 0


def test_a_private_folder_goes_with_its_owner() -> None:
    made = Metrics(None)
    folder = made.folder
    assert folder.is_dir()
    del made
    gc.collect()
    assert not folder.exists()


def test_closing_twice_is_harmless(counted: Metrics) -> None:
    counted.close()
    counted.close()
    assert not counted.folder.exists()


def test_every_metric_of_the_table_is_rendered_and_no_other(counted: Metrics) -> None:
    exercise(counted)
    families = parser.text_string_to_metric_families(counted.render("")[1].decode())
    assert [(family.name, family.type, family.documentation) for family in families] == [
        (definition.family, definition.type, definition.help) for definition in DEFINITIONS
    ]


def test_every_sample_carries_the_labels_of_the_table(counted: Metrics) -> None:
    exercise(counted)
    found = samples(counted)
    for definition in DEFINITIONS:
        sample = f"{definition.name}_count" if definition.type == "histogram" else definition.name
        labels = {frozenset(key for key, _ in labels) for name, labels in found if name == sample}
        assert labels == {frozenset(definition.labels)}, definition.name


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.name)
def test_names_and_units_follow_the_conventions(definition: Definition) -> None:
    assert definition.name.startswith("sentra_")
    assert definition.name.endswith("_total") == (definition.type == "counter")
    assert definition.family.endswith(f"_{definition.unit}") or not definition.unit
    assert definition.help.endswith(".")


def test_openmetrics_is_written_to_who_accepts_it(counted: Metrics) -> None:
    exercise(counted)
    kind, body = counted.render("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    families = list(openmetrics_parser.text_string_to_metric_families(body.decode()))
    assert kind.startswith("application/openmetrics-text")
    assert len(families) == len(DEFINITIONS)


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain;version=nonsense", "application/json"])
def test_the_plain_format_is_written_to_anyone_else(counted: Metrics, accept: str) -> None:
    kind, body = counted.render(accept)
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert body.startswith(b"# HELP sentra_requests_total ")


def test_promtool_finds_no_fault(counted: Metrics) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    exercise(counted)
    checked = subprocess.run([promtool, "check", "metrics"], input=counted.render("")[1], capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


# The folder


def test_preparing_removes_metric_files_and_nothing_else(tmp_path: Path) -> None:
    stale = ["counter_s0.db", "counter_4711.db", "gauge_livesum_s12.db", "histogram_s1.db.tmp", "slot-3.lock"]
    kept = ["notes.txt", "other.db", "telemetry.jsonl"]
    for name in stale + kept:
        (tmp_path / name).touch()
    prepare_folder(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "claim.lock"])


def test_a_folder_in_use_is_refused(folder: Path) -> None:
    made = Metrics(folder)
    with pytest.raises(ConfigError, match=r"SENTRA_METRICS_DIR: .*another running server"):
        prepare_folder(folder)
    made.decided(ALLOWED, 0.001)
    assert value(made, "sentra_requests_total", outcome="allow") == 1
    made.close()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"SENTRA_METRICS_DIR: .*cannot be used: Not a directory"):
        prepare_folder(tmp_path / "file" / "metrics")


def test_workers_take_the_lowest_free_slot(folder: Path) -> None:
    first, second = Slot(folder), Slot(folder)
    first.close()
    third = Slot(folder)
    assert (first.number, second.number, third.number) == (0, 1, 0)
    second.close()
    third.close()


def test_a_claimed_slot_is_the_one_written_to(folder: Path) -> None:
    taken = Slot(folder)
    assert claim_slot(folder) == 1
    made = Metrics(folder)
    assert (folder / "counter_s1.db").exists()
    assert not (folder / "counter_s0.db").exists()
    made.close()
    taken.close()


# Processes that come and go

WORKER = """
import sys, time
from pathlib import Path
from sentra.findings import Decision, Verdict
from sentra.metrics import counting, Metrics, claim_slot
folder, workers = Path(sys.argv[1]), int(sys.argv[2])
slot = claim_slot(folder)
metrics = Metrics(folder, workers)
block = Decision(blocked=True, verdict=Verdict("pii", True, 202, "", "pii.iban"))
print(slot, flush=True)
for line in sys.stdin:
    match line.split():
        case ["decide", count]:
            for _ in range(int(count)):
                metrics.decided(block, 0.001)
        case ["enter"]:
            metrics.in_flight().__enter__()
        case ["configure", digest]:
            metrics.configured(digest, "1", time.monotonic())
        case ["flush"]:
            metrics.flush()
        case ["count"]:
            print("counting", flush=True)
            while True:
                metrics._block.inc()
        case ["run"]:
            print("running", flush=True)
            while True:
                metrics.decided(block, 0.001)
                metrics.flush()
    print("done", flush=True)
"""


class Worker:
    """A process that counts what it is told to."""

    def __init__(self, folder: Path, workers: int = 2):
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.slot = int(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, command: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def kill(self) -> None:
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def start(folder: Path) -> Iterator[type[Worker]]:
    started: list[Worker] = []

    class Kept(Worker):
        def __init__(self, workers: int = 2):
            started.append(self)
            super().__init__(folder, workers)

    yield Kept
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


def test_totals_are_exact_over_killed_workers(folder: Path, start: type[Worker]) -> None:
    first = start()
    for generation in range(1, 9):
        second = start()
        first.tell("decide 10")
        second.tell("decide 10")
        second.tell("flush")
        second.kill()
        scraper = Metrics(folder)
        assert value(scraper, "sentra_blocks_total", plugin="pii", rule="pii.iban") == generation * 20
        assert value(scraper, "sentra_requests_total", outcome="block") == generation * 20
        assert value(scraper, "sentra_request_duration_seconds_count") == generation * 10
        scraper.close()
    slots = {path.name.partition("_s")[2] for path in folder.glob("*.db")}
    assert slots == {"0.db", "1.db"}


def test_any_worker_tells_the_same_totals(folder: Path, start: type[Worker]) -> None:
    workers = [start() for _ in range(3)]
    for worker in workers:
        worker.tell("decide 5")
    here, there = Metrics(folder), Metrics(folder)
    assert value(here, "sentra_requests_total", outcome="block") == 15
    assert value(there, "sentra_requests_total", outcome="block") == 15
    here.close()
    there.close()


def test_restarts_are_workers_beyond_the_first_generation(folder: Path, start: type[Worker]) -> None:
    first, second = start(), start()
    scraper = Metrics(folder, 3)
    assert value(scraper, "sentra_worker_restarts_total") == 0
    assert value(scraper, "sentra_workers") == 3
    first.kill()
    assert value(scraper, "sentra_workers") == 2
    start()
    second.kill()
    start()
    assert value(scraper, "sentra_worker_restarts_total") == 2
    assert value(scraper, "sentra_workers") == 3
    scraper.close()


def test_a_worker_that_overlaps_the_one_it_replaces_counts_as_a_restart(start: type[Worker], folder: Path) -> None:
    start(1)
    assert start(1).slot == 1
    scraper = Metrics(folder)
    assert value(scraper, "sentra_worker_restarts_total") == 1
    scraper.close()


def test_what_a_killed_worker_had_in_flight_is_gone(folder: Path, start: type[Worker]) -> None:
    scraper = Metrics(folder)
    worker = start()
    worker.tell("enter")
    worker.tell("configure abc")
    assert value(scraper, "sentra_inflight_requests") == 1
    worker.kill()
    found = samples(scraper)
    assert value(found, "sentra_inflight_requests") == 0
    assert value(found, "sentra_config_info", hash="abc") is None
    start()
    assert value(scraper, "sentra_inflight_requests") == 0
    scraper.close()


def test_scrapes_during_writes_and_kills_are_whole_and_never_fall(folder: Path, start: type[Worker]) -> None:
    scraper = Metrics(folder)
    stop = threading.Event()
    failures: list[str] = []

    def scrape() -> None:
        last = 0.0
        while not stop.is_set():
            total = value(scraper, "sentra_requests_total", outcome="block") or 0.0
            if total < last:
                failures.append(f"{last} fell to {total}")
            last = total

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        for _ in range(4):
            worker = start()
            assert worker.tell("run") == "running"
            worker.kill()
    finally:
        stop.set()
        thread.join()
        scraper.close()
    assert failures == []


def test_files_are_allocated_in_full_before_they_are_mapped(counted: Metrics) -> None:
    counted.configured("aaa", "1.0.0", time.monotonic())
    for path in counted.folder.glob("*.db"):
        assert path.stat().st_blocks * 512 >= path.stat().st_size, path.name


def test_a_disk_that_cannot_back_a_file_is_an_error_at_the_start(folder: Path) -> None:
    script = "import sys\nfrom pathlib import Path\nfrom sentra.metrics import Metrics\nMetrics(Path(sys.argv[1]))\n"
    limited = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True,
        text=True,
    )
    assert "ConfigError: SENTRA_METRICS_DIR:" in limited.stderr
    assert "cannot allocate 524288 bytes: File too large" in limited.stderr


def test_a_fork_does_not_take_its_parents_files_along(folder: Path) -> None:
    made = Metrics(folder)
    script = (
        "import os\nfrom sentra.metrics import Metrics\nm = Metrics(None)\n"
        "pid = os.fork()\n"
        "if pid == 0: raise SystemExit(0)\n"
        "os.waitpid(pid, 0)\nprint(m.folder.is_dir())\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ})
    assert ran.stdout == "True\n"
    made.close()


def test_a_number_being_written_is_never_read_as_less(folder: Path, start: type[Worker]) -> None:
    """Nor could a worker be killed in the middle of it: whoever takes its slot goes on from what is read."""
    worker = start()
    assert worker.tell("count") == "counting"
    file = _map(folder / f"counter_s{worker.slot}.db")
    key = next(key for key in file._positions if '"outcome": "block"' in key)
    seen = [file.read_value(key)[0] for _ in range(300_000)]
    assert seen == sorted(seen)
    assert seen[0] < seen[-1]
    file.close()
