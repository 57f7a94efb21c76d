"""Rules made from the operator's configuration: policies, PII keywords and blocked domains."""

from collections.abc import Iterable, Iterator

import re2

from sentra.config import PolicyRule
from sentra.domains import canonical_domain, domain_pattern
from sentra.engine import UTF8, refusal
from sentra.errors import ConfigError, raise_all
from sentra.ruleset import Rule, bounded, pattern_problems


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
            pattern=f"{UTF8}(?i){pattern}",
            sources=("input",) if policy.arg is not None else None,
            tool=policy.tool,
            arg=policy.arg,
            reason_code=policy.reasonCode,
        )


def _refusals(pattern: str) -> Iterator[str]:
    faults = list(pattern_problems(f"{UTF8}(?i){pattern}"))
    yield from faults
    why = None if faults else refusal(f"{UTF8}(?i){pattern}")
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
    return Rule(id=identifier, title=title, pattern=domain_pattern(name), confirm=("domain_boundary",), group=group)
