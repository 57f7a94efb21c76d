"""Records of what was decided: a telemetry line for each request, an audit record for each block, real or withheld.

No record holds a matched value: what identifies a request is masked where it contains one, and so is the request in the
audit record, unless the operator asked for it in full. Records of blocks are made in a writer's thread.
"""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from sentra.config import Settings
from sentra.errors import ConfigError
from sentra.findings import Decision, Finding
from sentra.fingerprint import Fingerprints
from sentra.journal import Journal
from sentra.line_queue import Mirror
from sentra.masking import Blank, Masker, OnlyIds, Unmaskable, masker_for
from sentra.plain_lines import Plain, PlainLines
from sentra.plugins import Context
from sentra.records import (
    SCHEMA_VERSION,
    AuditFinding,
    AuditRecord,
    TelemetryRecord,
    milliseconds,
    phases,
    schemas,
    stamp,
)
from sentra.wire import AnalyzeRequest, Identity, identity, request_tree

MAX_TEXT = 256
MAX_PATH = 512
MAX_FINDINGS = 100
LINE_BYTES = 2_048
PLAIN_BYTES = 1_536
QUEUE_BYTES = 8 << 20
AUDIT_QUEUE_BYTES = 32 << 20
HURRY_SHARE = 1 / 2  # of the time budget; an answer that has taken longer does not wait for its record to be made
STDOUT = 1
CLOSE_SECONDS = 5.0
LEAST_SECONDS = 0.2

__all__ = ["Event", "Recorder", "schemas"]

_encode = msgspec.json.Encoder().encode


class Event(Struct, frozen=True, kw_only=True):
    """One request as it ended, for recording.

    ``find`` gives all findings in ``context``, as ``Pipeline.all_findings``; it is called in another thread, must not scan.
    ``seconds`` is the time from arrival to now; ``auth_ms`` and ``decode_ms`` are parts of it. ``identity`` is made from
    ``request`` when it is not given. ``dropped`` says that the caller was gone before the answer.
    """

    outcome: Literal["allow", "block", "error"]
    correlation_id: str | None = None
    identity: Identity | None = None
    request: AnalyzeRequest | None = None
    context: Context | None = None
    find: Callable[[Context], Sequence[Finding]] | None = None
    decision: Decision | None = None
    config_digest: str | None = None
    seconds: float = 0.0
    auth_ms: float | None = None
    decode_ms: float | None = None
    error_code: int | None = None
    dropped: bool = False


class Recorder:
    """Writes the records of one worker. Raises ``ConfigError`` when a file or the fingerprint key cannot be used.

    ``telemetry``, ``audit`` and ``stdout`` are the queues, each with its ``stats``, or ``None``.
    """

    def __init__(self, settings: Settings, config_digest: str):
        self._settings, self._digest = settings, config_digest
        self._fingerprints = Fingerprints(settings)
        self._lines = PlainLines()
        self._allows = 0
        self._lost = 0
        _different_files(settings)
        self.telemetry = self._journal(settings, "log_file", "LOG_FILE", sync=False)
        self.audit = self._journal(settings, "audit_log_file", "AUDIT_LOG_FILE", sync=True)
        self.stdout = Mirror("standard output", STDOUT) if settings.log_stdout else None

    @staticmethod
    def _journal(settings: Settings, field: str, name: str, sync: bool) -> Journal | None:
        path = getattr(settings, field)
        if path is None:
            return None
        return Journal(
            path,
            max_bytes=settings.log_max_bytes,
            keep=settings.log_rotate_keep,
            compress=settings.log_rotate_compress,
            queue_bytes=AUDIT_QUEUE_BYTES if sync else QUEUE_BYTES,
            sync=sync,
            setting=name,
        )

    @property
    def why_not(self) -> str | None:
        """Why records cannot be kept now; nothing when they can."""
        for journal in (self.telemetry, self.audit):
            if journal is not None and not journal.healthy:
                return f"{journal.name} cannot be written"
        return None

    def reconfigure(self, config_digest: str) -> None:
        """Name another configuration in the events that do not name their own."""
        self._digest = config_digest

    def record(self, event: Event) -> bool:
        """Record one request. ``False`` when its audit record could not be taken.

        Then, with ``SENTRA_ON_AUDIT_FAILURE=block``, the caller must be told a block, and the telemetry line says so.
        """
        decision = event.decision
        if decision is None or not (decision.blocked or decision.withheld):
            self._record_plain(event)
            return True
        block = _Block(self, event, stamp(), self._gap())
        hurry = event.seconds * 1000 > self._settings.plugin_budget_ms * HURRY_SHARE
        size = LINE_BYTES + (0 if hurry else decision.counts.get("scanBytes", 0))
        if self.audit is not None:
            block.recorded = self.audit.put_later(block.audit, size, hurry)
        for queue in (self.telemetry, self.stdout):
            if queue is not None:
                queue.put_later(block.telemetry, size, hurry)
        return block.recorded is not False

    def _record_plain(self, event: Event) -> None:
        """Nearly all become lines in the writers' threads, many at a time: one by one they cost twice as much."""
        queues = [self.telemetry, self.stdout if self.stdout is not None and self._sampled(event) else None]
        if not any(queues):
            return
        when, lost = stamp(), self._gap()
        plain = self._plain(event, when, lost)
        line = b"" if plain is not None else _encode(self.entry(event, when, _noted_masker(event), lost, None))
        for queue in queues:
            if queue is not None and plain is not None:
                queue.put_later(partial(self._plain_line, plain), PLAIN_BYTES)
            elif queue is not None:
                queue.put(line)

    def _plain_line(self, plain: Plain) -> bytes:
        line = self._lines.line(plain)
        if line is None:
            event = Event(
                outcome="allow" if plain.error_code is None else "error",
                correlation_id=plain.correlation_id,
                identity=plain.identity,
                decision=plain.decision,
                config_digest=plain.digest,
                seconds=plain.total / 1000,
                auth_ms=plain.auth,
                decode_ms=plain.decode,
                error_code=plain.error_code,
            )
            line = _encode(self.entry(event, plain.stamp, _NOTHING, plain.lost, None))
            self._lines.learn(plain, line)
        return line

    def _plain(self, event: Event, when: str, lost: int) -> Plain | None:
        """An event that differs from others only in its times, counts and who asked: an allow without errors, or a refusal."""
        decision, request, code = event.decision or _REFUSED, event.request, event.error_code
        if event.auth_ms is None or (request is None) == (code is None) or (event.outcome == "allow") != (code is None):
            return None
        remarkable = decision.verdict or decision.noted or decision.late or event.dropped
        if remarkable or event.identity is not None or (decision.errors and code is None):
            return None
        who = _NOBODY if request is None else identity(request)
        shown = event.correlation_id and event.correlation_id[:MAX_TEXT]
        digest, total = event.config_digest or self._digest, event.seconds * 1000
        return Plain(when, shown, who, total, event.auth_ms, event.decode_ms, lost, decision, digest, code)

    def _sampled(self, event: Event) -> bool:
        if event.outcome != "allow":
            return True
        self._allows += 1
        return (self._allows - 1) % self._settings.log_sample_n == 0

    def _gap(self) -> int:
        """Telemetry lines lost since this was last asked."""
        if self.telemetry is None:
            return 0
        lost, self._lost = self._lost, self.telemetry.stats.dropped
        return self._lost - lost

    def close(self) -> None:
        """Write what is queued, in at most 5 seconds for all files together."""
        end = time.monotonic() + CLOSE_SECONDS
        for queue in (self.telemetry, self.audit, self.stdout):
            if queue is not None:
                queue.close(max(LEAST_SECONDS, end - time.monotonic()))

    def entry(self, event: Event, ts: str, masker: Masker, gap: int, recorded: bool | None) -> TelemetryRecord:
        """The telemetry record of ``event`` with its texts masked."""
        return TelemetryRecord(**self._members(event, ts, masker, gap, recorded))

    def audit_entry(
        self, event: Event, ts: str, masker: Masker, gap: int, findings: Sequence[Finding], request: Any, omitted: str
    ) -> AuditRecord:
        """The audit record of ``event``; ``request`` is what may be shown of it."""
        return AuditRecord(
            **self._members(event, ts, masker, gap, True),
            findings=tuple(self._audit_finding(finding, masker) for finding in findings[:MAX_FINDINGS]),
            request=request,
            request_omitted=omitted or None,
        )

    def _audit_finding(self, finding: Finding, masker: Masker) -> AuditFinding:
        evidence = finding.evidence()
        return AuditFinding(
            plugin=finding.plugin,
            rule_id=finding.rule_id,
            source=evidence.source,
            path=masker.text(evidence.path)[:MAX_PATH],
            view=evidence.view,
            masked=evidence.masked,
            fingerprint=self._fingerprints.of(finding.value),
        )

    def _members(self, event: Event, ts: str, masker: Masker, gap: int, recorded: bool | None) -> dict[str, Any]:
        forced = recorded is False and self._settings.on_audit_failure == "block"
        decision = event.decision or Decision(blocked=False)
        return {
            "schema_version": SCHEMA_VERSION,
            "ts": ts,
            "correlation_id": _shown(event.correlation_id, masker),
            **_identity(event, masker),
            "outcome": "block" if forced else event.outcome,
            "block_action": decision.blocked or forced,
            "would_block": decision.blocked or decision.withheld,
            "audit_suppressed": decision.withheld and not forced,
            "audit_recorded": recorded,
            **self._verdict(decision, masker),
            "noted": tuple(dict.fromkeys(finding.rule_id for finding in decision.noted))[:MAX_FINDINGS],
            "latency_ms": milliseconds(event.seconds * 1000),
            "phases": phases(decision, event.auth_ms, event.decode_ms, event.seconds),
            "plugin_timings": {name: milliseconds(spent) for name, spent in decision.plugin_timings.items()},
            "late": decision.late,
            "dropped": event.dropped,
            "dropped_before": gap,
            "errors": tuple(masker.text(error)[:MAX_TEXT] for error in decision.errors[:MAX_FINDINGS]),
            "error_code": event.error_code,
            "counts": decision.counts,
            "config_hash": event.config_digest or self._digest,
        }

    def _verdict(self, decision: Decision, masker: Masker) -> dict[str, Any]:
        verdict = decision.verdict
        finding = verdict.finding if verdict else None
        evidence = finding.evidence() if finding else None
        return {
            "reason_code": verdict.reason_code if verdict else None,
            "blocked_by": verdict.plugin if verdict else None,
            "rule_id": verdict.rule_id if verdict else None,
            "source": evidence.source if evidence else None,
            "path": masker.text(evidence.path)[:MAX_PATH] if evidence else None,
            "view": evidence.view if evidence else None,
            "masked": evidence.masked if evidence else None,
            "fingerprint": self._fingerprints.of(finding.value) if finding else None,
        }


class _Block:
    """The records of one block, made when they are written: the findings are looked for once for both of them."""

    def __init__(self, recorder: Recorder, event: Event, ts: str, gap: int):
        self._recorder, self._event, self._ts, self._gap = recorder, event, ts, gap
        self._lock = threading.Lock()
        self._known: tuple[Sequence[Finding], Masker, str] | None = None
        self.recorded: bool | None = None

    def telemetry(self) -> bytes:
        """The telemetry line."""
        _, masker, _ = self._knowledge()
        return _encode(self._recorder.entry(self._event, self._ts, masker, self._gap, self.recorded))

    def audit(self) -> bytes:
        """The audit record."""
        findings, masker, omitted = self._knowledge()
        request, omitted = self._request(masker, omitted)
        try:
            return self._encoded(masker, findings, request, omitted)
        except RecursionError:
            return self._encoded(masker, findings, None, "nested too deeply")

    def _encoded(self, masker: Masker, findings: Sequence[Finding], request: Any, omitted: str) -> bytes:
        event, recorder = self._event, self._recorder
        return _encode(recorder.audit_entry(event, self._ts, masker, self._gap, findings, request, omitted))

    def _request(self, masker: Masker, omitted: str) -> tuple[Any, str]:
        mode = self._recorder._settings.audit_request
        if self._event.request is None or mode == "none":
            return None, "SENTRA_AUDIT_REQUEST=none" if mode == "none" else "no request"
        tree = request_tree(self._event.request)
        if mode == "full":
            return tree, ""
        if omitted:
            return None, omitted
        try:
            return masker.tree(tree), ""
        except Unmaskable as error:
            return None, str(error)

    def _knowledge(self) -> tuple[Sequence[Finding], Masker, str]:
        """All findings, what hides them, and why the request must not be shown, if so."""
        with self._lock:
            if self._known is None:
                self._known = _look(self._event)
            return self._known


def _look(event: Event) -> tuple[Sequence[Finding], Masker, str]:
    known = _known_findings(event)
    if event.request is None:
        return known, _masker(known), "no request"
    if event.context is None or event.find is None:
        return known, OnlyIds(), "its findings are not known"
    try:
        found = event.find(event.context)
    except Exception as error:
        return known, OnlyIds(), f"a check failed: {type(error).__name__}"
    findings = _distinct([*known, *found])
    if not all(finding.value for finding in findings):
        return findings, OnlyIds(), "too many candidates"
    try:
        masker = masker_for(request_tree(event.request), [*found, *_others(known, found)], event.context.scanned)
    except Unmaskable as error:
        return findings, _masker(findings), str(error)
    return findings, masker, ""


def _distinct(findings: Sequence[Finding]) -> list[Finding]:
    return list({(finding.rule_id, finding.span, finding.value): finding for finding in findings}.values())


def _others(known: Sequence[Finding], found: Sequence[Finding]) -> list[Finding]:
    seen = {(finding.rule_id, finding.span, finding.value) for finding in found}
    return [finding for finding in known if (finding.rule_id, finding.span, finding.value) not in seen]


def _known_findings(event: Event) -> list[Finding]:
    decision = event.decision
    if decision is None:
        return []
    first = decision.verdict.finding if decision.verdict else None
    return [finding for finding in (first, *decision.noted) if finding is not None]


def _masker(findings: Sequence[Finding]) -> Masker:
    try:
        return Masker(finding.value for finding in findings)
    except Unmaskable:
        return Blank()


_NOTHING, _NOBODY, _REFUSED = Masker(()), Identity(), Decision(blocked=False)


def _noted_masker(event: Event) -> Masker:
    decision = event.decision
    return _masker(decision.noted) if decision is not None and decision.noted else _NOTHING


def _identity(event: Event, masker: Masker) -> dict[str, Any]:
    known = event.identity
    if known is None:
        known = identity(event.request) if event.request is not None else Identity()
    members = structs.asdict(known)
    if masker.idle:
        return members
    return {name: _shown(text, masker) for name, text in members.items()}


def _shown(text: str | None, masker: Masker) -> str | None:
    """``text``, which may have been cut, masked and cut."""
    return None if text is None else masker.cut_text(text)[:MAX_TEXT]


def _different_files(settings: Settings) -> None:
    telemetry, audit = settings.log_file, settings.audit_log_file
    if telemetry is not None and audit is not None and telemetry.resolve() == audit.resolve():
        raise ConfigError([f"AUDIT_LOG_FILE: {audit}: is the same file as LOG_FILE; expected another"])
