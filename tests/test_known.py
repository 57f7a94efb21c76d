"""Texts that are known again: whatever was met before, the decision is that of a service that knows nothing."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from sentra import engine, ruleset
from sentra.allowance import no_clock
from sentra.assembly import assemble
from sentra.config import Settings
from sentra.findings import Source
from sentra.known import MOST_LED_TO, MOST_TEXTS, NOTHING, TOO_MUCH, Known, LedTo
from sentra.lexicon import Passage
from sentra.pipeline import Pipeline
from sentra.plugins import BUILTIN
from sentra.scanner import LEARN_SECONDS, LEARNABLE
from sentra.wire import AnalyzeRequest, decode_request
from tests.conftest import request_with
from tests.corpora.evasion import TRANSFORMS

ENTRIES = [entry for builtin in BUILTIN for entry in ruleset.shipped(builtin.name).entries]
CASES = sorted({case.joined for entry in ENTRIES for case in entry.case if len(case.joined) < 2_000})
PLAIN = ("The meeting moves to Tuesday.", "ada@example.com", "17", "Invoice 4711 of March", "Überweisung 12,50 €")
NEVER, KNOWN = float("inf"), 40_000


def drawn(dice: Random, pool: list[str]) -> AnalyzeRequest:
    def some(most: int) -> list[str]:
        return dice.choices(pool, k=dice.randrange(most))

    turns = [{"role": dice.choice(("user", "assistant")), "content": text} for text in some(4)]
    outputs = [{"toolId": "t", "outputs": [{"name": "note", "type": "String", "value": text}]} for text in some(4)]
    return request_of(
        plannerContext={"userMessage": dice.choice(pool), "chatHistory": turns, "previousToolsOutputs": outputs},
        inputValues={"body": some(3), "password": dice.choice(pool), "to": dice.choice(pool)},
        toolDefinition={"id": "x.action.Send", "name": "Send", "description": dice.choice(pool)},
    )


def request_of(*text: str, **more: Any) -> AnalyzeRequest:
    return decode_request(msgspec.json.encode(request_with(*text, **more)))


def told(pipeline: Pipeline, request: AnalyzeRequest) -> Any:
    """The verdict, and everything that was found in the request."""
    decision, context = pipeline.decide(request, NEVER)
    verdict = decision.verdict
    found = {(f.rule_id, f.span, f.value, f.strength) for f in pipeline.all_findings(context)}
    return decision.blocked, verdict and (verdict.rule_id, verdict.finding), found


def unhurried(known_texts: int) -> Pipeline:
    """One for which no work takes any time, so that all is found on a slow machine too."""
    pipeline = assemble(Settings(known_texts=known_texts)).pipeline
    pipeline.scanner.cpu = no_clock
    return pipeline


@pytest.fixture(scope="module")
def alike() -> tuple[Pipeline, Pipeline]:
    """One that knows texts again, few of them so that it forgets too, and one that does not."""
    return unhurried(400), unhurried(0)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_known_changes_no_verdict_and_no_finding(alike: tuple[Pipeline, Pipeline], seed: int) -> None:
    dice = Random(seed)
    hidden = [dice.choice(list(TRANSFORMS.values()))(text) for text in dice.sample(CASES, 12)]
    pool = [*PLAIN, *dice.sample(CASES, 25 if seed % 2 else 6), *(hidden if seed % 3 else [])]
    for _ in range(45):
        request = drawn(dice, pool)
        assert told(alike[0], request) == told(alike[1], request)


def test_each_text_of_a_rule_leads_to_the_same_when_it_is_known(alike: tuple[Pipeline, Pipeline]) -> None:
    learning, knowing = unhurried(10 * len(CASES)), alike[1]
    for start in range(0, len(CASES), 7):
        request = request_of(plannerContext={"previousToolsOutputs": CASES[start : start + 7]})
        expected = told(knowing, request)
        assert [told(learning, request) for _ in range(4)] == [expected] * 4, CASES[start : start + 7]


def test_a_text_met_a_third_time_is_not_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = assemble(Settings(known_texts=KNOWN)).pipeline
    sizes: list[int] = []
    scan = engine.Database.scan

    def counted(database: engine.Database, buffer: bytes) -> list[int]:
        sizes.append(len(buffer))
        return scan(database, buffer)

    monkeypatch.setattr(engine.Database, "scan", counted)
    request = request_of("Please write to ada@example.com about the budget.")
    costs = []
    for _ in range(4):
        sizes.clear()
        pipeline.decide(request, NEVER)
        costs.append(sum(sizes))
    assert costs[0] > 0
    assert costs[1] > costs[0]
    assert costs[2:] == [0, 0]


def test_little_time_is_spent_on_what_is_met_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = assemble(Settings(known_texts=KNOWN)).pipeline
    scanner, tried = pipeline.scanner, list[int]()
    led_to = scanner._led_to
    monkeypatch.setattr(scanner, "_led_to", lambda alone: tried.append(len(alone.texts[0])) or led_to(alone))
    scanner.cpu = lambda: LEARN_SECONDS * 0.4 * len(tried)
    texts = [f"mail to ada{number}@example.com" for number in range(9)] + ["mail ada@example.com " * (LEARNABLE // 20)]
    request = request_of(inputValues={"notes": texts})
    expected = told(unhurried(0), request)
    for turn in range(8):
        assert told(pipeline, request) == expected
        assert (len(tried) > 0) == (turn > 0)
        assert len(tried) <= 3 * turn
    assert max(tried) < LEARNABLE


def test_a_text_that_counts_in_one_argument_only_is_looked_at_each_time(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_bytes(msgspec.json.encode({"policies": [{"arg": "subject", "contains": ["nightjar"]}]}))
    pipeline = assemble(Settings(plugin_config=config, known_texts=KNOWN)).pipeline
    for name, blocked in [*[("note", False)] * 4, *[("subject", True)] * 4]:
        request = request_of("x", inputValues={name: {"text": "about nightjar"}})
        assert pipeline.decide(request, NEVER)[0].blocked == blocked


def test_a_value_is_not_taken_for_a_name_and_a_value(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_bytes(msgspec.json.encode({"policies": [{"regex": ["^nightjar"]}]}))
    pipeline = assemble(Settings(plugin_config=config, known_texts=KNOWN)).pipeline
    for values, blocked in [*[(["re: nightjar"], False)] * 4, *[({"re": "nightjar"}, True)] * 4]:
        request = request_of("x", inputValues=values)
        assert pipeline.decide(request, NEVER)[0].blocked == blocked


def ranges(texts: list[str], source: Source = "input") -> list[tuple[Source, tuple[int, int]]]:
    return [(source, (0, len(texts)))]


def test_a_text_is_new_then_met_again_then_known() -> None:
    memory, texts = Known(100), ["a", "b"]
    first = memory.meet(texts, ranges(texts))
    again = memory.meet(texts, ranges(texts))
    assert first is not None
    assert again is not None
    assert (first.unknown, first.again, first.known) == ([0, 1], [], [])
    assert (again.unknown, [number for _, number in again.again], again.known) == ([0, 1], [0, 1], [])
    led_to = LedTo((7,), (("orders", Passage(2.0, 0, 1)),))
    memory.learn(again.again[0][0], NOTHING)
    memory.learn(again.again[1][0], led_to)
    assert memory.meet(texts, ranges(texts)) == ([], [], [(1, led_to)])


def test_a_text_is_known_for_its_source_alone() -> None:
    memory = Known(100)
    for _ in range(2):
        met = memory.meet(["a"], ranges(["a"]))
    assert met is not None
    memory.learn(met.again[0][0], NOTHING)
    assert memory.meet(["a"], ranges(["a"], "tool_output")) == ([0], [], [])


@pytest.mark.parametrize("led_to", [TOO_MUCH, LedTo(tuple(range(MOST_LED_TO + 1)))])
def test_what_leads_to_much_is_always_scanned_and_not_tried_again(led_to: LedTo) -> None:
    memory = Known(100)
    for _ in range(2):
        met = memory.meet(["a"], ranges(["a"]))
    assert met is not None
    memory.learn(met.again[0][0], led_to)
    assert memory.meet(["a"], ranges(["a"])) == ([0], [], [])


def test_memory_is_bounded_and_keeps_what_is_met() -> None:
    memory = Known(100)
    memory.meet(["kept"], ranges(["kept"]))
    met = memory.meet(["kept"], ranges(["kept"]))
    assert met is not None
    memory.learn(met.again[0][0], NOTHING)
    for number in range(1_000):
        texts = ["kept", f"once {number}"]
        assert memory.meet(texts, ranges(texts)) == ([1], [], [])
        assert len(memory._young) + len(memory._old) <= 104
    for number in range(200):
        memory.meet([f"other {number}"], ranges([""]))
    assert memory.meet(["kept"], ranges(["kept"])) == ([0], [], [])


def test_it_is_off_where_it_does_not_pay() -> None:
    assert Known(0).meet(["a"], ranges(["a"])) is None
    many = ["a"] * (MOST_TEXTS + 1)
    assert Known(100).meet(many, ranges(many)) is None


@pytest.mark.parametrize(("seed", "trusted"), [("", True), ("random", True), ("0", False), ("42", False)])
def test_a_key_that_others_may_know_is_not_trusted(seed: str, trusted: bool) -> None:
    told = "from sentra.known import Known; print(Known(100).meet(['a'], [('input', (0, 1))]) is not None)"
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", told], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(trusted)
