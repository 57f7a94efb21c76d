"""What the image is built from. `tests/container/run.sh` builds it and runs the result."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMANDS = (ROOT / "Containerfile").read_text().replace("\\\n", " ")


def test_the_build_backend_is_locked_as_the_project_asks_for_it() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    locked = re.findall(r"(?m)^([\w.-]+==\S+)", (ROOT / "requirements-build.lock").read_text())
    assert set(asked) - set(locked) == set()


def test_packages_are_installed_by_hash_or_from_what_was_built() -> None:
    installs = re.findall(r"\bpip (?:--python \S+ )?(?:install|wheel|download)\b[^&\n]*", COMMANDS)
    free = [
        line
        for line in installs
        if "--require-hashes" not in line and not {"--no-deps", "--no-index"} <= set(line.split())
    ]
    assert (len(installs), free) == (4, [])


def test_the_build_sees_exactly_what_is_copied() -> None:
    admitted = re.findall(r"(?m)^!(.+)$", (ROOT / ".dockerignore").read_text())
    copied = {source for line in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", COMMANDS) for source in line.split()}
    assert sorted(admitted) == sorted(copied)


def test_a_reload_inside_of_the_container_finds_the_service() -> None:
    environment = dict(re.findall(r"(SENTRA_\w+)=(\S+)", " ".join(re.findall(r"(?m)^ENV (.+)$", COMMANDS))))
    assert environment["SENTRA_PID_FILE"].startswith("/tmp/")


def test_the_service_needs_nothing_that_is_left_out() -> None:
    left_out = {f"phonenumbers.{name}" for name in re.findall(r"\*/phonenumbers/(\w+)", COMMANDS)}
    script = "import sys, sentra.cli, sentra.server, sentra.worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert left_out == {"phonenumbers.geodata", "phonenumbers.carrierdata", "phonenumbers.tzdata"}
    assert {name for name in loaded if name.startswith(tuple(left_out))} == set()
    assert "phonenumbers" in loaded
