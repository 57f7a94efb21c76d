"""The real service and the floor as processes: started, watched through /proc, stopped."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.setup import BEARER, configuration

READY_SECONDS = 120.0
TICK = os.sysconf("SC_CLK_TCK")


class Service:
    """A started server: its first process, its port, and the folder of its files."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, folder: Path):
        self.process, self.port, self.folder = process, port, folder

    def pids(self) -> list[int]:
        """The first process and all that it started, themselves or through others."""
        found = [self.process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found += [int(child) for child in children.read_text().split()]
        return found

    def cpu(self) -> float:
        """Seconds of CPU of all its processes so far, user and system."""
        return sum(cpu_of(pid) for pid in self.pids())

    def memory(self) -> float:
        """Resident memory of the largest worker, in MB."""
        return max(_resident(pid) for pid in self.pids()[1:])

    def ready(self) -> bool:
        """Whether it says that it is ready. Raises ``RuntimeError`` when it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the server ended: {(self.folder / 'stderr.log').read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def cpu_of(pid: int) -> float:
    """CPU seconds of a process: by thread in nanoseconds where the kernel keeps them, else its ticks."""
    try:
        threads = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
        if threads:
            return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK
    except OSError:
        return 0.0


def _resident(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PATIENT = {"SENTRA_PLUGIN_BUDGET_MS": "10000", "SENTRA_MAX_WAIT_MS": "5000"}


@contextlib.contextmanager
def sentra(
    workers: int = 1,
    literals: int = 0,
    patterns: int = 0,
    cache: Path | None = None,
    core: int | None = None,
    patient: bool = False,
    knowing: bool = False,
) -> Iterator[Service]:
    """``sentra serve``, ready, with everything on: bearer tokens, all plugins, telemetry to a file, metrics.

    A ``patient`` one judges whatever waited: where processor time is counted, a busy machine must not make it refuse.
    Only a ``knowing`` one knows texts again: elsewhere a request that is sent over and over stands for as many others.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), _free_port()
        (folder / "config.json").write_bytes(msgspec.json.encode(configuration(literals, patterns)))
        added = {
            "SENTRA_PLUGIN_CONFIG": str(folder / "config.json"),
            "STRICT_AUTH_ALLOWED_TOKENS": BEARER,
            "LOG_FILE": str(folder / "telemetry.jsonl"),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "SENTRA_WORKERS": str(workers),
        }
        added |= {"SENTRA_KNOWN_TEXTS": "40000"} if knowing else {}
        added |= ({"SENTRA_CACHE_DIR": str(cache)} if cache else {}) | (PATIENT if patient else {})
        with _running([sys.executable, "-m", "sentra", "serve"], added, port, folder, core) as service:
            yield service


@contextlib.contextmanager
def floor(workers: int = 1, core: int | None = None) -> Iterator[Service]:
    """The floor, ready."""
    with tempfile.TemporaryDirectory() as name:
        port = _free_port()
        command = [sys.executable, "-m", "bench.floor", str(port), str(workers)]
        with _running(command, {}, port, Path(name), core) as service:
            yield service


@contextlib.contextmanager
def _running(command: list[str], added: dict[str, str], port: int, folder: Path, core: int | None) -> Iterator[Service]:
    ours = ("SENTRA_", "LOG_", "AUDIT_", "STRICT_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | added
    root = Path(__file__).parent.parent
    pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
    with (folder / "stderr.log").open("wb") as errors:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=errors, cwd=root, preexec_fn=pin
        )
        try:
            service = Service(process, port, folder)
            _wait(service)
            yield service
        finally:
            process.terminate()
            process.wait(30)


def _wait(service: Service) -> None:
    end = time.monotonic() + READY_SECONDS
    while not service.ready():
        if time.monotonic() > end:
            raise RuntimeError(f"not ready within {READY_SECONDS:g} s")
        time.sleep(0.05)
