"""The ASGI application: admits requests, answers with decisions, hands the same decisions to telemetry and metrics."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web
from msgspec import structs

from sentra import __version__, limits, wire
from sentra.assembly import Assembly, assemble_proved
from sentra.auth import Authenticator, Refused
from sentra.body import Bodies, ClientGone, discard
from sentra.calls import CLOSE, JSON, Call, Handler, Receive, Reply, Scope, Send
from sentra.config import Settings
from sentra.engine import self_test
from sentra.errors import LimitError, RequestError, SentraError
from sentra.findings import Decision
from sentra.memory import Relief
from sentra.metrics import Metrics
from sentra.operations import Operations, operations_site
from sentra.pipeline import Pipeline
from sentra.plugins import Context
from sentra.snapshot import Watched
from sentra.stopping import Stopping
from sentra.telemetry import Event, Recorder
from sentra.wire import AnalyzeResponse, ErrorResponse, ValidateResponse

log = logging.getLogger("sentra.app")


ANALYZE, VALIDATE = "/analyze-tool-execution", "/validate"
FLUSH_SECONDS = 0.5
RETIRE_SECONDS = 1.0
WATCH_SECONDS = 0.2
MAX_PATH = 512
ALLOWED = Reply(200, JSON, wire.encode(AnalyzeResponse(blockAction=False)))
ALLOWED_HEADERS = ALLOWED.headers
CUT = Reply(400, JSON, wire.encode(ErrorResponse(4002, "the body ended before it was whole", 400)))
"""For a caller that is gone, or that only broke off its own message."""


class App:
    """One worker's service. ``assembly`` can be swapped between two requests."""

    def __init__(
        self, assembly: Assembly, watched: Watched, authenticator: Authenticator, metrics: Metrics, recorder: Recorder
    ):
        self._watched = watched
        self.assembly, self.authenticator, self.metrics, self.recorder = assembly, authenticator, metrics, recorder
        self.settings = assembly.settings
        self.stopping = Stopping()
        self._gate = limits.Gate(self.settings)
        self._bodies = Bodies(self.settings)
        self._routes = dict(self._make_routes(self.settings.path_prefix))
        self._tasks: set[asyncio.Task[None]] = set()
        self._budget = self.settings.plugin_budget_ms / 1000
        self._site: web.AppRunner | None = None

    def _make_routes(self, prefix: str) -> Iterable[tuple[str, tuple[str, Handler]]]:
        for base in dict.fromkeys(("", prefix)):
            yield base + VALIDATE, ("POST", self._validate)
            yield base + ANALYZE, ("POST", self._analyze)
        for path, handler in Operations(self).handlers():
            yield path, ("GET", handler)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            call = Call(scope, receive, time.monotonic())
            try:
                reply = await self.reply(call)
            except ClientGone:
                self._gone(call)
                reply = CUT
            headers = ALLOWED_HEADERS if reply is ALLOWED and not self.stopping.begun else reply.headers
            if self.stopping.begun:
                self.stopping.last_words(headers)
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            await send({"type": "http.response.body", "body": reply.body})

    async def reply(self, call: Call) -> Reply:
        """The answer to ``call``, always one of ours. Raises ``ClientGone`` when there is nobody to answer."""
        method, handler = self._routes.get(call.scope["path"], ("", _no_such_path))
        try:
            if method and call.scope["method"] != method:
                raise RequestError(405, 4005, f"the method must be {method}")
            return await handler(call)
        except RequestError as error:
            return self._refuse(call, error)
        except ClientGone:
            raise
        except Exception:
            log.exception("a request could not be answered")
            return self._refuse(call, RequestError(500, 5000, "internal error"))

    def _refuse(self, call: Call, error: RequestError) -> Reply:
        seconds = time.monotonic() - call.started
        self.metrics.error(error.code, seconds, to_judge=call.scope["path"].endswith(ANALYZE))
        if call.scope["path"].endswith(ANALYZE):
            self.recorder.record(
                Event(
                    outcome="error",
                    correlation_id=call.correlation_id,
                    seconds=seconds,
                    auth_ms=call.auth_ms,
                    error_code=error.code,
                    decision=self._cause(error),
                )
            )
        body = wire.encode(ErrorResponse(error.code, error.message, error.status, error.diagnostics))
        extra = self._due(error, call)
        return Reply(error.status, JSON, body, extra + (CLOSE if error.status == 408 else call.ending))

    def _gone(self, call: Call) -> None:
        """Count and record a caller that was gone before there was an answer."""
        self.metrics.client_gone()
        if call.scope["path"].endswith(ANALYZE):
            seconds = time.monotonic() - call.started
            self.recorder.record(
                Event(
                    outcome="error",
                    correlation_id=call.correlation_id,
                    seconds=seconds,
                    auth_ms=call.auth_ms,
                    dropped=True,
                )
            )

    def _cause(self, error: RequestError) -> Decision | None:
        """What the record tells beside the code: the limit that was exceeded, or why the caller was refused."""
        if isinstance(error, LimitError):
            return limits.decision(error, self.settings)
        return Decision(blocked=False, errors=(f"auth: {error.cause}",)) if error.cause else None

    def _due(self, error: RequestError, call: Call) -> tuple[tuple[bytes, bytes], ...]:
        """The headers that HTTP asks for beside some statuses."""
        if error.status == 405:
            return ((b"allow", self._routes[call.scope["path"]][0].encode()),)
        return ((b"www-authenticate", b"Bearer"),) if error.status == 401 else ()

    def _admit(self, call: Call) -> None:
        """Check readiness, bearer and api-version. Raises ``RequestError``."""
        if not self.authenticator.ready:  # first: without keys a good token would be refused as unknown
            raise RequestError(503, 5031, "not ready")
        started = time.perf_counter()
        try:
            self.authenticator.admit(call.headers)
        except Refused as refused:
            self.metrics.auth_failure(refused.cause)
            raise RequestError(401, 2001, "the bearer token is missing or not accepted", cause=refused.cause) from None
        finally:
            call.auth_ms = (time.perf_counter() - started) * 1000
        if not _api_version(call.scope["query_string"]):
            raise RequestError(400, 4000, "the query parameter api-version is missing")

    async def _validate(self, call: Call) -> Reply:
        try:
            self._admit(call)
        except RequestError as error:
            if error.status != 503:
                raise
            return Reply(503, JSON, wire.encode(ValidateResponse(False, error.message)))
        await self._bodies.read(call.receive, call.header(b"content-length"))
        return Reply(200, JSON, wire.encode(ValidateResponse(True, "OK")))

    async def _analyze(self, call: Call) -> Reply:
        with self.metrics.in_flight():
            turn = limits.Turn(self._gate, call.scope.get("client"))
            call.started -= turn.waited
            self._admit(call)
            try:
                with turn:
                    return await self._judge(call, turn)
            except LimitError as error:
                return await self._over_limit(call, error)

    async def _judge(self, call: Call, turn: limits.Turn) -> Reply:
        turn.check()
        body = await self._bodies.read(call.receive, call.header(b"content-length"), turn.received)
        call.whole = True
        started = time.perf_counter()
        request = wire.decode_request(body)
        limits.check_shape(request, body, self.settings)
        call.decode_ms = (time.perf_counter() - started) * 1000
        turn.judge(request)
        assembly, deadline = self.assembly, call.started + self._budget
        if assembly.pipeline.external:
            decision, context = await assembly.pipeline.decide_async(request, deadline, body)
        else:
            decision, context = assembly.pipeline.decide(request, deadline)
        turn.judged(decision, call.decode_ms)
        started = time.perf_counter()
        reply = self._conclude(call, assembly, decision, context)
        turn.recorded(time.perf_counter() - started)
        return reply

    async def _over_limit(self, call: Call, error: LimitError) -> Reply:
        """What the operator wants for a request over a limit of an authenticated caller: an error or a verdict."""
        wanted = limits.verb(error, self.settings)
        self.metrics.over_limit(error.limit, wanted)
        if error.limit == "size" and call.header(b"expect") is None:
            await discard(call.receive)
        if wanted == "error":
            raise error
        reply = self._conclude(call, self.assembly, limits.decision(error, self.settings), None)
        return reply._replace(extra=call.ending)

    def _conclude(self, call: Call, assembly: Assembly, decision: Decision, context: Context | None) -> Reply:
        """Count and record the decision, then answer with it."""
        seconds = time.monotonic() - call.started
        recorded = self.recorder.record(
            Event(
                outcome="block" if decision.blocked else "allow",
                correlation_id=call.correlation_id,
                request=context.request if context else None,
                context=context,
                find=assembly.pipeline.all_findings,
                decision=decision,
                config_digest=assembly.digest,
                seconds=seconds,
                auth_ms=call.auth_ms,
                decode_ms=call.decode_ms,
            )
        )
        if not recorded and self.settings.on_audit_failure == "block":
            decision = structs.replace(decision, blocked=True, withheld=False)
        self.metrics.decided(decision, seconds, {"auth": call.auth_ms, "decode": call.decode_ms})
        if decision.late or max(decision.plugin_timings.values(), default=0.0) > self.settings.plugin_warn_ms:
            self._warn_slow(decision)
        if not decision.blocked:
            return ALLOWED
        return Reply(200, JSON, wire.encode(answer(decision, context, assembly.pipeline, self.settings.response_shape)))

    def _warn_slow(self, decision: Decision) -> None:
        for name, spent in decision.plugin_timings.items():
            if spent > self.settings.plugin_warn_ms:
                log.warning("a plugin is slow", extra={"plugin": name, "ms": round(spent, 1)})
        if decision.late:
            log.warning("the time budget was used up", extra={"budgetMs": self.settings.plugin_budget_ms})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Start and stop what runs beside requests. A failed start is told to the server, which then ends the worker."""
        await receive()
        try:
            await self._start()
        except Exception as error:
            log.exception("the worker could not start")
            await send({"type": "lifespan.startup.failed", "message": type(error).__name__})
            return
        await send({"type": "lifespan.startup.complete"})
        self.stopping.watch()
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> None:
        await self.authenticator.start()
        await self.assembly.pipeline.start()
        self._keep(self._flush_for_ever())
        self._site = await operations_site(self, self.settings)
        self._keep(self._watch_for_ever())

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop(self) -> None:
        """End what runs beside requests; whatever fails, records and counts are written."""
        for task in self._tasks:
            task.cancel()
        ends = [*self._tasks, self.assembly.pipeline.stop(), self.authenticator.stop()]
        if self._site is not None:
            ends.append(self._site.cleanup())
        for failed in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(failed, Exception):
                log.error("a part of the worker did not stop", exc_info=failed)
        await asyncio.to_thread(self.recorder.close)
        self.metrics.flush()

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.metrics.flush()

    async def _watch_for_ever(self) -> None:
        """Take over each configuration file that the parent found valid; one that it refused only shows in a metric.

        And keep what patterns remember within bounds.
        """
        relief = Relief()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            relief.look(self.assembly.pipeline.scanner)
            if self._watched.replaced():
                await self._swap()
            if self._watched.refused():
                self.metrics.reload(False)

    async def _swap(self) -> None:
        """Build the new configuration aside; then every later request is judged by it. A failure changes nothing."""
        try:
            assembly = await asyncio.to_thread(assemble_proved, self.settings)
            await _started(assembly.pipeline)
        except Exception as error:
            self.metrics.reload(False)
            told = {"problems": str(error).splitlines()} if isinstance(error, SentraError) else {}
            log.error("the configuration was not reloaded", extra=told, exc_info=None if told else error)
            return
        before, self.assembly = self.assembly, assembly
        self.recorder.reconfigure(assembly.digest)
        self.metrics.configured(assembly.digest, __version__, time.monotonic())
        self.metrics.outside(assembly.pipeline.health)
        self.metrics.reload(True)
        log.info("the configuration was reloaded", extra={"configHash": assembly.digest})
        self._keep(self._retire(before.pipeline))

    async def _retire(self, pipeline: Pipeline) -> None:
        """Stop ``pipeline`` when every request that began with it has its verdict, or at once when the worker stops."""
        try:
            await asyncio.sleep(self._budget + RETIRE_SECONDS if pipeline.external else 0)
        finally:
            await pipeline.stop()


async def _started(pipeline: Pipeline) -> None:
    """Start ``pipeline``; if that fails, stop what was started of it and raise what failed."""
    try:
        await pipeline.start()
    except BaseException:
        await pipeline.stop()
        raise


async def _no_such_path(call: Call) -> Reply:
    raise RequestError(404, 4004, "there is nothing at this path")


@lru_cache(maxsize=16)
def _api_version(query: bytes) -> str:
    return dict(parse_qsl(query.decode("latin-1"))).get("api-version", "")


class Diagnostics(msgspec.Struct, omit_defaults=True, rename="camel"):
    """Why a request was blocked, as far as the caller may know: never the matched value."""

    plugin: str
    rule_id: str | None = None
    source: str | None = None
    path: str | None = None
    masked: str | None = None
    view: str | None = None


def answer(decision: Decision, context: Context | None, pipeline: Pipeline, shape: str) -> AnalyzeResponse:
    """The response in the configured ``shape``: extended, documented or legacy."""
    verdict = decision.verdict
    if not decision.blocked or verdict is None:
        return AnalyzeResponse(blockAction=False)
    diagnostics = Diagnostics(plugin=verdict.plugin, rule_id=verdict.rule_id)
    if verdict.finding is not None and context is not None:
        evidence = verdict.finding.evidence()
        diagnostics.source, diagnostics.masked, diagnostics.view = evidence.source, evidence.masked, evidence.view
        diagnostics.path = pipeline.masked(evidence.path[:MAX_PATH], evidence.source, context)
    text = wire.encode(diagnostics)
    return AnalyzeResponse(
        blockAction=True,
        reasonCode=verdict.reason_code,
        reason=verdict.reason,
        blockedBy=None if shape == "documented" else verdict.plugin,
        diagnostics=msgspec.Raw(text) if shape == "legacy" else text.decode(),
    )


def create_app(settings: Settings, metrics_folder: Path | None = None) -> App:
    """The application of one process, with its files open. Raises ``SentraError`` when it must not serve."""
    self_test()
    watched = Watched(settings.plugin_config)
    assembly = assemble_proved(settings)
    metrics, recorder = Metrics(metrics_folder, settings.workers), Recorder(settings, assembly.digest)
    metrics.self_test(True)
    metrics.configured(assembly.digest, __version__, time.monotonic())
    metrics.outside(assembly.pipeline.health)
    for name, journal in (("telemetry", recorder.telemetry), ("audit", recorder.audit)):
        if journal is not None:
            metrics.journal(name, journal.stats)
    authenticator = Authenticator(settings)
    metrics.keys(lambda: authenticator.keys_age)
    return App(assembly, watched, authenticator, metrics, recorder)
