"""When the circuit breaker opens, probes and closes; the cache's bounds. On a clock of the test's own."""

from typing import Any

import pytest

from sentra.definitions import BreakerOptions, CacheOptions
from sentra.plugins.external.breaker import Breaker, State
from sentra.plugins.external.cache import Cache
from sentra.plugins.external.client import says_unavailable
from sentra.plugins.external.reply import Answer


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Clock, spread: float = 0.5, **options: Any) -> Breaker:
    return Breaker(BreakerOptions(**options), clock, lambda: spread)


def calls(subject: Breaker, outcomes: str) -> None:
    """``g`` a good call, ``b`` a bad one, ``n`` one that says nothing."""
    for outcome in outcomes:
        ticket = subject.admit()
        assert ticket is not None
        subject.report(ticket, {"g": True, "b": False, "n": None}[outcome])


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("b" * 9, State.CLOSED),
        ("b" * 10, State.OPEN),
        ("g" * 5 + "b" * 5, State.OPEN),
        ("g" * 6 + "b" * 5, State.CLOSED),
        ("b" * 9 + "n" * 20, State.CLOSED),
        ("g" * 100 + "b" * 9, State.CLOSED),
        ("g" * 100 + "b" * 10, State.OPEN),
        ("b" * 4 + "g" * 20 + "b" * 9, State.CLOSED),
    ],
)
def test_it_opens_when_half_of_the_last_calls_failed(outcomes: str, state: State) -> None:
    subject = breaker(Clock())
    calls(subject, outcomes)
    assert subject.state is state


def test_failures_of_long_ago_do_not_count() -> None:
    clock = Clock()
    subject = breaker(clock)
    calls(subject, "b" * 9)
    clock.now += 31
    calls(subject, "b")
    assert subject.state is State.CLOSED


def test_it_lets_nothing_through_while_open_and_then_one_probe_at_a_time() -> None:
    clock = Clock()
    subject = breaker(clock)
    calls(subject, "b" * 10)
    assert subject.admit() is None
    clock.now += 4.99
    assert subject.admit() is None
    clock.now += 0.02
    assert subject.state is State.HALF_OPEN
    assert subject.admit() is not None
    assert subject.admit() is None


def test_a_good_probe_closes_it_with_a_clean_slate() -> None:
    clock = Clock()
    subject = breaker(clock)
    calls(subject, "b" * 10)
    clock.now += 5.01
    calls(subject, "g")
    assert subject.state is State.CLOSED
    calls(subject, "b" * 9)
    assert subject.state is State.CLOSED


def test_a_bad_probe_opens_it_again() -> None:
    clock = Clock()
    subject = breaker(clock)
    calls(subject, "b" * 10)
    clock.now += 5.01
    calls(subject, "b")
    assert subject.state is State.OPEN
    clock.now += 4.99
    assert subject.state is State.OPEN


def test_a_probe_that_was_given_up_lets_the_next_one_through() -> None:
    clock = Clock()
    subject = breaker(clock)
    calls(subject, "b" * 10)
    clock.now += 5.01
    calls(subject, "n")
    assert subject.state is State.HALF_OPEN
    assert subject.admit() is not None


def test_it_closes_after_as_many_good_probes_as_configured() -> None:
    clock = Clock()
    subject = breaker(clock, probes=3)
    calls(subject, "b" * 10)
    clock.now += 5.01
    calls(subject, "gg")
    assert subject.state is State.HALF_OPEN
    calls(subject, "g")
    assert subject.state is State.CLOSED


def test_calls_that_began_before_it_opened_do_not_close_it() -> None:
    clock = Clock()
    subject = breaker(clock)
    old = [subject.admit() for _ in range(3)]
    calls(subject, "b" * 10)
    clock.now += 5.01
    probe = subject.admit()
    for ticket in old:
        assert ticket is not None
        subject.report(ticket, True)
    assert subject.state is State.HALF_OPEN
    assert subject.admit() is None
    assert probe is not None


@pytest.mark.parametrize(("spread", "seconds"), [(0.0, 4.0), (0.5, 5.0), (1.0, 6.0)])
def test_workers_do_not_probe_at_the_same_moment(spread: float, seconds: float) -> None:
    clock = Clock()
    subject = breaker(clock, spread)
    calls(subject, "b" * 10)
    clock.now += seconds - 0.01
    assert subject.state is State.OPEN
    clock.now += 0.02
    assert subject.state is State.HALF_OPEN


def test_a_window_smaller_than_the_least_number_of_calls_still_opens() -> None:
    subject = breaker(Clock(), window=3, minCalls=10)
    calls(subject, "bbb")
    assert subject.state is State.OPEN


@pytest.mark.parametrize(
    "kind", ["timeout", "budget", "connect", "dns", "tls", "disconnected", "status 503", "status 429"]
)
def test_errors_of_a_service_that_is_down_count(kind: str) -> None:
    assert says_unavailable(kind)


@pytest.mark.parametrize(
    "kind",
    ["status 400", "status 413", "status 403", "shape", "missing_field", "not_json", "html", "too_large", "redirect"],
)
def test_errors_that_one_request_can_cause_do_not_count(kind: str) -> None:
    assert not says_unavailable(kind)


def test_an_answer_is_kept_for_its_time() -> None:
    clock = Clock()
    cache = Cache(CacheOptions(seconds=10), clock)
    cache.put(cache.key(b"question"), Answer(True))
    clock.now += 9.9
    assert cache.get(cache.key(b"question")) == Answer(True)
    assert cache.get(cache.key(b"other")) is None
    clock.now += 0.2
    assert cache.get(cache.key(b"question")) is None
    assert len(cache) == 0


def test_the_cache_lets_go_of_what_was_unused_for_longest() -> None:
    cache = Cache(CacheOptions(seconds=10, entries=2), Clock())
    for question in (b"a", b"b"):
        cache.put(cache.key(question), Answer(False))
    cache.get(cache.key(b"a"))
    cache.put(cache.key(b"c"), Answer(False))
    assert [cache.get(cache.key(question)) is not None for question in (b"a", b"b", b"c")] == [True, False, True]


def test_the_cache_keeps_no_request_text() -> None:
    cache = Cache(CacheOptions(seconds=10), Clock())
    cache.put(cache.key(b"the question itself"), Answer(False))
    assert "question" not in repr(vars(cache))
