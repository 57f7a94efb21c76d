"""Work is paid for, and what is exceeded stays so."""

from collections.abc import Callable

import pytest

from sentra.allowance import (
    CONFIRM_SECONDS,
    CPU_CHECK_EVERY,
    LEAST_ALLOWANCE,
    LEAST_CONFIRM_SECONDS,
    SCAN_AND_CONFIRM_SECONDS,
    SEARCH_COST,
    SLOW_SECONDS,
    SLOW_WINDOW_SECONDS,
    UNTIMED,
    WINDOW,
    Allowance,
    Exceeded,
    Late,
    never,
    no_clock,
)


class Clock:
    """Seconds of processor time that only pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now


def exceeds(work: Callable[[], None]) -> bool:
    try:
        work()
    except Exceeded:
        return True
    return False


def test_bytes_and_searches_are_paid_for() -> None:
    allowance = Allowance(10, never, no_clock)
    allowance.take(1000)
    assert allowance.left == LEAST_ALLOWANCE - 1000 - SEARCH_COST
    with pytest.raises(Exceeded):
        allowance.take(allowance.left)
    assert exceeds(lambda: allowance.take(0))


def test_out_of_time_is_late_and_not_exceeded() -> None:
    with pytest.raises(Late):
        Allowance(10, lambda: True, no_clock).take(0)


def test_small_work_is_not_timed() -> None:
    clock = Clock()
    allowance = Allowance(10, never, clock)
    for _ in range(UNTIMED // (2 * SEARCH_COST)):
        allowance.take(1)
    assert not clock.asked


def test_processor_time_is_bounded_once_there_was_some_work() -> None:
    clock = Clock()
    allowance = Allowance(10, never, clock)
    for _ in range(UNTIMED // SEARCH_COST + CPU_CHECK_EVERY):
        allowance.take(0)
    clock.now += CONFIRM_SECONDS * 1.1
    assert any(exceeds(lambda: allowance.take(0)) for _ in range(CPU_CHECK_EVERY))


def windows(allowance: Allowance, clock: Clock, seconds: float, count: int) -> int:
    """How many of ``count`` windows that take ``seconds`` each are searched."""

    def search() -> None:
        clock.now += seconds

    return next((number for number in range(count) if exceeds(lambda: allowance.window(search))), count)


def test_a_few_slow_windows_are_searched_and_no_more() -> None:
    clock = Clock()
    allowance = Allowance(10, never, clock)
    assert windows(allowance, clock, SLOW_SECONDS / 4.5, 10) == 4
    assert exceeds(lambda: allowance.take(0))


def test_slow_windows_count_for_each_rule_alone() -> None:
    clock = Clock()
    allowance = Allowance(10, never, clock)
    for _ in range(5):
        allowance.begin()
        assert windows(allowance, clock, SLOW_SECONDS / 4.5, 4) == 4


def test_windows_that_are_not_slow_are_searched_however_many() -> None:
    clock = Clock()
    allowance = Allowance(10, never, clock)
    assert windows(allowance, clock, SLOW_WINDOW_SECONDS * 0.9, 1_000) == 1_000


def test_one_large_search_is_enough_to_be_timed_and_each_is_looked_at() -> None:
    clock = Clock()
    allowance = Allowance(10, never, clock)
    allowance.take(WINDOW)
    clock.now += CONFIRM_SECONDS * 1.1
    assert exceeds(lambda: allowance.take(WINDOW))


def test_time_outside_begin_and_end_does_not_count() -> None:
    clock = Clock()
    allowance = Allowance(10, never, clock)
    allowance.take(WINDOW)
    allowance.end()
    clock.now += CONFIRM_SECONDS * 2
    allowance.begin()
    allowance.take(WINDOW)
    clock.now += CONFIRM_SECONDS * 1.1
    assert exceeds(lambda: allowance.take(WINDOW))


@pytest.mark.parametrize(
    ("scan", "most"),
    [
        (0.0, CONFIRM_SECONDS),
        (SCAN_AND_CONFIRM_SECONDS - 0.2, 0.2),
        (SCAN_AND_CONFIRM_SECONDS, LEAST_CONFIRM_SECONDS),
        (5.0, LEAST_CONFIRM_SECONDS),
    ],
)
@pytest.mark.parametrize("beside", [-0.01, 0.01])
def test_a_long_scan_leaves_less_for_what_follows(scan: float, most: float, beside: float) -> None:
    clock = Clock()
    allowance = Allowance(10, never, clock)
    allowance.scanned(scan)
    allowance.take(WINDOW)
    clock.now += most + beside
    assert exceeds(lambda: allowance.take(WINDOW)) == (beside > 0)
