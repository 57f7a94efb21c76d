"""One JSONL file that all worker processes append to: whole lines only, rotated by size, safe against kills.

Every write happens under an advisory lock on a side file. Its holder first makes sure that the name still leads to the
file that it has open (others may have rotated, renamed or deleted it) and that the file ends with a whole line: what a
killed process left half written is removed. Local file systems only: locks and appends are not reliable on NFS.
"""

import contextlib
import errno
import logging
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sentra.errors import ConfigError
from sentra.line_queue import BATCH_BYTES, LineQueue
from sentra.segments import Janitor, flocked, open_lock, rename_aside, side_file

log = logging.getLogger("sentra.journal")

MAX_TAIL = 16 << 20
PROBE_BYTES = 8192
_MODE = 0o640


class Journal(LineQueue):
    """A log file shared by several processes.

    ``max_bytes`` rotates before the file would grow past it, unless one line alone is larger; ``keep`` segments stay,
    gzipped if ``compress``. ``sync`` is for records that must not be lost: every batch reaches the disk, lines that
    cannot be written are kept, and new ones are refused until they are. Without it they are dropped and counted.

    Raises ``ConfigError`` that names ``setting`` when the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int | None = None,
        keep: int = 5,
        compress: bool = False,
        queue_bytes: int = 8 << 20,
        sync: bool = False,
        setting: str = "LOG_FILE",
    ):
        _check(path, setting)
        self.path = path.resolve()
        self._max_bytes, self._sync = max_bytes, sync
        self._janitor = Janitor(self.path, keep, compress)
        self._lock = self._file = -1
        self._identity = (0, 0)
        super().__init__(self.path.name, queue_bytes, retain=sync)
        try:
            self._open_lock()
            with flocked(self._lock):
                self.stats.size_bytes = self._ready()
        except OSError as error:
            self._release()
            raise ConfigError([f"{setting}: {path}: cannot be written: {error.strerror}"]) from None
        if max_bytes is not None:
            self._janitor.kick()

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued and finish a compression, in at most ``timeout`` seconds; then take no more lines."""
        end = time.monotonic() + timeout
        super().close(timeout)
        self._janitor.join(max(0.0, end - time.monotonic()))

    def _after_fork(self) -> None:
        """Close the parent's descriptors: a lock that both hold would outlive either."""
        self._release()
        self._janitor.reset()
        super()._after_fork()

    def _release(self) -> None:
        descriptors, self._lock, self._file = (self._lock, self._file), -1, -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)

    def _open_lock(self) -> None:
        if self._lock < 0:
            self._lock = open_lock(side_file(self.path, "lock"))

    def _write(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        done = 0
        try:
            self._open_lock()
            with flocked(self._lock):
                while done < len(lines):
                    done += self._append(lines, done, self._ready())
            if self._sync:
                os.fdatasync(self._file)
        except OSError as error:
            return done, error
        return done, None

    def _append(self, lines: Sequence[bytes], first: int, size: int) -> int:
        """Write lines from ``first`` on with one call, as many as fit; how many of them stand whole in the file.

        A short write, as on a full disk, is taken back to the last whole line.
        """
        last = self._fitting(lines, first, size)
        if last == first:
            self._rotate()
            return 0
        blob = b"\n".join([*lines[first:last], b""])
        written = os.write(self._file, blob)
        if written < len(blob):
            written = blob.rfind(b"\n", 0, written) + 1
            os.ftruncate(self._file, size + written)
        self.stats.size_bytes = size + written
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return last - first if written == len(blob) else blob.count(b"\n", 0, written)

    def _fitting(self, lines: Sequence[bytes], first: int, size: int) -> int:
        """The end of a batch that starts at ``first``: at least one line, unless the file must be rotated for it."""
        room = BATCH_BYTES if self._max_bytes is None else min(BATCH_BYTES, self._max_bytes - size)
        last = first
        while last < len(lines) and (room := room - len(lines[last]) - 1) >= 0:
            last += 1
        if last == first and (self._max_bytes is None or size == 0 or size + len(lines[first]) < self._max_bytes):
            return first + 1
        return last

    def _rotate(self) -> None:
        if self._sync:
            os.fdatasync(self._file)
        rename_aside(self.path)
        self._reopen()
        if self._sync:
            self._sync_folder()
        self._janitor.kick()

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _ready(self) -> int:
        """The size of the open file, once the name leads to it and it ends with a whole line. Raises ``OSError``."""
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(self.path)
            if self._file >= 0 and (status.st_dev, status.st_ino) == self._identity:
                return self._whole(status.st_size)
        self._reopen()
        return self._whole(os.fstat(self._file).st_size)

    def _reopen(self) -> None:
        descriptor, self._file = self._file, -1
        if descriptor >= 0:
            os.close(descriptor)
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, _MODE)
        status = os.fstat(self._file)
        self._identity = (status.st_dev, status.st_ino)

    def _whole(self, size: int) -> int:
        if not size or os.pread(self._file, 1, size - 1) == b"\n":
            return size
        return self._repair(size)

    def _repair(self, size: int) -> int:
        """End a file of ``size`` bytes with a whole line: a last line that is JSON stays, half of one goes."""
        start = max(0, size - MAX_TAIL)
        tail = os.pread(self._file, size - start, start)
        cut = tail.rfind(b"\n") + 1
        if (cut == 0 and start) or _is_json(tail[cut:]):
            os.write(self._file, b"\n")
            return size + 1
        log.warning("half a line was removed", extra={"file": self.name, "bytes": len(tail) - cut})
        os.ftruncate(self._file, start + cut)
        return start + cut

    def _probe(self) -> OSError | None:
        """Try to write, beside the file, so that a failure ends without waiting for the next line."""
        probe = side_file(self.path, f"probe-{os.getpid()}")
        try:
            probe.write_bytes(bytes(PROBE_BYTES))
        except OSError as error:
            return error
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
        return None


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _check(path: Path, setting: str) -> None:
    """Raise ``ConfigError`` for what is no file that can be rotated, or stands where nothing can be written."""
    if path.is_relative_to("/proc") or str(path).startswith(("/dev/std", "/dev/fd/")):
        raise ConfigError([f"{setting}: {path}: is a stream; SENTRA_LOG_STDOUT=1 writes to standard output"])
    try:
        folder = os.stat(path.parent)
        status = os.stat(path) if os.path.lexists(path) else None
    except OSError as error:
        raise ConfigError([f"{setting}: {path}: cannot be reached: {error.strerror}"]) from None
    if not stat.S_ISDIR(folder.st_mode) or not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError([f"{setting}: {path}: {path.parent} is not a folder that can be written to"])
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise ConfigError([f"{setting}: {path}: is not a regular file; unset it to write none"])
