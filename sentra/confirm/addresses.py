"""Second looks at addresses: of mailboxes, hosts, network cards and places."""

import re
from ipaddress import ip_address

import re2

from sentra.confirm import Hit, confirm
from sentra.confirm.tlds import TLDS

_PRIVATE = frozenset({"example", "test", "invalid", "local", "internal", "corp", "lan", "intranet"})
_MOST_LOCAL, _MOST_DOMAIN = 64, 253
_ONE_MORE = re.compile(r"[:-][0-9A-Fa-f]")
_NUMBER = re.compile(r"-?\d+\.\d+")
_RANDOM = re.compile(r"(?=.*\d.*\d.*\d)(?:[0-9A-Fa-f]{16,}|[0-9A-Za-z.$_=+-]{24,}|[0-9A-Fa-f]{8}-[0-9A-Fa-f-]{20,})")
_MAIL_ID = re2.compile(
    rb"(?i)(?:message|content|thread|conversation|internetmessage)[_ -]?id[\"'\\]{0,3}\s?[:=]\s?[\"'\\]{0,3}<?$"
    rb"|(?:in-reply-to|references)[\"'\\]{0,3}\s?[:=][^\n,;]{0,60}$"
)
_MAIL_ID_SIGNS = (b"id", b"reply", b"referen")  # one of them is in whatever ``_MAIL_ID`` matches
_URL_LOGIN = re2.compile(rb"(?i)[a-z][a-z0-9+.-]*://[^\s/@]*$")


@confirm
def email_address(hit: Hit) -> bool:
    """A mailbox under a top level or a reserved domain (RFC 5321 sizes, RFC 6761); no login of a URL, no ``git@host:path``."""
    local, _, domain = hit.value.rpartition("@")
    if not 0 < len(local) <= _MOST_LOCAL or len(domain) > _MOST_DOMAIN or ".." in local:
        return False
    labels = domain.lower().split(".")
    if not any(label in TLDS or label in _PRIVATE or label.startswith("xn--") for label in labels[1:]):
        return False
    if (local == "git" and hit.after(1) == ":") or _message_id(hit, local):
        return False
    before = hit.buffer[max(hit.low, hit.start - 80) : hit.start]
    return b"://" not in before or _URL_LOGIN.search(before) is None


def _message_id(hit: Hit, local: str) -> bool:
    """An id of a mail (RFC 5322, 3.6.4), by its header's name or, in angle brackets, by its random left part."""
    if hit.before(1) == "<" and hit.after(1) == ">" and _RANDOM.fullmatch(local):
        return True
    before = hit.buffer[max(hit.low, hit.start - 60) : hit.start]
    lowered = before.lower()
    return any(sign in lowered for sign in _MAIL_ID_SIGNS) and _MAIL_ID.search(before) is not None


@confirm
def public_ip(hit: Hit) -> bool:
    """An address of the public internet: not private, loopback, documentation or multicast (IANA special registries)."""
    try:
        address = ip_address(hit.value)
    except ValueError:
        return False
    return address.is_global and not address.is_multicast


@confirm
def network_card(hit: Hit) -> bool:
    """A hardware address of one device: neither all zeros nor broadcast, and no piece of a fingerprint."""
    digits = "".join(c for c in hit.value if c.isalnum()).lower()
    before, after = hit.before(1), hit.after(2)
    return len(set(digits)) > 1 and before not in (":", "-") and not _ONE_MORE.match(after)


@confirm
def geo_point(hit: Hit) -> bool:
    """Latitude within 90 and longitude within 180 degrees, in that order."""
    latitude, longitude = (float(part) for part in _NUMBER.findall(hit.value)[:2])
    return abs(latitude) <= 90 and abs(longitude) <= 180 and not latitude == longitude == 0
