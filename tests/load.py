"""A closed loop of many connections on one thread: every answer is timed and the next request follows at once."""

import asyncio
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


class Loop:
    """What a closed loop saw: answers by status, the slowest of them in seconds, connections that ended."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.bodies: Counter[bytes] = Counter()
        self.slowest = 0.0
        self.ended = 0
        self.open = True


class _Connection(asyncio.Protocol):
    def __init__(self, loop: Loop, data: bytes):
        self._loop, self._data, self._buffer, self._sent = loop, data, b"", 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self) -> None:
        if self._loop.open and self.transport is not None and not self.transport.is_closing():
            self._sent = time.perf_counter()
            self.transport.write(self._data)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]) if found else 0
        if not found or len(rest) < length:
            return
        self._loop.statuses[int(head[9:12])] += 1
        self._loop.bodies[rest[:120]] += 1
        self._loop.slowest = max(self._loop.slowest, time.perf_counter() - self._sent)
        self._buffer = b""
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._loop.ended += self._loop.open


def closed_loop(port: int, body: bytes, connections: int, seconds: float) -> Loop:
    """Ask for ``seconds`` over so many ``connections`` with one request under way on each."""
    return uvloop.run(_drive(port, message(body), connections, seconds))


async def _drive(port: int, data: bytes, connections: int, seconds: float) -> Loop:
    seen = Loop()
    asking = []
    for _ in range(connections):
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(seen, data), "127.0.0.1", port
        )
        asking.append(connection)
    for connection in asking:
        connection.ask()
    await asyncio.sleep(seconds)
    seen.open = False
    for connection in asking:
        if connection.transport is not None:
            connection.transport.abort()
    await asyncio.sleep(0)
    return seen
