"""The plugins: what each is, and the one ordered tuple of those that are built in."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

from sentra.findings import Finding, Source, Verdict
from sentra.scanned import Scanned
from sentra.wire import AnalyzeRequest

PROMPT_SOURCES: tuple[Source, ...] = ("user_message", "history.user", "history.assistant", "input")


class Context(NamedTuple):
    """What a plugin judges: the request and what the scan of its text left to look at.

    ``body`` is the request as it was received, empty where nobody forwards it.
    """

    request: AnalyzeRequest
    scanned: Scanned
    body: bytes = b""


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


@runtime_checkable
class External(Protocol):
    """A stage that asks a service outside of the process: awaited, under the request's budget."""

    name: str
    reason_code: int

    def wanted(self, context: Context, earlier: Callable[[], list[Finding]]) -> bool:
        """Whether to ask at all; ``earlier`` gives the findings of the local plugins before this one."""
        ...

    async def ask(self, context: Context, seconds: float) -> Verdict:
        """The verdict within ``seconds``; what goes wrong is named in its ``error``."""
        ...

    def failed(self, kind: str) -> Verdict:
        """The verdict when the call failed for a reason outside of it, as when the budget ended first."""
        ...

    async def start(self) -> None:
        """Open connections for this event loop."""
        ...

    async def stop(self) -> None:
        """Close them."""
        ...

    def health(self) -> dict[str, Any]:
        """State of the service as this process sees it; no request text."""
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
