"""One HTTP call, bounded in time, bytes and number; every way to fail has a name of its own.

Nothing is queued: a call that finds no free place is rejected. Redirects, proxies, cookies and compression are off.
"""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import aiohttp

from sentra.definitions import Definition
from sentra.errors import ConfigError
from sentra.plugins.external.guard import AddressRefused, Guard, check_headers, check_url, tls_context
from sentra.plugins.external.reply import CallError
from sentra.wire import API_VERSION

KEEPALIVE_SECONDS = 15.0
DNS_SECONDS = 30
TOKEN_SECONDS = 30.0
LEAST_RETRY_SECONDS = 0.02
DRAIN_SECONDS = 2.0
_CHUNK = 65_536
_LIVENESS = frozenset(("timeout", "budget", "connect", "dns", "address", "tls", "disconnected", "protocol"))


def says_unavailable(kind: str) -> bool:
    """Whether an error says that the service is down, not that it dislikes one request.

    Only these open the circuit breaker: else a caller could switch a check off for everybody with bad requests.
    """
    word, _, status = kind.partition(" ")
    return word in _LIVENESS or (word == "status" and (status.startswith("5") or status == "429"))


class Client:
    """The connections of one definition in one event loop. ``clock`` gives seconds.

    Raises ``ConfigError`` for a URL, header or certificate that cannot be used.
    """

    def __init__(self, definition: Definition, token: str | None, clock: Callable[[], float]):
        url = check_url(definition)
        self._definition, self._clock = definition, clock
        self._headers = {**check_headers(definition), "Content-Type": "application/json", "Accept-Encoding": "identity"}
        self._token = Token(token, definition.bearerTokenFile, clock)
        self._guard = Guard(url.hostname or "", definition.allowPrivate)
        self._tls: ssl.SSLContext | bool = tls_context(definition.tls) if url.scheme == "https" else True
        self._url = _call_url(definition)
        self._session: aiohttp.ClientSession | None = None
        self._stopped = False
        self._idle = _set_event()
        self.in_flight = 0

    async def start(self) -> None:
        """Prepare the connection pool; connections themselves are made by calls."""
        self._stopped = False
        if not self.in_flight:
            self._idle = _set_event()
        self._opened()

    def _opened(self) -> aiohttp.ClientSession:
        if self._stopped:
            raise CallError("stopped")
        if self._session is None:
            self._session = self._new_session()
        return self._session

    def _new_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._definition.maxConcurrency,
            keepalive_timeout=KEEPALIVE_SECONDS,
            ttl_dns_cache=DNS_SECONDS,
            socket_factory=self._guard.make_socket,
            ssl=self._tls,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def stop(self) -> None:
        """Let calls end for a short while, then close all connections."""
        try:
            async with asyncio.timeout(min(DRAIN_SECONDS, self._definition.timeoutMs / 1000)):
                await self._idle.wait()
        except TimeoutError:
            pass
        session, self._session, self._stopped = self._session, None, True
        if session is not None:
            await session.close()

    async def post(self, body: bytes, seconds: float) -> bytes:
        """The body of a 2xx reply to ``body``, within ``seconds`` and the definition's own time. Raises ``CallError``."""
        if self.in_flight >= self._definition.maxConcurrency:
            raise CallError("rejected")
        own = self._definition.timeoutMs / 1000
        self.in_flight += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(min(own, seconds)):
                return await self._post_twice(body, self._clock() + min(own, seconds))
        except TimeoutError:
            raise CallError("timeout" if own <= seconds else "budget") from None
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()

    async def _post_twice(self, body: bytes, deadline: float) -> bytes:
        try:
            return await self._post(body)
        except _NothingReceived as error:
            if not self._definition.retry or deadline - self._clock() < LEAST_RETRY_SECONDS:
                raise CallError(error.kind) from None
        return await self._post(body)

    async def _post(self, body: bytes) -> bytes:
        async with _Exchange(self, body) as response:
            return await self._read(response)

    async def send(self, body: bytes) -> aiohttp.ClientResponse:
        """The reply's head."""
        session = self._opened()
        headers, token = self._headers, self._token.current()
        if token:
            headers = {**headers, "Authorization": f"Bearer {token}"}
        return await session.request(
            self._definition.method,
            self._url,
            data=body,
            headers=headers,
            allow_redirects=False,
            server_hostname=self._definition.tls.serverName,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        if 300 <= response.status < 400:
            raise CallError("redirect")
        if not 200 <= response.status < 300:
            raise CallError(f"status {response.status}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise CallError("encoding")
        most = self._definition.maxReplyBytes
        if (response.content_length or 0) > most:
            raise CallError("too_large")
        received = bytearray()
        while chunk := await response.content.read(_CHUNK):
            received += chunk
            if len(received) > most:
                raise CallError("too_large")
        return bytes(received)


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


class _NothingReceived(CallError):
    """A call that failed before any part of a reply came."""


class _Exchange:
    """A request and its reply; the connection is kept only when the reply was read to its end."""

    def __init__(self, client: Client, body: bytes):
        self._client, self._body = client, body
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            self._response = await self._client.send(self._body)
        except aiohttp.ServerDisconnectedError as error:
            kind = _NothingReceived if isinstance(error.message, str) else CallError
            raise kind("disconnected") from None
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise _failure_before_reply(error) from None
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        response = self._response
        if response is None:
            return
        if kind is None:
            response.release()
            return
        response.close()
        if isinstance(error, aiohttp.ClientError | OSError):
            raise CallError("disconnected") from None


def _failure_before_reply(error: Exception) -> CallError:
    """The named form of what went wrong until the reply's head was there."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return CallError("dns")
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
        return CallError("address")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError | ssl.SSLError):
        return CallError("tls")
    if isinstance(error, aiohttp.ClientConnectorError):
        return _NothingReceived("connect")
    if isinstance(error, OSError | aiohttp.ClientConnectionError | RuntimeError):
        return _NothingReceived("disconnected")
    return CallError("protocol")


class Token:
    """A bearer token: given, or read from a file and read again now and then, as mounted secrets are renewed."""

    def __init__(self, given: str | None, file: str | None, clock: Callable[[], float]):
        self._value, self._file, self._clock = given, file, clock
        self._next = 0.0
        if file is not None:
            self._value, self._next = _read_token(Path(file)), clock() + TOKEN_SECONDS
        if self._value is not None and not (self._value.isascii() and self._value.isprintable()):
            raise ConfigError(["bearerToken: holds characters that no header can carry"])

    def current(self) -> str | None:
        """The token to send; a file that cannot be read leaves the last one."""
        if self._file is not None and self._clock() >= self._next:
            self._next = self._clock() + TOKEN_SECONDS
            try:
                self._value = _read_token(Path(self._file))
            except ConfigError:
                return self._value
        return self._value


def _read_token(file: Path) -> str:
    try:
        token = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"bearerTokenFile: {file}: cannot be read: {error}"]) from None
    if not token or not token.isprintable():
        raise ConfigError([f"bearerTokenFile: {file}: holds no token"])
    return token


def _call_url(definition: Definition) -> str:
    """The URL to call; a provider's is its base, and the contract's path and version are added here."""
    if definition.preset != "provider":
        return definition.url
    base, _, query = definition.url.partition("?")
    path = base.rstrip("/").removesuffix("/analyze-tool-execution") + "/analyze-tool-execution"
    return f"{path}?{query or f'api-version={API_VERSION}'}"
