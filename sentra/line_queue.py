"""Lines on their way to a file or stream: a bounded queue and one writer thread, so that nobody else waits for a disk."""

import contextlib
import errno
import fcntl
import logging
import os
import select
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence

log = logging.getLogger("sentra.lines")

LINGER_SECONDS = 0.05
RETRY_SECONDS = 0.1
BATCH_BYTES = 64 * 1024

Render = Callable[[], bytes]


class Stats:
    """What became of the lines so far. All but ``size_bytes`` only grow; ``lines`` counts what the system took."""

    __slots__ = ("dropped", "lines", "size_bytes", "write_errors")

    def __init__(self) -> None:
        self.lines = self.dropped = self.write_errors = self.size_bytes = 0


class LineQueue:
    """Takes lines without ever blocking and writes them in order, in batches, from a thread of its own.

    A line waits at most 50 ms for company. ``retain`` keeps lines that could not be written and refuses new ones
    until they are; otherwise they are dropped and counted. The thread starts with the first line, and again in a forked
    child, whose queue starts empty: what waits at the fork is the parent's to write.
    """

    def __init__(self, name: str, queue_bytes: int, retain: bool = False):
        self.name = name
        self._limit, self._retain = queue_bytes, retain
        self.stats = Stats()
        self._reset()
        _register(self)

    def _reset(self) -> None:
        self.healthy = True
        self._guard = threading.Lock()
        self._changed = threading.Condition(self._guard)
        self._waiting: deque[tuple[int, bytes | Render]] = deque()
        self._unwritten: list[bytes] = []
        self._queued = 0
        self._closing = self._hurry = False
        self._thread: threading.Thread | None = None

    def _after_fork(self) -> None:
        self.stats = Stats()
        self._reset()

    def put(self, line: bytes) -> bool:
        """Queue one line, given without its newline. ``False`` when it was dropped."""
        return self._put(len(line) + 1, line)

    def put_later(self, render: Render, size: int, hurry: bool = False) -> bool:
        """Queue a line that ``render`` makes in the writer's thread, ``size`` being the bytes that are held for it.

        When the queue is half full the writer does not keep up with what it is given to make. Then the line is made here,
        so that who gives it work has to wait for it, unless there is no time for that: ``hurry``. No line alone is more
        than a quarter of the queue.
        """
        size = min(size, self._limit // 4)
        if hurry or not self.accepting or self._queued + size <= self._limit // 2:
            return self._put(size, render)
        line = self._rendered(render)
        return line is not None and self.put(line)

    def _put(self, size: int, item: bytes | Render) -> bool:
        with self._guard:  # that of _changed, taken without its detour
            failing = self._retain and not self.healthy
            if self._closing or failing or self._queued + size > self._limit:
                self.stats.dropped += 1
                return False
            before, self._queued = self._queued, self._queued + size
            self._waiting.append((size, item))
            if before == 0 or before < BATCH_BYTES <= self._queued:
                self._changed.notify_all()
            if self._thread is None:
                self._start()
        return True

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"write {self.name}", daemon=True)
        self._thread.start()

    @property
    def accepting(self) -> bool:
        """Whether a line would be taken now, if it is not large."""
        failing = self._retain and not self.healthy
        return not (self._closing or failing or self._queued >= self._limit)

    def flush(self, timeout: float) -> bool:
        """Wait until all lines taken so far are written or dropped; ``False`` when ``timeout`` seconds were too few."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._queued and not self._unwritten, timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued, in at most ``timeout`` seconds, and take no more; what is left counts as dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)
        if thread is not None and thread.is_alive():
            with self._changed:
                self.stats.dropped += len(self._waiting)
                self._waiting.clear()
            return
        self._release()

    def _run(self) -> None:
        while True:
            batch, size, closing = self._take()
            if batch or self._unwritten:
                self._attempt(batch)
            elif not self.healthy:
                self._note(self._probe())
            with self._changed:
                self._queued -= size
                if closing:
                    self._give_up()
                self._changed.notify_all()
                if closing:
                    return

    def _take(self) -> tuple[list[bytes], int, bool]:
        """The next lines, the bytes they take up in the queue, and whether the queue is closing."""
        with self._changed:
            if not self.healthy:
                self._changed.wait_for(lambda: self._closing, RETRY_SECONDS)
            else:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                self._changed.wait_for(self._filled, LINGER_SECONDS)
            taken, self._waiting = self._waiting, deque()
            self._hurry = False
            closing = self._closing
        lines = [line for _, item in taken if (line := self._rendered(item)) is not None]
        return lines, sum(size for size, _ in taken), closing

    def _filled(self) -> bool:
        return self._closing or self._hurry or self._queued >= BATCH_BYTES

    def _rendered(self, item: bytes | Render) -> bytes | None:
        if isinstance(item, bytes):
            return item
        try:
            return item()
        except Exception as error:
            log.error("a line could not be made", extra={"file": self.name, "error": type(error).__name__})
            with self._changed:
                self.stats.dropped += 1
            return None

    def _attempt(self, fresh: list[bytes]) -> None:
        lines = self._unwritten + fresh
        written, failure = self._write(lines)
        left = lines[written:]
        with self._changed:
            self.stats.lines += written
            self._unwritten = left if self._retain else []
            if not self._retain:
                self.stats.dropped += len(left)
        self._note(failure)

    def _give_up(self) -> None:
        self.stats.dropped += len(self._unwritten)
        self._unwritten = []

    def _note(self, failure: OSError | None) -> None:
        if failure is not None:
            self.stats.write_errors += 1
        if (failure is None) != self.healthy:
            code = errno.errorcode.get(failure.errno or 0, "unknown") if failure else ""
            if failure:
                log.error("lines cannot be written", extra={"file": self.name, "error": code})
            else:
                log.info("lines can be written again", extra={"file": self.name})
        self.healthy = failure is None

    def _write(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Write ``lines`` in order; how many are wholly written, and what stopped the rest."""
        raise NotImplementedError

    def _probe(self) -> OSError | None:
        """What still stands in the way of writing, after a failure."""
        return None

    def _release(self) -> None:
        """Close what was opened."""


_open: "weakref.WeakSet[LineQueue]" = weakref.WeakSet()


def _register(queue: LineQueue) -> None:
    _open.add(queue)


def _after_fork_in_child() -> None:
    for queue in list(_open):
        with contextlib.suppress(OSError):
            queue._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)


class Mirror(LineQueue):
    """Lines to an open stream, as standard output. Lines of several processes on one stream do not mix.

    A reader that stalls fills the queue; then lines are dropped.
    """

    def __init__(self, name: str, descriptor: int, queue_bytes: int = 1 << 20):
        self._descriptor = descriptor
        self._lock = -1
        super().__init__(name, queue_bytes)

    def _after_fork(self) -> None:
        self._release()
        super()._after_fork()

    def _write(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        self._open_lock()
        for done, line in enumerate(lines):
            try:
                with _locked(self._lock):
                    self._all(line + b"\n")
            except OSError as error:
                return done, error
        return len(lines), None

    def _open_lock(self) -> None:
        """A second opening of the stream, of which each process has its own, so that the lock parts processes."""
        if self._lock < 0:
            with contextlib.suppress(OSError):
                self._lock = os.open(f"/proc/self/fd/{self._descriptor}", os.O_WRONLY | os.O_NONBLOCK)

    def _all(self, blob: bytes) -> None:
        rest = memoryview(blob)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [], 1.0)

    def _release(self) -> None:
        descriptor, self._lock = self._lock, -1
        if descriptor >= 0:
            os.close(descriptor)


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Hold the lock on ``descriptor``; no lock for a stream that cannot be opened twice, as a socket."""
    if descriptor < 0:
        yield
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
