"""The command line: serve, check, scan, rules, config, telemetry, entra."""

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
import msgspec

from sentra import __version__, cases, evaluate, ruleset, wire
from sentra.assembly import Assembly, assemble, cache_folder
from sentra.cli_entra import entra
from sentra.config import FIELDS, HELP, Settings, file_schema, load_settings, read_variable
from sentra.engine import self_test
from sentra.errors import ConfigError, RequestError, SentraError
from sentra.pid_file import running_pid
from sentra.plugins import BUILTIN
from sentra.ruleset import Combination, Rule

EXIT_BLOCKED, EXIT_CONFIG, EXIT_FAILED = 1, 2, 3
PACKS = [builtin.name for builtin in BUILTIN]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sentra")
def main() -> None:
    """Threat detection for AI agents' tool calls.

    Sentra answers Microsoft Copilot Studio's question whether a tool call may go ahead. Everything is configured
    by environment variables; `sentra check` shows what is in force.
    """


main.add_command(entra)


@contextmanager
def problems_told() -> Iterator[None]:
    """Show the operator's mistakes as lines, without a stack trace, and end with exit code 2."""
    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"{click.style('error:', fg='red', bold=True)} {problem}", err=True)
        sys.exit(EXIT_CONFIG)
    except SentraError as error:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
        sys.exit(EXIT_CONFIG)


@main.command()
def serve() -> None:
    """Start the service. It runs until SIGTERM; SIGHUP reloads the configuration file."""
    from sentra.server import serve as run

    with problems_told():
        settings, warnings = load_settings()
        _warn(warnings)
        run(settings)


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        click.echo(f"{click.style('warning:', fg='yellow', bold=True)} {warning}", err=True)


def _assembled() -> Assembly:
    settings, warnings = load_settings()
    assembly = assemble(settings)
    _warn([*warnings, *assembly.warnings])
    return assembly


@main.command()
def check() -> None:
    """Validate environment and configuration, and show what is in force.

    Exit code 0 when `sentra serve` would start, 2 with every problem when it would not.
    """
    with problems_told():
        assembly = _assembled()
        self_test()
        for plugin in PACKS:
            cases.require(ruleset.shipped(plugin), str(cache_folder(assembly.settings)))
    for env, field in FIELDS.items():
        value = getattr(assembly.settings, field)
        default = " (default)" if value == HELP[env].default else ""
        click.echo(f"{env:<28} {_shown(env, value)}{click.style(default, dim=True)}")
    counts: dict[str, int] = {}
    for compiled in assembly.pipeline.scanner.rules:
        counts[compiled.rule.plugin] = counts.get(compiled.rule.plugin, 0) + 1
    for stage in assembly.pipeline.plugins:
        click.echo(f"plugin {stage.name:<21} {counts.get(stage.name, 0)} rules")
    click.echo(f"{'configuration hash':<28} {assembly.digest}")


def _shown(env: str, value: Any) -> str:
    if value is None:
        return "-"
    if HELP[env].secret:
        return f"({len(value)} hidden)"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


@main.command()
@click.argument("file", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="One JSON line for each request.")
def scan(file: BinaryIO, as_json: bool) -> None:
    """Judge the request in FILE, or each line of a .jsonl FILE; - reads standard input.

    Exit code 0 when every request is allowed, 1 when one is blocked, 3 when one cannot be judged.
    """
    with problems_told():
        assembly = _assembled()
    worst = 0
    for number, body in enumerate(_requests(file), 1):
        result = _judge(assembly, body)
        worst = max(worst, {"allow": 0, "block": EXIT_BLOCKED, "error": EXIT_FAILED}[result["outcome"]])
        if as_json:
            click.echo(msgspec.json.encode({"request": number, **result}))
        else:
            _tell(number, result)
    sys.exit(worst)


def _requests(file: BinaryIO) -> list[bytes]:
    """One request, or one for each line where the whole is not one JSON document."""
    text = file.read()
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        lines = [line for line in text.splitlines() if line.strip()]
        return lines if len(lines) > 1 else [text]
    return [text]


def _judge(assembly: Assembly, body: bytes) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        request = wire.decode_request(body)
    except RequestError as error:
        return {"outcome": "error", "errorCode": error.code, "message": error.message}
    budget = assembly.settings.plugin_budget_ms / 1000
    decision, _ = assembly.pipeline.decide_alone(request, time.monotonic() + budget, body)
    result: dict[str, Any] = {"outcome": "block" if decision.blocked else "allow"}
    if decision.errors:
        result["errors"] = decision.errors
    if decision.verdict is not None:
        verdict, finding = decision.verdict, decision.verdict.finding
        result |= {"withheld": decision.withheld, "blockedBy": verdict.plugin, "reasonCode": verdict.reason_code}
        result |= {"ruleId": verdict.rule_id, "reason": verdict.reason}
        result |= msgspec.to_builtins(finding.evidence()) if finding else {}
    result["milliseconds"] = round((time.perf_counter() - started) * 1000, 3)
    return result


def _tell(number: int, result: dict[str, Any]) -> None:
    colour = {"allow": "green", "block": "red", "error": "yellow"}[result["outcome"]]
    head = f"{number}: {click.style(result['outcome'], fg=colour, bold=True)}"
    if result["outcome"] == "error":
        click.echo(f"{head} {result['errorCode']} {result['message']}")
        return
    where = ""
    if "ruleId" in result:
        withheld = " (withheld)" if result["withheld"] else ""
        where = f"{withheld} {result['reasonCode']} {result['ruleId']} at {result.get('path', '-')} {result.get('masked', '')}"
    click.echo(f"{head}{where} [{result['milliseconds']} ms]")


@main.group()
def rules() -> None:
    """List, show and test the shipped rules."""


def _entries(plugin: str | None) -> list[Rule | Combination]:
    packs = [ruleset.shipped(name) for name in ([plugin] if plugin else PACKS)]
    return [entry for pack in packs for entry in pack.entries]


@rules.command("list")
@click.option("--plugin", type=click.Choice(PACKS), help="Only this plugin's rules.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line for each rule.")
def list_rules(plugin: str | None, as_json: bool) -> None:
    """One line for each shipped rule."""
    with problems_told():
        entries = _entries(plugin)
    for entry in entries:
        if as_json:
            click.echo(msgspec.json.encode(_without_cases(entry)))
        else:
            click.echo(f"{entry.id:<44} {_kind(entry):<12} {entry.title}")


def _kind(entry: Rule | Combination) -> str:
    if isinstance(entry, Combination):
        return "combination"
    notes = {
        entry.strength: entry.strength == "weak",
        entry.maturity: entry.maturity == "sandbox",
        "off": not entry.default,
    }
    return " ".join(note for note, told in notes.items() if told) or "block"


def _without_cases(entry: Rule | Combination) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(entry)
    cases_of = shown.pop("case")
    return shown | {"cases": len(cases_of)}


@rules.command("show")
@click.argument("rule_id")
def show_rule(rule_id: str) -> None:
    """Everything about one rule, its cases included, as JSON."""
    with problems_told():
        entry = next((entry for entry in _entries(None) if entry.id == rule_id), None)
        if entry is None:
            raise ConfigError([f"{rule_id!r} is no shipped rule; `sentra rules list` shows them"])
    click.echo(msgspec.json.format(msgspec.json.encode(entry), indent=2))


@rules.command("test")
@click.option("--plugin", type=click.Choice(PACKS), help="Only this plugin's rules.")
@click.option("-k", "word", default="", help="Only rules whose id holds this.")
def test_rules(plugin: str | None, word: str) -> None:
    """Run the cases beside the rules. Exit code 1 when one fails."""
    failed = total = 0
    with problems_told():
        packs = [ruleset.shipped(name) for name in ([plugin] if plugin else PACKS)]
        folder = read_variable("SENTRA_CACHE_DIR")
    kept = str(cache_folder(Settings(cache_dir=Path(folder) if folder else None)))
    count = sum(len(entry.case) for pack in packs for entry in pack.entries if word in entry.id)
    with click.progressbar(length=count, label="cases", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        for pack in packs:
            for outcome in cases.Bench(pack, kept).outcomes(word):
                bar.update(1)
                total += 1
                failed += bool(outcome.problem)
                if outcome.problem:
                    click.echo(f"{click.style('failed', fg='red')} {outcome.test_id}: {outcome.problem}")
    click.echo(f"{total - failed} passed, {failed} failed")
    sys.exit(1 if failed or not total else 0)


@rules.command("eval")
@click.argument("file", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="The whole report as one JSON object.")
def eval_rules(file: BinaryIO, as_json: bool) -> None:
    """Judge the labelled requests in FILE under the configuration in force: recall, false positives, precision.

    Each line is {"request": {...}, "label": "block" or "allow", "family": "..."}. Misses and false alarms are told by
    line, never by their text.
    """
    with problems_told():
        assembly = _assembled()
        labelled = list(evaluate.read(file, file.name))
    with click.progressbar(
        length=len(labelled), label="requests", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        report = evaluate.evaluate(assembly, labelled, lambda: bar.update(1))
    if as_json:
        click.echo(msgspec.json.encode(report.as_json()))
    else:
        click.echo("\n".join(evaluate.table(report)))


@main.group()
def config() -> None:
    """About the configuration file."""


@config.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of the configuration file."""
    click.echo(msgspec.json.format(msgspec.json.encode(file_schema()), indent=2))


@main.group()
def telemetry() -> None:
    """About the telemetry and audit records."""


@telemetry.command("schema")
def telemetry_schema() -> None:
    """Print the JSON Schemas of the telemetry and the audit record."""
    from sentra.telemetry import schemas

    click.echo(msgspec.json.format(msgspec.json.encode(schemas()), indent=2))


@main.command("reload")
@click.argument("pid", type=click.IntRange(min=1), required=False)
@click.option(
    "--pid-file",
    envvar="SENTRA_PID_FILE",
    type=click.Path(path_type=Path),
    help="File that names the service's process; the default is SENTRA_PID_FILE.",
)
def reload(pid: int | None, pid_file: Path | None) -> None:
    """Tell the running service to reload its configuration file.

    The service is found by its PID file, or is the parent process PID. It validates the file first; its log and the
    metric sentra_config_last_reload_success tell how that went.
    """
    with problems_told():
        if pid is None and pid_file is None:
            raise ConfigError(["which service? Give its PID or --pid-file, or set SENTRA_PID_FILE for it and here"])
        process = pid if pid is not None else running_pid(cast(Path, pid_file))
        try:
            os.kill(process, signal.SIGHUP)
        except OSError as error:
            raise ConfigError([f"cannot signal process {process}: {error.strerror}"]) from None
    click.echo(f"process {process} was told to reload")
