"""One service for each port, also when several start in the same moment."""

import multiprocessing
import socket
import subprocess
import sys
from pathlib import Path
from threading import Barrier

import pytest

from sentra.errors import ConfigError
from sentra.ports import only_service
from tests.conftest import START_SECONDS, Server, eventually, free_port, wait_ready
from tests.stress.service import FAST
from tests.test_lifecycle import injected, started

TOGETHER = """
import pathlib
import sentra.server
real = sentra.server.self_test
folder = pathlib.Path({folder!r})
def self_test():
    real()
    (folder / "held").touch()
    while not (folder.parent / "go").exists():
        pass
sentra.server.self_test = self_test
"""
"""The parent goes on, to take its port, in the moment in which the file ``go`` is there beside its folder."""

FORKED = """
import os, sys
from sentra.ports import only_service
with only_service("PORT", "127.0.0.1", int(sys.argv[1])):
    if os.fork() == 0:
        print("forked", flush=True)
        sys.stdin.read()
        os._exit(0)
    os._exit(0)
"""


def take_often(port: int, times: int, together: Barrier) -> int:
    """How many of so many times this process got the port when all tried at once."""
    got = 0
    for _ in range(times):
        together.wait(60)
        try:
            with only_service("PORT", "127.0.0.1", port):
                got += 1
                together.wait(60)
        except ConfigError:
            together.wait(60)
    return got


def test_of_several_at_once_one_gets_the_port() -> None:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(4) as pool:
        together = manager.Barrier(4)
        got = pool.starmap(take_often, [(free_port(), 50, together)] * 4, chunksize=1)
    assert sum(got) == 50


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_services_at_once_one_survives(tmp_path: Path, attempt: int) -> None:
    port, servers = free_port(), list[Server]()
    try:
        for name in ("one", "other"):
            folder = tmp_path / name
            folder.mkdir()
            code = injected(folder, TOGETHER.format(folder=str(folder)))
            servers.append(started(folder, PORT=str(port), PYTHONPATH=code, **FAST))
        eventually(lambda: all((server.folder / "held").exists() for server in servers), START_SECONDS)
        (tmp_path / "go").touch()
        eventually(lambda: any(server.process.poll() is not None for server in servers), START_SECONDS)
        refused, serving = sorted(servers, key=lambda server: server.process.poll() is None)
        assert refused.process.returncode == 2
        assert f"HOST, PORT: cannot listen on 127.0.0.1:{port}: Address already in use" in refused.log
        wait_ready(serving)
    finally:
        for server in servers:
            server.stop()


def refusal(host: str, port: int) -> str:
    """Why the port cannot be had."""
    with pytest.raises(ConfigError) as caught, only_service("PORT", host, port):
        pass
    return str(caught.value)


def test_a_port_is_free_again_at_the_end() -> None:
    port = free_port()
    for _ in range(2):
        with only_service("PORT", "127.0.0.1", port):
            assert (
                refusal("127.0.0.1", port) == f"HOST, PORT: cannot listen on 127.0.0.1:{port}: Address already in use"
            )


def test_a_worker_that_outlives_its_parent_does_not_hold_the_port() -> None:
    port = free_port()
    command = [sys.executable, "-c", FORKED, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "forked\n"
        assert parent.wait(10) == 0
        with only_service("PORT", "127.0.0.1", port):
            pass


def test_a_port_on_which_another_program_listens_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refusal("127.0.0.1", port) == f"HOST, PORT: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_a_host_that_does_not_exist_is_the_operators_mistake() -> None:
    assert refusal("256.1.1.1", 8080).startswith("HOST, PORT: cannot listen on 256.1.1.1:8080: ")


def test_without_an_operators_port_nothing_is_held() -> None:
    with only_service("SENTRA_OPS_PORT", "127.0.0.1", None):
        pass
