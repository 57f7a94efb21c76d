"""Taking over a configuration inside of one worker: what fails changes nothing, what is replaced ends after its last request."""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import sentra.app
from sentra.app import App
from sentra.assembly import Assembly, assemble
from sentra.calls import Call, Reply
from sentra.errors import ConfigError
from sentra.findings import Finding, Verdict
from sentra.pipeline import Pipeline
from sentra.plugins import Context
from tests.conftest import request_with
from tests.test_limits import application

BODY = msgspec.json.encode(request_with())


class Service:
    """An outside service that answers when it is told to, and notes its life."""

    reason_code = 500

    def __init__(self, name: str, fails: bool = False):
        self.name, self._fails = name, fails
        self.life: list[str] = []
        self.asked, self.go, self.stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def wanted(self, context: Context, earlier: Callable[[], list[Finding]]) -> bool:
        return True

    async def ask(self, context: Context, seconds: float) -> Verdict:
        self.asked.set()
        await self.go.wait()
        self.life.append("answered")
        return Verdict(self.name, True, self.reason_code, f"asked {self.name}")

    def failed(self, kind: str) -> Verdict:
        return Verdict(self.name, error=kind)

    async def start(self) -> None:
        self.life.append("started")
        if self._fails:
            raise ConfigError([f"{self.name}: the secret cannot be read"])

    async def stop(self) -> None:
        self.life.append("stopped")
        self.stopped.set()

    def health(self) -> dict[str, Any]:
        return {"breaker": "closed", "inFlight": 0, "calls": {}}


def assembly_with(app: App, service: Service) -> Assembly:
    """The application's configuration with one outside service, under a digest of its own."""
    made = assemble(app.settings)
    pipeline = Pipeline(made.pipeline.scanner, [*made.pipeline.plugins, service], clock=time.monotonic)
    return dataclasses.replace(made, pipeline=pipeline, digest=service.name)


@pytest.fixture
def app(tmp_path: Path) -> App:
    return application(tmp_path, SENTRA_PLUGIN_BUDGET_MS="30000")


async def judged(app: App) -> Reply:
    """The answer to a request."""
    parts = [{"type": "http.request", "body": BODY, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return parts.pop()

    headers = [(b"authorization", b"Bearer t"), (b"content-length", b"%d" % len(BODY))]
    scope = {"path": "/analyze-tool-execution", "method": "POST", "query_string": b"api-version=1", "headers": headers}
    return await app.reply(Call(scope, receive, time.monotonic()))


async def take_over(app: App, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reload a configuration that has ``service``."""
    made = assembly_with(app, service)
    monkeypatch.setattr(sentra.app, "assemble_proved", lambda settings: made)
    await app._swap()


def counted(app: App, outcome: str) -> float:
    return app.metrics._cell("sentra_config_reloads_total", outcome).value


def test_a_configuration_whose_services_cannot_start_changes_nothing_and_says_why(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        before, bad = app.assembly, Service("external_bad", fails=True)
        with caplog.at_level(logging.ERROR, "sentra.app"):
            await take_over(app, bad, monkeypatch)
        assert app.assembly is before
        assert bad.life == ["started", "stopped"]
        assert (await judged(app)).body == b'{"blockAction":false}'

    asyncio.run(run())
    assert (counted(app, "failure"), counted(app, "success")) == (1, 0)
    assert app.metrics._cell("sentra_config_last_reload_success").value == 0
    (told,) = [record for record in caplog.records if record.message == "the configuration was not reloaded"]
    assert told.__dict__["problems"] == ["external_bad: the secret cannot be read"]


def test_a_request_that_began_before_a_reload_ends_with_what_it_began_with(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is replaced waits for longer than any request may take; the wait ends here when the test says so."""
    sleep, waits, over = asyncio.sleep, list[float](), asyncio.Event()

    async def wait(seconds: float) -> None:
        if seconds:
            waits.append(seconds)
            await over.wait()
        else:
            await sleep(0)

    async def run() -> None:
        old, new = Service("external_old"), Service("external_new")
        await take_over(app, old, monkeypatch)
        first = asyncio.ensure_future(judged(app))
        await old.asked.wait()
        await take_over(app, new, monkeypatch)
        new.go.set()
        assert b"asked external_new" in (await judged(app)).body
        assert old.life == ["started"]
        old.go.set()
        assert b"asked external_old" in (await first).body
        assert old.life == ["started", "answered"]
        over.set()
        await asyncio.wait_for(old.stopped.wait(), 10)
        assert new.life == ["started", "answered"]
        await app._stop()
        assert new.life[-1] == "stopped"

    monkeypatch.setattr(asyncio, "sleep", wait)
    asyncio.run(run())
    assert waits == [app.settings.plugin_budget_ms / 1000 + sentra.app.RETIRE_SECONDS]


def test_what_waits_to_be_retired_is_stopped_with_the_worker(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        old, new = Service("external_old"), Service("external_new")
        await take_over(app, old, monkeypatch)
        await take_over(app, new, monkeypatch)
        await asyncio.sleep(0)
        assert (old.life, new.life) == (["started"], ["started"])
        await app._stop()
        assert (old.life, new.life) == (["started", "stopped"], ["started", "stopped"])

    asyncio.run(run())
