"""Rotated segments of a log file: named by time, compressed and pruned by one process at a time.

A segment of ``telemetry.jsonl`` is ``telemetry.jsonl.<nanoseconds>``, then ``telemetry.jsonl.<nanoseconds>.gz``; what is
unfinished ends in ``.tmp``. Whatever a killed process left behind is finished or removed by the next one.
"""

import contextlib
import fcntl
import gzip
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("sentra.segments")

STAMP_DIGITS = 19
COPY_BYTES = 256 * 1024
GZIP_LEVEL = 1


@contextlib.contextmanager
def flocked(descriptor: int) -> Iterator[None]:
    """Hold the exclusive lock on ``descriptor``; the kernel frees it when its process dies."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def open_lock(path: Path) -> int:
    """A descriptor of the lock file at ``path``, made if need be. Raises ``OSError``."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o640)


def side_file(path: Path, kind: str) -> Path:
    """A hidden file beside ``path`` that no pattern for its segments matches."""
    return path.with_name(f".{path.name}.{kind}")


def rename_aside(path: Path) -> Path:
    """Make the log at ``path`` a segment, under the writers' lock. Raises ``OSError``."""
    stamp = time.time_ns()
    while (segment := path.with_name(f"{path.name}.{stamp:0{STAMP_DIGITS}}")).exists():
        stamp += 1
    path.rename(segment)
    return segment


def segments(path: Path) -> list[Path]:
    """The rotated segments of ``path``, oldest first; a segment that stands both plain and compressed twice."""
    return sorted(found for found in path.parent.iterdir() if _stamp(path, found.name.removesuffix(".gz")))


def _stamp(path: Path, name: str) -> str:
    prefix, _, stamp = name.rpartition(".")
    ours = prefix == path.name and len(stamp) == STAMP_DIGITS and stamp.isdecimal()
    return stamp if ours else ""


class Janitor:
    """Keeps the ``keep`` newest segments of ``path`` and compresses all but the newest, in a thread of its own.

    The newest stays as it is until the next rotation, so that a slow reader of the log can finish it.
    """

    def __init__(self, path: Path, keep: int, compress: bool):
        self._path, self._keep, self._compress = path, keep, compress
        self.reset()

    def reset(self) -> None:
        """Forget the thread, as a forked child must."""
        self._lock = threading.Lock()
        self._wanted = False
        self._thread: threading.Thread | None = None

    def kick(self) -> None:
        """Ask for a tidying; returns at once."""
        with self._lock:
            self._wanted = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"tidy {self._path.name}", daemon=True)
                self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for the tidying under way."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self._thread = None
                    return
                self._wanted = False
            try:
                tidy(self._path, self._keep, self._compress)
            except OSError as error:
                log.error("segments cannot be tidied", extra={"file": self._path.name, "error": str(error.strerror)})


def tidy(path: Path, keep: int, compress: bool) -> None:
    """Finish or remove what a killed process left, prune to ``keep`` segments, compress. Raises ``OSError``."""
    lock = open_lock(side_file(path, "gz.lock"))
    try:
        with flocked(lock):
            _remove_leftovers(path)
            found = segments(path)
            for old in found[:-keep]:
                old.unlink(missing_ok=True)
            for segment in found[-keep:-1] if compress else []:
                if segment.suffix != ".gz":
                    compress_segment(segment)
    finally:
        os.close(lock)


def _remove_leftovers(path: Path) -> None:
    """Remove unfinished files, and the plain form of what stands compressed: a kill came before its removal."""
    for found in path.parent.iterdir():
        if found.name.endswith(".gz.tmp") and _stamp(path, found.name.removesuffix(".gz.tmp")):
            found.unlink(missing_ok=True)
        elif found.suffix == ".gz" and _stamp(path, found.stem):
            found.with_suffix("").unlink(missing_ok=True)


def compress_segment(segment: Path) -> Path:
    """Replace ``segment`` by its gzip form, whole before it gets its name. Raises ``OSError``."""
    final = segment.with_name(segment.name + ".gz")
    unfinished = final.with_name(final.name + ".tmp")
    with segment.open("rb") as source, unfinished.open("wb") as target:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=target) as packed:
            shutil.copyfileobj(source, packed, COPY_BYTES)
        target.flush()
        os.fsync(target.fileno())
    unfinished.rename(final)
    segment.unlink()
    return final
