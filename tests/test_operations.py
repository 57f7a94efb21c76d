"""What operators ask of the service, on the main port and on one of their own."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import BEARER, QUERY, Server, all_started, eventually, free_port, request_with, running

TOKEN = "scrape-token-for-tests"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, httpx.Client]]:
    """A server with an operators' port and a token for metrics, and a client for that port."""
    folder, port = tmp_path_factory.mktemp("operations"), free_port()
    settings = {"SENTRA_OPS_PORT": str(port), "SENTRA_METRICS_TOKEN": TOKEN, "SENTRA_PLUGINS": "policy_pack"}
    with running(folder, **settings) as server, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        yield server, client


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/openapi.yaml"])
def test_both_ports_answer_operators(watched: tuple[Server, httpx.Client], path: str) -> None:
    server, client = watched
    assert [server.client.get(path).status_code, client.get(path).status_code] == [200, 200]


@pytest.mark.parametrize("path", ["/analyze-tool-execution", "/validate", "/metrics/", "/other"])
def test_the_operators_port_answers_nobody_else(watched: tuple[Server, httpx.Client], path: str) -> None:
    answer = watched[1].post(path + QUERY, json=request_with(), headers=BEARER)
    assert (answer.status_code, answer.json()["errorCode"]) == (404, 4004)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(f"Bearer {TOKEN}", 200), ("Bearer other", 401), (f"Basic {TOKEN}", 401), (TOKEN, 401), ("", 401)],
)
def test_metrics_ask_for_their_token_on_both_ports(
    watched: tuple[Server, httpx.Client], authorization: str, status: int
) -> None:
    server, client = watched
    headers = {"Authorization": authorization}
    answers = [httpx.get(f"{server.url}/metrics", headers=headers), client.get("/metrics", headers=headers)]
    assert [answer.status_code for answer in answers] == [status, status]
    assert ["sentra_requests_total" in answer.text for answer in answers] == [status == 200] * 2


def test_a_log_that_cannot_be_written_makes_the_service_unready_but_alive(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    with running(tmp_path, LOG_FILE=str(logs / "telemetry.jsonl"), SENTRA_PLUGINS="policy_pack") as server:
        all_started(server)
        logs.rename(tmp_path / "away")

        def answers(path: str) -> list[httpx.Response]:
            """Answers over connections of their own, each after a request that wants to be recorded."""
            judged = f"{server.url}/analyze-tool-execution{QUERY}"
            assert {httpx.post(judged, json=request_with(), headers=BEARER).status_code for _ in range(16)} == {200}
            return [httpx.get(server.url + path) for _ in range(16)]

        def all_are(path: str, status: int) -> bool:
            return {answer.status_code for answer in answers(path)} == {status}

        eventually(lambda: all_are("/readyz", 503), 30)
        assert {answer.json()["reason"] for answer in answers("/readyz")} == {"telemetry.jsonl cannot be written"}
        assert all_are("/livez", 200)
        (tmp_path / "away").rename(logs)
        eventually(lambda: all_are("/readyz", 200), 30)
