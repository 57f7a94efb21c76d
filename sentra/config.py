"""Settings from the environment and the configuration file; the only reader of both.

Each setting stands once, with its name, default and help sentence; `docs/reference.md` and `sentra check` are made
from here.
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from sentra.config_file import Allowed as Allowed
from sentra.config_file import FileConfig as FileConfig
from sentra.config_file import PiiOptions as PiiOptions
from sentra.config_file import PluginOptions as PluginOptions
from sentra.config_file import PolicyRule as PolicyRule
from sentra.config_file import file_schema as file_schema
from sentra.config_file import load_file as load_file
from sentra.config_file import read_document as read_document
from sentra.errors import ConfigError, collecting, raise_all

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
    max_depth: Annotated[int, Meta(ge=8)] = _setting(
        200, "SENTRA_MAX_DEPTH", "Deepest nesting of objects and lists in a request."
    )
    max_segments: Annotated[int, Meta(ge=100)] = _setting(
        100_000, "SENTRA_MAX_SEGMENTS", "Most values, at any depth, in a request."
    )
    max_text_chars: Annotated[int, Meta(ge=1000)] = _setting(
        2_097_152, "SENTRA_MAX_TEXT_CHARS", "Most text in a request, values and object keys, in characters."
    )
    known_texts: Annotated[int, Meta(ge=0)] = _setting(
        0,
        "SENTRA_KNOWN_TEXTS",
        "Texts that each worker knows again, by hash, and does not scan again, as 40000; 0 scans all.",
    )
    on_oversize: Literal["error", "allow", "block"] = _setting(
        "error",
        "SENTRA_ON_OVERSIZE",
        "The answer to a request over its size, depth, segments or text: error (413 or 400), allow or block.",
    )
    max_concurrency: Annotated[int, Meta(ge=1)] = _setting(
        1024,
        "SENTRA_MAX_CONCURRENCY",
        "Most requests under way in one worker: bodies that arrive and outside services that are waited for.",
    )
    max_held_bytes: Annotated[int, Meta(ge=1)] = _setting(
        16_777_216, "SENTRA_MAX_HELD_BYTES", "Most bytes of request bodies that one worker holds at once."
    )
    max_wait_ms: Annotated[float, Meta(gt=0)] = _setting(
        250.0,
        "SENTRA_MAX_WAIT_MS",
        "Longest time that a request may wait for its turn in a worker, in milliseconds; over it load is shed.",
    )
    fair_share: Literal["off", "tenant", "agent", "both"] = _setting(
        "off",
        "SENTRA_FAIR_SHARE",
        "Under load refuse those first that take most of a worker: by tenant, by agent, by both, or off.",
    )
    on_overload: Literal["error", "allow", "block"] = _setting(
        "error",
        "SENTRA_ON_OVERLOAD",
        "The answer, at once, to a request over what a worker can judge in time: error (503), allow or block.",
    )
    max_connections: Annotated[int, Meta(ge=1)] = _setting(
        4096,
        "SENTRA_MAX_CONNECTIONS",
        "Most open connections of one worker, idle ones too; more wait unseen until one of them ends.",
    )
    header_timeout_ms: Annotated[int, Meta(ge=100, le=600_000)] = _setting(
        30_000,
        "SENTRA_HEADER_TIMEOUT_MS",
        "Time for a request's headers, and for the next request on an open connection, in milliseconds.",
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
    tls_cert: Path | None = _setting(
        None, "SENTRA_TLS_CERT", "Certificate chain in PEM form. With SENTRA_TLS_KEY, HOST:PORT speaks only TLS."
    )
    tls_key: Path | None = _setting(
        None, "SENTRA_TLS_KEY", "Private key of the certificate: PEM, PKCS#8, without a passphrase."
    )
    tls_client_ca: Path | None = _setting(
        None, "SENTRA_TLS_CLIENT_CA", "CA certificates in PEM form; every caller must then present one signed by them."
    )
    tls_min_version: Literal["1.2", "1.3"] = _setting(
        "1.3", "SENTRA_TLS_MIN_VERSION", "Lowest TLS version that is spoken: 1.3 or 1.2."
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
    pid_file: Path | None = _setting(
        None, "SENTRA_PID_FILE", "File that names the running service's process, for sentra reload."
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


def read_variable(name: str) -> str | None:
    """An environment variable that the configuration file names, as for a secret; ``None`` when unset or empty."""
    return os.environ.get(name, "").strip() or None
