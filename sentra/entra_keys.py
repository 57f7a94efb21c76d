"""Signing keys of Entra ID: fetched and refreshed in the background, never while a request waits.

Each tenant has a key set, a timetable and a task of its own. A key set, once good, stays until a better one replaces it.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64decode

from sentra.config import Settings
from sentra.entra import CLOUDS, MAX_KID_LENGTH, is_guid, tenants
from sentra.errors import SentraError

PERIOD_SECONDS = 3600.0
SPACING_SECONDS = 60.0
RETRY_SECONDS = 600.0
FETCH_SECONDS = 4.0
START_SECONDS = 10.0
MAX_BODY_BYTES = 262_144
MAX_KEYS = 100
MIN_BITS, MAX_BITS = 2048, 8192
MAX_EXPONENT_BITS = 32

_log = logging.getLogger("sentra.entra_keys")

KeySet = Mapping[str, RSAKey]
Clock = Callable[[], float]


class KeysError(SentraError):
    """No key set could be had; the message says why, without anything that the server sent."""


class Jwk(msgspec.Struct, frozen=True):
    """The members of a published key that decide anything."""

    kty: str
    kid: str = ""
    n: str = ""
    e: str = ""
    use: str = "sig"
    alg: str = "RS256"
    issuer: str = ""


class _Document(msgspec.Struct, frozen=True):
    keys: list[msgspec.Raw]


def keys_url(settings: Settings, tenant: str) -> str:
    """Where the tenant's keys are published."""
    authority = settings.entra_authority or CLOUDS[settings.entra_cloud].authority
    return f"{authority.rstrip('/')}/{tenant}/discovery/v2.0/keys"


def parse_keys(body: bytes, tenant: str) -> dict[str, RSAKey]:
    """The RSA signing keys in a JWKS document, by id. Raises ``KeysError`` when there is none, or two share an id."""
    try:
        published = msgspec.json.decode(body, type=_Document).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise KeysError("the answer is no key set (JSON with a list 'keys')") from None
    if len(published) > MAX_KEYS:
        raise KeysError(f"the key set has more than {MAX_KEYS} keys")
    keys: dict[str, RSAKey] = {}
    for raw in published:
        kid, key = _signing_key(raw, tenant) or ("", None)
        if key is None:
            continue
        if kid in keys and not _same(keys[kid], key):
            raise KeysError("two different keys share one key id")
        keys[kid] = key
    if not keys:
        raise KeysError("the key set has no RSA signing key of 2048 bits or more")
    return keys


def _signing_key(raw: msgspec.Raw, tenant: str) -> tuple[str, RSAKey] | None:
    """One published key with its id; nothing when it is for another use, another tenant or of unfit size."""
    try:
        jwk = msgspec.json.decode(raw, type=Jwk)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if (jwk.kty, jwk.use, jwk.alg) != ("RSA", "sig", "RS256") or not 0 < len(jwk.kid) <= MAX_KID_LENGTH:
        return None
    if not _is_of(jwk.issuer, tenant):
        return None
    with suppress(JoseError, ValueError):
        if MIN_BITS <= _bits(jwk.n) <= MAX_BITS and _bits(jwk.e) <= MAX_EXPONENT_BITS:
            return jwk.kid, RSAKey.import_key({"kty": "RSA", "n": jwk.n, "e": jwk.e})
    return None


def _is_of(issuer: str, tenant: str) -> bool:
    """Whether a key that names ``issuer`` (or none, or a template) signs for ``tenant``."""
    named = [part.lower() for part in issuer.split("/") if is_guid(part)]
    return not named or named == [tenant]


def _bits(encoded: str) -> int:
    """Length in bits of a number in base64url. Raises ``ValueError``."""
    return int.from_bytes(urlsafe_b64decode(encoded.encode()), "big").bit_length()


def _same(one: RSAKey, other: RSAKey) -> bool:
    return one.public_key.public_numbers() == other.public_key.public_numbers()


def new_session() -> aiohttp.ClientSession:
    """A client for key fetches: no proxy from the environment, no cookies, no decompression, short timeouts."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=FETCH_SECONDS),
        trust_env=False,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )


async def fetch_keys(session: aiohttp.ClientSession, url: str, tenant: str) -> dict[str, RSAKey]:
    """The tenant's key set at ``url``, within 4 s and 256 KiB. Raises ``KeysError``."""
    try:
        async with session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise KeysError(f"the answer has status {response.status}, not 200")
            body = await _bounded(response.content)
    except TimeoutError:
        raise KeysError(f"no complete answer within {FETCH_SECONDS:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise KeysError(f"no connection: {type(error).__name__}") from None
    return parse_keys(body, tenant)


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(65_536):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise KeysError(f"the answer is larger than {MAX_BODY_BYTES} bytes")
    return bytes(body)


class Timetable:
    """When a tenant's keys are fetched next.

    At once, then hourly; a minute after the last fetch when a token named an unknown key, no earlier and no later;
    after failures at growing distances: from 1 s to a minute without any key set, from 1 to 10 minutes with one.
    """

    def __init__(self, spread: Callable[[], float] = random.random) -> None:
        self._spread = spread
        self._last = float("-inf")
        self._interval = 0.0
        self._failures = 0
        self._loaded = False
        self._wanted = False

    @property
    def due(self) -> float:
        """The time of the next fetch, on the caller's clock."""
        regular = self._last + self._interval
        return min(regular, self._last + SPACING_SECONDS) if self._wanted else regular

    def want(self) -> None:
        """A token named an unknown key."""
        self._wanted = True

    def begin(self, now: float) -> None:
        """A fetch begins."""
        self._last = now
        self._wanted = False

    def end(self, good: bool) -> None:
        """The fetch ended. The workers' next ones are spread: a good one's earlier, a failed one's later."""
        self._loaded = self._loaded or good
        self._failures = 0 if good else self._failures + 1
        if good:
            self._interval = PERIOD_SECONDS * (1 - 0.1 * self._spread())
            return
        first, limit = (SPACING_SECONDS, RETRY_SECONDS) if self._loaded else (1.0, SPACING_SECONDS)
        self._interval = min(limit, first * 2 ** min(self._failures - 1, 16)) * (1 + 0.1 * self._spread())


class TenantKeys:
    """One tenant's key set and the task that keeps it fresh.

    ``problem`` says why the last fetch failed, ``fetched_at`` when one last succeeded, on the clock given;
    ``fetches`` counts those that ended.
    """

    def __init__(
        self,
        tenant: str,
        fetch: Callable[[], Coroutine[Any, Any, KeySet]],
        changed: Callable[[], None],
        clock: Clock = time.monotonic,
    ) -> None:
        self.tenant = tenant
        self.keys: KeySet = {}
        self.problem = "the keys are still being fetched"
        self.fetched_at = float("-inf")
        self.fetches = 0
        self.loaded = asyncio.Event()
        self._fetch = fetch
        self._changed = changed
        self._clock = clock
        self._timetable = Timetable()
        self._woken = asyncio.Event()

    def want(self) -> None:
        """Fetch when the timetable allows it."""
        self._timetable.want()
        self._woken.set()

    async def run(self) -> None:
        """Fetch when due, for ever."""
        while True:
            delay = self._timetable.due - self._clock()
            if delay <= 0:
                await self._refresh()
            else:
                await self._sleep(delay)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, or until a key is wanted."""
        self._woken.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _refresh(self) -> None:
        self._timetable.begin(self._clock())
        problem = ""
        try:
            self._replace(await self._fetch())
        except KeysError as error:
            problem = str(error)
        except Exception as error:  # the task must outlive anything: without it keys would never change again
            problem = f"unexpected {type(error).__name__}"
        self.problem = problem
        self.fetches += 1
        self._timetable.end(good=not problem)
        if problem:
            _log.warning("Entra ID keys of tenant %s: %s; %d keys in use", self.tenant, problem, len(self.keys))

    def _replace(self, keys: KeySet) -> None:
        unchanged = keys.keys() == self.keys.keys() and all(_same(keys[kid], self.keys[kid]) for kid in keys)
        self.keys = keys
        self.fetched_at = self._clock()
        self.loaded.set()
        if not unchanged:
            _log.info("Entra ID keys of tenant %s: %d keys", self.tenant, len(keys))
            self._changed()


class KeyRing:
    """The key sets of all configured tenants."""

    def __init__(self, settings: Settings, changed: Callable[[], None], clock: Clock = time.monotonic) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._tenants = {
            tenant: TenantKeys(tenant, self._fetcher(keys_url(settings, tenant), tenant), changed, clock)
            for tenant in tenants(settings)
        }

    def _fetcher(self, url: str, tenant: str) -> Callable[[], Coroutine[Any, Any, KeySet]]:
        async def fetch() -> KeySet:
            if self._session is None:
                self._session = new_session()
            return await fetch_keys(self._session, url, tenant)

        return fetch

    def key(self, tenant: str, kid: str) -> RSAKey | None:
        """The tenant's key of that id."""
        return self._tenants[tenant].keys.get(kid)

    def want(self, tenant: str) -> None:
        """Look for a key that is not there: one fetch a minute for each tenant."""
        self._tenants[tenant].want()

    @property
    def fetches(self) -> int:
        """How many fetches have ended, good or bad."""
        return sum(entry.fetches for entry in self._tenants.values())

    @property
    def why_not(self) -> str:
        """Which tenants have no key set, and why; empty when all have one."""
        lacking = [entry for entry in self._tenants.values() if not entry.keys]
        return "; ".join(f"no Entra ID keys of tenant {entry.tenant}: {entry.problem}" for entry in lacking)

    @property
    def age(self) -> float:
        """Seconds since the stalest tenant's keys were fetched; infinite without keys."""
        return self._clock() - min(entry.fetched_at for entry in self._tenants.values())

    async def start(self, seconds: float = START_SECONDS) -> None:
        """Begin to fetch; return when every tenant has a key set, or after ``seconds``."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(entry.run()) for entry in self._tenants.values()]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for entry in self._tenants.values():
                    await entry.loaded.wait()

    async def stop(self) -> None:
        """End the tasks and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._session is not None:
            await self._session.close()
            self._session = None
