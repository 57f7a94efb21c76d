"""Bodies: read whole, within their size and their time, with one timer for all of a worker."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sentra.body import Bodies, ClientGone
from sentra.config import Settings
from sentra.errors import LimitError, RequestError

Message = dict[str, Any]


def sender(*parts: bytes, more: bool = True) -> Callable[[], Awaitable[Message]]:
    """Sends ``parts``, of which only the last says that there is no more unless ``more``, and then nothing for ever."""
    left = list(parts)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": more or bool(left)}

    return receive


def bodies(**values: Any) -> Bodies:
    return Bodies(Settings(**values))


@pytest.mark.parametrize(
    ("parts", "length", "more"),
    [
        ((b"abc",), b"3", True),
        ((b"ab", b"c"), b"3", True),
        ((b"a", b"bc"), None, False),
        ((b"abc", b"def"), b"3", True),
    ],
    ids=["at once", "in parts", "without a length", "no further than its length"],
)
def test_a_body_is_read_whole(parts: tuple[bytes, ...], length: bytes | None, more: bool) -> None:
    told: list[int] = []
    assert asyncio.run(bodies().read(sender(*parts, more=more), length, told.append)) == b"abc"
    assert sum(told) == 3


def test_a_body_over_the_limit_is_refused_when_it_is_announced_and_when_it_comes() -> None:
    for length in (b"4", None):
        with pytest.raises(LimitError):
            asyncio.run(bodies(max_request_bytes=3).read(sender(b"abcd"), length))


def test_a_caller_that_goes_is_told_from_one_that_is_slow() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientGone):
        asyncio.run(bodies().read(gone, b"3"))


def test_each_body_has_its_own_time_in_each_event_loop() -> None:
    read = bodies(body_timeout_ms=20.0)

    async def both() -> list[Any]:
        first = asyncio.ensure_future(read.read(sender(b"a"), b"3"))
        ended = await asyncio.gather(first, return_exceptions=True)
        later = [read.read(sender(b"a"), b"3"), read.read(sender(b"abc"), b"3"), read.read(sender(b"b"), b"2")]
        return ended + await asyncio.gather(*later, return_exceptions=True)

    for _ in range(2):
        late, last, whole, other = asyncio.run(both())
        assert whole == b"abc"
        assert [error.code for error in (late, last, other)] == [4003] * 3


def test_a_late_body_leaves_its_task_uncancelled() -> None:
    async def alone() -> bytes:
        with pytest.raises(RequestError):
            await read.read(sender(), b"3")
        await asyncio.sleep(0)
        return await read.read(sender(b"abc"), b"3")

    read = bodies(body_timeout_ms=1.0)
    assert asyncio.run(alone()) == b"abc"


def test_a_cancelled_reading_is_not_called_late() -> None:
    async def cancelled() -> None:
        task = asyncio.ensure_future(bodies().read(sender(), b"3"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
