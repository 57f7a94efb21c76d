"""What the tests share: request builders and the real server on a free port."""

import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

PAYLOADS = Path(__file__).parent / "payloads"
QUERY = "?api-version=2025-05-01"
BEARER = {"Authorization": "Bearer test-token", "Content-Type": "application/json"}
START_SECONDS = 90
CACHE = str(Path(tempfile.gettempdir()) / f"sentra-test-cache-{os.getuid()}")


def payload(name: str = "send-email") -> dict[str, Any]:
    """A captured request, free to change."""
    document: dict[str, Any] = msgspec.json.decode((PAYLOADS / f"captured-{name}.json").read_bytes())
    return document


def request_with(text: str = "hello", **changes: Any) -> dict[str, Any]:
    """A minimal request whose user message is ``text``."""
    return {
        "plannerContext": {"userMessage": text},
        "toolDefinition": {"id": "x.action.Do-Thing", "name": "Do-Thing"},
        "inputValues": {},
    } | changes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A running ``sentra serve`` and a client for it."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", port: int, folder: Path, trust: ssl.SSLContext | None = None
    ):
        self.process, self.port, self.folder = process, port, folder
        self.url = f"{'https' if trust else 'http'}://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, headers=BEARER, timeout=10, verify=trust or False)

    def analyze(self, request: Any, **options: Any) -> httpx.Response:
        body = request if isinstance(request, (bytes, Iterator)) else msgspec.json.encode(request)
        return self.client.post(f"/analyze-tool-execution{QUERY}", content=body, **options)

    def verdict(self, request: Any) -> tuple[bool, int | None, str | None]:
        """blockAction, reasonCode and blockedBy of the answer."""
        answer = self.analyze(request).raise_for_status().json()
        return answer["blockAction"], answer.get("reasonCode"), answer.get("blockedBy")

    def stop(self) -> int:
        self.client.close()
        self.process.terminate()
        return self.process.wait(timeout=20)

    @property
    def log(self) -> str:
        return (self.folder / "stderr.log").read_text()

    @property
    def telemetry(self) -> list[dict[str, Any]]:
        """Every telemetry line so far; a reader may see the beginning of one that is just being written."""
        *lines, _ = (self.folder / "telemetry.jsonl").read_bytes().split(b"\n")
        return [msgspec.json.decode(line) for line in lines]


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a child: none of this process's settings, and its own folders."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(("SENTRA_", "LOG_", "AUDIT_"))}
    return (
        base | {"SENTRA_CACHE_DIR": CACHE, "HOST": "127.0.0.1", "LOG_FILE": str(folder / "telemetry.jsonl")} | settings
    )


@contextmanager
def running(
    folder: Path, config: Any = None, *, trust: ssl.SSLContext | None = None, module: str = "sentra", **settings: str
) -> Iterator[Server]:
    """``sentra serve`` with two workers, ready to answer; stopped and its port closed at the end.

    With ``trust`` it is spoken to by TLS. ``module`` runs in place of the service's own.
    """
    port = int(settings.get("PORT", free_port()))
    env = environment(folder, **({"SENTRA_WORKERS": "2", "PORT": str(port)} | settings))
    if config is not None:
        (folder / "config.json").write_bytes(msgspec.json.encode(config))
        env["SENTRA_PLUGIN_CONFIG"] = str(folder / "config.json")
    with (folder / "stdout.log").open("wb") as out, (folder / "stderr.log").open("wb") as err:
        process = subprocess.Popen([sys.executable, "-m", module, "serve"], env=env, stdout=out, stderr=err)
        server = Server(process, port, folder, trust)
        try:
            wait_ready(server)
            yield server
        finally:
            server.client.close()
            if process.poll() is None:
                server.stop()


def wait_ready(server: Server) -> None:
    """Ask until the service says that it is ready."""

    def ready() -> bool:
        if server.process.poll() is not None:
            raise AssertionError(f"the server ended with {server.process.returncode}: {server.log}")
        try:
            return server.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    eventually(ready, START_SECONDS)


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for ``condition``, at most ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"did not come true within {seconds} s")
        time.sleep(0.02)


def all_started(server: Server, workers: int = 2) -> None:
    """Wait until every worker has started: the service is ready with the first."""
    eventually(lambda: (server.folder / "stderr.log").read_text().count("Started worker-") == workers, 30)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the default plugins and a policy, shared by the tests that do not change it."""
    config = {
        "companyDomain": "example.com",
        "domainBlocklist": ["evil.com"],
        "policies": [{"contains": ["Project Falcon"], "reasonCode": 710, "reason": "internal project name"}],
    }
    with running(tmp_path_factory.mktemp("server"), config) as started:
        yield started
