"""One call to real servers: what is sent, every way that it can fail, retry, breaker, cache, limits, TLS."""

import asyncio
import datetime
import ipaddress
import logging
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sentra.errors import ConfigError
from sentra.findings import Verdict
from sentra.plugins.external import ExternalHttp
from sentra.plugins.external.client import Token
from tests import external
from tests.conftest import free_port, request_with
from tests.external import Behaviour, Call, ask, context_of, definition, replies, run, service

SECRET = "the matched text 4111"


async def verdict_of(behaviour: Behaviour, path: str = "/check", **changes: Any) -> Verdict:
    async with service(behaviour) as policy:
        return await ask(ExternalHttp(definition(policy.url(path), **changes)))


FAILURES: list[tuple[str, Behaviour, dict[str, Any]]] = [
    ("timeout", external.hang, {"timeoutMs": 60}),
    ("timeout", external.hang_in_body, {"timeoutMs": 60}),
    ("timeout", external.drip, {"timeoutMs": 60}),
    ("timeout", replies(after=0.3), {"timeoutMs": 60}),
    ("too_large", external.flood, {}),
    ("too_large", external.announced_flood, {}),
    ("too_large", replies(b'{"block": false}'), {"maxReplyBytes": 15}),
    ("protocol", external.header_flood, {}),
    ("protocol", external.garbage, {}),
    ("disconnected", external.reset, {}),
    ("disconnected", external.close, {}),
    ("disconnected", external.close_in_body, {}),
    ("redirect", replies(b"", "302 Found", ["Location: http://127.0.0.1:1/"]), {}),
    ("redirect", replies(b"", "307 Temporary Redirect", ["Location: /again"]), {}),
    ("redirect", replies(b"", "304 Not Modified"), {}),
    ("status 500", replies(b'{"block": false}', "500 Internal Server Error"), {}),
    ("status 503", replies(b"<html>down</html>", "503 Service Unavailable"), {}),
    ("status 401", replies(b'{"block": false}', "401 Unauthorized"), {}),
    ("status 404", replies(b'{"block": false}', "404 Not Found"), {}),
    ("not_json", replies(b"", "204 No Content"), {}),
    ("not_json", replies(b"OK"), {}),
    ("html", replies(b"<!DOCTYPE html><title>Blocked by the firewall</title>"), {}),
    ("encoding", replies(b"\x1f\x8b\x08\x00", headers=["Content-Encoding: gzip"]), {}),
    ("missing_field", replies(b"{}"), {}),
    ("shape", replies(b'{"block": "no"}'), {}),
]


@pytest.mark.parametrize(
    ("kind", "behaviour", "settings"), FAILURES, ids=[f"{i}-{f[0]}" for i, f in enumerate(FAILURES)]
)
@pytest.mark.parametrize("fail_open", [True, False])
def test_a_failed_call_has_a_name_and_fail_open_decides(
    kind: str, behaviour: Behaviour, settings: dict[str, Any], fail_open: bool
) -> None:
    verdict = run(verdict_of(behaviour, failOpen=fail_open, reasonCode=880, **{"timeoutMs": 5000} | settings))
    assert verdict.error == kind
    assert verdict.block is not fail_open
    assert (verdict.reason_code, verdict.rule_id) == ((0, None) if fail_open else (880, "external_test.error"))


def test_nobody_listening_is_an_error() -> None:
    assert run(ask(ExternalHttp(definition(f"http://127.0.0.1:{free_port()}/")))).error == "connect"


def test_a_name_that_does_not_resolve_is_an_error() -> None:
    assert run(ask(ExternalHttp(definition("https://nowhere.invalid/", timeoutMs=5000)))).error in ("dns", "timeout")


def test_an_address_that_is_not_allowed_is_not_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: Any, **__: Any) -> list[dict[str, Any]]:
        entry = {
            "hostname": "policy.example",
            "host": "169.254.169.254",
            "port": 80,
            "family": 2,
            "proto": 6,
            "flags": 0,
        }
        return [entry]

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    plugin = ExternalHttp(definition("http://policy.example/", allowHttp=True, allowPrivate=True))
    assert run(ask(plugin)).error == "address"


def test_a_public_name_that_points_inside_is_not_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> tuple[Verdict, int]:
        async with service(replies()) as policy:

            async def resolve(*_: Any, **__: Any) -> list[dict[str, Any]]:
                common = {"hostname": "policy.example", "port": policy.port, "family": 2, "proto": 6, "flags": 0}
                return [common | {"host": "127.0.0.1"}]

            monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
            plugin = ExternalHttp(definition(policy.url(host="policy.example"), allowHttp=True))
            return await ask(plugin), len(policy.calls)

    verdict, calls = run(scenario())
    assert (verdict.error, calls) == ("address", 0)


@pytest.mark.parametrize(("reply", "block"), [(b'{"block": true}', True), (b'{"block": false}', False)])
def test_the_service_decides(reply: bytes, block: bool) -> None:
    verdict = run(verdict_of(replies(reply), failOpen=not block, reasonCode=812, reason="not here"))
    assert (verdict.block, verdict.error) == (block, None)
    if block:
        assert (verdict.reason_code, verdict.reason, verdict.rule_id) == (812, "not here", "external_test.block")


async def sent_by(document: Any = None, body: bytes = b"", path: str = "/check", **changes: Any) -> Call:
    async with service(replies(b'{"block": false, "blockAction": false}')) as policy:
        await ask(ExternalHttp(definition(policy.url(path), **changes)), document, body=body)
        return policy.calls[0]


def test_the_default_body_names_message_tool_and_input() -> None:
    call = run(sent_by(request_with("hi", inputValues={"a": 1})))
    assert call.document == {"userMessage": "hi", "toolName": "Do-Thing", "input": {"a": 1}}
    assert call.headers["content-type"] == "application/json"
    assert call.head.startswith(b"POST /check HTTP/1.1\r\n")


def test_headers_token_and_method_are_sent() -> None:
    call = run(sent_by(headers={"X-Tenant": "contoso"}, bearerToken="abc", method="PUT"))
    assert call.head.startswith(b"PUT ")
    assert (call.headers["x-tenant"], call.headers["authorization"]) == ("contoso", "Bearer abc")


def test_the_reply_may_not_be_compressed_and_no_cookie_is_kept() -> None:
    async def scenario() -> list[Call]:
        async with service(replies(headers=["Set-Cookie: a=b"])) as policy:
            plugin = ExternalHttp(definition(policy.url()))
            for _ in range(2):
                await plugin.ask(context_of(), 5)
            await plugin.stop()
            return policy.calls

    calls = run(scenario())
    assert [call.headers["accept-encoding"] for call in calls] == ["identity"] * 2
    assert ["cookie" in call.headers for call in calls] == [False, False]


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert run(verdict_of(replies())).error is None


def test_another_provider_gets_the_original_request_and_its_verdict_is_merged() -> None:
    document = request_with("hi", newMember={"kept": True})
    reply = (
        b'{"blockAction": true, "reasonCode": 202, "reason": "personal data", "blockedBy": "pii", "diagnostics": "{}"}'
    )

    async def scenario() -> tuple[Verdict, Call]:
        async with service(replies(reply)) as policy:
            plugin = ExternalHttp(definition(policy.url("/base/"), preset="provider"))
            return await ask(plugin, document, body=msgspec.json.encode(document)), policy.calls[0]

    verdict, call = run(scenario())
    assert call.document == document
    assert call.head.startswith(b"POST /base/analyze-tool-execution?api-version=2025-05-01 HTTP/1.1\r\n")
    assert (verdict.block, verdict.reason_code, verdict.reason) == (True, 202, "personal data")


def test_a_providers_url_may_already_name_the_call() -> None:
    call = run(sent_by(preset="provider", path="/analyze-tool-execution?api-version=2030-01-01"))
    assert call.head.startswith(b"POST /analyze-tool-execution?api-version=2030-01-01 HTTP/1.1\r\n")


def first_fails(failure: Behaviour) -> Behaviour:
    """The first call on the service fails, later ones are answered."""
    calls = [failure]

    async def behave(call: Call) -> None:
        await (calls.pop() if calls else replies())(call)

    return behave


async def retried(failure: Behaviour, **changes: Any) -> tuple[str | None, int]:
    async with service(first_fails(failure)) as policy:
        verdict = await ask(ExternalHttp(definition(policy.url(), timeoutMs=2000, **changes)))
        return verdict.error, len(policy.calls)


@pytest.mark.parametrize("failure", [external.close, external.reset])
def test_a_call_that_nothing_came_back_from_is_made_once_more(failure: Behaviour) -> None:
    assert run(retried(failure)) == (None, 2)


@pytest.mark.parametrize("failure", [external.close, external.reset])
def test_it_is_not_where_that_is_switched_off(failure: Behaviour) -> None:
    assert run(retried(failure, retry=False)) == ("disconnected", 1)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (external.close_in_body, "disconnected"),
        (replies(b"", "500 Internal Server Error"), "status 500"),
        (replies(b"x"), "not_json"),
        (external.garbage, "protocol"),
    ],
)
def test_a_call_that_something_came_back_from_is_not_made_again(failure: Behaviour, kind: str) -> None:
    assert run(retried(failure)) == (kind, 1)


def test_a_call_is_made_twice_at_most() -> None:
    async def scenario() -> tuple[str | None, int]:
        async with service(external.close) as policy:
            verdict = await ask(ExternalHttp(definition(policy.url())))
            return verdict.error, len(policy.calls)

    assert run(scenario()) == ("disconnected", 2)


def test_a_connection_that_the_service_closed_meanwhile_costs_no_verdict() -> None:
    async def once_then_close(call: Call) -> None:
        await replies()(call)
        raise ConnectionError

    async def scenario() -> list[str | None]:
        async with service(once_then_close) as policy:
            plugin = ExternalHttp(definition(policy.url()))
            errors = [(await plugin.ask(context_of(), 5)).error for _ in range(20)]
            await plugin.stop()
            return errors

    assert run(scenario()) == [None] * 20


def test_connections_are_kept_and_shared() -> None:
    async def scenario() -> tuple[int, int]:
        async with service(replies()) as policy:
            plugin = ExternalHttp(definition(policy.url()))
            for _ in range(10):
                await plugin.ask(context_of(), 5)
            open_connections = policy.connections
            await plugin.stop()
            return len(policy.calls), open_connections

    assert run(scenario()) == (10, 1)


def test_calls_over_the_limit_are_rejected_at_once_and_not_queued() -> None:
    async def scenario() -> list[str | None]:
        async with service(replies(after=0.2)) as policy:
            plugin = ExternalHttp(definition(policy.url(), maxConcurrency=3, timeoutMs=5000))
            verdicts = await asyncio.gather(*(plugin.ask(context_of(), 5) for _ in range(8)))
            await plugin.stop()
            return [verdict.error for verdict in verdicts]

    assert run(scenario()) == [None] * 3 + ["rejected"] * 5


def test_the_breaker_opens_probes_and_recovers() -> None:
    async def scenario() -> tuple[list[str | None], list[str], int]:
        async with service(replies(b"", "503 Service Unavailable")) as policy:
            now = [0.0]
            plugin = ExternalHttp(definition(policy.url(), breaker={"minCalls": 3}), clock=lambda: now[0])
            errors, states = [], []

            async def step() -> None:
                errors.append((await plugin.ask(context_of(), 5)).error)
                states.append(plugin.health()["breaker"])

            for _ in range(5):
                await step()
            now[0] += 10
            await step()
            policy.behaviour = replies()
            now[0] += 10
            await step()
            await step()
            await plugin.stop()
            return errors, states, len(policy.calls)

    errors, states, calls = run(scenario())
    assert errors == ["status 503"] * 3 + ["breaker_open"] * 2 + ["status 503", None, None]
    assert states == ["closed", "closed", "open", "open", "open", "open", "closed", "closed"]
    assert calls == 6


def test_requests_that_a_service_refuses_do_not_switch_it_off_for_others() -> None:
    async def scenario() -> set[str | None]:
        async with service(replies(b"", "400 Bad Request")) as policy:
            plugin = ExternalHttp(definition(policy.url(), failOpen=True))
            errors = {(await plugin.ask(context_of(), 5)).error for _ in range(30)}
            await plugin.stop()
            return errors

    assert run(scenario()) == {"status 400"}


def test_a_call_that_was_given_too_little_time_says_nothing_of_the_service() -> None:
    async def scenario(seconds: float) -> tuple[set[str | None], str]:
        async with service(external.hang) as policy:
            plugin = ExternalHttp(definition(policy.url(), breaker={"minCalls": 3}, timeoutMs=100))
            errors = {(await plugin.ask(context_of(), seconds)).error for _ in range(3)}
            await plugin.stop()
            return errors, plugin.health()["breaker"]

    assert run(scenario(0.03)) == ({"budget"}, "closed")
    assert run(scenario(0.09)) == ({"budget"}, "open")
    assert run(scenario(1.0)) == ({"timeout"}, "open")


@pytest.mark.parametrize(("cache", "calls"), [(None, 4), ({"seconds": 60}, 2)])
def test_the_same_question_is_asked_once_where_answers_are_kept(cache: Any, calls: int) -> None:
    async def scenario() -> tuple[list[bool], int]:
        async with service(external.blocks_when(b"bad")) as policy:
            plugin = ExternalHttp(definition(policy.url(), cache=cache))
            contexts = [context_of(request_with(text)) for text in ("good", "bad", "good", "bad")]
            blocks = [(await plugin.ask(context, 5)).block for context in contexts]
            await plugin.stop()
            return blocks, len(policy.calls)

    assert run(scenario()) == ([False, True, False, True], calls)


def test_an_error_is_not_kept() -> None:
    async def scenario() -> list[str | None]:
        async with service(first_fails(replies(b"x"))) as policy:
            plugin = ExternalHttp(definition(policy.url(), cache={"seconds": 60}))
            errors = [(await plugin.ask(context_of(), 5)).error for _ in range(2)]
            await plugin.stop()
            return errors

    assert run(scenario()) == ["not_json", None]


def test_a_request_that_cannot_be_written_blocks_even_where_errors_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = ExternalHttp(definition(failOpen=True))

    def broken(*_: Any) -> bytes:
        raise RecursionError

    monkeypatch.setattr(plugin._template, "render", broken)
    verdict = run(ask(plugin))
    assert (verdict.block, verdict.error) == (True, "render")


@pytest.mark.parametrize("behaviour", [external.hang, external.garbage, replies(b"x"), external.close])
def test_no_request_text_is_logged_or_kept(behaviour: Behaviour, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> ExternalHttp:
        async with service(behaviour) as policy:
            settings = {"timeoutMs": 60, "breaker": {"minCalls": 1}, "bearerToken": "token-in-use"}
            plugin = ExternalHttp(definition(policy.url(), **settings))
            verdict = await ask(plugin, request_with(SECRET))
            assert SECRET not in repr(verdict)
            return plugin

    with caplog.at_level(logging.DEBUG):
        plugin = run(scenario())
    told = caplog.text + repr([vars(record) for record in caplog.records]) + repr(plugin.health())
    assert SECRET not in told
    assert "token-in-use" not in told


def test_calls_under_way_end_before_the_connections_are_closed() -> None:
    async def scenario() -> tuple[str | None, str | None]:
        async with service(replies(after=0.1)) as policy:
            plugin = ExternalHttp(definition(policy.url(), timeoutMs=5000))
            call = asyncio.ensure_future(plugin.ask(context_of(), 5))
            await policy.called.wait()
            await plugin.stop()
            return (await call).error, (await plugin.ask(context_of(), 5)).error

    assert run(scenario()) == (None, "stopped")


def test_a_token_file_is_read_again_and_a_broken_one_leaves_the_last_token(tmp_path: Path) -> None:
    now = [0.0]
    file = tmp_path / "token"
    file.write_text("first\n")
    token = Token(None, str(file), lambda: now[0])
    file.write_text("second")
    assert token.current() == "first"
    now[0] = 31
    assert token.current() == "second"
    file.unlink()
    now[0] = 62
    assert token.current() == "second"


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"\xff"])
def test_a_token_file_without_a_token_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match="bearerTokenFile"):
        ExternalHttp(definition(bearerTokenFile=str(tmp_path / "token")))


def test_a_token_that_no_header_can_carry_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="no header can carry") as caught:
        ExternalHttp(definition(), token="se\ncret")
    assert "cret" not in str(caught.value)


SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """A certificate authority of the test's own, and what it signs, as files."""

    def __init__(self, folder: Path, name: str = "authority"):
        self.folder, self.name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign(name, self._key, [], authority=True)
        self.file = self._write(f"{name}.pem", self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, hosts: list[str], days: int = 10) -> tuple[str, str]:
        """Files of a certificate for ``hosts`` that ends in ``days`` days, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key, hosts, days)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return self._write(f"{name}.pem", pem), self._write(f"{name}.key", private)

    def _sign(self, name: str, key: Any, hosts: list[str], days: int = 10, authority: bool = False) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self.name)])
        start = now - datetime.timedelta(days=30)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start)
        builder = builder.not_valid_after(now + datetime.timedelta(days=days))
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        for extension in self._identifiers(key):
            builder = builder.add_extension(extension, critical=False)
        if authority:
            builder = builder.add_extension(SIGNS_CERTIFICATES, critical=True)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_san(host) for host in hosts]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _identifiers(self, key: Any) -> list[x509.ExtensionType]:
        """What Python 3.13 asks of every certificate."""
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return [own, x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())]

    def _write(self, name: str, content: bytes) -> str:
        file = self.folder / name
        file.write_bytes(content)
        return str(file)


def _san(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def server_side(certificate: tuple[str, str], clients: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients)
    context.load_cert_chain(*certificate)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def over_tls(side: ssl.SSLContext, **changes: Any) -> str | None:
    async with service(replies(), side) as policy:
        plugin = ExternalHttp(definition(policy.url(scheme="https"), timeoutMs=5000, **changes))
        return (await ask(plugin)).error


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_a_certificate_of_the_configured_authority_is_trusted(authority: Authority) -> None:
    side = server_side(authority.issue("good", ["127.0.0.1"]))
    assert run(over_tls(side, tls={"ca": authority.file})) is None


@pytest.mark.parametrize(
    ("hosts", "days", "trusted"),
    [(["127.0.0.1"], 10, False), (["other.example"], 10, True), ([], 10, True), (["127.0.0.1"], -1, True)],
    ids=["unknown authority", "another name", "no name", "expired"],
)
def test_a_certificate_that_does_not_fit_is_an_error(
    authority: Authority, hosts: list[str], days: int, trusted: bool
) -> None:
    side = server_side(authority.issue("bad", hosts, days))
    assert run(over_tls(side, tls={"ca": authority.file} if trusted else {})) == "tls"


def test_a_server_name_of_its_own_can_be_asked_for(authority: Authority) -> None:
    side = server_side(authority.issue("named", ["policy.example"]))
    tls = {"ca": authority.file, "serverName": "policy.example"}
    assert run(over_tls(side, tls=tls)) is None


def test_a_client_certificate_is_shown(authority: Authority) -> None:
    side = server_side(authority.issue("server", ["127.0.0.1"]), clients=authority.file)
    cert, key = authority.issue("client", ["client.example"])
    assert run(over_tls(side, tls={"ca": authority.file, "cert": cert, "key": key})) is None
    assert run(over_tls(side, tls={"ca": authority.file})) in ("tls", "disconnected")


def test_a_server_that_speaks_no_tls_is_an_error() -> None:
    async def scenario() -> str | None:
        server = await asyncio.start_server(_speak_plainly, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        verdict = await ask(ExternalHttp(definition(f"https://127.0.0.1:{port}/", timeoutMs=5000)))
        server.close()
        return verdict.error

    assert run(scenario()) == "tls"


async def _speak_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    writer.close()
