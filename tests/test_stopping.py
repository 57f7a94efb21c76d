"""A stop at every moment: before the service stands, while it answers, while callers keep their connections open."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sentra.calls import Call
from sentra.stopping import CLOSE, DRAIN_SECONDS, LOOK_SECONDS, QUIET_SECONDS, Stopping
from tests.conftest import START_SECONDS, Server, eventually, request_with, running
from tests.load import message
from tests.stress.service import FAST, Load, broken_between, configuration
from tests.test_lifecycle import injected, listens, started
from tests.test_limits import application
from tests.test_protocol import connected

HOLD = """
import pathlib, time
import sentra.server
real = sentra.server.self_test
folder = pathlib.Path({folder!r})
def self_test():
    (folder / "held").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    real()
sentra.server.self_test = self_test
"""
"""The parent waits, before it starts a worker, until the file ``go`` is there."""


def held(folder: Path, **settings: str) -> Server:
    """``sentra serve`` that stands still before any worker is started."""
    server = started(folder, PYTHONPATH=injected(folder, HOLD.format(folder=str(folder))), **FAST, **settings)
    try:
        eventually(lambda: (folder / "held").exists(), START_SECONDS)
    except BaseException:
        server.process.kill()
        server.process.wait()
        raise
    return server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_before_any_worker_starts_is_clean(tmp_path: Path, number: int) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    server = held(tmp_path, TMPDIR=str(shared))
    server.process.send_signal(number)
    assert server.process.wait(20) == 0
    assert "Traceback" not in server.log
    assert not list(shared.iterdir())


def test_a_reload_before_any_worker_starts_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(msgspec.json.encode(configuration(0)))
    server = held(tmp_path, SENTRA_PLUGIN_CONFIG=str(tmp_path / "config.json"))
    try:
        server.process.send_signal(signal.SIGHUP)
        (tmp_path / "go").touch()
        eventually(lambda: listens(server), START_SECONDS)
        eventually(lambda: "the configuration is valid" in server.log)
    finally:
        server.stop()


def ask(connection: socket.socket) -> tuple[int, bool]:
    """Status of the answer to a request over ``connection``, and whether it is the last there; 0 without an answer."""
    connection.sendall(message(msgspec.json.encode(request_with())))
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(65_536)
        if not part:
            return 0, True
        answer += part
    return int(answer[9:12]), b"\r\nconnection: close\r\n" in answer.lower()


def test_a_connection_is_given_up_with_an_answer_and_not_between_two(tmp_path: Path) -> None:
    with running(tmp_path, **FAST, SENTRA_WORKERS="1") as server, connected(server) as kept:
        assert [ask(kept) for _ in range(3)] == [(200, False)] * 3
        server.process.terminate()
        answers = [ask(kept)]
        while not answers[-1][1]:
            answers.append(ask(kept))
        assert answers == [(200, False)] * (len(answers) - 1) + [(200, True)]
        assert kept.recv(1) == b""
        assert server.stop() == 0


def test_no_kept_connection_loses_a_request_when_the_service_stops_under_load(tmp_path: Path) -> None:
    with running(tmp_path, **FAST) as server, Load(server.port, 16) as load:
        eventually(lambda: len(load.sent) > 500)
        assert server.stop() == 0
    assert broken_between(load.sent) == []
    assert {one.status for one in load.answered} == {200}


def test_a_worker_that_stops_is_not_ready(tmp_path: Path) -> None:
    app = application(tmp_path)
    app.stopping.begun = True
    scope = {"path": "/readyz", "method": "GET", "headers": [], "query_string": b""}
    reply = asyncio.run(app.reply(Call(scope, gone, 0.0)))
    assert (reply.status, msgspec.json.decode(reply.body)["reason"]) == (503, "stopping")


async def gone() -> dict[str, Any]:
    return {"type": "http.disconnect"}


class Clock:
    """A clock that ``answers`` may happen on, at given times, while the loop looks."""

    def __init__(self, answers: Iterable[float] = ()):
        self.now, self._answers = 0.0, list(answers)
        self.stopping = Stopping(lambda: self.now, self.stop)
        self.stopped: float | None = None

    def stop(self) -> None:
        self.stopped = self.now

    def run(self) -> float:
        """When the worker stopped."""
        asyncio.run(self._run())
        assert self.stopped is not None
        return round(self.stopped, 3)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later = self._step  # type: ignore[assignment,method-assign]
        self.stopping.begin()

    def _step(self, seconds: float, look: Callable[[], None]) -> None:
        self.now += seconds
        while self._answers and self._answers[0] <= self.now:
            self._answers.pop(0)
            headers: list[tuple[bytes, bytes]] = []
            self.stopping.last_words(headers)
            assert headers == [CLOSE]
        look()


@pytest.mark.parametrize(
    ("answers", "stopped"),
    [
        ((), QUIET_SECONDS),
        ((0.1,), 0.1 + QUIET_SECONDS),
        ((0.1, 0.25), 0.25 + QUIET_SECONDS),
        ((0.1, 0.4), 0.1 + QUIET_SECONDS),
        (tuple(0.1 * step for step in range(100)), DRAIN_SECONDS),
    ],
)
def test_a_worker_stops_when_it_is_quiet_or_has_tried_for_long_enough(
    answers: tuple[float, ...], stopped: float
) -> None:
    assert Clock(answers).run() == pytest.approx(stopped, abs=LOOK_SECONDS)


def test_without_a_held_stop_nothing_is_watched() -> None:
    async def watch() -> int:
        before = threading.active_count()
        Stopping().watch()
        return threading.active_count() - before

    assert asyncio.run(watch()) == 0
