"""The served API document tells what the application answers, and nothing else."""

import asyncio
import socket
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import msgspec
import pytest
import yaml

from sentra.app import App, create_app
from sentra.config import load_settings
from sentra.operations import OPENAPI
from tests.conftest import CACHE, Server, payload, request_with
from tests.docs import error_sites

DOCUMENT: dict[str, Any] = yaml.safe_load(OPENAPI)
VERSION = b"api-version=2025-05-01"
BEARER = (b"authorization", b"Bearer any")
SECRET = "AKIA" + "Q5RT2YWXK3LM7PNB"
TENANT = "11111111-2222-3333-4444-555555555555"
ENTRA = {
    "SENTRA_ENTRA_TENANT_IDS": TENANT,
    "SENTRA_ENTRA_AUDIENCES": "https://threat.contoso.example",
    "SENTRA_ENTRA_ALLOWED_APP_IDS": TENANT,
    "SENTRA_ENTRA_AUTHORITY": "http://127.0.0.1:9",
}
ANALYZE, VALIDATE = "/analyze-tool-execution", "/validate"


class Answer(NamedTuple):
    """Status, content type without its parameters, and body."""

    status: int
    kind: str
    body: bytes


@cache
def make_app(**settings: str) -> App:
    return create_app(load_settings({"SENTRA_CACHE_DIR": CACHE, "SENTRA_WORKERS": "1", **settings})[0])


def ask(
    app: App, method: str, path: str, body: bytes | None = b"", *headers: tuple[bytes, bytes], query: bytes = VERSION
) -> Answer:
    """What ``app`` answers; a ``body`` of ``None`` never arrives."""

    async def receive() -> dict[str, Any]:
        if body is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": body, "more_body": False}

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": list(headers)}
    asyncio.run(app(scope, receive, send))
    start, end = sent
    kind = dict(start["headers"])[b"content-type"].decode().partition(";")[0]
    return Answer(start["status"], kind, end["body"])


def response_of(path: str, method: str, answer: Answer) -> dict[str, Any]:
    """What the document says of such an answer."""
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    return resolved(responses[str(answer.status)])["content"][answer.kind]["schema"]  # type: ignore[no-any-return]


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        target: Any = DOCUMENT
        for key in part["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        part = target
    return part


def validate(schema: dict[str, Any], body: bytes) -> Any:
    document = msgspec.json.decode(body)
    jsonschema.validate(document, {**schema, "components": DOCUMENT["components"]}, jsonschema.Draft202012Validator)
    return document


@pytest.fixture(scope="module")
def app() -> App:
    return make_app(SENTRA_METRICS_TOKEN="scrape", SENTRA_MAX_REQUEST_BYTES="100000", SENTRA_BODY_TIMEOUT_MS="20")


def refs(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [ref for value in part.values() for ref in refs(value)]
    return [ref for value in part for ref in refs(value)] if isinstance(part, list) else []


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = set(refs(DOCUMENT))
    assert all(resolved({"$ref": ref}) for ref in used)
    parts = DOCUMENT["components"]
    there = {f"#/components/{kind}/{name}" for kind in ("schemas", "responses", "parameters") for name in parts[kind]}
    assert there == used


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_a_schema_is_valid_itself(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_the_document_has_the_routes_of_the_application(app: App) -> None:
    told = {(path, method.upper()) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert told == {(path, method) for path, (method, _) in app._routes.items()}


def test_the_document_has_the_error_codes_of_the_code() -> None:
    told = DOCUMENT["components"]["schemas"]["Error"]["properties"]["errorCode"]["enum"]
    assert told == sorted({code for _, code, _ in error_sites()})


def test_every_error_status_of_the_code_stands_at_the_call_that_is_judged() -> None:
    of_other_paths = {404, 405}
    told = {int(status) for status in DOCUMENT["paths"][ANALYZE]["post"]["responses"]}
    assert told == {200} | {status for status, _, _ in error_sites()} - of_other_paths


GOOD = msgspec.json.encode(request_with())
ANSWERS: list[tuple[str, str, bytes | None, tuple[tuple[bytes, bytes], ...], bytes, int]] = [
    ("POST", VALIDATE, b"", (BEARER,), VERSION, 200),
    ("POST", VALIDATE, b"", (BEARER,), b"", 400),
    ("POST", VALIDATE, b"", (), VERSION, 401),
    ("POST", VALIDATE, None, (BEARER,), VERSION, 408),
    ("POST", VALIDATE, b" " * 100_001, (BEARER,), VERSION, 413),
    ("POST", ANALYZE, GOOD, (BEARER,), VERSION, 200),
    ("POST", ANALYZE, msgspec.json.encode(request_with(SECRET)), (BEARER,), VERSION, 200),
    ("POST", ANALYZE, b"{", (BEARER,), VERSION, 400),
    ("POST", ANALYZE, GOOD, (), VERSION, 401),
    ("POST", ANALYZE, None, (BEARER,), VERSION, 408),
    ("POST", ANALYZE, b" " * 100_001, (BEARER,), VERSION, 413),
    ("GET", "/healthz", b"", (), b"", 200),
    ("GET", "/livez", b"", (), b"", 200),
    ("GET", "/readyz", b"", (), b"", 200),
    ("GET", "/metrics", b"", (), b"", 401),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "query", "status"),
    ANSWERS,
    ids=[f"{a[1]} {a[5]} {i}" for i, a in enumerate(ANSWERS)],
)
def test_an_answer_has_the_form_that_is_told(
    app: App, method: str, path: str, body: bytes | None, headers: Any, query: bytes, status: int
) -> None:
    given = ask(app, method, path, body, *headers, query=query)
    assert given.status == status
    validate(response_of(path, method, given), given.body)


@pytest.mark.parametrize(
    ("path", "method"), [(ANALYZE, "POST"), (VALIDATE, "POST"), ("/healthz", "GET"), ("/readyz", "GET")]
)
def test_an_answer_of_a_service_that_is_not_ready_has_the_form_that_is_told(path: str, method: str) -> None:
    given = ask(make_app(**ENTRA), method, path, GOOD, BEARER)
    assert given.status == 503
    validate(response_of(path, method, given), given.body)


@pytest.mark.parametrize("path", [ANALYZE, VALIDATE])
def test_an_internal_error_has_the_form_that_is_told(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = make_app()
    monkeypatch.setattr(broken.authenticator, "admit", lambda headers: 1 / 0)
    given = ask(broken, "POST", path, GOOD, BEARER)
    assert validate(response_of(path, "POST", given), given.body)["errorCode"] == 5000


@pytest.mark.parametrize(
    ("method", "path", "code"), [("POST", "/nowhere", 4004), ("GET", VALIDATE, 4005), ("POST", "/livez", 4005)]
)
def test_an_error_beside_the_paths_has_the_form_of_errors(app: App, method: str, path: str, code: int) -> None:
    given = ask(app, method, path, b"", BEARER)
    assert validate(DOCUMENT["components"]["schemas"]["Error"], given.body)["errorCode"] == code


@pytest.mark.parametrize("shape", ["extended", "documented", "legacy"])
def test_a_block_has_the_form_that_is_told_in_every_shape(shape: str) -> None:
    given = ask(
        make_app(SENTRA_RESPONSE_SHAPE=shape), "POST", ANALYZE, msgspec.json.encode(request_with(SECRET)), BEARER
    )
    told = validate(response_of(ANALYZE, "POST", given), given.body)
    assert told["blockAction"] is True
    assert ("blockedBy" in told) == (shape != "documented")
    assert isinstance(told["diagnostics"], dict) == (shape == "legacy")


@pytest.mark.parametrize("accept", [b"text/plain", b"application/openmetrics-text; version=1.0.0"])
def test_metrics_come_as_the_kinds_that_are_told(app: App, accept: bytes) -> None:
    given = ask(app, "GET", "/metrics", b"", (b"authorization", b"Bearer scrape"), (b"accept", accept))
    assert given.status == 200
    assert response_of("/metrics", "GET", given) == {"type": "string"}
    assert given.kind == accept.decode().partition(";")[0]


def test_the_document_is_served(app: App) -> None:
    assert ask(app, "GET", "/openapi.yaml") == Answer(200, "application/yaml", OPENAPI)
    assert Path(__file__).parent.parent.joinpath("sentra", "openapi.yaml").read_bytes() == OPENAPI


def lines(count: int) -> bytes:
    return b"".join(b"X%d: a\r\n" % number for number in range(count))


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"NO HTTP\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n" + lines(100) + b"\r\n", 431),
    ],
    ids=["malformed", "long address", "many headers"],
)
def test_what_the_http_server_refuses_has_no_body(server: Server, request_head: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as caller:
        caller.sendall(request_head)
        answer = b"".join(iter(lambda: caller.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("name", ["send-email", "create-table"])
def test_a_captured_request_has_the_form_that_is_told(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"]["AnalyzeRequest"]
    validate(schema, msgspec.json.encode(payload(name)))


@pytest.mark.parametrize("path", [VALIDATE, ANALYZE])
def test_the_path_prefix_adds_the_two_calls(path: str) -> None:
    prefixed = make_app(SENTRA_PATH_PREFIX="/api/agentSecurity")
    assert ask(prefixed, "POST", "/api/agentSecurity" + path, GOOD, BEARER).status == 200
    assert len(prefixed._routes) == len(DOCUMENT["paths"]) + 2
