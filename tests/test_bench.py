"""The benchmark's own parts: bodies of the promised size, answers told apart."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench import external
from bench.__main__ import TRIES, measure
from bench.answers import Answer, problem
from bench.client import closed_loop, open_loop
from bench.guard import Budget, broken, budgets, unmet
from bench.layers import needs_literal
from bench.load import Late
from bench.requests import Case, cases, parse_size
from bench.rows import Row, compare, load, rendered, save, stamp
from tests.conftest import free_port

CASES = list(cases())


@pytest.mark.parametrize(("label", "size"), [("1.7k", 1740), ("64k", 65_536), ("1m", 1_048_576), ("300", 300)])
def test_a_size_label_counts_bytes(label: str, size: int) -> None:
    assert parse_size(label) == size


@pytest.mark.parametrize("case", [c for c in CASES if c.definition.text == "ordinary"], ids=lambda case: case.name)
def test_an_ordinary_body_has_exactly_its_size(case: Case) -> None:
    assert len(case.body()) == case.size


@pytest.mark.parametrize("case", [c for c in CASES if c.label == "64k"], ids=lambda case: case.name)
def test_a_hostile_body_is_nearly_as_large_as_told(case: Case) -> None:
    assert 0.85 * case.size <= len(case.body()) <= 1.2 * case.size


def test_a_body_is_the_same_each_time() -> None:
    for case in CASES:
        if case.label == "8k":
            assert case.body() == case.body()


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)


def test_an_ordinary_body_has_turns_outputs_and_metadata() -> None:
    body = next(c for c in CASES if c.name == "curated/ordinary/64k").body()
    request = msgspec.json.decode(body)
    planner = request["plannerContext"]
    assert len(planner["chatHistory"]) > 10
    assert len(planner["previousToolsOutputs"]) > 5
    assert request["conversationMetadata"]["agent"]["tenantId"]


@pytest.mark.parametrize(
    ("name", "got", "wrong"),
    [
        ("curated/policy/8k", Answer("block", reasonCode=710), False),
        ("curated/policy/8k", Answer("block", reasonCode=201), True),
        ("curated/policy/8k", Answer("allow"), True),
        ("curated/ordinary/8k", Answer("allow"), False),
        ("curated/ordinary/8k", Answer("block", reasonCode=202), True),
        ("worst/near-cards/64k", Answer("allow"), False),
        ("worst/near-cards/64k", Answer("block", reasonCode=202), False),
        ("worst/near-cards/64k", Answer("error", errorCode=4002), True),
        ("worst/digits/64k", Answer("block", reasonCode=202), True),
        ("worst/too-deep/64k", Answer("error", errorCode=4002), False),
        ("worst/too-deep/64k", Answer("error", errorCode=4001), True),
    ],
)
def test_an_answer_is_wrong_when_any_part_differs(name: str, got: Answer, wrong: bool) -> None:
    case = next(c for c in CASES if c.name == name)
    assert bool(problem(case, got)) is wrong


def row(name: str, value: float) -> Row:
    return Row(name=name, unit="x", value=value)


@pytest.mark.parametrize(
    ("budget", "value", "slack", "holds"),
    [
        (Budget("a", most=2.0), 2.0, 1.0, True),
        (Budget("a", most=2.0), 2.1, 1.0, False),
        (Budget("a", most=2.0), 2.9, 1.5, True),
        (Budget("a", most=2.0, held=4.0), 5.9, 1.5, True),
        (Budget("a", most=2.0, held=4.0), 6.1, 1.5, False),
        (Budget("a", most=2.0, held=4.0), 3.9, 1.0, True),
        (Budget("a", most=2.0, held=4.0), 4.1, 1.0, False),
        (Budget("a", least=0.6), 0.5, 1.0, False),
        (Budget("a", least=0.6), 0.5, 1.5, True),
        (Budget("a", least=0.6, held=0.2), 0.3, 1.0, True),
        (Budget("a", least=0.6, held=0.2), 0.1, 1.0, False),
    ],
)
def test_a_budget_holds_within_its_slack(budget: Budget, value: float, slack: float, holds: bool) -> None:
    assert (budget.broken_by(row("a", value), slack) == "") is holds


@pytest.mark.parametrize("budget", [Budget("a", most=2.0, held=4.0), Budget("a", least=6.0, held=1.0)])
def test_an_aim_is_told_until_it_is_met_whatever_is_held(budget: Budget) -> None:
    aim = budget.most or budget.least or 0.0
    assert f"{aim:g}" in budget.unmet_by(row("a", 3.0))
    assert budget.unmet_by(row("a", aim)) == ""


def test_what_is_lost_is_told_as_broken_and_not_as_held() -> None:
    lost, kept = row("ratio/curated/ordinary/1.7k", 1e6), row("ratio/curated/ordinary/8k", 2.3)
    assert any(lost.name in line for line in broken([lost, kept], quick=True))
    assert [line.partition(":")[0] for line in unmet([lost, kept], quick=True)] == [kept.name]


def test_what_is_held_is_short_of_the_aim() -> None:
    for budget in budgets():
        assert budget.held is None or budget.broken_by(row(budget.row, budget.held)) == ""
        assert budget.held is None or budget.unmet_by(row(budget.row, budget.held)) != ""


def test_a_budget_that_nothing_was_measured_for_is_broken() -> None:
    names = [budget.row for budget in budgets()]
    assert [line.partition(": ")[0] for line in broken([])] == names


def test_the_quick_guard_asks_for_the_ratios_alone() -> None:
    assert {line.partition("/")[0] for line in broken([], quick=True)} == {"ratio"}


def test_rows_come_back_from_a_file_as_they_were(tmp_path: Path) -> None:
    rows = [Row(name="a", unit="us", value=1.5, values=(1.0, 1.5, 2.0), more={"floor_us": 3.0}, stamp=stamp())]
    save(rows, tmp_path / "new" / "rows.jsonl")
    assert load(tmp_path / "new" / "rows.jsonl") == rows


def test_a_comparison_shows_what_both_have() -> None:
    table = compare([row("a", 2.0), row("b", 1.0)], [row("a", 3.0), row("c", 1.0)])
    assert table[2:] == ["| a | x | 2 | 3 | 1.50 |"]


def test_a_table_stands_between_its_marks() -> None:
    text = rendered("before\n<!-- bench:begin -->old<!-- bench:end -->\nafter", [row("a", 2.0)])
    assert text == (
        "before\n<!-- bench:begin -->\n| row | value | unit |\n|---|--:|---|\n| a | 2 | x |\n<!-- bench:end -->\nafter"
    )


def test_a_mark_may_ask_for_some_rows_alone() -> None:
    text = "<!-- bench:begin ratio/* -->old<!-- bench:end -->"
    assert rendered(text, [row("a", 2.0), row("ratio/b", 3.0)]).splitlines()[1:] == [
        "| row | value | unit |",
        "|---|--:|---|",
        "| ratio/b | 3 | x |",
        "<!-- bench:end -->",
    ]


def test_a_document_without_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="bench:begin"):
        rendered("no marks", [])


class Slow(asyncio.Protocol):
    """Answers every request at once but the third, which waits for the fourth to be due."""

    seen = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        type(self).seen += 1
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
        if type(self).seen == 3:
            asyncio.get_running_loop().call_later(0.25, self.transport.write, answer)  # type: ignore[attr-defined]
        else:
            self.transport.write(answer)  # type: ignore[attr-defined]


@pytest.fixture
def stalling() -> Iterator[int]:
    """The port of a server that stalls once."""
    port = free_port()
    ready, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with await asyncio.get_running_loop().create_server(Slow, "127.0.0.1", port):
            ready.set()
            await stop.wait()

    Slow.seen = 0
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    yield port
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def test_what_waits_behind_a_stall_is_measured_from_when_it_was_due(stalling: int) -> None:
    seen = open_loop(stalling, b"{}", rate=100, seconds=0.2, connections=1)
    assert (seen.answered, seen.errors, seen.p50 > 50) == (20, 0, True)


def test_a_closed_loop_tells_its_slowest_answer(stalling: int) -> None:
    seen = closed_loop(stalling, b"{}", total=20, connections=2)
    assert (seen.count, seen.errors, seen.slowest > 0.2) == (20, 0, True)


@pytest.mark.parametrize(("late", "rows"), [(0, ["a"]), (TRIES - 1, ["a"]), (TRIES, [])])
def test_a_suite_whose_generator_was_late_is_measured_once_more(late: int, rows: list[str]) -> None:
    tries = iter([*[True] * late, False])

    def suite(seconds: float) -> Iterator[Row]:
        if next(tries):
            raise Late("the generator was late")
        yield row("a", seconds)

    assert [each.name for each in measure({"tail": suite}, 1.0)] == rows


def test_outside_services_lead_to_their_verdicts() -> None:
    assert set(external.wrong_externals()) == {""}


def test_a_wrong_verdict_of_an_outside_service_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = external.External(name="wrong", delays=(1,), blocks=(False,), answer="block")
    monkeypatch.setattr(external, "definitions", lambda: (wrong,))
    (told,) = external.wrong_externals()
    assert told.startswith("external/wrong: expected block, got allow")


@pytest.mark.parametrize(
    ("pattern", "needs"),
    [
        (r"\bAKIA[A-Z2-7]{16}\b", True),
        (r"(?i)(?:send|forward) all", True),
        ("(*UTF8)stra\\x{df}e", True),
        (r"\b[0-9]{13,16}\b", False),
        (r"[a-z]+@[a-z]+", False),
        (r"(?:token|[0-9]{9})", False),
    ],
)
def test_a_pattern_that_needs_a_literal_is_told_from_one_that_does_not(pattern: str, needs: bool) -> None:
    assert needs_literal(pattern) == needs
