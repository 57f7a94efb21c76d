"""The documentation is true: generated pages are those of the code, and what the others name exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
import yaml

from sentra import cases, confirm, line_queue, normalize, ruleset, segments, server, telemetry, wire
from sentra.app import answer
from sentra.cli import main
from sentra.config import FIELDS, HELP, FileConfig, Settings
from sentra.findings import SOURCES
from sentra.metrics import DEFINITIONS
from sentra.operations import OPENAPI
from sentra.plugins import BUILTIN
from sentra.records import AuditRecord
from tests import docs, docs_rules

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")])
OTHERS = [path for path in (ROOT / "examples").rglob("*") if path.suffix in (".yaml", ".env", ".toml", ".json", ".py")]
README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
RULES = (ROOT / "docs" / "rules.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
METRICS = {definition.name for definition in DEFINITIONS}
INJECTED = {"SENTRA_SERVICE_HOST"}
"""Named where it is told that Kubernetes injects it."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", docs.pages(), ids=name)
def test_a_generated_page_is_what_the_code_says(page: Path) -> None:
    made = docs.pages()[page]().splitlines()
    kept = page.read_text("utf-8").splitlines()
    wrong = [line for line in made if line not in set(kept)][:3]
    assert made == kept, f"run `python -m tests.docs` and read what changed, as {wrong}"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (list(HELP), REFERENCE),
        (list(FileConfig.__struct_fields__), REFERENCE),
        (sorted(METRICS), REFERENCE),
        ([str(builtin.reason_code) for builtin in BUILTIN], REFERENCE),
        ([path for path, _ in docs.commands()], REFERENCE),
        (list(yaml.safe_load(OPENAPI)["paths"]), REFERENCE),
        ([str(code) for _, code, _ in docs.error_sites()], REFERENCE),
        (sorted(confirm.REGISTRY), RULES),
    ],
    ids=["settings", "keys", "metrics", "reason codes", "commands", "endpoints", "error codes", "confirms"],
)
def test_all_stand_in_the_docs(names: list[str], text: str) -> None:
    assert names
    assert [name for name in names if not re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text)] == []


def test_every_rule_stands_in_the_docs() -> None:
    listed = {str(rule["id"]) for rule in docs_rules.host_rules()}
    entries = [entry for builtin in BUILTIN for entry in ruleset.shipped(builtin.name).entries]
    assert len(entries) > 400
    assert [entry.id for entry in entries if entry.id not in listed and f"| `{entry.id}` |" not in RULES] == []


def test_every_confirm_says_what_it_checks() -> None:
    assert [name for name in confirm.REGISTRY if not docs_rules.confirm_text(name)] == []


def test_no_default_depends_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HELP, "SENTRA_WORKERS", msgspec.structs.replace(HELP["SENTRA_WORKERS"], default=97))
    assert docs.reference() == REFERENCE


def test_a_default_and_a_bar_are_shown_harmlessly() -> None:
    assert [docs.shown(value) for value in (None, True, (), ("a", "b"), 900.0, "")] == [
        "unset", "on", "unset", "`a,b`", "`900`", "empty",
    ]  # fmt: skip
    assert docs.cell("a | b\nc") == "a \\| b c"


def settings_named(text: str) -> set[str]:
    found = re.findall(r"\b(?:SENTRA_[A-Z0-9_]*[A-Z0-9]|(?:AUDIT_)?LOG_[A-Z_]+|STRICT_AUTH_[A-Z_]+)\b", text)
    return set(found) - INJECTED


@pytest.mark.parametrize("page", [*PAGES, *OTHERS, ROOT / "Containerfile"], ids=name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    assert settings_named(page.read_text("utf-8")) - set(HELP) == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_metric_that_is_named_exists(page: Path) -> None:
    found = set(re.findall(r"\bsentra_[a-z_]*[a-z]\b", page.read_text("utf-8")))
    assert {re.sub(r"_(?:bucket|sum|count)$", "", metric) for metric in found} - METRICS == set()


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of each command line that begins with ``sentra``, in code marks or fenced blocks."""
    fenced = [
        line
        for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    for line in [*fenced, *re.findall(r"`([^`\n]+)`", text)]:
        for words in re.findall(r"(?:^|&& |\| |=\S+ |\bin/)sentra ([a-z][^&|#]*)", line):
            yield [word.rstrip(",") for word in words.split() if word[0] != "[" and not word.isupper()]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    for words in command_lines(page.read_text("utf-8")):
        command: click.Command = main
        options: set[str] = set()
        for word in words:
            if isinstance(command, click.Group):
                command = command.commands.get(word) or pytest.fail(f"sentra {' '.join(words)}")
            elif word.startswith("-") and word != "-":
                options.add(word)
        known = {option for parameter in command.params for option in parameter.opts}
        assert options <= known | {"-h", "--help"}, words


def test_the_readme_s_commands_are_all_of_them() -> None:
    told = {words[0] for words in command_lines(README)}
    assert set(main.commands) == told


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            file, _, anchor = target.partition("#")
            found = page.parent / file if file else page
            assert found.exists(), target
            assert not anchor or anchor in anchors(found), target


def test_the_readme_s_two_lines_can_be_found() -> None:
    for head in ("## Install and start", "## Test"):
        section = README.partition(f"\n{head}\n")[2].partition("\n## ")[0]
        assert len(blocks(section, "sh")) == 1
        assert blocks(section, "sh")[0].startswith("python3 -m venv .venv && ")


def test_the_readme_s_answer_is_the_one_given() -> None:
    (asked,) = re.findall(r"-d '(.*?)'$", blocks(README, "console")[0], re.DOTALL | re.MULTILINE)
    request, pipeline = wire.decode_request(asked.encode()), docs_rules.assembled().pipeline
    given = answer(*pipeline.decide(request, float("inf")), pipeline, "extended")
    assert wire.encode(given).decode() == blocks(README, "json")[0].strip()


def test_the_readme_s_table_of_plugins_is_true() -> None:
    rows = re.findall(r"^\| `(\w+)\*?` \| .+ \| (\d+)", README, re.MULTILINE)
    assert rows[:-1] == [
        (b.name, str(b.reason_code)) for b in sorted(BUILTIN, key=lambda b: [r[0] for r in rows].index(b.name))
    ]
    assert rows[-1] == ("external_", "801")


def test_the_guide_s_rule_holds_its_cases() -> None:
    block = blocks(RULES, "toml")[0]
    cases.require(ruleset.merge("secrets", [ruleset.parse("guide", block)]))


def test_the_guide_s_members_are_those_of_a_rule() -> None:
    section = RULES.partition("\n## Members\n")[2].partition("\n## ")[0]
    told = set(
        re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `")))
    )
    made_by_configuration = {"reason_code", "tool", "arg"}
    assert told == set(ruleset.Rule.__struct_fields__) - made_by_configuration


def test_the_guide_s_combination_holds_its_cases() -> None:
    shipped = ruleset.shipped("exfil")
    weak = tuple(rule for rule in shipped.rules if rule.strength == "weak")
    parsed = ruleset.parse("guide", blocks(RULES, "toml")[1])
    (made,) = parsed.combination
    pack = ruleset.merge("exfil", [ruleset.PackFile(rule=weak, combination=shipped.combinations), parsed])
    outcomes = [outcome for outcome in cases.Bench(pack).outcomes() if outcome.rule_id == made.id]
    assert len(outcomes) == 4
    assert [outcome.problem for outcome in outcomes if outcome.problem] == []


def test_the_guide_tells_every_source() -> None:
    section = RULES.partition("\n## Sources\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([a-z_.]+)`", section)) >= set(SOURCES)


KUSTO = {
    "let",
    "where",
    "ago",
    "and",
    "or",
    "between",
    "kind",
    "wouldBlock",
    "summarize",
    "count",
    "dcount",
    "by",
    "order",
    "desc",
    "asc",
    "project",
    "make_set",
    "join",
    "leftouter",
    "on",
    "coalesce",
    "mv",
    "expand",
    "isnotempty",
    "min",
    "tostring",
    "array_length",
    "extend",
    "TimeGenerated",
    "Sentra_CL",
}


@pytest.mark.parametrize("query", blocks(OPERATIONS, "kusto"))
def test_a_query_names_members_of_the_records(query: str) -> None:
    assert query.startswith(("Sentra_CL\n", "let before = Sentra_CL\n"))
    made = set(re.findall(r"\b(\w+) = ", query)) | {"found"}
    plain = re.sub(r'"[^"]*"|\b\d[\w.]*|found\.\w+', "", query)
    columns = set(re.findall(r"[A-Za-z_]+", plain)) - KUSTO - made
    assert columns <= {field.encode_name for field in msgspec.structs.fields(AuditRecord)}
    assert len(columns) > 1


def test_the_shippers_configurations_are_yaml_and_read_the_files_themselves() -> None:
    vector, fluent = (yaml.safe_load(block) for block in blocks(OPERATIONS, "yaml"))
    paths = [*vector["sources"]["sentra"]["include"], *(entry["path"] for entry in fluent["pipeline"]["inputs"])]
    assert paths == ["/var/log/sentra/telemetry.jsonl", "/var/log/sentra/audit.jsonl"] * 2


def test_every_alert_that_is_named_exists() -> None:
    groups = yaml.safe_load((ROOT / "examples" / "monitoring" / "alerts.yaml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    told = set(re.findall(r"`(Sentra[A-Z]\w+)`", OPERATIONS))
    assert told
    assert told <= alerts


NUMBERS = [
    f"{server.stop_seconds(Settings())} s with the defaults",
    f"`SENTRA_HEADER_TIMEOUT_MS`, {Settings().header_timeout_ms / 1000:.0f} s",
    f"at most {line_queue.LINGER_SECONDS * 1000:.0f} ms after the decision",
    f"up to {telemetry.AUDIT_QUEUE_BYTES >> 20} MB for each worker, and new ones",
    f"at most {(telemetry.AUDIT_QUEUE_BYTES + telemetry.QUEUE_BYTES) >> 20} MB more for each worker",
    f"`telemetry.jsonl.{1_790_000_000 * 10 ** (segments.STAMP_DIGITS - 10)}` | a segment",
    "up to three times over" if normalize.MAX_DEPTH == 3 else "",
]


@pytest.mark.parametrize("told", NUMBERS)
def test_a_number_that_is_told_is_that_of_the_code(told: str) -> None:
    assert told
    assert told in " ".join((OPERATIONS + RULES).split())


def test_every_setting_has_a_field() -> None:
    assert list(FIELDS) == list(HELP)
