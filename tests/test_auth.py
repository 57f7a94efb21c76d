"""Who is admitted: headers, static tokens, Entra ID tokens over real keys and a real server, and what settings say."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentra import entra_keys
from sentra.assembly import assemble
from sentra.auth import CAUSES, MAX_TOKEN_BYTES, Authenticator, Refused, auth_problems, auth_warnings, bearer
from sentra.config import HELP, Settings, load_settings
from sentra.errors import ConfigError
from tests import jwks
from tests.jwks import CLIENT, ENTRA_ENV, OTHER_CLIENT, TENANT, JwksServer, claims_v1, claims_v2, headers, token, until


def settings(**env: str) -> Settings:
    return load_settings(env)[0]


def outcome(authenticator: Authenticator, given: list[tuple[bytes, bytes]]) -> str:
    """Who was admitted, or the cause of the refusal."""
    try:
        return authenticator.admit(given)
    except Refused as refused:
        cause = refused.cause
    assert cause in CAUSES
    return cause


def authorization(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), *((b"authorization", value) for value in values), (b"accept", b"*/*")]


HEADERS = {
    "none": ((), "missing"),
    "empty": ((b"",), "malformed"),
    "scheme alone": ((b"Bearer",), "missing"),
    "scheme and blank": ((b"Bearer   ",), "missing"),
    "basic": ((b"Basic dXNlcjpwYXNz",), "malformed"),
    "token without scheme": ((b"token-1",), "malformed"),
    "no blank between": ((b"Bearertoken-1",), "malformed"),
    "two tokens": ((b"Bearer token-1 token-1",), "malformed"),
    "list": ((b"Bearer token-1, Bearer token-1",), "malformed"),
    "tab between": ((b"Bearer\ttoken-1",), "malformed"),
    "control character": ((b"Bearer token-1\x00",), "malformed"),
    "line break": ((b"Bearer token-1\r\n x",), "malformed"),
    "not ASCII": ((b"Bearer token-\xc3\xa9",), "malformed"),
    "two headers": ((b"Bearer token-1", b"Bearer token-1"), "malformed"),
    "two headers, one empty": ((b"Bearer token-1", b""), "malformed"),
    "two schemes": ((b"Bearer token-1", b"Basic dXNlcjpwYXNz"), "malformed"),
    "giant": ((b"Bearer " + b"x" * (MAX_TOKEN_BYTES + 1),), "malformed"),
    "largest": ((b"Bearer " + b"x" * MAX_TOKEN_BYTES,), "unknown_token"),
    "unknown": ((b"Bearer token-9",), "unknown_token"),
    "known but in capitals": ((b"Bearer TOKEN-1",), "unknown_token"),
    "beginning of a known": ((b"Bearer token-",), "unknown_token"),
    "known with more": ((b"Bearer token-11",), "unknown_token"),
    "known": ((b"Bearer token-1",), "static"),
    "second known": ((b"Bearer token-2",), "static"),
    "small letters": ((b"bearer token-1",), "static"),
    "mixed letters": ((b"bEARER token-1",), "static"),
    "more blanks": ((b" Bearer   token-1  ",), "static"),
}


@pytest.mark.parametrize(("values", "expected"), HEADERS.values(), ids=HEADERS.keys())
def test_header(values: tuple[bytes, ...], expected: str) -> None:
    static = Authenticator(settings(STRICT_AUTH_ALLOWED_TOKENS="token-1, token-2"))
    assert outcome(static, authorization(*values)) == expected


@pytest.mark.parametrize(("values", "expected"), HEADERS.values(), ids=HEADERS)
def test_header_of_another_caller_after_one_that_was_admitted(values: tuple[bytes, ...], expected: str) -> None:
    authenticator = Authenticator(settings(STRICT_AUTH_ALLOWED_TOKENS="token-1,token-2"))
    for known in (b"Bearer token-1", b"Bearer token-2", b"Bearer token-2"):
        assert outcome(authenticator, authorization(known)) == "static"
    assert outcome(authenticator, authorization(*values)) == expected


@given(st.lists(st.binary(max_size=40).map(lambda tail: b"Bearer " + tail) | st.binary(max_size=40), max_size=3))
def test_any_header_is_one_visible_word_or_refused(values: list[bytes]) -> None:
    try:
        found = bearer(authorization(*values))
    except Refused as refused:
        cause = refused.cause
    else:
        cause = ""
        assert len(values) == 1
        assert values[0].strip(b" \t").split(b" ")[-1] == found
        assert all(0x21 <= byte <= 0x7E for byte in found)
    assert cause in {"", "missing", "malformed"}


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1), st.sampled_from(["Bearer", "BEARER"])
)
def test_every_visible_word_is_found_behind_the_scheme(word: str, scheme: str) -> None:
    assert bearer(authorization(f"{scheme} {word}".encode())) == word.encode()


def test_with_nothing_configured_any_bearer_but_none_is_admitted() -> None:
    anyone = Authenticator(settings())
    assert outcome(anyone, authorization(b"Bearer whatever")) == "any"
    assert outcome(anyone, authorization()) == "missing"
    assert outcome(anyone, authorization(b"Bearer a", b"Bearer b")) == "malformed"


@pytest.mark.parametrize("env", [{}, {"STRICT_AUTH_ALLOWED_TOKENS": "token-1"}, ENTRA_ENV])
def test_switched_off_everybody_is_admitted_and_no_keys_are_needed(env: dict[str, str]) -> None:
    off = Authenticator(settings(**env, SENTRA_AUTH="none"))
    assert [outcome(off, given) for given in (authorization(), authorization(b"", b"x"))] == ["none", "none"]
    assert (off.ready, off.why_not, off.keys_age) == (True, "", None)


@pytest.mark.parametrize("env", [{}, {"STRICT_AUTH_ALLOWED_TOKENS": "token-1"}])
def test_without_entra_it_is_ready_at_once_and_starts_nothing(env: dict[str, str]) -> None:
    async def run() -> None:
        authenticator = Authenticator(settings(**env))
        await authenticator.start()
        assert len(asyncio.all_tasks()) == 1
        assert (authenticator.ready, authenticator.why_not, authenticator.keys_age) == (True, "", None)
        await authenticator.stop()

    asyncio.run(run())


class Clocks:
    """A wall clock and a steady clock that are set."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000.0, 500.0


Scenario = Callable[[Authenticator, JwksServer, Clocks], Coroutine[Any, Any, None]]


def with_entra(scenario: Scenario, **env: str) -> None:
    """Run ``scenario`` with a started authenticator over a server that publishes key-1."""

    async def run(server: JwksServer) -> None:
        clocks = Clocks()
        known = settings(**{**ENTRA_ENV, "SENTRA_ENTRA_AUTHORITY": server.authority, **env})
        authenticator = Authenticator(known, lambda: clocks.wall, lambda: clocks.steady)
        await authenticator.start()
        try:
            await scenario(authenticator, server, clocks)
        finally:
            await authenticator.stop()

    with jwks.jwks_server() as server:
        asyncio.run(run(server))


def test_good_tokens_of_both_versions_pass_on_the_first_request_after_start() -> None:
    async def scenario(authenticator: Authenticator, _: JwksServer, clocks: Clocks) -> None:
        assert (authenticator.ready, authenticator.why_not, authenticator.keys_age) == (True, "", 0)
        for claims in (claims_v1(clocks.wall), claims_v2(clocks.wall)):
            assert outcome(authenticator, headers(token(claims))) == f"entra:{CLIENT}"

    with_entra(scenario)


def test_static_tokens_work_beside_entra() -> None:
    async def scenario(authenticator: Authenticator, _: JwksServer, clocks: Clocks) -> None:
        assert outcome(authenticator, headers("token-1")) == "static"
        assert outcome(authenticator, headers(token(claims_v1(clocks.wall)))) == f"entra:{CLIENT}"
        assert outcome(authenticator, headers("token-9")) == "unknown_token"
        assert outcome(authenticator, headers(token(claims_v1(clocks.wall, appid=OTHER_CLIENT)))) == "app"

    with_entra(scenario, STRICT_AUTH_ALLOWED_TOKENS="token-1")


def test_with_entra_alone_no_other_bearer_is_admitted() -> None:
    async def scenario(authenticator: Authenticator, _: JwksServer, clocks: Clocks) -> None:
        assert outcome(authenticator, headers("whatever")) == "malformed"
        assert outcome(authenticator, headers("a.b.c")) == "malformed"
        assert outcome(authenticator, []) == "missing"

    with_entra(scenario)


def test_two_headers_with_good_tokens_are_refused() -> None:
    async def scenario(authenticator: Authenticator, _: JwksServer, clocks: Clocks) -> None:
        good = headers(token(claims_v1(clocks.wall)))
        assert outcome(authenticator, good + good) == "malformed"

    with_entra(scenario)


def test_a_token_over_the_limit_is_refused_although_it_is_good() -> None:
    async def scenario(authenticator: Authenticator, _: JwksServer, clocks: Clocks) -> None:
        fitting = token(claims_v1(clocks.wall, groups=["g" * 11_000]))
        giant = token(claims_v1(clocks.wall, groups=["g" * 12_000]))
        assert len(fitting) < MAX_TOKEN_BYTES < len(giant)
        assert outcome(authenticator, headers(fitting)) == f"entra:{CLIENT}"
        assert outcome(authenticator, headers(giant)) == "malformed"

    with_entra(scenario)


def test_an_admitted_token_expires() -> None:
    async def scenario(authenticator: Authenticator, _: JwksServer, clocks: Clocks) -> None:
        given = headers(token(claims_v1(clocks.wall, exp=clocks.wall + 600)))
        assert outcome(authenticator, given) == f"entra:{CLIENT}"
        clocks.wall += 659
        assert outcome(authenticator, given) == f"entra:{CLIENT}"
        clocks.wall += 1
        assert outcome(authenticator, given) == "expired"

    with_entra(scenario)


def test_a_flood_of_unknown_key_ids_causes_one_fetch_a_minute_and_good_tokens_pass() -> None:
    async def scenario(authenticator: Authenticator, server: JwksServer, clocks: Clocks) -> None:
        flood = [headers(token(claims_v1(clocks.wall), kid=f"wrong-{number}")) for number in range(200)]
        good = headers(token(claims_v1(clocks.wall)))
        for minute in range(1, 4):
            for wrong in flood:
                assert outcome(authenticator, wrong) == "unknown_key"
                clocks.steady += 0.25
                await asyncio.sleep(0)
            assert outcome(authenticator, good) == f"entra:{CLIENT}"
            assert len(server.paths) == minute
            clocks.steady += 10
            outcome(authenticator, flood[0])
            await asyncio.to_thread(server.wait_for, minute + 1)
            await until(lambda: authenticator.keys_age == 0)
        assert outcome(authenticator, good) == f"entra:{CLIENT}"

    with_entra(scenario)


def test_a_key_published_before_its_first_use_fails_no_request() -> None:
    async def scenario(authenticator: Authenticator, server: JwksServer, clocks: Clocks) -> None:
        server.publish("key-1", "key-2")
        clocks.steady += 3600
        outcome(authenticator, headers(token(claims_v1(clocks.wall), kid="key-9")))
        await until(lambda: authenticator.keys_age == 0)
        for signer in ("key-1", "key-2"):
            assert outcome(authenticator, headers(token(claims_v1(clocks.wall), signer))) == f"entra:{CLIENT}"

    with_entra(scenario)


def test_a_key_first_seen_in_a_token_is_known_after_the_next_fetch_and_the_old_one_is_gone() -> None:
    async def scenario(authenticator: Authenticator, server: JwksServer, clocks: Clocks) -> None:
        old, new = (headers(token(claims_v1(clocks.wall), signer)) for signer in ("key-1", "key-2"))
        assert outcome(authenticator, old) == f"entra:{CLIENT}"
        server.publish("key-2")
        assert outcome(authenticator, new) == "unknown_key"
        assert outcome(authenticator, old) == f"entra:{CLIENT}"
        clocks.steady += 60
        assert outcome(authenticator, new) == "unknown_key"
        await until(lambda: authenticator.keys_age == 0)
        assert outcome(authenticator, new) == f"entra:{CLIENT}"
        assert outcome(authenticator, old) == "unknown_key"

    with_entra(scenario)


def test_tokens_are_judged_while_a_fetch_hangs() -> None:
    async def scenario(authenticator: Authenticator, server: JwksServer, clocks: Clocks) -> None:
        server.answer = server.hang
        clocks.steady += 60
        assert outcome(authenticator, headers(token(claims_v1(clocks.wall), kid="key-9"))) == "unknown_key"
        await asyncio.to_thread(server.wait_for, 2)
        fresh = headers(token(claims_v1(clocks.wall, uti="not seen before")))
        assert outcome(authenticator, fresh) == f"entra:{CLIENT}"
        assert outcome(authenticator, headers(token(claims_v1(clocks.wall), kid="key-9"))) == "unknown_key"
        assert len(server.paths) == 2

    with_entra(scenario)


def test_good_tokens_pass_for_a_week_without_the_key_server() -> None:
    async def scenario(authenticator: Authenticator, server: JwksServer, clocks: Clocks) -> None:
        server.answer = jwks.body(b"<html>down</html>", 503)
        for hour in range(1, 7 * 24 + 1):
            clocks.steady += 3600
            clocks.wall += 3600
            outcome(authenticator, headers(token(claims_v1(clocks.wall), kid="key-9")))
            await asyncio.to_thread(server.wait_for, 1 + hour)
            assert outcome(authenticator, headers(token(claims_v1(clocks.wall)))) == f"entra:{CLIENT}"
            await until(lambda: not authenticator._keys or authenticator._keys.fetches == len(server.paths))
        assert authenticator.ready
        assert authenticator.keys_age == 7 * 24 * 3600

    with_entra(scenario)


def test_without_keys_nobody_is_admitted_by_entra_and_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entra_keys.KeyRing.start, "__defaults__", (0.3,))

    async def run(server: JwksServer) -> None:
        known = settings(**ENTRA_ENV, SENTRA_ENTRA_AUTHORITY=server.authority, STRICT_AUTH_ALLOWED_TOKENS="token-1")
        authenticator = Authenticator(known)
        assert not authenticator.ready
        await authenticator.start()
        assert not authenticator.ready
        assert authenticator.why_not == f"no Entra ID keys of tenant {TENANT}: the answer has status 502, not 200"
        assert outcome(authenticator, headers(token(claims_v1()))) == "unknown_key"
        assert outcome(authenticator, headers("token-1")) == "static"
        await authenticator.stop()

    with jwks.jwks_server() as server:
        server.answer = jwks.body(b"", 502)
        asyncio.run(run(server))


def test_no_part_of_a_token_is_logged_or_in_a_refusal(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def scenario(authenticator: Authenticator, server: JwksServer, clocks: Clocks) -> None:
        wall = clocks.wall
        given = [
            token(claims_v1(wall)),
            token(claims_v1(wall, appid=OTHER_CLIENT)),
            token(claims_v1(wall, aud="https://private.contoso.example")),
            token(claims_v1(wall), kid="private-kid"),
            token(claims_v1(wall), alg="private-alg"),
            token(claims_v1(wall), signer="key-2", kid="key-1"),
            "private-static-token",
        ]
        told = []
        clocks.steady += 60
        for text in given:
            try:
                authenticator.admit(headers(text))
            except Refused as refused:
                told.append(f"{refused} {refused!r} {refused.args} {refused.__cause__}")
        await asyncio.to_thread(server.wait_for, 2)
        await until(lambda: authenticator.keys_age == 0)
        shown = caplog.text + " ".join(told)
        pieces = [piece for text in given for piece in text.split(".")]
        hidden = [*pieces, "private", OTHER_CLIENT, CLIENT]
        assert len(told) == 6
        assert [piece for piece in hidden if piece in shown] == []
        assert "keys of tenant" in caplog.text

    with_entra(scenario)


def test_refusals_are_logged_by_cause_at_once_and_then_once_a_minute_with_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clocks = Clocks()
    static = Authenticator(settings(STRICT_AUTH_ALLOWED_TOKENS="token-1"), clock=lambda: clocks.steady)
    for _ in range(100):
        outcome(static, headers("private-9"))
        outcome(static, [])
        clocks.steady += 0.5
    clocks.steady += 10
    outcome(static, headers("private-9"))
    outcome(static, headers("token-1"))
    told = [(record.__dict__["cause"], record.__dict__["count"]) for record in caplog.records]
    assert told == [("unknown_token", 1), ("missing", 1), ("unknown_token", 100)]


LISTS = "SENTRA_ENTRA_TENANT_IDS, SENTRA_ENTRA_AUDIENCES, SENTRA_ENTRA_ALLOWED_APP_IDS"
GUID = "expected the directory (tenant) id, a GUID"
APP = "expected an application (client) id, a GUID"
AUDIENCE = "expected https://host/path, api://name or a client id (GUID)"
AUTHORITY = "expected https://host[/path], or http on loopback"
PROBLEMS: dict[str, tuple[dict[str, str], list[str]]] = {
    "nothing": ({}, []),
    "static": ({"STRICT_AUTH_ALLOWED_TOKENS": "a,b"}, []),
    "entra": (ENTRA_ENV, []),
    "entra switched off": ({**ENTRA_ENV, "SENTRA_AUTH": "none"}, []),
    "static token with a blank": (
        {"STRICT_AUTH_ALLOWED_TOKENS": "good,not so good"},
        ["STRICT_AUTH_ALLOWED_TOKENS: an entry (hidden) is not visible ASCII in one word of at most 16384 bytes"],
    ),
    "one of three": (
        {"SENTRA_ENTRA_TENANT_IDS": TENANT},
        [
            f"SENTRA_ENTRA_AUDIENCES: is not set; {LISTS} are required together",
            f"SENTRA_ENTRA_ALLOWED_APP_IDS: is not set; {LISTS} are required together",
        ],
    ),
    "two of three": (
        {name: value for name, value in ENTRA_ENV.items() if "APP" not in name},
        [f"SENTRA_ENTRA_ALLOWED_APP_IDS: is not set; {LISTS} are required together"],
    ),
    "roles alone": ({"SENTRA_ENTRA_ROLES": "Caller"}, [f"SENTRA_ENTRA_ROLES: has no effect without {LISTS}"]),
    "authority alone": (
        {"SENTRA_ENTRA_AUTHORITY": "https://keys.contoso.example"},
        [f"SENTRA_ENTRA_AUTHORITY: has no effect without {LISTS}"],
    ),
    "domain as tenant": (
        {**ENTRA_ENV, "SENTRA_ENTRA_TENANT_IDS": f"contoso.com,{TENANT},common"},
        [f"SENTRA_ENTRA_TENANT_IDS: {name!r}: {GUID}" for name in ("contoso.com", "common")],
    ),
    "tenant in braces": (
        {**ENTRA_ENV, "SENTRA_ENTRA_TENANT_IDS": f"{{{TENANT}}}"},
        [f"SENTRA_ENTRA_TENANT_IDS: '{{{TENANT}}}': {GUID}"],
    ),
    "name as app": (
        {**ENTRA_ENV, "SENTRA_ENTRA_ALLOWED_APP_IDS": "copilot"},
        [f"SENTRA_ENTRA_ALLOWED_APP_IDS: 'copilot': {APP}"],
    ),
    "good audiences": (
        {
            **ENTRA_ENV,
            "SENTRA_ENTRA_AUDIENCES": f"https://a.example/api/x,api://threat,{CLIENT},https://a.example:8443/",
        },
        [],
    ),
    "bad audiences": (
        {
            **ENTRA_ENV,
            "SENTRA_ENTRA_AUDIENCES": "http://a.example,a.example,https://,https://u@a.example,https://a/?x=1",
        },
        [
            f"SENTRA_ENTRA_AUDIENCES: {name!r}: {AUDIENCE}"
            for name in ("http://a.example", "a.example", "https://", "https://u@a.example", "https://a/?x=1")
        ],
    ),
}


@pytest.mark.parametrize(("env", "expected"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_problems(env: dict[str, str], expected: list[str]) -> None:
    assert list(auth_problems(settings(**env))) == expected


@pytest.mark.parametrize(
    ("authority", "good"),
    [
        ("https://keys.contoso.example", True),
        ("https://keys.contoso.example:8443/entra/", True),
        ("http://127.0.0.1:8081", True),
        ("http://127.8.8.8", True),
        ("http://localhost:8081/x", True),
        ("http://[::1]:8081", True),
        ("http://keys.contoso.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://10.0.0.1", False),
        ("http://2130706433", False),
        ("http://[::ffff:10.0.0.1]", False),
        ("http://localhost@evil.example", False),
        ("https://user:pass@keys.contoso.example", False),
        ("https://keys.contoso.example?x=1", False),
        ("https://keys.contoso.example/#x", False),
        ("https://keys.contoso.example/a b", False),
        ("https://keys.contoso.example:x", False),
        ("https://[::1", False),
        ("file:///etc/passwd", False),
        ("keys.contoso.example", False),
        ("https://", False),
    ],
)
def test_keys_come_over_https_or_from_this_machine(authority: str, good: bool) -> None:
    known = settings(**ENTRA_ENV, SENTRA_ENTRA_AUTHORITY=authority)
    problem = f"SENTRA_ENTRA_AUTHORITY: {authority!r}: {AUTHORITY}"
    assert list(auth_problems(known)) == ([] if good else [problem])


def test_assembling_reports_the_problems_of_authentication_with_the_others() -> None:
    with pytest.raises(ConfigError) as error:
        assemble(settings(SENTRA_PLUGINS="nothing", SENTRA_ENTRA_ROLES="Caller"))
    assert [problem.split(":")[0] for problem in error.value.problems][:2] == ["SENTRA_PLUGINS", "SENTRA_ENTRA_ROLES"]


ANY = "STRICT_AUTH_ALLOWED_TOKENS is not set: ANY bearer token is accepted"
OFF = "SENTRA_AUTH is none: ANYBODY may call, no bearer token is asked for"
MOVED = "SENTRA_ENTRA_AUTHORITY is set: whoever answers at https://keys.contoso.example decides who may call"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, [ANY]),
        ({"STRICT_AUTH_ALLOWED_TOKENS": "a"}, []),
        (ENTRA_ENV, []),
        ({"SENTRA_AUTH": "none"}, [OFF]),
        ({**ENTRA_ENV, "SENTRA_AUTH": "none"}, [OFF]),
        ({**ENTRA_ENV, "SENTRA_ENTRA_AUTHORITY": "https://keys.contoso.example"}, [MOVED]),
    ],
)
def test_warnings(env: dict[str, str], expected: list[str]) -> None:
    assert list(auth_warnings(settings(**env))) == expected


def test_the_guide_names_every_cause_and_every_setting() -> None:
    guide = (Path(__file__).parent.parent / "docs" / "copilot-studio.md").read_text()
    entra_settings = [name for name in HELP if name.startswith(("SENTRA_ENTRA_", "SENTRA_AUTH", "STRICT_AUTH_"))]
    assert len(entra_settings) == 8
    assert [name for name in (*CAUSES, *entra_settings) if f"`{name}" not in guide and name not in guide] == []
    assert [cause for cause in CAUSES if f"`{cause}`" not in guide] == []


def test_a_setting_of_authentication_that_is_wrong_in_itself_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="SENTRA_AUTH: 'off'"):
        settings(SENTRA_AUTH="off")
    with pytest.raises(ConfigError, match="SENTRA_ENTRA_CLOUD: 'moon'"):
        settings(SENTRA_ENTRA_CLOUD="moon")
