"""What operators ask of a worker: probes, health, metrics, the API document; on the main port and on one of their own."""

import asyncio
import hmac
import logging
import time
from collections.abc import Iterator
from importlib.resources import files
from typing import Protocol

from aiohttp import web

from sentra import __version__, wire
from sentra.assembly import Assembly
from sentra.auth import Authenticator
from sentra.calls import JSON, Call, Handler, Reply
from sentra.config import Settings
from sentra.errors import RequestError
from sentra.metrics import Metrics
from sentra.stopping import Stopping
from sentra.telemetry import Recorder

log = logging.getLogger("sentra.operations")

OPENAPI = (files("sentra") / "openapi.yaml").read_bytes()


class Worker(Protocol):
    """The parts of the application that are asked about."""

    assembly: Assembly
    authenticator: Authenticator
    metrics: Metrics
    recorder: Recorder
    settings: Settings
    stopping: Stopping

    async def reply(self, call: Call) -> Reply:
        """The answer to ``call``."""
        ...


class Operations:
    """The endpoints for operators. None of them needs more than the state of this process."""

    def __init__(self, worker: Worker):
        self._worker = worker

    def handlers(self) -> Iterator[tuple[str, Handler]]:
        """Path and handler of each; all are GET."""
        yield "/healthz", self._healthz
        yield "/livez", self._livez
        yield "/readyz", self._readyz
        yield "/metrics", self._metrics
        yield "/openapi.yaml", self._openapi

    def _why_not(self) -> str | None:
        if self._worker.stopping.begun:
            return "stopping"
        return self._worker.authenticator.why_not or self._worker.recorder.why_not

    async def _healthz(self, call: Call) -> Reply:
        worker, why_not = self._worker, self._why_not()
        health = {
            "status": "unavailable" if why_not else "ok",
            "version": __version__,
            "apiVersion": wire.API_VERSION,
            "plugins": [plugin.name for plugin in worker.assembly.pipeline.plugins],
            "pluginBudgetMs": worker.settings.plugin_budget_ms,
            "engineSelfTest": "passed",
            "configHash": worker.assembly.digest,
            "mode": "audit" if worker.settings.audit_only else "enforce",
            "external": worker.assembly.pipeline.health(),
        }
        if why_not:
            health["reason"] = why_not
        return Reply(503 if why_not else 200, JSON, wire.encode(health))

    async def _livez(self, call: Call) -> Reply:
        return Reply(200, JSON, b'{"status":"ok"}')

    async def _readyz(self, call: Call) -> Reply:
        why_not = self._why_not()
        if why_not:
            return Reply(503, JSON, wire.encode({"status": "unavailable", "reason": why_not}))
        return Reply(200, JSON, b'{"status":"ok"}')

    async def _metrics(self, call: Call) -> Reply:
        wanted = self._worker.settings.metrics_token
        given = call.header(b"authorization") or b""
        if wanted is not None and not hmac.compare_digest(given, b"Bearer " + wanted.encode()):
            raise RequestError(401, 2001, "the bearer token is missing or not accepted")
        self._worker.metrics.flush()
        accept = (call.header(b"accept") or b"").decode("latin-1")
        kind, body = await asyncio.to_thread(self._worker.metrics.render, accept)
        return Reply(200, kind.encode("latin-1"), body)

    async def _openapi(self, call: Call) -> Reply:
        return Reply(200, b"application/yaml", OPENAPI)


async def operations_site(worker: Worker, settings: Settings) -> web.AppRunner | None:
    """Serve the operators' endpoints on their own port, which all workers share; nothing when there is no such port."""
    if settings.ops_port is None:
        return None

    paths = {path for path, _ in Operations(worker).handlers()}

    async def handle(request: web.Request) -> web.Response:
        headers = [(name.lower(), value) for name, value in request.raw_headers]
        scope = {
            "path": request.path if request.path in paths else "",
            "method": request.method,
            "headers": headers,
            "query_string": b"",
        }
        reply = await worker.reply(Call(scope, _no_body, time.monotonic()))
        named = {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}
        return web.Response(status=reply.status, body=reply.body, headers=named)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.ops_port, reuse_port=True).start()
    return runner


async def _no_body() -> dict[str, object]:
    return {"type": "http.request", "body": b"", "more_body": False}
