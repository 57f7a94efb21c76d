"""Every example runs as its first lines say."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import environment, running

EXAMPLES = Path(__file__).parent.parent / "examples"
CONFIG = EXAMPLES / "policies" / "config.json"


def run(script: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


def test_the_policy_configuration_is_valid(tmp_path: Path) -> None:
    env = environment(tmp_path, SENTRA_PLUGIN_CONFIG=str(CONFIG))
    done = subprocess.run(
        [sys.executable, "-m", "sentra", "check"], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "companyDomain is not set" not in done.stderr


def test_the_crescendo_is_blocked_step_by_step(tmp_path: Path) -> None:
    with running(tmp_path, SENTRA_PLUGIN_CONFIG=str(CONFIG)) as server:
        lines = run("agent_crescendo.py", server.url)
    expected = ["allowed", "allowed", "111 exfil", "201 secrets", "112 email_bcc", "202 pii", "113 domain_block"]
    assert len(lines) == len(expected)
    assert [line for line, told in zip(lines, expected, strict=True) if told not in line] == []


def test_the_load_example_reports_percentiles(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        (line,) = run("load.py", server.url, "50", "1")
    assert line.startswith("50 answers; p50 ")
