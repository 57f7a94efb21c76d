"""The configuration file that SENTRA_PLUGIN_CONFIG names: its form, and reading it with every mistake told at once."""

import difflib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta

from sentra.definitions import Definition
from sentra.errors import ConfigError, raise_all
from sentra.findings import Source


class PolicyRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator's rule: any of ``contains`` or ``regex``, in the argument ``arg`` of tools like ``tool``."""

    tool: str | None = None
    arg: str | None = None
    contains: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    regex: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    reasonCode: int | None = None
    reason: str | None = None


class Allowed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values that are no finding: a pattern for the whole value, and why."""

    pattern: Annotated[str, Meta(min_length=1)]
    reason: Annotated[str, Meta(min_length=1)]


class PluginOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator changes about one plugin: the sources read, rules switched off or on, values allowed."""

    sources: Annotated[tuple[Source, ...], Meta(min_length=1)] | None = None
    disable: tuple[str, ...] = ()
    enable: tuple[str, ...] = ()
    allow: tuple[Allowed, ...] = ()


class PiiOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entities the pii plugin looks for, and from how many distinct values on each blocks."""

    entities: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None
    min_count: dict[str, Annotated[int, Meta(ge=1)]] = {}


class FileConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration file named by SENTRA_PLUGIN_CONFIG."""

    policies: tuple[PolicyRule, ...] = ()
    piiKeywords: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    domainBlocklist: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    companyDomain: str | tuple[str, ...] = ()
    externalHttp: tuple[Definition, ...] = ()
    externalConcurrency: Annotated[int, Meta(ge=1, le=100)] = 8
    pii: PiiOptions = PiiOptions()
    plugins: dict[str, PluginOptions] = {}

    @property
    def company_domains(self) -> tuple[str, ...]:
        domains = (self.companyDomain,) if isinstance(self.companyDomain, str) else self.companyDomain
        return tuple(domain.strip().strip("@.").lower() for domain in domains if domain.strip())


def load_file(path: Path | None) -> FileConfig:
    """The configuration file at ``path``; the defaults when there is none. Raises ``ConfigError`` with all problems."""
    if path is None:
        return FileConfig()
    document = read_document(path)
    problems: list[str] = []
    if not isinstance(document, dict):
        raise ConfigError([f"{path}: expected an object at the top, got {type(document).__name__}"])
    for part in _parts(document):
        try:
            msgspec.convert(part, FileConfig)
        except msgspec.ValidationError as error:
            problems.append(f"{path}: {_hint(error, part)}")
    raise_all(list(dict.fromkeys(problems)))
    return msgspec.convert(document, FileConfig)


def read_document(path: Path) -> Any:
    """The JSON, TOML or YAML document at ``path``, told apart by its suffix. Raises ``ConfigError``."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"SENTRA_PLUGIN_CONFIG: {path}: cannot be read: {error}"]) from None
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text)
        if path.suffix in (".yaml", ".yml"):
            return yaml.safe_load(text)
        return msgspec.json.decode(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, msgspec.DecodeError, RecursionError) as error:
        raise ConfigError([f"{path}: is not valid {path.suffix.lstrip('.').upper() or 'JSON'}: {error}"]) from None


_FILLERS: dict[str, dict[str, Any]] = {
    "policies": {},
    "externalHttp": {"name": "external_filler", "url": "filler", "failOpen": False},
}


def _parts(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The document in parts that fail one by one: each entry, with fillers before list entries to keep their index."""
    for key, value in document.items():
        if key in _FILLERS and isinstance(value, list) and value:
            for index, entry in enumerate(value):
                yield {key: [_FILLERS[key]] * index + [entry]}
        elif key in ("plugins", "pii") and isinstance(value, dict) and value:
            for name, entry in value.items():
                yield {key: {name: entry}}
        else:
            yield {key: value}


def _hint(error: msgspec.ValidationError, part: dict[str, Any]) -> str:
    text = str(error)
    unknown = re.search(r"unknown field `([^`]*)`", text)
    if unknown and unknown[1] in part:
        near = difflib.get_close_matches(unknown[1], FileConfig.__struct_fields__, n=1)
        return f"unknown key {unknown[1]!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    return text


def file_schema() -> dict[str, Any]:
    """JSON Schema of the configuration file."""
    schema: dict[str, Any] = msgspec.json.schema(FileConfig)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
