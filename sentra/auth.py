"""Bearer admission: who may call. Static tokens, Entra ID tokens, both, any bearer, or nobody asked.

What never happens here: I/O while a request waits, a token in a log line or an exception, a comparison that tells by
its time how much of a token was right.
"""

import hashlib
import hmac
import ipaddress
import logging
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from sentra import entra
from sentra.config import Settings
from sentra.entra_keys import KeyRing
from sentra.errors import Refused as Refused

MAX_TOKEN_BYTES = 16_384
LOG_SECONDS = 60.0
CAUSES = (
    "missing",
    "malformed",
    "unknown_token",
    "algorithm",
    "unknown_key",
    "signature",
    "issuer",
    "audience",
    "expired",
    "not_yet_valid",
    "app",
    "role",
)

_log = logging.getLogger("sentra.auth")

_VISIBLE = bytes(range(0x21, 0x7F))
_LISTS = {
    "SENTRA_ENTRA_TENANT_IDS": "entra_tenant_ids",
    "SENTRA_ENTRA_AUDIENCES": "entra_audiences",
    "SENTRA_ENTRA_ALLOWED_APP_IDS": "entra_allowed_app_ids",
}
_EXTRAS = {"SENTRA_ENTRA_ROLES": "entra_roles", "SENTRA_ENTRA_AUTHORITY": "entra_authority"}


class Authenticator:
    """Admits or refuses a request by its headers. One for each worker process."""

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], float] = entra.wall_clock,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._off = settings.auth == "none"
        self._refusals = RefusalLog(clock)
        self._static = tuple(hashlib.sha256(token.encode()).digest() for token in settings.allowed_tokens or ())
        self._admitted: bytes | None = None  # what was last admitted: the next request mostly brings the same again
        self._verifier: entra.Verifier | None = None
        self._keys: KeyRing | None = None
        if settings.entra_tenant_ids is not None and not self._off:
            self._keys = KeyRing(settings, self._forget, clock)
            self._verifier = entra.Verifier(entra.policy(settings), self._keys, now)
        self._any = settings.allowed_tokens is None and self._verifier is None

    def admit(self, headers: list[tuple[bytes, bytes]]) -> str:
        """Who calls: ``none`` (nobody asked), ``any``, ``static`` or ``entra:<app id>``.

        ``headers`` are ASGI's: lower-case names. No I/O. Raises ``Refused`` with one of ``CAUSES``.
        """
        if self._off:
            return "none"
        if self._admitted is not None:
            found = [value for name, value in headers if name == b"authorization"]
            if len(found) == 1 and hmac.compare_digest(found[0], self._admitted):
                return "static"
        try:
            return self._caller(headers)
        except Refused as refused:
            self._refusals.note(refused.cause)
            raise

    def _caller(self, headers: list[tuple[bytes, bytes]]) -> str:
        token = bearer(headers)
        digest = hashlib.sha256(token).digest()
        if self._is_static(digest):
            self._admitted = next(value for name, value in headers if name == b"authorization")
            return "static"
        if self._verifier is not None and (not self._static or token.count(b".") == 2):
            return "entra:" + self._verifier.caller(token, digest)
        if self._any:
            return "any"
        raise Refused("unknown_token")

    def _is_static(self, digest: bytes) -> bool:
        """Compare with every configured token, so that the time tells nothing."""
        found = False
        for known in self._static:
            found |= hmac.compare_digest(known, digest)
        return found

    def _forget(self) -> None:
        if self._verifier is not None:
            self._verifier.forget()

    async def start(self) -> None:
        """Fetch the first signing keys, for at most 10 s, and keep refreshing them in the background."""
        if self._keys is not None:
            await self._keys.start()

    async def stop(self) -> None:
        """End the background work."""
        if self._keys is not None:
            await self._keys.stop()

    @property
    def ready(self) -> bool:
        """Whether tokens can be judged: every tenant's keys have been fetched once."""
        return self._keys is None or not self._keys.why_not

    @property
    def why_not(self) -> str:
        """Why ``ready`` is false; empty when it is true."""
        return "" if self._keys is None else self._keys.why_not

    @property
    def keys_age(self) -> float | None:
        """Seconds since the stalest tenant's keys were fetched; nothing without Entra ID."""
        return None if self._keys is None else self._keys.age


class RefusalLog:
    """Tells of refused callers in the log: each cause at once, then at most once a minute with their number."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def note(self, cause: str) -> None:
        """A caller was refused."""
        count = self._counts.get(cause, 0) + 1
        now = self._clock()
        if now < self._next.get(cause, 0.0):
            self._counts[cause] = count
            return
        self._next[cause], self._counts[cause] = now + LOG_SECONDS, 0
        _log.warning("callers were refused", extra={"cause": cause, "count": count})


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
    if not _is_sendable(token):
        raise Refused("malformed")
    return token


def _is_sendable(token: bytes) -> bool:
    """Whether ``token`` is one word of visible ASCII of bounded length."""
    return len(token) <= MAX_TOKEN_BYTES and not token.translate(None, _VISIBLE)


def auth_problems(settings: Settings) -> Iterator[str]:
    """What is wrong with the settings of authentication, each with the setting's name and what was expected."""
    if not all(_is_sendable(token.encode()) for token in settings.allowed_tokens or ()):
        yield f"STRICT_AUTH_ALLOWED_TOKENS: an entry (hidden) is not visible ASCII in one word of at most {MAX_TOKEN_BYTES} bytes"
    yield from _entra_completeness(settings)
    yield from _entra_values(settings)


def _entra_completeness(settings: Settings) -> Iterator[str]:
    lacking = [env for env, field in _LISTS.items() if getattr(settings, field) is None]
    if 0 < len(lacking) < len(_LISTS):
        for env in lacking:
            yield f"{env}: is not set; {', '.join(_LISTS)} are required together"
    if len(lacking) == len(_LISTS):
        for env, field in _EXTRAS.items():
            if getattr(settings, field) is not None:
                yield f"{env}: has no effect without {', '.join(_LISTS)}"


def _entra_values(settings: Settings) -> Iterator[str]:
    for tenant in settings.entra_tenant_ids or ():
        if not entra.is_guid(tenant):
            yield f"SENTRA_ENTRA_TENANT_IDS: {tenant!r}: expected the directory (tenant) id, a GUID"
    for app in settings.entra_allowed_app_ids or ():
        if not entra.is_guid(app):
            yield f"SENTRA_ENTRA_ALLOWED_APP_IDS: {app!r}: expected an application (client) id, a GUID"
    for audience in settings.entra_audiences or ():
        if not _is_audience(audience):
            yield f"SENTRA_ENTRA_AUDIENCES: {audience!r}: expected https://host/path, api://name or a client id (GUID)"
    if settings.entra_authority is not None and not _is_authority(settings.entra_authority):
        yield f"SENTRA_ENTRA_AUTHORITY: {settings.entra_authority!r}: expected https://host[/path], or http on loopback"


def _is_audience(audience: str) -> bool:
    return entra.is_guid(audience) or _is_plain_url(audience, ("https", "api"))


def _is_authority(authority: str) -> bool:
    if _is_plain_url(authority, ("https",)):
        return True
    return _is_plain_url(authority, ("http",)) and _is_loopback(urlsplit(authority).hostname or "")


def _is_plain_url(url: str, schemes: tuple[str, ...]) -> bool:
    """Whether ``url`` is scheme, host and path, and nothing else: no user, query, fragment or blank."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or url.encode().translate(None, _VISIBLE))
    return plain and parts.scheme in schemes and bool(parts.hostname)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def auth_warnings(settings: Settings) -> Iterator[str]:
    """What an operator should be told loudly about who may call."""
    entra_is_on = settings.entra_tenant_ids is not None
    if settings.auth == "none":
        yield "SENTRA_AUTH is none: ANYBODY may call, no bearer token is asked for"
    elif settings.allowed_tokens is None and not entra_is_on:
        yield "STRICT_AUTH_ALLOWED_TOKENS is not set: ANY bearer token is accepted"
    if settings.entra_authority is not None and entra_is_on:
        yield f"SENTRA_ENTRA_AUTHORITY is set: whoever answers at {settings.entra_authority} decides who may call"
