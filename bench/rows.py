"""Results as rows: one JSON line for each figure, with commit, machine and versions, so that it can be judged later."""

import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parent.parent
_LIBRARIES = ("granian", "hyperscan", "google-re2", "msgspec", "uvloop")


class Stamp(msgspec.Struct, frozen=True):
    """Where and with what a row was measured. ``changed`` says that the tree differed from the commit."""

    commit: str
    changed: bool
    when: str
    machine: str
    python: str
    libraries: dict[str, str]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. ``values`` are the single measurements that ``value`` is the median of; ``more`` explains it."""

    name: str
    unit: str
    value: float
    values: tuple[float, ...] = ()
    more: dict[str, Any] = {}
    stamp: Stamp | None = None


@cache
def stamp() -> Stamp:
    """This machine, this tree, now."""
    return Stamp(
        commit=_git("rev-parse", "--short=12", "HEAD") or "unknown",
        changed=bool(_git("status", "--porcelain", "--", "sentra", "bench")),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=_machine(),
        python=platform.python_version(),
        libraries={name: version(name) for name in _LIBRARIES},
    )


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models) or 1} x {models[0] if models else platform.processor()}, {platform.system()} {platform.release()}"


def save(rows: Iterable[Row], path: Path) -> None:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def load(path: Path) -> list[Row]:
    """The rows of a file. Raises ``OSError`` and ``msgspec.DecodeError``."""
    return [msgspec.json.decode(line, type=Row) for line in path.read_bytes().splitlines() if line]


def newest() -> Path:
    """The newest file of results. Raises ``FileNotFoundError`` when there is none."""
    found = sorted(RESULTS.glob("*.jsonl"))
    if not found:
        raise FileNotFoundError(f"no results in {RESULTS.name}")
    return found[-1]


def compare(before: Iterable[Row], after: Iterable[Row]) -> list[str]:
    """A Markdown table of what both have: before, after, and their ratio."""
    earlier = {row.name: row for row in before}
    lines = ["| row | unit | before | after | ratio |", "|---|---|--:|--:|--:|"]
    for row in after:
        old = earlier.get(row.name)
        if old is not None and old.value:
            lines.append(f"| {row.name} | {row.unit} | {old.value:g} | {row.value:g} | {row.value / old.value:.2f} |")
    return lines


def table(rows: Iterable[Row]) -> list[str]:
    """Rows as a Markdown table."""
    return [
        "| row | value | unit |",
        "|---|--:|---|",
        *(f"| {row.name} | {row.value:g} | {row.unit}{_added(row)} |" for row in rows),
    ]


def _added(row: Row) -> str:
    shown = {name: value for name, value in row.more.items() if isinstance(value, (int, float))}
    return f" ({', '.join(f'{name} {value:g}' for name, value in shown.items())})" if shown else ""


_MARKED = re.compile(r"(<!-- bench:begin(?: (?P<rows>\S+))? -->).*?(<!-- bench:end -->)", re.DOTALL)


def rendered(text: str, rows: Iterable[Row]) -> str:
    """``text`` with the table of ``rows`` between its two marks; of those alone whose names the first mark gives.

    Raises ``ValueError`` when it has none.
    """
    marks = _MARKED.search(text)
    if marks is None:
        raise ValueError("no <!-- bench:begin --> and <!-- bench:end --> to stand between")
    wanted = [row for row in rows if fnmatchcase(row.name, marks["rows"] or "*")]
    return "\n".join([text[: marks.start()] + marks[1], *table(wanted), marks[3] + text[marks.end() :]])
