"""The service's own log: one JSON object for each line on standard error, without any value of a request."""

import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import msgspec

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encode = msgspec.json.Encoder(enc_hook=lambda value: type(value).__name__).encode
MAX_FRAMES = 40


def timestamp(seconds: float) -> str:
    """``seconds`` since 1970 in RFC 3339, UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class JsonFormatter(logging.Formatter):
    """Members ``ts``, ``level``, ``logger``, ``message``, then what ``extra`` added.

    An exception is its type and the file and line of each frame: its message and its variables may hold request text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON for ``record``; a record that cannot be formatted says so instead of failing."""
        entry: dict[str, Any] = {
            "ts": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _STANDARD | entry.keys()}
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, frames = record.exc_info
            entry["exception"] = {"type": kind.__qualname__, "frames": frame_lines(frames)}
        return _encode(entry).decode()


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} (with {type(record.args).__name__} that do not fit)"


def frame_lines(frames: TracebackType | None) -> list[str]:
    """``file:line in function`` of each frame, outermost first; only the innermost 40."""
    lines = [
        f"{frame.f_code.co_filename}:{number} in {frame.f_code.co_name}" for frame, number in traceback.walk_tb(frames)
    ]
    return lines[-MAX_FRAMES:]


def configure_logging(level: str) -> None:
    """Send this process's log records of ``level`` (debug, info, warning, error) and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
