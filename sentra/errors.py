"""What can go wrong, each with a location in its message."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class SentraError(Exception):
    """Base of all errors that Sentra raises on purpose."""


class ConfigError(SentraError):
    """One or more mistakes of the operator; all that were found are reported together."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class EngineError(SentraError):
    """The scan engine does not find what it must find; nothing may be served with it."""


class RequestError(SentraError):
    """The caller's mistake: answered with the contract's error object, never judged.

    ``code`` is the contract's ``errorCode``, ``status`` the HTTP status. ``cause`` is for records, not for the caller.
    """

    def __init__(
        self, status: int, code: int, message: str, diagnostics: str | None = None, cause: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.diagnostics = diagnostics
        self.cause = cause


class LimitError(RequestError):
    """A request over a limit that an attacker can choose to exceed, so the operator may have set a verdict for it.

    ``limit`` is size, depth, segments, text, concurrency, bytes, wait or share.
    """

    def __init__(self, limit: str, status: int, code: int, message: str) -> None:
        super().__init__(status, code, message)
        self.limit = limit


class Refused(SentraError):
    """The caller is not admitted. ``cause`` is one word, for metrics and the log; the caller is told nothing of it."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@contextmanager
def collecting(problems: list[str]) -> Iterator[None]:
    """Gather a ``ConfigError`` into ``problems`` so that the next section is still checked."""
    try:
        yield
    except ConfigError as error:
        problems.extend(error.problems)


def raise_all(problems: list[str]) -> None:
    """Raise one ``ConfigError`` that carries every problem; nothing when there is none."""
    if problems:
        raise ConfigError(problems)
