"""The scan engine: canaries, the cache on disk, refusals, and its agreement with RE2 on random patterns."""

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sentra import engine
from sentra.engine import CANARIES, UTF8, Database, ascii_pattern, cache_file, load_cached, refusal, self_test, store
from sentra.errors import ConfigError, EngineError
from sentra.ruleset import compile_pattern

PATTERNS = ["alpha", r"b[0-9]+"]


@pytest.mark.parametrize(("pattern", "text"), CANARIES)
def test_a_canary_is_found(pattern: str, text: str) -> None:
    assert Database([pattern]).scan(text.encode()) == [0]


def test_the_self_test_passes_with_this_engine() -> None:
    self_test()


def test_an_engine_that_misses_a_canary_must_not_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Database, "scan", lambda self, buffer: [])
    with pytest.raises(EngineError, match="must not judge anything"):
        self_test()


def test_a_pattern_fires_once_however_often_it_matches() -> None:
    assert Database(PATTERNS).scan(b"alpha alpha b1 b22 alpha") == [0, 1]


def test_no_patterns_fire_on_nothing() -> None:
    assert Database([]).scan(b"alpha") == []


def test_an_empty_buffer_has_no_match() -> None:
    assert Database(PATTERNS).scan(b"") == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(?i)straße", "HAUPTSTRAßE"),
        ("(?i)größe", "GRÖSSE GRÖßE"),
        ("(?i)пароль", "ПАРОЛЬ"),
        ("(?i)été", "ÉTÉ"),
        ("(?i)σοφ", "ΣΟΦ"),
        ("密码", "你的密码是"),
        ("[а-я]{3}", "ключ"),
        ("(*UTF8)(?i)kelvin", "\u212aelvin"),
        ("\U0001f511", "the \U0001f511"),
    ],
)
def test_a_pattern_beyond_ascii_fires(pattern: str, text: str) -> None:
    assert Database([pattern]).scan(text.encode()) == [0]


def test_a_pattern_beyond_ascii_is_written_with_code_points() -> None:
    assert ascii_pattern("aß\U0001f511") == rb"a\x{df}\x{1f511}"


def test_a_refused_pattern_is_named_with_the_reason() -> None:
    with pytest.raises(ConfigError, match=r"pattern '\(\?<=a\)b' is refused by the scan engine: .+"):
        Database(["alpha", "(?<=a)b"])


def test_all_refused_patterns_are_named_together() -> None:
    with pytest.raises(ConfigError) as caught:
        Database(["(?<=a)b", "alpha", r"(a)\1"])
    assert len(caught.value.problems) == 2


def test_an_accepted_pattern_has_no_refusal() -> None:
    assert refusal(r"\bAKIA[A-Z2-7]{16}\b") is None


def test_the_second_start_loads_what_the_first_one_compiled(tmp_path: Path) -> None:
    first, second = Database(PATTERNS, str(tmp_path)), Database(PATTERNS, str(tmp_path))
    assert (first.cached, second.cached, second.scan(b"b7")) == (False, True, [1])


def test_the_file_is_named_after_the_content(tmp_path: Path) -> None:
    names = {cache_file(patterns, str(tmp_path)).name for patterns in (PATTERNS, PATTERNS[::-1], ["alphab[0-9]+"])}
    assert len(names) == 3


def test_another_engine_version_has_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_file(PATTERNS, str(tmp_path))
    monkeypatch.setattr(engine, "_FORMAT", "another engine")
    assert cache_file(PATTERNS, str(tmp_path)) != before


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)


def _writable_by_others(path: Path) -> None:
    path.chmod(0o622)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [_truncate, _flip, _writable_by_others, _empty], ids=lambda harm: harm.__name__)
def test_a_file_that_cannot_be_trusted_is_compiled_again(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    Database(PATTERNS, str(tmp_path))
    harm(cache_file(PATTERNS, str(tmp_path)))
    again = Database(PATTERNS, str(tmp_path))
    assert (again.cached, again.scan(b"alpha")) == (False, [0])


def test_a_file_of_another_user_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(PATTERNS, str(tmp_path), b"blob")
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(tmp_path).st_uid + 1)
    assert load_cached(PATTERNS, str(tmp_path)) is None


def test_what_was_stored_is_loaded(tmp_path: Path) -> None:
    store(PATTERNS, str(tmp_path), b"blob")
    assert load_cached(PATTERNS, str(tmp_path)) == b"blob"


def test_a_stored_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    store(PATTERNS, str(tmp_path), b"blob")
    assert cache_file(PATTERNS, str(tmp_path)).stat().st_mode & 0o777 == 0o600


def test_no_partial_file_is_left(tmp_path: Path) -> None:
    store(PATTERNS, str(tmp_path), b"blob")
    assert [path.suffix for path in tmp_path.iterdir()] == [".hsdb"]


def test_a_folder_that_cannot_be_made_costs_nothing_but_time(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert Database(PATTERNS, str(blocked / "cache")).scan(b"alpha") == [0]


ATOMS = ["a", "b", "ab", "[ab]", "[^a]", ".", r"\d", r"\s", r"\b", r"\w", "(?:a|bc)", "(?:ab|b)", "-", "x1", r"\W", "é"]
QUANTIFIERS = ["", "", "", "*", "+", "?", "{2}", "{1,3}", "{0,4}"]
ALPHABET = "aabbcx1 -\né"


def random_pattern(chance: random.Random) -> str:
    parts = []
    for _ in range(chance.randint(2, 5)):
        atom = chance.choice(ATOMS)
        parts.append(atom + ("" if atom == r"\b" else chance.choice(QUANTIFIERS)))
    return chance.choice(["", UTF8]) + chance.choice(["", "(?i)", "(?s)"]) + "".join(parts)


def random_texts(chance: random.Random) -> list[bytes]:
    return ["".join(chance.choices(ALPHABET, k=chance.randint(1, 24))).encode() for _ in range(20)]


def differences(rounds: int, seed: int) -> tuple[int, list[tuple[str, bytes]]]:
    """How many matches RE2 found in random texts, and which of all answers the engine gave differently."""
    chance, matches, wrong = random.Random(seed), 0, []
    while rounds:
        pattern = random_pattern(chance)
        oracle = compile_pattern(pattern)
        if oracle.search(b"") is not None or refusal(pattern):
            continue
        rounds -= 1
        database = Database([pattern])
        for text in random_texts(chance):
            expected = oracle.search(text) is not None
            matches += expected
            if bool(database.scan(text)) != expected:
                wrong.append((pattern, text))
    return matches, wrong


def test_the_engine_agrees_with_re2_on_random_patterns() -> None:
    matches, wrong = differences(rounds=150, seed=20261122)
    assert (wrong, matches > 500) == ([], True)


def test_many_patterns_in_one_database_fire_as_each_does_alone() -> None:
    chance = random.Random(7)
    patterns: list[str] = []
    while len(patterns) < 60:
        pattern = random_pattern(chance)
        if (
            re.match(r"(?:\(\*UTF8\))?(?:\(\?[is]\))?[ab]", pattern)
            and compile_pattern(pattern).search(b"") is None
            and not refusal(pattern)
        ):
            patterns.append(pattern)
    together = Database(patterns)
    for text in random_texts(chance) * 3:
        expected = {number for number, pattern in enumerate(patterns) if compile_pattern(pattern).search(text)}
        assert set(together.scan(text)) == expected
