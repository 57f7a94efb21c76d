"""Reads a request body within its size and time limits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sentra.config import Settings
from sentra.errors import RequestError


class ClientGone(Exception):
    """The caller went away before its request was complete."""


async def read_body(
    receive: Callable[[], Awaitable[dict[str, Any]]], length: bytes | None, settings: Settings
) -> bytes:
    """The whole body, ``length`` being its Content-Length header if it has one.

    Raises ``RequestError`` 413 over ``max_request_bytes`` (announced, or counted while reading), 408 when it does not
    arrive within ``body_timeout_ms``; ``ClientGone`` when the caller disconnects.
    """
    limit = settings.max_request_bytes
    expected = int(length) if length is not None and length.isdigit() else None
    if expected is not None and expected > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(settings.body_timeout_ms / 1000):
            return await _read(receive, expected, limit)
    except TimeoutError:
        raise RequestError(408, 4003, "the body did not arrive in time") from None


async def _read(receive: Callable[[], Awaitable[dict[str, Any]]], expected: int | None, limit: int) -> bytes:
    """Read until the announced length has arrived, which saves one wait, or until the body ends."""
    parts: list[bytes] = []
    size = 0
    while size != expected:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> RequestError:
    return RequestError(413, 4001, f"the body is larger than {limit} bytes")
