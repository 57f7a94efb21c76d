"""The command line: what it prints, where, and with which exit code."""

from collections.abc import Callable
from pathlib import Path

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner, Result

from sentra.cli import main
from tests.conftest import CACHE, PAYLOADS, request_with
from tests.test_assembly import SECRET

Run = Callable[..., Result]
MAIL = PAYLOADS / "captured-send-email.json"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A call of ``sentra`` whose environment is the given settings alone."""
    import os

    for name in list(os.environ):
        if name.startswith(("SENTRA_", "LOG_", "AUDIT_")):
            monkeypatch.delenv(name)

    def call(*arguments: str, stdin: bytes = b"", **settings: str) -> Result:
        return CliRunner().invoke(main, arguments, input=stdin, env={"SENTRA_CACHE_DIR": CACHE} | settings)

    return call


def test_help_names_every_command(run: Run) -> None:
    shown = run("--help").stdout
    for command in ("serve", "check", "scan", "rules", "config", "telemetry", "entra", "reload"):
        assert f"  {command}" in shown


def test_check_shows_what_is_in_force(run: Run) -> None:
    done = run("check", STRICT_AUTH_ALLOWED_TOKENS="alpha,beta", SENTRA_PLUGINS="policy_pack,email_bcc")
    assert done.exit_code == 0, done.output
    assert "SENTRA_PLUGINS               policy_pack,email_bcc" in done.stdout
    assert "(2 hidden)" in done.stdout
    assert "alpha" not in done.output
    assert "companyDomain is not set" in done.stderr


def test_check_tells_every_mistake_and_ends_with_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"policies": [{"regex": ["a("]}, {"contians": ["x"]}]}')
    done = run("check", SENTRA_PLUGIN_CONFIG=str(tmp_path / "c.json"))
    assert done.exit_code == 2
    assert "policies[1]" in done.stderr
    assert run("check", PORT="x", SENTRA_WORKERS="0").stderr.count("error:") == 2


def test_scan_allows_a_captured_request(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"companyDomain": "example.com"}')
    done = run("scan", str(MAIL), SENTRA_PLUGIN_CONFIG=str(tmp_path / "c.json"))
    assert (done.exit_code, done.stdout[:8]) == (0, "1: allow")


def test_scan_says_which_rule_where_and_how_long(run: Run) -> None:
    done = run("scan", "-", stdin=msgspec.json.encode(request_with(SECRET)))
    assert done.exit_code == 1
    assert "201 secrets.aws-access-key-id at plannerContext.userMessage ****(20) [" in done.stdout
    assert SECRET not in done.output


def test_scan_reads_json_lines_and_writes_them(run: Run) -> None:
    lines = b"\n".join(
        [msgspec.json.encode(request_with("hello")), b'{"broken"', msgspec.json.encode(request_with(SECRET))]
    )
    done = run("scan", "--json", "-", stdin=lines)
    outcomes = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert [outcome["outcome"] for outcome in outcomes] == ["allow", "error", "block"]
    assert (outcomes[2]["request"], outcomes[2]["ruleId"]) == (3, "secrets.aws-access-key-id")
    assert done.exit_code == 3


def test_rules_list_has_a_line_for_each_rule(run: Run) -> None:
    shown = run("rules", "list", "--plugin", "secrets").stdout.splitlines()
    assert any(line.startswith("secrets.aws-access-key-id ") for line in shown)
    assert all(line.startswith("secrets.") for line in shown)
    assert len(shown) > 100


def test_rules_show_holds_the_cases(run: Run) -> None:
    rule = msgspec.json.decode(run("rules", "show", "secrets.aws-access-key-id").stdout)
    assert len(rule["case"]) >= 4
    assert run("rules", "show", "secrets.none").exit_code == 2


def test_rules_test_runs_the_cases_of_one_rule(run: Run) -> None:
    done = run("rules", "test", "--plugin", "secrets", "-k", "aws-access-key-id")
    assert done.exit_code == 0
    assert done.stdout.strip().endswith("passed, 0 failed")
    assert run("rules", "test", "--plugin", "secrets", "-k", "no-such-rule").exit_code == 1


def test_rules_eval_prints_recall(run: Run, tmp_path: Path) -> None:
    line = msgspec.json.encode({"request": request_with(SECRET), "label": "block", "family": "keys"})
    (tmp_path / "x.jsonl").write_bytes(line)
    assert "100.00%" in run("rules", "eval", str(tmp_path / "x.jsonl")).stdout
    report = msgspec.json.decode(run("rules", "eval", "--json", str(tmp_path / "x.jsonl")).stdout)
    assert report["families"]["keys"]["recall"] == 1.0


@pytest.mark.parametrize("command", [("config", "schema"), ("telemetry", "schema")])
def test_a_schema_is_one(run: Run, command: tuple[str, ...]) -> None:
    printed = msgspec.json.decode(run(*command).stdout)
    for schema in printed.values() if command[0] == "telemetry" else [printed]:
        jsonschema.Draft202012Validator.check_schema(schema)


def test_output_to_a_file_has_no_colours(run: Run) -> None:
    assert "\x1b[" not in run("scan", "-", stdin=msgspec.json.encode(request_with(SECRET))).output
