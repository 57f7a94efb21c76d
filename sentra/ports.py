"""One service for each port: workers share theirs, so that a second service would start silently and take a part of the calls.

Looking whether a port is free does not tell of a service that looks at the same moment. So each service also holds a
name in the abstract namespace of Unix sockets, which the kernel gives to one process only, which belongs to the same
network namespace as the port, and which ends with its holder.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

from sentra.errors import ConfigError


@contextlib.contextmanager
def only_service(setting: str, host: str, port: int | None) -> Iterator[None]:
    """Hold ``port`` against other services until the end; nothing without one.

    Raises ``ConfigError`` that names ``setting`` when something listens there or another service is about to.
    """
    if port is None:
        yield
        return
    family, kind, protocol, _, address = _resolved(setting, host, port)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as name:
        os.register_at_fork(after_in_child=name.close)  # a worker that outlives its parent must not hold it
        try:
            name.bind(f"\0sentra {address[0]} {address[1]}")
        except OSError as error:
            raise _refusal(setting, host, port, error) from None
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
                probe.listen(1)
            except OSError as error:
                raise _refusal(setting, host, port, error) from None
        yield


def _resolved(setting: str, host: str, port: int) -> tuple[Any, ...]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise _refusal(setting, host, port, error) from None


def _refusal(setting: str, host: str, port: int, error: OSError) -> ConfigError:
    return ConfigError([f"HOST, {setting}: cannot listen on {host}:{port}: {error.strerror}"])
