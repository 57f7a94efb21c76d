"""Signing keys: what is taken from a published set, when it is fetched, and what survives."""

import asyncio
import gzip
import socket
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sentra import entra_keys
from sentra.config import load_settings
from sentra.entra_keys import KeyRing, KeysError, Timetable, fetch_keys, keys_url, new_session, parse_keys
from tests import jwks
from tests.jwks import ENTRA_ENV, OTHER_TENANT, TENANT, JwksServer, jwks_server, until


def document(*keys: Any) -> bytes:
    return msgspec.json.encode({"keys": keys})


def test_all_signing_keys_are_taken() -> None:
    assert set(parse_keys(jwks.key_set("key-1", "key-2"), TENANT)) == {"key-1", "key-2"}


TAKEN = {
    "issuer is a template": jwks.jwk("key-1", issuer="https://login.microsoftonline.com/{tenantid}/v2.0"),
    "no issuer": jwks.jwk("key-1", issuer=None),
    "issuer in capitals": jwks.jwk("key-1", issuer=f"https://sts.windows.net/{TENANT.upper()}/"),
    "no use": jwks.jwk("key-1", use=None),
    "alg RS256": jwks.jwk("key-1", alg="RS256"),
    "4096 bits": jwks.jwk("key-1", bits=4096),
}


@pytest.mark.parametrize("key", TAKEN.values(), ids=TAKEN.keys())
def test_taken(key: dict[str, Any]) -> None:
    assert list(parse_keys(document(key), TENANT)) == ["key-1"]


PASSED_OVER = {
    "elliptic curve": {"kty": "EC", "kid": "key-9", "crv": "P-256", "x": "AA", "y": "AA", "use": "sig"},
    "secret": {"kty": "oct", "kid": "key-9", "k": "AAAA"},
    "for encryption": jwks.jwk("key-9", use="enc"),
    "for another algorithm": jwks.jwk("key-9", alg="PS256"),
    "no id": jwks.jwk("key-9", kid=None),
    "empty id": jwks.jwk("key-9", kid=""),
    "giant id": jwks.jwk("key-9", kid="k" * 129),
    "id as number": jwks.jwk("key-9", kid=9),
    "of another tenant": jwks.jwk("key-9", issuer=f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"),
    "no modulus": jwks.jwk("key-9", n=None),
    "modulus is no base64": jwks.jwk("key-9", n="!" * 300),
    "modulus of 200 000 digits": jwks.jwk("key-9", n="_" * 200_000),
    "1024 bits": jwks.jwk("key-9", bits=1024),
    "2048 digits that are mostly zeros": jwks.jwk("key-9", n=jwks.b64u(bytes(150) + b"\xc5" * 106)),
    "modulus is not ASCII": jwks.jwk("key-9", n="\u00e9" * 342),
    "even exponent": jwks.jwk("key-9", e="Ag"),
    "exponent one": jwks.jwk("key-9", e="AQ"),
    "giant exponent": jwks.jwk("key-9", e="AQAAAAAB"),
    "no object": "key-9",
    "null": None,
}


@pytest.mark.parametrize("key", PASSED_OVER.values(), ids=PASSED_OVER.keys())
def test_an_unfit_key_is_passed_over_and_the_good_one_beside_it_taken(key: Any) -> None:
    assert list(parse_keys(document(key, jwks.jwk("key-1")), TENANT)) == ["key-1"]


REFUSED = {
    "HTML": (b"<html><body>captive portal</body></html>", "no key set"),
    "empty": (b"", "no key set"),
    "list": (b"[]", "no key set"),
    "no keys": (b'{"error": "invalid_tenant"}', "no key set"),
    "keys no list": (b'{"keys": {"a": 1}}', "no key set"),
    "not UTF-8": (b'{"keys": ["\xff"]}', "no RSA signing key"),
    "nested deeply": (b'{"keys": ' + b"[" * 100_000, "no key set"),
    "no key at all": (document(), "no RSA signing key"),
    "no key that fits": (document(PASSED_OVER["elliptic curve"]), "no RSA signing key"),
    "too many": (document(*[{}] * 101), "more than 100"),
    "two under one id": (document(jwks.jwk("key-1"), jwks.jwk("key-2", kid="key-1")), "share one key id"),
}


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_set_without_good_keys_is_refused_as_a_whole(body: bytes, message: str) -> None:
    with pytest.raises(KeysError, match=message):
        parse_keys(body, TENANT)


def test_the_same_key_twice_is_no_contradiction() -> None:
    assert list(parse_keys(jwks.key_set("key-1", "key-1"), TENANT)) == ["key-1"]


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "https://login.microsoftonline.com"),
        ({"SENTRA_ENTRA_CLOUD": "usgov"}, "https://login.microsoftonline.us"),
        ({"SENTRA_ENTRA_CLOUD": "china"}, "https://login.partner.microsoftonline.cn"),
        ({"SENTRA_ENTRA_AUTHORITY": "https://keys.contoso.example/entra/"}, "https://keys.contoso.example/entra"),
    ],
)
def test_keys_come_from_the_clouds_authority_or_the_configured_one(env: dict[str, str], expected: str) -> None:
    settings, _ = load_settings(ENTRA_ENV | env)
    assert keys_url(settings, TENANT) == f"{expected}/{TENANT}/discovery/v2.0/keys"


def timetable(spread: float = 0.0) -> Timetable:
    return Timetable(lambda: spread)


def attempts(table: Timetable, *outcomes: bool) -> list[float]:
    """The times of the fetches that follow one another, each with its outcome, from time 0."""
    now, times = 0.0, []
    for good in outcomes:
        now = max(now, table.due)
        times.append(now)
        table.begin(now)
        table.end(good)
    return times


def test_the_first_fetch_is_due_at_once() -> None:
    assert timetable().due < 0


def test_a_good_fetch_is_repeated_within_the_hour() -> None:
    assert attempts(timetable(0.0), True, True, True) == [0, 3600, 7200]
    assert attempts(timetable(1.0), True, True, True) == [0, 3240, 6480]


def test_without_any_key_set_fetches_follow_at_growing_distances_up_to_a_minute() -> None:
    assert attempts(timetable(), *[False] * 9) == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_with_a_key_set_failed_fetches_follow_no_closer_than_a_minute() -> None:
    assert attempts(timetable(), True, *[False] * 6) == [0, 3600, 3660, 3780, 4020, 4500, 5100]
    assert attempts(timetable(1.0), True, False, False)[2] == 3240 + 66


def test_a_wanted_key_is_looked_for_a_minute_after_the_last_fetch() -> None:
    table = timetable()
    attempts(table, True)
    for _ in range(1000):
        table.want()
    assert table.due == 60
    assert attempts(table, True, True)[0] == 60
    assert table.due == 60 + 3600 * 2


def test_a_wanted_key_does_not_hasten_a_fetch_after_a_failure() -> None:
    table = timetable()
    attempts(table, True, False)
    table.want()
    assert table.due == 3600 + 60


def test_wanting_during_a_fetch_counts_for_the_next_one() -> None:
    table = timetable()
    table.begin(100)
    table.want()
    table.end(good=True)
    assert table.due == 160


async def fetched(url: str) -> set[str]:
    session = new_session()
    try:
        return set(await fetch_keys(session, url, TENANT))
    finally:
        await session.close()


def test_keys_are_fetched_with_one_plain_request() -> None:
    with jwks_server("key-1", "key-2") as server:
        assert asyncio.run(fetched(f"{server.authority}/{TENANT}/discovery/v2.0/keys")) == {"key-1", "key-2"}
        assert server.paths == [f"/{TENANT}/discovery/v2.0/keys"]


GOOD_BODY = jwks.key_set("key-1")
BAD_ANSWERS: dict[str, tuple[Callable[[JwksServer], jwks.Answer], str]] = {
    "error": (lambda _: jwks.body(GOOD_BODY, 500), "status 500"),
    "not found": (lambda _: jwks.body(GOOD_BODY, 404), "status 404"),
    "redirect": (lambda server: jwks.body(b"", 302, Location=f"{server.authority}/elsewhere"), "status 302"),
    "HTML": (lambda _: jwks.body(b"<html>hello</html>", kind="text/html"), "no key set"),
    "compressed": (lambda _: jwks.body(gzip.compress(GOOD_BODY), Content_Encoding="gzip"), "no key set"),
    "huge": (lambda _: jwks.body(GOOD_BODY + b" " * 300_000), "larger than 262144"),
    "endless": (lambda server: server.endless, "larger than 262144"),
    "hanging": (lambda server: server.hang, "within"),
    "dripping": (lambda server: server.drip, "within"),
}


@pytest.mark.parametrize(("answer", "message"), BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_a_bad_answer_is_given_up(
    answer: Callable[[JwksServer], jwks.Answer], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entra_keys, "FETCH_SECONDS", 0.5)
    with jwks_server() as server:
        server.answer = answer(server)
        with pytest.raises(KeysError, match=message):
            asyncio.run(fetched(f"{server.authority}/keys"))
        assert len(server.paths) == 1


def test_a_server_that_is_not_there_is_told_without_its_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(KeysError, match=r"^no connection: ClientConnectorError$"):
            asyncio.run(fetched(f"http://127.0.0.1:{taken.getsockname()[1]}/keys"))


def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with jwks_server() as server:
        assert asyncio.run(fetched(f"{server.authority}/keys")) == {"key-1"}


class Ring:
    """A key ring on a clock that is set, and how often its keys changed."""

    def __init__(self, server: JwksServer, **env: str) -> None:
        settings, _ = load_settings(ENTRA_ENV | {"SENTRA_ENTRA_AUTHORITY": server.authority} | env)
        self.now, self.changes, self.server = 1000.0, 0, server
        self.keys = KeyRing(settings, self._changed, lambda: self.now)

    def _changed(self) -> None:
        self.changes += 1

    async def fetch_after(self, seconds: float) -> None:
        """Let the clock jump, ask for a key, and return when the fetch that follows has ended."""
        count = self.keys.fetches + 1
        self.now += seconds
        self.keys.want(TENANT)
        await until(lambda: self.keys.fetches == count)


def in_ring(scenario: Callable[[Ring], Any], **env: str) -> None:
    """Run ``scenario`` with a started ring and a server."""

    async def run(server: JwksServer) -> None:
        ring = Ring(server, **env)
        await ring.keys.start()
        try:
            await scenario(ring)
        finally:
            await ring.keys.stop()

    with jwks_server() as server:
        asyncio.run(run(server))


def test_keys_are_there_when_start_returns() -> None:
    async def scenario(ring: Ring) -> None:
        assert ring.keys.key(TENANT, "key-1") is not None
        assert (ring.keys.why_not, ring.keys.age, ring.changes) == ("", 0, 1)

    in_ring(scenario)


def test_a_new_key_is_found_and_a_withdrawn_one_gone() -> None:
    async def scenario(ring: Ring) -> None:
        ring.server.publish("key-2")
        await ring.fetch_after(60)
        assert ring.keys.key(TENANT, "key-2") is not None
        assert ring.keys.key(TENANT, "key-1") is None
        assert ring.changes == 2

    in_ring(scenario)


def test_a_key_that_was_exchanged_under_its_id_is_a_change() -> None:
    async def scenario(ring: Ring) -> None:
        ring.server.answer = jwks.body(document(jwks.jwk("key-2", kid="key-1")))
        await ring.fetch_after(60)
        assert ring.changes == 2

    in_ring(scenario)


def test_the_same_keys_again_are_no_change() -> None:
    async def scenario(ring: Ring) -> None:
        await ring.fetch_after(60)
        assert ring.changes == 1

    in_ring(scenario)


def test_the_last_good_set_survives_every_bad_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(entra_keys, "FETCH_SECONDS", 0.2)

    async def scenario(ring: Ring) -> None:
        for answer, message in BAD_ANSWERS.values():
            ring.server.answer = answer(ring.server)
            caplog.clear()
            await ring.fetch_after(4000)
            assert message in caplog.text
            assert ring.keys.key(TENANT, "key-1") is not None
        assert (ring.keys.why_not, ring.changes) == ("", 1)
        assert ring.keys.age == 4000 * len(BAD_ANSWERS)

    in_ring(scenario)


def test_wanting_a_thousand_times_fetches_once_a_minute() -> None:
    async def scenario(ring: Ring) -> None:
        for minute in range(1, 4):
            for _ in range(944):
                ring.keys.want(TENANT)
                ring.now += 0.0625
                await asyncio.sleep(0)
            assert len(ring.server.paths) == minute
            await ring.fetch_after(1)
            assert len(ring.server.paths) == minute + 1

    in_ring(scenario)


def test_each_tenant_has_keys_of_its_own() -> None:
    async def scenario(ring: Ring) -> None:
        assert sorted(ring.server.paths) == sorted(f"/{name}/discovery/v2.0/keys" for name in (TENANT, OTHER_TENANT))
        assert ring.keys.key(TENANT, "key-1") is not None
        assert ring.keys.key(OTHER_TENANT, "key-1") is None
        assert OTHER_TENANT in ring.keys.why_not
        assert TENANT not in ring.keys.why_not.replace(OTHER_TENANT, "")

    async def run(server: JwksServer) -> None:
        ring = Ring(server, SENTRA_ENTRA_TENANT_IDS=f"{TENANT},{OTHER_TENANT}")
        await ring.keys.start(seconds=0.5)
        try:
            await scenario(ring)
        finally:
            await ring.keys.stop()

    with jwks_server() as server:
        asyncio.run(run(server))


def test_start_returns_without_keys_after_its_time_and_says_why() -> None:
    async def run(server: JwksServer) -> None:
        ring = Ring(server)
        await ring.keys.start(seconds=0.2)
        assert ring.keys.why_not == f"no Entra ID keys of tenant {TENANT}: the keys are still being fetched"
        assert ring.keys.age == float("inf")
        await ring.keys.stop()

    with jwks_server() as server:
        server.answer = server.hang
        asyncio.run(run(server))


def test_keys_that_come_late_make_it_ready() -> None:
    async def run(server: JwksServer) -> None:
        ring = Ring(server)
        starting = asyncio.ensure_future(ring.keys.start())
        await asyncio.to_thread(server.wait_for, 1)
        await until(lambda: "status 503" in ring.keys.why_not)
        server.publish("key-1")
        ring.now += 60
        ring.keys.want(TENANT)
        await starting
        assert ring.keys.why_not == ""
        await ring.keys.stop()

    with jwks_server() as server:
        server.answer = jwks.body(b"", 503)
        asyncio.run(run(server))


def test_the_task_survives_an_unexpected_error(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        fetches = 0

        async def fetch() -> entra_keys.KeySet:
            nonlocal fetches
            fetches += 1
            if fetches == 1:
                raise ZeroDivisionError("details of the inside")
            return parse_keys(GOOD_BODY, TENANT)

        now = [0.0]
        keys = entra_keys.TenantKeys(TENANT, fetch, lambda: None, lambda: now[0])
        task = asyncio.ensure_future(keys.run())
        await until(lambda: keys.problem == "unexpected ZeroDivisionError")
        now[0] = 60
        keys.want()
        await keys.loaded.wait()
        task.cancel()

    asyncio.run(run())
    assert "unexpected ZeroDivisionError" in caplog.text
    assert "details of the inside" not in caplog.text


def test_stop_ends_a_fetch_that_hangs() -> None:
    async def run(server: JwksServer) -> None:
        ring = Ring(server)
        await ring.keys.start(seconds=0.1)
        await asyncio.to_thread(server.wait_for, 1)
        async with asyncio.timeout(2):
            await ring.keys.stop()

    with jwks_server() as server:
        server.answer = server.hang
        asyncio.run(run(server))
