"""Rotated segments: names, pruning, compression, and what a killed process leaves behind."""

import gzip
from pathlib import Path

import pytest

from sentra import segments
from sentra.segments import Janitor, compress_segment, rename_aside, tidy

STAMPS = [f"17000000000000000{number:02}" for number in range(10, 20)]


def lay(folder: Path, *names: str) -> Path:
    """A log with the segments ``names``, each holding its own name; ``.gz`` ones compressed."""
    path = folder / "a.jsonl"
    path.write_bytes(b"now\n")
    for name in names:
        content = name.removesuffix(".gz").encode()
        (folder / f"a.jsonl.{name}").write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def names(folder: Path) -> list[str]:
    """The segments in ``folder``, without the log's name."""
    return sorted(file.name.removeprefix("a.jsonl.") for file in folder.glob("a.jsonl.*"))


def test_a_segment_is_named_by_nanoseconds(tmp_path: Path) -> None:
    path = lay(tmp_path)
    segment = rename_aside(path)
    assert segment.name.startswith("a.jsonl.")
    assert len(segment.name.removeprefix("a.jsonl.")) == 19
    assert segment.read_bytes() == b"now\n"
    assert not path.exists()


def test_a_clock_that_stands_still_takes_no_name_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments.time, "time_ns", lambda: int(STAMPS[0]))
    path = lay(tmp_path, STAMPS[0])
    assert rename_aside(path).name == f"a.jsonl.{STAMPS[1]}"


def test_the_newest_are_kept(tmp_path: Path) -> None:
    path = lay(tmp_path, *STAMPS[:5])
    tidy(path, keep=2, compress=False)
    assert names(tmp_path) == STAMPS[3:5]


def test_all_but_the_newest_are_compressed(tmp_path: Path) -> None:
    path = lay(tmp_path, *STAMPS[:3])
    tidy(path, keep=5, compress=True)
    assert names(tmp_path) == [f"{STAMPS[0]}.gz", f"{STAMPS[1]}.gz", STAMPS[2]]
    assert gzip.decompress((tmp_path / f"a.jsonl.{STAMPS[0]}.gz").read_bytes()) == STAMPS[0].encode()


def test_compressed_segments_count_as_kept(tmp_path: Path) -> None:
    path = lay(tmp_path, f"{STAMPS[0]}.gz", f"{STAMPS[1]}.gz", STAMPS[2])
    tidy(path, keep=2, compress=True)
    assert names(tmp_path) == [f"{STAMPS[1]}.gz", STAMPS[2]]


def test_an_unfinished_compression_is_done_again(tmp_path: Path) -> None:
    path = lay(tmp_path, STAMPS[0], STAMPS[1])
    (tmp_path / f"a.jsonl.{STAMPS[0]}.gz.tmp").write_bytes(b"\x1f\x8b half")
    tidy(path, keep=5, compress=True)
    assert names(tmp_path) == [f"{STAMPS[0]}.gz", STAMPS[1]]


@pytest.mark.parametrize("compress", [True, False])
def test_a_segment_that_stands_twice_keeps_its_compressed_form(tmp_path: Path, compress: bool) -> None:
    path = lay(tmp_path, STAMPS[0], f"{STAMPS[0]}.gz", STAMPS[1])
    tidy(path, keep=5, compress=compress)
    assert names(tmp_path) == [f"{STAMPS[0]}.gz", STAMPS[1]]


@pytest.mark.parametrize("foreign", ["1", "1.gz", "bak", "20260101", f"{STAMPS[0]}.old", f"x.{STAMPS[0]}.gz.tmp"])
def test_what_others_put_beside_the_log_is_left_alone(tmp_path: Path, foreign: str) -> None:
    path = lay(tmp_path, STAMPS[0], STAMPS[1])
    (tmp_path / f"a.jsonl.{foreign}").write_bytes(b"theirs")
    tidy(path, keep=1, compress=True)
    assert (tmp_path / f"a.jsonl.{foreign}").read_bytes() == b"theirs"


def test_another_log_in_the_folder_keeps_its_segments(tmp_path: Path) -> None:
    path = lay(tmp_path, STAMPS[0])
    other = tmp_path / f"a.jsonl.more.{STAMPS[0]}"
    other.write_bytes(b"other")
    tidy(path, keep=1, compress=False)
    assert other.exists()


def test_a_compressed_segment_holds_the_same_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    segment = tmp_path / f"a.jsonl.{STAMPS[0]}"
    segment.write_bytes(content)
    assert gzip.decompress(compress_segment(segment).read_bytes()) == content
    assert not segment.exists()


def test_the_janitor_works_again_after_it_was_done(tmp_path: Path) -> None:
    path = lay(tmp_path, *STAMPS[:3])
    janitor = Janitor(path, keep=1, compress=False)
    janitor.kick()
    janitor.join(5)
    assert names(tmp_path) == [STAMPS[2]]
    lay(tmp_path, STAMPS[4])
    janitor.kick()
    janitor.join(5)
    assert names(tmp_path) == [STAMPS[4]]


def test_a_folder_that_vanished_does_not_end_the_janitor(tmp_path: Path) -> None:
    janitor = Janitor(tmp_path / "gone" / "a.jsonl", keep=1, compress=True)
    janitor.kick()
    janitor.join(5)
    assert janitor._thread is None
