"""Metric values in files that all workers share: prometheus-client's multiprocess format, one set of files for each slot.

A worker takes the lowest free slot by a lock that the kernel frees however the worker ends, and goes on from the
values that the slot's last owner left: totals never fall, and files are bounded by the number of workers, not of
restarts. Every file is allocated in full before it is mapped, since writing to a mapped page that a full disk cannot
back kills the process (SIGBUS).
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from mmap import mmap
from pathlib import Path
from struct import Struct
from typing import Any, Protocol, cast

from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from sentra.errors import ConfigError

FILE_BYTES = {"counter": 524_288, "histogram": 262_144}
GAUGE_FILE_BYTES = 65_536
_OURS = re.compile(r"(?:counter|histogram|gauge_[a-z]+)_[a-z0-9]+\.db|slot-\d+\.lock|claim\.lock|.+\.db\.tmp")
_number = Struct("dd").pack  # a value and its time, as the format has them
_SLOT = re.compile(r"s(\d+)\.db\Z")


class _Mapped(Protocol):
    """What is used of prometheus-client's untyped ``MmapedDict``. Its map is another one when the file has grown."""

    _m: mmap
    _positions: dict[str, int]

    def read_value(self, key: str) -> tuple[float, float]: ...
    def write_value(self, key: str, value: float, timestamp: float) -> None: ...
    def close(self) -> None: ...


def _map(path: Path) -> _Mapped:
    return cast(_Mapped, cast(Any, MmapedDict)(str(path)))


def prepare_folder(folder: Path) -> None:
    """Make ``folder`` ready before the first worker starts: created if need be, without the files of an earlier server.

    Only metric files are removed. Raises ``ConfigError`` when the folder cannot be used, or another server uses it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _claiming(folder):
            if _owned_slots(folder):
                raise ConfigError([f"SENTRA_METRICS_DIR: {folder}: another running server keeps its metrics there"])
            for path in folder.iterdir():
                if _OURS.fullmatch(path.name) and path.name != "claim.lock":
                    path.unlink()
    except OSError as error:
        raise ConfigError([f"SENTRA_METRICS_DIR: {folder}: cannot be used: {error.strerror}"]) from None


class Slot:
    """The right to write one set of files, for as long as this object is open; ``reused`` tells of an earlier owner."""

    def __init__(self, folder: Path):
        self.folder = folder
        with _claiming(folder):
            self.number, self._lock = next(pair for pair in _free_slots(folder))
            self.reused = self.path("counter").exists()
            for path in folder.glob(f"gauge_live*_s{self.number}.db"):
                path.unlink()

    def path(self, kind: str) -> Path:
        """The file for values of ``kind``, such as ``counter`` or ``gauge_livesum``."""
        return self.folder / f"{kind}_s{self.number}.db"

    def close(self) -> None:
        """Give the slot up; its totals stay."""
        os.close(self._lock)


class Cell:
    """One number in a file. Not for use by several threads."""

    __slots__ = ("_file", "_key", "_place", "value")

    def __init__(self, file: _Mapped, key: str):
        self._file, self._key = file, key
        self.value: float = file.read_value(key)[0]
        self._place = file._positions[key]

    def inc(self, amount: float = 1.0) -> None:
        self.value += amount
        self._file._m[self._place : self._place + 16] = _number(self.value, 0.0)  # pack_into would write zeros first

    def set(self, value: float, at: float = 0.0) -> None:
        """``at`` is a Unix time, for gauges of which the most recent one counts."""
        self.value = value
        self._file.write_value(self._key, value, at)


class Files:
    """The open files of one slot, by kind."""

    def __init__(self, slot: Slot):
        self._slot = slot
        self._open: dict[str, _Mapped] = {}

    def cell(self, kind: str, family: str, sample: str, labels: dict[str, str], text: str) -> Cell:
        """The number of ``sample`` with ``labels``; as the slot's last owner left it, else 0. ``text`` is its help."""
        if kind not in self._open:
            path = self._slot.path(kind)
            if not path.exists():
                _allocate(_unfinished(path), _size(kind)).rename(path)
            self._open[kind] = _map(path)
        return Cell(self._open[kind], mmap_key(family, sample, list(labels), list(labels.values()), text))

    @contextlib.contextmanager
    def rewriting(self, kind: str) -> Iterator[None]:
        """Inside, ``kind`` starts empty; readers see the old values until the end, cells made before are void."""
        path = self._slot.path(kind)
        old = self._open.pop(kind, None)
        fresh = _allocate(_unfinished(path), _size(kind))
        self._open[kind] = _map(fresh)
        if old is not None:
            old.close()
        yield
        fresh.rename(path)

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()
        self._slot.close()


def merged(folder: Path) -> Iterable[Metric]:
    """The values of all slots taken together. What tells of a live worker is left out for slots that have none."""
    with _claiming(folder):
        owned = _owned_slots(folder)
        files = [str(path) for path in sorted(folder.glob("*.db")) if _counts(path.name, owned)]
    return cast(Iterable[Metric], cast(Any, MultiProcessCollector).merge(files))


def _counts(name: str, owned: Sequence[int]) -> bool:
    slot = _SLOT.search(name)
    return slot is not None and (not name.startswith("gauge_live") or int(slot[1]) in owned)


def _size(kind: str) -> int:
    return FILE_BYTES.get(kind, GAUGE_FILE_BYTES)


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _allocate(path: Path, size: int) -> Path:
    """Create ``path`` with ``size`` bytes that the disk really has."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        path.unlink()
        raise ConfigError([f"SENTRA_METRICS_DIR: {path}: cannot allocate {size} bytes: {error.strerror}"]) from None
    finally:
        os.close(descriptor)
    return path


@contextlib.contextmanager
def _claiming(folder: Path) -> Iterator[None]:
    """Alone in looking at or changing who owns which slot."""
    descriptor = os.open(folder / "claim.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _owned_slots(folder: Path) -> list[int]:
    """The slots that a living process holds. To be called while claiming, as it takes each lock for a moment."""
    owned = []
    for path in folder.glob("slot-*.lock"):
        descriptor = _try_lock(path)
        if descriptor is None:
            owned.append(int(path.stem.removeprefix("slot-")))
        else:
            os.close(descriptor)
    return owned


def _free_slots(folder: Path) -> Iterator[tuple[int, int]]:
    """Free slots from the lowest up, each with the descriptor that locks it."""
    number = 0
    while True:
        descriptor = _try_lock(folder / f"slot-{number}.lock")
        if descriptor is not None:
            yield number, descriptor
        number += 1


def _try_lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def close_quietly(files: Any, owner: int) -> None:
    """Finalizer: give the slot up, unless this is a fork of the process that owns it."""
    if os.getpid() == owner:
        files.close()
