"""Packages that the service rests on: few, each with a reason, each locked by its hashes."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = sorted(ROOT.glob("requirements*.lock"))
WORDS = {14: "Fourteen", 15: "Fifteen", 16: "Sixteen", 17: "Seventeen", 18: "Eighteen"}


def direct() -> list[str]:
    """Names of the packages that the service asks for itself."""
    return [re.split(r"[<>=~! ;\[]", wanted)[0] for wanted in PROJECT["project"]["dependencies"]]


def test_every_direct_dependency_has_its_reason() -> None:
    section = (ROOT / "docs/rationale.md").read_text().partition("## Core dependencies")[2].partition("\n## ")[0]
    told = [name.strip() for line in section.splitlines() for name in line.split("|")[1:2] for name in name.split(",")]
    assert sorted(set(told) - {"package", "---"}) == sorted(direct())


def test_security_tells_how_many_there_are() -> None:
    assert f"{WORDS[len(direct())]} packages at run time" in (ROOT / "SECURITY.md").read_text()


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_has_one_version_and_its_hashes(path: Path) -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n", "", path.read_text()).strip())
    assert len(entries) > 1
    for entry in entries:
        assert re.match(r"[A-Za-z0-9_.-]+==[\w.]+[ ;\\]", entry)
        assert "--hash=sha256:" in entry


def test_every_direct_dependency_is_locked() -> None:
    lock = (ROOT / "requirements.lock").read_text().lower()
    assert [name for name in direct() if not re.search(rf"(?m)^{re.escape(name.lower())}==", lock)] == []
