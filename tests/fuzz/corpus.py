"""The kept inputs: one line of text each, small, few, and each of them reaching something that no shorter one reaches.

They are written as the hexadecimal digits of their deflated bytes, in which no scanner of repositories sees a secret.
"""

import hashlib
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.target import COST, Target

FOLDER = Path(__file__).parent / "corpus"
MAX_BYTES = 120_000
WORN = 300
_OURS = f"{Path(__file__).parent.parent.parent / 'sentra'}/"


def path_of(name: str) -> Path:
    """The file of the target ``name``."""
    return FOLDER / f"{name}.txt"


def load(name: str) -> list[bytes]:
    """The kept inputs of the target ``name``, shortest first."""
    path = path_of(name)
    if not path.exists():
        return []
    return [zlib.decompress(bytes.fromhex(line)) for line in path.read_text("ascii").split()]


def store(name: str, inputs: Iterable[bytes]) -> None:
    """Keep ``inputs`` for the target ``name``."""
    FOLDER.mkdir(exist_ok=True)
    path_of(name).write_text("".join(f"{zlib.compress(data, 9).hex()}\n" for data in inputs), "ascii")


def file_name(data: bytes) -> str:
    """A name for ``data`` in a folder of inputs."""
    return hashlib.sha256(data).hexdigest()[:16]


class Reached:
    """Steps from line to line of the service's own code, and marks, of all inputs so far.

    Code that showed nothing new ``WORN`` times in a row is not watched any longer: watching costs ten times the work.
    """

    def __init__(self) -> None:
        self._seen: set[Any] = set()
        self._fresh: set[Any] = set()
        self._worn: dict[CodeType, int] = {}

    def adds(self, target: Target, data: bytes) -> bool:
        """Whether ``data`` reaches something new. Raises what the target raises; then it counts for nothing."""
        self._fresh.clear()
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            marks = target.check(data)
        finally:
            sys.settrace(before)
        new = (self._fresh | {mark for mark in marks if not mark.startswith(COST)}) - self._seen
        self._seen |= new
        return bool(new)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        worn = self._worn.get(code)
        if worn is None:
            worn = self._worn[code] = 0 if code.co_filename.startswith(_OURS) else WORN
        if worn >= WORN:
            return None
        self._worn[code] = worn + 1
        last = 0

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            step = (code, last, frame.f_lineno)
            last = frame.f_lineno
            if step not in self._seen:
                self._fresh.add(step)
                self._worn[code] = 0
            return line

        return line


def smallest(target: Target, inputs: Iterable[bytes]) -> Iterator[bytes]:
    """Those of ``inputs`` that reach something that no shorter one reaches, as many as are kept.

    An input that breaks a promise is left out: it belongs to the findings.
    """
    reached = Reached()
    count = size = 0
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        if len(data) > target.most or count >= target.kept or size + len(data) > MAX_BYTES:
            continue
        try:
            new = reached.adds(target, data)
        except Exception:
            continue
        if new:
            count, size = count + 1, size + len(data)
            yield data
