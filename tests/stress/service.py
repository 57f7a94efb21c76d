"""The running service under load while its workers are killed and it is restarted: every answer must have its line.

    python -m tests.stress.service --requests 200000 --workers 4 --kills 40
    python -m tests.stress.service --reloads 30

Not part of the default test run; small versions of both are (tests/test_lifecycle.py). Each request carries a
correlation id of its own. An answer is excused from having a line only when its connection was broken by a kill at most
``FLUSH_SECONDS`` after it; all other answers must stand exactly once in the telemetry file and its segments.
"""

import argparse
import asyncio
import contextlib
import gzip
import itertools
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import uvloop

from sentra.segments import segments
from tests.conftest import BEARER, QUERY, START_SECONDS, Server, eventually, free_port, request_with, running

FLUSH_SECONDS = 0.3
"""Lines are flushed every 100 ms; what remains is time to write them on a busy machine."""
NAMESPACE = "5e27a000-0000-4000-8000-"
RETRY_SECONDS = 0.05
RELOAD_SECONDS = 60
PATIENT = {"SENTRA_PLUGIN_BUDGET_MS": "10000", "SENTRA_MAX_WAIT_MS": "5000"}
"""Settings under which a busy machine refuses nobody for having waited."""
FAST = {"SENTRA_PLUGINS": "policy_pack"}
"""Settings with few rules, which compile at once."""


class Sent(NamedTuple):
    """One request: its number, its connection, when its answer was complete, and the status; -1 without an answer."""

    number: int
    connection: int
    ended: float
    status: int


class Load:
    """Keep-alive connections in a thread, each sending one request after the other until ``stop``."""

    def __init__(self, port: int, connections: int = 8, text: str = "hello"):
        self._port, self._connections = port, connections
        self._body = msgspec.json.encode(request_with(text))
        self._numbers, self._connection_numbers = itertools.count(), itertools.count()
        self._stopping = False
        self.sent: list[Sent] = []
        self.answers = self.refused = 0
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()))

    @property
    def answered(self) -> list[Sent]:
        return [one for one in self.sent if one.status > 0]

    @property
    def unanswered(self) -> list[Sent]:
        return [one for one in self.sent if one.status < 0]

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End when every connection has its last answer."""
        self._stopping = True
        self._thread.join()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(self._connect_for_ever())

    async def _connect_for_ever(self) -> None:
        while not self._stopping:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                self.refused += 1
                await asyncio.sleep(RETRY_SECONDS)
                continue
            try:
                await self._ask_for_ever(reader, writer)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _ask_for_ever(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = next(self._connection_numbers)
        while not self._stopping:
            number = next(self._numbers)
            try:
                writer.write(self._message(number))
                status, last = await _answer(reader)
            except (OSError, EOFError):
                self.sent.append(Sent(number, connection, time.monotonic(), -1))
                return
            self.sent.append(Sent(number, connection, time.monotonic(), status))
            self.answers += 1
            if last:
                return

    def _message(self, number: int) -> bytes:
        head = (
            f"POST /analyze-tool-execution{QUERY} HTTP/1.1\r\nHost: sentra\r\nAuthorization: {BEARER['Authorization']}\r\n"
            f"x-ms-correlation-id: {correlation(number)}\r\nContent-Length: {len(self._body)}\r\n\r\n"
        )
        return head.encode() + self._body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status of the next answer, and whether it is the last on this connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = re.search(rb"content-length: (\d+)", head)
    assert length is not None
    await reader.readexactly(int(length[1]))
    return int(head.split(b" ", 2)[1]), b"connection: close" in head


def correlation(number: int) -> str:
    return f"{NAMESPACE}{number:012x}"


def workers(server: Server) -> dict[int, int]:
    """The process of each worker by its number, as the log has told them; those that ended are still named."""
    return {int(index): int(pid) for index, pid in re.findall(r"Spawning worker-(\d+) with PID: (\d+)", server.log)}


class Killer:
    """Kills workers at random, never twice in a row the same one: that would be a crash loop."""

    def __init__(self, server: Server, chooser: random.Random | None = None):
        self._server, self._chooser = server, chooser or random.Random(1)
        self._last = 0
        self.times: list[float] = []

    def kill(self) -> None:
        """SIGKILL one worker and wait until another serves in its place."""
        before = workers(self._server)
        self._last = self._chooser.choice([index for index in before if index != self._last])
        self.times.append(time.monotonic())
        told = f'"Started worker-{self._last}"'
        count = self._server.log.count(told)
        os.kill(before[self._last], signal.SIGKILL)
        eventually(lambda: self._server.log.count(told) > count, START_SECONDS)


class Lines(NamedTuple):
    """What stands in the telemetry file and its segments: how often each correlation id, and what is no whole line."""

    times: Counter[str]
    torn: int
    segments: int
    left_over: int


def recorded(path: Path) -> Lines:
    """Read every segment of ``path``."""
    times: Counter[str] = Counter()
    torn = 0
    for file in [*segments(path), path]:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for line in content.splitlines(keepends=True):
            try:
                times[msgspec.json.decode(line)["correlationId"]] += 1
                torn += not line.endswith(b"\n")
            except (msgspec.DecodeError, KeyError):
                torn += 1
    return Lines(times, torn, len(segments(path)), len(list(path.parent.glob("*.tmp"))))


def broken_between(sent: list[Sent]) -> list[Sent]:
    """Requests without an answer on connections that an answer had left open."""
    kept = {one.connection for one in sent if one.status > 0}
    return [one for one in sent if one.status < 0 and one.connection in kept]


def excused(sent: list[Sent], kills: list[float]) -> set[int]:
    """Numbers of answers whose worker was killed within its flush interval after them."""
    broken = {one.connection: one.ended for one in sent if one.status < 0}
    numbers = set()
    for one in sent:
        end = broken.get(one.connection)
        kill = max((time for time in kills if end is not None and time <= end), default=None)
        if kill is not None and end is not None and end - kill < 1.0 and one.ended > kill - FLUSH_SECONDS:
            numbers.add(one.number)
    return numbers


class Report(NamedTuple):
    """What a run found; everything after ``excused`` must be 0."""

    answered: int
    unanswered: int
    kills: int
    segments: int
    excused: int
    lost: int
    twice: int
    torn: int
    left_over: int
    other_status: int
    broken_between: int

    @property
    def faultless(self) -> bool:
        return not any(self[5:])


def report(load: Load, kills: list[float], path: Path) -> Report:
    """Compare what was answered with what was recorded."""
    lines, forgiven = recorded(path), excused(load.sent, kills)
    broken = {one.number for one in load.unanswered if any(0 <= one.ended - time < 1.0 for time in kills)}
    return Report(
        answered=len(load.answered),
        unanswered=len(load.unanswered),
        kills=len(kills),
        segments=lines.segments,
        excused=sum(one.number in forgiven and not lines.times[correlation(one.number)] for one in load.answered),
        lost=sum(not lines.times[correlation(one.number)] and one.number not in forgiven for one in load.answered),
        twice=sum(times > 1 for times in lines.times.values()),
        torn=lines.torn,
        left_over=lines.left_over,
        other_status=sum(one.status != 200 for one in load.answered),
        broken_between=sum(one.number not in broken for one in broken_between(load.sent)),
    )


class Options(NamedTuple):
    """What a run does: ``kills`` and one graceful restart while ``requests`` are answered by ``workers``."""

    requests: int = 200_000
    workers: int = 4
    kills: int = 40
    max_bytes: int = 256_000
    seed: int = 1


def run(folder: Path, options: Options, **settings: str) -> Report:
    """Run the service twice on one port and one telemetry file under one load; then look at what is on disk."""
    port, chooser = free_port(), random.Random(options.seed)
    settings |= PATIENT | {
        "PORT": str(port),
        "SENTRA_WORKERS": str(options.workers),
        "LOG_MAX_BYTES": str(options.max_bytes),
        "LOG_ROTATE_COMPRESS": "true",
        "LOG_ROTATE_KEEP": "1000000",
        "SENTRA_PID_FILE": str(folder / "sentra.pid"),
    }
    kills: list[float] = []
    with Load(port, 4 * options.workers) as load:
        for half in (1, 2):
            with running(folder, **settings) as server:
                killer = Killer(server, chooser)
                _kill_until(load, killer, options.requests * half // 2, options.kills // 2)
                kills += killer.times
    return report(load, kills, folder / "telemetry.jsonl")


def _kill_until(load: Load, killer: Killer, answers: int, kills: int) -> None:
    """Kill evenly over the answers, until there are ``answers`` of them in all and ``kills`` here."""
    first = load.answers
    while load.answers < answers or len(killer.times) < kills:
        done = len(killer.times)
        if done < kills and (load.answers - first) * kills >= (answers - first) * done:
            killer.kill()
        time.sleep(0.05)


class Reloads:
    """Writes configuration files, good and broken, for a running service, and watches what each leads to."""

    def __init__(self, server: Server):
        self._server, self._file = server, server.folder / "config.json"
        self.digests = [announced(server)]

    def good(self, version: int) -> None:
        """Reload a valid file and wait until every worker has taken it over."""
        self.write(version)
        self.hang_up()
        eventually(lambda: announced(self._server) != self.digests[-1], RELOAD_SECONDS)
        self.digests.append(announced(self._server))
        eventually(lambda: hashes(self._server) == {self.digests[-1]}, RELOAD_SECONDS)

    def write(self, version: int) -> None:
        """Replace the file with a valid one."""
        self._replace(msgspec.json.encode(configuration(version)))

    def broken(self, text: bytes = b'{"policies": [{"regex": ["("]}], "policy": 1') -> None:
        """Reload a file that is not valid and wait until every worker has told that; nothing else may change."""
        before = failures(self._server)
        self._replace(text)
        self.hang_up()
        count = len(workers(self._server))
        eventually(lambda: failures(self._server) == before + count, RELOAD_SECONDS)
        assert hashes(self._server) == {self.digests[-1]}

    def hang_up(self) -> None:
        self._server.process.send_signal(signal.SIGHUP)

    def _replace(self, text: bytes) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(text)
        fresh.replace(self._file)


def configuration(version: int) -> dict[str, Any]:
    """A configuration that blocks one text that no other version blocks."""
    return {"companyDomain": "example.com", "policies": [{"contains": [f"falcon-{version}-end"]}]}


def announced(server: Server) -> str:
    """The hash of the newest valid configuration that the parent has told."""
    return re.findall(r'configuration is (?:in force|valid)","configHash":"(\w+)"', server.log)[-1]


def blocked_by_all(server: Server, text: str, asked: int = 24) -> bool:
    """Whether every worker blocks ``text``, asked often enough over connections of their own to meet each of them."""
    url, body = f"{server.url}/analyze-tool-execution{QUERY}", request_with(text)
    return all(httpx.post(url, json=body, headers=BEARER).json()["blockAction"] for _ in range(asked))


def fresh(server: Server, path: str) -> httpx.Response:
    """The answer over a connection of its own: any worker may give it."""
    return httpx.get(server.url + path, timeout=10)


def hashes(server: Server, asked: int = 24) -> set[str]:
    """The configuration hashes that workers tell, asked often enough to meet each of them."""
    return {health_hash(server) for _ in range(asked)}


def health_hash(server: Server) -> str:
    return str(fresh(server, "/healthz").json()["configHash"])


def metric(server: Server, name: str) -> float:
    """The sum of all samples whose line begins with ``name``."""
    lines = fresh(server, "/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def failures(server: Server) -> float:
    return metric(server, 'sentra_config_reloads_total{outcome="failure"}')


def reload_often(folder: Path, times: int, **settings: str) -> tuple[Load, set[str]]:
    """``times`` reloads under load, every other one of a broken file: the load, and all hashes that were in force."""
    with running(folder, configuration(0), **settings) as server, Load(server.port, 4) as load:
        reloads = Reloads(server)
        for version in range(1, times + 1):
            if version % 2:
                reloads.good(version)
                assert blocked_by_all(server, f"the falcon-{version}-end")
            else:
                reloads.broken()
        load.stop()
    return load, set(reloads.digests)


def main() -> int:
    """Entry of the long runs. The exit code tells whether the run was faultless."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in Options._field_defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--reloads", type=int, default=0, help="reload that often under load instead")
    given = vars(parser.parse_args())
    times = given.pop("reloads")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if times:
            load, digests = reload_often(folder, times, SENTRA_WORKERS=str(given["workers"]), **PATIENT)
            statuses = Counter(one.status for one in load.sent)
            print(f"requests by status (-1: no answer): {dict(statuses)}; {len(digests)} configurations")
            return 1 if set(statuses) != {200} else 0
        found = run(folder, Options(**given))
    print(found)
    return 0 if found.faultless else 1


if __name__ == "__main__":
    sys.exit(main())
