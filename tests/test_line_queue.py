"""The bounded queue and its writer thread."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sentra.line_queue import LineQueue, Mirror

FAILURE = OSError(28, "No space left on device")


class Paper(LineQueue):
    """A queue whose writes can be held up, and fail after ``room`` lines."""

    def __init__(self, queue_bytes: int = 1000, retain: bool = False):
        super().__init__("paper", queue_bytes, retain)
        self.written: list[bytes] = []
        self.batches = 0
        self.room: int | None = None
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def _write(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        self.entered.set()
        self.open.wait()
        self.batches += 1
        count = len(lines) if self.room is None else min(self.room, len(lines))
        self.written += lines[:count]
        return count, FAILURE if count < len(lines) else None

    def _probe(self) -> OSError | None:
        return FAILURE if self.room == 0 else None


@contextmanager
def stuck(queue: Paper) -> Iterator[None]:
    """The queue's writer waits inside of a write."""
    queue.open.clear()
    queue.put(b"held")
    assert queue.entered.wait(5)
    yield
    queue.open.set()


def test_lines_are_written_in_order() -> None:
    queue = Paper()
    assert all(queue.put(b"%d" % number) for number in range(50))
    queue.close()
    assert queue.written == [b"%d" % number for number in range(50)]
    assert queue.stats.lines == 50


def test_lines_that_come_together_are_one_write() -> None:
    queue = Paper()
    for _ in range(50):
        queue.put(b"x")
    queue.close()
    assert queue.batches < 10


def test_a_full_queue_drops_and_counts() -> None:
    queue = Paper(queue_bytes=100)
    with stuck(queue):
        taken = [queue.put(b"123456789") for _ in range(20)]
        assert taken == [True] * 9 + [False] * 11
        assert not queue.accepting or queue.stats.dropped == 11
    queue.close()
    assert (queue.stats.lines, queue.stats.dropped) == (10, 11)


def test_a_line_larger_than_the_queue_is_dropped() -> None:
    queue = Paper(queue_bytes=100)
    assert not queue.put(b"x" * 100)
    assert queue.stats.dropped == 1


def test_a_rendered_line_is_made_in_the_writers_thread() -> None:
    queue = Paper()
    queue.put_later(lambda: threading.current_thread().name.encode(), 10)
    queue.close()
    assert queue.written == [b"write paper"]


def maker() -> bytes:
    """A line that tells which thread makes it."""
    return threading.current_thread().name.encode()


def test_what_a_half_full_queue_is_given_to_make_is_made_by_who_brings_it() -> None:
    queue = Paper(queue_bytes=1000)
    with stuck(queue):
        assert all(queue.put_later(maker, 200) for _ in range(20))
    queue.close()
    here = maker()
    assert queue.written == [b"held", b"write paper", b"write paper", *[here] * 18]
    assert queue.stats.dropped == 0


def test_who_is_in_a_hurry_does_not_make_it() -> None:
    queue = Paper(queue_bytes=1000)
    with stuck(queue):
        taken = [queue.put_later(maker, 200, hurry=True) for _ in range(5)]
    queue.close()
    assert taken == [True] * 4 + [False]
    assert queue.written == [b"held", *[b"write paper"] * 4]


def test_a_full_queue_makes_nothing_that_it_drops() -> None:
    queue, made = Paper(queue_bytes=100), []
    with stuck(queue):
        queue.put(b"x" * 94)
        assert not queue.accepting
        assert not queue.put_later(lambda: made.append(1) or b"", 10)
    queue.close()
    assert not made


def test_a_line_for_which_much_is_held_is_taken_by_an_empty_queue() -> None:
    queue = Paper(queue_bytes=1000)
    assert queue.put_later(maker, 50_000)
    queue.close()
    assert queue.written == [b"write paper"]


def test_a_line_that_cannot_be_made_by_who_brings_it_is_dropped() -> None:
    queue = Paper(queue_bytes=1000)
    with stuck(queue):
        for _ in range(3):
            queue.put_later(maker, 250)
        assert not queue.put_later(lambda: b"%d" % (1 // 0), 250)
    queue.close()
    assert queue.stats.dropped == 1


def test_a_line_that_cannot_be_rendered_is_dropped_and_the_next_is_written() -> None:
    queue = Paper()
    queue.put_later(lambda: b"%d" % (1 // 0), 10)
    queue.put(b"next")
    queue.close()
    assert queue.written == [b"next"]
    assert queue.stats.dropped == 1


def test_a_failed_write_drops_what_is_left_and_counts() -> None:
    queue = Paper()
    queue.room = 2
    with stuck(queue):
        for number in range(5):
            queue.put(b"%d" % number)
    assert queue.flush(5)
    assert (queue.stats.lines, queue.stats.dropped) == (3, 3)
    assert queue.stats.write_errors == 1
    queue.close()


def test_health_returns_without_a_new_line() -> None:
    queue = Paper()
    queue.room = 0
    queue.put(b"lost")
    queue.flush(5)
    assert not queue.healthy
    queue.room = None
    healed = threading.Event()
    queue._note = lambda failure: healed.set() if failure is None else None  # type: ignore[method-assign]
    assert healed.wait(5)
    queue.close()


def test_a_retaining_queue_keeps_what_failed_and_refuses_more_until_it_is_written() -> None:
    queue = Paper(retain=True)
    queue.room = 0
    queue.put(b"first")
    assert not queue.flush(0.2)
    assert not queue.put(b"refused")
    assert not queue.accepting
    queue.room = None
    assert queue.flush(5)
    assert queue.put(b"second")
    queue.close()
    assert queue.written == [b"first", b"second"]
    assert (queue.stats.lines, queue.stats.dropped) == (2, 1)


def test_what_cannot_be_written_at_the_end_is_counted() -> None:
    queue = Paper(retain=True)
    queue.room = 0
    queue.put(b"first")
    queue.close()
    assert (queue.stats.lines, queue.stats.dropped) == (0, 1)


def test_close_gives_up_on_a_stuck_disk_and_counts() -> None:
    queue = Paper()
    with stuck(queue):
        queue.put(b"1")
        queue.put(b"2")
        queue.close(timeout=0.1)
        assert queue.stats.dropped == 2


def test_nothing_is_taken_after_close() -> None:
    queue = Paper()
    queue.close()
    assert not queue.put(b"late")
    assert queue.stats.dropped == 1


def test_every_line_is_written_or_dropped_with_many_threads() -> None:
    queue = Paper(queue_bytes=2000)
    threads = [threading.Thread(target=lambda: [queue.put(b"x" * 20) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.close()
    assert queue.stats.lines + queue.stats.dropped == 8000
    assert len(queue.written) == queue.stats.lines


def test_a_mirror_writes_whole_lines() -> None:
    reader, writer = os.pipe()
    mirror = Mirror("pipe", writer)
    lines = [b"%d" % number * 500 for number in range(20)]
    for line in lines:
        mirror.put(line)
    mirror.close()
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        assert stream.read().splitlines() == lines


def test_a_mirror_whose_reader_stalls_drops_and_never_blocks() -> None:
    reader, writer = os.pipe()
    mirror = Mirror("pipe", writer, queue_bytes=200_000)
    taken = [mirror.put(b"x" * 1000) for _ in range(1000)]
    assert not taken[-1]
    assert mirror.stats.dropped == taken.count(False)
    os.close(reader)
    mirror.close()
    os.close(writer)
    assert mirror.stats.lines + mirror.stats.dropped == 1000


def test_a_mirror_waits_for_a_stream_that_does_not_block() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    mirror = Mirror("pipe", writer)
    line = b"x" * 300_000
    mirror.put(line)
    received = b""
    while len(received) <= len(line):
        received += os.read(reader, 65536)
    mirror.close()
    assert received == line + b"\n"
    os.close(reader)
    os.close(writer)


def test_lines_of_several_processes_on_one_stream_do_not_mix() -> None:
    """Each line is larger than a pipe, so that it takes several writes."""
    size, count = 150_000, 5
    code = (
        "import sys\nfrom sentra.line_queue import Mirror\nmirror = Mirror('pipe', 1)\n"
        f"[mirror.put(sys.argv[1].encode() * {size}) for _ in range({count})]\nmirror.close()\n"
    )
    reader, writer = os.pipe()
    processes = [subprocess.Popen([sys.executable, "-c", code, letter], stdout=writer) for letter in "abc"]
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        lines = stream.read().splitlines()
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(lines) == sorted(letter * size for letter in (b"a", b"b", b"c") for _ in range(count))
