"""What one worker takes on: the shape of a request, and how long and how many requests may wait for their turn.

To the platform an error means "allow", and whoever can pad or nest what an agent reads can provoke one. So everything
that is refused here is a ``LimitError``, for which the operator may have set a verdict.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from msgspec import structs

from sentra.config import Settings
from sentra.errors import LimitError
from sentra.findings import Decision, Verdict
from sentra.wire import AnalyzeRequest

PLUGIN = "limits"
IDLE_SECONDS = 0.02
_REASONS = {
    "size": "The request is larger than may be judged",
    "depth": "The request is nested more deeply than may be judged",
    "segments": "The request has more values than may be judged",
    "text": "The request has more text than may be judged",
    "concurrency": "Too many requests are under way",
    "bytes": "Too much is being received at once",
    "wait": "The service has more requests than it can judge in time",
}
_OVERLOAD = ("concurrency", "bytes", "wait")


def check_shape(request: AnalyzeRequest, body: bytes, settings: Settings) -> None:
    """Raise ``LimitError`` when a decoded request is deeper or has more values or text than may be judged.

    A ``body`` that is too short to exceed any limit, as nearly all are, is only measured. Linear in the values.
    """
    shallow = body.count(b"[") + body.count(b"{") <= settings.max_depth
    if shallow and len(body) <= min(2 * settings.max_segments, settings.max_text_chars):
        return
    members = [structs.asdict(request.plannerContext), structs.asdict(request.toolDefinition)]
    _measure([*members, request.inputValues, request.conversationMetadata], settings)


def _measure(level: list[Any], settings: Settings) -> None:
    """Go down level by level, so that nothing depends on the depth; the request itself is the first."""
    depth, values, text = 1, 0, 0
    while level:
        values += len(level)
        below: list[Any] = []
        nests = False
        for value in level:
            if type(value) is dict:
                nests = True
                below += value.values()
                text += sum(map(len, value))
            elif type(value) is list:
                nests = True
                below += value
            elif type(value) is str:
                text += len(value)
        depth += nests
        if depth > settings.max_depth:
            raise LimitError("depth", 400, 4002, f"the body is nested more than {settings.max_depth} deep")
        if values > settings.max_segments:
            raise LimitError("segments", 400, 4002, f"the body has more than {settings.max_segments} values")
        if text > settings.max_text_chars:
            raise LimitError("text", 400, 4002, f"the body has more than {settings.max_text_chars} characters of text")
        level = below


class Gate:
    """Keeps a worker from answering late: what would wait too long is refused at once, and so is too much at once.

    A request waits where no code of ours runs: in the queue of the event loop before it starts and before each part of
    its body is taken up. That queue is first in, first out, so whatever runs now was put there after a mark that has
    already come out again had been put there. ``waited`` is the time since then, or since the loop was last idle. It
    never tells less than the true wait, but for gaps that look like idleness.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic):
        self.under_way, self.most = 0, settings.max_concurrency
        self.held, self.most_held = 0, max(settings.max_held_bytes, settings.max_request_bytes)
        self.longest, self._clock = settings.max_wait_ms / 1000, clock
        self._marked: float | None = None
        self._seen = self._busy_since = self._last = clock()

    def waited(self) -> float:
        """Seconds that what runs now may have been in the event loop's queue."""
        now = self._clock()
        if now - self._last > IDLE_SECONDS:
            self._busy_since = now
        self._last = now
        if self._marked is None:
            self._marked = now
            asyncio.get_running_loop().call_soon(self._come_out)
        return now - max(self._seen, self._busy_since)

    def _come_out(self) -> None:
        if self._marked is not None:
            self._seen, self._marked = self._marked, None


class Turn:
    """One request's way through the gate, made when it starts; ``waited`` is the sum of its waits, in seconds.

    As a context it is one of the requests under way. Raises ``LimitError`` when there are too many of them.
    """

    __slots__ = ("_gate", "_held", "waited")

    def __init__(self, gate: Gate):
        self._gate, self._held = gate, 0
        self.waited = gate.waited()

    def __enter__(self) -> "Turn":
        gate = self._gate
        if gate.under_way >= gate.most:
            raise LimitError("concurrency", 503, 5031, "too many requests are under way")
        gate.under_way += 1
        return self

    def __exit__(self, *exception: object) -> None:
        self._gate.under_way -= 1
        self._gate.held -= self._held

    def check(self) -> None:
        """Raise ``LimitError`` when the waits are too long for more work to be worth while."""
        if self.waited > self._gate.longest:
            raise LimitError("wait", 503, 5031, "the service has more requests than it can judge in time")

    def received(self, size: int) -> None:
        """Take up ``size`` bytes of the body that were waited for. Raises ``LimitError``, also as ``check``."""
        self.waited += self._gate.waited()
        self._held += size
        self._gate.held += size
        if self._gate.held > self._gate.most_held:
            raise LimitError("bytes", 503, 5031, "too much is being received at once")
        self.check()


def verb(error: LimitError, settings: Settings) -> str:
    """What the operator wants for ``error``: error, allow or block."""
    return settings.on_overload if error.limit in _OVERLOAD else settings.on_oversize


def decision(error: LimitError, settings: Settings) -> Decision:
    """``error`` as a decision for the records, and for the answer where it is not to be an error."""
    errors = (f"{PLUGIN}: {error.limit}",)
    if verb(error, settings) != "block":
        return Decision(blocked=False, errors=errors)
    verdict = Verdict(PLUGIN, True, 0, _REASONS[error.limit], f"{PLUGIN}.{error.limit}")
    return Decision(blocked=not settings.audit_only, withheld=settings.audit_only, verdict=verdict, errors=errors)
