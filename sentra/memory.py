"""Bounds what patterns remember: RE2 keeps every state that a text has led to, up to 23 MB for each pattern.

Ordinary text leads to few. Texts made for it would fill that for all patterns, which are some hundreds; so over a mark
those that were searched most are compiled anew, and their memory goes back to the system.
"""

import ctypes
import logging
import resource
import time
from collections.abc import Callable
from pathlib import Path

from sentra.scanner import Scanner

log = logging.getLogger("sentra.memory")

ROOM = 256 << 20  # bytes that a worker may grow before patterns are made to forget
SECONDS = 0.05  # of compiling at a time, as requests wait for it


def resident_bytes() -> int:
    """Memory that this process holds, as Linux counts it."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


class Relief:
    """Looks after the memory of one process. ``held`` tells how many bytes it holds, ``clock`` seconds."""

    def __init__(self, held: Callable[[], int] = resident_bytes, clock: Callable[[], float] = time.thread_time):
        self._held, self._clock = held, clock
        self._least = held()

    def look(self, scanner: Scanner) -> int:
        """Let patterns of ``scanner`` forget if the process has grown too far; how many did.

        When none has anything left to forget, what is held is something else, and the mark moves up.
        """
        before = self._held()
        self._least = min(self._least, before)
        if before - self._least < ROOM:
            return 0
        until = self._clock() + SECONDS
        renewed = scanner.renew(lambda: self._clock() >= until)
        trim()
        after = self._held()
        if renewed:
            log.info("patterns were compiled anew", extra={"count": renewed, "bytes": before, "bytesLeft": after})
        else:
            self._least = after
        return renewed


def trim() -> None:
    """Give memory that is free, as much is after rules were compiled, back to the system.

    Elsewhere than in glibc the allocator decides that.
    """
    release = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if release is not None:
        release(0)
