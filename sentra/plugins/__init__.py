"""The plugins: what each is, and the one ordered tuple of those that are built in."""

from typing import NamedTuple, Protocol

from sentra.findings import Finding, Source, Verdict
from sentra.scanner import Scanned
from sentra.wire import AnalyzeRequest

PROMPT_SOURCES: tuple[Source, ...] = ("user_message", "history.user", "history.assistant", "input")


class Context(NamedTuple):
    """What a plugin judges: the request and what the scan of its text left to look at."""

    request: AnalyzeRequest
    scanned: Scanned


class Plugin(Protocol):
    """One stage of the pipeline, a function of an inspection. It raises nothing for any request."""

    name: str
    reason_code: int

    def judge(self, context: Context) -> Verdict:
        """The verdict on one request."""
        ...

    def findings(self, context: Context) -> list[Finding]:
        """Everything that this plugin found, for masking."""
        ...


class Builtin(NamedTuple):
    """A built-in plugin: outward name, the contract's reason code, and the sources it reads by default."""

    name: str
    reason_code: int
    sources: tuple[Source, ...]


BUILTIN: tuple[Builtin, ...] = (
    Builtin("exfil", 111, ("user_message", "history.user", "tool_output", "tool_description")),
    Builtin("secrets", 201, PROMPT_SOURCES),
    Builtin("email_bcc", 112, ("input",)),
    Builtin("pii", 202, PROMPT_SOURCES),
    Builtin("domain_block", 113, PROMPT_SOURCES),
    Builtin("policy_pack", 700, PROMPT_SOURCES),
)
BY_NAME = {builtin.name: builtin for builtin in BUILTIN}
