"""Telemetry lines of plain allows and of refusals: all that is the same in each of them is encoded once.

A form is made from a whole record as the encoder gave it, so it has every member of a record in its order; further lines
are that form with other values filled in.
"""

from typing import Any, NamedTuple

import msgspec

from sentra.findings import Decision
from sentra.wire import Identity

MAX_FORMS = 64

_encode = msgspec.json.Encoder().encode
_WHO = frozenset(msgspec.json.decode(_encode(Identity())))
_SLOTS = {"ts": b'"%b"', "correlationId": b"%b", "latencyMs": b"%.3f", "droppedBefore": b"%d"}
_MAPPINGS = {"phases": b"%.3f", "pluginTimings": b"%.3f", "counts": b"%d"}

Shape = tuple[str, ...]


class Plain(NamedTuple):
    """What differs from one plain line to the next, and by what a refusal differs from an allow; times in milliseconds."""

    stamp: str
    correlation_id: str | None
    identity: Identity
    total: float
    auth: float
    decode: float | None
    lost: int
    decision: Decision
    digest: str
    error_code: int | None = None

    @property
    def shape(self) -> Shape:
        """What it has in common with others of the same form."""
        decision = self.decision
        return (
            self.digest,
            f"{self.error_code}",
            *decision.errors,
            "",
            *decision.timings,
            "",
            *decision.plugin_timings,
            "",
            *decision.counts,
        )

    @property
    def times(self) -> dict[str, float]:
        """Where the time went, by phase."""
        timings, plugin_timings = self.decision.timings, self.decision.plugin_timings
        decode = {} if self.decode is None else {"decode": self.decode}
        plugins = {}
        if plugin_timings:
            plugins["plugins"] = max(0.0, sum(plugin_timings.values()) - timings.get("confirm", 0.0))
        return {"auth": self.auth, **decode, **timings, **plugins, "total": self.total}


class PlainLines:
    """Writes lines in the forms that it has learned: one for each configuration, as far as their names are the same."""

    def __init__(self) -> None:
        self._forms: dict[Shape, bytes | None] = {}

    def line(self, plain: Plain) -> bytes | None:
        """The telemetry line, or nothing when no form for it is known."""
        form = self._forms.get(plain.shape)
        if form is None:
            return None
        return form % (
            plain.stamp.encode(),
            _encode(plain.correlation_id),
            _encode(plain.identity)[1:-1],
            plain.total,
            *plain.times.values(),
            *plain.decision.plugin_timings.values(),
            plain.lost,
            *plain.decision.counts.values(),
        )

    def learn(self, plain: Plain, line: bytes) -> None:
        """Make a form of ``line``, for others like it, unless a member is missing in it."""
        if len(self._forms) >= MAX_FORMS:
            self._forms.clear()
        record: dict[str, Any] = msgspec.json.decode(line)
        if list(record["phases"]) == list(plain.times):
            self._forms[plain.shape] = _form(record)


def _form(record: dict[str, Any]) -> bytes:
    parts = []
    for name, value in record.items():
        if name in _MAPPINGS:
            slots = (_fixed(key) + b":" + _MAPPINGS[name] for key in value)
            parts.append(_fixed(name) + b":{" + b",".join(slots) + b"}")
        elif name not in _WHO:
            parts.append(_fixed(name) + b":" + (_SLOTS.get(name) or _fixed(value)))
        elif b"%b" not in parts:  # all that tells who asked stands together
            parts.append(b"%b")
    return b"{" + b",".join(parts) + b"}"


def _fixed(value: Any) -> bytes:
    return _encode(value).replace(b"%", b"%%")
