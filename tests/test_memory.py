"""What patterns remember is bounded: over a mark the ones that were searched most forget."""

import random
from collections.abc import Iterator

from sentra.allowance import Allowance, never, no_clock
from sentra.findings import SOURCES
from sentra.inspection import Inspection, Segment
from sentra.locate import Compiled
from sentra.memory import ROOM, SECONDS, Relief, resident_bytes
from sentra.ruleset import Rule
from sentra.scanner import Scanner

WORDS = ("ash", "birch", "elm", "hornbeam", "blackthorn", "oak", "spindle", "walnut")


def rule(number: int, pattern: str = "") -> Compiled:
    return Compiled(Rule(id=f"exfil.word-{number}", title="Word", pattern=pattern or rf"\bword{number}\b"), SOURCES)


def search(compiled: Compiled, text: str) -> None:
    buffer = text.encode()
    compiled.search(buffer, 0, len(buffer), Allowance(len(buffer), never, no_clock))


def relief(*held: int, pace: float = 0.0) -> Relief:
    """One that sees ``held`` bytes look by look, by a clock that advances ``pace`` seconds each time."""
    readings: Iterator[int] = iter(held)
    times = iter(range(1_000))
    return Relief(lambda: next(readings), lambda: next(times) * pace)


def patterns(scanner: Scanner) -> list[object]:
    return [compiled.prepare() for compiled in scanner.rules]


def test_nothing_forgets_below_the_mark() -> None:
    scanner = Scanner([rule(1)])
    search(scanner.rules[0], "word1")
    before = patterns(scanner)
    assert relief(100, 99 + ROOM).look(scanner) == 0
    assert patterns(scanner) == before


def test_over_it_what_was_searched_is_compiled_anew() -> None:
    scanner = Scanner([rule(1), rule(2)])
    before = patterns(scanner)
    search(scanner.rules[1], "a word2")
    assert relief(0, ROOM, 0).look(scanner) == 1
    after = patterns(scanner)
    assert after[0] is before[0]
    assert after[1] is not before[1]
    assert scanner.rules[1].searched == 0
    (found,) = scanner.scan(Inspection([Segment("input", (None, "note"), "word2")])).findings("exfil")
    assert found.value == "word2"


def test_what_was_searched_most_comes_first_and_requests_do_not_wait_for_the_rest() -> None:
    scanner = Scanner([rule(number) for number in range(4)])
    for number, compiled in enumerate(scanner.rules):
        search(compiled, "text " * (number + 1))
    hurried = relief(0, ROOM, ROOM, ROOM, 0, pace=SECONDS)
    assert hurried.look(scanner) == 1
    assert [bool(compiled.searched) for compiled in scanner.rules] == [True, True, True, False]
    assert hurried.look(scanner) == 1
    assert [bool(compiled.searched) for compiled in scanner.rules] == [True, True, False, False]


def test_the_mark_moves_when_there_is_nothing_left_to_forget() -> None:
    scanner = Scanner([rule(1)])
    grown = relief(0, ROOM, ROOM, ROOM + 1, 2 * ROOM, 2 * ROOM)
    assert grown.look(scanner) == 0
    search(scanner.rules[0], "word1")
    assert grown.look(scanner) == 0
    assert grown.look(scanner) == 1


def test_the_mark_follows_what_is_given_back() -> None:
    scanner = Scanner([rule(1)])
    search(scanner.rules[0], "word1")
    shrunk = relief(ROOM, 0, ROOM, 0)
    assert (shrunk.look(scanner), shrunk.look(scanner)) == (0, 1)


def test_patterns_that_hostile_text_filled_give_their_memory_back() -> None:
    gap = "[^.]{0,20}[^.]{0,20}"
    scanner = Scanner(
        [rule(n, f"(?i)(?:{'|'.join(WORDS[:4])}){gap}(?:{'|'.join(WORDS[2:6])}){gap}stop{n}") for n in range(6)]
    )
    dice = random.Random(7)
    text = " ".join(dice.choices(WORDS, k=20_000))
    start = resident_bytes()
    for compiled in scanner.rules:
        search(compiled, text)
    grown = resident_bytes() - start
    assert grown > 40 << 20
    least = iter((0, ROOM, 0))
    assert Relief(lambda: next(least), lambda: 0.0).look(scanner) == len(scanner.rules)
    assert resident_bytes() - start < grown / 3
