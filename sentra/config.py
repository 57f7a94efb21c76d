"""Settings from the environment and the configuration file; the only reader of both.

Each setting stands once, with its name, default and help sentence; `docs/reference.md` and `sentra check` are made
from here.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
import yaml
from msgspec import Meta

from sentra.definitions import Definition
from sentra.errors import ConfigError, collecting, raise_all
from sentra.findings import Source

BUILTIN_ORDER = ("exfil", "secrets", "email_bcc", "pii", "domain_block", "policy_pack")

Truth = Annotated[bool, Meta(description="A truth word.")]
Verb = Literal["allow", "block"]


def _setting(default: Any, env: str, help_text: str, secret: bool = False) -> Any:
    """A field of ``Settings`` whose help is kept beside it in ``HELP``."""
    HELP[env] = Help(env, default, help_text, secret)
    return default


class Help(msgspec.Struct, frozen=True):
    """What is told of one setting."""

    env: str
    default: Any
    text: str
    secret: bool = False


HELP: dict[str, Help] = {}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the environment decides. Field order is the order in the reference."""

    plugins: tuple[str, ...] = _setting(
        BUILTIN_ORDER, "SENTRA_PLUGINS", "Plugins in the order that they judge, comma separated."
    )
    plugin_config: Path | None = _setting(
        None, "SENTRA_PLUGIN_CONFIG", "Configuration file: JSON, or TOML or YAML by its suffix."
    )
    allowed_tokens: tuple[str, ...] | None = _setting(
        None,
        "STRICT_AUTH_ALLOWED_TOKENS",
        "Bearer tokens that may call, comma separated. Unset accepts any token.",
        secret=True,
    )
    auth: Literal["none"] | None = _setting(
        None, "SENTRA_AUTH", "none switches authentication off although tokens or Entra ID are configured."
    )
    entra_tenant_ids: tuple[str, ...] | None = _setting(
        None, "SENTRA_ENTRA_TENANT_IDS", "Entra ID tenants whose tokens are accepted: GUIDs, comma separated."
    )
    entra_audiences: tuple[str, ...] | None = _setting(
        None,
        "SENTRA_ENTRA_AUDIENCES",
        "Audiences of accepted Entra ID tokens, comma separated: the Application ID URI and the client id.",
    )
    entra_allowed_app_ids: tuple[str, ...] | None = _setting(
        None, "SENTRA_ENTRA_ALLOWED_APP_IDS", "Client ids of the applications that may call: GUIDs, comma separated."
    )
    entra_roles: tuple[str, ...] | None = _setting(
        None, "SENTRA_ENTRA_ROLES", "App roles, comma separated; a token must carry one of them. Unset asks for none."
    )
    entra_cloud: Literal["public", "usgov", "china"] = _setting(
        "public", "SENTRA_ENTRA_CLOUD", "The cloud that issues the tokens: public, usgov or china."
    )
    entra_authority: str | None = _setting(
        None,
        "SENTRA_ENTRA_AUTHORITY",
        "Where signing keys are fetched, https (http on loopback); the default is the cloud's. Issuers do not change.",
    )
    max_request_bytes: Annotated[int, Meta(ge=1)] = _setting(
        2_097_152, "SENTRA_MAX_REQUEST_BYTES", "Largest request body, in bytes."
    )
    body_timeout_ms: Annotated[float, Meta(gt=0)] = _setting(
        5000.0, "SENTRA_BODY_TIMEOUT_MS", "Time for a request body to arrive, in milliseconds."
    )
    plugin_budget_ms: Annotated[float, Meta(gt=0)] = _setting(
        900.0, "SENTRA_PLUGIN_BUDGET_MS", "Hard budget for a verdict, in milliseconds from the request's arrival."
    )
    on_deadline: Verb = _setting(
        "allow", "SENTRA_ON_DEADLINE", "The verdict when the budget is used up: allow or block."
    )
    plugin_warn_ms: Annotated[float, Meta(gt=0)] = _setting(
        120.0, "SENTRA_PLUGIN_WARN_MS", "Log a warning when one plugin takes longer than this, in milliseconds."
    )
    audit_only: Truth = _setting(
        False, "SENTRA_AUDIT_ONLY", "Judge everything, answer allow, record what was withheld."
    )
    response_shape: Literal["extended", "documented", "legacy"] = _setting(
        "extended",
        "SENTRA_RESPONSE_SHAPE",
        "Members of a blocked answer: extended; documented (no blockedBy); legacy (diagnostics as an object).",
    )
    log_file: Path | None = _setting(None, "LOG_FILE", "Telemetry file: one JSON line for each request.")
    audit_log_file: Path | None = _setting(
        None, "AUDIT_LOG_FILE", "Audit file: one JSON line for each block, real or withheld."
    )
    log_stdout: Truth = _setting(False, "SENTRA_LOG_STDOUT", "Write telemetry lines to standard output too.")
    log_sample_n: Annotated[int, Meta(ge=1)] = _setting(
        1, "SENTRA_LOG_SAMPLE_N", "Of the allowed requests, mirror one in this many to standard output; blocks always."
    )
    log_max_bytes: Annotated[int, Meta(ge=1)] | None = _setting(
        None, "LOG_MAX_BYTES", "Rotate a log file before it grows past this many bytes. Unset never rotates."
    )
    log_rotate_keep: Annotated[int, Meta(ge=1)] = _setting(5, "LOG_ROTATE_KEEP", "Rotated segments to keep.")
    log_rotate_compress: Truth = _setting(False, "LOG_ROTATE_COMPRESS", "Compress rotated segments with gzip.")
    audit_request: Literal["masked", "none", "full"] = _setting(
        "masked",
        "SENTRA_AUDIT_REQUEST",
        "The request in audit records: masked (every matched value hidden), none, or full as received.",
    )
    on_audit_failure: Verb = _setting(
        "allow", "SENTRA_ON_AUDIT_FAILURE", "The verdict when an audit record cannot be kept: allow or block."
    )
    fingerprint_key: str | None = _setting(
        None,
        "SENTRA_FINGERPRINT_KEY",
        "Key of at least 16 bytes that makes equal values recognisable in records. Unset records no fingerprints.",
        secret=True,
    )
    fingerprint_key_file: Path | None = _setting(
        None, "SENTRA_FINGERPRINT_KEY_FILE", "File that holds the fingerprint key."
    )
    host: str = _setting("0.0.0.0", "HOST", "Address to listen on.")
    port: Annotated[int, Meta(ge=1, le=65535)] = _setting(8080, "PORT", "Port to listen on.")
    workers: Annotated[int, Meta(ge=1, le=256)] = _setting(
        os.cpu_count() or 1, "SENTRA_WORKERS", "Worker processes; the default is the number of cores."
    )
    ops_port: Annotated[int, Meta(ge=1, le=65535)] | None = _setting(
        None, "SENTRA_OPS_PORT", "A second port for /metrics and the probes, beside the first."
    )
    metrics_token: str | None = _setting(
        None, "SENTRA_METRICS_TOKEN", "Bearer token that /metrics asks for. Unset asks for none.", secret=True
    )
    path_prefix: str = _setting("", "SENTRA_PATH_PREFIX", "Path before the two calls, as in /api/agentSecurity.")
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "SENTRA_LOG_LEVEL", "Level of the service's own log."
    )
    cache_dir: Path | None = _setting(
        None, "SENTRA_CACHE_DIR", "Folder for compiled rules; the default is the user's cache folder."
    )
    metrics_dir: Path | None = _setting(
        None, "SENTRA_METRICS_DIR", "Folder for the workers' metric files; the default is a private temporary folder."
    )


FIELDS = dict(zip(HELP, Settings.__struct_fields__, strict=True))
_TYPES = get_type_hints(Settings, include_extras=True)
_INJECTED = re.compile(r"SENTRA_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+_\w+)")
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def load_settings(environ: Mapping[str, str] | None = None) -> tuple[Settings, list[str]]:
    """Settings from ``environ`` (default: the process's) and warnings about unknown names.

    Raises ``ConfigError`` with all problems at once.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, Any] = {}
    for env, field in FIELDS.items():
        if env in environ:
            with collecting(problems):
                values[field] = _value(env, environ[env], _TYPES[field])
    warnings = _unknown_names(environ, problems)
    raise_all(problems)
    return Settings(**values), warnings


def _value(env: str, text: str, kind: Any) -> Any:
    converted: Any = text.strip()
    if kind is Truth:
        if text.strip().lower() not in _WORDS:
            raise ConfigError([f"{env}: {text!r}: expected one of {', '.join(_WORDS)}. {HELP[env].text}"])
        converted = _WORDS[text.strip().lower()]
    elif "tuple" in str(kind):
        converted = [item.strip() for item in text.split(",") if item.strip()]
        if not converted:
            raise ConfigError([f"{env}: is set but empty; unset it or give at least one entry"])
    elif env == "SENTRA_PATH_PREFIX":
        return _path_prefix(env, converted)
    elif not converted:
        raise ConfigError([f"{env}: is set but empty; unset it for the default {HELP[env].default!r}"])
    try:
        return msgspec.convert(converted, kind, strict=False, dec_hook=lambda to, value: to(value))
    except msgspec.ValidationError as error:
        shown = "(hidden)" if HELP[env].secret else repr(text)
        raise ConfigError([f"{env}: {shown}: {error}. {HELP[env].text}"]) from None


def _path_prefix(env: str, text: str) -> str:
    prefix = text.rstrip("/")
    if prefix and not re.fullmatch(r"(?:/[\w.~-]+)+", prefix):
        raise ConfigError([f"{env}: {text!r}: expected a path as /api/agentSecurity"])
    return prefix


def _unknown_names(environ: Mapping[str, str], problems: list[str]) -> list[str]:
    warnings = []
    for name in sorted(environ):
        if name in HELP or not name.startswith("SENTRA_"):
            continue
        near = difflib.get_close_matches(name, HELP, n=1, cutoff=0.8)
        if near and not _INJECTED.fullmatch(name):
            problems.append(f"{name}: is no setting; did you mean {near[0]}?")
        else:
            warnings.append(f"{name}: is no setting of Sentra and has no effect")
    return warnings


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


def read_variable(name: str) -> str | None:
    """An environment variable that the configuration file names, as for a secret; ``None`` when unset or empty."""
    return os.environ.get(name, "").strip() or None


def file_schema() -> dict[str, Any]:
    """JSON Schema of the configuration file."""
    schema: dict[str, Any] = msgspec.json.schema(FileConfig)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
