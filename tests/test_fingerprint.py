"""Keyed fingerprints of matched values."""

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from sentra.config import Settings
from sentra.errors import ConfigError
from sentra.fingerprint import Fingerprints

KEY = "a key of more than sixteen bytes"
VALUE = "Straße 4417"


def test_a_fingerprint_is_the_start_of_an_hmac() -> None:
    expected = hmac.new(KEY.encode(), VALUE.encode(), hashlib.sha256).hexdigest()[:16]
    assert Fingerprints(Settings(fingerprint_key=KEY)).of(VALUE) == expected


def test_another_key_gives_another_fingerprint() -> None:
    assert Fingerprints(Settings(fingerprint_key=KEY)).of(VALUE) != Fingerprints(
        Settings(fingerprint_key=KEY + "2")
    ).of(VALUE)


def test_without_a_key_there_is_none() -> None:
    assert Fingerprints(Settings()).of(VALUE) is None


def test_an_empty_value_has_none() -> None:
    assert Fingerprints(Settings(fingerprint_key=KEY)).of("") is None


def test_a_key_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    from_file = Fingerprints(Settings(fingerprint_key_file=tmp_path / "key"))
    assert from_file.of(VALUE) == Fingerprints(Settings(fingerprint_key=KEY)).of(VALUE)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fingerprint_key": "hush"}, "SENTRA_FINGERPRINT_KEY: is 4 bytes long; expected at least 16"),
        ({"fingerprint_key": KEY, "fingerprint_key_file": Path("x")}, "is set together with"),
        ({"fingerprint_key_file": Path("missing")}, "SENTRA_FINGERPRINT_KEY_FILE: missing: cannot be read"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Fingerprints(Settings(**changes))
    assert told in str(caught.value)
    assert "hush" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_key_file_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush\n")
    with pytest.raises(ConfigError, match="is 4 bytes long"):
        Fingerprints(Settings(fingerprint_key_file=tmp_path / "key"))
