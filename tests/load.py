"""A closed loop of many connections on one thread: every answer is timed and the next request follows at once."""

import asyncio
import contextlib
import time
from collections import Counter
from typing import cast

import uvloop

from tests.conftest import BEARER, QUERY


def message(body: bytes, path: str = "/analyze-tool-execution") -> bytes:
    """A whole request as it goes over the wire."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in BEARER.items())
    head = f"POST {path}{QUERY} HTTP/1.1\r\nhost: sentra\r\n{headers}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


TICK = 0.01


class Loop:
    """What a closed loop saw: answers by status, the slowest in seconds, connections that ended, answers that never came.

    ``late`` is the longest time, in seconds, for which the loop itself could not go on: no answer could be seen then.
    """

    def __init__(self, port: int, data: bytes) -> None:
        self.port, self.data = port, data
        self.statuses: Counter[int] = Counter()
        self.bodies: Counter[bytes] = Counter()
        self.slowest = self.late = 0.0
        self.ended = self.unanswered = 0
        self.open, self.asking = True, False
        self._transports: set[asyncio.Transport] = set()
        self._connecting: set[asyncio.Task[None]] = set()

    async def watch(self, seconds: float) -> None:
        """Let the loop run for ``seconds``."""
        began = last = time.perf_counter()
        while last - began < seconds:
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            self.late, last = max(self.late, now - last - TICK), now

    async def connect(self) -> None:
        """Open one more connection, which asks at once when the others do."""
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().create_connection(lambda: _Connection(self), "127.0.0.1", self.port)

    def opened(self, transport: asyncio.Transport) -> None:
        self._transports.add(transport)

    def closed(self, transport: asyncio.Transport) -> None:
        """Open another connection in place of one that the server closed."""
        self._transports.discard(transport)
        if self.open:
            self.ended += 1
            task = asyncio.get_running_loop().create_task(self.connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    def ask(self) -> None:
        """Let every connection ask, now that all are open."""
        self.asking = True
        for transport in self._transports:
            cast(_Connection, transport.get_protocol()).ask()

    async def close(self) -> None:
        """End all connections, those too that are being opened."""
        self.open = False
        await asyncio.gather(*self._connecting)
        for transport in self._transports:
            transport.abort()
        while self._transports:  # noqa: ASYNC110 - the state is what is waited for
            await asyncio.sleep(TICK)


class _Connection(asyncio.Protocol):
    def __init__(self, loop: Loop):
        self._loop, self._buffer, self._sent = loop, b"", 0.0
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._loop.opened(self.transport)
        self.ask()

    def ask(self) -> None:
        if self._loop.open and self._loop.asking:
            self._sent, self._waiting = time.perf_counter(), True
            self.transport.write(self._loop.data)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]) if found else 0
        if not found or len(rest) < length:
            return
        self._loop.statuses[int(head[9:12])] += 1
        self._loop.bodies[rest[:120]] += 1
        self._loop.slowest = max(self._loop.slowest, time.perf_counter() - self._sent)
        self._buffer, self._waiting = b"", False
        if b"connection: close" not in head.lower():
            self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._loop.unanswered += self._waiting and self._loop.open
        self._loop.closed(self.transport)


def closed_loop(port: int, body: bytes, connections: int, seconds: float) -> Loop:
    """Ask for ``seconds`` over so many ``connections`` with one request under way on each."""
    return uvloop.run(_drive(port, message(body), connections, seconds))


async def _drive(port: int, data: bytes, connections: int, seconds: float) -> Loop:
    seen = Loop(port, data)
    await asyncio.gather(*[seen.connect() for _ in range(connections)])
    seen.ask()
    await seen.watch(seconds)
    await seen.close()
    return seen
