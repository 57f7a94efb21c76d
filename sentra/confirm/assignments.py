"""Second looks at a value that is assigned to a name: is the name a secret's, is the value one.

Everything here looks at no more than the value (at most 256 characters) and a window of 120 bytes before it.
"""

import re

from sentra.confirm import Hit, confirm
from sentra.confirm.secrets import is_placeholder, is_uuid, shannon
from sentra.confirm.vendors import is_vendor_token
from sentra.confirm.words import bare, made_of_words, parts

_NAME = re.compile(r"[^\W\d][\w.$-]*")
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
        "unsubscribe",
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
_SECRET_NAMES = frozenset(
    [
        "password",
        "passwd",
        "passwort",
        "pass",
        "pwd",
        "pw",
        "psk",
        "passphrase",
        "passcode",
        "passord",
        "kennwort",
        "zugangscode",
        "mdp",
        "passe",
        "clave",
        "senha",
        "parola",
        "haslo",
        "heslo",
        "wachtwoord",
        "losenord",
        "adgangskode",
        "salasana",
        "jelszo",
        "sifre",
        "contrasena",
        "parool",
        "parole",
        "secret",
        "secrets",
        "token",
        "key",
        "apikey",
        "credential",
        "credentials",
        "creds",
        "cred",
        "auth",
        "authorization",
        "bearer",
        "jwt",
        "hmac",
        "jeton",
        "schluessel",
        "chave",
        "chiave",
        "sleutel",
        "klucz",
        "geheimnis",
        "secreto",
        "segreto",
        "segredo",
        "webhook",
        "salt",
    ]
)
_SECRET_ENDINGS = (
    "password",
    "passwd",
    "passwort",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "secretkey",
    "privatekey",
    "accesskey",
    "authkey",
    "accountkey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "sharedkey",
    "credentials",
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
        "passw0rd",
        "p@ssw0rd",
        "p@ssword",
        "password1",
        "password123",
        "pass1234",
        "mypassword",
        "mysecretpassword",
        "secret123",
        "yourpassword",
    ]
)
_REFERENCE = re.compile(
    r"\$\{|\{\{|\{%|<%|%\(|%[sdv]\b|\$\(|#\{|@\{|\[\[|^\$?\{[^{}]*\}?$|^<[^<>]*>?$|^\[[^\[\]]*\]?$|^\$[A-Za-z_]\w*$"
    r"|^\$env:|^%\w+%?$|^-{1,2}[a-z]|[a-z_]\(|\(\)|\[['\"]|^@\w+\(|^![A-Z][A-Za-z]*$|::|=>|->|^arn:"
    r"|^(?:vault|ssm|op|env|file|kms|sm):|keyvault|secretref|valuefrom|secretmanager"
    r"|(?:^|[._-])(?:environ|process\.env|getenv|import\.meta)"
    r"|^(?:self|this|args|opts|options|config|conf|cfg|settings|secrets|env|ctx|context|req|request|props|params|data|user"
    r"|creds|credentials|event|vars?|local|input|form|body|os|process|app|session|response|res|result)[.\[][A-Za-z_'\"]"
    r"|https?:|://|^(?:\.{1,2}|~)/|^/\w+/|\.\.\.|\u2026|\*\*\*|\u2022\u2022",
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
_WALK = re.compile(r"a1b2c3|1a2b3c|abc123|123abc|qwerty|asdfgh", re.IGNORECASE)


def secret_name(name: str, before: str = "") -> bool:
    """``name``, an identifier, names a secret itself and nothing about it; ``before`` is the word that precedes it.

    >>> secret_name("DB_PASSWORD"), secret_name("password_hash"), secret_name("token", "page"), secret_name("monkey")
    (True, False, False, False)
    """
    words = parts(name)
    known = any(word in _SECRET_NAMES or word.endswith(_SECRET_ENDINGS) or not word.isascii() for word in words)
    about = words[-1:] and words[-1] in _SUFFIX_NAMES
    return known and not about and _PREFIX_NAMES.isdisjoint(words + parts(before))


@confirm
def assigned_name(hit: Hit) -> bool:
    """The identifier before the value is a secret's own name: not its hash, its length, its policy, a page token."""
    before = hit.before(120)
    names = list(_NAME.finditer(before))
    for index in range(len(names) - 1, -1, -1):
        if _mentions(names[index][0]):
            previous = names[index - 1] if index else None
            near = previous is not None and previous.end() + 1 == names[index].start()
            return secret_name(names[index][0], previous[0] if previous is not None and near else "")
    return not before.isascii()


_NAMED = re.compile(
    r"pass|pwd|secret|token|key|cred|auth|kennwort|clave|senha|mdp|parola|has[l\u0142]o|heslo|wachtwoord|l[\u00f6o]senord"
    r"|[\u015fs]ifre|pw|psk|contrase|adgang|salasana|jelsz|jwt|bearer|hmac|schl|geheim|secreto|segre|chave|chiave|klucz|sleutel",
    re.IGNORECASE,
)


def _mentions(name: str) -> bool:
    return _NAMED.search(name) is not None


@confirm
def password_value(hit: Hit) -> bool:
    """The value may be a password that stands behind its name: three of four classes, or random enough."""
    value = trimmed(hit.value)
    if not _candidate(hit, value, 8):
        return False
    if classes(value) >= 3 and not _prose_like(value):
        return True
    if any(map(str.isdigit, value)) and any(map(str.isalpha, value)):
        return shannon(value) >= (3.1 if len(value) >= 10 else 9.0) or (
            shannon(value) >= 2.7 and not made_of_words(value)
        )
    return value.isalpha() and value.isascii() and len(value) >= 10 and not made_of_words(value)


@confirm
def prose_password(hit: Hit) -> bool:
    """The value may be a password in a sentence: three of four classes with a digit, and no ordinary hyphenated word."""
    value = trimmed(hit.value)
    if not _candidate(hit, value, 8) or classes(value) < 3 or not any(map(str.isdigit, value)):
        return False
    return not made_of_words(value) or any(c in "!@#$%^&*+=?" for c in value) or not any(c in "-/.:" for c in value)


@confirm
def explicit_password(hit: Hit) -> bool:
    """The value stands where only a password can stand (a URI, a connection string, an attribute): any literal counts."""
    value = trimmed(hit.value)
    return _literal(value, 4) and not is_vendor_token(value + hit.after(64))


@confirm
def option_password(hit: Hit) -> bool:
    """The value follows a command's option: any literal counts but plain words, as in ``--password option``, and ports."""
    value = trimmed(hit.value)
    if not _candidate(hit, value, 4) or (value.isdigit() and len(value) < 6):
        return False
    return not (value.replace("-", "").isalpha() and (made_of_words(value) or len(value) < 6))


@confirm
def secret_value(hit: Hit) -> bool:
    """The value may be a key or token that a machine made: long, random for its alphabet, not made of words."""
    value = trimmed(hit.value)
    if not _candidate(hit, value, 12) or _WALK.search(value):
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
    """``value`` without the punctuation that closes a sentence or a quote after it."""
    return value.rstrip(".,;:'\"`|\\")


def classes(value: str) -> int:
    """How many of upper case, lower case, digits and anything else ``value`` holds."""
    other = any(not c.isalnum() for c in value)
    return any(map(str.isupper, value)) + any(map(str.islower, value)) + any(map(str.isdigit, value)) + other


def _candidate(hit: Hit, value: str, least: int) -> bool:
    """``value`` is a literal that neither repeats its own name nor is what a vendor's rule finds."""
    return _literal(value, least) and not _like_name(hit, value) and not is_vendor_token(value + hit.after(64))


def _literal(value: str, least: int) -> bool:
    """``value`` is written out: long enough, no placeholder, no reference to where the secret is kept."""
    if not least <= len(value) <= 256 or is_placeholder(value) or value.lower().strip("_-.!#") in _STOP_VALUES:
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
    names = [name for name in _NAME.findall(hit.before(60)) if _mentions(name)]
    name = bare(names[-1]) if names else ""
    return len(letters) >= 4 and bool(name) and (letters in name or (len(name) >= 5 and name in letters))
