"""Compiled rules that came with the installation, as in the container image: who may have written them, and where."""

import os
from pathlib import Path

import hyperscan
import pytest

from sentra import engine
from sentra.engine import Database, cache_file, load_cached, store

PATTERNS = ["alpha", r"b\d+"]
PLATFORM = 12  # where the serialised form tells the processor: after magic, version and length


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installation, with PATTERNS compiled by another user who counts as root."""
    folder = tmp_path / "shipped"
    Database(PATTERNS, str(folder))
    monkeypatch.setattr(engine, "SHIPPED", folder)
    monkeypatch.setattr(engine, "ROOT", os.getuid())
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    return folder


def test_shipped_rules_need_no_compiling_and_no_cache(shipped: Path, tmp_path: Path) -> None:
    database = Database(PATTERNS, str(tmp_path / "cache"))
    assert (database.cached, database.scan(b"b22")) == (True, [1])
    assert not (tmp_path / "cache").exists()


def test_other_rules_than_the_shipped_are_compiled_and_kept(shipped: Path, tmp_path: Path) -> None:
    own = [*PATTERNS, "gamma"]
    assert Database(own, str(tmp_path / "cache")).cached is False
    assert cache_file(own, str(tmp_path / "cache")).exists()


def test_shipped_rules_that_others_could_have_written_are_compiled_again(shipped: Path, tmp_path: Path) -> None:
    cache_file(PATTERNS, str(shipped)).chmod(0o666)
    assert Database(PATTERNS, str(tmp_path / "cache")).cached is False


def test_a_file_of_root_in_the_cache_is_not_loaded(shipped: Path) -> None:
    assert load_cached(PATTERNS, str(shipped)) is None


def test_rules_compiled_for_another_processor_are_compiled_again(tmp_path: Path) -> None:
    blob = bytearray(hyperscan.dumpb(Database(PATTERNS)._database))
    blob[PLATFORM] ^= 0xFF
    with pytest.raises(hyperscan.DatabasePlatformError):
        hyperscan.loadb(bytes(blob), hyperscan.HS_MODE_BLOCK)
    store(PATTERNS, str(tmp_path), bytes(blob))
    database = Database(PATTERNS, str(tmp_path))
    assert (database.cached, database.scan(b"alpha")) == (False, [0])
    assert Database(PATTERNS, str(tmp_path)).cached is True
