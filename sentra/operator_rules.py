"""Rules made from the operator's configuration: policies, PII keywords and blocked domains."""

import re
from collections.abc import Iterable, Iterator

import idna
import re2

from sentra.config import PolicyRule
from sentra.engine import refusal
from sentra.errors import ConfigError, raise_all
from sentra.ruleset import Rule, bounded, pattern_problems

_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}")


def policy_rules(policies: Iterable[PolicyRule]) -> list[Rule]:
    """One rule for each alternative of each policy; policy N of the file has the id ``policy_pack.rule-N``.

    Raises ``ConfigError`` with every problem, each with its place in the file.
    """
    problems: list[str] = []
    rules: list[Rule] = []
    for number, policy in enumerate(policies, 1):
        place = f"policies[{number - 1}]"
        if not policy.contains and not policy.regex:
            problems.append(f"{place}: has neither contains nor regex, so it would never match; give at least one")
        for index, pattern in enumerate(policy.regex):
            problems.extend(f"{place}.regex[{index}]: {text}" for text in _refusals(pattern))
        rules.extend(_alternatives(policy, number))
    raise_all(problems)
    return rules


def _alternatives(policy: PolicyRule, number: int) -> Iterator[Rule]:
    patterns = [re2.escape(text) for text in policy.contains] + list(policy.regex)
    for pattern in patterns:
        yield Rule(
            id=f"policy_pack.rule-{number}",
            title=policy.reason or f"Policy {number} of the configuration",
            pattern=f"(?i){pattern}",
            sources=("input",) if policy.arg is not None else None,
            tool=policy.tool,
            arg=policy.arg,
            reason_code=policy.reasonCode,
        )


def _refusals(pattern: str) -> Iterator[str]:
    faults = list(pattern_problems(f"(?i){pattern}", shipped=False))
    yield from faults
    why = None if faults else refusal(f"(?i){pattern}")
    if why:
        yield f"pattern {pattern!r} is refused by the scan engine: {why}"


def keyword_rules(keywords: Iterable[str]) -> list[Rule]:
    """One rule for each PII keyword: the word as such, in any letter case."""
    return [
        Rule(
            id=f"pii.keyword-{number}",
            title=f"PII keyword {number} of the configuration",
            pattern=f"(?i){bounded(re2.escape(keyword))}",
            group=("KEYWORD",),
        )
        for number, keyword in enumerate(keywords, 1)
    ]


def domain_rules(domains: Iterable[str]) -> list[Rule]:
    """One rule for each blocked domain, its IDN spelling included. Raises ``ConfigError`` for what is no domain."""
    problems: list[str] = []
    rules: list[Rule] = []
    for number, entry in enumerate(domains, 1):
        try:
            name = canonical_domain(entry)
        except ConfigError as error:
            problems.extend(f"domainBlocklist[{number - 1}]: {problem}" for problem in error.problems)
            continue
        rules.append(
            domain_rule(f"domain_block.config-{number}", name, f"Blocked domain {number} of the configuration")
        )
    raise_all(problems)
    return rules


def domain_rule(identifier: str, name: str, title: str, group: tuple[str, ...] = ()) -> Rule:
    """The rule for the domain ``name`` (an A-label form) and its subdomains."""
    spellings = dict.fromkeys((name, _unicode_form(name)))
    pattern = "|".join(re2.escape(spelling) for spelling in spellings)
    return Rule(id=identifier, title=title, pattern=f"(?i)(?:{pattern})", confirm=("domain_boundary",), group=group)


def canonical_domain(entry: str) -> str:
    """The lower-case A-label form of a domain as people write it: ``*.Evil.COM.`` is ``evil.com``."""
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
