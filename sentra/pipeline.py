"""Ordered evaluation of one request: the first block wins, under a hard time budget.

Budget and error policy are applied here and nowhere else. The clock is the caller's, so the core has none of its own.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sentra.findings import Decision, Finding, Mode, Verdict
from sentra.inspection import inspect
from sentra.plugins import Context, Plugin
from sentra.scanner import Late, Scanner
from sentra.wire import AnalyzeRequest

T = TypeVar("T")
Clock = Callable[[], float]


class Pipeline:
    """A scanner and its plugins in the order that they judge; immutable and shared by all requests.

    ``clock`` gives seconds. In audit mode a block is withheld. A plugin that fails on a request blocks that request:
    an input that breaks a check must not pass because of it.
    """

    def __init__(
        self,
        scanner: Scanner,
        plugins: Sequence[Plugin],
        *,
        clock: Clock,
        mode: Mode = Mode.ENFORCE,
        block_when_late: bool = False,
    ):
        self.scanner, self.plugins = scanner, tuple(plugins)
        self._clock, self._mode, self._block_when_late = clock, mode, block_when_late

    def decide(self, request: AnalyzeRequest, deadline: float) -> tuple[Decision, Context]:
        """The decision on ``request``, due at ``deadline`` on the clock, and what was looked at to reach it."""
        run = _Run(self._clock, deadline)
        inspection = run.timed("segment", lambda: inspect(request))
        scanned = run.timed("scan", lambda: self.scanner.scan(inspection, run.expired))
        context = Context(request, scanned)
        try:
            verdict = self._judge(context, run)
        except Late:
            run.late = True
            verdict = self._late_verdict()
        return self._decision(verdict, run, context), context

    def _judge(self, context: Context, run: "_Run") -> Verdict | None:
        for plugin in self.plugins:
            if run.expired():
                raise Late
            verdict = run.judged(plugin, context)
            run.noted.extend(verdict.noted)
            if verdict.block:
                return verdict
        return None

    def _late_verdict(self) -> Verdict | None:
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
            errors=tuple(run.errors),
            noted=tuple(run.noted),
            timings=run.timings,
            plugin_timings=run.plugin_timings,
            counts={
                "scanBytes": scanned.bytes,
                "candidates": scanned.candidates,
                "confirms": scanned.allowance.confirms,
                "views": scanned.views,
            },
        )

    def all_findings(self, context: Context) -> list[Finding]:
        """Everything that any plugin finds in a request, for masking what is recorded of it."""
        context.scanned.renew()
        return [finding for plugin in self.plugins for finding in plugin.findings(context)]


class _Run:
    """What one evaluation notes on its way; times are in milliseconds."""

    def __init__(self, clock: Clock, deadline: float):
        self._clock, self._deadline = clock, deadline
        self.timings: dict[str, float] = {}
        self.plugin_timings: dict[str, float] = {}
        self.errors: list[str] = []
        self.noted: list[Finding] = []
        self.late = False

    def expired(self) -> bool:
        return self._clock() >= self._deadline

    def timed(self, phase: str, step: Callable[[], T]) -> T:
        started = self._clock()
        try:
            return step()
        finally:
            self.timings[phase] = (self._clock() - started) * 1000

    def judged(self, plugin: Plugin, context: Context) -> Verdict:
        started = self._clock()
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
            self.plugin_timings[plugin.name] = (self._clock() - started) * 1000
