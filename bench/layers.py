"""What each step of a request costs in this process, in microseconds of CPU."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import re2

from bench.requests import Case
from bench.rows import Row
from bench.setup import assembled
from sentra import wire
from sentra.allowance import ScanTime, no_clock
from sentra.app import answer
from sentra.assembly import Assembly, cache_folder
from sentra.config import Settings, load_settings
from sentra.engine import UTF8
from sentra.inspection import inspect
from sentra.lexicon import LEAST, shipped
from sentra.metrics import Metrics
from sentra.ruleset import database_pattern
from sentra.scanner import Scanner
from sentra.telemetry import Event, Recorder

ROUND_SECONDS = 0.05


def cost(step: Callable[[], Any], rounds: int = 5) -> tuple[float, tuple[float, ...]]:
    """Median and all rounds, in microseconds of CPU for one ``step``; each round takes about 50 ms."""
    started = time.process_time()
    step()
    count = max(3, min(20_000, int(ROUND_SECONDS / max(time.process_time() - started, 1e-7))))
    values = []
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(count):
            step()
        values.append(round((time.process_time() - started) / count * 1e6, 2))
    return median(values), tuple(values)


def layer_rows(case: Case) -> Iterator[Row]:
    """A row for each layer of one request; ``confirm`` is what plugins do with the candidates.

    ``engine`` and ``scan`` are without the lexicon: a request's texts are weighed once, here before they are timed.
    """
    assembly = assembled()
    with tempfile.TemporaryDirectory() as folder:
        settings, _ = load_settings({"LOG_FILE": str(Path(folder) / "telemetry.jsonl")})
        recorder, metrics = Recorder(settings, assembly.digest), Metrics(None, 1)
        for name, step in steps(assembly, recorder, metrics, case.body()).items():
            value, values = cost(step)
            yield Row(name=f"layer/{case.definition.name}/{case.label}/{name}", unit="us", value=value, values=values)
        recorder.close()


def steps(assembly: Assembly, recorder: Recorder, metrics: Metrics, body: bytes) -> dict[str, Callable[[], Any]]:
    """Each layer as a call without arguments, on the same request."""
    pipeline = assembly.pipeline
    request = wire.decode_request(body)
    inspection = inspect(request)
    decision, context = pipeline.decide(request, float("inf"))

    def confirm() -> None:
        context.scanned.renew()
        for plugin in pipeline.local:
            plugin.judge(context)

    def event() -> Event:
        return Event(outcome="allow", request=request, context=context, decision=decision, seconds=0.001)

    return {
        "decode": lambda: wire.decode_request(body),
        "segment": lambda: inspect(request),
        "engine": lambda: pipeline.scanner.fired(inspection, ScanTime(no_clock)),
        "lexicon": lambda: shipped("exfil", "orders").passages(inspection.buffer, (-1, len(body)), LEAST),
        "scan": lambda: pipeline.scanner.scan(inspection),
        "confirm": confirm,
        "pipeline": lambda: pipeline.decide(request, float("inf")),
        "encode": lambda: wire.encode(answer(decision, context, pipeline, "extended")),
        "telemetry": lambda: recorder.record(event()),
        "metrics": lambda: metrics.decided(decision, 0.001, {"auth": 0.01, "decode": 0.02}),
    }


def literals_row(case: Case, pairs: int = 7) -> Row:
    """What the scan for all rules costs, with the lexicon, over one for those patterns alone that need a literal.

    Those are what the engine finds fastest. ``engine`` is the same without the lexicon.
    """
    layer, folder = inspect(wire.decode_request(case.body())), str(cache_folder(Settings()))
    rules = assembled().pipeline.scanner.rules
    patterns = [compiled for compiled in rules if compiled.rule.pattern]
    every, engine = Scanner(rules, folder), Scanner(patterns, folder)
    literal = Scanner([compiled for compiled in patterns if needs_literal(database_pattern(compiled.rule))], folder)

    def us(scanner: Scanner) -> float:
        def scan() -> None:
            layer.passages.clear()
            scanner.fired(layer, ScanTime(no_clock))

        return cost(scan, 1)[0]

    turns = [(us(every), us(engine), us(literal)) for _ in range(pairs)]
    values = tuple(round(all_rules / least, 3) for all_rules, _, least in turns)
    more = {"engine": round(median(without / least for _, without, least in turns), 3)}
    return Row(name=f"scan/over-literals/{case.label}", unit="x", value=median(values), values=values, more=more)


def needs_literal(pattern: str) -> bool:
    """Whether nothing can match ``pattern`` without some literal in it, as RE2's own filter tells."""
    needed = re2.Filter()
    needed.Add(pattern.removeprefix(UTF8))
    needed.Compile()
    return not needed.Match("", True)
