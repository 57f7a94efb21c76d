"""Latency under a constant arrival rate, overload, and saturation. The server has one core, the generator the other."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import service
from bench.client import HEADERS, Latencies, closed_loop, open_loop
from bench.requests import Case
from bench.rows import Row
from bench.service import Service

LATE_MS = 1.0
RECOVERY_SECONDS = 2.0
AMPLE = 4_000  # connections: no request of an open loop waits for one
CROWD = 1_000
SERVER_CORE, CLIENT_CORE = 0, 1


class Late(Exception):
    """The generator could not keep its own times: what it saw says nothing about the server."""


def saturation(server: Service, body: bytes, connections: int = 64) -> float:
    """Requests a second that one server answers at most, in a closed loop of about a second."""
    count = 400
    while True:
        burst = closed_loop(server.port, body, count, connections)
        if burst.seconds >= 0.8 or count > 40_000:
            return burst.count / burst.seconds
        count = int(count * min(8, 1.2 / burst.seconds))


def paced(server: Service, body: bytes, rate: float, seconds: float, connections: int = 64) -> Latencies:
    """An open loop whose generator was in time. Raises ``Late`` when its p99 lateness was over 1 ms."""
    seen = open_loop(server.port, body, rate, seconds, connections)
    if seen.late_p99 > LATE_MS:
        raise Late(f"the generator was late by {seen.late_p99:g} ms at p99; expected at most {LATE_MS:g}")
    return seen


def tail_rows(case: Case, seconds: float) -> Iterator[Row]:
    """Latency at half of one worker's saturation, beside the floor's at the same rate."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    body = case.body()
    with service.sentra(core=SERVER_CORE) as server, service.floor(core=SERVER_CORE) as floor:
        rate = saturation(server, body) / 2
        bare = paced(floor, body, rate, seconds)
        seen = paced(server, body, rate, seconds)
    added = {"rate": round(rate), "errors": seen.errors + seen.unanswered, "max": seen.most, "lateness": seen.late_p99}
    for name in ("p50", "p99", "p999"):
        mine, other = getattr(seen, name), getattr(bare, name)
        yield Row(name=f"tail/{case.name}/{name}", unit="ms", value=mine, more={"floor": other, **added})
        yield Row(name=f"tail/{case.name}/{name}-over-floor", unit="ms", value=round(mine - other, 3))
    yield Row(name=f"tail/{case.name}/max", unit="ms", value=seen.most)
    yield Row(name=f"tail/{case.name}/errors", unit="requests", value=seen.errors + seen.unanswered)


def overload_rows(case: Case, seconds: float) -> Iterator[Row]:
    """An open loop at 1.5 times the saturation, then a closed one; after each, whether the service is itself again."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    body, memory = case.body(), []
    with service.sentra(core=SERVER_CORE) as server:
        most = saturation(server, body)
        seen = open_loop(server.port, body, 1.5 * most, seconds, AMPLE, grace=10.0)
        more = {"rate": round(1.5 * most), "p99": seen.p99, "errors": seen.errors, "lateness": seen.late_p99}
        memory.append(server.memory())
        yield Row(name=f"overload/open/{case.name}/max", unit="ms", value=seen.most, more=more)
        yield Row(name=f"overload/open/{case.name}/unanswered", unit="requests", value=seen.unanswered)
        yield _after(server, f"overload/open/{case.name}", body, most)
        burst = closed_loop(server.port, body, int(most * seconds), CROWD)
        more = {"answered": burst.count, "errors": burst.errors}
        memory.append(server.memory())
        yield Row(name=f"overload/closed/{case.name}/max", unit="ms", value=round(burst.slowest * 1000, 3), more=more)
        yield _after(server, f"overload/closed/{case.name}", body, most)
    yield Row(name=f"overload/{case.name}/memory", unit="MB", value=round(max(memory), 1))


def _after(server: Service, name: str, body: bytes, most: float) -> Row:
    """The latency at a quarter of the saturation ``most``, 2 s after an overload."""
    time.sleep(RECOVERY_SECONDS)
    return Row(name=f"{name}/after-p99", unit="ms", value=open_loop(server.port, body, most / 4, 2.0).p99)


def saturation_rows(case: Case, seconds: int, workers: int = 2) -> Iterator[Row]:
    """Requests a second under wrk beside the workers, and the same of the floor. Nothing where wrk is not installed."""
    if shutil.which("wrk") is None:
        return
    with service.sentra(workers) as server, service.floor(workers) as floor:
        rates = [(_wrk(server, case.body(), seconds), _wrk(floor, case.body(), seconds)) for _ in range(3)]
    ours, bare = sorted(rates, key=lambda pair: pair[0] / pair[1])[1]
    yield Row(name=f"saturation/{case.name}", unit="requests/s", value=round(ours), more={"floor": round(bare)})
    yield Row(name=f"saturation-of-floor/{case.name}", unit="x floor", value=round(ours / bare, 3))


def _wrk(server: Service, body: bytes, seconds: int) -> float:
    """Requests a second as wrk counts them; its script holds the request. Raises ``RuntimeError``."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "body").write_bytes(body)
        lines = HEADERS.split("\r\n")[2:-3]
        headers = "".join(f'wrk.headers["{key}"] = "{value}"\n' for key, _, value in (h.partition(": ") for h in lines))
        script = Path(name) / "post.lua"
        script.write_text(f'wrk.method = "POST"\nwrk.body = io.open("{name}/body", "rb"):read("*a")\n{headers}')
        url = f"http://127.0.0.1:{server.port}/analyze-tool-execution?api-version=2025-05-01"
        command = ["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", str(script), url]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s*([0-9.]+)", told)
    if found is None or "Non-2xx" in told:
        raise RuntimeError(f"wrk could not measure: {told[-300:]}")
    return float(found[1])
