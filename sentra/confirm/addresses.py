"""Second looks at addresses: of mailboxes, hosts, network cards and places."""

import re
from ipaddress import ip_address

import re2

from sentra.confirm import Hit, confirm
from sentra.confirm.tlds import TLDS

_PRIVATE = frozenset({"example", "test", "invalid", "local", "internal", "corp", "lan", "intranet"})
_MOST_LOCAL, _MOST_DOMAIN = 64, 253
_NUMBER = re.compile(r"-?\d+\.\d+")
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
    if local == "git" and hit.after(1) == ":":
        return False
    return _URL_LOGIN.search(hit.buffer[max(hit.low, hit.start - 80) : hit.start]) is None


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
    """A hardware address of one device: neither all zeros nor broadcast, with one separator."""
    digits = "".join(c for c in hit.value if c.isalnum()).lower()
    return len(set(digits)) > 1


@confirm
def geo_point(hit: Hit) -> bool:
    """Latitude within 90 and longitude within 180 degrees, in that order."""
    latitude, longitude = (float(part) for part in _NUMBER.findall(hit.value)[:2])
    return abs(latitude) <= 90 and abs(longitude) <= 180 and not latitude == longitude == 0
