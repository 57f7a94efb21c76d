"""Reads a request body within its size and time limits."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from sentra.config import Settings
from sentra.errors import LimitError, RequestError

DISCARD_SECONDS, DISCARD_BYTES = 0.25, 16 << 20
Receive = Callable[[], Awaitable[dict[str, Any]]]


class ClientGone(Exception):
    """The caller went away before its request was complete."""


class Bodies:
    """Reads the bodies of one worker's requests. One timer serves all of them: a timer each costs more than the reading.

    All have the same time from their start, so the one that began first is due first.
    """

    def __init__(self, settings: Settings):
        self._most, self._seconds = settings.max_request_bytes, settings.body_timeout_ms / 1000
        self._due: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def read(
        self, receive: Receive, length: bytes | None, received: Callable[[int], None] = lambda size: None
    ) -> bytes:
        """A whole body, ``length`` being its Content-Length header if it has one; ``received`` is told of each part's size.

        To be called in a task. Raises ``LimitError`` 413 over ``max_request_bytes`` (announced, or counted while reading),
        ``RequestError`` 408 when it does not arrive within ``body_timeout_ms``; ``ClientGone`` when the caller disconnects.
        """
        expected = int(length) if length is not None and length.isdigit() else None
        if expected is not None and expected > self._most:
            raise _too_large(self._most)
        task = self._begin()
        try:
            return await _read(receive, expected, self._most, received)
        except asyncio.CancelledError:
            if task not in self._late or task.uncancel():
                raise
            raise RequestError(408, 4003, "the body did not arrive in time") from None
        finally:
            del self._due[task]
            self._late.discard(task)

    def _begin(self) -> asyncio.Task[Any]:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a body can only be read in a task")
        self._due[task] = loop.time() + self._seconds
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(self._seconds, self._end_late, loop)
        return task

    def _end_late(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel what is due, and come again for what is due next; not at all while nothing is being read."""
        now = loop.time()
        self._loop = None
        for task, due in self._due.items():
            if due > now:
                self._loop = loop
                loop.call_at(due, self._end_late, loop)
                return
            if task not in self._late:
                self._late.add(task)
                task.cancel()


async def discard(receive: Receive) -> None:
    """Read on and forget, for a quarter of a second and 16 MiB at most.

    A caller that is still sending when the connection closes may never see the answer.
    """
    most = DISCARD_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while most > 0:
                message = await receive()
                most -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


async def _read(receive: Receive, expected: int | None, limit: int, received: Callable[[int], None]) -> bytes:
    """Read until the announced length has arrived, which saves one wait, or until the body ends."""
    parts: list[bytes] = []
    size = 0
    while size != expected:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        received(len(part))
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> LimitError:
    return LimitError("size", 413, 4001, f"the body is larger than {limit} bytes")
