"""Far more than one worker can judge: closed loops of many connections, open loops at 1.5 times what it can do.

``python -m tests.stress.overload`` gives the service one core and the generator the other and prints, for each load, the
answers by status, the slowest of them, memory, and how soon an ordinary request is judged at once again. The exit code is
1 when an answer was later than a second, one never came, or the recovery took more than 2 s. ``late`` is how long the
generator itself could not go on; on a machine that does other work the figures tell of that work.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.client import open_loop
from bench.service import Service
from tests.conftest import Server, request_with, running
from tests.load import closed_loop

CORES = (0, 1)
SECONDS = 6.0
MOST_SECONDS, RECOVERY_SECONDS = 1.0, 2.0
AT_ONCE = 0.25
LIGHT, HEAVY = "the quick brown fox jumps over the lazy dog ", "съешь ещё этих мягких французских булок "
CLOSED = [(1000, 1_700), (1000, 64_000), (300, 300_000), (400, 1_000_000)]
OPEN = [(LIGHT, 1_700), (LIGHT, 8_000), (HEAVY, 16_000), (HEAVY, 64_000), (LIGHT, 300_000), (LIGHT, 1_000_000)]


class Seen(NamedTuple):
    """What one load came to; times in seconds, memory in MB."""

    load: str
    judged: int
    refused: int
    unanswered: int
    slowest: float
    late: float
    memory: float
    recovery: float

    @property
    def kept(self) -> bool:
        """Whether every answer came in time and the service was soon itself."""
        return not self.unanswered and self.slowest - self.late < MOST_SECONDS and self.recovery < RECOVERY_SECONDS

    def __str__(self) -> str:
        verdict = "kept" if self.kept else "BROKEN"
        return (
            f"{self.load:<28} judged {self.judged:>6}  refused {self.refused:>6}  unanswered {self.unanswered:>3}  "
            f"slowest {self.slowest * 1000:>5.0f} ms  late {self.late * 1000:>4.0f} ms  "
            f"{self.memory:>4.0f} MB  recovery {self.recovery:.2f} s  {verdict}"
        )


def body(size: int, text: str = LIGHT) -> bytes:
    """A request of about ``size`` bytes."""
    return msgspec.json.encode(request_with(inputValues={"text": text * (size // len(text.encode()))}))


def closed(server: Server, connections: int, size: int) -> Seen:
    """So many connections, each asking again as soon as it has its answer."""
    loop = closed_loop(server.port, body(size), connections, SECONDS)
    refused = loop.statuses.total() - loop.statuses[200]
    name = f"closed, {connections} x {size} B"
    ended = (loop.unanswered, loop.slowest, loop.late, memory(server), recovery(server))
    return Seen(name, loop.statuses[200], refused, *ended)


def opened(server: Server, text: str, size: int, connections: int = 4000) -> Seen:
    """Requests at 1.5 times the rate that 16 connections in a closed loop got."""
    data = body(size, text)
    rate = 1.5 * closed_loop(server.port, data, 16, 2).statuses[200] / 2
    seen = open_loop(server.port, data, rate, SECONDS, connections)
    judged = seen.answered - seen.errors
    ended = (seen.unanswered, seen.most / 1000, seen.late_p99 / 1000, memory(server), recovery(server))
    return Seen(f"open, {rate:.0f}/s x {size} B", judged, seen.errors, *ended)


def memory(server: Server) -> float:
    return Service(server.process, server.port, server.folder).memory()


def recovery(server: Server) -> float:
    """Seconds until an ordinary request is judged at once."""
    began = time.monotonic()
    while time.monotonic() - began < 10:
        asked = time.monotonic()
        if server.analyze(body(1_700)).status_code == 200 and time.monotonic() - asked < AT_ONCE:
            break
    return time.monotonic() - began


def main() -> int:
    """Print a line for each load."""
    os.sched_setaffinity(0, {CORES[0]})
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), SENTRA_WORKERS="1") as server:
        os.sched_setaffinity(0, {CORES[1]})
        kept = True
        for seen in [
            *(lambda load=load: closed(server, *load) for load in CLOSED),
            *(lambda load=load: opened(server, *load) for load in OPEN),
        ]:
            told = seen()
            print(told, flush=True)
            kept &= told.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
