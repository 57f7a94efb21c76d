"""What must keep the service from starting, on the real command."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import environment, free_port, running

BROKEN_PACK = '[[rule]]\nid = "secrets.broken"\ntitle = "x"\npattern = "x"\n'


def serve(folder: Path, *, code: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
    """``sentra serve`` with ``code`` run before it; it must end by itself."""
    run = f"{code}\nfrom sentra.cli import main\nmain(['serve'])"
    env = environment(folder, SENTRA_WORKERS="2", **{"PORT": str(free_port())} | settings)
    return subprocess.run([sys.executable, "-c", run], env=env, capture_output=True, text=True, timeout=60)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    ended = serve(tmp_path, SENTRA_PLUGINS="exfil,secret", PORT="x", SENTRA_PLUGIN_BUDGT_MS="3")
    assert ended.returncode == 2
    assert "PORT: 'x'" in ended.stderr
    assert "SENTRA_PLUGIN_BUDGT_MS" in ended.stderr
    assert "SENTRA_PLUGIN_BUDGET_MS" in ended.stderr


def test_an_unknown_plugin_is_an_error(tmp_path: Path) -> None:
    ended = serve(tmp_path, SENTRA_PLUGINS="exfil,secret,exfil")
    assert ended.returncode == 2
    assert "'secret'" in ended.stderr
    assert "'exfil' is named twice" in ended.stderr


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        ended = serve(tmp_path, PORT=str(first.port))
    assert ended.returncode == 2
    assert "cannot listen" in ended.stderr


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("from sentra import engine\nengine.CANARIES = ((r'x{3}', 'no match here'),)", "the scan engine misses"),
        (
            f"from sentra import ruleset\nruleset._pack_files = lambda root, plugin: [('x.toml', {BROKEN_PACK!r})]",
            "needs 2 matching cases",
        ),
    ],
    ids=["failed self-test", "broken rule"],
)
def test_nothing_is_served_with(tmp_path: Path, code: str, told: str) -> None:
    ended = serve(tmp_path, code=code)
    assert ended.returncode == 2
    assert told in ended.stderr


def test_a_worker_whose_engine_fails_serves_nothing(tmp_path: Path) -> None:
    """The parent is healthy, the worker is not: the crash loop ends the service with a non-zero exit."""
    code = (
        "import os\nfrom sentra import engine, server\nparent, real = os.getpid(), engine.self_test\n"
        "def fail():\n    engine.CANARIES = ((r'x{3}', 'no match here'),)\n    real()\n"
        "import sentra.app\nsentra.app.self_test = fail"
    )
    ended = serve(tmp_path, code=code)
    assert ended.returncode == 1
    assert "the scan engine misses" in ended.stderr


def test_an_injected_kubernetes_name_is_only_a_warning(tmp_path: Path) -> None:
    with running(tmp_path, SENTRA_SERVICE_HOST="10.0.0.1", SENTRA_PORT="tcp://10.0.0.1:8080") as started:
        assert started.client.get("/livez").status_code == 200
    assert "SENTRA_SERVICE_HOST" in started.log
