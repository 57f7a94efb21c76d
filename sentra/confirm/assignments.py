"""Second looks at a value that is assigned to a secret's name: is it written out, is it random enough.

Everything here looks at no more than the value (at most 256 characters) and a window of 120 bytes before it.
"""

import re

import re2

from sentra.confirm import Hit, confirm
from sentra.confirm.names import repeats_name, strong_name
from sentra.confirm.secrets import is_placeholder, is_uuid, shannon
from sentra.confirm.vendors import is_vendor_token
from sentra.confirm.words import made_of_words, parts, word_set

_STOP_VALUES = word_set(
    """
    none null nil undefined true false yes no on off string str text bool boolean int integer number object array
    password passwd pwd pass secret token apikey key value default required optional empty unset unknown hidden masked
    encrypted hashed redacted removed omitted missing invalid expired enabled disabled set reset changed here below
    above tbd todo n/a na test testing username user admin root guest anonymous postgres mysql redis mongodb passw0rd
    p@ssw0rd p@ssword password1 password123 pass1234 mypassword mysecretpassword secret123 yourpassword
    """
)
_REFERENCE = re2.compile(
    r"(?i)\$\{|\{\{|\{%|<%|%\(|%[sdv]\b|\$\(|#\{|@\{|\[\[|^\$?\{[^{}]*\}?$|^<[^<>]*>?$|^\[[^\[\]]*\]?$|^\$[A-Za-z_]\w*$"
    r"|^\$env:|^%\w+%?$|^--?[a-z-]+$|[a-z_]\(|\(\)|\[['\"]|^@\w+\(|^![A-Z][A-Za-z]*$|::|=>|->|^arn:"
    r"|^(?:vault|ssm|op|env|file|kms|sm):|keyvault|secretref|valuefrom|secretmanager"
    r"|(?:^|[._-])(?:environ|process\.env|getenv|import\.meta)"
    r"|^(?:self|this|args|opts|options|config|conf|cfg|settings|secrets|env|ctx|context|req|request|props|params|data|user"
    r"|creds|credentials|event|vars?|local|input|form|body|os|process|app|session|response|res|result)[.\[][A-Za-z_'\"]"
    r"|^\(?\[?\{|\]\[|\[[a-zA-Z0-9^]-|\{\d+,|^[A-Za-z_.]+\["
    r"|https?:|://|^(?:\.{1,2}|~)/|\.\.\.|\x{2026}|\*\*\*|\x{2022}\x{2022}"
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
_PARAMETER = re.compile(r"&(?:\w[\w.-]*=|(?:amp|quot|lt|gt|nbsp|#\d+);)")
_MORE = re.compile(r"&(?!\w[\w.-]*=|(?:amp|quot|lt|gt|nbsp|#\d+);)[^\s\"'`<>,;]*")
_CASES = re.compile(r"[a-z](?=[A-Z])|[A-Z](?=[a-z])")
_LAST_NUMBER = re.compile(r"\d{4,}|(?=[0-9a-f]*\d)[0-9a-f]{6,}")
_YEAR = re.compile(r"(?:19|20)\d\d")
_ABOUT = word_set(
    """
    secret secrets key keys vault kv token tokens client app api prod production dev staging stage name id ref value
    password passwd credential credentials auth oauth my your our the azure aws gcp env file path placeholder sample
    """
)
_WALK = re.compile(r"a1b2c3|1a2b3c|abc123|123abc|qwerty|asdfgh", re.IGNORECASE)
_SPECIAL = frozenset("!@#$%^&*+=?")
_SYMBOLS = frozenset("!@#$^*")
_MARKS = frozenset("!#$%^&*?")


@confirm
def password_value(hit: Hit) -> bool:
    """The value may be a password that stands behind its name: three of four classes, or random enough."""
    value = written(hit)
    if (len(value) < 10 and value.isalpha()) or not _candidate(hit, value, 8):
        return False
    if classes(value) >= 3 and not _prose_like(value):
        return True
    if any(map(str.isdigit, value)) and any(map(str.isalpha, value)):
        return shannon(value) >= (3.1 if len(value) >= 10 else 9.0) or (
            shannon(value) >= 2.7 and not made_of_words(value)
        )
    return _letters_at_random(value)


@confirm
def prose_password(hit: Hit) -> bool:
    """The value may be a password in a sentence: three of four classes with a digit, and no ordinary hyphenated word."""
    value = written(hit)
    if (len(value) < 10 and value.isalpha()) or not _candidate(hit, value, 8):
        return False
    if classes(value) < 3 or not any(map(str.isdigit, value)):
        return _random_letters(value)
    return not made_of_words(value) or any(c in _SPECIAL for c in value) or not any(c in "-/.:" for c in value)


@confirm
def strong_password(hit: Hit) -> bool:
    """As ``prose_password``, and no word with a number, as in ``Windows11``."""
    value = written(hit)
    return prose_password(hit) and (not made_of_words(value) or any(c in _SPECIAL for c in value))


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
    value = written(hit)
    if not _candidate(hit, value, 12) or _WALK.search(value):
        return False
    if is_uuid(value):
        return True
    digits, letters = sum(map(str.isdigit, value)), sum(map(str.isalpha, value))
    if not letters:
        return False
    if made_of_words(value):
        drawn = strong_name(hit) and _words_with_number(value)
        return drawn or (classes(value) == 4 and not _SYMBOLS.isdisjoint(value))
    if not digits:
        return len(value) >= 20 and classes(value) >= 2 and shannon(value) >= 3.7
    return shannon(value) >= (3.2 if 14 <= len(value) < 16 and strong_name(hit) else _least_entropy(value))


def _least_entropy(value: str) -> float:
    if _HEX.fullmatch(value):
        return 2.9 if len(value) >= 20 else 9.0
    if len(value) < 16:
        return 3.2 if classes(value) >= 3 else 9.0
    return 3.3 if _BASE64.fullmatch(value) else 3.5


def _words_with_number(value: str) -> bool:
    """Words that somebody drew by lot, with a number that is no year, as ``amber-falcon-lake-4821``."""
    number = _LAST_NUMBER.search(value)
    if number is None or _YEAR.fullmatch(number[0]):
        return False
    return len(value) >= 14 and _ABOUT.isdisjoint(parts(value))


def _random_letters(value: str) -> bool:
    """Letters of both cases without a digit: their cases change at random, or a symbol stands among them."""
    if len(_CASES.findall(value)) >= 5 and _letters_at_random(value):
        return True
    return len(value) >= 10 and classes(value) >= 3 and not _MARKS.isdisjoint(value[1:-1]) and not made_of_words(value)


def _letters_at_random(value: str) -> bool:
    letters = value.replace("_", "").replace("-", "")
    if len(letters) < 10 or not (letters.isalpha() and letters.isascii()) or len(value) - len(letters) > 1:
        return False
    return (letters == value or classes(value) >= 2) and not made_of_words(value)


def written(hit: Hit) -> str:
    """The value as it was written: ``&`` ends it in the query of a URL only."""
    value = hit.value
    if "&" in value:
        query = _PARAMETER.search(value)
        value = value[: query.start()] if query else value
    elif hit.buffer[hit.end : min(hit.high, hit.end + 1)] == b"&" and "/" not in value:
        more = _MORE.match(hit.after(64))
        value += more[0] if more and not made_of_words(more[0]) else ""
    return trimmed(value)


def trimmed(value: str) -> str:
    """``value`` without the punctuation that closes a sentence or a quote after it."""
    return value.rstrip(".,;:'\"`|\\")


def classes(value: str) -> int:
    """How many of upper case, lower case, digits and anything else ``value`` holds; ``_`` and ``-`` join words."""
    other = any(not c.isalnum() and c not in "_-" for c in value)
    return any(map(str.isupper, value)) + any(map(str.islower, value)) + any(map(str.isdigit, value)) + other


def _candidate(hit: Hit, value: str, least: int) -> bool:
    """``value`` is a literal that neither repeats its own name nor is what a vendor's rule finds."""
    return _literal(value, least) and not repeats_name(hit, value) and not is_vendor_token(value + hit.after(64))


def _literal(value: str, least: int) -> bool:
    """``value`` is written out: long enough, no placeholder, no reference to where the secret is kept."""
    if not least <= len(value) <= 256 or is_placeholder(value) or value.lower().strip("_-.!#") in _STOP_VALUES:
        return False
    if len(set(value)) < 4 or _REFERENCE.search(value) is not None:
        return False
    return not (_DATE.fullmatch(value) or _MAIL.fullmatch(value) or _FILE.fullmatch(value) or _path_like(value))


def _path_like(value: str) -> bool:
    """``value`` is words joined by dots or slashes: a member or a file."""
    dotted = _DOTTED.fullmatch(value) is not None
    if dotted and not any(map(str.isdigit, value)):
        return True
    return (dotted or value.startswith("/")) and made_of_words(value)


def _prose_like(value: str) -> bool:
    """``value`` is words with punctuation: three classes, but no digit and nothing that words do not have."""
    return not any(map(str.isdigit, value)) and made_of_words(value) and not any(c in _SPECIAL for c in value)
