"""A module imports only from rows above its own, and every source file has a test of its name."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "sentra").rglob("*.py"))
ROWS: dict[str, int] = {
    "__init__": 0,
    "errors": 0,
    "allowance": 0,
    "findings": 0,
    "confirm": 0,
    "normalize": 0,
    "log": 0,
    "line_queue": 0,
    "linear": 0,
    "segments": 0,
    "definitions": 0,
    "config_file": 0,
    "entra_help": 0,
    "arrival": 0,
    "walk": 0,
    "wire": 1,
    "config": 1,
    "engine": 1,
    "lexicon": 1,
    "domains": 1,
    "body": 2,
    "shares": 2,
    "limits": 3,
    "transport": 2,
    "calls": 2,
    "inspection": 2,
    "ruleset": 2,
    "operator_rules": 3,
    "entra": 2,
    "entra_keys": 3,
    "auth": 4,
    "known": 2,
    "locate": 3,
    "scanned": 4,
    "scanner": 5,
    "memory": 6,
    "plugins": 5,
    "cases": 6,
    "fingerprint": 2,
    "journal": 2,
    "pid_file": 2,
    "ports": 2,
    "snapshot": 2,
    "stopping": 2,
    "plain_lines": 2,
    "records": 2,
    "masking": 5,
    "pipeline": 6,
    "telemetry": 7,
    "metrics": 7,
    "assembly": 7,
    "operations": 8,
    "evaluate": 8,
    "app": 9,
    "server": 10,
    "worker": 11,
    "cli_entra": 11,
    "cli": 12,
    "__main__": 13,
}


def module(path: Path) -> str:
    """The top-level module of ``sentra`` that ``path`` belongs to."""
    return path.relative_to(ROOT / "sentra").parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Top-level modules of ``sentra`` that the file imports when it is loaded."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module == "sentra":
            found |= {alias.name if alias.name in ROWS else "__init__" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sentra."):
            found.add((node.module or "").split(".")[1])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_rows_above(path: Path) -> None:
    own = module(path)
    below = {name for name in imported(path) - {own} if ROWS[name] >= ROWS[own] and ROWS[own] > 0}
    assert not below


def test_every_module_has_its_row() -> None:
    assert {module(path) for path in SOURCES} == set(ROWS)


def test_no_python_file_is_over_400_lines() -> None:
    assert [path.name for path in SOURCES if path.read_text().count("\n") > 400] == []
