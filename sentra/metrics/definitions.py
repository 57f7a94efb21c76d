"""The table of metrics: what each is called, counts and means. `docs/reference.md` is made from here."""

from typing import Literal, NamedTuple

SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0, 2.5,
)  # fmt: skip


class Definition(NamedTuple):
    """One metric. ``merge`` says how the workers' gauges become one; ``live...`` leaves out workers that have ended."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    merge: Literal["", "min", "livemin", "livemax", "livesum", "livemostrecent"] = ""
    zero_is_absent: bool = False

    @property
    def family(self) -> str:
        """The name as the exposition formats' TYPE line has it."""
        return self.name.removesuffix("_total") if self.type == "counter" else self.name

    @property
    def file(self) -> str:
        """The kind of file that holds the values."""
        return f"gauge_{self.merge}" if self.type == "gauge" else self.type


def _counter(name: str, text: str, *labels: str, unit: str = "") -> Definition:
    return Definition(name, "counter", text, labels, unit)


def _histogram(name: str, text: str, *labels: str) -> Definition:
    return Definition(name, "histogram", text, labels, "seconds")


DEFINITIONS: tuple[Definition, ...] = (
    _counter("sentra_requests_total", "Requests to judge that were answered, by outcome.", "outcome"),
    _counter("sentra_blocks_total", "Blocks, by the plugin and the rule that decided.", "plugin", "rule"),
    _counter(
        "sentra_audit_suppressed_total", "Blocks withheld in audit mode, by plugin and rule.", "plugin", "rule"
    ),
    _counter("sentra_late_answers_total", "Verdicts that the time budget decided, not the plugins."),
    _counter("sentra_errors_total", "Answers with an error on any path, by the contract's error code.", "code"),
    _counter("sentra_plugin_errors_total", "Requests on which a plugin failed.", "plugin"),
    _counter(
        "sentra_external_calls_total",
        "Calls to outside services, by outcome: allow, block, cached, or the kind of error.",
        "plugin",
        "outcome",
    ),
    Definition(
        "sentra_external_inflight_calls",
        "gauge",
        "Calls to an outside service that are under way now.",
        ("plugin",),
        unit="calls",
        merge="livesum",
    ),
    Definition(
        "sentra_external_breakers_open",
        "gauge",
        "Workers whose circuit breaker for an outside service is open or half open.",
        ("plugin",),
        merge="livesum",
    ),
    _counter(
        "sentra_over_limit_total",
        "Requests of admitted callers over a limit, by limit and by the answer: error, allow or block.",
        "limit",
        "answer",
    ),
    _counter("sentra_auth_failures_total", "Callers refused, by cause.", "cause"),
    Definition(
        "sentra_entra_keys_age_seconds",
        "gauge",
        "Time since the signing keys of Entra ID were last fetched, of the worker and the tenant with the oldest.",
        unit="seconds",
        merge="livemax",
    ),
    _counter("sentra_client_gone_total", "Callers that closed the connection before the answer."),
    Definition(
        "sentra_inflight_requests", "gauge", "Requests that are being answered now.", unit="requests", merge="livesum"
    ),
    _histogram("sentra_request_duration_seconds", "Time from a request's arrival to its answer."),
    _histogram("sentra_phase_duration_seconds", "Time spent in each phase of a request.", "phase"),
    _histogram("sentra_plugin_duration_seconds", "Time that each plugin took to judge.", "plugin"),
    _counter("sentra_scanned_bytes_total", "Text given to the scan engine.", unit="bytes"),
    _counter("sentra_candidates_total", "Rules that the scan named for a closer look."),
    _counter("sentra_confirms_total", "Second looks at a candidate's match."),
    _counter("sentra_decoded_views_total", "Decoded or normalised views scanned beside the text itself."),
    _counter("sentra_decoded_views_cut_total", "Views not made: nested too deeply, too large or too many."),
    _counter("sentra_telemetry_lines_total", "Lines written to the telemetry file."),
    _counter("sentra_telemetry_dropped_total", "Telemetry lines given up: a full queue or a failed write."),
    _counter("sentra_telemetry_write_errors_total", "Failed writes to the telemetry file."),
    Definition(
        "sentra_telemetry_size_bytes", "gauge", "Size of the telemetry file.", unit="bytes", merge="livemostrecent"
    ),
    _counter("sentra_audit_lines_total", "Lines written to the audit file."),
    _counter("sentra_audit_dropped_total", "Audit lines given up: a full queue or a failed write."),
    _counter("sentra_audit_write_errors_total", "Failed writes to the audit file."),
    Definition("sentra_audit_size_bytes", "gauge", "Size of the audit file.", unit="bytes", merge="livemostrecent"),
    Definition(
        "sentra_engine_selftest_ok",
        "gauge",
        "1 if the scan engine of every worker finds what it must find, else 0.",
        merge="livemin",
    ),
    Definition(
        "sentra_config_info",
        "gauge",
        "1 for each configuration in force; more than one hash means that workers differ.",
        ("hash",),
        merge="livemax",
    ),
    Definition(
        "sentra_config_last_load_timestamp_seconds",
        "gauge",
        "When a configuration was last taken over, as Unix time.",
        unit="seconds",
        merge="livemax",
    ),
    Definition(
        "sentra_config_last_reload_success",
        "gauge",
        "0 if any worker's last reload failed and it kept its configuration, else 1.",
        merge="livemin",
    ),
    _counter("sentra_config_reloads_total", "Reloads tried by workers, by outcome.", "outcome"),
    Definition(
        "sentra_build_info",
        "gauge",
        "1, with the versions of Sentra, Python and the scan engine's binding.",
        ("version", "python", "hyperscan"),
        merge="livemax",
    ),
    Definition(
        "sentra_start_time_seconds",
        "gauge",
        "When the first worker started, as Unix time.",
        unit="seconds",
        merge="min",
        zero_is_absent=True,
    ),
    Definition("sentra_uptime_seconds", "gauge", "Time since the first worker started.", unit="seconds"),
    Definition("sentra_workers", "gauge", "Workers that are alive.", merge="livesum"),
    _counter("sentra_worker_restarts_total", "Workers started in the place of one that had ended."),
    _counter("sentra_cpu_seconds_total", "Processor time that the workers used.", unit="seconds"),
    Definition(
        "sentra_resident_memory_bytes", "gauge", "Memory that the workers hold, pages shared by them counted in each.",
        unit="bytes", merge="livesum",
    ),
)  # fmt: skip
BY_NAME = {definition.name: definition for definition in DEFINITIONS}
