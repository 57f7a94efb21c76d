"""The file that names the running service."""

import os
from pathlib import Path

import pytest

from sentra.errors import ConfigError
from sentra.pid_file import pid_file, running_pid


def test_it_names_this_process_while_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("99999999999999\n")
    with pid_file(path):
        assert running_pid(path) == os.getpid()
        with pytest.raises(ConfigError, match="another service that runs has it"), pid_file(path):
            pass
    assert not path.exists()


def test_without_a_setting_there_is_none() -> None:
    with pid_file(None):
        pass


def test_a_file_that_cannot_be_written_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"SENTRA_PID_FILE: .*cannot be written"), pid_file(tmp_path / "no" / "pid"):
        pass


def test_a_file_left_behind_leads_to_no_process(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getpid()}\n")
    with pytest.raises(ConfigError, match="does not run any more"):
        running_pid(path)


def test_a_missing_file_says_who_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist; `sentra serve` writes it"):
        running_pid(tmp_path / "pid")


def test_a_running_service_whose_file_was_overwritten_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pid_file(path):
        path.write_text("all\n")
        with pytest.raises(ConfigError, match="holds no process number"):
            running_pid(path)
