"""One HTTP request under way and the answer to it, as the endpoints see them."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

Headers = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json"
CLOSE: Headers = ((b"connection", b"close"),)
BUFFERED = 32_768
"""Bytes of a body that the server takes in by itself, so that an answer need not end the connection."""
_SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"server", b"sentra"),
)


class Reply(NamedTuple):
    """An answer: HTTP status, content type and body."""

    status: int
    kind: bytes
    body: bytes
    extra: Headers = ()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """All headers of the answer."""
        length = b"%d" % len(self.body)
        return [(b"content-type", self.kind), (b"content-length", length), *_SAFE_HEADERS, *self.extra]


class Call:
    """One HTTP request under way. ``started`` is on the monotonic clock, in seconds; ``whole``: its body was read."""

    __slots__ = ("auth_ms", "decode_ms", "headers", "receive", "scope", "started", "whole")

    def __init__(self, scope: Scope, receive: Receive, started: float):
        self.scope, self.receive, self.started = scope, receive, started
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.auth_ms = self.decode_ms = 0.0
        self.whole = False

    def header(self, name: bytes) -> bytes | None:
        """The first header called ``name`` (lower case)."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def ending(self) -> Headers:
        """The header that ends the connection with this answer, where too much of a body stays unread.

        The server would end it all the same: a caller that is not told may lose its next request.
        """
        if self.whole:
            return ()
        length = self.header(b"content-length")
        if length is None:
            return () if self.header(b"transfer-encoding") is None else CLOSE
        return () if length.isdigit() and int(length) <= BUFFERED else CLOSE

    @property
    def correlation_id(self) -> str | None:
        """The caller's ``x-ms-correlation-id``, if it is a short printable one."""
        value = (self.header(b"x-ms-correlation-id") or b"")[:128].decode("ascii", "replace")
        return value if value.isprintable() and value else None


Handler = Callable[[Call], Awaitable[Reply]]
