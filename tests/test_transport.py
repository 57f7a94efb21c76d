"""TLS, client certificates and what the transport tells of itself, on the real server."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from sentra.config import Settings
from sentra.transport import raise_file_limit, tls_options, tls_problems
from tests.certificates import Authority
from tests.conftest import Server, all_started, free_port, request_with, running
from tests.stress.service import FAST, Killer
from tests.test_start import serve

Made = Callable[[Path], Settings]


def settings(cert: Path | None = None, key: Path | None = None, ca: Path | None = None) -> Settings:
    return Settings(tls_cert=cert, tls_key=key, tls_client_ca=ca)


def other_key(folder: Path) -> Settings:
    authority = Authority(folder)
    return settings(authority.signed("one")[0], authority.signed("two")[1])


def old_key_form(folder: Path) -> Settings:
    return settings(*Authority(folder).signed("one", PrivateFormat.TraditionalOpenSSL))


def no_certificate(folder: Path) -> Settings:
    cert, key = Authority(folder).signed("one")
    cert.write_text("hello")
    return settings(cert, key)


def empty_authority(folder: Path) -> Settings:
    cert, key = Authority(folder).signed("one")
    (folder / "ca.pem").write_text("no certificate here")
    return settings(cert, key, folder / "ca.pem")


def binary_certificate(folder: Path) -> Settings:
    (folder / "cert.der").write_bytes(b"\x30\x82\xff")
    return settings(folder / "cert.der", Authority(folder).signed("one")[1])


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda folder: settings(cert=Authority(folder).pem), "SENTRA_TLS_CERT: needs SENTRA_TLS_KEY too"),
        (lambda folder: settings(key=Authority(folder).pem), "SENTRA_TLS_KEY: needs SENTRA_TLS_CERT too"),
        (lambda folder: settings(ca=Authority(folder).pem), "SENTRA_TLS_CLIENT_CA: needs SENTRA_TLS_CERT"),
        (lambda folder: settings(folder / "none", folder / "none"), "cannot be read: No such file"),
        (lambda folder: settings(folder, folder), "cannot be read: Is a directory"),
        (other_key, "the key is not that of the certificate"),
        (old_key_form, "openssl pkcs8 -topk8"),
        (no_certificate, "not a valid pair"),
        (empty_authority, "holds no certificate of an authority"),
        (binary_certificate, "is not a PEM file"),
    ],
)
def test_a_mistake_in_the_tls_settings_is_told(tmp_path: Path, made: Made, told: str) -> None:
    assert told in "\n".join(tls_problems(made(tmp_path)))


def test_a_whole_pair_and_authority_are_accepted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert not list(tls_problems(settings(*authority.signed("one"), authority.pem)))


def test_without_a_certificate_there_is_no_tls() -> None:
    assert tls_options(Settings()) == {}
    assert not list(tls_problems(Settings()))


def test_a_service_with_half_a_pair_does_not_start(tmp_path: Path) -> None:
    ended = serve(tmp_path, SENTRA_TLS_CERT=str(Authority(tmp_path).pem))
    assert ended.returncode == 2
    assert "SENTRA_TLS_CERT: needs SENTRA_TLS_KEY too" in ended.stderr


def test_more_connections_than_files_may_be_open_are_warned_of() -> None:
    assert "SENTRA_MAX_CONNECTIONS" in (raise_file_limit(Settings(max_connections=1 << 40)) or "")
    assert raise_file_limit(Settings(max_connections=16)) is None


def trusting(authority: Authority, *own: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.pem))
    if own:
        context.load_cert_chain(*own)
    return context


def test_requests_come_over_tls_of_the_lowest_version_or_above(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.signed("service")
    old = trusting(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    trust = trusting(authority)
    with running(tmp_path, trust=trust, SENTRA_TLS_CERT=str(cert), SENTRA_TLS_KEY=str(key)) as server:
        assert server.analyze(request_with()).json() == {"blockAction": False}
        with pytest.raises(httpx.ConnectError, match=r"(?i)version"), httpx.Client(verify=old) as client:
            client.get(f"{server.url}/livez")
        with pytest.raises(httpx.TransportError), httpx.Client() as client:
            client.get(f"http://127.0.0.1:{server.port}/livez")


def test_callers_must_show_a_certificate_of_the_authority(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    cert, key = authority.signed("service")
    trust = trusting(authority, *authority.signed("caller"))
    tls = {"SENTRA_TLS_CERT": cert, "SENTRA_TLS_KEY": key, "SENTRA_TLS_CLIENT_CA": authority.pem}
    names = {name: str(path) for name, path in tls.items()} | {"SENTRA_OPS_PORT": str(free_port())}
    with running(tmp_path, trust=trust, SENTRA_TLS_MIN_VERSION="1.2", **names) as server:
        assert httpx.get(f"http://127.0.0.1:{names['SENTRA_OPS_PORT']}/readyz").status_code == 200
        assert server.analyze(request_with()).json() == {"blockAction": False}
        for own in ((), stranger.signed("impostor")):
            with pytest.raises(httpx.TransportError), httpx.Client(verify=trusting(authority, *own)) as client:
                client.get(f"{server.url}/livez")
        trust.maximum_version = ssl.TLSVersion.TLSv1_2
        assert httpx.get(f"{server.url}/livez", verify=trust).status_code == 200


def serial_number(server: Server, trust: ssl.SSLContext) -> str:
    """That of the certificate which a new connection is shown."""
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        return str((wrapped.getpeercert() or {})["serialNumber"])


def test_a_new_certificate_is_shown_by_workers_that_start_after_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trust, (cert, key) = trusting(authority), authority.signed("service")
    names = {"SENTRA_TLS_CERT": str(cert), "SENTRA_TLS_KEY": str(key), **FAST}
    with running(tmp_path, trust=trust, **names) as server:
        all_started(server)
        before = serial_number(server, trust)
        authority.signed("service")
        assert {serial_number(server, trust) for _ in range(16)} == {before}
        killer = Killer(server)
        for _ in range(2):
            killer.kill()
        assert before not in {serial_number(server, trust) for _ in range(16)}


def test_no_answer_tells_what_serves_it(server: Server) -> None:
    for answer in (server.analyze(request_with()), server.client.get("/nothing"), server.client.get("/livez")):
        assert answer.headers.get_list("server") == ["sentra"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
