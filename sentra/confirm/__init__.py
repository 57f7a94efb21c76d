"""Second looks at a candidate's match: pure functions by name.

A rule names its confirms as ``name``, ``name:argument`` or ``name>=number``, each with an optional ``not `` before it;
all of them must hold. A confirm is linear in the length of the match and of the bounded window around it.
"""

import re
from collections.abc import Callable
from typing import Any, Protocol

from sentra.errors import ConfigError
from sentra.findings import Source
from sentra.linear import Pattern

WINDOW_BYTES = 80
READS_CONTEXT = frozenset(
    {"any", "context", "label", "unlabelled", "iban", "card_number", "phone_international", "phone_north_american"}
    | {"named", "kr_resident"}
)
READS_OTHERS = frozenset({"planned"})
"""Confirms that read other texts of the request."""


class Hit:
    """A match under a second look.

    ``buffer`` is UTF-8; ``start``/``end`` delimit the value, ``low``/``high`` the segment that it stands in.
    Segments of named arguments read ``name: value``, so the argument's name is part of the window before the value.
    ``texts`` tells where in ``buffer`` the texts of each source stand, if that is known, and keeps what was ``found`` about
    places in it: a thousand values may stand in one column.
    """

    __slots__ = ("buffer", "context", "end", "found", "high", "low", "start", "texts", "value")

    def __init__(
        self,
        buffer: bytes,
        start: int,
        end: int,
        low: int,
        high: int,
        context: Pattern | None = None,
        texts: "Texts | None" = None,
    ):
        self.buffer, self.start, self.end, self.low, self.high = buffer, start, end, low, high
        self.context, self.texts = context, texts
        self.found: dict[Any, Any] = {} if texts is None else texts.found
        self.value = buffer[start:end].decode("utf-8", "replace")

    def before(self, size: int = WINDOW_BYTES) -> str:
        """Up to ``size`` bytes of the same segment that stand before the value."""
        return self.buffer[max(self.low, self.start - size) : self.start].decode("utf-8", "replace")

    def after(self, size: int = WINDOW_BYTES) -> str:
        """Up to ``size`` bytes of the same segment that stand after the value."""
        return self.buffer[self.end : min(self.high, self.end + size)].decode("utf-8", "replace")


class Texts(Protocol):
    """Where the texts of a request stand in one buffer, as an inspection knows it."""

    found: dict[Any, Any]

    def ranges_of(self, sources: tuple[Source, ...], /) -> list[tuple[int, int]]: ...

    def bounds(self, first: int, last: int, /) -> tuple[int, int]: ...


Confirm = Callable[[Hit], bool]
Factory = Callable[[str], Confirm]

REGISTRY: dict[str, Factory] = {}
_SPEC = re.compile(r"(?P<negated>not )?(?P<name>[a-z][a-z0-9_]*)(?:(?::|>=)(?P<argument>.+))?")


def confirm(check: Confirm) -> Confirm:
    """Register a check that takes no argument under its function's name."""
    REGISTRY[check.__name__.strip("_")] = lambda argument: check
    return check


def factory(make: Factory) -> Factory:
    """Register a function that makes a check from its argument, under the function's name."""
    REGISTRY[make.__name__.strip("_")] = make
    return make


def parse(spec: str) -> Confirm:
    """The check that ``spec`` names. Raises ``ConfigError`` for an unknown name or a bad argument."""
    parts = _SPEC.fullmatch(spec)
    if parts is None or parts["name"] not in REGISTRY:
        raise ConfigError([f"unknown confirm {spec!r}; expected one of {', '.join(sorted(REGISTRY))}"])
    try:
        check = REGISTRY[parts["name"]](parts["argument"] or "")
    except (ValueError, KeyError, AttributeError, ImportError) as error:
        raise ConfigError([f"bad argument in confirm {spec!r}: {error}"]) from None
    if parts["negated"]:
        return lambda hit: not check(hit)
    return check


@confirm
def context(hit: Hit) -> bool:
    """One of the rule's ``context`` words stands within 80 bytes before or 40 bytes after the value.

    Words inside names count too: ``ssn`` in ``customerSsn``, ``tax id`` in ``tax_id``.
    """
    if hit.context is None:
        return False
    low, high = max(hit.low, hit.start - WINDOW_BYTES), min(hit.high, hit.end + WINDOW_BYTES // 2)
    if hit.context.search(hit.buffer, low, hit.start) or hit.context.search(hit.buffer, hit.end, high):
        return True
    return any(hit.context.search(spoken(hit.buffer[a:b])) for a, b in ((low, hit.start), (hit.end, high)))


_NAME_PARTS = re.compile(
    rb"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z])(?=[0-9])|[_\-/\s]+|(?<=\w)\.(?=\w)"
)


def spoken(text: bytes) -> bytes:
    """``text`` with names split into words: ``customerSsn``, ``tax_id`` and ``tax-id`` become words between spaces."""
    return _NAME_PARTS.sub(b" ", text)


from sentra.confirm import (  # noqa: E402 - they register their checks
    addresses,  # noqa: F401
    assignments,  # noqa: F401
    cards,  # noqa: F401
    columns,  # noqa: F401
    dates,  # noqa: F401
    domains,  # noqa: F401
    encodings,  # noqa: F401
    identifiers,  # noqa: F401
    labels,  # noqa: F401
    names,  # noqa: F401
    national,  # noqa: F401
    phones,  # noqa: F401
    provenance,  # noqa: F401
    secrets,  # noqa: F401
    tokens,  # noqa: F401
    vendors,  # noqa: F401
    wallets,  # noqa: F401
    wording,  # noqa: F401
)
