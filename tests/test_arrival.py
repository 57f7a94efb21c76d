"""The kernel's knowledge of when data last came over a connection."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sentra import arrival
from sentra.arrival import Arrivals
from tests.conftest import eventually

TICK_SECONDS = 0.02
"""The kernel counts in ticks, and the data arrived a little before it was received."""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def connected(stack: ExitStack, host: str = "127.0.0.1") -> tuple[socket.socket, socket.socket]:
    """A caller's end and the server's end of a new connection."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = stack.enter_context(socket.create_server((host, 0), family=family))
    caller = stack.enter_context(socket.create_connection(listening.getsockname()[:2]))
    return caller, stack.enter_context(listening.accept()[0])


def known(arrivals: Arrivals, caller: socket.socket) -> float:
    """The age once it is known: connections are looked for in batches."""
    found: list[float] = []

    def asked() -> bool:
        host, port = caller.getsockname()[:2]
        found.extend(age for age in [arrivals.age((host, str(port)))] if age is not None)
        return bool(found)

    eventually(asked)
    return found[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_age_is_the_time_since_the_last_data(stack: ExitStack, host: str) -> None:
    caller, served = connected(stack, host)
    arrivals = Arrivals()
    caller.send(b"x")
    served.recv(1)
    arrived = time.monotonic()
    eventually(lambda: known(arrivals, caller) > 0.1)
    later = known(arrivals, caller)
    assert later <= time.monotonic() - arrived + TICK_SECONDS
    caller.send(b"x")
    served.recv(1)
    assert known(arrivals, caller) < later


def test_a_stranger_has_no_age() -> None:
    arrivals = Arrivals()
    assert arrivals.age(("192.0.2.1", 9)) is None
    assert arrivals.age(("192.0.2.1", "")) is None
    assert arrivals.age(None) is None


def test_a_number_that_another_connection_has_now_tells_nothing(stack: ExitStack) -> None:
    gone, served = connected(stack)
    arrivals = Arrivals()
    known(arrivals, gone)
    peer = gone.getsockname()
    other, fresh = connected(stack)
    os.dup2(fresh.fileno(), served.fileno())
    assert arrivals.age(peer) is None
    assert known(arrivals, other) >= 0


def test_asking_closes_nothing(stack: ExitStack) -> None:
    caller, served = connected(stack)
    arrivals = Arrivals()
    known(arrivals, caller)
    caller.send(b"still here")
    assert served.recv(20) == b"still here"


def test_files_that_are_no_connections_are_passed_over(stack: ExitStack, tmp_path: Path) -> None:
    stack.enter_context((tmp_path / "file").open("wb"))
    for end in socket.socketpair():
        stack.enter_context(end)
    caller, _ = connected(stack)
    assert known(Arrivals(), caller) < 10


def test_one_question_looks_at_few_files(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    monkeypatch.setattr(arrival, "_files", lambda: list(range(10_000, 12_000)))
    monkeypatch.setattr(arrival, "_peer", looked.append)
    now = [0.0]
    arrivals = Arrivals(lambda: now[0])
    for _ in range(50):
        arrivals.age(("192.0.2.1", 9))
    assert len(looked) == arrival.BATCH
    now[0] = 1
    arrivals.age(("192.0.2.1", 9))
    assert len(looked) == 2 * arrival.BATCH
