"""Real Presidio beside the real service: it blocks, it passes, it stops, it comes back.

Presidio has an environment of its own; `examples/presidio/README.md` has the line that makes it. Its Python is found
under ``.venv/presidio``, or where ``PRESIDIO_PYTHON`` says.
"""

import os
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Server, eventually, free_port, request_with, running

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "presidio"
PYTHON = Path(os.environ.get("PRESIDIO_PYTHON", ROOT / ".venv" / "presidio" / "bin" / "python"))
CARD = "please pay with 4012 8888 " + "8888 1881 today"
PLUGINS = "external_presidio,external_optional"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="Presidio is not installed: see examples/presidio/README.md and PRESIDIO_PYTHON"
)


@contextmanager
def presidio(port: int, folder: Path) -> Iterator[str]:
    """The example's Presidio on ``port``, ready to answer; stopped at the end."""
    command = [str(PYTHON), "-m", "granian", "--interface", "wsgi", "--port", str(port), "server:application"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    with (folder / "presidio.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=EXAMPLE, env=environ, stdout=log, stderr=log)
        try:
            eventually(lambda: process.poll() is not None or healthy(port), 60)
            assert process.poll() is None, (folder / "presidio.log").read_text()
            yield f"http://127.0.0.1:{port}/analyze"
        finally:
            process.terminate()
            process.wait(timeout=20)


def healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def configuration(port: int) -> dict[str, Any]:
    """The example's own file, asked here, and once more for a tool that goes on without an answer."""
    config = tomllib.loads((EXAMPLE / "sentra.toml").read_text())
    (definition,) = config["externalHttp"]
    definition |= {"url": f"http://127.0.0.1:{port}/analyze", "timeoutMs": 800, "when": {"tools": ["Closed"]}}
    optional = definition | {"name": "external_optional", "failOpen": True, "when": {"tools": ["Open"]}}
    return {"externalHttp": [definition, optional]}


def tool(name: str, text: str) -> dict[str, Any]:
    return request_with(text, toolDefinition={"id": name, "name": name})


def breakers(server: Server) -> set[str]:
    """The breaker's states that some answers of ``/healthz`` show; each comes from one worker."""
    answers = [httpx.get(f"{server.url}/healthz", timeout=5).json() for _ in range(8)]
    return {answer["external"]["external_presidio"]["breaker"] for answer in answers}


def errors(server: Server) -> set[str]:
    return {error for line in server.telemetry for error in line.get("errors", ())}


def test_presidio_decides_stops_and_comes_back(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, configuration(port), SENTRA_PLUGINS=PLUGINS) as server:
        with presidio(port, tmp_path):
            assert server.verdict(tool("Closed", "what is on my calendar today?")) == (False, None, None)
            assert server.verdict(tool("Closed", CARD)) == (True, 821, "external_presidio")
            assert server.verdict(tool("Open", CARD)) == (True, 821, "external_optional")
            assert server.verdict(tool("Closed", "call 212-555-0147")) == (False, None, None)
            in_input = tool("Closed", "hi") | {"inputValues": {"account": "GB33BUKB20201555555555"}}
            assert server.verdict(in_input) == (True, 821, "external_presidio")

        assert server.verdict(tool("Closed", "hello")) == (True, 821, "external_presidio")
        assert server.verdict(tool("Open", CARD)) == (False, None, None)
        eventually(lambda: "external_presidio: connect" in errors(server))
        eventually(lambda: server.verdict(tool("Closed", "hi"))[0] and "open" in breakers(server))
        eventually(
            lambda: server.verdict(tool("Closed", "hi"))[0] and "external_presidio: breaker_open" in errors(server)
        )

        with presidio(port, tmp_path):
            eventually(lambda: recovered(server), 30)
            assert server.verdict(tool("Closed", CARD)) == (True, 821, "external_presidio")
            assert server.verdict(tool("Open", CARD)) == (True, 821, "external_optional")


def recovered(server: Server) -> bool:
    return not server.verdict(tool("Closed", "hello"))[0] and breakers(server) == {"closed"}


def test_what_blocked_is_named_in_telemetry_without_its_value(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, configuration(port), SENTRA_PLUGINS=PLUGINS) as server, presidio(port, tmp_path):
        server.verdict(tool("Closed", CARD))
        eventually(lambda: "external_presidio.CREDIT_CARD" in (tmp_path / "telemetry.jsonl").read_text())
        assert "1881" not in (tmp_path / "telemetry.jsonl").read_text()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": 1}, 400),
        ({"text": ["a", 1]}, 400),
        ({"text": "a", "language": "xx"}, 400),
        ({"text": "a", "entities": ["NO_SUCH"]}, 400),
        ({"text": "a", "score_threshold": "high"}, 400),
        ([], 400),
        ({"text": ["", "nothing"]}, 200),
    ],
)
def test_the_example_server_answers_mistakes(example: str, body: Any, status: int) -> None:
    assert httpx.post(example, json=body, timeout=10).status_code == status


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with presidio(free_port(), tmp_path_factory.mktemp("presidio")) as url:
        yield url


def test_context_words_raise_a_score_without_a_model(example: str) -> None:
    def score(text: str) -> float:
        (result,) = httpx.post(example, json={"text": text, "entities": ["PHONE_NUMBER"]}, timeout=10).json()
        return float(result["score"])

    assert score("my phone is 212-555-0147") > score("the code is 212-555-0147")


def test_one_text_gives_one_list_and_several_give_one_each(example: str) -> None:
    options = {"entities": ["CREDIT_CARD"]}
    (found,) = httpx.post(example, json={"text": CARD} | options, timeout=10).json()
    assert found == {"entity_type": "CREDIT_CARD", "start": 16, "end": 35, "score": 1.0}
    assert httpx.post(example, json={"text": ["hello", CARD]} | options, timeout=10).json() == [[], [found]]
