"""Many processes append to one journal while they are killed at random: every acknowledged line must stand once.

    python -m tests.stress.journal --lines 200000 --writers 4 --kills 60

Not part of the default test run; a small version of it is. A writer's lines are written in order, so ``Stats.lines``
acknowledges that many of them; it tells its parent after each burst.
"""

import argparse
import gzip
import os
import random
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec

from sentra.journal import Journal
from sentra.segments import segments

BURST = 200


class Options(NamedTuple):
    """What a run does. ``lines`` is how many acknowledged lines end it."""

    lines: int = 200_000
    writers: int = 4
    kills: int = 60
    max_bytes: int = 256_000
    compress: bool = True
    sync: bool = False
    seed: int = 1


class Report(NamedTuple):
    """What was found on disk: every number but the first three must be 0."""

    acknowledged: int
    found: int
    segments: int
    lost: int
    twice: int
    torn: int
    gaps: int
    left_over: int

    @property
    def faultless(self) -> bool:
        return not any(self[3:])


def line(writer: int, number: int) -> bytes:
    """Line ``number`` of a writer: its length differs from line to line, one in a thousand is large."""
    size = 70_000 if number % 1000 == 999 else number * 37 % 700
    return msgspec.json.encode({"writer": writer, "number": number, "text": "x" * size})


def write(path: Path, writer: int, options: Options) -> None:
    """A writer process: append for ever, and tell after each burst how many lines are written."""
    journal = open_journal(path, options)
    number = 0
    while True:
        for _ in range(BURST):
            while not journal.put(line(writer, number)):
                journal.flush(1.0)
            number += 1
        os.write(1, b"%d\n" % journal.stats.lines)


def open_journal(path: Path, options: Options) -> Journal:
    """The journal under test; segments are never pruned, so that every line can be looked for."""
    return Journal(
        path,
        max_bytes=options.max_bytes,
        keep=1_000_000,
        compress=options.compress,
        sync=options.sync,
        queue_bytes=1 << 20,
    )


class Writers:
    """The running writer processes and what each has acknowledged, by writer number."""

    def __init__(self, path: Path, options: Options):
        self._path, self._options = path, options
        self._selector = selectors.DefaultSelector()
        self.acknowledged: Counter[int] = Counter()
        self._next = 0
        for _ in range(options.writers):
            self.start()

    def start(self) -> None:
        """Start one more writer under a number that was never used."""
        code = "from tests.stress.journal import *; main_writer()"
        arguments = [str(self._path), str(self._next), *map(str, self._options)]
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, (process, self._next))
        self._next += 1

    def listen(self) -> None:
        """Take in what the writers acknowledge."""
        for key, _ in self._selector.select():
            process, writer = key.data
            told = os.read(key.fd, 65536)
            if not told:
                raise RuntimeError(f"writer {writer} ended by itself with {process.wait()}")
            self.acknowledged[writer] = max(self.acknowledged[writer], *map(int, told.split(b"\n")[:-1] or [b"0"]))

    def kill(self, chooser: random.Random) -> None:
        """SIGKILL one writer."""
        key = chooser.choice(sorted(self._selector.get_map().values(), key=lambda key: key.data[1]))
        process, writer = key.data
        process.send_signal(signal.SIGKILL)
        process.wait()
        self._selector.unregister(key.fileobj)
        rest = b""
        while part := os.read(key.fd, 65536):
            rest += part
        process.stdout.close()
        self.acknowledged[writer] = max(self.acknowledged[writer], *map(int, rest.split(b"\n")[:-1] or [b"0"]))

    @property
    def running(self) -> int:
        return len(self._selector.get_map())


def run(folder: Path, options: Options) -> Report:
    """Run writers and kill them until enough lines are acknowledged; then look at what is on disk."""
    path = folder / "stress.jsonl"
    chooser = random.Random(options.seed)
    writers = Writers(path, options)
    kills = 0
    while writers.acknowledged.total() < options.lines:
        writers.listen()
        due = options.kills * writers.acknowledged.total() // options.lines
        if kills < min(due, options.kills - 1):
            writers.kill(chooser)
            writers.start()
            kills += 1
    while writers.running:
        writers.kill(chooser)
    journal = open_journal(path, options)
    journal.close(60.0)
    return look(path, writers.acknowledged)


def look(path: Path, acknowledged: Counter[int]) -> Report:
    """Compare all segments of ``path`` with what was acknowledged."""
    seen: Counter[tuple[int, int]] = Counter()
    torn = 0
    for file in [*segments(path), path]:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        torn += not content.endswith(b"\n") and bool(content)
        for text in content.splitlines():
            try:
                entry = msgspec.json.decode(text)
                seen[entry["writer"], entry["number"]] += 1
            except (msgspec.DecodeError, KeyError, TypeError):
                torn += 1
    count = Counter(writer for writer, _ in seen)
    highest = {writer: max(number for other, number in seen if other == writer) for writer in count}
    return Report(
        acknowledged=acknowledged.total(),
        found=len(seen),
        segments=len(segments(path)),
        lost=sum((writer, number) not in seen for writer in acknowledged for number in range(acknowledged[writer])),
        twice=sum(times > 1 for times in seen.values()),
        torn=torn,
        gaps=sum(highest[writer] + 1 != count[writer] for writer in count),
        left_over=len(list(path.parent.glob("*.tmp"))),
    )


def main_writer() -> None:
    """Entry of a writer process: path, writer number, then the options in order."""
    path, writer, *rest = sys.argv[1:]
    kinds = (int, int, int, int, _truth, _truth, int)
    write(Path(path), int(writer), Options(*(kind(text) for kind, text in zip(kinds, rest, strict=True))))


def _truth(text: str) -> bool:
    return text == "True"


def main() -> int:
    """Entry of the long run. The exit code tells whether it was faultless."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("lines", "writers", "kills", "max_bytes", "seed"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=Options._field_defaults[name])
    parser.add_argument("--plain", action="store_true", help="do not compress")
    parser.add_argument("--sync", action="store_true", help="as an audit file")
    given = vars(parser.parse_args())
    options = Options(compress=not given.pop("plain"), **given)
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), options)
    print(report)
    return 0 if report.faultless else 1


if __name__ == "__main__":
    sys.exit(main())
