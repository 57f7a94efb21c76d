"""How long ago the kernel took in the last data of a connection: what a request waits before any code of ours runs.

Linux tells it for each TCP socket (``tcpi_last_data_recv`` of ``struct tcp_info`` in linux/tcp.h, milliseconds). The HTTP
server owns the sockets and gives out only the caller's address, so they are found among this process's files.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

FILES = "/proc/self/fd"
BATCH, BATCH_SECONDS = 32, 0.005
PASS_SECONDS = 0.25
LAST_DATA = slice(52, 56)

Peer = tuple[str, int]
Answer = TypeVar("Answer")


class Arrivals:
    """The sockets of one process by the address at their other end; only ever read, never held open or closed.

    A connection that is not known yet is looked for in small batches, so that no request pays for all of them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._known: dict[Peer, int] = {}
        self._unseen: list[int] = []
        self._next_batch = self._next_pass = float("-inf")

    def age(self, client: Sequence[str | int] | None) -> float | None:
        """Seconds since data last came from ``client`` (address and port); nothing when that is not known."""
        if not client or not str(client[1]).isdecimal():
            return None
        peer = (str(client[0]), int(client[1]))
        file = self._known.get(peer)
        age = None if file is None else _age(file, peer)
        if age is None:
            self._known.pop(peer, None)
            self._look()
        return age

    def _look(self) -> None:
        """Learn whose some further sockets are."""
        now = self._clock()
        if now < self._next_batch:
            return
        self._next_batch = now + BATCH_SECONDS
        if not self._unseen and now >= self._next_pass:
            self._next_pass = now + PASS_SECONDS
            self._unseen = _files()
            if len(self._known) > len(self._unseen):
                self._known.clear()
        for file in self._unseen[-BATCH:]:
            peer = _peer(file)
            if peer is not None:
                self._known[peer] = file
        del self._unseen[-BATCH:]


def _files() -> list[int]:
    with suppress(OSError):
        return [int(name) for name in os.listdir(FILES)]
    return []


def _peer(file: int) -> Peer | None:
    return _asked(file, _name)


def _age(file: int, peer: Peer) -> float | None:
    """The time, if ``file`` is still the connection of ``peer``: numbers of closed files are given out again."""
    return _asked(file, lambda borrowed: _last_data(borrowed) if _name(borrowed) == peer else None)


def _asked(file: int, question: Callable[[socket.socket], Answer | None]) -> Answer | None:
    """The answer about an open socket. Its family only says how long a name may be: that of IPv6 has room for both."""
    try:
        borrowed = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 0, fileno=file)
    except OSError:
        return None
    try:
        return question(borrowed)
    except OSError:
        return None
    finally:
        borrowed.detach()


def _name(borrowed: socket.socket) -> Peer | None:
    name = borrowed.getpeername()
    return (name[0], name[1]) if isinstance(name, tuple) else None


def _last_data(borrowed: socket.socket) -> float | None:
    told = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_DATA.stop)[LAST_DATA]
    return int.from_bytes(told, "little") / 1000 if len(told) == 4 else None
