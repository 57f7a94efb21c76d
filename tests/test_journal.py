"""The shared log file: whole lines, each once, whatever happens to the file, the disk or a process."""

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sentra.errors import ConfigError
from sentra.journal import Journal
from sentra.segments import segments
from tests.stress import journal as stress

LINE = b'{"n":%d}'


def lines(path: Path) -> list[bytes]:
    """All lines of a log, oldest segment first."""
    found: list[bytes] = []
    for file in [*segments(path), path]:
        content = file.read_bytes() if file.exists() else b""
        found += (gzip.decompress(content) if file.suffix == ".gz" else content).splitlines()
    return found


def numbered(first: int, last: int) -> list[bytes]:
    return [LINE % number for number in range(first, last)]


def append(journal: Journal, first: int, last: int) -> None:
    """Write lines ``first`` to ``last`` and wait until they are written."""
    assert all(journal.put(line) for line in numbered(first, last))
    assert journal.flush(10)


def child(code: str, *arguments: str, prefix: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    """Run ``code`` in a process of its own."""
    command = [*prefix, sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":0}\n')
    journal = Journal(path)
    append(journal, 1, 4)
    journal.close()
    assert path.read_bytes() == b"\n".join([*numbered(0, 4), b""])
    assert journal.stats.size_bytes == path.stat().st_size


def test_without_a_limit_nothing_is_rotated(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    append(journal, 0, 5000)
    journal.close()
    assert segments(journal.path) == []


def test_the_file_never_grows_past_its_limit(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl", max_bytes=500, keep=1000)
    append(journal, 0, 2000)
    journal.close()
    sizes = [file.stat().st_size for file in [*segments(journal.path), journal.path]]
    assert max(sizes) <= 500
    assert min(sizes[:-1]) > 400
    assert lines(journal.path) == numbered(0, 2000)


def test_as_many_segments_as_configured_are_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl", max_bytes=500, keep=3, compress=True)
    append(journal, 0, 2000)
    journal.close()
    found = segments(journal.path)
    assert len(found) == 3
    assert [file.suffix == ".gz" for file in found] == [True, True, False]
    kept = lines(journal.path)
    assert kept == numbered(2000 - len(kept), 2000)


def test_a_line_of_a_mebibyte_stands_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl", max_bytes=10_000, keep=10)
    large = b'"' + b"x" * (1 << 20) + b'"'
    append(journal, 0, 3)
    journal.put(large)
    append(journal, 3, 6)
    journal.close()
    assert lines(journal.path) == [*numbered(0, 3), large, *numbered(3, 6)]


def test_a_rotation_by_rename_from_outside_is_followed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    append(journal, 0, 3)
    journal.path.rename(tmp_path / "moved")
    append(journal, 3, 6)
    journal.close()
    assert (tmp_path / "moved").read_bytes().splitlines() == numbered(0, 3)
    assert lines(journal.path) == numbered(3, 6)


def test_a_deleted_file_is_made_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    append(journal, 0, 3)
    journal.path.unlink()
    append(journal, 3, 6)
    journal.close()
    assert lines(journal.path) == numbered(3, 6)


def test_a_truncation_from_outside_leaves_whole_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    append(journal, 0, 3)
    os.truncate(journal.path, 10)
    append(journal, 3, 6)
    journal.close()
    assert lines(journal.path) == [LINE % 0, *numbered(3, 6)]


def test_two_journals_with_different_limits_share_a_file(tmp_path: Path) -> None:
    small = Journal(tmp_path / "a.jsonl", max_bytes=300, keep=100)
    large = Journal(tmp_path / "a.jsonl", max_bytes=2000, keep=100)
    for number in range(0, 400, 2):
        append(small, number, number + 1)
        append(large, number + 1, number + 2)
    small.close()
    large.close()
    assert sorted(lines(small.path)) == sorted(numbered(0, 400))


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        (b'{"n":7', b""),
        (b'{"n":7}', b'{"n":7}\n'),
        (b'{"text":"' + b"x" * 300_000, b""),
        (b"\xff\xfe", b""),
        (b"[" * 5000, b""),
    ],
    ids=["half a line", "a whole line without its end", "half a long line", "not text", "deep nesting"],
)
def test_the_torn_tail_of_a_killed_process_is_repaired(tmp_path: Path, tail: bytes, kept: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINE % 1 + b"\n" + tail)
    journal = Journal(path)
    append(journal, 2, 3)
    journal.close()
    assert path.read_bytes() == LINE % 1 + b"\n" + kept + LINE % 2 + b"\n"


def test_a_tail_torn_by_another_process_is_repaired_while_this_one_runs(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    append(journal, 0, 1)
    with journal.path.open("ab") as other:
        other.write(b'{"torn')
    append(journal, 1, 2)
    journal.close()
    assert lines(journal.path) == numbered(0, 2)


def test_a_file_that_is_one_endless_line_is_only_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentra.journal.MAX_TAIL", 100)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * 1000)
    Journal(path).close()
    assert path.read_bytes() == b"x" * 1000 + b"\n"


def test_killed_writers_lose_and_repeat_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    report = stress.run(tmp_path, stress.Options(lines=30_000, writers=3, kills=8, max_bytes=200_000))
    assert report.acknowledged >= 30_000
    assert report.segments > 10
    assert report.faultless, report


def test_a_loss_would_be_seen(tmp_path: Path) -> None:
    """The check itself: without one of its segments, and with a torn and a repeated line, the run is not faultless."""
    options = stress.Options(lines=2_000, writers=1, kills=1, max_bytes=100_000, compress=False)
    assert stress.run(tmp_path, options).faultless
    path = tmp_path / "stress.jsonl"
    acknowledged = stress.Counter({0: 2_000})
    first, second = segments(path)[:2]
    second.write_bytes(second.read_bytes() + second.read_bytes().splitlines(keepends=True)[0] + b'{"writer"')
    first.unlink()
    report = stress.look(path, acknowledged)
    assert (report.lost > 0, report.twice, report.torn) == (True, 1, 2)


FAULTS = """
import os, signal, sys
from pathlib import Path
from sentra.journal import Journal
calls = 0
def deadly(step):
    def run(*arguments, **named):
        global calls
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments, **named)
    return run
journal = Journal(Path(sys.argv[1]), max_bytes=100, keep=100, compress=True)
os.fsync, Path.rename, Path.unlink = deadly(os.fsync), deadly(Path.rename), deadly(Path.unlink)
for number in range(200):
    journal.put(b'{"n":%d}' % number)
    journal.flush(5)
    journal._janitor.join(5)
    print(number, flush=True)
"""


@pytest.mark.parametrize("step", range(1, 10))
def test_a_kill_before_any_step_of_a_rotation_loses_and_repeats_nothing(tmp_path: Path, step: int) -> None:
    path = tmp_path / "a.jsonl"
    ended = child(FAULTS, str(path), str(step))
    assert ended.returncode == -9
    told = len(ended.stdout.split())
    Journal(path, max_bytes=100, keep=100, compress=True).close()
    found = lines(path)
    assert found == numbered(0, len(found))
    assert told <= len(found) <= told + 1
    assert list(tmp_path.glob("*.tmp")) == []


FULL = """
import os, resource, sys
from pathlib import Path
import msgspec
from sentra.journal import Journal
path, sync = Path(sys.argv[1]), sys.argv[2] == "sync"
{make_full}
journal = Journal(path, sync=sync)
puts = taken = 0
def put(count):
    global puts, taken
    for _ in range(count):
        taken += journal.put(msgspec.json.encode(dict(n=puts, text="x" * 500)))
        puts += 1
        journal.flush(0.3)
while journal.healthy and puts < 5000:
    put(1)
failed, whole = journal.stats.write_errors, path.read_bytes().endswith(b"\\n")
put(5)
{make_room}
probe = 0
while not journal.healthy and probe < 200:
    journal.flush(0.1); journal._changed.acquire(); journal._changed.wait(0.05); journal._changed.release(); probe += 1
put(5)
journal.close()
numbers = [msgspec.json.decode(line)["n"] for line in path.read_bytes().splitlines()]
stats = journal.stats
print(msgspec.json.encode(dict(puts=puts, taken=taken, numbers=numbers, failed=failed, lines=stats.lines,
    dropped=stats.dropped, whole=whole, ends=path.read_bytes().endswith(b"\\n"))).decode())
"""
BY_LIMIT = FULL.format(
    make_full="resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))",
    make_room="resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
)
BY_DISK = FULL.format(
    make_full="filler = path.parent / 'filler'; filler.write_bytes(bytes(900_000))", make_room="filler.unlink()"
)


def mounted(folder: Path, options: str) -> tuple[str, ...]:
    """A prefix that runs a command with a memory file system of its own on ``folder``; skips where that cannot be."""
    missing = [tool for tool in ("unshare", "mount", "sh") if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs {', '.join(missing) or 'root'} to mount a file system")
    prefix = ("unshare", "-m", "sh", "-c", f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"', str(folder))
    if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs a kernel that lets root mount a tmpfs")
    return prefix


def outcome(ended: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert ended.returncode == 0, ended.stderr
    decoded: dict[str, Any] = msgspec.json.decode(ended.stdout)
    return decoded


@pytest.mark.parametrize("kind", ["limit", "disk"])
def test_a_full_disk_drops_whole_lines_and_ends_when_there_is_room(tmp_path: Path, kind: str) -> None:
    prefix = mounted(tmp_path, "size=1m") if kind == "disk" else ()
    code = BY_DISK if kind == "disk" else BY_LIMIT
    told = outcome(child(code, str(tmp_path / "a.jsonl"), "plain", prefix=prefix))
    numbers = told["numbers"]
    assert told["failed"] >= 1
    assert told["dropped"] >= 6
    assert told["lines"] + told["dropped"] == told["puts"]
    assert len(numbers) == told["lines"]
    assert numbers == sorted(set(numbers))
    assert numbers[-5:] == list(range(told["puts"] - 5, told["puts"]))
    assert told["whole"]
    assert told["ends"]


@pytest.mark.parametrize("kind", ["limit", "disk"])
def test_a_full_disk_loses_no_record_that_an_audit_file_took(tmp_path: Path, kind: str) -> None:
    prefix = mounted(tmp_path, "size=1m") if kind == "disk" else ()
    code = BY_DISK if kind == "disk" else BY_LIMIT
    told = outcome(child(code, str(tmp_path / "a.jsonl"), "sync", prefix=prefix))
    assert told["puts"] - told["taken"] == 5
    assert told["lines"] == told["taken"] == len(told["numbers"])
    assert told["dropped"] == 5
    assert told["numbers"] == sorted(set(told["numbers"]))


def test_a_folder_on_a_read_only_file_system_is_refused(tmp_path: Path) -> None:
    code = "import sys\nfrom pathlib import Path\nfrom sentra.journal import Journal\nJournal(Path(sys.argv[1]))"
    ended = child(code, str(tmp_path / "a.jsonl"), prefix=mounted(tmp_path, "ro"))
    assert ended.returncode == 1
    assert f"LOG_FILE: {tmp_path}/a.jsonl: {tmp_path} is not a folder that can be written to" in ended.stderr


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        Journal(path, setting="AUDIT_LOG_FILE")
    return str(caught.value)


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from sentra.journal import Journal
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
Journal(Path("a.jsonl"), setting="AUDIT_LOG_FILE")
"""


def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    ended = child(UNPRIVILEGED, str(tmp_path))
    tmp_path.chmod(0o755)
    assert "AUDIT_LOG_FILE: a.jsonl: . is not a folder that can be written to" in ended.stderr


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no" / "a.jsonl"
    assert refusal(path) == f"AUDIT_LOG_FILE: {path}: cannot be reached: No such file or directory"


@pytest.mark.parametrize("stream", ["/dev/stdout", "/dev/stderr", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_stream_is_refused_and_its_setting_named(stream: str) -> None:
    assert "SENTRA_LOG_STDOUT" in refusal(Path(stream))


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (Path("/dev/null"), tmp_path / "fifo", tmp_path):
        assert "is not a regular file" in refusal(path)


def test_a_link_to_a_file_is_rotated_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "real" / "a.jsonl")
    (tmp_path / "real" / "a.jsonl").touch()
    journal = Journal(link, max_bytes=100, keep=100)
    append(journal, 0, 100)
    journal.close()
    assert link.is_symlink()
    assert lines(tmp_path / "real" / "a.jsonl") == numbered(0, 100)


FORK = """
import os, sys
from pathlib import Path
from sentra.journal import Journal
journal = Journal(Path(sys.argv[1]), max_bytes=2000, keep=1000)
journal.put(b'{"who":"parent before"}')
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        taken = sum(journal.put(b'{"who":"child %d","n":%d}' % (number, n)) for n in range(300))
        journal.close()
        os._exit(0 if taken == 300 == journal.stats.lines else 1)
    children.append(child)
for n in range(300):
    journal.put(b'{"who":"parent","n":%d}' % n)
codes = [os.waitpid(child, 0)[1] for child in children]
journal.close()
print(codes, journal.stats.lines)
"""


def test_processes_forked_after_opening_write_each_line_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    ended = child(FORK, str(path))
    assert ended.stdout.strip() == "[0, 0, 0] 301", ended.stderr
    found = lines(path)
    assert len(found) == len(set(found)) == 1201
    assert all(msgspec.json.decode(line) for line in found)


def test_a_killed_parents_lock_does_not_outlive_it_in_a_child(tmp_path: Path) -> None:
    """A child that kept the parent's descriptor would keep the parent's lock when the parent dies holding it."""
    code = (
        "import fcntl, os, signal, sys, time\nfrom pathlib import Path\nfrom sentra.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\nfcntl.flock(journal._lock, fcntl.LOCK_EX)\n"
        "if os.fork() == 0:\n    os.read(0, 1)\n    os._exit(0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "a.jsonl"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE)
    assert process.wait(20) == -9
    again = (
        "import sys\nfrom pathlib import Path\nfrom sentra.journal import Journal\nJournal(Path(sys.argv[1])).close()"
    )
    assert child(again, str(path)).returncode == 0
    assert process.stdin is not None
    process.stdin.close()


def test_an_audit_file_reaches_the_disk_with_each_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal = Journal(tmp_path / "a.jsonl", sync=True)
    append(journal, 0, 3)
    journal.close()
    assert synced == [journal.path.stat().st_size]


def test_a_failed_sync_is_an_error_and_heals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    journal = Journal(tmp_path / "a.jsonl", sync=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        journal.put(LINE % 0)
        journal.flush(5)
    assert journal.stats.write_errors == 1
    with journal._changed:
        assert journal._changed.wait_for(lambda: journal.healthy, 5)
    append(journal, 1, 2)
    journal.close()
    assert lines(journal.path) == numbered(0, 2)
