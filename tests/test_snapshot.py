"""The last valid configuration file, as the parent keeps it and workers watch it."""

import os
from pathlib import Path

import pytest

from sentra.errors import ConfigError
from sentra.snapshot import PREFIX, Keeper, Watched, run_folder


def refuse(copy: Path) -> None:
    raise ConfigError([f"{copy}: is wrong"])


def test_a_valid_file_is_kept_and_seen_once(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("a = 1")
    keeper = Keeper(tmp_path, tmp_path / "own.toml")
    watched = Watched(keeper.kept)
    assert keeper.take(Path.read_text) == "a = 1"
    assert (keeper.kept.suffix, keeper.kept.read_text()) == (".toml", "a = 1")
    assert [watched.replaced(), watched.replaced(), watched.refused()] == [True, False, False]


def test_a_refused_file_is_named_as_the_operator_does_and_nothing_is_kept_of_it(tmp_path: Path) -> None:
    source = tmp_path / "own.json"
    source.write_text("1")
    keeper = Keeper(tmp_path, source)
    keeper.take(Path.read_text)
    watched = Watched(keeper.kept)
    source.write_text("2")
    with pytest.raises(ConfigError) as error:
        keeper.take(refuse)
    assert error.value.problems == (f"{source}: is wrong",)
    assert keeper.kept.read_text() == "1"
    assert [watched.replaced(), watched.refused(), watched.refused()] == [False, True, False]


def test_a_missing_file_is_refused_and_a_valid_one_ends_that(tmp_path: Path) -> None:
    source = tmp_path / "own.json"
    keeper = Keeper(tmp_path, source)
    with pytest.raises(ConfigError, match=r"own\.json: cannot be read: No such file"):
        keeper.take(Path.read_text)
    assert Watched(keeper.kept).refused()
    source.write_text("1")
    keeper.take(Path.read_text)
    assert not Watched(keeper.kept).refused()


def test_only_the_owner_may_read_what_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "own.json"
    source.write_text("1")
    keeper = Keeper(tmp_path, source)
    keeper.take(Path.read_text)
    assert keeper.kept.stat().st_mode & 0o777 == 0o600


def test_without_a_file_nothing_is_ever_new() -> None:
    assert not Watched(None).replaced()
    assert not Watched(None).refused()


def test_folders_of_killed_servers_are_removed_and_those_in_use_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, empty = tmp_path / f"{PREFIX}left", tmp_path / f"{PREFIX}empty"
    for folder in (left, empty):
        folder.mkdir()
    (left / "configuration.json").touch()
    with run_folder() as first:
        assert not left.exists()
        (first / "configuration.json").touch()
        with run_folder():
            assert first.exists()
        assert empty.exists()
    assert os.listdir(tmp_path) == [empty.name]
