"""Asks one outside policy service: fills the template, calls it in time, reads the reply, or says what went wrong.

The definition's ``failOpen`` decides for every way that a call can fail, with one exception: a request that cannot
even be written into the template blocks, as no service would ever see it.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from time import monotonic
from typing import Any

from sentra.definitions import BreakerOptions, Definition
from sentra.errors import collecting, raise_all
from sentra.findings import Finding, Verdict
from sentra.plugins import Context
from sentra.plugins.external.breaker import Breaker, State
from sentra.plugins.external.cache import Cache
from sentra.plugins.external.client import Client, says_unavailable
from sentra.plugins.external.reply import Answer, CallError, Reader
from sentra.plugins.external.template import DEFAULT, Template

log = logging.getLogger("sentra.external")


class ExternalHttp:
    """One definition at work in one worker. Raises ``ConfigError`` with all problems.

    ``token`` is the bearer token where the definition only names its place; ``clock`` gives seconds.
    """

    def __init__(self, definition: Definition, token: str | None = None, clock: Callable[[], float] = monotonic):
        self.name, self.reason_code = definition.name, definition.reasonCode
        self._definition = definition
        problems: list[str] = []
        with collecting(problems):
            self._template = Template(definition.requestTemplate or _default_template(definition))
        with collecting(problems):
            self._reader = Reader(definition)
        with collecting(problems):
            self._client = Client(definition, token or definition.bearerToken, clock)
        raise_all([f"externalHttp {definition.name}: {problem}" for problem in problems])
        options = BreakerOptions() if definition.breaker is True else definition.breaker
        self._breaker = Breaker(options, clock) if options else None
        self._cache = Cache(definition.cache, clock) if definition.cache else None
        self._sources = frozenset(definition.sources) if definition.sources else None
        self._counts: Counter[str] = Counter()
        self._last_error: str | None = None

    def wanted(self, context: Context, earlier: Callable[[], list[Finding]]) -> bool:
        """Whether every condition of ``when`` holds."""
        when, request = self._definition.when, context.request
        if when.tools and not _any_matches((request.tool_id, request.tool_name), when.tools, fold=True):
            return False
        if when.sources and not context.scanned.inspection.ranges.keys() & set(when.sources):
            return False
        return not when.findings or _any_matches((finding.rule_id for finding in earlier()), when.findings)

    async def ask(self, context: Context, seconds: float) -> Verdict:
        """The service's verdict on a request within ``seconds``, or that of ``failOpen`` with the error named."""
        try:
            body = self._template.render(context, self._sources)
        except Exception:
            return self._unsendable()
        try:
            answer = await self._answer(body, seconds)
        except CallError as error:
            return self.failed(error.kind)
        return self._verdict(answer)

    def failed(self, kind: str) -> Verdict:
        """The verdict for a call that gave no answer, as ``failOpen`` says; ``kind`` tells why."""
        self._note_error(kind)
        if self._definition.failOpen:
            return Verdict(self.name, error=kind)
        reason = "An outside policy service gave no usable answer"
        return Verdict(self.name, True, self.reason_code, reason, f"{self.name}.error", error=kind)

    def _unsendable(self) -> Verdict:
        self._note_error("render")
        reason = "The request cannot be handed to an outside policy service"
        return Verdict(self.name, True, self.reason_code, reason, f"{self.name}.error", error="render")

    def _note_error(self, kind: str) -> None:
        self._counts[kind] += 1
        self._last_error = kind

    async def _answer(self, body: bytes, seconds: float) -> Answer:
        if self._cache is None:
            return await self._guarded(body, seconds)
        key = self._cache.key(body)
        kept = self._cache.get(key)
        if kept is not None:
            self._counts["cached"] += 1
            return kept
        answer = await self._guarded(body, seconds)
        self._cache.put(key, answer)
        return answer

    async def _guarded(self, body: bytes, seconds: float) -> Answer:
        """Ask through the breaker and tell it how that went."""
        if self._breaker is None:
            return self._reader.read(await self._client.post(body, seconds))
        ticket = self._breaker.admit()
        if ticket is None:
            raise CallError("breaker_open")
        ok: bool | None = None
        before = self._breaker.state
        try:
            reply = await self._client.post(body, seconds)
            ok = True
        except CallError as error:
            ok = self._tells(error.kind, seconds)
            raise
        finally:
            self._breaker.report(ticket, ok)
            self._log_change(before)
        return self._reader.read(reply)

    def _tells(self, kind: str, seconds: float) -> bool | None:
        """What an error tells the breaker: up, down, or nothing where the service had less than half of its time."""
        too_short = kind == "budget" and seconds * 1000 < self._definition.timeoutMs / 2
        if too_short or kind in ("rejected", "stopped"):
            return None
        return not says_unavailable(kind)

    def _log_change(self, before: State) -> None:
        after = self._breaker.state if self._breaker else before
        if after is not before:
            log.warning("the circuit breaker of an outside service changed", extra={"plugin": self.name, "to": after})

    def _verdict(self, answer: Answer) -> Verdict:
        self._counts["block" if answer.block else "allow"] += 1
        if not answer.block:
            return Verdict(self.name)
        reason = self._definition.reason or answer.reason or "An outside policy service refuses this tool call"
        code = self.reason_code if answer.reason_code is None else answer.reason_code
        return Verdict(self.name, True, code, reason, f"{self.name}.{answer.label or 'block'}")

    async def start(self) -> None:
        """Open the connection pool for this event loop."""
        await self._client.start()

    async def stop(self) -> None:
        """Close it."""
        await self._client.stop()

    def health(self) -> dict[str, Any]:
        """Breaker state, calls in flight, outcomes so far by kind, kind of the last error."""
        return {
            "breaker": self._breaker.state.value if self._breaker else "off",
            "inFlight": self._client.in_flight,
            "calls": dict(self._counts),
            "lastError": self._last_error,
        }


def _default_template(definition: Definition) -> str:
    return "${requestJson}" if definition.preset == "provider" else DEFAULT


def _any_matches(names: Iterable[str], globs: Iterable[str], fold: bool = False) -> bool:
    if not fold:
        return any(fnmatchcase(name, glob) for name in names for glob in globs)
    return any(fnmatchcase(name.casefold(), glob.casefold()) for name in names for glob in globs if name)
