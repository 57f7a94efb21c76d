"""One target under the fuzzer, in a process of its own: ``python -m tests.fuzz.child NAME REPORT [libFuzzer's arguments]``.

Needs atheris. Every 500 inputs, or 5 seconds, the report is written anew: inputs so far, memory, and how many marks were reached.
"""

import faulthandler
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import atheris  # type: ignore[import-untyped]
import msgspec

# Instrumented comparisons of arrays leak them, which would look like a service that grows.
with atheris.instrument_imports(include=["sentra"], exclude=["sentra.lexicon"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS

REPORT_EVERY, REPORT_SECONDS = 500, 5.0
MARKS = 4_000
WARM = 2_000
"""Inputs after which memory counts: before, code and patterns are compiled at first use."""


class Report(msgspec.Struct):
    """What a run tells of itself. Memory in MiB."""

    inputs: int = 0
    seconds: float = 0.0
    warm_mib: float = 0.0
    mib: float = 0.0
    marks: int = 0


class Marker:
    """Tells the fuzzer of a mark: each has a function of its own, so that reaching it is coverage.

    They are made in advance: the fuzzer has room for few later additions. Marks over their number share them.
    """

    def __init__(self) -> None:
        self._functions = [_function(number) for number in range(MARKS)]
        self._numbers: dict[str, int] = {}

    def __call__(self, mark: str) -> None:
        number = self._numbers.setdefault(mark, len(self._numbers))
        self._functions[number % MARKS]()

    def __len__(self) -> int:
        return len(self._numbers)


def _function(number: int) -> Callable[[], None]:
    space: dict[str, Callable[[], None]] = {}
    exec(f"def mark():\n    {number}\n    return None\n", space)
    made: Callable[[], None] = atheris.instrument_func(space["mark"])
    return made


def resident_mib() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    name, report_path, *arguments = sys.argv[1:]
    target, marker, report = TARGETS[name], Marker(), Report()
    started = time.monotonic()

    def one(data: bytes) -> None:
        for mark in target.check(data):
            marker(mark)
        report.inputs += 1
        if report.inputs % REPORT_EVERY == 0 or time.monotonic() - started > report.seconds + REPORT_SECONDS:
            write()

    def write() -> None:
        gc.collect()
        report.seconds, report.mib, report.marks = time.monotonic() - started, resident_mib(), len(marker)
        if report.inputs <= WARM:
            report.warm_mib = report.mib
        Path(report_path).write_bytes(msgspec.json.encode(report))

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        return target.mutate(data, Random(seed), lambda raw: atheris.Mutate(raw, max(len(raw) + 64, 64)))[:most]

    target.check(next(iter(target.seeds())))  # what is made once is no part of an input's time
    faulthandler.enable()
    atheris.Setup([sys.argv[0], *arguments], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
