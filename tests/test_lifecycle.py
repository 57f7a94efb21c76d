"""The running service: reloads, stops, crashes and restarts, on real servers under real load."""

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.conftest import QUERY, START_SECONDS, Server, environment, eventually, free_port, request_with, running
from tests.stress.service import (
    FAST,
    Killer,
    Load,
    Options,
    Reloads,
    announced,
    blocked_by_all,
    configuration,
    correlation,
    fresh,
    hashes,
    metric,
    recorded,
    reload_often,
    run,
    workers,
)

HOLD = """
import pathlib, time
import sentra.app
real = sentra.app.create_app
folder = pathlib.Path({folder!r})
def create_app(*arguments):
    app = real(*arguments)
    (folder / "held").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return app
sentra.app.create_app = create_app
"""
"""Every worker waits between reading its configuration and serving, until the file ``go`` is there."""


def injected(folder: Path, code: str) -> str:
    """A folder for PYTHONPATH whose ``code`` runs before the service."""
    place = folder / "injected"
    place.mkdir()
    (place / "sitecustomize.py").write_text(code)
    return str(place)


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def started(folder: Path, **settings: str) -> Server:
    """``sentra serve`` without waiting for it to be ready; the caller ends it."""
    port = int(settings.get("PORT", free_port()))
    env = environment(folder, **({"PORT": str(port), "SENTRA_WORKERS": "2"} | settings))
    with (folder / "stderr.log").open("wb") as err:
        process = subprocess.Popen([sys.executable, "-m", "sentra", "serve"], env=env, stderr=err)
    return Server(process, port, folder)


def test_reloads_under_load_fail_no_request(tmp_path: Path) -> None:
    load, digests = reload_often(tmp_path, times=8, **FAST)
    assert Counter(one.status for one in load.sent) == {200: len(load.sent)}
    assert len(digests) == 5
    lines = (tmp_path / "telemetry.jsonl").read_bytes().splitlines()
    assert {msgspec.json.decode(line)["configHash"] for line in lines} == digests


def test_a_broken_file_changes_nothing_and_says_why(tmp_path: Path) -> None:
    with running(tmp_path, configuration(0), **FAST) as server:
        reloads = Reloads(server)
        reloads.broken(b'{"policies": [{"contains": []}], "pluginz": {}}')
        assert metric(server, "sentra_config_last_reload_success") == 0
        assert server.verdict(request_with("the falcon-0-end"))[0]
        assert f"{tmp_path / 'config.json'}: unknown key 'pluginz'; did you mean 'plugins'?" in server.log
        reloads.good(1)
        assert metric(server, "sentra_config_last_reload_success") == 1
        assert not server.verdict(request_with("the falcon-0-end"))[0]


def test_of_overlapping_reloads_the_last_wins(tmp_path: Path) -> None:
    with running(tmp_path, configuration(0), **FAST) as server:
        reloads = Reloads(server)
        for version in range(1, 8):
            reloads.write(version)
            reloads.hang_up()
        eventually(lambda: blocked_by_all(server, "the falcon-7-end"))
        assert hashes(server) == {announced(server)}


@pytest.mark.parametrize("ruin", ["broken", "gone"])
def test_a_worker_that_starts_while_the_file_is_ruined_has_the_last_valid_one(tmp_path: Path, ruin: str) -> None:
    with running(tmp_path, configuration(0), **FAST) as server:
        reloads = Reloads(server)
        reloads.good(1)
        if ruin == "broken":
            reloads.broken()
        else:
            (tmp_path / "config.json").unlink()
        killer = Killer(server)
        for _ in range(2):
            killer.kill()
        eventually(lambda: metric(server, "sentra_workers") == 2)
        assert hashes(server) == {reloads.digests[-1]}
        assert server.process.poll() is None
        if ruin == "broken":
            eventually(lambda: metric(server, "sentra_config_last_reload_success") == 0)


def test_a_reload_reaches_workers_that_are_starting(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(msgspec.json.encode(configuration(0)))
    server = started(
        tmp_path,
        PYTHONPATH=injected(tmp_path, HOLD.format(folder=str(tmp_path))),
        SENTRA_PLUGIN_CONFIG=str(tmp_path / "config.json"),
        **FAST,
    )
    try:
        eventually(lambda: (tmp_path / "held").exists(), START_SECONDS)
        Reloads(server).write(1)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "the configuration is valid" in server.log)
        (tmp_path / "go").touch()
        eventually(lambda: listens(server), START_SECONDS)
        eventually(lambda: hashes(server) == {announced(server)})
        assert blocked_by_all(server, "the falcon-1-end")
    finally:
        server.stop()


def listens(server: Server) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == 0


def test_workers_end_with_a_killed_parent_even_while_they_start(tmp_path: Path) -> None:
    server = started(tmp_path, PYTHONPATH=injected(tmp_path, HOLD.format(folder=str(tmp_path))), **FAST)
    try:
        eventually(lambda: (tmp_path / "held").exists() and len(workers(server)) == 2, START_SECONDS)
    finally:
        server.process.kill()
        server.process.wait()
    eventually(lambda: not any(map(alive, workers(server).values())))


def test_workers_end_with_a_killed_parent_and_the_next_start_cleans_up(tmp_path: Path) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    with running(tmp_path, configuration(0), **FAST, TMPDIR=str(shared)) as server:
        pids = workers(server).values()
        server.process.kill()
        server.process.wait()
        eventually(lambda: not any(map(alive, pids)))
    left = list(shared.iterdir())
    assert left
    with running(tmp_path, configuration(0), **FAST, TMPDIR=str(shared)):
        (now,) = shared.iterdir()
        assert now not in left
    assert not list(shared.iterdir())


def test_no_request_is_lost_when_the_service_stops_under_load(tmp_path: Path) -> None:
    with running(tmp_path, **FAST) as server, Load(server.port) as load:
        eventually(lambda: len(load.sent) > 500)
        assert server.stop() == 0
    times = recorded(tmp_path / "telemetry.jsonl").times
    assert {correlation(one.number) for one in load.answered} == set(times)
    assert set(times.values()) == {1}
    assert {one.status for one in load.answered} == {200}


def test_a_stop_of_the_whole_process_group_is_clean(tmp_path: Path) -> None:
    with running(tmp_path, **FAST) as server:
        for pid in workers(server).values():
            os.kill(pid, signal.SIGTERM)
        assert server.stop() == 0


def test_half_a_body_does_not_hold_the_stop(tmp_path: Path) -> None:
    with running(tmp_path, **FAST, SENTRA_BODY_TIMEOUT_MS="500") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as half:
            head = (
                f"POST /validate{QUERY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nContent-Length: 10\r\n\r\nab"
            )
            half.sendall(head.encode())
            assert server.stop() == 0
            assert half.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert "Killing worker" not in server.log


def test_counts_stay_true_over_twenty_kills_under_load(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    with running(tmp_path, **FAST, SENTRA_METRICS_DIR=str(folder)) as server:
        with Load(server.port, 4) as load:
            killer = Killer(server)
            for _ in range(20):
                killer.kill()
        answers = Counter(one.status for one in load.answered)
        assert set(answers) <= {200, 503}, answers  # a machine that stands still for a while may make it refuse
        for status, outcome in ((200, "allow"), (503, "error")):
            total = metric(server, f'sentra_requests_total{{outcome="{outcome}"}}')
            assert answers[status] <= total <= answers[status] + len(load.unanswered), (outcome, answers)
        assert len({path.name.rpartition("_")[2] for path in folder.glob("*.db")}) <= 4
        assert fresh(server, "/readyz").status_code == 200


def test_counts_are_exact_without_kills(tmp_path: Path) -> None:
    with running(tmp_path, **FAST) as server:
        with Load(server.port, 4) as load:
            eventually(lambda: len(load.sent) > 300)
        assert len(load.answered) == len(load.sent) == metric(server, 'sentra_requests_total{outcome="allow"}')


def test_every_answer_has_its_line_over_kills_rotations_and_a_restart(tmp_path: Path) -> None:
    found = run(tmp_path, Options(requests=4000, workers=2, kills=6, max_bytes=50_000), **FAST)
    assert found.segments > 10
    assert found.faultless, found


def test_an_operators_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = started(tmp_path, SENTRA_OPS_PORT=str(port))
        assert server.process.wait(30) == 2
    assert f"HOST, SENTRA_OPS_PORT: cannot listen on 127.0.0.1:{port}" in server.log


def reload_command(**settings: str) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith("SENTRA_")} | settings
    command = [sys.executable, "-m", "sentra", "reload"]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)


def test_the_reload_command_finds_the_service_by_its_pid_file(tmp_path: Path) -> None:
    pid_file = str(tmp_path / "sentra.pid")
    with running(tmp_path, configuration(0), **FAST, SENTRA_PID_FILE=pid_file) as server:
        Reloads(server).write(1)
        assert reload_command(SENTRA_PID_FILE=pid_file).stdout == f"process {server.process.pid} was told to reload\n"
        eventually(lambda: blocked_by_all(server, "the falcon-1-end"))
    ended = reload_command(SENTRA_PID_FILE=pid_file)
    assert ended.returncode == 2
    assert "does not exist" in ended.stderr
