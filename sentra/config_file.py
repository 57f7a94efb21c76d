"""The configuration file that SENTRA_PLUGIN_CONFIG names: its form, and reading it with every mistake told at once."""

import contextlib
import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import tomli
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
    with contextlib.suppress(msgspec.ValidationError):
        return msgspec.convert(document, FileConfig)
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
        return _parsed(path.suffix, text)
    except Exception as error:  # the YAML reader raises whatever a constructor stumbles over
        kind = path.suffix.lstrip(".").upper() or "JSON"
        raise ConfigError([f"{path}: is not valid {kind}: {_fault(error)}"]) from None


def _parsed(suffix: str, text: str) -> Any:
    if suffix == ".toml":
        return tomli.loads(text)
    if suffix in (".yaml", ".yml"):
        document = yaml.safe_load(text)
        _check_texts(document)
        return document
    return msgspec.json.decode(text)


def _check_texts(document: Any) -> None:
    """Raise ``ValueError`` for half a surrogate pair, which YAML's escapes can write and nothing can encode."""
    pending, seen = [document], set()
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
                raise ValueError("a text has half of a surrogate pair")
        elif isinstance(value, (dict, list)) and id(value) not in seen:
            seen.add(id(value))
            pending += [*value, *value.values()] if isinstance(value, dict) else value


def _fault(error: Exception) -> str:
    """What is wrong and where, without the line itself: it may hold a secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} (at line {mark.line + 1}, column {mark.column + 1})"
    return "a value does not fit its tag" if isinstance(error, (AttributeError, LookupError, TypeError)) else str(error)


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
