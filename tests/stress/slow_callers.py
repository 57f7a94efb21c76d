"""500 callers that drip headers and 500 that drip bodies, while ordinary requests are timed before and meanwhile.

``python -m tests.stress.slow_callers`` starts a service with two workers and its usual limits, and tells what it saw.
"""

import asyncio
import contextlib
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from tests.conftest import Server, request_with, running
from tests.load import message

EACH = 500
SECONDS = 10.0
BODY = msgspec.json.encode(request_with())


async def drip(port: int, start: bytes, rest: bytes) -> bytes:
    """Send ``start``, then a byte of ``rest`` each second, until the service ends it; the first line of its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    answer = asyncio.ensure_future(reader.readline())
    with contextlib.suppress(ConnectionError):
        for byte in rest:
            done, _ = await asyncio.wait((answer,), timeout=1)
            if done:
                break
            writer.write(bytes((byte,)))
    writer.close()
    answer.cancel()
    return answer.result() if answer.done() and not answer.cancelled() and not answer.exception() else b""


def timed(server: Server, seconds: float) -> list[float]:
    """Times of ordinary requests, one after the other, each of which must be judged."""
    times: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        assert server.analyze(request_with()).json() == {"blockAction": False}
        times.append(time.perf_counter() - began)
        time.sleep(0.005)
    return times


def told(name: str, times: list[float]) -> str:
    centiles = statistics.quantiles(times, n=100)
    return f"{name}: {len(times)} requests, p50 {centiles[49] * 1000:.1f} ms, p99 {centiles[98] * 1000:.1f} ms, max {max(times) * 1000:.1f} ms"


async def measure(server: Server) -> None:
    print(told("alone", await asyncio.to_thread(timed, server, SECONDS)))
    whole = message(BODY)
    slow = [drip(server.port, whole[:40], b"x" * 60) for _ in range(EACH)]
    slow += [drip(server.port, whole[: -len(BODY) + 5], BODY[5:]) for _ in range(EACH)]
    work = asyncio.gather(*slow)
    await asyncio.sleep(1)
    print(told("beside 1,000 slow callers", await asyncio.to_thread(timed, server, SECONDS)))
    ends = await work
    print("ends of slow headers:", {end: ends[:EACH].count(end) for end in set(ends[:EACH])})
    print("ends of slow bodies:", {end: ends[EACH:].count(end) for end in set(ends[EACH:])})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as service:
        asyncio.run(measure(service))
