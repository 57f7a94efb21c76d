"""Second looks at a value that is assigned to a name: is the name a secret's, is the value one.

Everything here looks at no more than the value (at most 256 characters) and a window of 120 bytes before it.
"""

import re

from sentra.confirm import Hit, confirm
from sentra.confirm.secrets import is_placeholder, is_uuid, shannon
from sentra.confirm.vendors import is_vendor_token
from sentra.confirm.words import bare, made_of_words, parts

_NAME = re.compile(r"[^\W\d][\w.$-]*")
_TRIM = ".,;:!?)]}>\"'`|\\*"
_PREFIX_NAMES = frozenset(
    [
        "public",
        "pub",
        "publishable",
        "next",
        "prev",
        "previous",
        "continuation",
        "continue",
        "csrf",
        "xsrf",
        "antiforgery",
        "forgery",
        "verification",
        "cursor",
        "sync",
        "delta",
        "skip",
        "page",
        "paging",
        "pagination",
        "number",
        "num",
        "max",
        "min",
        "total",
        "prompt",
        "completion",
        "input",
        "output",
        "cached",
        "foreign",
        "primary",
        "sort",
        "partition",
        "design",
        "symbol",
        "tracking",
        "idempotency",
        "dedup",
        "captcha",
        "recaptcha",
        "site",
        "bos",
        "eos",
        "pad",
        "unk",
        "cls",
        "sep",
        "mask",
        "stop",
        "special",
        "hash",
        "etag",
        "change",
        "resume",
        "watch",
        "consistency",
        "view",
        "correlation",
        "keyboard",
        "registry",
        "shortcut",
        "count",
        "used",
        "remaining",
        "forgot",
        "forgotten",
        "card",
        "lost",
        "wrong",
        "invalid",
        "incorrect",
        "missing",
        "expired",
        "no",
        "without",
        "reset",
    ]
)
_SUFFIX_NAMES = frozenset(
    [
        "hash",
        "hashes",
        "hashed",
        "name",
        "names",
        "length",
        "len",
        "count",
        "counts",
        "counter",
        "policy",
        "policies",
        "id",
        "ids",
        "identifier",
        "url",
        "uri",
        "urls",
        "type",
        "types",
        "field",
        "fields",
        "file",
        "filename",
        "path",
        "paths",
        "folder",
        "expiry",
        "expires",
        "expired",
        "expiration",
        "ttl",
        "lifetime",
        "age",
        "min",
        "max",
        "limit",
        "limits",
        "usage",
        "used",
        "required",
        "requirement",
        "requirements",
        "reset",
        "hint",
        "label",
        "help",
        "prompt",
        "placeholder",
        "rotation",
        "manager",
        "strength",
        "column",
        "error",
        "errors",
        "rule",
        "rules",
        "enabled",
        "disabled",
        "protected",
        "status",
        "state",
        "attempts",
        "algorithm",
        "alg",
        "format",
        "version",
        "date",
        "time",
        "at",
        "on",
        "endpoint",
        "arn",
        "ref",
        "reference",
        "provider",
        "store",
        "mode",
        "scope",
        "scopes",
        "budget",
        "tokenizer",
        "tokens",
        "digest",
        "fingerprint",
        "change",
        "changed",
        "updated",
        "created",
        "title",
        "description",
        "link",
        "page",
        "location",
        "env",
        "var",
        "variable",
        "regex",
        "pattern",
        "validator",
        "form",
        "list",
        "size",
        "window",
        "position",
        "index",
        "offset",
        "num",
        "number",
        "class",
        "selector",
        "text",
        "visible",
        "show",
        "forgotten",
        "recovery",
        "resource",
        "audience",
        "issuer",
        "cost",
        "price",
        "rate",
        "method",
        "strategy",
        "history",
        "complexity",
        "confirmation",
    ]
)
_STOP_VALUES = frozenset(
    [
        "none",
        "null",
        "nil",
        "undefined",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "string",
        "str",
        "text",
        "bool",
        "boolean",
        "int",
        "integer",
        "number",
        "object",
        "array",
        "password",
        "passwd",
        "pwd",
        "pass",
        "secret",
        "token",
        "apikey",
        "key",
        "value",
        "default",
        "required",
        "optional",
        "empty",
        "unset",
        "unknown",
        "hidden",
        "masked",
        "encrypted",
        "hashed",
        "redacted",
        "removed",
        "omitted",
        "missing",
        "invalid",
        "expired",
        "enabled",
        "disabled",
        "set",
        "reset",
        "changed",
        "here",
        "below",
        "above",
        "tbd",
        "todo",
        "n/a",
        "na",
        "test",
        "testing",
        "username",
        "user",
        "admin",
        "root",
        "guest",
        "anonymous",
        "postgres",
        "mysql",
        "redis",
        "mongodb",
    ]
)
_REFERENCE = re.compile(
    r"\$\{|\{\{|\{%|<%|%\(|%[sdv]\b|\$\(|#\{|@\{|\[\[|^\$?\{[^{}]*\}|^<[^<>]*>?$|^\[[^\[\]]*\]?$|^\$[A-Za-z_]\w*$"
    r"|^\$env:|^%\w+%$|^-{1,2}[a-z]|\w\(|\(\)|^\(|\[['\"]|^@\w+\(|^!\w|^&|::|=>|->|^arn:|^(?:vault|ssm|op|env|file|kms|sm):"
    r"|keyvault|secretref|valuefrom|secretmanager|(?:^|[._-])(?:environ|process\.env|getenv|import\.meta)"
    r"|^(?:self|this|args|opts|options|config|conf|cfg|settings|secrets|env|ctx|context|req|request|props|params|data|user"
    r"|creds|credentials|event|vars?|local|input|form|body|os|process|app|session|response|res|result)\.[A-Za-z_]"
    r"|https?:|://|^(?:\.{0,2}|~)/|\.\.\.|\u2026|\*\*\*|\u2022\u2022|\*{3}",
    re.IGNORECASE,
)
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?:\[\w*\]?)?")
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}|v?\d+(?:\.\d+)+\S{0,8}"
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_HEX = re.compile(r"[0-9a-fA-F]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+=*")
_FILE = re.compile(
    r"[\w./\\-]+\.(?:txt|md|json|ya?ml|toml|py|js|ts|html?|css|png|jpe?g|pdf|docx?|xlsx?|csv|log|env|pem|key|sh)"
)
_WALK = re.compile(r"(?:[a-z]\d){5}|(?:\d[a-z]){5}|abc123|123abc|qwerty|asdf", re.IGNORECASE)

def secret_name(name: str) -> bool:
    """``name``, an identifier that holds a word for a secret, names the secret itself and nothing about it.

    >>> secret_name("DB_PASSWORD"), secret_name("password_hash"), secret_name("nextPageToken")
    (True, False, False)
    """
    words = parts(name)
    if not words:
        return True
    return words[-1] not in _SUFFIX_NAMES and not _PREFIX_NAMES.intersection(words)


@confirm
def assigned_name(hit: Hit) -> bool:
    """The identifier before the value is a secret's own name: not its hash, its length, its policy, a page token."""
    names = _NAME.findall(hit.before(120))
    names = [name for name in names if _NAMED.search(name)] or names
    return not names or secret_name(names[-1])


_NAMED = re.compile(
    r"pass|pwd|secret|token|key|credential|auth|kennwort|clave|senha|mdp|parola|has[l\u0142]o|heslo|wachtwoord|l\u00f6sen"
    r"|\u015fifre|sifre|pw|contrase|adgang|salasana|jelsz",
    re.IGNORECASE,
)


@confirm
def password_value(hit: Hit) -> bool:
    """The value may be a password that stands behind a plain word: three of four classes, or random enough."""
    value = trimmed(hit.value)
    if not _literal(value, 8) or _like_name(hit, value) or is_vendor_token(value + hit.after(64)):
        return False
    if classes(value) >= 3 and not _prose_like(value):
        return True
    both = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    if both:
        return (shannon(value) >= 3.1 and len(value) >= 9) or (shannon(value) >= 2.7 and not made_of_words(value))
    return value.isalpha() and len(value) >= 10 and not made_of_words(value) and value.isascii()


@confirm
def explicit_password(hit: Hit) -> bool:
    """The value stands where only a password can stand (a URI, a connection string, an option): any literal counts."""
    value = trimmed(hit.value)
    return _literal(value, 4) and value.lower().strip("_-") not in _STOP_VALUES and not is_vendor_token(value + hit.after(64))


@confirm
def secret_value(hit: Hit) -> bool:
    """The value may be a key or token that a machine made: long, random for its alphabet, not made of words."""
    value = trimmed(hit.value)
    if not _literal(value, 12) or _like_name(hit, value) or is_vendor_token(value + hit.after(64)) or _WALK.search(value):
        return False
    if is_uuid(value):
        return True
    digits, letters = sum(map(str.isdigit, value)), sum(map(str.isalpha, value))
    if not letters or made_of_words(value):
        return False
    if not digits:
        return len(value) >= 20 and classes(value) >= 2 and shannon(value) >= 3.7
    return shannon(value) >= _least_entropy(value)


def _least_entropy(value: str) -> float:
    if _HEX.fullmatch(value):
        return 2.9 if len(value) >= 20 else 9.0
    if len(value) < 16:
        return 3.2 if classes(value) >= 3 else 9.0
    return 3.3 if _BASE64.fullmatch(value) else 3.5


def trimmed(value: str) -> str:
    """``value`` without the punctuation that closes a sentence, a quote or a bracket after it."""
    return value.rstrip(".,;:'\"`|\\")


def classes(value: str) -> int:
    """How many of upper case, lower case, digits and anything else ``value`` holds."""
    other = any(not c.isalnum() for c in value)
    return any(map(str.isupper, value)) + any(map(str.islower, value)) + any(map(str.isdigit, value)) + other


def _literal(value: str, least: int) -> bool:
    """``value`` is written out: long enough, no placeholder, no reference to where the secret is kept."""
    if not least <= len(value) <= 256 or is_placeholder(value) or value.lower() in _STOP_VALUES:
        return False
    if len(set(value)) < 4 or _REFERENCE.search(value):
        return False
    return not (_DATE.fullmatch(value) or _MAIL.fullmatch(value) or _FILE.fullmatch(value) or _dotted(value))


def _dotted(value: str) -> bool:
    return _DOTTED.fullmatch(value) is not None and made_of_words(value)


def _prose_like(value: str) -> bool:
    """``value`` is words with punctuation: three classes, but no digit and nothing that words do not have."""
    return not any(map(str.isdigit, value)) and made_of_words(value) and not any(c in "!@#$%^&*+=" for c in value)


def _like_name(hit: Hit, value: str) -> bool:
    """The value repeats its own name, as ``password = new_password`` or ``"apiKey": "apiKeyValue"``."""
    letters = bare(value)
    names = _NAME.findall(hit.before(60))
    name = bare(names[-1]) if names else ""
    return len(letters) >= 4 and bool(name) and (letters in name or (len(name) >= 5 and name in letters))
