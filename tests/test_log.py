"""The service's own log: JSON lines without request text."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from sentra.log import JsonFormatter, timestamp

VALUE = "matched-value-4417"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What a logger of its own writes through the formatter."""
    target = io.StringIO()
    handler = logging.StreamHandler(target)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("test.log")
    logger.addHandler(handler)
    logger.setLevel("DEBUG")
    yield target
    logger.removeHandler(handler)


log = logging.getLogger("test.log")


def entry(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    decoded: dict[str, Any] = msgspec.json.decode(line)
    return decoded


def test_a_record_is_one_line_of_json(stream: io.StringIO) -> None:
    log.warning("two\nlines of %s", "text", extra={"plugin": "pii", "ms": 1.5})
    told = entry(stream)
    assert told.pop("ts")[-1] == "Z"
    assert told == {
        "level": "warning",
        "logger": "test.log",
        "message": "two\nlines of text",
        "plugin": "pii",
        "ms": 1.5,
    }


def test_an_exception_is_its_type_and_frames_without_message_and_variables(stream: io.StringIO) -> None:
    try:
        held = VALUE
        raise ValueError(held)
    except ValueError:
        log.exception("failed")
    told = entry(stream)["exception"]
    assert told["type"] == "ValueError"
    assert told["frames"][0].endswith("in test_an_exception_is_its_type_and_frames_without_message_and_variables")
    assert "test_log.py:" in told["frames"][0]
    assert VALUE not in stream.getvalue()


def test_an_endless_recursion_leaves_a_short_entry(stream: io.StringIO) -> None:
    def recurse() -> None:
        recurse()

    try:
        recurse()
    except RecursionError:
        log.exception("failed")
    assert len(entry(stream)["exception"]["frames"]) == 40


def test_an_extra_that_is_no_json_is_named_by_its_type(stream: io.StringIO) -> None:
    log.info("odd", extra={"error": ValueError(VALUE), "thing": object()})
    assert (entry(stream)["error"], entry(stream)["thing"]) == ("ValueError", "object")


def test_an_extra_cannot_replace_a_member_of_its_own(stream: io.StringIO) -> None:
    log.info("true", extra={"ts": "false", "level": "false", "logger": "false"})
    assert entry(stream)["level"] == "info"
    assert entry(stream)["ts"] != "false"


def test_arguments_that_do_not_fit_are_told_not_raised() -> None:
    record = logging.makeLogRecord({"msg": "needs %d", "args": (VALUE,)})
    line = JsonFormatter().format(record)
    assert msgspec.json.decode(line)["message"] == "needs %d (with tuple that do not fit)"
    assert VALUE not in line


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "1970-01-01T00:00:00.000Z"), (1.2345, "1970-01-01T00:00:01.234Z")])
def test_a_timestamp_has_milliseconds_and_utc(seconds: float, text: str) -> None:
    assert timestamp(seconds) == text


def test_a_configured_process_logs_json_on_standard_error_only() -> None:
    code = (
        "import logging, warnings\nfrom sentra.log import configure_logging\n"
        "configure_logging('info')\nconfigure_logging('warning')\n"
        "logging.getLogger('a').info('hidden')\nlogging.getLogger('a').error('shown')\nwarnings.warn('warned')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    told = [msgspec.json.decode(line) for line in ended.stderr.splitlines()]
    assert ended.stdout == ""
    assert [entry["logger"] for entry in told] == ["a", "py.warnings"]
    assert told[0]["message"] == "shown"
