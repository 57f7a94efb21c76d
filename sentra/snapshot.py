"""The configuration file as it was when it was last valid, kept by the parent for its workers.

A worker that starts while the operator's file is broken or gone starts with this copy: one mistake on disk must not
turn a worker's end into a crash loop. Beside the copy stands a mark while the operator's newest file is refused.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from sentra.errors import ConfigError

T = TypeVar("T")
PREFIX = "sentra-run-"


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A private folder for what parent and workers share, removed at the end.

    What servers left behind that were killed is removed at the start. The lock tells them from those that run; it also
    keeps systemd-tmpfiles from removing old files of a long run.
    """
    for folder in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            _remove_unless_in_use(folder)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(descriptor)


def _remove_unless_in_use(folder: Path) -> None:
    """Raises ``OSError`` for a folder that is locked. An empty one may be of a server that has not locked it yet."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_uid == os.geteuid() and any(folder.iterdir()):
            shutil.rmtree(folder)
    finally:
        os.close(descriptor)


class Keeper:
    """The parent's side: copies ``source``, the operator's file, to ``kept`` in ``folder`` whenever it is valid."""

    def __init__(self, folder: Path, source: Path):
        self._source = source
        self.kept = folder / f"configuration{source.suffix}"
        self._candidate = folder / f"candidate{source.suffix}"

    def take(self, validate: Callable[[Path], T]) -> T:
        """What ``validate`` makes of a copy of the operator's file, which is kept if nothing was raised.

        Raises ``ConfigError`` that names the operator's file, and what else ``validate`` raises; the mark then stands.
        """
        try:
            self._copy()
            made = validate(self._candidate)
        except BaseException as error:
            _mark(self.kept).touch()
            if isinstance(error, ConfigError):
                raise ConfigError(
                    problem.replace(str(self._candidate), str(self._source)) for problem in error.problems
                ) from None
            raise
        self._candidate.replace(self.kept)
        _mark(self.kept).unlink(missing_ok=True)
        return made

    def _copy(self) -> None:
        try:
            content = self._source.read_bytes()
        except OSError as error:
            problem = f"SENTRA_PLUGIN_CONFIG: {self._source}: cannot be read: {error.strerror}"
            raise ConfigError([problem]) from None
        self._candidate.unlink(missing_ok=True)
        descriptor = os.open(self._candidate, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)


class Watched:
    """A worker's side: looks whether the file at ``path`` was replaced, or a newer one refused.

    Looking is sure where a signal is not: one that comes while a worker is between its start and its event loop is lost.
    """

    def __init__(self, path: Path | None):
        self._path = path
        self._seen = _stamp(path)
        self._refusal: tuple[int, int] | None = None

    def replaced(self) -> bool:
        """Whether the file is another one than at the last call, at first than when this object was made."""
        before, self._seen = self._seen, _stamp(self._path)
        return self._seen is not None and self._seen != before

    def refused(self) -> bool:
        """Whether the operator's newest file is not valid, and was refused after the last call that told so."""
        before, self._refusal = self._refusal, _stamp(_mark(self._path) if self._path else None)
        return self._refusal is not None and self._refusal != before


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """What differs between two files that stood at ``path`` one after the other; nothing without a file."""
    if path is not None:
        with contextlib.suppress(OSError):
            status = path.stat()
            return status.st_ino, status.st_mtime_ns
    return None


def _mark(path: Path) -> Path:
    return path.with_name(path.name + ".refused")
