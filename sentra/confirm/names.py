"""Second looks at the name that a value is assigned to: is it a secret's own name?

A window of 120 bytes before the value is all that is looked at.
"""

import re

from sentra.confirm import Hit, confirm
from sentra.confirm.words import bare, parts, word_set

WINDOW = 120

_NAME = re.compile(r"[^\W\d][\w.$-]*")
_PREFIX_NAMES = word_set(
    """
    public pub publishable next prev previous continuation continue csrf xsrf anti antiforgery forgery verification cursor
    sync delta skip page paging pagination nav pager number foreign sort partition design symbol tracking idempotency
    dedup captcha recaptcha site bos eos pad unk cls sep mask stop hash etag change resume watch consistency view
    correlation keyboard registry shortcut count forgot forgotten unsubscribe lock update request sequence upload query
    scroll ordering revision transaction palabra palabras palavra palavras
    """
)
_SUFFIX_NAMES = word_set(
    """
    args arg argument arguments kwargs func function handler callback factory test tests case cases through fail
    hash hashes hashed name names length len count counts counter policy policies id ids identifier url uri urls type
    types field fields file filename path paths folder expiry expires expired expiration ttl lifetime age min max limit
    limits usage used required requirement requirements reset hint label help prompt placeholder rotation manager
    strength column error errors rule rules enabled disabled protected status state attempts algorithm alg format
    version date time at on endpoint arn ref reference provider store mode scope scopes budget tokenizer tokens digest
    fingerprint change changed updated created title description link page location env var variable regex pattern
    validator form list size window position index offset num number class selector text visible show forgotten recovery
    resource audience issuer cost price rate method strategy history complexity confirmation
    """
)
_SECRET_NAMES = word_set(
    """
    password passwd passwort pass pwd pw psk passphrase passcode passord kennwort zugangscode mdp passe clave senha
    sandi parola haslo heslo wachtwoord losenord adgangskode salasana jelszo sifre contrasena parool parole secret secrets
    token key apikey credential credentials creds cred auth authorization bearer jwt hmac jeton schluessel chave chiave
    sleutel klucz geheimnis secreto segreto segredo webhook salt
    """
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
_NAMED = re.compile(
    r"pass|pwd|secret|token|key|cred|auth|kennwort|clave|senha|mdp|parola|has[l\u0142]o|heslo|wachtwoord|l[\u00f6o]senord"
    r"|[\u015fs]ifre|pw|psk|contrase|adgang|salasana|jelsz|jwt|bearer|hmac|schl|geheim|sandi|parool|secreto|segre|chave|chiave|klucz|sleutel",
    re.IGNORECASE,
)


_CHANGES = frozenset({"change", "update", "reset"})


def secret_name(name: str, before: str = "") -> bool:
    """``name``, an identifier, names a secret itself and nothing about it; ``before`` is the word that precedes it.

    >>> secret_name("DB_PASSWORD"), secret_name("password_hash"), secret_name("token", "page"), secret_name("monkey")
    (True, False, False, False)
    """
    words = [part for word in parts(name) for part in _split(word)]
    known = any(word in _SECRET_NAMES or word.endswith(_SECRET_ENDINGS) or not word.isascii() for word in words)
    about = words[-1:] and words[-1] in _SUFFIX_NAMES
    return known and not about and _PREFIX_NAMES.isdisjoint(words + parts(before))


def _split(word: str) -> list[str]:
    """``word`` in two where it ends with a word for a secret, as ``skiptoken``."""
    for ending in _SECRET_ENDINGS:
        if word.endswith(ending) and word != ending:
            return [word.removesuffix(ending), ending]
    return [word]


@confirm
def assigned_name(hit: Hit) -> bool:
    """The identifier before the value is a secret's own name: not its hash, its length, its policy, a page token.

    In an Amazon resource name (``arn:...:secret:name``) the word names a kind of resource.
    """
    before = hit.before(WINDOW)
    if "arn:" in before.rpartition(" ")[2]:
        return False
    names = list(_NAME.finditer(before))
    for index in range(len(names) - 1, -1, -1):
        if mentions_secret(names[index][0]):
            previous = names[index - 1] if index else None
            near = previous is not None and previous.end() + 1 == names[index].start()
            joined = previous[0] if previous is not None and near else ""
            return secret_name(names[index][0], "" if joined.lower() in _CHANGES else joined)
    return not before.isascii()


_OWNERS = frozenset({"client", "app", "api", "application", "consumer", "oauth"})


def strong_name(hit: Hit) -> bool:
    """The nearest name before the value is that of an application's secret, as ``clientSecret`` or ``api_secret``."""
    names = [name for name in _NAME.findall(hit.before(60)) if mentions_secret(name)]
    words = parts(names[-1]) if names else []
    return "secret" in words and not _OWNERS.isdisjoint(words) and words[-1] == "secret"


def mentions_secret(name: str) -> bool:
    """Some part of ``name`` reads like a word for a secret."""
    return _NAMED.search(name) is not None


def repeats_name(hit: Hit, value: str) -> bool:
    """The value repeats its own name, as ``password = new_password`` or ``"apiKey": "apiKeyValue"``."""
    letters = bare(value)
    names = [name for name in _NAME.findall(hit.before(60)) if mentions_secret(name)]
    name = bare(names[-1]) if names else ""
    return len(letters) >= 4 and bool(name) and (letters in name or (len(name) >= 5 and name in letters))
