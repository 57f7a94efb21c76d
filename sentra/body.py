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


async def read_body(
    receive: Receive, length: bytes | None, settings: Settings, received: Callable[[int], None] = lambda size: None
) -> bytes:
    """The whole body, ``length`` being its Content-Length header if it has one; ``received`` is told of each part's size.

    Raises ``LimitError`` 413 over ``max_request_bytes`` (announced, or counted while reading), ``RequestError`` 408 when
    it does not arrive within ``body_timeout_ms``; ``ClientGone`` when the caller disconnects.
    """
    limit = settings.max_request_bytes
    expected = int(length) if length is not None and length.isdigit() else None
    if expected is not None and expected > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(settings.body_timeout_ms / 1000):
            return await _read(receive, expected, limit, received)
    except TimeoutError:
        raise RequestError(408, 4003, "the body did not arrive in time") from None


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
