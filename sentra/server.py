"""Runs the service under granian: one parent that checks, compiles and watches; workers that answer.

The parent holds no request. It builds the whole configuration once before any worker starts, so that a mistake ends
the start with exit code 2, and again at each reload, so that a mistake changes nothing.
"""

import ctypes
import logging
import math
import os
import signal
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import msgspec
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings

from sentra.assembly import Assembly, assemble
from sentra.config import Settings
from sentra.engine import self_test
from sentra.errors import SentraError
from sentra.log import configure_logging
from sentra.memory import trim
from sentra.metrics import prepare_folder
from sentra.pid_file import pid_file
from sentra.ports import only_service
from sentra.snapshot import Keeper, run_folder
from sentra.stopping import DRAIN_SECONDS, STOP, stop_at_once
from sentra.transport import connection_options, raise_file_limit, tls_options

log = logging.getLogger("sentra.server")

METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"
PR_SET_PDEATHSIG = 1
RECORD_SECONDS = 7
RELOAD = (signal.SIGHUP,)

_libc = ctypes.CDLL(None, use_errno=True)
_compiling = Lock()  # no fork while rules are compiled in another thread: the child would inherit held locks


def serve(settings: Settings) -> None:
    """Check everything, then serve until SIGTERM. Raises ``SentraError`` when it must not start."""
    configure_logging(settings.log_level)
    stop_at_once()  # until granian handles it
    signal.pthread_sigmask(signal.SIG_BLOCK, RELOAD)  # before any thread: one thread alone waits for it
    with run_folder() as folder:
        keeper = Keeper(folder, settings.plugin_config) if settings.plugin_config else None
        assembly = _valid(settings, keeper)
        self_test()
        with (
            only_service("PORT", settings.host, settings.port),
            only_service("SENTRA_OPS_PORT", settings.host, settings.ops_port),
            pid_file(settings.pid_file),
        ):
            _announce(settings, folder, keeper)
            _warn(assembly, raise_file_limit(settings))
            _run(make_server(settings), settings, keeper)


def _run(server: Any, settings: Settings, keeper: Keeper | None) -> None:
    """Serve. A stop that was asked for ends with exit code 0 though workers may have been told to stop before."""
    _prepare_forks()
    server.on_startup(lambda: Thread(target=_reload_for_ever, args=(settings, keeper), daemon=True).start())
    try:
        server.serve()
    except SystemExit:
        if not server.interrupt_signal:
            raise


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
        http1_settings=HTTP1Settings(header_read_timeout=settings.header_timeout_ms, max_buffer_size=65_536),
        log_enabled=True,
        log_dictconfig=_granian_logging(settings.log_level),
        log_access=False,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=stop_seconds(settings),
        **connection_options(settings),
        **tls_options(settings),
    )


def stop_seconds(settings: Settings) -> int:
    """How long a worker may take to stop: for its connections, a body that is arriving, its verdict, and its records."""
    requests = (settings.body_timeout_ms + settings.plugin_budget_ms) / 1000
    return math.ceil(DRAIN_SECONDS + requests) + RECORD_SECONDS


def _granian_logging(level: str) -> dict[str, Any]:
    """Granian's own lines in the same structured form as ours, on standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "sentra.log.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "loggers": {"_granian": {"handlers": ["stderr"], "level": level.upper(), "propagate": False}},
    }


def _announce(settings: Settings, folder: Path, keeper: Keeper | None) -> None:
    """Tell the workers, through the environment, where metric files go and which configuration file to read."""
    metrics = settings.metrics_dir or folder / "metrics"
    prepare_folder(metrics)
    os.environ[METRICS_DIR] = str(metrics)
    if keeper is not None:
        os.environ["SENTRA_PLUGIN_CONFIG"] = str(keeper.kept)


def _warn(assembly: Assembly, limit: str | None) -> None:
    for warning in (*assembly.warnings, *([limit] if limit else [])):
        log.warning(warning)
    rules = len(assembly.pipeline.scanner.rules)
    log.info("configuration is in force", extra={"configHash": assembly.digest, "rules": rules})


def _valid(settings: Settings, keeper: Keeper | None) -> Assembly:
    """What the configuration file describes as it is now, with its rules compiled. Raises ``SentraError``."""
    try:
        if keeper is None:
            return assemble(settings)
        return keeper.take(lambda copy: assemble(msgspec.structs.replace(settings, plugin_config=copy)))
    finally:
        trim()


def _reload_for_ever(settings: Settings, keeper: Keeper | None) -> None:
    """Instead of granian's reload, which would end workers before it knows that new ones can start.

    Reloads never overlap: a SIGHUP that comes during one waits, and further ones with it, for one more reload.
    """
    while True:
        signal.sigwait(RELOAD)
        if keeper is None:
            log.warning("there is nothing to reload: SENTRA_PLUGIN_CONFIG is not set")
        else:
            _reload(settings, keeper)


def _reload(settings: Settings, keeper: Keeper) -> None:
    """Validate the new configuration and compile its rules; workers see what is kept. A bad one changes nothing."""
    try:
        with _compiling:
            digest = _valid(settings, keeper).digest
    except SentraError as error:
        log.error("the configuration was not reloaded", extra={"problems": str(error).splitlines()})
    except Exception:
        log.exception("the configuration was not reloaded")
    else:
        log.info("the configuration is valid", extra={"configHash": digest})


def _prepare_forks() -> None:
    """From now on every child of this process is a worker: it ends with its parent, and whenever it is told to."""
    parent = os.getpid()

    def in_child() -> None:
        _compiling.release()
        for number in STOP:  # the parent's handlers would only note it, in the wrong process
            signal.signal(number, signal.SIG_DFL)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    os.register_at_fork(before=_compiling.acquire, after_in_parent=_compiling.release, after_in_child=in_child)
