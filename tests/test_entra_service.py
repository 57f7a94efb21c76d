"""Entra ID in front of the real service: two workers, real keys, a real key server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import jwks
from tests.conftest import QUERY, Server, environment, eventually, free_port, request_with, running
from tests.jwks import ENTRA_ENV, OTHER_CLIENT, OTHER_TENANT, TENANT, JwksServer, claims_v1, claims_v2, token

REFUSED = {
    "app": token(claims_v1(appid=OTHER_CLIENT)),
    "audience": token(claims_v1(aud="https://private.example")),
    "issuer": token(claims_v1(iss=f"https://sts.windows.net/{OTHER_TENANT}/")),
    "expired": token(claims_v1(exp=1_700_000_000)),
    "not_yet_valid": token(claims_v1(nbf=4_000_000_000)),
    "unknown_key": token(claims_v1(), "key-2"),
    "signature": token(claims_v1(), "key-2", kid="key-1"),
    "algorithm": token(claims_v1(), alg="none"),
    "malformed": "x" * 17_000,
    "unknown_token": "private-static-token",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with jwks.jwks_server() as keys:
        env = ENTRA_ENV | {"SENTRA_ENTRA_AUTHORITY": keys.authority, "STRICT_AUTH_ALLOWED_TOKENS": "static-1"}
        with running(tmp_path_factory.mktemp("entra"), **env) as started:
            yield started


def analyze(service: Server, *authorization: str) -> httpx.Response:
    """One call on a connection of its own, so that both workers are met."""
    headers = [("Authorization", value) for value in authorization]
    return httpx.post(f"{service.url}/analyze-tool-execution{QUERY}", headers=headers, json=request_with())


def causes(service: Server) -> dict[str, float]:
    """How often each cause was counted, in all workers."""
    lines = [line for line in service.client.get("/metrics").text.splitlines() if "sentra_auth_failures_total{" in line]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def test_good_tokens_of_both_versions_pass_on_the_first_request_after_ready(service: Server) -> None:
    for claims in (claims_v1(), claims_v2()) * 4:
        assert analyze(service, f"Bearer {token(claims)}").json()["blockAction"] is False


def test_a_static_token_passes_beside(service: Server) -> None:
    assert analyze(service, "Bearer static-1").status_code == 200


def test_saving_in_the_admin_centre_works(service: Server) -> None:
    answer = httpx.post(f"{service.url}/validate{QUERY}", headers={"Authorization": f"Bearer {token(claims_v1())}"})
    assert (answer.status_code, answer.json()) == (200, {"isSuccessful": True, "status": "OK"})


@pytest.mark.parametrize(("cause", "bearer"), REFUSED.items(), ids=REFUSED.keys())
def test_each_fault_is_counted_by_its_cause_and_answered_alike(service: Server, cause: str, bearer: str) -> None:
    before = causes(service).get(cause, 0)
    answer = analyze(service, f"Bearer {bearer}")
    expected: dict[str, Any] = {"errorCode": 2001, "httpStatus": 401}
    expected["message"] = "the bearer token is missing or not accepted"
    assert {name: value for name, value in answer.json().items() if value is not None} == expected
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    eventually(lambda: causes(service).get(cause) == before + 1)


def test_the_age_of_the_signing_keys_is_told(service: Server) -> None:
    def age() -> float:
        lines = service.client.get("/metrics").text.splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith("sentra_entra_keys_age_seconds "))

    eventually(lambda: 0 < age() < 3600)


def test_the_record_of_a_refused_request_tells_its_cause(service: Server) -> None:
    named = {"Authorization": f"Bearer {REFUSED['audience']}", "x-ms-correlation-id": "refused"}
    httpx.post(f"{service.url}/analyze-tool-execution{QUERY}", headers=named, json=request_with())

    def told() -> list[tuple[Any, ...]]:
        lines = [line for line in service.telemetry if line["correlationId"] == "refused"]
        return [(line["outcome"], line["errorCode"], line["errors"]) for line in lines]

    eventually(lambda: told() != [])
    assert told() == [("error", 2001, ["auth: audience"])]


def test_two_authorization_headers_are_refused_although_both_are_good(service: Server) -> None:
    good = f"Bearer {token(claims_v1())}"
    assert analyze(service, good, good).status_code == 401


def test_nothing_of_a_token_is_written(service: Server) -> None:
    for bearer in REFUSED.values():
        analyze(service, f"Bearer {bearer}")
    eventually(lambda: "callers were refused" in service.log)
    written = "".join(path.read_text() for path in service.folder.iterdir() if path.is_file())
    pieces = {piece[:40] for bearer in REFUSED.values() for piece in bearer.split(".") if len(piece) > 10}
    assert [piece for piece in pieces | {"private"} if piece in written] == []


@pytest.fixture
def without_keys(tmp_path: Path) -> Iterator[tuple[Server, JwksServer]]:
    """A service whose key server fails, started but not waited for."""
    with jwks.jwks_server() as keys, (tmp_path / "stderr.log").open("wb") as log:
        keys.answer = jwks.body(b"", 503)
        port = free_port()
        settings = ENTRA_ENV | {"SENTRA_ENTRA_AUTHORITY": keys.authority, "SENTRA_WORKERS": "1", "PORT": str(port)}
        process = subprocess.Popen(
            [sys.executable, "-m", "sentra", "serve"], env=environment(tmp_path, **settings), stdout=log, stderr=log
        )
        server = Server(process, port, tmp_path)
        yield server, keys
        server.stop()


def answers(server: Server) -> bool:
    try:
        return server.client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def test_without_keys_it_is_not_ready_says_why_and_recovers(without_keys: tuple[Server, JwksServer]) -> None:
    server, keys = without_keys
    eventually(lambda: answers(server), 40)
    told = server.client.get("/readyz")
    assert (told.status_code, told.json()["status"]) == (503, "unavailable")
    assert f"no Entra ID keys of tenant {TENANT}: the answer has status 503" in told.json()["reason"]
    good = f"Bearer {token(claims_v1())}"
    refused = analyze(server, good)
    assert (refused.status_code, refused.json()["errorCode"]) == (503, 5031)
    saved = httpx.post(f"{server.url}/validate{QUERY}", headers={"Authorization": good})
    assert (saved.status_code, saved.json()["isSuccessful"]) == (503, False)
    keys.publish("key-1")
    eventually(lambda: server.client.get("/readyz").status_code == 200, 70)
    assert analyze(server, good).status_code == 200
