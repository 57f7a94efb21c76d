"""Outside services of known slowness: the verdict they lead to, and what Sentra adds to their time."""

import asyncio
import statistics
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Literal

import msgspec
import uvloop
from aiohttp import web

from bench.requests import FOLDER, case
from bench.rows import Row
from bench.setup import assembled_with
from sentra import wire
from sentra.assembly import Assembly

BUDGET_SECONDS = 0.9


class External(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Services that answer after ``delays`` milliseconds, whether each of them ``blocks``, and the right verdict."""

    name: str
    delays: tuple[int, ...]
    blocks: tuple[bool, ...]
    answer: Literal["allow", "block"]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    external: tuple[External, ...]


def definitions() -> tuple[External, ...]:
    """All of ``definitions/external.toml``."""
    return msgspec.convert(tomllib.loads((FOLDER / "external.toml").read_text("utf-8")), _File).external


@asynccontextmanager
async def _service() -> AsyncIterator[str]:
    """The address of a service that answers ``/DELAY/BLOCK`` after that many milliseconds."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(int(request.match_info["delay"]) / 1000)
        return web.json_response({"block": request.match_info["block"] == "1"})

    application = web.Application()
    application.router.add_post("/{delay}/{block}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _assembly(external: External, url: str) -> Assembly:
    services = [
        {"name": f"external_{number}", "url": f"{url}/{delay}/{int(blocks)}", "failOpen": False, "timeoutMs": 800}
        for number, (delay, blocks) in enumerate(zip(external.delays, external.blocks, strict=True))
    ]
    return assembled_with({"externalHttp": services}, [str(service["name"]) for service in services])


async def _milliseconds(external: External, count: int) -> list[float]:
    """What each of ``count`` verdicts took. Raises ``ValueError`` for a wrong or late one: it is not timed."""
    request = wire.decode_request(case("curated/ordinary/1.7k").body())
    took: list[float] = []
    async with _service() as url:
        pipeline = _assembly(external, url).pipeline
        await pipeline.start()
        try:
            for _ in range(count):
                started = time.perf_counter()
                decision, _context = await pipeline.decide_async(request, time.monotonic() + BUDGET_SECONDS)
                took.append((time.perf_counter() - started) * 1000)
                got = "block" if decision.blocked else "allow"
                if got != external.answer or decision.errors or decision.late:
                    raise ValueError(
                        f"external/{external.name}: expected {external.answer}, got {got} {decision.errors}"
                    )
        finally:
            await pipeline.stop()
    return took


def _run(external: External, count: int) -> list[float]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_milliseconds(external, count))


def wrong_externals() -> Iterator[str]:
    """For each definition what is wrong with its verdict, or an empty string."""
    for external in definitions():
        try:
            _run(external, 1)
        except ValueError as error:
            yield str(error)
        else:
            yield ""


def external_rows(count: int = 20) -> Iterator[Row]:
    """What Sentra adds to the slowest service of each definition: the median, in milliseconds."""
    for external in definitions():
        slowest = max(external.delays)
        added = [took - slowest for took in _run(external, count)]
        more = {"slowestMs": slowest, "max": round(max(added), 3)}
        yield Row(
            name=f"external/{external.name}/added",
            unit="ms",
            value=round(statistics.median(added), 3),
            values=tuple(round(each, 3) for each in added),
            more=more,
        )
