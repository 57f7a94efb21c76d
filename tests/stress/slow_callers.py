"""500 callers that drip headers and 500 that drip bodies, while ordinary requests are timed before and meanwhile.

``python -m tests.stress.slow_callers`` starts a service with two workers and its usual limits, and tells what it saw.
"""

import asyncio
import contextlib
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.conftest import Server, request_with, running
from tests.load import message

EACH = 500
SECONDS = 10.0
BODY = msgspec.json.encode(request_with())
WHOLE = message(BODY)
PAUSE = 0.005
DRIP = 0.25


async def drip(port: int, start: bytes, rest: bytes) -> bytes:
    """Send ``start``, then a byte of ``rest`` now and then, until the service ends it; all that it answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    answer = asyncio.ensure_future(reader.read())
    with contextlib.suppress(ConnectionError):
        for byte in rest:
            done, _ = await asyncio.wait((answer,), timeout=DRIP)
            if done:
                break
            writer.write(bytes((byte,)))
    writer.close()
    answer.cancel()
    return answer.result() if answer.done() and not answer.cancelled() and not answer.exception() else b""


class Slow(NamedTuple):
    """What slow callers were answered until they were cut, and how many seconds it took until all were."""

    heads: list[bytes]
    bodies: list[bytes]
    seconds: float


async def slow_callers(port: int, each: int = EACH, seconds: float = 60.0) -> Slow:
    """All of them at once, each dripping for ``seconds`` at most."""
    began = time.monotonic()
    drops = int(seconds / DRIP)
    heads = [drip(port, WHOLE[:40], b"x" * drops) for _ in range(each)]
    bodies = [drip(port, WHOLE[: -len(BODY) + 5], BODY[5:6] * drops) for _ in range(each)]
    ends = await asyncio.gather(*heads, *bodies)
    return Slow(ends[:each], ends[each:], time.monotonic() - began)


class Ordinary:
    """Ordinary requests, one after the other, by turns over a kept connection and over a new one, until it is left.

    ``times`` are theirs, in seconds; ``others`` are answers that were no verdict; ``late`` is the longest time for which
    another thread of this process could not go on, which no service is to blame for.
    """

    def __init__(self, server: Server):
        self.times: list[float] = []
        self.others: list[bytes] = []
        self.late = 0.0
        self._server, self._stopping = server, threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._ask, self._watch)]

    def _ask(self) -> None:
        while not self._stopping.is_set():
            began = time.perf_counter()
            answer = self._server.analyze(BODY).content if len(self.times) % 2 else self._anew()
            self.times.append(time.perf_counter() - began)
            if not answer.endswith(b'{"blockAction":false}'):
                self.others.append(answer)
            time.sleep(PAUSE)

    def _anew(self) -> bytes:
        with socket.create_connection(("127.0.0.1", self._server.port), timeout=60) as connection:
            connection.sendall(WHOLE)
            return connection.recv(65_536)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            began = time.perf_counter()
            time.sleep(PAUSE)
            self.late = max(self.late, time.perf_counter() - began - PAUSE)

    def __enter__(self) -> "Ordinary":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        centiles = statistics.quantiles(self.times, n=100)
        told = (
            f"p50 {centiles[49] * 1000:.1f} ms, p99 {centiles[98] * 1000:.1f} ms, max {max(self.times) * 1000:.1f} ms"
        )
        return f"{len(self.times)} requests, {told}, {len(self.others)} without a verdict"


def main() -> None:
    """Print what ordinary callers see alone and beside slow ones, and how these end."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        with Ordinary(server) as alone:
            time.sleep(SECONDS)
        with Ordinary(server) as beside:
            slow = asyncio.run(slow_callers(server.port))
    print("alone:", alone)
    print(f"beside {2 * EACH} slow callers:", beside)
    for name, ends in (("headers", slow.heads), ("bodies", slow.bodies)):
        first = [end.partition(b"\r\n")[0] for end in ends]
        print(f"ends of slow {name}:", {end: first.count(end) for end in set(first)})
    print(f"all were cut after {slow.seconds:.1f} s")


if __name__ == "__main__":
    main()
