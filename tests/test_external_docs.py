"""What `docs/external.md` says of outside services is what they do."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from sentra.config import FileConfig
from sentra.definitions import BreakerOptions, CacheOptions, Definition, Items, Tls, When
from sentra.findings import SOURCES
from sentra.plugins.external import ExternalHttp
from sentra.plugins.external.template import FILLERS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "external.md").read_text()
PACKAGE = ROOT / "sentra" / "plugins" / "external"
EXAMPLES = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """What stands in code marks in the first column of a section's table."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def raised_kinds() -> set[str]:
    source = "".join(path.read_text() for path in PACKAGE.glob("*.py"))
    literal = re.findall(r'(?:CallError|_NothingReceived|kind|_note_error)\(f?"([a-z_]+)', source)
    return {*literal, "timeout", "budget"}


def test_every_key_of_a_definition_stands_in_the_table() -> None:
    assert sorted(first_cells(section("A definition"))) == sorted(Definition.__struct_fields__)


@pytest.mark.parametrize("part", [BreakerOptions, CacheOptions, Items, Tls, When])
def test_every_key_inside_a_key_is_told(part: Any) -> None:
    assert [name for name in part.__struct_fields__ if f"`{name}`" not in section("A definition")] == []


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_is_told(source: str) -> None:
    assert f"`{source}`" in section("A definition")


def test_every_default_in_the_table_is_the_real_one() -> None:
    given = Definition(name="external_x", url="https://x.example", failOpen=True)
    for line in section("A definition").splitlines():
        row = re.match(r"\| `(\w+)` \| `?(\d+|true|false|POST)`? \|", line)
        if row:
            expected = (
                {"true": True, "false": False, "POST": "POST"}.get(row[2]) if not row[2].isdigit() else int(row[2])
            )
            assert getattr(given, row[1]) == expected, row[1]


@pytest.mark.parametrize("part", [BreakerOptions, Items])
def test_every_default_inside_a_key_is_the_real_one(part: Any) -> None:
    made = part()
    for name in part.__struct_fields__:
        told = re.search(rf"`{name}` \(`?([\w.]+)`?\)", section("A definition"))
        if told:
            assert f"{getattr(made, name):g}" == told[1] if told[1][0].isdigit() else getattr(made, name) == told[1]


def test_every_placeholder_stands_in_the_table() -> None:
    told = first_cells(section("The body"))
    assert sorted(told) == sorted(f"${{{name}}}" for name in FILLERS)


def test_every_kind_of_error_stands_in_the_table() -> None:
    assert sorted(first_cells(section("The reply"))) == sorted(raised_kinds())


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_loads(text: str) -> None:
    config = msgspec.json.decode(text, type=FileConfig)
    assert [ExternalHttp(definition).name for definition in config.externalHttp]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 2


def test_the_presidio_example_loads_and_is_the_one_that_compose_mounts() -> None:
    folder = ROOT / "examples" / "presidio"
    config = msgspec.convert(tomllib.loads((folder / "sentra.toml").read_text()), FileConfig)
    (definition,) = config.externalHttp
    compose = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    assert ExternalHttp(definition).name in compose["sentra"]["environment"]["SENTRA_PLUGINS"].split(",")
    assert compose["sentra"]["volumes"][0].startswith("./sentra.toml:")
    assert definition.url == "http://presidio:3000/analyze"
    assert "presidio" in compose
    assert '"--port", "3000"' in (folder / "Containerfile").read_text()
