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

from tests.fuzz.target import Target

FOLDER = Path(__file__).parent / "corpus"
MAX_INPUTS, MAX_BYTES = 400, 400_000
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
    """Steps from line to line of the service's own code, and marks, while it is a context."""

    def __init__(self) -> None:
        self.steps: set[Any] = set()
        self._wanted: dict[CodeType, bool] = {}

    def __enter__(self) -> "Reached":
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        wanted = self._wanted.get(code)
        if wanted is None:
            wanted = self._wanted[code] = code.co_filename.startswith(_OURS)
        if not wanted:
            return None
        last = 0

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            self.steps.add((code, last, frame.f_lineno))
            last = frame.f_lineno
            return line

        return line


def reached(target: Target, data: bytes) -> set[Any]:
    """What ``data`` reaches. Raises what the target raises."""
    with Reached() as seen:
        marks = target.check(data)
    return seen.steps | set(marks)


def smallest(target: Target, inputs: Iterable[bytes]) -> Iterator[bytes]:
    """Those of ``inputs`` that reach something that no shorter one reaches, as many as are kept.

    An input that breaks a promise is left out: it belongs to the findings.
    """
    seen: set[Any] = set()
    count = size = 0
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        if len(data) > target.most or count >= MAX_INPUTS or size + len(data) > MAX_BYTES:
            continue
        try:
            new = reached(target, data) - seen
        except Exception:
            continue
        if new:
            seen |= new
            count, size = count + 1, size + len(data)
            yield data
