"""Labelled requests: the figures are right and nothing of a request's text is told."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from sentra.errors import ConfigError
from sentra.evaluate import evaluate, read, table
from tests.conftest import request_with
from tests.test_assembly import SECRET, assembled


def line(text: str, label: str, family: str = "secrets") -> bytes:
    return msgspec.json.encode({"request": request_with(text), "label": label, "family": family})


LINES = [
    line(f"use {SECRET}", "block"),
    line("a secret that no rule finds", "block"),
    line("hello", "allow"),
    line(f"benign {SECRET}", "allow", "business"),
]


def report(folder: Path, lines: list[bytes]) -> Any:
    return evaluate(assembled(folder, SENTRA_PLUGINS="secrets"), read(lines, "x.jsonl"))


def test_the_figures(tmp_path: Path) -> None:
    figures = report(tmp_path, LINES).as_json()
    assert figures["families"]["secrets"]["recall"] == 0.5
    assert figures["families"]["secrets"]["falsePositiveRate"] == 0.0
    assert figures["families"]["business"] == {
        "attacks": 0,
        "caught": 0,
        "benign": 1,
        "alarms": 1,
        "recall": None,
        "falsePositiveRate": 1.0,
        "precision": 0.0,
    }
    assert figures["total"]["precision"] == 0.5
    assert figures["rules"]["secrets.aws-access-key-id"]["alarms"] == 1


def test_misses_and_alarms_are_told_by_line_and_not_by_text(tmp_path: Path) -> None:
    text = "\n".join(table(report(tmp_path, LINES)))
    assert "missed: line 2 (secrets)" in text
    assert "false alarm: line 4 (business) secrets.aws-access-key-id at plannerContext.userMessage ****(20)" in text
    assert SECRET not in text


@pytest.mark.parametrize("bad", [b"{", b'{"request":{},"label":"maybe"}', b'{"label":"block"}', b"\xff"])
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, bad: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        report(tmp_path, [LINES[0], b"", bad])
    assert "x.jsonl:3" in str(caught.value)
