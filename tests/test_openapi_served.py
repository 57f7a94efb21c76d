"""The running service keeps its own API document: generated requests, good and bad, against two workers."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml

from sentra.operations import OPENAPI
from tests.conftest import Server, running

DOCUMENT: dict[str, Any] = yaml.safe_load(OPENAPI)
EXAMPLES = 30
LEAST_CASES = 200
TOKEN = "test-token"


class Exchange(NamedTuple):
    """One request that was answered: the operation, the method used, the status."""

    operation: str
    method: str
    status: int


class Outcome(NamedTuple):
    """How schemathesis ended: its exit status, what it printed, and every request that it made."""

    status: int
    told: str
    exchanges: list[Exchange]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("schemathesis")
    with running(folder, STRICT_AUTH_ALLOWED_TOKENS=TOKEN, SENTRA_METRICS_TOKEN=TOKEN) as server:
        return asked(server, folder)


def asked(server: Server, folder: Path) -> Outcome:
    """What every check of schemathesis says of ``server``, with the bearer token and without it."""
    report = folder / "report.ndjson"
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{server.url}/openapi.yaml", "--no-color"]
    command += ["--checks", "all", "--max-examples", str(EXAMPLES), "--generation-deterministic"]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--continue-on-failure", "--suppress-health-check", "all"]
    command += ["--report", "ndjson", "--report-ndjson-path", str(report)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    lines = report.read_bytes().splitlines() if report.exists() else []
    exchanges = [exchange for line in lines for exchange in exchanges_of(msgspec.json.decode(line))]
    return Outcome(done.returncode, done.stdout + done.stderr, exchanges)


def exchanges_of(event: dict[str, Any]) -> Iterator[Exchange]:
    recorder = event.get("ScenarioFinished", {}).get("recorder", {})
    for interaction in recorder.get("interactions", {}).values():
        yield Exchange(recorder["label"], interaction["request"]["method"], interaction["response"]["status_code"])


def test_no_check_of_the_document_fails(outcome: Outcome) -> None:
    assert outcome.status == 0, outcome.told[-6000:]


def test_every_operation_was_asked(outcome: Outcome) -> None:
    told = {f"{m.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for m in methods}
    assert {exchange.operation for exchange in outcome.exchanges} == told - {"GET /openapi.yaml"}  # it was read first
    assert len(outcome.exchanges) >= LEAST_CASES


@pytest.mark.parametrize("status", [200, 400, 401, 405])
def test_judged_and_refused_requests_were_among_them(outcome: Outcome, status: int) -> None:
    analyzed = [exchange for exchange in outcome.exchanges if exchange.operation == "POST /analyze-tool-execution"]
    assert status in {exchange.status for exchange in analyzed}


def test_a_method_that_is_not_allowed_is_told_which_is(server: Server) -> None:
    answer = server.client.delete("/livez")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
