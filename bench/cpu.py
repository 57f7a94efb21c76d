"""Server CPU per request through HTTP, as a ratio to the floor, measured in alternation in the same run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import msgspec

from bench import service
from bench.answers import Answer, problem
from bench.client import Burst, closed_loop
from bench.requests import Case
from bench.rows import Row
from bench.service import Service
from sentra.wire import AnalyzeResponse, ErrorResponse

SHARE_BYTES = 12 << 20
CONNECTIONS = 8
WARM_TENTHS = 3  # of the requests of ``endurance``, before they count


class Wrong(Exception):
    """An answer was not what the case expects: its time means nothing."""


def requests_for(size: int, quick: bool = False) -> int:
    """How many requests of ``size`` bytes one measurement takes, for some tenths of a second of CPU."""
    most, least = (1_000, 40) if quick else (1_500, 60)
    return max(least, min(most, SHARE_BYTES // size))


def answered(burst: Burst) -> Answer:
    """The first answer of a burst as a case describes it."""
    if burst.status != 200:
        return Answer("error", errorCode=msgspec.json.decode(burst.body, type=ErrorResponse).errorCode)
    reply = msgspec.json.decode(burst.body, type=AnalyzeResponse)
    return Answer("block", reasonCode=reply.reasonCode) if reply.blockAction else Answer("allow")


def measured(server: Service, body: bytes, count: int, connections: int = CONNECTIONS) -> float:
    """Microseconds of CPU of all server processes for one request. Raises ``Wrong`` when one is answered by an error."""
    before = server.cpu()
    burst = closed_loop(server.port, body, count, connections)
    if burst.errors:
        raise Wrong(f"{burst.errors} of {burst.count} requests of {len(body)} bytes were answered by errors")
    return (server.cpu() - before) / burst.count * 1e6


def check(server: Service, case: Case) -> None:
    """Raise ``Wrong`` when the service does not give the expected answer."""
    wrong = problem(case, answered(closed_loop(server.port, case.body(), 1, 1)))
    if wrong:
        raise Wrong(wrong)


def pairs(server: Service, floor: Service, case: Case, count: int, quick: bool = False) -> Row:
    """The ratio of ``server`` to ``floor`` over ``count`` pairs, every other one in the other order."""
    check(server, case)
    body, number = case.body(), requests_for(case.size, quick)
    for each in (server, floor):
        closed_loop(each.port, body, number // 4 + 1, CONNECTIONS)
    ours: list[float] = []
    bare: list[float] = []
    for turn in range(count):
        for first in (turn % 2 == 0, turn % 2 != 0):
            (ours if first else bare).append(measured(server if first else floor, body, number))
    ratios = tuple(round(mine / other, 3) for mine, other in zip(ours, bare, strict=True))
    more = {"us": round(median(ours), 1), "floor_us": round(median(bare), 1)}
    return Row(name=f"ratio/{case.name}", unit="x floor", value=median(ratios), values=ratios, more=more)


def ratio_rows(cases: Sequence[Case], count: int = 5, quick: bool = False) -> Iterator[Row]:
    """One row for each case, with one worker and everything switched on."""
    for knowing in (False, True):
        chosen = [case for case in cases if case.definition.step == knowing]
        with service.sentra(patient=True, knowing=knowing) as server, service.floor() as floor:
            for case in chosen:
                yield pairs(server, floor, case, count, quick)


def worst_rows(cases: Sequence[Case], count: int = 3) -> Iterator[Row]:
    """Milliseconds of CPU for one hostile request."""
    with service.sentra(patient=True) as server:
        for case in cases:
            check(server, case)
            body, number = case.body(), 3 if case.size > 512 << 10 else 5
            values = tuple(round(measured(server, body, number, 1) / 1000, 3) for _ in range(count))
            yield Row(name=f"ms/{case.name}", unit="ms", value=median(values), values=values)


def growth_rows(cases: Sequence[Case], count: int = 5) -> Iterator[Row]:
    """The cost of more rules: CPU per request with them over CPU per request without, in alternation."""
    with service.sentra(patient=True) as plain:
        for case in cases:
            literals, patterns = case.definition.literals, case.definition.patterns
            with service.sentra(literals=literals, patterns=patterns, patient=True) as loaded:
                row = pairs(loaded, plain, case, count)
                yield msgspec.structs.replace(
                    row,
                    name=f"rules/{case.name}",
                    unit="x without them",
                    more={**row.more, "MB": round(loaded.memory(), 1)},
                )


def start_rows(cache: Path) -> Iterator[Row]:
    """CPU seconds from the command to ready with one worker: with an empty cache, then with a filled one."""
    for name in ("cold", "cached"):
        with service.sentra(cache=cache) as server:
            total, workers = server.cpu(), server.pids()[1:]
            worker = sum(service.cpu_of(pid) for pid in workers)
            more = {"worker_s": round(worker, 2), "MB": round(server.memory(), 1)}
            yield Row(name=f"start/{name}", unit="CPU s", value=round(total, 2), more=more)


def endurance_rows(cases: Sequence[Case], count: int = 1_000_000) -> Iterator[Row]:
    """How much the memory of one worker grows over ``count`` requests, nine of ten allowed, after three tenths as many.

    By then patterns have met most of what such requests hold, and blocked ones have what they need once.
    """
    shares = {case: 9 if case.definition.answer == "allow" else 1 for case in cases}
    megabytes = []
    with service.sentra(patient=True, knowing=True) as server:
        for _ in range(WARM_TENTHS + 10):
            for case, share in shares.items():
                burst = closed_loop(server.port, case.body(), count * share // (10 * sum(shares.values())), 64)
                if burst.errors:
                    raise Wrong(f"{burst.errors} of {burst.count} requests were answered by errors")
            megabytes.append(round(server.memory(), 1))
    growth = round(megabytes[-1] - megabytes[WARM_TENTHS - 1], 1)
    yield Row(name="memory/growth", unit="MB", value=growth, values=tuple(megabytes), more={"requests": count})
