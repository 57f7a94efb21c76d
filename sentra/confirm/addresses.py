"""Second looks at addresses: e-mail."""

import re2

from sentra.confirm import Hit, confirm
from sentra.confirm.tlds import TLDS

_MOST_LOCAL, _MOST_DOMAIN = 64, 253
_URL_LOGIN = re2.compile(rb"(?i)[a-z][a-z0-9+.-]*://[^\s/@]*$")


@confirm
def email_address(hit: Hit) -> bool:
    """A mailbox under a top level domain (RFC 5321 sizes); no login of a URL, no ``git@host:path``."""
    local, _, domain = hit.value.rpartition("@")
    if not 0 < len(local) <= _MOST_LOCAL or len(domain) > _MOST_DOMAIN or ".." in local:
        return False
    labels = domain.lower().split(".")
    if not any(label in TLDS or label.startswith("xn--") for label in labels[1:]):
        return False
    if local == "git" and hit.after(1) == ":":
        return False
    return _URL_LOGIN.search(hit.buffer[max(hit.low, hit.start - 80) : hit.start]) is None
