"""A local JWKS server, RSA keys and tokens of any shape, made without the library under test."""

import asyncio
import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

TENANT = "6f1c2b34-8d5e-4a7b-9c01-23456789abcd"
OTHER_TENANT = "0badc0de-1111-4222-8333-444455556666"
CLIENT = "3b9aca00-5a5a-4b4b-8c8c-0123456789ab"
OTHER_CLIENT = "deadbeef-0000-4000-8000-00000000beef"
AUDIENCE = "https://threat.contoso.example"

ENTRA_ENV = {
    "SENTRA_ENTRA_TENANT_IDS": TENANT,
    "SENTRA_ENTRA_AUDIENCES": f"{AUDIENCE},{CLIENT}",
    "SENTRA_ENTRA_ALLOWED_APP_IDS": CLIENT,
}


def b64u(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@cache
def rsa_key(name: str, bits: int) -> rsa.RSAPrivateKey:
    """An RSA key that is the same for one name and size during the whole run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def jwk(name: str, bits: int = 2048, **changes: Any) -> dict[str, Any]:
    """The published half of a key, with its name as id, in the members that Entra ID publishes."""
    numbers = rsa_key(name, bits).public_key().public_numbers()
    n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
    published = {
        "kty": "RSA",
        "use": "sig",
        "kid": name,
        "x5t": name,
        "n": b64u(n),
        "e": "AQAB",
        "x5c": ["MIIC"],
        "issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    }
    return {name: value for name, value in (published | changes).items() if value is not None}


def key_set(*names: str) -> bytes:
    """A JWKS document with the named keys."""
    return msgspec.json.encode({"keys": [jwk(name) for name in names]})


def claims_v1(now: float | None = None, **changes: Any) -> dict[str, Any]:
    """The claims of a good version 1 token; a change to None leaves the claim out."""
    return _claims(
        {"ver": "1.0", "iss": f"https://sts.windows.net/{TENANT}/", "aud": AUDIENCE, "appid": CLIENT}, now, changes
    )


def claims_v2(now: float | None = None, **changes: Any) -> dict[str, Any]:
    """The claims of a good version 2 token; a change to None leaves the claim out."""
    issuer = f"https://login.microsoftonline.com/{TENANT}/v2.0"
    return _claims({"ver": "2.0", "iss": issuer, "aud": CLIENT, "azp": CLIENT}, now, changes)


def _claims(base: dict[str, Any], now: float | None, changes: dict[str, Any]) -> dict[str, Any]:
    start = int(time.time() if now is None else now) - 5
    times = {"iat": start, "nbf": start, "exp": start + 3900}
    whole = {**base, **times, "tid": TENANT, "oid": "77777777-0000-4000-8000-000000000000", "uti": "a-b_c", **changes}
    return {name: value for name, value in whole.items() if value is not None}


def token(claims: Any, signer: str = "key-1", **header: Any) -> str:
    """A signed token. ``header`` changes members of its header; a change to None leaves the member out."""
    members = {"typ": "JWT", "alg": "RS256", "x5t": signer, "kid": signer} | header
    return signed({name: value for name, value in members.items() if value is not None}, claims, signer)


def signed(header: Any, claims: Any, signer: str = "key-1") -> str:
    """A token of any header and claims (values, or bytes as they are), signed with RS256 by the named key."""
    parts = [part if isinstance(part, bytes) else msgspec.json.encode(part) for part in (header, claims)]
    text = ".".join(b64u(part) for part in parts)
    return f"{text}.{b64u(rsa_key(signer, 2048).sign(text.encode(), padding.PKCS1v15(), SHA256()))}"


def headers(bearer: str) -> list[tuple[bytes, bytes]]:
    """ASGI headers that carry ``bearer``."""
    return [(b"host", b"threat.contoso.example"), (b"authorization", b"Bearer " + bearer.encode())]


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Let the event loop work until ``condition`` holds; fail after ``seconds``."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the state is what is waited for
            await asyncio.sleep(0.001)


Answer = Callable[[BaseHTTPRequestHandler], None]


def body(data: bytes, status: int = 200, kind: str = "application/json", **extra: str) -> Answer:
    """An ordinary answer."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in extra.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


class JwksServer:
    """Answers every GET with ``answer`` and keeps the paths asked for. ``release`` ends answers that hang."""

    def __init__(self) -> None:
        self.answer: Answer = body(key_set("key-1"))
        self.paths: list[str] = []
        self.release = threading.Event()
        self._asked = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def authority(self) -> str:
        """The value of SENTRA_ENTRA_AUTHORITY that points here."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def publish(self, *names: str) -> None:
        """From now on the key set has the named keys."""
        self.answer = body(key_set(*names))

    def wait_for(self, count: int, seconds: float = 20) -> None:
        """Return when ``count`` requests have come in; fail after ``seconds``."""
        with self._asked:
            assert self._asked.wait_for(lambda: len(self.paths) >= count, seconds), f"only {len(self.paths)} requests"

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """An answer that never comes."""
        self.release.wait(30)

    def drip(self, handler: BaseHTTPRequestHandler) -> None:
        """An answer that comes byte by byte, for ever."""
        handler.send_response(200)
        handler.end_headers()
        while not self.release.wait(0.05):
            handler.wfile.write(b" ")

    def endless(self, handler: BaseHTTPRequestHandler) -> None:
        """An answer without end, as fast as it is read."""
        handler.send_response(200)
        handler.end_headers()
        while not self.release.is_set():
            handler.wfile.write(b" " * 65_536)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with outer._asked:
                    outer.paths.append(self.path)
                    outer._asked.notify_all()
                try:
                    outer.answer(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        return Handler

    def __enter__(self) -> "JwksServer":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def jwks_server(*names: str) -> Iterator[JwksServer]:
    """A running server that publishes the named keys."""
    with JwksServer() as server:
        server.publish(*(names or ("key-1",)))
        yield server
