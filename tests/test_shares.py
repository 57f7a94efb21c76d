"""Fair shares of a worker: who takes most is refused first, and nobody while there is room."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sentra.config import Settings
from sentra.errors import LimitError
from sentra.limits import Client, Gate, Turn
from sentra.shares import MOST_SHARES, Shares
from sentra.wire import AnalyzeRequest, decode_request
from tests.conftest import request_with
from tests.test_limits import Kernel, Time


def of(agent: str | None = None, tenant: str | None = "t", **more: Any) -> AnalyzeRequest:
    """A request of an agent."""
    metadata = {"agent": {"id": agent, "tenantId": tenant}} | more
    return decode_request(msgspec.json.encode(request_with(conversationMetadata=metadata)))


def weight(shares: Shares, request: AnalyzeRequest) -> float:
    return shares.taker(request).weight()


def test_weight_is_measured_by_the_heaviest() -> None:
    shares = Shares("agent", lambda: 5.0)
    shares.taker(of("noisy")).spend(0.8)
    shares.taker(of("half")).spend(0.4)
    assert [weight(shares, of(name)) for name in ("noisy", "half", "fresh")] == pytest.approx([1.0, 0.5, 0.0])


def test_nobody_has_weight_before_anything_was_judged() -> None:
    assert weight(Shares("both"), of("a")) == 0.0


def test_what_was_taken_is_forgotten_in_a_few_seconds() -> None:
    clock = Time()
    shares = Shares("agent", clock)
    shares.taker(of("before")).spend(1.0)
    clock.now += 10
    shares.taker(of("now")).spend(0.1)
    assert weight(shares, of("now")) == 1.0
    assert weight(shares, of("before")) < 0.1


@pytest.mark.parametrize(("level", "others"), [("tenant", 1.0), ("agent", 0.0), ("both", 1.0)])
def test_another_agent_of_a_noisy_tenant_counts_with_its_tenant(level: str, others: float) -> None:
    shares = Shares(level)
    shares.taker(of("noisy")).spend(1.0)
    assert weight(shares, of("other")) == pytest.approx(others, abs=0.01)
    assert weight(shares, of("noisy", tenant="elsewhere")) == 0.0


def test_requests_that_tell_nothing_of_themselves_are_one() -> None:
    shares = Shares("agent")
    shares.taker(of(None, None)).spend(1.0)
    assert weight(shares, decode_request(msgspec.json.encode(request_with()))) == pytest.approx(1.0)


def test_the_memory_of_takers_is_bounded() -> None:
    shares = Shares("agent")
    for number in range(2 * MOST_SHARES):
        shares.taker(of(str(number)))
    assert len(shares._levels[0]._shares) == MOST_SHARES


def at_the_gate(ages: dict[str, float], steps: Callable[[Gate, Time], None], **settings: Any) -> None:
    """Run ``steps`` with a gate of fair shares, where requests of each client are of the age given."""
    clock = Time()

    async def run() -> None:
        steps(Gate(Settings(fair_share="agent", **settings), clock, Kernel(ages)), clock)

    asyncio.run(run())


def turn(gate: Gate, client: str, agent: str) -> Turn:
    """A turn that has come to its verdict. Raises ``LimitError`` for want of a share."""
    address: Client = (client, 1)
    made = Turn(gate, address)
    made.check()
    made.judge(of(agent))
    return made


def test_under_load_the_heaviest_is_refused_and_the_others_are_not() -> None:
    def steps(gate: Gate, clock: Time) -> None:
        gate.shares.taker(of("noisy")).spend(1.0)  # type: ignore[union-attr]
        gate.spent(1.0, 100)
        turn(gate, "soon", "noisy")
        turn(gate, "waited", "quiet")
        with pytest.raises(LimitError, match="more than its share") as caught:
            turn(gate, "waited", "noisy")
        assert (caught.value.limit, caught.value.status, caught.value.code) == ("share", 503, 5031)

    at_the_gate({"soon": 0.2, "waited": 0.4}, steps)


def test_nobody_is_judged_who_waited_too_long() -> None:
    def steps(gate: Gate, clock: Time) -> None:
        with pytest.raises(LimitError, match="than it can judge in time"):
            turn(gate, "old", "quiet")

    at_the_gate({"old": 0.7}, steps)


def test_half_of_the_room_is_for_those_that_hold_less_of_it() -> None:
    def steps(gate: Gate, clock: Time) -> None:
        held = []
        for _ in range(6):
            one = Turn(gate).__enter__()
            one.judge(of("noisy"))
            held.append(one)
        seventh = Turn(gate).__enter__()
        with pytest.raises(LimitError, match="more than its share"):
            seventh.judge(of("noisy"))
        seventh.judge(of("quiet"))
        for one in [*held, seventh]:
            one.__exit__()
        assert gate.under_way == 0
        Turn(gate).judge(of("noisy"))

    at_the_gate({}, steps, max_concurrency=12)


def test_without_fair_shares_nobody_is_told_apart() -> None:
    async def run() -> None:
        gate = Gate(Settings())
        assert gate.shares is None
        Turn(gate).judge(of("any"))

    asyncio.run(run())
