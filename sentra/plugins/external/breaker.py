"""A circuit breaker: stops asking a service that does not answer, and finds out when it does again.

One for each definition in each worker. It has no clock of its own and is used from one event loop.
"""

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from random import random

from sentra.definitions import BreakerOptions

JITTER = 0.2


class State(StrEnum):
    """``closed`` lets calls through, ``open`` none, ``half_open`` one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts the last calls; ``clock`` gives seconds, ``spread`` a number from 0 to 1 that keeps workers apart."""

    def __init__(
        self, options: BreakerOptions, clock: Callable[[], float], spread: Callable[[], float] = random
    ) -> None:
        self._options, self._clock, self._spread = options, clock, spread
        self._results: deque[tuple[float, bool]] = deque(maxlen=options.window)
        self._open_until: float | None = None
        self._probing = False
        self._good_probes = 0
        self._era = 0

    @property
    def state(self) -> State:
        if self._open_until is None:
            return State.CLOSED
        return State.OPEN if self._clock() < self._open_until else State.HALF_OPEN

    def admit(self) -> int | None:
        """A ticket to report the call's outcome with, or ``None`` when it must not be made."""
        state = self.state
        if state is State.OPEN or (state is State.HALF_OPEN and self._probing):
            return None
        self._probing = state is State.HALF_OPEN
        return self._era

    def report(self, ticket: int, ok: bool | None) -> None:
        """How a call went; ``None`` when it says nothing of the service, as when it was no longer needed."""
        if ticket != self._era:
            return
        if self._open_until is not None:
            self._report_probe(ok)
        elif ok is not None:
            self._results.append((self._clock(), ok))
            if not ok and self._too_many_failed():
                self._open()

    def _report_probe(self, ok: bool | None) -> None:
        self._probing = False
        if ok is False:
            self._open()
        elif ok:
            self._good_probes += 1
            if self._good_probes >= self._options.probes:
                self._close()

    def _too_many_failed(self) -> bool:
        oldest = self._clock() - self._options.windowMs / 1000
        while self._results[0][0] < oldest:
            self._results.popleft()
        failed = sum(not ok for _, ok in self._results)
        least = min(self._options.minCalls, self._options.window)
        return len(self._results) >= least and failed >= self._options.failureRatio * len(self._results)

    def _open(self) -> None:
        wait = self._options.openMs / 1000
        self._open_until = self._clock() + wait * (1 + JITTER * (2 * self._spread() - 1))
        self._forget()

    def _close(self) -> None:
        self._open_until = None
        self._forget()

    def _forget(self) -> None:
        """Outcomes of calls that began before no longer count."""
        self._era += 1
        self._results.clear()
        self._probing, self._good_probes = False, 0
