"""The application in this process with every rule on, and what it recorded of the last request."""

import asyncio
import atexit
import logging
import re
import tempfile
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sentra import ruleset
from sentra.allowance import ScanTime, no_clock
from sentra.app import App, create_app
from sentra.calls import JSON
from sentra.config import load_settings
from sentra.findings import Decision, Finding
from sentra.log import JsonFormatter
from sentra.plugins import BUILTIN, Context
from sentra.plugins.email_bcc import RULE_ID as EMAIL_RULE
from sentra.records import Phases
from sentra.telemetry import Event
from tests.conftest import CACHE
from tests.fuzz.samples import CONFIG
from tests.fuzz.target import demand

TOKEN = "fuzz-token-0123456789"
_LABEL = re.compile(rb'="([^"]*)"')
LIMITS = ("size", "depth", "segments", "text", "concurrency", "bytes", "wait")
ENOUGH = "600000"
"""A time budget in milliseconds that never runs out, so that verdicts do not depend on the machine."""


class Answer(NamedTuple):
    """What the caller got."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Kept:
    """Takes the place of a file of records: renders each at once and keeps it."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.healthy = True
        self.name = "kept"
        self.stats = type("Stats", (), {"dropped": 0})()

    def put(self, line: bytes) -> bool:
        self.lines.append(line)
        return True

    def put_later(self, render: Any, size: int, hurry: bool = False) -> bool:
        self.lines.append(render())
        return True


class Log(logging.Handler):
    """Keeps the service's own log as it would be written, and keeps it from being written anywhere else."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []
        logger = logging.getLogger("sentra")
        logger.addHandler(self)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Service:
    """``App`` driven without a server. ``event`` is what was handed to be recorded of the last request."""

    def __init__(self, records: bool, **settings: str):
        folder = Path(tempfile.mkdtemp(prefix="sentra-fuzz-"))
        (folder / "config.json").write_bytes(msgspec.json.encode(CONFIG))
        base = {"SENTRA_CACHE_DIR": CACHE, "SENTRA_PLUGIN_CONFIG": str(folder / "config.json"), "SENTRA_WORKERS": "1"}
        environ = {**base, "SENTRA_PLUGIN_BUDGET_MS": ENOUGH, "SENTRA_MAX_WAIT_MS": ENOUGH, **settings}
        self.app: App = create_app(load_settings(environ)[0], folder)
        self.pipeline = self.app.assembly.pipeline
        self.event: Event | None = None
        self.telemetry, self.audit = Kept(), Kept()
        self._recorder = self.app.recorder
        if records:
            self._recorder.telemetry, self._recorder.audit = self.telemetry, self.audit  # type: ignore[assignment]
        self.app.recorder = self  # type: ignore[assignment]
        self._records = records
        self._loop = asyncio.new_event_loop()
        atexit.register(self._loop.close)
        self._log = Log()
        self._first_labels = frozenset(self.labels())

    why_not = None

    def close(self) -> None:
        """End it; it must not be asked again."""
        self._loop.close()

    def record(self, event: Event) -> bool:
        """Stand before the recorder, so that what it is told can be looked at."""
        self.event = event
        return self._recorder.record(event) if self._records else True

    @property
    def decision(self) -> Decision | None:
        """What was decided on the last request, if it was judged or over a limit."""
        return self.event.decision if self.event is not None else None

    @property
    def context(self) -> Context | None:
        """What was looked at to decide on the last request."""
        return self.event.context if self.event is not None else None

    @property
    def tool(self) -> str:
        """Id and name of the last request's tool."""
        return f"{self.context.request.tool_id} {self.context.request.tool_name}" if self.context is not None else ""

    def labels(self) -> set[str]:
        """The values of all labels in the metrics."""
        self.app.metrics.flush()
        return {found.decode() for found in _LABEL.findall(self.app.metrics.render("")[1])}

    @cached_property
    def known_labels(self) -> frozenset[str]:
        """What labels may say: what they said before the first request, and names of ours."""
        plugins = [plugin.name for plugin in self.pipeline.plugins]
        ids = [entry.id for builtin in BUILTIN for entry in ruleset.shipped(builtin.name).entries]
        ids += [compiled.rule.id for compiled in self.pipeline.scanner.rules]
        return self._first_labels.union(ids, plugins, Phases.__struct_fields__, [EMAIL_RULE], LIMITS)

    @property
    def log(self) -> list[str]:
        """Lines logged for the last request."""
        return self._log.lines

    def ask(self, scope: dict[str, Any], parts: Sequence[bytes], gone: bool = False) -> Answer:
        """The answer to one HTTP request whose body comes in ``parts``; ``gone``: the caller leaves before its end."""
        self.event = None
        for kept in (self.telemetry.lines, self.audit.lines, self._log.lines):
            kept.clear()
        coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        if gone:
            coming.append({"type": "http.disconnect"})
        elif coming:
            coming[-1]["more_body"] = False
        else:
            coming.append({"type": "http.request", "body": b"", "more_body": False})
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return coming.pop(0) if coming else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        self._loop.run_until_complete(self.app({"type": "http", **scope}, receive, send))
        demand([message["type"] for message in sent] == ["http.response.start", "http.response.body"], "not one answer")
        return Answer(sent[0]["status"], sent[0]["headers"], sent[1]["body"])

    def analyze(self, body: bytes) -> Answer:
        """The answer to one question of the orchestrator."""
        headers = [(b"authorization", b"Bearer x"), (b"content-type", JSON), (b"content-length", b"%d" % len(body))]
        scope = {
            "path": "/analyze-tool-execution",
            "method": "POST",
            "query_string": b"api-version=2025-05-01",
            "headers": headers,
        }
        return self.ask(scope, [body])

    def findings(self) -> list[Finding]:
        """All that any plugin finds in the last request."""
        return [] if self.context is None else self.pipeline.all_findings(self.context)

    def candidates(self) -> list[int]:
        """Numbers of the rules and decoders that fire in the text of the last request."""
        if self.context is None:
            return []
        return sorted(self.pipeline.scanner.fired(self.context.scanned.inspection, ScanTime(no_clock)))


@cache
def judging() -> Service:
    """The service without records."""
    return Service(False)


@cache
def recording() -> Service:
    """The service that records everything, with fingerprints."""
    return Service(True, SENTRA_FINGERPRINT_KEY="0123456789abcdef-fuzz")


@cache
def guarded() -> Service:
    """The service with static tokens, a prefix and small limits."""
    return Service(
        False,
        STRICT_AUTH_ALLOWED_TOKENS=TOKEN,
        SENTRA_PATH_PREFIX="/api/agentSecurity",
        SENTRA_METRICS_TOKEN=TOKEN,
        SENTRA_MAX_REQUEST_BYTES="4096",
        SENTRA_MAX_DEPTH="20",
        SENTRA_MAX_SEGMENTS="100",
        SENTRA_MAX_TEXT_CHARS="2000",
    )
