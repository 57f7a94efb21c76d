"""Where requests may be sent: URLs at load, addresses at every connect, headers, certificates."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest

from sentra.definitions import Tls
from sentra.errors import ConfigError
from sentra.plugins.external.guard import AddressRefused, Guard, check_headers, check_url, tls_context
from tests.external import definition

ALWAYS_REFUSED = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "240.0.0.1",
    "255.255.255.255",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]
INTERNAL = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "::1", "fd12::1", "::ffff:10.0.0.1"]

URLS: list[tuple[str, str | None]] = [
    ("https://policy.example/check?x=1", None),
    ("http://127.0.0.1:5000/", None),
    ("http://localhost/", None),
    ("http://[::1]:80/", None),
    ("https://10.1.2.3/", None),
    ("http://policy.example/", "unencrypted"),
    ("http://10.1.2.3/", "unencrypted"),
    ("http://localhost.example/", "unencrypted"),
    ("ftp://policy.example/", "expected https://"),
    ("policy.example", "expected https://"),
    ("https:///path", "expected https://"),
    ("https://policy.example:x/", "is no URL"),
    ("https://policy.example:99999/", "is no URL"),
    ("https://[::1/", "is no URL"),
    ("https://user:pw@policy.example/", "user or password"),
    ("https://policy.example/#x", "must be plain"),
    ("https://policy.example/${toolName}", "must be plain"),
    ("https://policy.example/a b", "must be plain"),
    ("https://policy.example/\r\nX: 1", "must be plain"),
    ("https://169.254.169.254/latest", "never asked"),
    ("https://[fe80::1]/", "never asked"),
    ("https://[::ffff:169.254.169.254]/", "never asked"),
    ("https://168.63.129.16/", "never asked"),
]


@pytest.mark.parametrize("address", ALWAYS_REFUSED)
@pytest.mark.parametrize("host", ["policy.example", "localhost"])
def test_metadata_and_link_local_addresses_are_refused_whatever_is_allowed(address: str, host: str) -> None:
    assert Guard(host, allow_private=True).refuses(ip_address(address))


@pytest.mark.parametrize("address", INTERNAL)
def test_an_internal_address_takes_an_explicit_yes(address: str) -> None:
    assert Guard("policy.example", allow_private=False).refuses(ip_address(address))
    assert not Guard("policy.example", allow_private=True).refuses(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_a_public_address_is_fine(address: str) -> None:
    assert not Guard("policy.example", allow_private=False).refuses(ip_address(address))


@pytest.mark.parametrize(
    ("host", "address", "refused"),
    [
        ("localhost", "127.0.0.1", False),
        ("policy.localhost", "::1", False),
        ("localhost", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.1", False),
        ("10.0.0.1", "10.0.0.2", True),
        ("127.0.0.1", "127.0.0.2", False),
    ],
)
def test_an_address_that_the_url_itself_names_is_fine(host: str, address: str, refused: bool) -> None:
    assert Guard(host, allow_private=False).refuses(ip_address(address)) is refused


def test_the_socket_is_not_made_for_a_refused_address() -> None:
    guard = Guard("policy.example", allow_private=True)
    with pytest.raises(AddressRefused, match="not allowed"):
        guard.make_socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%1", 443, 0, 1)))


@pytest.mark.parametrize(("url", "message"), URLS)
def test_a_url_is_checked_at_load(url: str, message: str | None) -> None:
    if message is None:
        check_url(definition(url))
        return
    with pytest.raises(ConfigError, match=message):
        check_url(definition(url))


def test_http_is_possible_where_it_is_allowed() -> None:
    assert check_url(definition("http://presidio:3000/analyze", allowHttp=True)).hostname == "presidio"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"headers": {"Content-Length": "1"}}, "'Content-Length' cannot be set"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "cannot be set"),
        ({"headers": {"X-Key": "a\r\nX: b"}}, "'X-Key' cannot be set"),
        ({"headers": {"X Key": "a"}}, "cannot be set"),
        ({"headers": {"": "a"}}, "cannot be set"),
        ({"bearerToken": "a", "bearerTokenEnv": "B"}, "exclude each other"),
        ({"bearerToken": "a", "headers": {"authorization": "b"}}, "exclude each other"),
    ],
)
def test_headers_that_would_change_the_request_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_headers(definition(**settings))


def test_no_message_about_headers_holds_their_value() -> None:
    with pytest.raises(ConfigError) as caught:
        check_headers(definition(headers={"X-Key": "the\nsecret"}, bearerToken="also-secret", bearerTokenFile="f"))
    assert "secret" not in str(caught.value)


def test_the_token_is_not_shown() -> None:
    assert "hidden" not in repr(definition(bearerToken="hidden"))


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        (Tls(ca="/nowhere/ca.pem"), "/nowhere/ca.pem: is no file"),
        (Tls(cert="/nowhere/c.pem"), "cert and key belong together"),
        (Tls(ca=__file__), "the certificates cannot be used"),
        (Tls(cert=__file__, key=__file__), "the certificates cannot be used"),
    ],
)
def test_certificates_that_cannot_be_used_are_refused_at_load(tls: Tls, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tls_context(tls)
