"""One worker's counts, written to the files that all workers share, and their totals as text.

``sentra_requests_total`` and ``sentra_blocks_total`` are written at once, so that they never lag behind an answer.
Histograms cost less when they are gathered in plain lists and written in batches, by ``flush``.
"""

import os
import platform
import shutil
import tempfile
import time
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any, Protocol, cast

from prometheus_client import exposition
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics

from sentra.findings import Decision
from sentra.memory import resident_bytes
from sentra.metrics.definitions import BY_NAME, DEFINITIONS, SECONDS, Definition
from sentra.metrics.files import Cell, Files, Slot, close_quietly, merged
from sentra.metrics.services import Health, Services

MAX_RULES = 1000
OTHER_RULES = "other"
NOTHING: Mapping[str, float] = {}
BOUNDS_MS = tuple(bound * 1000 for bound in SECONDS)
_KNOWN_CODES = (2001, 4000, 4001, 4002, 4003, 4004, 4005, 5000, 5031)
_VOLUMES = {
    "scanBytes": "sentra_scanned_bytes_total",
    "candidates": "sentra_candidates_total",
    "confirms": "sentra_confirms_total",
    "views": "sentra_decoded_views_total",
    "viewsCut": "sentra_decoded_views_cut_total",
}
GATHERED = 64
_CLAIMED: dict[Path, Slot] = {}

_Gathered = tuple[float, Mapping[str, float], Mapping[str, float], Mapping[str, float], Mapping[str, int]]
_openmetrics: Callable[[Any], bytes] = cast(Any, openmetrics.generate_latest)


class JournalStats(Protocol):
    """Plain running totals of one log file's writer; read without a lock."""

    lines: int
    dropped: int
    write_errors: int
    size_bytes: int


def claim_slot(folder: Path) -> int:
    """Take the lowest free slot of ``folder`` for the next ``Metrics`` of this process, and return its number."""
    _CLAIMED[folder] = Slot(folder)
    return _CLAIMED[folder].number


class Histogram:
    """Observations of one series. ``pending`` has a count for each bucket, then the sum, in milliseconds.

    To observe is two steps on that list, written out where it happens: ``pending[bisect_left(BOUNDS_MS, ms)] += 1``
    and ``pending[-1] += ms``. A call for each would double the cost. ``publish`` adds all to the shared files.
    """

    __slots__ = ("_buckets", "_sum", "pending")

    def __init__(self, buckets: list[Cell], total: Cell):
        self._buckets, self._sum = buckets, total
        self.pending: list[float] = [0] * (len(buckets) + 1)

    def publish(self) -> None:
        pending = self.pending
        for index, bucket in enumerate(self._buckets):
            if pending[index]:
                bucket.inc(pending[index])
        if pending[-1]:
            self._sum.inc(pending[-1] / 1000)
        pending[:] = [0] * len(pending)


class Family:
    """The histograms of one metric by its label's value; a series is made at its first use."""

    def __init__(self, make: Callable[[str], Histogram]):
        self._make = make
        self._pending: dict[str, list[float]] = {}
        self.histograms: list[Histogram] = []

    def observe(self, timings: Mapping[str, float]) -> None:
        """Add one observation, in milliseconds, for each name in ``timings``."""
        pending_of = self._pending
        for name, ms in timings.items():
            pending = pending_of.get(name)
            if pending is None:
                pending = self._new(name)
            pending[bisect_left(BOUNDS_MS, ms)] += 1
            pending[-1] += ms

    def _new(self, name: str) -> list[float]:
        histogram = self._make(name)
        self.histograms.append(histogram)
        self._pending[name] = histogram.pending
        return histogram.pending


class InFlight:
    """A context in which one request counts as being answered."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell):
        self._cell = cell

    def __enter__(self) -> None:
        self._cell.inc()

    def __exit__(self, *exception: object) -> None:
        self._cell.inc(-1.0)


class Metrics:
    """The counts of one worker. All methods but ``render`` belong to the thread of the event loop.

    Without a ``folder`` the values stand in a private one that is removed with this object. ``workers`` is how many
    the service was told to run; with it, restarts are exact.
    """

    def __init__(self, folder: Path | None, workers: int | None = None):
        self.folder = folder or Path(tempfile.mkdtemp(prefix="sentra-metrics-"))
        slot = _CLAIMED.pop(self.folder, None) or Slot(self.folder)
        self._files = Files(slot)
        self._close = weakref.finalize(self, _close, self._files, self.folder if folder is None else None, os.getpid())
        self._cells: dict[tuple[str, ...], Cell] = {}
        self._rules: dict[tuple[str, str, str], Cell] = {}
        self._journals: list[_Journal] = []
        self._services = Services(self._cell)
        self._keys_age: Callable[[], float | None] = _no_keys
        self._cpu = time.process_time()
        self._bind()
        self._cell("sentra_workers").set(1)
        if slot.reused or (workers is not None and slot.number >= workers):
            self._cell("sentra_worker_restarts_total").inc()

    def _bind(self) -> None:
        """Make what each request touches, and what must read 0 before it first happens."""
        self._allow = self._cell("sentra_requests_total", "allow")
        self._block = self._cell("sentra_requests_total", "block")
        self._failed = self._cell("sentra_requests_total", "error")
        self._late = self._cell("sentra_late_answers_total")
        self._gone = self._cell("sentra_client_gone_total")
        self._phases = Family(partial(self._histogram, "sentra_phase_duration_seconds"))
        self._plugins = Family(self._plugin_histogram)
        self._request_histogram = self._histogram("sentra_request_duration_seconds")
        self._requests = self._request_histogram.pending
        self._in_flight = InFlight(self._cell("sentra_inflight_requests"))
        self._volume_cells = {count: self._cell(name) for count, name in _VOLUMES.items()}
        self._volumes = dict.fromkeys(_VOLUMES, 0)
        self._gathered: list[_Gathered] = []
        for code in _KNOWN_CODES:
            self._cell("sentra_errors_total", str(code))
        for outcome in ("success", "failure"):
            self._cell("sentra_config_reloads_total", outcome)
        self._cell("sentra_worker_restarts_total")

    def _cell(self, name: str, *values: str) -> Cell:
        """The number of ``name`` with these label values, made at its first use."""
        cell = self._cells.get((name, *values))
        if cell is None:
            definition = BY_NAME[name]
            labels = dict(zip(definition.labels, values, strict=True))
            cell = self._files.cell(definition.file, definition.family, name, labels, definition.help)
            self._cells[(name, *values)] = cell
        return cell

    def _histogram(self, name: str, *values: str) -> Histogram:
        definition = BY_NAME[name]
        labels = dict(zip(definition.labels, values, strict=True))
        buckets = [
            self._files.cell("histogram", name, f"{name}_bucket", {**labels, "le": bound}, definition.help)
            for bound in (*map(str, SECONDS), "+Inf")
        ]
        return Histogram(buckets, self._files.cell("histogram", name, f"{name}_sum", labels, definition.help))

    def _plugin_histogram(self, plugin: str) -> Histogram:
        self._cell("sentra_plugin_errors_total", plugin)  # 0 before the first error, so that an increase is seen
        return self._histogram("sentra_plugin_duration_seconds", plugin)

    def decided(self, decision: Decision, seconds: float, before: Mapping[str, float] = NOTHING) -> None:
        """Count one decision that took ``seconds``; to be called before its answer is sent.

        ``before`` has the milliseconds of phases that came before the decision's own.
        """
        if decision.blocked:
            self._block.inc()
        else:
            self._allow.inc()
        if decision.verdict is not None and (decision.blocked or decision.withheld):
            name = "sentra_blocks_total" if decision.blocked else "sentra_audit_suppressed_total"
            self._rule(name, decision.verdict.plugin, decision.verdict.rule_id or "").inc()
        if decision.late or decision.errors:
            self._mishaps(decision)
        self._gathered.append((seconds * 1000, before, decision.timings, decision.plugin_timings, decision.counts))
        if len(self._gathered) >= GATHERED:
            self._observe()

    def _observe(self) -> None:
        """Add up what was gathered: many at a time cost half of what they cost one by one."""
        volumes = self._volumes
        for ms, before, timings, plugin_timings, counts in self._gathered:
            self._took(ms)
            self._phases.observe(before)
            self._phases.observe(timings)
            self._plugins.observe(plugin_timings)
            for name, count in counts.items():
                if count and name in volumes:
                    volumes[name] += count
        self._gathered.clear()

    def _took(self, ms: float) -> None:
        pending = self._requests
        pending[bisect_left(BOUNDS_MS, ms)] += 1
        pending[-1] += ms

    def _mishaps(self, decision: Decision) -> None:
        if decision.late:
            self._late.inc()
        for error in decision.errors:
            self._cell("sentra_plugin_errors_total", error.partition(":")[0]).inc()

    def _rule(self, name: str, plugin: str, rule: str) -> Cell:
        """The number of blocks, real or withheld, of a rule. Rules beyond a limit share one: series cost memory."""
        cell = self._rules.get((name, plugin, rule))
        if cell is None:
            label = rule if len(self._rules) < MAX_RULES else OTHER_RULES
            cell = self._rules[(name, plugin, rule)] = self._cell(name, plugin, label)
        return cell

    def error(self, code: int, seconds: float, to_judge: bool = True) -> None:
        """Count one answer with the contract's error ``code`` after ``seconds``.

        Only a request ``to_judge`` counts as one with the outcome error: a probe of other paths is no missing verdict.
        """
        self._cell("sentra_errors_total", str(code)).inc()
        if to_judge:
            self._failed.inc()
            self._took(seconds * 1000)

    def auth_failure(self, cause: str) -> None:
        """Count one refused caller; ``cause`` is one of a fixed set of words."""
        self._cell("sentra_auth_failures_total", cause).inc()

    def over_limit(self, limit: str, answer: str) -> None:
        """Count one request over ``limit``; both are of fixed sets of words."""
        self._cell("sentra_over_limit_total", limit, answer).inc()

    def client_gone(self) -> None:
        """Count one caller that closed the connection before its answer."""
        self._gone.inc()

    def in_flight(self) -> InFlight:
        """A context manager around the answering of one request."""
        return self._in_flight

    def journal(self, name: str, stats: JournalStats) -> None:
        """Publish the totals of the ``telemetry`` or ``audit`` file's writer at each flush."""
        cells = [self._cell(f"sentra_{name}_{total}_total") for total in ("lines", "dropped", "write_errors")]
        self._journals.append(_Journal(stats, cells, self._cell(f"sentra_{name}_size_bytes")))

    def outside(self, health: Health) -> None:
        """Publish what ``Pipeline.health`` tells of outside services at each flush, instead of what was told before."""
        self._services.watch(health)

    def keys(self, age: Callable[[], float | None]) -> None:
        """Publish what ``age`` tells at each flush: seconds since signing keys were fetched, nothing without any to fetch."""
        self._keys_age = age

    def configured(self, digest: str, version: str, started: float) -> None:
        """Tell which configuration is in force since now, in which version.

        ``started`` is when this process began to serve, on ``time.monotonic``; only the first one counts.
        """
        build = (version, platform.python_version(), package_version("hyperscan"))
        with self._files.rewriting("gauge_livemax"):
            for name in [key for key in self._cells if BY_NAME[key[0]].file == "gauge_livemax"]:
                del self._cells[name]
            self._cell("sentra_config_info", digest).set(1)
            self._cell("sentra_build_info", *build).set(1)
            self._cell("sentra_config_last_load_timestamp_seconds").set(_now())
        self._cell("sentra_config_last_reload_success").set(1)
        start = self._cell("sentra_start_time_seconds")
        if not start.value:
            start.set(_now() - time.monotonic() + started)

    def reload(self, ok: bool) -> None:
        """Count one attempt to take over a new configuration."""
        self._cell("sentra_config_reloads_total", "success" if ok else "failure").inc()
        self._cell("sentra_config_last_reload_success").set(ok)

    def self_test(self, ok: bool) -> None:
        """Tell whether the scan engine finds what it must find."""
        self._cell("sentra_engine_selftest_ok").set(ok)

    def flush(self) -> None:
        """Write what was gathered to the shared files; to be called at least once a second and at the end."""
        self._observe()
        for histogram in (self._request_histogram, *self._phases.histograms, *self._plugins.histograms):
            histogram.publish()
        for name, cell in self._volume_cells.items():
            if self._volumes[name]:
                cell.inc(self._volumes[name])
                self._volumes[name] = 0
        for journal in self._journals:
            journal.publish()
        self._services.publish()
        age = self._keys_age()
        if age is not None:
            self._cell("sentra_entra_keys_age_seconds").set(age)
        cpu, self._cpu = self._cpu, time.process_time()
        self._cell("sentra_cpu_seconds_total").inc(self._cpu - cpu)
        self._cell("sentra_resident_memory_bytes").set(resident_bytes())

    def render(self, accept: str) -> tuple[str, bytes]:
        """Content type and body with the totals of all workers, in OpenMetrics if ``accept`` names it."""
        source: Any = _Source(self.folder)
        if "application/openmetrics-text" in accept:
            return openmetrics.CONTENT_TYPE_LATEST, _openmetrics(source)
        return exposition.CONTENT_TYPE_PLAIN_0_0_4, exposition.generate_latest(source)

    def close(self) -> None:
        """Flush, and give the slot up; nothing may be counted afterwards."""
        if self._close.alive:
            self.flush()
            self._close()


def _no_keys() -> None:
    """The age of keys that nobody needs."""


def _close(files: Files, private: Path | None, owner: int) -> None:
    close_quietly(files, owner)
    if private is not None and os.getpid() == owner:
        shutil.rmtree(private, ignore_errors=True)


class _Journal:
    """One writer's totals, and how much of them has been published."""

    def __init__(self, stats: JournalStats, cells: list[Cell], size: Cell):
        self._stats, self._cells, self._size = stats, cells, size
        self._seen = [0, 0, 0]
        size.set(stats.size_bytes, _now())

    def publish(self) -> None:
        now = [self._stats.lines, self._stats.dropped, self._stats.write_errors]
        for cell, seen, total in zip(self._cells, self._seen, now, strict=True):
            if total != seen:
                cell.inc(total - seen)
        if now != self._seen:
            self._size.set(self._stats.size_bytes, _now())
        self._seen = now


class _Source:
    """What an encoder asks for families: those of all workers, in the order of the table."""

    def __init__(self, folder: Path):
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        families = {metric.name: metric for metric in merged(self._folder)}
        for definition in DEFINITIONS:
            metric = families.get(definition.family)
            if definition.name == "sentra_uptime_seconds":
                yield from _uptime(definition, families.get("sentra_start_time_seconds"))
            elif metric is not None:
                metric.samples = [sample for sample in metric.samples if sample.value or not definition.zero_is_absent]
                yield metric


def _uptime(definition: Definition, start: Metric | None) -> Iterable[Metric]:
    for sample in start.samples if start is not None else ():
        yield GaugeMetricFamily(definition.name, definition.help, value=max(0.0, _now() - sample.value))


def _now() -> float:
    return datetime.now(UTC).timestamp()
