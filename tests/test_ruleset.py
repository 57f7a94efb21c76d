"""What a pack must hold to: words that exist, and companions that something can lead to."""

from typing import Any

import pytest

from sentra.errors import ConfigError
from sentra.ruleset import Case, Combination, PackFile, Rule, expand, merge

CASES = (
    Case(name="one", text="one", match=["one"]),
    Case(name="two", text="one more", match=["one"]),
    Case(name="three", text="none", match=[], why="another word"),
    Case(name="four", text="gone", match=[], why="another word"),
)
SCANNED = Rule(id="exfil.scanned", title="Scanned", pattern=r"\bone\b", strength="weak", group=("lever",), case=CASES)
BOTH = Combination(id="exfil.both", title="Both", all=("lever", "exfil.beside"), case=CASES)


def companion(**changes: Any) -> Rule:
    members = {"strength": "weak", "companion": True, "case": CASES} | changes
    return Rule(id="exfil.beside", title="Beside", pattern=r"\bone\b", **members)


def problem(rules: tuple[Rule, ...], *combinations: Combination) -> str:
    with pytest.raises(ConfigError) as raised:
        merge("exfil", [PackFile(rules, combinations)])
    return str(raised.value)


def test_words_of_the_vocabulary_stand_for_their_alternatives() -> None:
    document = {"vocabulary": {"a": ["x", "xyz"]}, "rule": [{"id": "exfil.a", "pattern": "{{a}}1", "scan": "{{a}}"}]}
    (rule,) = expand(document)["rule"]
    assert (rule["pattern"], rule["scan"]) == ("(?:xyz|x)1", "(?:xyz|x)")


@pytest.mark.parametrize("key", ["pattern", "scan"])
def test_a_word_that_the_vocabulary_does_not_hold_is_an_error(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"exfil\.a: {{{{b}}}} in `{key}` is not in \[vocabulary\]"):
        expand({"vocabulary": {"a": ["x"]}, "rule": [{"id": "exfil.a", key: "{{a}}{{b}}"}]})


def test_a_companion_beside_a_scanned_rule_is_well() -> None:
    assert merge("exfil", [PackFile((SCANNED, companion()), (BOTH,))]).rules[1].companion


@pytest.mark.parametrize(
    ("rule", "combination", "expected"),
    [
        (companion(strength="strong"), BOTH, "a companion is weak and stable, and has no `scan`"),
        (companion(maturity="sandbox"), BOTH, "a companion is weak and stable, and has no `scan`"),
        (companion(scan="one"), BOTH, "a companion is weak and stable, and has no `scan`"),
        (companion(), None, "a companion needs a combination"),
        (
            companion(),
            Combination(id="exfil.both", title="Both", all=("exfil.beside", "exfil.beside"), case=CASES),
            "every entry in `all` has companions",
        ),
        (
            companion(),
            Combination(id="exfil.both", title="Both", all=BOTH.all, within="request", case=CASES),
            "expected `within` to be 'segment'",
        ),
    ],
)
def test_a_companion_that_could_never_be_looked_for_is_an_error(
    rule: Rule, combination: Combination | None, expected: str
) -> None:
    assert expected in problem((SCANNED, rule), *([combination] if combination else []))
