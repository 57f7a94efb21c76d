"""The order of blame, the budget, and the neighbourhood of local and outside plugins; also under real overload."""

import asyncio
import gc
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from sentra.allowance import Late
from sentra.config import PolicyRule
from sentra.findings import Decision, Finding, Mode, Span, Verdict
from sentra.locate import Compiled
from sentra.operator_rules import policy_rules
from sentra.pipeline import Pipeline
from sentra.plugins import BY_NAME, Context
from sentra.plugins.external import ExternalHttp
from sentra.plugins.rulepack import RulePack
from sentra.scanner import Scanner
from sentra.wire import decode_request
from tests import external
from tests.conftest import eventually, request_with
from tests.external import decide, definition, pipeline_of, replies, run, service

BLOCK, ALLOW = b'{"block": true}', b'{"block": false}'


class Local:
    """A local plugin that answers as told; ``then`` is called when it judges."""

    reason_code = 9

    def __init__(self, name: str, block: bool = False, then: Callable[[], object] = lambda: None):
        self.name, self.block, self.then = name, block, then

    def judge(self, context: Context) -> Verdict:
        self.then()
        return Verdict(self.name, self.block, self.reason_code, "told to", f"{self.name}.rule")

    def findings(self, context: Context) -> list[Finding]:
        return [Finding(self.name, f"{self.name}.weak", "", Span("input", "inputValues", 0, 1), "x")]


class Outside:
    """An outside plugin without a network: answers after ``seconds``, or never."""

    reason_code = 801

    def __init__(self, name: str, block: bool = False, seconds: float = 0, fail_open: bool = True):
        self.name, self.block, self.seconds, self.fail_open = name, block, seconds, fail_open
        self.asked = self.cancelled = 0
        self.running = self.most = 0
        self.failure: Exception | None = None

    def wanted(self, context: Context, earlier: Callable[[], list[Finding]]) -> bool:
        return True

    async def ask(self, context: Context, seconds: float) -> Verdict:
        self.asked += 1
        Outside.now += 1
        Outside.peak = max(Outside.peak, Outside.now)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            Outside.now -= 1
        if self.failure:
            raise self.failure
        return Verdict(self.name, self.block, 801, "", f"{self.name}.block")

    now = peak = 0

    def failed(self, kind: str) -> Verdict:
        return Verdict(self.name, not self.fail_open, 801, "", f"{self.name}.error", error=kind)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def health(self) -> dict[str, Any]:
        return {"asked": self.asked}


def standing() -> float:
    """A clock on which every call starts in time, however long the machine pauses; the event loop ends them on its own."""
    return 0.0


def blamed(decision: Decision) -> str | None:
    return decision.verdict.plugin if decision.verdict else None


A_SLOW = 0.05
ORDERS: list[tuple[str, Sequence[Any], str | None]] = [
    ("nobody blocks", [Local("a"), Outside("x"), Local("b"), Outside("y")], None),
    ("the first outside block is blamed", [Outside("x", True), Outside("y", True)], "x"),
    ("though the second answers first", [Outside("x", True, A_SLOW), Outside("y", True)], "x"),
    ("the second where the first allows", [Outside("x", False, A_SLOW), Outside("y", True)], "y"),
    ("a local block before comes first", [Local("a", True), Outside("x", True)], "a"),
    ("a local block behind comes last", [Outside("x", True, A_SLOW), Local("a", True)], "x"),
    ("a local block behind is not hidden", [Outside("x", False, A_SLOW), Local("a", True)], "a"),
    ("an outside block behind a local one is not asked for", [Local("a", True), Outside("x", True)], "a"),
    ("calls around a local plugin", [Outside("x"), Local("a"), Outside("y", True)], "y"),
    ("a broken service that allows", [Outside("x", seconds=9), Local("a", True)], "a"),
    ("a broken service that blocks", [Outside("x", seconds=9, fail_open=False), Local("a", True)], "x"),
]


@pytest.mark.parametrize(("what", "plugins", "expected"), ORDERS, ids=[order[0] for order in ORDERS])
@pytest.mark.parametrize("concurrency", [1, 2, 8])
def test_the_configured_order_decides_who_is_blamed(
    what: str, plugins: Sequence[Any], expected: str | None, concurrency: int
) -> None:
    pipeline = pipeline_of(*plugins, clock=standing, external_concurrency=concurrency)
    decision = run(decide(pipeline, budget=0.4))
    assert (blamed(decision), decision.blocked) == (expected, expected is not None)


def test_every_combination_blames_the_first_that_blocks_alone() -> None:
    async def scenario() -> None:
        for blocks in itertools.product([False, True], repeat=4):
            first, second, third, fourth = blocks
            plugins = [Outside("a", first, 0.002), Local("b", second), Outside("c", third), Local("d", fourth)]
            expected = next((name for name, block in zip("abcd", blocks, strict=True) if block), None)
            assert blamed(await decide(pipeline_of(*plugins))) == expected

    run(scenario())


def test_a_local_block_before_keeps_a_service_from_being_asked() -> None:
    asked = Outside("x")
    run(decide(pipeline_of(Local("a", True), asked)))
    assert asked.asked == 0


def test_calls_that_no_longer_matter_are_cancelled() -> None:
    late = Outside("y", seconds=external.FOREVER)
    decision = run(decide(pipeline_of(Outside("x", True, A_SLOW), late)))
    assert (blamed(decision), late.cancelled) == ("x", 1)
    assert decision.errors == ()


def test_local_plugins_behind_are_judged_while_a_call_runs() -> None:
    outside = Outside("x", seconds=A_SLOW)
    seen: list[int] = []
    run(decide(pipeline_of(outside, Local("a", then=lambda: seen.append(outside.asked - outside.cancelled)))))
    assert seen == [1]


@pytest.mark.parametrize(("concurrency", "peak"), [(1, 1), (2, 2), (8, 4)])
def test_as_many_calls_run_at_once_as_configured(concurrency: int, peak: int) -> None:
    Outside.now = Outside.peak = 0
    run(decide(pipeline_of(*(Outside(name, seconds=0.02) for name in "wxyz"), external_concurrency=concurrency)))
    assert Outside.peak == peak


def test_a_call_pending_at_the_end_of_the_budget_has_failed() -> None:
    plugin = Outside("x", seconds=9, fail_open=False)
    decision = run(decide(pipeline_of(plugin, clock=standing), budget=0.05))
    assert decision.errors == ("x: budget",)
    assert (blamed(decision), decision.late) == ("x", False)


@pytest.mark.parametrize(("block_when_late", "expected"), [(False, None), (True, "deadline")])
def test_the_deadline_setting_decides_for_calls_that_never_ran(block_when_late: bool, expected: str | None) -> None:
    plugins = [Outside("x", seconds=9), Outside("y", True)]
    pipeline = pipeline_of(*plugins, clock=standing, external_concurrency=1, block_when_late=block_when_late)
    decision = run(decide(pipeline, budget=0.05))
    assert (blamed(decision), decision.late, plugins[1].asked) == (expected, True, 0)
    assert decision.errors == ("x: budget",)


@pytest.mark.parametrize(("block_when_late", "expected"), [(False, None), (True, "deadline")])
def test_the_deadline_setting_decides_for_local_plugins_that_never_ran(
    block_when_late: bool, expected: str | None
) -> None:
    spent: list[float] = []
    slow = Local("a", then=lambda: spent.append(0.06))
    plugins = [Outside("x", seconds=9), slow, Local("b", True)]
    pipeline = pipeline_of(*plugins, clock=lambda: sum(spent), block_when_late=block_when_late)
    decision = run(decide(pipeline, budget=0.05))
    assert (blamed(decision), decision.late) == (expected, True)


def test_a_failed_call_before_what_never_ran_is_blamed_first() -> None:
    plugins = [Outside("x", seconds=9, fail_open=False), Outside("y")]
    pipeline = pipeline_of(*plugins, clock=standing, external_concurrency=1, block_when_late=True)
    assert blamed(run(decide(pipeline, budget=0.05))) == "x"


def test_no_call_is_made_when_the_budget_is_used_up_before() -> None:
    asked = Outside("x", True)
    decision = run(decide(pipeline_of(asked), budget=0))
    assert (asked.asked, decision.late, decision.blocked) == (0, True, False)


def test_a_local_plugin_that_fails_beside_a_call_blocks() -> None:
    def fail() -> None:
        raise ValueError("with a value")

    decision = run(decide(pipeline_of(Outside("x"), Local("a", then=fail))))
    assert (blamed(decision), decision.errors) == ("a", ("a: ValueError",))


def test_a_plugin_that_fails_on_a_text_to_be_shown_masks_all_of_it() -> None:
    class Failing(Local):
        def findings(self, context: Context) -> list[Finding]:
            raise RecursionError

    pipeline = pipeline_of(Failing("a"))
    _, context = pipeline.decide(decode_request(msgspec.json.encode(request_with())), time.monotonic() + 9)
    assert pipeline.masked("inputValues.card", "input", context) == "****(16)"


def test_a_local_plugin_out_of_time_beside_a_call_is_late() -> None:
    def late() -> None:
        raise Late

    decision = run(decide(pipeline_of(Outside("x"), Local("a", then=late))))
    assert (decision.late, decision.errors, decision.blocked) == (True, (), False)


@pytest.mark.parametrize(("fail_open", "expected"), [(True, None), (False, "x")])
def test_a_mistake_in_a_call_is_a_failed_call(fail_open: bool, expected: str | None) -> None:
    broken = Outside("x", fail_open=fail_open)
    broken.failure = KeyError("with a value")
    decision = run(decide(pipeline_of(broken)))
    assert (blamed(decision), decision.errors) == (expected, ("x: KeyError",))


def test_audit_mode_withholds_an_outside_block() -> None:
    decision = run(decide(pipeline_of(Outside("x", True), mode=Mode.AUDIT)))
    assert (decision.blocked, decision.withheld, blamed(decision)) == (False, True, "x")


def test_what_was_called_is_timed() -> None:
    decision = run(decide(pipeline_of(Local("a"), Outside("x", seconds=0.02))))
    assert list(decision.timings) == ["segment", "scan", "confirm", "external"]
    assert list(decision.plugin_timings) == ["a", "x"]
    assert decision.timings["external"] >= decision.plugin_timings["x"] >= 19


def ticking(step: float = 0.001) -> Callable[[], float]:
    """A clock that goes on by ``step`` seconds each time that it is looked at."""
    ticks = itertools.count()
    return lambda: next(ticks) * step


@pytest.mark.parametrize(("text", "confirmed"), [("about a kestrel", 1), ("about nothing", 0)])
def test_confirming_is_the_time_of_the_plugins_that_have_candidates(text: str, confirmed: int) -> None:
    rules = policy_rules([PolicyRule(contains=("kestrel",), reasonCode=710)])
    scanner = Scanner([Compiled(rule, ("user_message",)) for rule in rules])
    plugins = [RulePack(BY_NAME["policy_pack"], rules), Local("other")]
    request = decode_request(msgspec.json.encode(request_with(text)))
    decision, _ = Pipeline(scanner, plugins, clock=ticking()).decide(request, 60.0)
    assert decision.timings["confirm"] == decision.plugin_timings["policy_pack"] * confirmed
    assert decision.plugin_timings["policy_pack"] > 0


def test_a_caller_that_goes_away_takes_its_calls_along() -> None:
    outside = Outside("x", seconds=external.FOREVER)

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await decide(pipeline_of(outside), budget=60)

    run(scenario())
    assert outside.cancelled == 1


def test_without_outside_services_both_ways_decide_alike() -> None:
    pipeline = pipeline_of(Local("a"), Local("b", True))
    request = external.context_of().request
    deadline = time.monotonic() + 5
    decision, _ = pipeline.decide(request, deadline)
    assert blamed(decision) == "b"
    assert blamed(run(decide(pipeline))) == "b"


def test_outside_services_cannot_be_asked_without_waiting() -> None:
    with pytest.raises(TypeError, match="decide_async"):
        pipeline_of(Outside("x")).decide(external.context_of().request, time.monotonic() + 5)


def test_one_pipeline_can_ask_from_one_event_loop_after_another(hostile: int) -> None:
    pipeline = bad_pipeline(hostile, "html", fail_open=True)
    request = external.context_of().request
    for _ in range(3):
        decision, _ = pipeline.decide_alone(request, time.monotonic() + 5)
        assert decision.errors == ("external_test: html",)
    decision, _ = pipeline_of(Local("a", True)).decide_alone(request, time.monotonic() + 5)
    assert blamed(decision) == "a"


def test_health_tells_of_each_outside_service() -> None:
    assert pipeline_of(Local("a"), Outside("x")).health() == {"x": {"asked": 0}}


def weak_only(**when: Any) -> bool:
    plugin = ExternalHttp(definition(when=when))
    document = request_with("hi", inputValues={"a": "text"})
    return plugin.wanted(external.context_of(document), lambda: Local("pii").findings(external.context_of()))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, True),
        ({"tools": ["Do-*"]}, True),
        ({"tools": ["do-thing"]}, True),
        ({"tools": ["x.action.*"]}, True),
        ({"tools": ["Send-*", "Mail-*"]}, False),
        ({"sources": ["input"]}, True),
        ({"sources": ["tool_output", "input"]}, True),
        ({"sources": ["tool_output"]}, False),
        ({"findings": ["pii.*"]}, True),
        ({"findings": ["secrets.*"]}, False),
        ({"tools": ["Do-*"], "sources": ["input"], "findings": ["pii.weak"]}, True),
        ({"tools": ["Do-*"], "sources": ["input"], "findings": ["other.*"]}, False),
    ],
)
def test_a_service_is_asked_only_when_its_conditions_hold(when: dict[str, Any], expected: bool) -> None:
    assert weak_only(**when) is expected


def test_only_findings_of_plugins_before_count_for_a_condition() -> None:
    async def scenario() -> list[int]:
        async with service(replies(ALLOW)) as policy:
            counts = []
            for names in (["a", "x"], ["x", "a"]):
                plugin = ExternalHttp(definition(policy.url(), name="external_x", when={"findings": ["a.weak"]}))
                pipeline = pipeline_of(*(plugin if name == "x" else Local(name) for name in names))
                before = len(policy.calls)
                await decide(pipeline)
                await pipeline.stop()
                counts.append(len(policy.calls) - before)
            return counts

    assert run(scenario()) == [1, 0]


# --- with real servers -------------------------------------------------------------------------------------------------


async def timed(pipeline: Pipeline, budget: float = 0.9) -> tuple[Decision, float]:
    started = time.monotonic()
    decision = await decide(pipeline, budget=budget)
    return decision, time.monotonic() - started


def test_two_services_of_300_ms_answer_together_in_the_order_of_blame() -> None:
    async def scenario() -> list[tuple[str | None, float]]:
        results = []
        async with service(replies(BLOCK, after=0.3)) as first, service(replies(BLOCK, after=0.3)) as second:
            services = [
                ExternalHttp(definition(policy.url(), name=f"external_{number}", timeoutMs=800))
                for number, policy in enumerate((first, second))
            ]
            for order in (services, services[::-1]):
                pipeline = pipeline_of(*order)
                decision, seconds = await timed(pipeline)
                results.append((blamed(decision), seconds))
            await pipeline.stop()
        return results

    results = run(scenario())
    assert [name for name, _ in results] == ["external_0", "external_1"]
    assert all(0.29 < seconds < 0.55 for _, seconds in results)


@pytest.fixture(scope="module")
def hostile() -> Iterator[int]:
    with external.hostile_process() as port:
        yield port


@pytest.mark.parametrize("fail_open", [True, False])
@pytest.mark.parametrize("behaviour", external.HOSTILE)
def test_whatever_a_service_does_the_verdict_is_in_time(hostile: int, behaviour: str, fail_open: bool) -> None:
    async def scenario() -> tuple[Decision, float]:
        url = f"http://127.0.0.1:{hostile}/{behaviour}"
        pipeline = pipeline_of(ExternalHttp(definition(url, failOpen=fail_open, timeoutMs=30_000)))
        result = await timed(pipeline, 0.3)
        await pipeline.stop()
        return result

    decision, seconds = run(scenario())
    assert seconds < 0.6
    assert decision.blocked is not fail_open
    assert len(decision.errors) == 1


def test_a_hanging_service_with_64_callers_does_not_slow_others() -> None:
    async def scenario() -> tuple[float, list[Decision]]:
        async with service(external.hang) as policy:
            hanging = ExternalHttp(definition(policy.url(), maxConcurrency=64, timeoutMs=400, failOpen=True))
            slow, quick = pipeline_of(hanging), pipeline_of(Local("a"))
            waiting = [asyncio.ensure_future(decide(slow)) for _ in range(64)]
            await policy.called.wait()
            times = []
            for _ in range(200):
                _, seconds = await timed(quick)
                times.append(seconds)
                await asyncio.sleep(0)
            decisions = await asyncio.gather(*waiting)
            await slow.stop()
            return sorted(times)[len(times) // 2], decisions

    median, decisions = run(scenario())
    assert median < 0.01
    assert {decision.errors for decision in decisions} == {("external_test: timeout",)}


def test_a_thousand_bad_calls_leak_neither_connections_nor_memory(hostile: int) -> None:
    async def one(pipeline: Pipeline, fail_open: bool, gate: asyncio.Semaphore) -> None:
        async with gate:
            decision, seconds = await timed(pipeline)
        assert decision.blocked is not fail_open
        assert len(decision.errors) == 1
        assert seconds < 0.9

    async def round_of(calls: int) -> None:
        gate = asyncio.Semaphore(64)
        pipelines = [bad_pipeline(hostile, name, bool(number % 2)) for number, name in enumerate(external.HOSTILE)]
        order = [(pipeline, bool(number % 2)) for number, pipeline in enumerate(pipelines)] * calls
        await asyncio.gather(*(one(pipeline, fail_open, gate) for pipeline, fail_open in order))
        for pipeline in pipelines:
            assert pipeline.health()["external_test"]["inFlight"] == 0
            await pipeline.stop()

    async def scenario() -> tuple[int, int]:
        await round_of(4)
        gc.collect()
        files, memory = open_files(), resident_bytes()
        await round_of(84)
        gc.collect()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return open_files() - files, resident_bytes() - memory

    files, memory = run(scenario())
    assert files <= 0
    assert memory < 40_000_000
    eventually(lambda: httpx.get(f"http://127.0.0.1:{hostile}/connections", timeout=10).text == "0")


def bad_pipeline(port: int, behaviour: str, fail_open: bool) -> Pipeline:
    options = {"maxConcurrency": 64, "timeoutMs": 100, "breaker": False, "failOpen": fail_open}
    return pipeline_of(ExternalHttp(definition(f"http://127.0.0.1:{port}/{behaviour}", **options)))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
