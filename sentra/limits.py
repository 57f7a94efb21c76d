"""What one worker takes on: the shape of a request, and how long and how many requests may wait for their turn.

To the platform an error means "allow", and whoever can pad or nest what an agent reads can provoke one. So everything
that is refused here is a ``LimitError``, for which the operator may have set a verdict.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import structs

from sentra.arrival import Arrivals
from sentra.config import Settings
from sentra.errors import LimitError
from sentra.findings import Decision, Verdict
from sentra.shares import Shares, Taker
from sentra.wire import AnalyzeRequest

PLUGIN = "limits"
IDLE_SECONDS = 0.02
LOOK_SECONDS = 0.02
FRESH_SECONDS = 0.5
LATEST_SHARE = 1 / 2  # of the time budget: later than that there is too little left
LATEST_FAIR_SHARE = 2 / 3  # with fair shares only who takes little may wait so long
SLOW_SHARE = 2 / 3  # of the time budget; a body that has taken longer to arrive is given up while others are refused
OVERLOADED_SHARE = 1 / 4  # of the time for judging while requests wait too long
CREDIT_SECONDS = 0.05
COUNTABLE = 16_384  # bytes; in a body up to that brackets are counted sooner than its values are gone through
SIZEABLE = 65_536  # bytes; a body up to that may still be taken up when larger ones may not
ROOM_FOR_SMALL = 1.25
REFUSING_SECONDS = 0.25
_REASONS = {
    "size": "The request is larger than may be judged",
    "depth": "The request is nested more deeply than may be judged",
    "segments": "The request has more values than may be judged",
    "text": "The request has more text than may be judged",
    "concurrency": "Too many requests are under way",
    "bytes": "Too much is being received at once",
    "wait": "The service has more requests than it can judge in time",
    "share": "Its tenant or agent takes more than its share of a busy service",
}
_OVERLOAD = ("concurrency", "bytes", "wait", "share")

Client = Sequence[str | int] | None

_BOXES = frozenset((dict, list))


def check_shape(request: AnalyzeRequest, body: bytes, settings: Settings) -> None:
    """Raise ``LimitError`` when a decoded request is deeper or has more values or text than may be judged.

    A ``body`` that is too short to exceed any limit, as nearly all are, is only measured. Linear in the values.
    """
    short = len(body) <= min(COUNTABLE, 2 * settings.max_segments, settings.max_text_chars)
    if short and body.count(b"[") + body.count(b"{") <= settings.max_depth:
        return
    members = [structs.asdict(request.plannerContext), structs.asdict(request.toolDefinition)]
    level = [*members, request.inputValues, request.conversationMetadata]
    if len(body) > settings.max_text_chars or not _fits(level, settings):
        _measure(level, settings)


def _fits(level: list[Any], settings: Settings) -> bool:
    """Whether depth and number of values are within their limits: only objects and lists are gone into."""
    depth, values = 1, len(level)
    boxes: list[Any] = [value for value in level if type(value) in _BOXES]
    while boxes and depth < settings.max_depth and values <= settings.max_segments:
        depth += 1
        values += sum(map(len, boxes))
        boxes = [
            value for box in boxes for value in (box.values() if type(box) is dict else box) if type(value) in _BOXES
        ]
    return not boxes and values <= settings.max_segments


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

    A request waits in two places where no code of ours runs. Before the event loop: in the kernel and in the HTTP server;
    ``Arrivals`` tells of that, asked for a sample, and for every request as soon as there is a queue. In the event loop:
    before the request starts and before each part of its body is taken up. That queue is first in, first out, so whatever
    runs now was put there after a mark that has already come out again had been put there. ``waited`` is the time since
    then, or since the loop was last idle. It never tells less than the true wait, but for long work that is not told.

    A queue that is too long gets short again by refusing, if refusing is fast and judging does not take all the time. So
    a request that waited longer than ``longest`` is judged only while judging took less than ``OVERLOADED_SHARE`` of the
    time, and none that waited longer than ``latest``. With fair shares that holds for who takes most of the time; the
    less a tenant or an agent takes, the nearer to ``latest`` its requests may wait.
    """

    def __init__(
        self, settings: Settings, clock: Callable[[], float] = time.monotonic, arrivals: Arrivals | None = None
    ):
        self.under_way, self.most = 0, settings.max_concurrency
        self.held, self.most_held = 0, max(settings.max_held_bytes, settings.max_request_bytes)
        self.budget = settings.plugin_budget_ms / 1000
        self.longest = settings.max_wait_ms / 1000
        self.shares = Shares(settings.fair_share, clock) if settings.fair_share != "off" else None
        self.latest = max(self.longest, self.budget * (LATEST_SHARE if self.shares is None else LATEST_FAIR_SHARE))
        self.slow = self.budget * SLOW_SHARE
        self.per_byte = 0.0
        self._clock, self._arrivals = clock, arrivals or Arrivals(clock)
        self._marked: float | None = None
        self._seen = self._busy_since = self._last = self._refilled = clock()
        self._credit = CREDIT_SECONDS
        self._before = 0.0
        self._looked = self._next_look = self._refused = float("-inf")

    def waited(self) -> float:
        """Seconds that what runs now may have been in the event loop's queue."""
        now = self._clock()
        if now - self._last > IDLE_SECONDS:
            self._busy_since = now
        self._last = now
        if self._marked is None:
            self._marked = now
            self._mark(now)
        return now - max(self._seen, self._busy_since)

    def _mark(self, now: float) -> None:
        asyncio.get_running_loop().call_soon(self._come_out, now)

    def _come_out(self, mark: float) -> None:
        self._seen = mark
        if self._marked == mark:
            self._marked = None

    def age(self, client: Client, waited: float) -> float:
        """Seconds since a request of ``client`` arrived, ``waited`` of them in the event loop, as far as is known.

        Where the kernel is not asked, or knows only of later data, what others waited before the loop is added.
        """
        now = self._clock()
        if now >= self._next_look or waited + self._before > IDLE_SECONDS:
            self._next_look = now + LOOK_SECONDS
            age = self._arrivals.age(client)
            if age is not None:
                self._before, self._looked = max(0.0, age - waited), now
                return max(age, waited)
        if now - self._looked > FRESH_SECONDS:
            self._before = 0.0
        return waited + self._before

    def full(self, size: int) -> bool:
        """Whether there is no room for a body of which ``size`` bytes have arrived."""
        return self.held > self.most_held and (size > SIZEABLE or self.held > self.most_held * ROOM_FOR_SMALL)

    def too_slow(self, began: float) -> bool:
        """Whether a body that has been arriving since ``began`` is to be given up.

        A sender may be slow. But while others are refused, whoever has been at it for so long would only come too late.
        """
        now = self._clock()
        return now - began > self.slow and now - self._refused < REFUSING_SECONDS

    def shed(self, error: LimitError) -> LimitError:
        """Note that a request is refused because too much is going on."""
        self._refused = self._clock()
        return error

    def spare(self) -> bool:
        """Whether judging has lately taken less than its share of the time under overload."""
        now = self._clock()
        self._credit = min(CREDIT_SECONDS, self._credit + (now - self._refilled) * OVERLOADED_SHARE)
        self._refilled = now
        return self._credit > 0

    def worked(self, seconds: float) -> None:
        """Note that the event loop did nothing else for the last ``seconds``: that was no idleness.

        What is put into the queue after long work did not wait for it: so that is marked too.
        """
        now = self._clock()
        if now - seconds - self._last > IDLE_SECONDS:
            self._busy_since = now - seconds
        self._last = now
        if seconds > IDLE_SECONDS:
            self._mark(now)

    def spent(self, seconds: float, size: int) -> None:
        """Note that it took ``seconds`` of this process to judge a body of ``size`` bytes."""
        self._credit = max(-CREDIT_SECONDS, self._credit - seconds)
        if size >= SIZEABLE:
            self.per_byte += (seconds / size - self.per_byte) / 8


class Turn:
    """One request's way through the gate, made when it starts; ``waited`` is the sum of its waits, in seconds.

    As a context it is one of the requests under way. Raises ``LimitError`` when there are too many of them.
    """

    __slots__ = ("_began", "_gate", "_held", "_taker", "waited")

    def __init__(self, gate: Gate, client: Client = None):
        self._gate, self._held = gate, 0
        self._taker: Taker | None = None
        self.waited = gate.age(client, gate.waited())
        self._began = gate._clock() - self.waited

    def __enter__(self) -> "Turn":
        gate = self._gate
        if gate.under_way >= gate.most:
            raise gate.shed(LimitError("concurrency", 503, 5031, "too many requests are under way"))
        gate.under_way += 1
        return self

    def __exit__(self, *exception: object) -> None:
        self._gate.under_way -= 1
        self._gate.held -= self._held
        if self._taker is not None:
            self._taker.leave()

    def check(self) -> None:
        """Raise ``LimitError`` when the waits are too long for more work to be worth while."""
        gate = self._gate
        if self.waited > gate.longest and (self.waited > gate.latest or (gate.shares is None and not gate.spare())):
            raise gate.shed(_too_late())

    def received(self, size: int) -> None:
        """Take up ``size`` bytes of the body that were waited for. Raises ``LimitError``, also as ``check``."""
        gate = self._gate
        self.waited += gate.waited()
        self._held += size
        gate.held += size
        if gate.full(self._held):
            raise gate.shed(_too_full())
        if gate.too_slow(self._began):
            raise _too_full()
        self.check()

    def judge(self, request: AnalyzeRequest) -> None:
        """Before ``request``, whose body was received, is judged. Raises ``LimitError`` for want of time or of its share."""
        gate = self._gate
        if self.waited + self._held * gate.per_byte > gate.budget:
            raise gate.shed(_too_late())
        if gate.shares is not None:
            taker = gate.shares.taker(request)
            self._admit(gate, taker)
            taker.enter()
            self._taker = taker

    def _admit(self, gate: Gate, taker: Taker) -> None:
        """Who takes most may wait as long as anybody without shares, and fill half of the room; who takes less, more."""
        if self.waited > gate.longest:
            longest = gate.latest - (gate.latest - gate.longest) * taker.weight()
            if self.waited > longest and not gate.spare():
                raise gate.shed(_too_much())
        if gate.under_way > gate.most / 2 and gate.under_way > gate.most * (1 - taker.hold() / 2):
            raise gate.shed(_too_much())

    def judged(self, decision: Decision, decode_ms: float) -> None:
        """Note what the verdict cost: waiting for outside services is no work."""
        timings = decision.timings
        local = timings.get("segment", 0.0) + timings.get("scan", 0.0) + timings.get("confirm", 0.0)
        seconds = (decode_ms + local) / 1000
        self._gate.spent(seconds, self._held)
        if "external" not in timings:
            self._gate.worked(seconds)
        if self._taker is not None:
            self._taker.spend(seconds)

    def recorded(self, seconds: float) -> None:
        """Note that it took ``seconds`` to count and record the decision: long only while records wait to be made."""
        self._gate.spent(seconds, 0)
        self._gate.worked(seconds)


def _too_full() -> LimitError:
    return LimitError("bytes", 503, 5031, "too much is being received at once")


def _too_late() -> LimitError:
    return LimitError("wait", 503, 5031, "the service has more requests than it can judge in time")


def _too_much() -> LimitError:
    return LimitError("share", 503, 5031, "this tenant or agent takes more than its share")


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
