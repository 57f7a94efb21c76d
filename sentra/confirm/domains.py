"""Second looks at hosts: label boundaries, whether one stands in a link, and what an address points to."""

import ipaddress
import re
from functools import cache
from importlib import import_module

from sentra.confirm import Confirm, Hit, confirm, factory

_LABEL = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
_AFTER_PATH = re.compile(rb"(?::[0-9]{1,5})?/[A-Za-z0-9?#~%-]")
_FETCH = re.compile(rb"\b(?:curl|wget|nc|ncat|ssh|httpie?|Invoke-WebRequest|iwr)\b[^|;\n]*\s\Z", re.I)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, Oracle, OpenStack, DigitalOcean
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "169.254.0.23",  # Tencent Cloud
        "100.100.100.200",  # Alibaba Cloud
        "192.0.0.192",  # Oracle Cloud
        "168.63.129.16",  # Azure wire server
        "fd00:ec2::254",  # AWS over IPv6
        "fd00:ec2::23",
        "fd20:ce::254",  # Google over IPv6
        "fe80::a9fe:a9fe",  # OpenStack over IPv6
    )
)


@confirm
def domain_boundary(hit: Hit) -> bool:
    """The value is a whole domain or the end of a longer one: neither part of a label nor followed by another label.

    ``a.evil.com``, ``user@evil.com`` and ``evil.com.`` hold for ``evil.com``; ``notevil.com``, ``evil.com.example.net``
    and the user part of ``evil.com@example.net`` do not.
    """
    buffer = hit.buffer
    if hit.start > hit.low and _continues_label(buffer[hit.start - 1]):
        return False
    if hit.end >= hit.high:
        return True
    following = buffer[hit.end]
    if following == ord("@"):
        return hit.end + 1 >= hit.high or not _continues_label(buffer[hit.end + 1])
    if following == ord("."):
        return hit.end + 1 >= hit.high or not _continues_label(buffer[hit.end + 1])
    return not _continues_label(following)


def _continues_label(byte: int) -> bool:
    return byte in _LABEL or byte >= 0x80


@confirm
def in_link(hit: Hit) -> bool:
    """The value stands in a link or an address: behind ``//`` or ``@``, before a path, or as what a command fetches."""
    before = hit.buffer[max(hit.low, hit.start - 160) : hit.start].rstrip(_NAME)
    if before.endswith((b"//", b"@")):
        return True
    if before.endswith((b"/", b"\\")):
        return False
    if _AFTER_PATH.match(hit.buffer, hit.end, min(hit.high, hit.end + 12)):
        return True
    return _FETCH.search(before) is not None


@confirm
def disposable(hit: Hit) -> bool:
    """The value, a mail domain, or a domain that it is part of, receives mail for anybody for a while.

    Source: the list of the package disposable-email-domains.
    """
    labels = hit.value.lower().strip(".").split(".")
    return any(".".join(labels[place:]) in _disposable_domains() for place in range(max(1, len(labels) - 1)))


@cache
def _disposable_domains() -> frozenset[str]:
    return frozenset(import_module("disposable_email_domains").blocklist) - _STAND_INS


_STAND_INS = frozenset({"yourdomain.com"})


@confirm
def url_argument(hit: Hit) -> bool:
    """The URL of the value is an argument's whole value: nothing but its name stands before it, no word after it."""
    line = hit.buffer[hit.low : hit.start]
    if len(line) > MOST_NAME_BYTES or not _ONLY_SCHEME.fullmatch(line):
        return False
    return b" " not in hit.buffer[hit.end : min(hit.high, hit.end + MOST_NAME_BYTES)].strip()


_ONLY_SCHEME = re.compile(rb"(?:[\w .\[\]/-]{1,80}: )?[\"'<]?[a-z+]{2,10}:[/\\]{2,4}(?:[^\s/@]{0,60}@)?", re.IGNORECASE)
MOST_NAME_BYTES = 200


@factory
def address(argument: str) -> Confirm:
    """The value, a host in any notation that a URL may have, is an address of the kind that ``argument`` names.

    ``metadata``; ``internal``; ``loopback``, the machine itself; ``disguised``, an internal one that is not written as
    four decimal numbers or as a plain IPv6 address.
    """
    kind = {"metadata": _metadata, "internal": _internal, "loopback": _loopback, "disguised": _internal}[argument]
    if argument == "disguised":
        return lambda hit: not _PLAIN.fullmatch(hit.value) and kind(addresses(hit.value))
    return lambda hit: kind(addresses(hit.value))


_PLAIN = re.compile(
    r"(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})|\[[0-9a-f]{0,4}:[0-9a-f:]*\]|\d{1,5}", re.IGNORECASE
)


def addresses(host: str) -> list[IPAddress]:
    """What ``host`` points to: an IPv4 address as dotted, decimal, octal or hexadecimal numbers, or an IPv6 address.

    An IPv6 address that carries an IPv4 address stands for both.
    """
    bare = host.strip().strip("[]").partition("%")[0].rstrip(".")
    if ":" not in bare:
        found = ipv4(bare)
        return [found] if found is not None else []
    try:
        six = ipaddress.IPv6Address(bare)
    except ValueError:
        return []
    inner = (
        six.ipv4_mapped or six.sixtofour or (ipaddress.IPv4Address(int(six) & 0xFFFFFFFF) if _carries(six) else None)
    )
    return [six, inner] if inner is not None else [six]


def _carries(six: ipaddress.IPv6Address) -> bool:
    """Does ``six`` end in an IPv4 address (RFC 6052, or the deprecated compatible form)?"""
    return int(six) >> 32 in (0x0064FF9B << 64, 0) and int(six) > 1


def ipv4(host: str) -> ipaddress.IPv4Address | None:
    """The address that ``inet_aton`` reads in ``host``: one to four numbers, each decimal, octal or hexadecimal."""
    parts = host.split(".")
    if not 1 <= len(parts) <= 4:
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return None
    *leading, last = numbers
    if any(number > 255 for number in leading) or last >= 256 ** (5 - len(parts)):
        return None
    value = last
    for place, number in enumerate(leading):
        value += number << (24 - 8 * place)
    return ipaddress.IPv4Address(value)


def _number(text: str) -> int:
    lower = text.lower()
    if not re.fullmatch(r"0x[0-9a-f]{1,16}|[0-9]{1,20}", lower):
        raise ValueError(text)
    if lower.startswith("0x"):
        return int(lower, 16)
    return int(lower, 8) if len(lower) > 1 and lower.startswith("0") else int(lower)


def _metadata(found: list[IPAddress]) -> bool:
    return not METADATA.isdisjoint(found)


def _loopback(found: list[IPAddress]) -> bool:
    return any(each.is_loopback or each.is_unspecified for each in found)


def _internal(found: list[IPAddress]) -> bool:
    """Not on the public internet: loopback, private, link-local or unspecified; metadata services aside."""
    return not _metadata(found) and any(
        each.is_loopback or each.is_private or each.is_link_local or each.is_unspecified for each in found
    )
