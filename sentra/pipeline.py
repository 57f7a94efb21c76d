"""Ordered evaluation of one request: the first block wins, under a hard time budget.

Budget and error policy are applied here and nowhere else. The clock is the caller's, so the core has none of its own.
Without outside services nothing is awaited. With them, a call starts as soon as every local plugin before it has
passed; local plugins behind it are judged while it runs, and the verdict keeps the configured order.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sentra.allowance import Late
from sentra.findings import Decision, Finding, Mode, Source, Verdict, mask
from sentra.inspection import Inspection, Segment, inspect
from sentra.plugins import Context, External, Plugin
from sentra.scanned import Scanned
from sentra.scanner import Scanner
from sentra.wire import AnalyzeRequest

Clock = Callable[[], float]
MARGIN_SECONDS = 0.005


class Pipeline:
    """A scanner and its plugins in the order that they judge; immutable and shared by all requests.

    ``clock`` gives seconds. In audit mode a block is withheld. A plugin that fails on a request blocks that request:
    an input that breaks a check must not pass because of it. At most ``external_concurrency`` outside calls of one
    request run at once.
    """

    def __init__(
        self,
        scanner: Scanner,
        plugins: Sequence[Plugin | External],
        *,
        clock: Clock,
        mode: Mode = Mode.ENFORCE,
        block_when_late: bool = False,
        external_concurrency: int = 8,
    ):
        self.scanner, self.plugins = scanner, tuple(plugins)
        self.external = tuple(plugin for plugin in plugins if isinstance(plugin, External))
        self.local = tuple(plugin for plugin in plugins if not isinstance(plugin, External))
        self._clock, self._mode, self._block_when_late = clock, mode, block_when_late
        self._concurrency = external_concurrency

    async def start(self) -> None:
        """Open what outside calls need in this event loop; nothing without them."""
        for plugin in self.external:
            await plugin.start()

    async def stop(self) -> None:
        """Close what ``start`` opened."""
        for plugin in self.external:
            await plugin.stop()

    def health(self) -> dict[str, Any]:
        """State of each outside service as this process sees it, by plugin."""
        return {plugin.name: plugin.health() for plugin in self.external}

    def decide(self, request: AnalyzeRequest, deadline: float) -> tuple[Decision, Context]:
        """The decision on ``request``, due at ``deadline`` on the clock, and what was looked at to reach it.

        Raises ``TypeError`` when there are outside services to ask: that takes ``decide_async`` or ``decide_alone``.
        """
        if self.external:
            raise TypeError("outside services can only be asked by decide_async")
        run = _Run(self._clock, deadline)
        context = self._look(request, run)
        try:
            verdict = self._judge(context, run)
        except Late:
            verdict = self._late_verdict(run)
        return self._decision(verdict, run, context), context

    async def decide_async(
        self, request: AnalyzeRequest, deadline: float, body: bytes = b""
    ) -> tuple[Decision, Context]:
        """As ``decide``, with outside services asked too. ``body`` is the request as received, for forwarding it."""
        run = _Run(self._clock, deadline)
        context = self._look(request, run)
        calls = _Calls(run, self._concurrency)
        try:
            answers = await self._ask_and_judge(context._replace(body=body), run, calls)
            verdict = await self._first_block(answers, run, calls)
        finally:
            calls.end()
        return self._decision(verdict, run, context), context

    def decide_alone(self, request: AnalyzeRequest, deadline: float, body: bytes = b"") -> tuple[Decision, Context]:
        """As ``decide``, for the command line: outside services are asked in an event loop that lives for this request."""
        return (
            asyncio.run(self._decide_between(request, deadline, body))
            if self.external
            else self.decide(request, deadline)
        )

    async def _decide_between(self, request: AnalyzeRequest, deadline: float, body: bytes) -> tuple[Decision, Context]:
        await self.start()
        try:
            return await self.decide_async(request, deadline, body)
        finally:
            await self.stop()

    def _look(self, request: AnalyzeRequest, run: "_Run") -> Context:
        started = self._clock()
        inspection = inspect(request)
        segmented = self._clock()
        scanned = self.scanner.scan(inspection, run.expired)
        run.now = self._clock()
        run.timings["segment"] = (segmented - started) * 1000
        run.timings["scan"] = (run.now - segmented) * 1000
        run.timings["confirm"] = 0.0
        return Context(request, scanned)

    def _judge(self, context: Context, run: "_Run") -> Verdict | None:
        for plugin in self.local:
            if run.late_now:
                raise Late
            verdict = run.judged(plugin, context)
            if verdict.noted:
                run.noted += verdict.noted
            if verdict.block:
                return verdict
        return None

    async def _ask_and_judge(self, context: Context, run: "_Run", calls: "_Calls") -> list["_Answer"]:
        """In the configured order: calls that were started, then a local block or ``None`` where the time ran out."""
        answers: list[_Answer] = []
        before: list[Plugin] = []
        try:
            for plugin in self.plugins:
                if isinstance(plugin, External):
                    if plugin.wanted(context, lambda: [f for p in before for f in p.findings(context)]):
                        answers.append(calls.start(plugin, context))
                    continue
                if calls.tasks:
                    await asyncio.sleep(0)
                if run.expired():
                    raise Late
                verdict = run.judged(plugin, context)
                run.noted += verdict.noted
                if verdict.block:
                    return [*answers, verdict]
                before.append(plugin)
        except Late:
            answers.append(None)
        return answers

    async def _first_block(self, answers: Sequence["_Answer"], run: "_Run", calls: "_Calls") -> Verdict | None:
        for answer in answers:
            verdict = await calls.verdict(answer) if isinstance(answer, asyncio.Task) else answer
            if verdict is None:
                verdict = self._late_verdict(run)
            if verdict is not None and verdict.block:
                return verdict
        return None

    def _late_verdict(self, run: "_Run") -> Verdict | None:
        run.late = True
        if not self._block_when_late:
            return None
        return Verdict("deadline", True, 0, "The time budget was used up before a verdict", "deadline")

    def _decision(self, verdict: Verdict | None, run: "_Run", context: Context) -> Decision:
        audit, scanned = self._mode is Mode.AUDIT, context.scanned
        return Decision(
            blocked=verdict is not None and not audit,
            withheld=verdict is not None and audit,
            verdict=verdict,
            late=run.late,
            errors=(*run.errors, *_failed(scanned)) if run.errors or scanned.allowance.failed else (),
            noted=tuple(run.noted),
            timings=run.timings,
            plugin_timings=run.plugin_timings,
            counts={
                "scanBytes": scanned.bytes,
                "candidates": scanned.candidates,
                "confirms": scanned.allowance.confirms,
                "views": scanned.views,
                "viewsCut": scanned.views_cut,
            },
        )

    def all_findings(self, context: Context) -> list[Finding]:
        """Everything that any plugin finds in a request, for masking what is recorded of it.

        Where that takes too long a finding without a value stands for all that is left.
        """
        context.scanned.renew()
        return [finding for plugin in self.local for finding in plugin.findings(context)]

    def masked(self, text: str, source: Source, context: Context) -> str:
        """``text``, a part of the request that is to be shown, with everything masked in it that a rule finds there.

        Where a check fails all of it is masked: what is shown must not undo the verdict that was reached.
        """
        scanned = self.scanner.scan(Inspection([Segment(source, (None, ""), text)]))
        try:
            found = {f.value for plugin in self.local for f in plugin.findings(context._replace(scanned=scanned))}
        except Exception:
            return mask(text)
        for value in sorted(found, key=len, reverse=True):
            text = text.replace(value, mask(value)) if value else text
        return text


def _failed(scanned: Scanned) -> list[str]:
    """Checks that failed on this request, as errors of their plugins."""
    return [f"{rule.partition('.')[0]}: {rule} {kind}" for rule, kind in scanned.allowance.failed.items()]


_Answer = Verdict | asyncio.Task[Verdict | None] | None


class _Run:
    """What one evaluation notes on its way; times are in milliseconds. ``now`` is the clock when it was last looked at.

    ``confirm`` is the time of the plugins for whose rules there were candidates.
    """

    __slots__ = ("_deadline", "clock", "errors", "late", "noted", "now", "plugin_timings", "timings")

    def __init__(self, clock: Clock, deadline: float):
        self.clock, self._deadline, self.now = clock, deadline, 0.0
        self.timings: dict[str, float] = {}
        self.plugin_timings: dict[str, float] = {}
        self.errors: list[str] = []
        self.noted: list[Finding] = []
        self.late = False

    def expired(self) -> bool:
        self.now = self.clock()
        return self.now >= self._deadline

    @property
    def late_now(self) -> bool:
        """Whether it was late when the clock was last looked at."""
        return self.now >= self._deadline

    def left(self) -> float:
        """Seconds until the deadline, never less than none."""
        return max(0.0, self._deadline - self.clock())

    def judged(self, plugin: Plugin, context: Context) -> Verdict:
        started = self.now
        try:
            return plugin.judge(context)
        except Late:
            raise
        except Exception as error:
            self.errors.append(f"{plugin.name}: {type(error).__name__}")
            return Verdict(
                plugin.name, True, plugin.reason_code, "A check failed on this request", f"{plugin.name}.error"
            )
        finally:
            self.now = self.clock()
            spent = (self.now - started) * 1000
            self.plugin_timings[plugin.name] = spent
            if context.scanned.names(plugin.name):
                self.timings["confirm"] += spent


class _Calls:
    """The outside calls of one request: started in order, at most ``limit`` at once, all ended with the request."""

    def __init__(self, run: _Run, limit: int):
        self.tasks: dict[asyncio.Task[Verdict | None], External] = {}
        self._run, self._gate = run, asyncio.Semaphore(limit)
        self._running: set[str] = set()
        self._began: float | None = None

    def start(self, plugin: External, context: Context) -> asyncio.Task[Verdict | None]:
        if self._began is None:
            self._began = self._run.clock()
        task = asyncio.get_running_loop().create_task(self._ask(plugin, context))
        self.tasks[task] = plugin
        return task

    async def _ask(self, plugin: External, context: Context) -> Verdict | None:
        """The verdict, or ``None`` when the call's turn came too late for it to run at all."""
        async with self._gate:
            if self._run.expired():
                return None
            self._running.add(plugin.name)
            started = self._run.clock()
            try:
                return await plugin.ask(context, max(0.0, self._run.left() - MARGIN_SECONDS))
            except Exception as error:
                return plugin.failed(type(error).__name__)
            finally:
                self._run.plugin_timings[plugin.name] = (self._run.clock() - started) * 1000

    async def verdict(self, task: asyncio.Task[Verdict | None]) -> Verdict | None:
        """What came of a call by the deadline; ``None`` when it never ran."""
        if not task.done():
            await asyncio.wait((task,), timeout=self._run.left())
        plugin = self.tasks[task]
        verdict = task.result() if task.done() else self._pending(plugin)
        if verdict is not None and verdict.error is not None:
            self._run.errors.append(f"{plugin.name}: {verdict.error}")
        return verdict

    def _pending(self, plugin: External) -> Verdict | None:
        return plugin.failed("budget") if plugin.name in self._running else None

    def end(self) -> None:
        """Cancel what is still pending and note how long the calls took."""
        for task in self.tasks:
            task.cancel()
        if self._began is not None:
            self._run.timings["external"] = (self._run.clock() - self._began) * 1000
