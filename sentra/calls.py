"""One HTTP request under way and the answer to it, as the endpoints see them."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

JSON = b"application/json"
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
    extra: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """All headers of the answer."""
        length = b"%d" % len(self.body)
        return [(b"content-type", self.kind), (b"content-length", length), *_SAFE_HEADERS, *self.extra]


class Call:
    """One HTTP request under way. ``started`` is on the monotonic clock, in seconds."""

    __slots__ = ("auth_ms", "decode_ms", "headers", "receive", "scope", "started")

    def __init__(self, scope: Scope, receive: Receive, started: float):
        self.scope, self.receive, self.started = scope, receive, started
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.auth_ms = self.decode_ms = 0.0

    def header(self, name: bytes) -> bytes | None:
        """The first header called ``name`` (lower case)."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def correlation_id(self) -> str | None:
        """The caller's ``x-ms-correlation-id``, if it is a short printable one."""
        value = (self.header(b"x-ms-correlation-id") or b"")[:128].decode("ascii", "replace")
        return value if value.isprintable() and value else None


Handler = Callable[[Call], Awaitable[Reply]]
