"""The one scan never says a false "no": it agrees with each rule alone, with RE2 and with ``re``.

For one segment, a rule fires in the one database whenever RE2 finds its pattern in the text; and only then, unless the
rule is scanned by a wider pattern of its own.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from sentra import ruleset
from sentra.engine import Database
from sentra.normalize import DECODERS
from sentra.plugins import BUILTIN
from sentra.ruleset import Rule, anchored, compile_pattern, database_pattern, scan_pattern
from tests.conftest import CACHE

GATES = tuple(
    Rule(id=f"gate.{number}", title=pattern, pattern=pattern)
    for number, pattern in enumerate(dict.fromkeys(decoder.pattern for decoder in DECODERS))
)
PACKS = {
    builtin.name: tuple(rule for rule in ruleset.shipped(builtin.name).rules if rule.pattern and not rule.companion)
    for builtin in BUILTIN
}
RULES = (*(rule for rules in PACKS.values() for rule in rules), *GATES)
EXACT = frozenset(rule.id for rule in RULES if database_pattern(rule) == rule.pattern)
BY_ID = {rule.id: rule for rule in RULES}
WITH_CASES = [rule for rule in RULES if rule.case]
# \s of ``re`` holds a vertical tab, that of RE2 does not; lone surrogates are no UTF-8.
LETTERS = st.characters(codec="utf-8", exclude_characters="\x0b")
FILLER = st.text(st.sampled_from(" \n\tax0_-.:/=\"'@é\u200b"), max_size=6)
EXAMPLES = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@cache
def together() -> Database:
    return Database([database_pattern(rule) for rule in RULES], CACHE)


@cache
def re2_pattern(rule_id: str) -> Any:
    return compile_pattern(BY_ID[rule_id].pattern)


def translated(pattern: str) -> re.Pattern[str]:
    """``pattern`` for ``re``, whose code points are written otherwise."""
    python = re.sub(r"\\x\{([0-9a-fA-F]+)\}", lambda found: f"\\U{int(found[1], 16):08x}", pattern)
    return re.compile(python, re.ASCII)


def fired(text: str) -> set[str]:
    return {RULES[number].id for number in together().scan(text.encode())}


def found_by_re2(text: str) -> set[str]:
    data = text.encode()
    return {rule.id for rule in RULES if re2_pattern(rule.id).search(data)}


def texts(rule: Rule) -> list[str]:
    return [case.joined if case.key is None else f"{case.key}: {case.joined}" for case in rule.case]


@pytest.mark.parametrize("rule", WITH_CASES, ids=lambda rule: rule.id)
def test_the_one_scan_says_of_cases_what_re2_says(rule: Rule) -> None:
    for text in texts(rule):
        scanned, found = rule.id in fired(text), bool(re2_pattern(rule.id).search(text.encode()))
        assert scanned == found if rule.id in EXACT else scanned >= found


@pytest.mark.parametrize("rule", WITH_CASES[::6], ids=lambda rule: rule.id)
def test_a_rule_alone_fires_on_its_cases_as_it_does_among_all(rule: Rule) -> None:
    alone = Database([database_pattern(rule)])
    assert [bool(alone.scan(text.encode())) for text in texts(rule)] == [rule.id in fired(text) for text in texts(rule)]


@pytest.mark.parametrize("rule", [rule for rule in WITH_CASES if rule.pattern.isascii()], ids=lambda rule: rule.id)
def test_re_says_of_cases_what_re2_says(rule: Rule) -> None:
    pattern = translated(rule.pattern)
    for text in texts(rule):
        assert bool(pattern.search(text)) == bool(re2_pattern(rule.id).search(text.encode()))


def made_text(data: st.DataObject, rules: Sequence[Rule]) -> str:
    """A text that holds a match of one of ``rules``, somewhere."""
    rule = data.draw(st.sampled_from(rules))
    made = data.draw(st.from_regex(translated(rule.pattern), fullmatch=True, alphabet=LETTERS))
    text = data.draw(FILLER) + made + data.draw(FILLER)
    assume("\x0b" not in text)
    return text


@pytest.mark.parametrize("pack", [name for name, rules in PACKS.items() if rules])
@EXAMPLES
@given(data=st.data())
def test_a_rule_that_is_scanned_by_its_own_pattern_fires_exactly_where_re2_finds_it(
    pack: str, data: st.DataObject
) -> None:
    text = made_text(data, [rule for rule in PACKS[pack] if rule.id in EXACT])
    assert fired(text) & EXACT == found_by_re2(text) & EXACT


@pytest.mark.parametrize("pack", ["exfil", "pii"])
@EXAMPLES
@given(data=st.data())
def test_a_rule_that_is_scanned_by_a_wider_pattern_is_never_missed(pack: str, data: st.DataObject) -> None:
    text = made_text(data, [rule for rule in PACKS[pack] if rule.id not in EXACT])
    assert found_by_re2(text) - fired(text) == set()


@EXAMPLES
@given(st.lists(st.sampled_from([text for rule in WITH_CASES for text in texts(rule)]), min_size=2, max_size=4))
def test_no_match_is_missed_where_cases_stand_together(parts: list[str]) -> None:
    text = "\n".join(parts)
    scanned, found = fired(text), found_by_re2(text)
    assert scanned & EXACT == found & EXACT


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("^dele(te|ting)$", "delete"), (r"\Aabc", "abc"), (r"abc\z", "abc"), ("(?i)^[$^]x$", "$X"), (r"a\$|^b", "a$")],
)
def test_an_anchored_pattern_is_scanned_without_its_anchors(pattern: str, text: str) -> None:
    assert anchored(pattern)
    assert Database([scan_pattern(pattern)]).scan(f"before {text} after".encode()) == [0]


def test_nearly_all_rules_are_scanned_as_they_are_located() -> None:
    assert len(EXACT) > 0.7 * len(RULES)
