"""Where a definition may send requests: checks of its URL at load, and of each resolved address at every connect.

A name that is fine at load can resolve to anything later, so the address that the socket is made for decides.
Metadata and link-local addresses are refused whatever the configuration says.
"""

import re
import socket
import ssl
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sentra.definitions import Definition, Tls
from sentra.errors import ConfigError

Address = IPv4Address | IPv6Address

# Metadata services outside of the link-local ranges: AWS and Google over IPv6, Azure, Alibaba, Oracle.
_METADATA = frozenset(
    ip_address(address)
    for address in ("fd00:ec2::254", "fd20:ce::254", "168.63.129.16", "100.100.100.200", "192.0.0.192")
)
_NAT64 = IPv6Network("64:ff9b::/96")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = frozenset(("content-length", "transfer-encoding", "connection", "accept-encoding", "content-type"))


class AddressRefused(OSError):
    """A service's name resolved to an address that must not be asked."""


class Guard:
    """Decides for one definition which addresses may be connected to."""

    def __init__(self, host: str, allow_private: bool):
        self._allow_private, self._local = allow_private, is_local(host)
        self._literal = _literal(host)

    def refuses(self, address: Address) -> bool:
        """Whether ``address`` must not be connected to."""
        real = _embedded(address)
        if is_forbidden(real):
            return True
        if self._allow_private or real.is_global or real == self._literal:
            return False
        return not (self._local and real.is_loopback)

    def make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for a resolved address. Raises ``AddressRefused``."""
        family, kind, protocol, _, where = info
        if self.refuses(ip_address(str(where[0]).partition("%")[0])):
            raise AddressRefused("the address is not allowed")
        return socket.socket(family, kind, protocol)


def is_forbidden(address: Address) -> bool:
    """Whether no service may ever be asked there: metadata, link-local, multicast, reserved, unspecified."""
    return (
        address in _METADATA
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or (address.is_reserved and not address.is_loopback)
    )


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that only carries it."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None) or address


def _literal(host: str) -> Address | None:
    try:
        return _embedded(ip_address(host))
    except ValueError:
        return None


def is_local(host: str) -> bool:
    """Whether ``host`` names this machine itself."""
    literal = _literal(host)
    return literal.is_loopback if literal else host == "localhost" or host.endswith(".localhost")


def check_url(definition: Definition) -> SplitResult:
    """The parts of the definition's URL. Raises ``ConfigError``."""
    try:
        url = urlsplit(definition.url)
        problems = list(_url_problems(definition, url, url.port))
    except ValueError as error:
        problems = [f"url: is no URL: {error}"]
    if problems:
        raise ConfigError(problems)
    return url


def _url_problems(definition: Definition, url: SplitResult, port: int | None) -> Iterator[str]:
    host = url.hostname or ""
    if url.scheme not in ("http", "https") or not host:
        yield "url: expected https://host/path"
        return
    if url.username is not None or url.password is not None:
        yield "url: must not hold a user or password; use bearerToken or headers"
    if url.fragment or "${" in definition.url or not definition.url.isprintable() or " " in definition.url:
        yield "url: must be plain: no fragment, placeholder, space or control character"
    if url.scheme == "http" and not definition.allowHttp and not is_local(host):
        yield f"url: http to {host!r} sends requests unencrypted; use https, or set allowHttp: true"
    literal = _literal(host)
    if literal and is_forbidden(literal):
        yield f"url: {host!r} is a metadata, link-local or reserved address and is never asked"


def check_headers(definition: Definition) -> dict[str, str]:
    """The definition's own headers. Raises ``ConfigError``."""
    problems = [
        f"headers: {name!r} cannot be set here"
        for name, value in definition.headers.items()
        if not _TOKEN.fullmatch(name)
        or name.lower() in _OWN_HEADERS
        or not all(char == "\t" or " " <= char <= "~" for char in value)
    ]
    tokens = (definition.bearerToken, definition.bearerTokenEnv, definition.bearerTokenFile)
    given = sum(token is not None for token in tokens)
    if given + any(name.lower() == "authorization" for name in definition.headers) > 1:
        problems.append("bearerToken, bearerTokenEnv, bearerTokenFile and headers.Authorization exclude each other")
    if problems:
        raise ConfigError(problems)
    return dict(definition.headers)


def tls_context(tls: Tls) -> ssl.SSLContext:
    """What a server's certificate is checked with, TLS 1.2 at least. Raises ``ConfigError`` for files that do not fit."""
    if (tls.cert is None) != (tls.key is None):
        raise ConfigError(["tls: cert and key belong together"])
    missing = [f"tls: {path}: is no file" for path in (tls.ca, tls.cert, tls.key) if path and not Path(path).is_file()]
    if missing:
        raise ConfigError(missing)
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError([f"tls: the certificates cannot be used: {error}"]) from None
    return context
