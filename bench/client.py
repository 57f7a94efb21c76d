"""HTTP/1.1 clients on keep-alive connections: a closed loop for CPU per request, an open loop for latency.

The open loop sends at a constant rate and measures from the moment at which a request was due, so a server that stalls
cannot make the client ask less (no coordinated omission). It reports how late it was itself.
"""

import asyncio
import contextlib
import time
from collections import deque
from itertools import count
from typing import Any

import msgspec
import uvloop

from bench.setup import BEARER, NEW, new_words

_LOOPS = count(1)
HEADERS = (
    "POST /analyze-tool-execution?api-version=2025-05-01 HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    f"authorization: Bearer {BEARER}\r\ncontent-type: application/json\r\n"
    "x-ms-correlation-id: 6a2f0c7e-5b0d-4c7a-9f43-0a8d6a1b7c11\r\ncontent-length: %d\r\n\r\n"
)


def message(body: bytes) -> bytes:
    """The whole request as it goes over the wire."""
    return (HEADERS % len(body)).encode() + body


class Connection(asyncio.Protocol):
    """One request under way at a time. Its answer, or the end of the connection before it, calls ``owner.answered``.

    The end of the connection, which the server may ask for with an answer, calls ``owner.lost``.
    """

    def __init__(self, owner: Any):
        self._owner, self._buffer = owner, b""
        self.transport: Any = None
        self.due, self.waiting = 0.0, False
        self.status, self.body = 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._buffer) < end + 4 + length:
            return
        self.status, self.body = int(head[9:12]), self._buffer[end + 4 : end + 4 + length]
        self._buffer, self.waiting = b"", False
        if b"connection: close" in head:
            self.transport.close()
        self._owner.answered(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self.waiting:
            self.status, self.body, self.waiting = 0, b"", False
            self._owner.answered(self)
        self._owner.lost()

    def send(self, data: bytes, due: float) -> None:
        """Send a whole request that was due at ``due`` on the performance counter."""
        self.due, self.waiting = due, True
        self.transport.write(data)


class _Loop:
    """What both loops share: connections, and an event that says when all is answered."""

    def __init__(self, data: bytes, total: int):
        self._data, self._changes = data, NEW.encode() in data
        self.total, self.count, self.errors, self._made = total, 0, 0, next(_LOOPS) << 16
        self.done = asyncio.Event()
        self.first: tuple[int, bytes] = (0, b"")
        self.port = 0
        self.opened: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()

    @property
    def data(self) -> bytes:
        """The next request: the same each time but for what is to be new."""
        if not self._changes:
            return self._data
        self._made += 1
        return self._data.replace(NEW.encode(), new_words(self._made).encode())

    async def connect(self, port: int, connections: int) -> list[Connection]:
        self.port = port
        return [await self._connect() for _ in range(connections)]

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
        self.opened.append(connection)
        return connection

    def lost(self) -> None:
        """Open another connection in place of one that ended."""
        if not self.done.is_set():
            task = asyncio.get_running_loop().create_task(self._replace())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _replace(self) -> None:
        with contextlib.suppress(OSError):
            self.ready(await self._connect())

    def close(self) -> None:
        """End all connections."""
        self.done.set()
        for connection in self.opened:
            connection.transport.abort()

    def answered(self, connection: Connection) -> None:
        if self.done.is_set():
            return
        if self.count == 0:
            self.first = (connection.status, connection.body)
        self.count += 1
        self.errors += connection.status != 200
        self.settle(connection)
        if self.count >= self.total:
            self.done.set()

    def settle(self, connection: Connection) -> None:
        """A request on ``connection`` has its answer."""
        raise NotImplementedError

    def ready(self, connection: Connection) -> None:
        """A new ``connection`` can take a request."""
        raise NotImplementedError


class _Closed(_Loop):
    sent = 0
    slowest = 0.0

    def settle(self, connection: Connection) -> None:
        now = time.perf_counter()
        if connection.due:
            self.slowest = max(self.slowest, now - connection.due)
        if self.sent < self.total and not connection.transport.is_closing():
            self.sent += 1
            connection.send(self.data, now)

    ready = settle


class Burst(msgspec.Struct, frozen=True):
    """What a closed loop got: requests answered, errors among them, all seconds and those of the slowest, the first answer."""

    count: int
    errors: int
    seconds: float
    slowest: float
    status: int
    body: bytes


def closed_loop(port: int, body: bytes, total: int, connections: int = 8, limit: float = 60.0) -> Burst:
    """Send ``total`` requests, each connection the next as soon as it has its answer, for at most ``limit`` seconds."""

    async def run() -> Burst:
        loop = _Closed(message(body), total)
        opened = await loop.connect(port, min(connections, total))
        started = time.perf_counter()
        for connection in opened:
            loop.settle(connection)
        await asyncio.wait_for(loop.done.wait(), limit)
        seconds = time.perf_counter() - started
        loop.close()
        return Burst(loop.count, loop.errors, seconds, loop.slowest, *loop.first)

    return uvloop.run(run())


class _Open(_Loop):
    def __init__(self, data: bytes, total: int):
        super().__init__(data, total)
        self.free: deque[Connection] = deque()
        self.queue: deque[float] = deque()
        self.latencies: list[float] = []
        self.lateness: list[float] = []

    def settle(self, connection: Connection) -> None:
        self.latencies.append(time.perf_counter() - connection.due)
        self.ready(connection)

    def ready(self, connection: Connection) -> None:
        if connection.transport.is_closing():
            return
        if self.queue:
            connection.send(self.data, self.queue.popleft())
        else:
            self.free.append(connection)

    def due(self, moment: float) -> None:
        """A request is due: send it, or let it wait for a connection, its time running."""
        self.lateness.append(time.perf_counter() - moment)
        while self.free:
            connection = self.free.popleft()
            if not connection.transport.is_closing():
                connection.send(self.data, moment)
                return
        self.queue.append(moment)


class Latencies(msgspec.Struct, frozen=True):
    """What an open loop saw, in milliseconds. ``late_p99`` is the generator's own lateness."""

    rate: float
    answered: int
    unanswered: int
    errors: int
    p50: float
    p90: float
    p99: float
    p999: float
    most: float
    late_p99: float


def open_loop(
    port: int, body: bytes, rate: float, seconds: float, connections: int = 64, grace: float = 5.0
) -> Latencies:
    """Send ``rate`` requests a second for ``seconds``; wait ``grace`` seconds for what is not answered by then."""

    async def run() -> Latencies:
        total = int(rate * seconds)
        loop = _Open(message(body), total)
        opened = await loop.connect(port, connections)
        loop.free.extend(opened)
        started = time.perf_counter()
        for number in range(total):
            moment = started + number / rate
            while time.perf_counter() < moment:  # noqa: ASYNC110 - a timer's millisecond is too coarse
                await asyncio.sleep(0)
            loop.due(moment)
        end = time.perf_counter() + grace
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(loop.done.wait(), max(0.0, end - time.perf_counter()))
        loop.close()
        return _summary(loop, rate)

    return uvloop.run(run())


def _summary(loop: _Open, rate: float) -> Latencies:
    seen, late = sorted(loop.latencies) or [0.0], sorted(loop.lateness)

    def at(values: list[float], share: float) -> float:
        return round(values[min(len(values) - 1, int(len(values) * share))] * 1000, 3)

    return Latencies(
        rate=rate,
        answered=loop.count,
        unanswered=loop.total - loop.count,
        errors=loop.errors,
        p50=at(seen, 0.5),
        p90=at(seen, 0.9),
        p99=at(seen, 0.99),
        p999=at(seen, 0.999),
        most=at(seen, 1.0),
        late_p99=at(late, 0.99),
    )
