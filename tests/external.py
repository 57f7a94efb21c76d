"""What the tests of outside services share: real servers that answer well, badly, late or never."""

import asyncio
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvloop

from sentra.definitions import Definition
from sentra.findings import Decision, Verdict
from sentra.inspection import inspect
from sentra.pipeline import Pipeline
from sentra.plugins import Context
from sentra.plugins.external import ExternalHttp
from sentra.scanner import Scanner
from sentra.wire import decode_request
from tests.conftest import CACHE, request_with

T = TypeVar("T")
Behaviour = Callable[["Call"], Awaitable[None]]
FOREVER = 3600.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` in an event loop of its own and see that no task is left behind."""

    async def checked() -> T:
        result = await work
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(left, timeout=1) if left else None
        assert {task for task in left if not task.done()} == set()
        return result

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(checked())


@cache
def no_rules() -> Scanner:
    """A scanner that finds nothing."""
    return Scanner([], CACHE)


def context_of(document: Any = None, body: bytes = b"") -> Context:
    """What plugins judge, for a request."""
    request = decode_request(msgspec.json.encode(document or request_with()))
    return Context(request, no_rules().scan(inspect(request)), body)


def definition(url: str = "https://policy.example/check", **changes: Any) -> Definition:
    """A definition as a configuration file gives it."""
    given = {"name": "external_test", "url": url, "failOpen": False} | changes
    return msgspec.convert(given, Definition)


def pipeline_of(*plugins: Any, clock: Callable[[], float] = time.monotonic, **options: Any) -> Pipeline:
    """A pipeline without rules, on the real clock if no other is given."""
    return Pipeline(no_rules(), plugins, clock=clock, **options)


async def decide(pipeline: Pipeline, document: Any = None, budget: float = 0.9) -> Decision:
    """One decision, with ``budget`` seconds for it."""
    request = decode_request(msgspec.json.encode(document or request_with()))
    decision, _ = await pipeline.decide_async(request, pipeline._clock() + budget)
    return decision


async def ask(plugin: ExternalHttp, document: Any = None, seconds: float = 5, body: bytes = b"") -> Verdict:
    """One verdict of ``plugin`` alone."""
    try:
        return await plugin.ask(context_of(document, body), seconds)
    finally:
        await plugin.stop()


class Call:
    """One HTTP request as a service received it, and the connection to answer on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, body: bytes):
        self.reader, self.writer, self.head, self.body = reader, writer, head, body

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}

    @property
    def document(self) -> Any:
        return msgspec.json.decode(self.body)

    async def send(self, *parts: bytes) -> None:
        """Write ``parts`` as they are."""
        self.writer.write(b"".join(parts))
        await self.writer.drain()


class Service:
    """A server that treats every request as ``behaviour`` says; it counts calls and open connections."""

    def __init__(self, behaviour: Behaviour):
        self.behaviour, self.port = behaviour, 0
        self.calls: list[Call] = []
        self.called = asyncio.Event()
        self.connections = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    def url(self, path: str = "/check", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                call = Call(reader, writer, head, b"")
                call.body = await reader.readexactly(int(call.headers.get("content-length", "0")))
                self.calls.append(call)
                self.called.set()
                await self.behaviour(call)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError, TimeoutError):
            pass
        finally:
            self.connections -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(set(self._tasks))


@asynccontextmanager
async def service(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Service]:
    """A running service on a free port of 127.0.0.1."""
    running = Service(behaviour)
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: None if tls else loop.default_exception_handler(context)
    )
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0, ssl=tls, backlog=512)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        await running.end()


def replies(
    body: bytes = b'{"block": false}', status: str = "200 OK", headers: Iterable[str] = (), after: float = 0
) -> Behaviour:
    """Answer with ``body`` after so many seconds."""

    async def behave(call: Call) -> None:
        await asyncio.sleep(after)
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
        await call.send("\r\n".join(lines).encode() + b"\r\n\r\n", body)

    return behave


def blocks_when(word: bytes) -> Behaviour:
    """Block the requests whose body holds ``word``."""

    async def behave(call: Call) -> None:
        await replies(b'{"block": true}' if word in call.body else b'{"block": false}')(call)

    return behave


async def hang(call: Call) -> None:
    """Never answer; end when the caller does."""
    await call.reader.read()
    raise ConnectionError


async def hang_in_body(call: Call) -> None:
    """Answer with a head, and never with the rest."""
    await call.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"block": ')
    await hang(call)


async def flood(call: Call) -> None:
    """Answer with 100 MB that nobody announced."""
    await call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(1600):
        await call.send(b"10000\r\n" + b" " * 65536 + b"\r\n")


async def announced_flood(call: Call) -> None:
    """Answer with 100 MB that the head announces."""
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
    for _ in range(1600):
        await call.send(b" " * 65536)


async def header_flood(call: Call) -> None:
    """Answer with headers that never end."""
    await call.send(b"HTTP/1.1 200 OK\r\n")
    for number in range(1_000_000):
        await call.send(b"X-%d: " % number, b"a" * 1000, b"\r\n")


async def drip(call: Call) -> None:
    """Answer with a byte a second."""
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":
        await call.send(bytes([byte]))
        await asyncio.sleep(1)


async def reset(call: Call) -> None:
    """Reset the connection instead of an answer."""
    call.writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))
    call.writer.transport.abort()
    raise ConnectionError


async def close(call: Call) -> None:
    """Close the connection instead of an answer."""
    raise ConnectionError


async def close_in_body(call: Call) -> None:
    """Close the connection in the middle of an answer."""
    await call.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"block": ')
    raise ConnectionError


async def garbage(call: Call) -> None:
    """Answer with what is no HTTP."""
    await call.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    raise ConnectionError


HOSTILE: dict[str, Behaviour] = {
    "hang": hang,
    "hang-in-body": hang_in_body,
    "late": replies(after=2),
    "flood": flood,
    "announced-flood": announced_flood,
    "header-flood": header_flood,
    "drip": drip,
    "reset": reset,
    "close": close,
    "close-in-body": close_in_body,
    "garbage": garbage,
    "html": replies(b"<html>"),
}


async def _serve_hostile() -> None:
    """Behave as the path says; ``/connections`` tells how many other connections are open."""

    async def behave(call: Call) -> None:
        name = call.head.split(b" ", 2)[1].decode().removeprefix("/")
        await HOSTILE.get(name, tell)(call)

    async def tell(call: Call) -> None:
        await replies(b"%d" % (running.connections - 1))(call)

    async with service(behave) as running:
        print(running.port, flush=True)
        await asyncio.sleep(FOREVER)


@contextmanager
def hostile_process() -> Iterator[int]:
    """The port of a process of its own that misbehaves, so that its work is not the caller's."""
    command = [sys.executable, "-m", "tests.external"]
    with subprocess.Popen(command, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(_serve_hostile())
