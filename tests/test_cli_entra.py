"""`sentra entra`: what it says of the set-up, of tokens and of errors, with a real key server."""

import hmac
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from sentra.cli_entra import AZURE_CLI, entra
from sentra.entra_help import federated_subject
from tests import jwks
from tests.jwks import ENTRA_ENV, OTHER_CLIENT, OTHER_TENANT, TENANT, JwksServer, claims_v1, claims_v2, token


@pytest.fixture
def server() -> Iterator[JwksServer]:
    with jwks.jwks_server() as running:
        yield running


def run(*arguments: str, stdin: str | None = None, **env: str) -> Result:
    return CliRunner().invoke(entra, arguments, input=stdin, env=env)


def check(server: JwksServer, *arguments: str, stdin: str | None = None, **env: str) -> Result:
    known = ENTRA_ENV | {"SENTRA_ENTRA_AUTHORITY": server.authority} | env
    return run("check", *arguments, stdin=stdin, **known)


def marks(result: Result) -> dict[str, str]:
    """The outcome of each check by its name."""
    lines = [line.split() for line in result.output.splitlines() if line[:1].strip()]
    return {words[0]: words[1] for words in lines if len(words) > 1 and words[1] in {"ok", "FAIL"}}


def failing(result: Result) -> set[str]:
    return {name for name, mark in marks(result).items() if mark == "FAIL"}


@pytest.mark.parametrize("make", [claims_v1, claims_v2], ids=["v1", "v2"])
def test_a_good_token_passes_every_check(server: JwksServer, make: Any) -> None:
    result = check(server, token(make()))
    assert marks(result) == dict.fromkeys(["keys", "format", "issuer", "signature", "audience", "time", "app"], "ok")
    assert result.output.endswith("the token is good\n")
    assert result.exit_code == 0


@pytest.mark.parametrize("prefix", ["", "Bearer "])
def test_a_token_is_read_from_standard_input(server: JwksServer, prefix: str) -> None:
    assert check(server, "-", stdin=f"{prefix}{token(claims_v1())}\n").exit_code == 0


def test_a_token_is_read_from_the_environment(server: JwksServer) -> None:
    result = check(server, ENTRA_TOKEN=token(claims_v1(appid=OTHER_CLIENT)))
    assert failing(result) == {"app"}


def test_without_a_token_the_keys_are_checked(server: JwksServer) -> None:
    result = check(server)
    assert marks(result) == {"keys": "ok"}
    assert f"1 signing keys at {server.authority}/{TENANT}/discovery/v2.0/keys" in result.output
    assert result.output.endswith("the set-up is good\n")


def test_offline_nothing_is_fetched_and_it_is_said(server: JwksServer) -> None:
    result = check(server, "--offline", token(claims_v1(), "key-2"))
    assert "signature" not in marks(result)
    assert "as far as can be told without keys" in result.output
    assert (result.exit_code, server.paths) == (0, [])


def hs256() -> str:
    head = {"typ": "JWT", "alg": "HS256", "kid": "key-1"}
    text = ".".join(jwks.b64u(msgspec.json.encode(part)) for part in (head, claims_v1()))
    return f"{text}.{jwks.b64u(hmac.digest(b'x', text.encode(), 'sha256'))}"


WRONG = {
    "audience": (token(claims_v1(aud="https://other.example")), {"audience"}, "add it to SENTRA_ENTRA_AUDIENCES"),
    "app": (
        token(claims_v2(azp=OTHER_CLIENT)),
        {"app"},
        "if this azp is your app, add it to SENTRA_ENTRA_ALLOWED_APP_IDS",
    ),
    "no app": (token(claims_v1(appid=None)), {"app"}, "(none)"),
    "azure cli": (token(claims_v1(appid=AZURE_CLI)), {"app"}, "a user's token from the Azure CLI"),
    "expired": (token(claims_v1(exp=1_700_000_000)), {"time"}, "get a new token"),
    "future": (token(claims_v1(nbf=4_000_000_000)), {"time"}, "begins in the future"),
    "impossible time": (token(claims_v1(exp=10**30)), set(), "no calendar knows"),
    "tenant": (
        token(claims_v1(iss=f"https://sts.windows.net/{OTHER_TENANT}/", tid=OTHER_TENANT)),
        {"issuer", "signature"},
        "check SENTRA_ENTRA_TENANT_IDS and SENTRA_ENTRA_CLOUD",
    ),
    "unknown key": (token(claims_v1(), "key-2"), {"signature"}, "the tenant publishes no key 'key-2'"),
    "forged": (token(claims_v1(), "key-2", kid="key-1"), {"signature"}, "changed, cut short or forged"),
    "algorithm": (hs256(), {"format", "signature"}, "only RS256 is accepted"),
    "no key id": (token(claims_v1(), kid=None), {"format", "signature"}, "the header needs one key id"),
    "cut short": (token(claims_v1())[:-20], {"signature"}, "cut short"),
    "no token": ("opaque-token", {"format"}, "three parts with two dots"),
    "giant": ("a" * 16_385, {"format"}, "at most 16384 bytes"),
    "two things": (token(claims_v1(aud="x", exp=1)), {"audience", "time"}, "fails: audience, time"),
    "not ASCII": ("tokén", {"format"}, "three parts with two dots"),
}


@pytest.mark.parametrize(("bearer", "expected", "text"), WRONG.values(), ids=WRONG.keys())
def test_a_failing_check_is_named_with_its_fix(server: JwksServer, bearer: str, expected: set[str], text: str) -> None:
    result = check(server, "--", bearer)
    assert failing(result) == expected
    assert text in result.output
    assert result.exit_code == (1 if expected else 0)


@pytest.mark.parametrize("bearer", [entry[0] for entry in WRONG.values()], ids=WRONG.keys())
def test_no_part_of_the_token_is_shown(server: JwksServer, bearer: str) -> None:
    result = check(server, "--", bearer)
    pieces = [piece[start : start + 12] for piece in bearer.split(".") for start in range(0, len(piece), 12)]
    assert [piece for piece in pieces if len(piece) == 12 and piece in result.output] == []


def test_claims_are_shown_escaped_and_shortened(server: JwksServer) -> None:
    result = check(server, token(claims_v1(aud="\x1b[31m" + "a" * 5000, appid="\u202egnp")))
    assert "\x1b[31m" not in result.output
    assert "\u202e" not in result.output
    assert max(map(len, result.output.splitlines())) < 400


def test_a_role_is_checked_when_configured(server: JwksServer) -> None:
    assert failing(check(server, token(claims_v1(roles=["Other"])), SENTRA_ENTRA_ROLES="Caller")) == {"role"}
    assert marks(check(server, token(claims_v1(roles=["Caller"])), SENTRA_ENTRA_ROLES="Caller"))["role"] == "ok"


KEY_FAILURES = {
    "unknown tenant": (jwks.body(b"{}", 400), "check the tenant id and SENTRA_ENTRA_CLOUD"),
    "portal": (jwks.body(b"<html>"), "look for a captive portal"),
    "redirect": (jwks.body(b"", 302, Location="https://portal.example"), "look for a captive portal"),
}


@pytest.mark.parametrize(("answer", "fix"), KEY_FAILURES.values(), ids=KEY_FAILURES.keys())
def test_keys_that_cannot_be_had_are_told_with_their_fix(server: JwksServer, answer: jwks.Answer, fix: str) -> None:
    server.answer = answer
    result = check(server)
    assert failing(result) == {"keys"}
    assert fix in result.output
    assert result.exit_code == 1


def test_a_server_that_is_not_there_is_told_with_its_fix(server: JwksServer) -> None:
    result = check(server, SENTRA_ENTRA_AUTHORITY="https://localhost:1")
    assert failing(result) == {"keys"}
    assert "allow outgoing TCP 443" in result.output


def test_a_server_without_tls_is_told(server: JwksServer) -> None:
    result = check(server, SENTRA_ENTRA_AUTHORITY=server.authority.replace("http://127.0.0.1", "https://127.0.0.1"))
    assert failing(result) == {"keys"}
    assert "certificate" in result.output


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({}, "Entra ID is not configured"),
        ({"SENTRA_ENTRA_TENANT_IDS": TENANT}, "are required together"),
        ({**ENTRA_ENV, "SENTRA_ENTRA_TENANT_IDS": "contoso.com"}, "expected the directory (tenant) id"),
        ({**ENTRA_ENV, "SENTRA_ENTRA_CLOUD": "moon"}, "SENTRA_ENTRA_CLOUD"),
    ],
)
def test_wrong_settings_end_with_code_2(env: dict[str, str], text: str) -> None:
    result = run("check", **env)
    assert text in result.stderr
    assert (result.exit_code, result.stdout) == (2, "")


def test_subjects_are_printed_for_the_base_address_and_both_calls() -> None:
    result = run("subjects", "--tenant", TENANT, "--endpoint", "https://threat.contoso.example/api")
    for call in ("", "/validate", "/analyze-tool-execution"):
        assert f"subject   {federated_subject(TENANT, 'https://threat.contoso.example/api' + call)}\n" in result.output
    assert f"issuer    https://login.microsoftonline.com/{TENANT}/v2.0\n" in result.output
    assert "audience  api://AzureADTokenExchange\n" in result.output
    assert result.exit_code == 0


def test_subjects_are_printed_for_the_configured_tenants(server: JwksServer) -> None:
    both = {**ENTRA_ENV, "SENTRA_ENTRA_TENANT_IDS": f"{TENANT},{OTHER_TENANT}"}
    for result in (
        run("subjects", "--endpoint", "https://a.example", **both),
        check(server, "--offline", "--endpoint", "https://a.example", **both),
    ):
        for tenant in (TENANT, OTHER_TENANT):
            assert federated_subject(tenant, "https://a.example") in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--tenant", TENANT, "--endpoint", "https://a.example/"),
        ("--tenant", "contoso.com", "--endpoint", "https://a.example"),
    ],
)
def test_a_subject_that_cannot_match_is_not_printed(arguments: tuple[str, ...]) -> None:
    result = run("subjects", *arguments)
    assert result.exit_code == 2
    assert "/eid1/" not in result.output


def test_an_error_is_explained_and_its_subject_decoded() -> None:
    message = (
        f"AADSTS700213: No match for subject '{federated_subject(TENANT, 'https://a.example/validate')}'. Trace ID: 1"
    )
    for result in (run("explain", message), run("explain", "-", stdin=message)):
        assert "AADSTS700213: No federated credential" in result.output
        assert f"tenant {TENANT}, Copilot Studio, endpoint 'https://a.example/validate'" in result.output
        assert result.exit_code == 0


def test_an_unknown_code_is_told_with_the_known_ones() -> None:
    result = run("explain", "AADSTS99999")
    assert "AADSTS500011" in result.stderr
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_check_explains_an_error_too(server: JwksServer) -> None:
    assert "AADSTS500011: No application" in check(server, "--offline", "--explain", "500011").output
