"""Limits on what a worker takes on, and the verdicts that an operator may set for what is over them."""

import asyncio
import contextlib
import select
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentra.app import App, create_app
from sentra.arrival import Arrivals
from sentra.body import DISCARD_BYTES, discard
from sentra.calls import Call, Reply
from sentra.config import Settings, load_settings
from sentra.errors import LimitError
from sentra.findings import Decision
from sentra.limits import Client, Gate, Turn, check_shape
from sentra.wire import decode_request
from tests.conftest import CACHE, Server, eventually, request_with, running
from tests.load import closed_loop
from tests.stress.service import metric
from tests.test_protocol import statuses

SMALL = {"SENTRA_MAX_REQUEST_BYTES": "20000", "SENTRA_MAX_DEPTH": "20", "SENTRA_MAX_SEGMENTS": "200"}


def nested(depth: int, value: Any = "x") -> Any:
    """``value`` inside so many lists and objects by turns."""
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def refused(request: dict[str, Any], **settings: Any) -> str | None:
    """The limit that a request is over, once decoded."""
    body = msgspec.json.encode(request)
    try:
        check_shape(decode_request(body), body, Settings(**settings))
    except LimitError as error:
        return error.limit
    return None


@pytest.mark.parametrize(
    ("request_body", "limit"),
    [
        (request_with(), None),
        (request_with(inputValues=nested(18)), None),
        (request_with(inputValues=nested(19)), None),
        (request_with(inputValues=nested(20)), "depth"),
        (request_with(plannerContext={"userMessage": "hi", "previousToolsOutputs": nested(19)}), "depth"),
        (request_with(conversationMetadata=nested(200)), "depth"),
        (request_with(inputValues=["["] * 60), None),
        (request_with(inputValues=[[]] * 150), None),
        (request_with(inputValues=list(range(301))), "segments"),
        (request_with(inputValues={str(number): number for number in range(301)}), "segments"),
        (request_with(inputValues=[[1] * 100] * 4), "segments"),
        (request_with("y" * 5001), "text"),
        (request_with(inputValues={"y" * 5001: 1}), "text"),
        (request_with(inputValues=["y" * 100] * 48), None),
    ],
)
def test_a_request_over_its_shape_is_found(request_body: dict[str, Any], limit: str | None) -> None:
    assert refused(request_body, max_depth=20, max_segments=300, max_text_chars=5000) == limit


TREES = st.recursive(
    st.none() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=40,
)


@given(TREES, st.integers(3, 8), st.integers(15, 40))
def test_short_and_long_bodies_are_held_to_the_same_depth_and_values(tree: Any, depth: int, values: int) -> None:
    request = request_with(inputValues=tree)
    long = request | {"unread": "x" * 20_000}
    text = len(msgspec.json.encode(long))
    verdicts = {
        refused(body, max_depth=depth, max_segments=values, max_text_chars=most)
        for body, most in ((request, text), (long, text), (long, text - 1))
    }
    assert len(verdicts) == 1


def test_nesting_beyond_the_decoder_is_over_the_same_limit() -> None:
    with pytest.raises(LimitError) as caught:
        decode_request(msgspec.json.encode(request_with("DEEP")).replace(b'"DEEP"', b"[" * 50_000 + b"]" * 50_000))
    assert (caught.value.limit, caught.value.status, caught.value.code) == ("depth", 400, 4002)


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def at_the_gate(
    steps: Callable[[Gate, Time], Awaitable[None]], arrivals: Arrivals | None = None, **settings: Any
) -> None:
    """Run ``steps`` in an event loop with a gate whose clock they hold."""
    clock = Time()

    async def run() -> None:
        await steps(Gate(Settings(**settings), clock, arrivals), clock)

    asyncio.run(run())


def test_what_starts_in_an_idle_loop_has_not_waited() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        for _ in range(3):
            clock.now += 5
            assert Turn(gate).waited == 0
            await asyncio.sleep(0)

    at_the_gate(steps)


def test_what_comes_behind_much_work_has_waited_as_long() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        for _ in range(50):
            turn = Turn(gate)
            clock.now += 0.01
        assert turn.waited == pytest.approx(0.49)
        gate.spent(1.0, 100)
        with pytest.raises(LimitError, match="more requests than it can judge"):
            turn.check()

    at_the_gate(steps, max_wait_ms=400.0)


def test_long_work_is_no_idleness() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        for _ in range(5):
            turn = Turn(gate)
            clock.now += 0.1
            turn.judged(Decision(blocked=False, timings={"scan": 99.0}), 1.0)
        assert Turn(gate).waited == pytest.approx(0.5)
        clock.now += 0.1
        assert Turn(gate).waited == 0

    at_the_gate(steps)


def test_work_after_idleness_counts_from_its_begin() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        turn = Turn(gate)
        clock.now += 5
        turn.judged(Decision(blocked=False, timings={"scan": 100.0}), 0.0)
        assert Turn(gate).waited == pytest.approx(0.1)

    at_the_gate(steps)


def test_only_what_was_there_before_long_work_ended_has_waited_for_it() -> None:
    waits: list[float] = []

    async def steps(gate: Gate, clock: Time) -> None:
        def start() -> None:
            waits.append(Turn(gate).waited)

        loop = asyncio.get_running_loop()
        turn = Turn(gate)
        loop.call_soon(start)
        clock.now += 0.5
        turn.judged(Decision(blocked=False, timings={"confirm": 500.0}), 0.0)
        loop.call_soon(start)  # as the next request on the same connection, sent when the answer was there
        await asyncio.sleep(0)

    at_the_gate(steps)
    assert waits == [pytest.approx(0.5), 0]


def test_waits_are_forgotten_when_the_queue_is_short_again() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        for _ in range(50):
            Turn(gate)
            clock.now += 0.01
        for _ in range(2):
            await asyncio.sleep(0)
            gate.waited()
            clock.now += 0.001
        await asyncio.sleep(0)
        assert Turn(gate).waited < 0.01

    at_the_gate(steps)


def test_the_waits_of_one_request_add_up() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        turn = Turn(gate)
        for _ in range(6):
            clock.now += 0.01
            turn.received(10)
        assert turn.waited == pytest.approx(0.01 + 0.02 + 0.03 + 0.04 + 0.05 + 0.06)
        clock.now += 0.01
        gate.spent(1.0, 100)
        with pytest.raises(LimitError, match="more requests than it can judge"):
            turn.received(10)

    at_the_gate(steps, max_wait_ms=250.0)


class Kernel(Arrivals):
    """Knows the age of every connection that is named in ``ages``."""

    def __init__(self, ages: dict[str, float]):
        super().__init__()
        self.ages, self.asked = ages, 0

    def age(self, client: Client) -> float | None:
        self.asked += 1
        return self.ages.get(str(client[0])) if client else None


def test_what_a_request_waited_before_the_loop_counts_too() -> None:
    kernel = Kernel({"a": 0.3})

    async def steps(gate: Gate, clock: Time) -> None:
        assert Turn(gate, ("a", 1)).waited == 0.3

    at_the_gate(steps, kernel)


def test_who_is_not_known_waited_before_the_loop_as_long_as_others_lately() -> None:
    kernel = Kernel({"a": 0.3})

    async def steps(gate: Gate, clock: Time) -> None:
        Turn(gate, ("a", 1))
        assert Turn(gate, ("b", 1)).waited == pytest.approx(0.3)
        assert Turn(gate).waited == pytest.approx(0.3)
        clock.now += 1
        assert Turn(gate).waited == 0

    at_the_gate(steps, kernel)


def test_without_a_queue_the_kernel_is_asked_for_a_sample_only() -> None:
    kernel = Kernel({"a": 0.001})

    async def steps(gate: Gate, clock: Time) -> None:
        for _ in range(100):
            Turn(gate, ("a", 1))
            clock.now += 0.0001
            await asyncio.sleep(0)
        assert kernel.asked == 1
        clock.now += 0.02
        Turn(gate, ("a", 1))
        assert kernel.asked == 2

    at_the_gate(steps, kernel)


def test_long_waits_are_judged_while_judging_takes_little_of_the_time() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        turn = Turn(gate, ("a", 1))
        turn.check()
        gate.spent(0.2, 100)
        with pytest.raises(LimitError, match="more requests than it can judge"):
            turn.check()
        clock.now += 0.4
        turn.check()

    at_the_gate(steps, Kernel({"a": 0.3}), max_wait_ms=250.0)


def test_what_waited_for_half_of_the_budget_is_not_judged() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        Turn(gate, ("a", 1)).check()
        with pytest.raises(LimitError, match="more requests than it can judge"):
            Turn(gate, ("b", 1)).check()

    at_the_gate(steps, Kernel({"a": 0.44, "b": 0.46}), plugin_budget_ms=900.0)


def test_what_is_known_to_take_too_long_is_not_begun() -> None:
    request = decode_request(encoded())

    async def steps(gate: Gate, clock: Time) -> None:
        for _ in range(50):
            gate.spent(0.5, 1_000_000)
        large, small = Turn(gate, ("a", 1)), Turn(gate, ("a", 1))
        large.received(1_800_000)
        with pytest.raises(LimitError, match="more requests than it can judge"):
            large.judge(request)
        small.received(1_000)
        small.judge(request)

    at_the_gate(steps, Kernel({"a": 0.2}))


def test_a_small_body_is_taken_up_where_a_large_one_no_longer_is() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        with Turn(gate) as first, Turn(gate) as large, Turn(gate) as small, Turn(gate) as last:
            first.received(1_000_000)
            with pytest.raises(LimitError, match="received at once"):
                large.received(100_000)
            small.received(1_000)
            gate.held += 200_000
            with pytest.raises(LimitError, match="received at once"):
                last.received(1_000)

    at_the_gate(steps, max_held_bytes=1_000_000, max_request_bytes=1_000)


def test_a_body_that_arrives_slowly_is_given_up_only_while_others_are_refused() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        with Turn(gate) as slow:
            clock.now += 0.7
            slow.received(1_000)
            with pytest.raises(LimitError, match="under way"), Turn(gate):
                pass
            for _ in range(2):
                with pytest.raises(LimitError, match="received at once"):
                    slow.received(1_000)
                clock.now += 0.2
            slow.received(1_000)

    at_the_gate(steps, max_concurrency=1, plugin_budget_ms=900.0)


def test_a_body_that_arrives_soon_is_taken_up_while_others_are_refused() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        with Turn(gate) as soon:
            clock.now += 0.5
            with pytest.raises(LimitError, match="under way"), Turn(gate):
                pass
            soon.received(1_000)

    at_the_gate(steps, max_concurrency=1, plugin_budget_ms=900.0)


def test_requests_under_way_and_bytes_held_are_bounded_and_given_back() -> None:
    async def steps(gate: Gate, clock: Time) -> None:
        with Turn(gate), Turn(gate) as second:
            with pytest.raises(LimitError, match="under way"), Turn(gate):
                pass
            with pytest.raises(LimitError, match="received at once"):
                second.received(4000)
        assert (gate.under_way, gate.held) == (0, 0)
        with Turn(gate) as alone:
            alone.received(2000)

    at_the_gate(steps, max_concurrency=2, max_held_bytes=2500, max_request_bytes=100)


def application(folder: Path, **settings: str) -> App:
    known = {"SENTRA_CACHE_DIR": CACHE, "SENTRA_PLUGINS": "email_bcc", "LOG_FILE": str(folder / "t.jsonl")}
    return create_app(load_settings(known | SMALL | settings)[0])


def ask(app: App, parts: Iterable[bytes], announced: bool = True, **headers: str) -> Reply:
    """The answer of ``app`` to a body that arrives in ``parts``."""
    left = list(parts)
    named = {"authorization": "Bearer t", **headers}
    if announced:
        named["content-length"] = str(sum(map(len, left)))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(0) if left else b"", "more_body": bool(left)}

    scope = {
        "path": "/analyze-tool-execution",
        "method": "POST",
        "query_string": b"api-version=1",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }

    async def call() -> Reply:
        return await app.reply(Call(scope, receive, time.monotonic()))

    return asyncio.run(call())


def encoded(**changes: Any) -> bytes:
    return msgspec.json.encode(request_with(**changes))


OVER: list[tuple[str, list[bytes], int, int]] = [
    ("size", [b" " * 20_001], 413, 4001),
    ("depth", [encoded(inputValues=nested(30))], 400, 4002),
    ("depth", [b'{"plannerContext":{},"toolDefinition":{"id":"a"},"inputValues":' + b"[" * 19_000], 400, 4002),
    ("segments", [encoded(inputValues=[1] * 300)], 400, 4002),
]
IDS = ["size", "depth", "beyond the decoder", "segments"]


@pytest.mark.parametrize(("limit", "parts", "status", "code"), OVER, ids=IDS)
def test_over_a_limit_the_default_is_an_error(
    tmp_path: Path, limit: str, parts: list[bytes], status: int, code: int
) -> None:
    app = application(tmp_path)
    reply = ask(app, parts)
    assert (reply.status, msgspec.json.decode(reply.body)["errorCode"]) == (status, code)
    assert told(app, tmp_path) == [("error", code, [f"limits: {limit}"])]
    assert counted(app, limit, "error") == 1


@pytest.mark.parametrize(("limit", "parts", "status", "code"), OVER, ids=IDS)
def test_over_a_limit_an_allow_can_be_chosen(
    tmp_path: Path, limit: str, parts: list[bytes], status: int, code: int
) -> None:
    app = application(tmp_path, SENTRA_ON_OVERSIZE="allow")
    reply = ask(app, parts)
    assert (reply.status, reply.body) == (200, b'{"blockAction":false}')
    assert told(app, tmp_path) == [("allow", None, [f"limits: {limit}"])]
    assert counted(app, limit, "allow") == 1


@pytest.mark.parametrize(("limit", "parts", "status", "code"), OVER, ids=IDS)
def test_over_a_limit_a_block_can_be_chosen(
    tmp_path: Path, limit: str, parts: list[bytes], status: int, code: int
) -> None:
    app = application(tmp_path, SENTRA_ON_OVERSIZE="block")
    reply = ask(app, parts)
    answer = msgspec.json.decode(reply.body)
    assert (reply.status, answer["blockAction"], answer["reasonCode"], answer["blockedBy"]) == (200, True, 0, "limits")
    assert answer["reason"]
    assert msgspec.json.decode(answer["diagnostics"]) == {"plugin": "limits", "ruleId": f"limits.{limit}"}
    assert told(app, tmp_path) == [("block", None, [f"limits: {limit}"])]
    assert counted(app, limit, "block") == 1


def told(app: App, folder: Path) -> list[tuple[str, int | None, list[str]]]:
    """Outcome, error code and errors of every telemetry line."""
    app.recorder.close()
    lines = [msgspec.json.decode(line) for line in (folder / "t.jsonl").read_bytes().splitlines()]
    return [(line["outcome"], line.get("errorCode"), line["errors"]) for line in lines]


def counted(app: App, limit: str, answer: str) -> float:
    text = app.metrics.render("")[1].decode()
    line = f'sentra_over_limit_total{{answer="{answer}",limit="{limit}"}} '
    return float(text.partition(line)[2].partition("\n")[0] or 0)


def test_a_size_that_is_not_announced_is_found_while_reading(tmp_path: Path) -> None:
    app = application(tmp_path, SENTRA_ON_OVERSIZE="block")
    assert b'"limits"' in ask(app, [b" " * 9000] * 3, announced=False).body


def test_the_rest_of_a_body_that_is_too_large_is_read_only_for_so_long() -> None:
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 65_536
        return {"type": "http.request", "body": bytes(65_536), "more_body": True}

    asyncio.run(discard(receive))
    assert read <= DISCARD_BYTES + 65_536


def test_a_rest_that_never_comes_is_not_waited_for() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nothing sets that event")

    asyncio.run(discard(receive))


def test_an_audit_withholds_the_block(tmp_path: Path) -> None:
    app = application(tmp_path, SENTRA_ON_OVERSIZE="block", SENTRA_AUDIT_ONLY="1")
    assert ask(app, [b" " * 20_001]).body == b'{"blockAction":false}'


def test_nobody_gets_a_verdict_without_a_bearer(tmp_path: Path) -> None:
    app = application(tmp_path, SENTRA_ON_OVERSIZE="allow", STRICT_AUTH_ALLOWED_TOKENS="other")
    assert ask(app, [b" " * 20_001]).status == 401


@pytest.mark.parametrize(
    ("wanted", "status", "member"),
    [("error", 503, "errorCode"), ("allow", 200, "blockAction"), ("block", 200, "reason")],
)
def test_load_over_the_bounds_is_shed_as_the_operator_wants(
    tmp_path: Path, wanted: str, status: int, member: str
) -> None:
    app = application(tmp_path, SENTRA_ON_OVERLOAD=wanted, SENTRA_MAX_HELD_BYTES="1", SENTRA_MAX_REQUEST_BYTES="300")
    app._gate.held = 300
    reply = ask(app, [encoded()])
    assert (reply.status, member in msgspec.json.decode(reply.body)) == (status, True)
    assert counted(app, "bytes", wanted) == 1
    app._gate.held = 0
    assert ask(app, [encoded()]).body == b'{"blockAction":false}'


def test_a_caller_that_is_gone_leaves_a_record_of_it(tmp_path: Path) -> None:
    app = application(tmp_path)

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer t"), (b"x-ms-correlation-id", b"c-1"), (b"content-length", b"5")]
    for path in ("/analyze-tool-execution", "/validate"):
        scope = {"type": "http", "path": path, "method": "POST", "query_string": b"api-version=1", "headers": headers}
        asyncio.run(app(scope, gone, send))
    app.recorder.close()
    (record,) = [msgspec.json.decode(line) for line in (tmp_path / "t.jsonl").read_bytes().splitlines()]
    assert (record["dropped"], record["outcome"], record["correlationId"]) == (True, "error", "c-1")
    assert [message["status"] for message in sent if "status" in message] == [400, 400]


def test_a_sender_without_end_gets_its_verdict_and_is_cut(tmp_path: Path) -> None:
    with running(tmp_path, SENTRA_ON_OVERSIZE="block", **SMALL) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            head = "POST /analyze-tool-execution?api-version=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer t\r\n"
            connection.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                while not select.select([connection], [], [], 0)[0]:
                    connection.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
            answer = connection.recv(65_536)
        assert statuses(answer) == [200]
        assert b'"blockedBy":"limits"' in answer
        large = server.analyze(b" " * 1_000_000)
        assert large.json()["blockAction"] is True


FOX = "the quick brown fox jumps over the lazy dog "
BUNS = "съешь ещё этих мягких французских булок "


@pytest.mark.parametrize(("connections", "size"), [(1000, 1_500), (300, 66_000), (100, 300_000), (50, 1_000_000)])
def test_no_answer_is_late_when_far_more_is_asked_than_can_be_judged(
    pressed: Server, connections: int, size: int
) -> None:
    """They ask one worker at once and without end: it answers all in time, judges some, and is soon itself."""
    body = encoded(inputValues={"text": FOX * (size // len(FOX))})
    seen = closed_loop(pressed.port, body, connections, seconds=3)
    assert 0 < seen.statuses[200] == seen.statuses.total() - seen.statuses[503]
    assert seen.slowest - seen.late < 1.0
    assert seen.unanswered == 0
    eventually(lambda: pressed.analyze(body).status_code == 200, 2)
    assert [pressed.analyze(body).status_code for _ in range(20)] == [200] * 20


@pytest.fixture(scope="module")
def pressed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("pressed"), SENTRA_WORKERS="1") as server:
        yield server


def asked_by(agent: str, text: str) -> dict[str, Any]:
    """A request of an agent."""
    return request_with(text, conversationMetadata={"agent": {"id": agent, "tenantId": "t"}})


def test_a_noisy_agent_does_not_starve_another(tmp_path: Path) -> None:
    """One agent's 100 connections ask for much, without end; what another asks now and then is judged, and in time."""
    flood = msgspec.json.encode(asked_by("noisy", BUNS * 900))
    statuses, slowest = [], 0.0
    with (
        running(tmp_path, SENTRA_WORKERS="1", SENTRA_FAIR_SHARE="agent", SENTRA_MAX_WAIT_MS="30") as server,
        ThreadPoolExecutor(1) as beside,
    ):
        noise = beside.submit(closed_loop, server.port, flood, 100, 3)
        eventually(lambda: metric(server, 'sentra_over_limit_total{answer="error",limit="share"}') > 10)
        while not noise.done():
            began = time.monotonic()
            statuses.append(server.analyze(asked_by("quiet", "hello")).status_code)
            slowest = max(slowest, time.monotonic() - began)
    assert statuses == [200] * len(statuses)
    assert len(statuses) > 3
    assert slowest - noise.result().late < 1.0
