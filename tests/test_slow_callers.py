"""Slow callers on the real server: they are cut by their limits, and nobody else notices."""

import asyncio
from pathlib import Path

from tests.conftest import running
from tests.stress.slow_callers import EACH, Ordinary, slow_callers

HEADERS_MS, BODY_MS = 6000, 4000
ROOM_SECONDS = 10


def test_slow_callers_are_cut_and_nobody_else_notices(tmp_path: Path) -> None:
    """500 that drip headers and 500 that drip bodies, for ever, beside ordinary requests."""
    limits = {"SENTRA_HEADER_TIMEOUT_MS": str(HEADERS_MS), "SENTRA_BODY_TIMEOUT_MS": str(BODY_MS)}
    with running(tmp_path, **limits) as server, Ordinary(server) as ordinary:
        slow = asyncio.run(slow_callers(server.port, EACH))
    assert [body[:12] for body in slow.bodies] == [b"HTTP/1.1 408"] * EACH
    assert all(b'"errorCode":4003' in body for body in slow.bodies)
    assert set(slow.heads) == {b""}
    assert BODY_MS / 1000 < slow.seconds < HEADERS_MS / 1000 + ROOM_SECONDS
    assert ordinary.others == []
    assert len(ordinary.times) > 20
    assert max(ordinary.times) - ordinary.late < 1.0
