"""Domain names as people write them, and the host lists of packs, which stand for one rule for each host.

A ``[[hosts]]`` table gives a group of hosts with where they were found and when, and cases with ``{host}`` in their text:
every host's rule gets them all.
"""

import re
from collections.abc import Iterator
from typing import Any

import idna
import msgspec
import re2

from sentra.errors import ConfigError

HOST = "{host}"
_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}")


class Hosts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[hosts]]`` table. ``links`` are hosts whose names are also file names: only a link or address to them counts."""

    group: str
    title: str
    source: str
    date: str
    case: list[dict[str, Any]]
    hosts: list[str] = []
    links: list[str] = []
    default: bool = True
    tags: list[str] = []


def expand_hosts(document: dict[str, Any]) -> None:
    """Replace the ``[[hosts]]`` tables of a pack's document by their rules. Raises ``msgspec.ValidationError``."""
    tables = [msgspec.convert(table, Hosts) for table in document.pop("hosts", ())]
    rules = [rule for table in tables for rule in _rules(table)]
    if rules:
        document["rule"] = [*document.get("rule", ()), *rules]


def _rules(table: Hosts) -> Iterator[dict[str, Any]]:
    for host in (*table.hosts, *table.links):
        name = canonical_domain(host)
        yield {
            "id": "domain_block." + re.sub(r"[^a-z0-9]+", "-", name),
            "title": f"{table.title}: {name}",
            "reason": table.title,
            "pattern": domain_pattern(name),
            "confirm": ["domain_boundary", *(["in_link"] if host in table.links else [])],
            "group": [table.group],
            "default": table.default,
            "tags": table.tags,
            "trust": f"listed host, on label boundaries ({table.source}, {table.date})",
            "case": [_case(case, name) for case in table.case],
        }


def _case(case: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: _filled(value, name) for key, value in case.items()}


def _filled(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_filled(item, name) for item in value]
    return value.replace(HOST, name) if isinstance(value, str) else value


def domain_pattern(name: str) -> str:
    """A pattern for the domain ``name`` (an A-label form) in any letter case, or in its Unicode form."""
    spellings = dict.fromkeys((name, _unicode_form(name)))
    return "(?i)(?:" + "|".join(re2.escape(spelling) for spelling in spellings) + ")"


def canonical_domain(entry: str) -> str:
    """The lower-case A-label form of a domain as people write it: ``*.Evil.COM.`` is ``evil.com``.

    Raises ``ConfigError`` for what is no domain.
    """
    name = entry.strip().lower().removeprefix("*.").strip(".")
    try:
        name = idna.encode(name, uts46=True).decode("ascii") if not name.isascii() else name
    except idna.IDNAError as error:
        raise ConfigError([f"{entry!r} is no domain: {error}"]) from None
    if not _DOMAIN.fullmatch(name):
        raise ConfigError([f"{entry!r} is no domain; expected one like 'example.org'"])
    return name


def _unicode_form(name: str) -> str:
    try:
        return idna.decode(name)
    except idna.IDNAError:
        return name
