"""The file that names the running service's process, for `sentra reload`.

The service holds a lock on it, so that a file left behind never leads a signal to a process that is not the service.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from sentra.errors import ConfigError


@contextlib.contextmanager
def pid_file(path: Path | None) -> Iterator[None]:
    """Name this process in ``path``, if there is one, until the end. Raises ``ConfigError`` when that cannot be."""
    if path is None:
        yield
        return
    descriptor = _claim(path)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _claim(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigError([f"SENTRA_PID_FILE: {path}: cannot be written: {error.strerror}"]) from None
    if not _lock(descriptor):
        os.close(descriptor)
        raise ConfigError([f"SENTRA_PID_FILE: {path}: another service that runs has it"])
    return descriptor


def _lock(descriptor: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def running_pid(path: Path) -> int:
    """The process that ``path`` names. Raises ``ConfigError`` when there is no such file or its service has ended."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise ConfigError([f"{path}: does not exist; `sentra serve` writes it when SENTRA_PID_FILE names it"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be opened: {error.strerror}"]) from None
    try:
        if _lock(descriptor):
            raise ConfigError([f"{path}: the service that wrote it does not run any more"])
        text = os.read(descriptor, 32).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    if not text.isdigit():
        raise ConfigError([f"{path}: holds no process number"])
    return int(text)
