"""Runs the service under granian: one parent that checks, compiles and watches; workers that answer.

The parent holds no request. It builds the whole configuration once before any worker starts, so that a mistake ends
the start with exit code 2, and again at each reload, so that a mistake changes nothing.
"""

import contextlib
import ctypes
import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings

from sentra.assembly import Assembly, assemble
from sentra.config import Settings, load_settings
from sentra.engine import self_test
from sentra.errors import ConfigError, SentraError
from sentra.log import configure_logging
from sentra.metrics import prepare_folder

log = logging.getLogger("sentra.server")

METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"
PR_SET_PDEATHSIG = 1
HEADER_TIMEOUT_MS = 30_000
STOP_SECONDS = 10


def serve(settings: Settings) -> None:
    """Check everything, then serve until SIGTERM. Raises ``SentraError`` when it must not start."""
    configure_logging(settings.log_level)
    assembly = assemble(settings)
    self_test()
    refuse_taken_port(settings.host, settings.port)
    with metrics_folder(settings):
        _warn(assembly)
        server = make_server(settings)
        server.on_startup(lambda: _reload_on_hangup(server))
        server.serve()


def make_server(settings: Settings, target: str = "sentra.worker:create") -> Any:
    """Granian with the options that Sentra stands on (docs/operations.md says why each); ``target`` makes the app."""
    return Granian(
        target,
        factory=True,
        interface=Interfaces.ASGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=65_536),
        log_enabled=True,
        log_dictconfig=_granian_logging(settings.log_level),
        log_access=False,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=STOP_SECONDS,
    )


def _granian_logging(level: str) -> dict[str, Any]:
    """Granian's own lines in the same structured form as ours, on standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "sentra.log.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "loggers": {"_granian": {"handlers": ["stderr"], "level": level.upper(), "propagate": False}},
    }


def refuse_taken_port(host: str, port: int) -> None:
    """Raise ``ConfigError`` when something listens there: workers share ports, so a second server would start silently."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise ConfigError([f"HOST, PORT: cannot listen on {host}:{port}: {error.strerror}"]) from None


@contextlib.contextmanager
def metrics_folder(settings: Settings) -> Iterator[Path]:
    """A clean folder for the metric files of all workers, announced to them through the environment."""
    with tempfile.TemporaryDirectory(prefix="sentra-metrics-") as private:
        folder = settings.metrics_dir or Path(private)
        prepare_folder(folder)
        os.environ[METRICS_DIR] = str(folder)
        yield folder


def _warn(assembly: Assembly) -> None:
    for warning in assembly.warnings:
        log.warning(warning)
    rules = len(assembly.pipeline.scanner.rules)
    log.info("configuration is in force", extra={"configHash": assembly.digest, "rules": rules})


def _reload_on_hangup(server: Any) -> None:
    """Replace granian's reload, which would end workers before it knows that new ones can start."""
    parent = os.getpid()

    def on_hangup(signum: int, frame: object) -> None:
        if os.getpid() == parent:
            threading.Thread(target=_reload, args=(server,), daemon=True).start()

    signal.signal(signal.SIGHUP, on_hangup)


def _reload(server: Any) -> None:
    """Validate the new configuration and compile its rules, then tell every worker to swap."""
    try:
        settings, _ = load_settings()
        assembly = assemble(settings)
    except SentraError as error:
        log.error("the configuration was not reloaded", extra={"problems": str(error).splitlines()})
        for worker in server.wrks:
            _signal(worker.inner.pid)
        return
    log.info("the configuration is valid", extra={"configHash": assembly.digest})
    for worker in server.wrks:
        _signal(worker.inner.pid)


def _signal(pid: int | None) -> None:
    with contextlib.suppress(ProcessLookupError, TypeError):
        os.kill(pid or 0, signal.SIGHUP)


def end_with_parent() -> None:
    """Ask the kernel to end this worker when its parent dies, so that none is orphaned."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1 and os.environ.get(METRICS_DIR):
        log.info("the parent is the first process of this container")
