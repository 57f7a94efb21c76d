"""Blocks a mail tool whose blind copies leave the company."""

import re
from collections.abc import Iterator
from email.utils import getaddresses
from typing import Any

import idna

from sentra.findings import Finding, Span, Verdict
from sentra.inspection import Path, render
from sentra.plugins import BY_NAME, Context
from sentra.wire import AnalyzeRequest

RULE_ID = "email_bcc.external-recipient"
_BUILTIN = BY_NAME["email_bcc"]
MAX_RECIPIENTS, MAX_CHARS = 1_000, 100_000
MAX_ADDRESS, MAX_NESTED = 1_000, 10
_SPLIT = re.compile(r"[;,\r\n]+")


class EmailBcc:
    """Every address in any ``bcc`` argument of a mail tool must be in one of ``company_domains``.

    What cannot be parsed is not compliant; an empty value is. Subdomains count only if listed. More than 1,000 recipients
    or 100,000 characters of them are not compliant either: the work of reading them is bounded.
    """

    name = _BUILTIN.name
    reason_code = _BUILTIN.reason_code

    def __init__(self, company_domains: tuple[str, ...]):
        self._domains = frozenset(_ascii(domain) for domain in company_domains)

    def findings(self, context: Context) -> list[Finding]:
        """One finding for each ``bcc`` value that holds an address outside the company."""
        return list(self._found(context.request))

    def judge(self, context: Context) -> Verdict:
        """Block on the first finding."""
        for finding in self._found(context.request):
            return Verdict(self.name, True, _BUILTIN.reason_code, finding.reason, RULE_ID, finding)
        return Verdict(self.name)

    def _found(self, request: AnalyzeRequest) -> Iterator[Finding]:
        if "mail" not in f"{request.tool_id} {request.tool_name}".casefold():
            return
        if not _names_bcc(request.inputValues):
            return
        left, characters = MAX_RECIPIENTS, MAX_CHARS
        for path, value in bcc_values(request):
            characters -= len(value)
            parts = recipients(value) if characters >= 0 else []
            left -= len(parts)
            if min(left, characters) < 0 or not all(domain_of(part) in self._domains for part in parts):
                yield _finding(path, value)


def _names_bcc(value: Any) -> bool:
    """Whether some argument in ``value`` is a blind copy: most mails have none, and this is soon seen."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            for key, item in value.items():
                if _is_bcc(key):
                    return True
                if type(item) is not str:
                    pending.append(item)
        elif isinstance(value, list):
            pending += value
    return False


def bcc_values(request: AnalyzeRequest) -> Iterator[tuple[Path, str]]:
    """Path and text of everything that stands under an argument named ``bcc``, or ``.../bcc``, or ``....bcc``."""
    pending: list[tuple[Path, Any, bool]] = [((None, "inputValues"), request.inputValues, False)]
    while pending:
        path, value, inside = pending.pop()
        if isinstance(value, dict):
            pending.extend(((path, key), item, inside or _is_bcc(key)) for key, item in reversed(value.items()))
        elif isinstance(value, list):
            pending.extend(((path, index), value[index], inside) for index in range(len(value) - 1, -1, -1))
        elif inside and value is not None and value != "":
            yield path, value if isinstance(value, str) else str(value)


def _is_bcc(key: str) -> bool:
    name = key.strip().casefold()
    return name.endswith("bcc") and re.split(r"[/.]", name)[-1] == "bcc"


def recipients(value: str) -> list[str]:
    """The parts of ``value`` that must be an address each."""
    return [part.strip() for part in _SPLIT.split(_unquote_names(value)) if part.strip()]


def _unquote_names(value: str) -> str:
    """``value`` without quoted display names, which may hold separators: ``"Doe, Jane" <j@a.example>``."""
    return re.sub(r'"[^"]*"\s*(?=<)', "", value)


def domain_of(part: str) -> str:
    """The ASCII domain of the address ``part``, with or without a display name; ``""`` for what is no address."""
    if len(part) > MAX_ADDRESS or part.count(":") + part.count("(") > MAX_NESTED:  # for these the parser calls itself
        return ""
    addresses = getaddresses([part])
    address = addresses[0][1] if len(addresses) == 1 else ""
    local, at, domain = address.rpartition("@")
    if part.count("<") != part.count(">"):
        return ""
    if not at or not local or "@" in local or re.search(r"[\s<>()\[\]]", address) or part.count("@") != 1:
        return ""
    return _ascii(domain)


def _ascii(domain: str) -> str:
    name = domain.strip().lower().removesuffix(".")
    try:
        return name if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""


def _finding(path: Path, value: str) -> Finding:
    return Finding(
        plugin=_BUILTIN.name,
        rule_id=RULE_ID,
        reason="A blind copy goes to an address outside the company",
        span=Span("input", render(path), 0, len(value.encode("utf-8", "replace"))),
        value=value,
    )
