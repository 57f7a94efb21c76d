"""The vocabulary as values: what was found, what a plugin says of it, what is decided."""

from enum import StrEnum
from typing import Literal

import msgspec

Source = Literal[
    "user_message", "thought", "history.user", "history.assistant", "tool_output", "input", "tool_description"
]
SOURCES: tuple[Source, ...] = (
    "user_message",
    "thought",
    "history.user",
    "history.assistant",
    "tool_output",
    "input",
    "tool_description",
)

Strength = Literal["strong", "weak"]


class Mode(StrEnum):
    """``enforce`` answers with the verdict; ``audit`` withholds every block and counts it."""

    ENFORCE = "enforce"
    AUDIT = "audit"


class Span(msgspec.Struct, frozen=True, gc=False):
    """Where a finding stands: the path of its text and byte offsets in that text's UTF-8 form.

    ``view`` names the decoded or normalised view that was read; then the offsets are those of the
    original run that the view was made from.
    """

    source: Source
    path: str
    start: int
    end: int
    view: str | None = None


class Evidence(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What may be shown of a finding; never the matched value itself."""

    source: Source
    path: str
    masked: str
    view: str | None = None
    fingerprint: str | None = None


class Finding(msgspec.Struct, frozen=True):
    """A confirmed match of one rule. ``value`` stays inside the process."""

    plugin: str
    rule_id: str
    reason: str
    span: Span
    value: str
    strength: Strength = "strong"
    reason_code: int | None = None
    blocks: bool = True

    def __repr__(self) -> str:
        return f"Finding({self.rule_id!r}, {self.span.path!r})"

    def evidence(self) -> Evidence:
        """The part of this finding that may leave the process."""
        return Evidence(self.span.source, self.span.path, mask(self.value), self.span.view)


class Verdict(msgspec.Struct, frozen=True):
    """One plugin's answer. ``finding`` is what a block rests on; ``noted`` is recorded and never blocks."""

    plugin: str
    block: bool = False
    reason_code: int = 0
    reason: str = ""
    rule_id: str | None = None
    finding: Finding | None = None
    noted: tuple[Finding, ...] = ()
    error: str | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The request's final answer and all that led to it.

    ``blocked`` is what the caller is told; ``withheld`` is true when audit mode turned a block into an allow.
    ``timings`` are milliseconds per phase, ``plugin_timings`` per plugin.
    """

    blocked: bool
    withheld: bool = False
    verdict: Verdict | None = None
    late: bool = False
    errors: tuple[str, ...] = ()
    noted: tuple[Finding, ...] = ()
    timings: dict[str, float] = msgspec.field(default_factory=dict)
    plugin_timings: dict[str, float] = msgspec.field(default_factory=dict)
    counts: dict[str, int] = msgspec.field(default_factory=dict)


def mask(value: str) -> str:
    """A form of ``value`` that tells its length and nothing else: ``****(40)``."""
    return f"****({len(value)})"
