"""Stopping at any moment without losing what is on its way.

A worker that is told to stop first lets its connections go: for a short while it answers on as before, but each answer
closes its connection. A connection that is closed between two requests may meet the next one on its way, and then the
caller has no answer; one that an answer closes cannot.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

log = logging.getLogger("sentra.stopping")

STOP = (signal.SIGTERM, signal.SIGINT)
QUIET_SECONDS = 0.2
DRAIN_SECONDS = 2.0
LOOK_SECONDS = 0.05
CLOSE = (b"connection", b"close")


def stop_at_once() -> None:
    """Let a stop end this process with exit code 0, wherever it is, until something else handles it.

    Process 1 of a container would not notice it otherwise.
    """
    for number in STOP:
        signal.signal(number, _end)


def _end(number: int, frame: Any) -> None:
    log.info("stopped before it served")
    raise SystemExit(0)


def hold_stop() -> None:
    """Let a stop of this worker wait until its event loop watches for it: before, it would be lost between two steps."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)


class Stopping:
    """One worker's last moments: ``begun`` since it was told to stop.

    It stops when it has answered nothing for ``QUIET_SECONDS``, at the latest after ``DRAIN_SECONDS``. The server then
    takes no more connections and finishes what is under way.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, stop: Callable[[], None] | None = None):
        self.begun = False
        self._clock, self._stop = clock, stop or _let_through
        self._since = self._last = 0.0

    def watch(self) -> None:
        """From now on notice a stop that was held, or will be. Without ``hold_stop`` the server's own handling stays."""
        if signal.pthread_sigmask(signal.SIG_BLOCK, ()).issuperset(STOP):
            Thread(target=self._wait, args=(asyncio.get_running_loop(),), name="stop", daemon=True).start()

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        signal.sigwait(STOP)
        loop.call_soon_threadsafe(self.begin)

    def begin(self) -> None:
        """Close connections with their next answer, then stop."""
        self.begun = True
        self._since = self._last = self._clock()
        self._look()

    def last_words(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Note an answer that is about to be sent, and make it the last on its connection."""
        self._last = self._clock()
        headers.append(CLOSE)

    def _look(self) -> None:
        now = self._clock()
        if now - self._last >= QUIET_SECONDS or now - self._since >= DRAIN_SECONDS:
            self._stop()
        else:
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)


def _let_through() -> None:
    """Hand the stop on to the server's own handler, in the thread of the event loop."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
    signal.raise_signal(signal.SIGTERM)
