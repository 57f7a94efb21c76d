"""Inputs that broke a promise once, by target, each with what was wrong. They are replayed for ever."""

from typing import NamedTuple

import msgspec

from tests.jwks import CLIENT, claims_v2


class Past(NamedTuple):
    """One input that broke a promise."""

    target: str
    name: str
    data: bytes


_CLAIMS = {**claims_v2(1_800_000_000), "aud": f"{CLIENT}/"}
_HEADER = {"typ": "JWT", "alg": "RS256", "kid": "key-1"}

FINDINGS: tuple[Past, ...] = (
    Past("repeated", "comments in a blind copy exhausted the address parser", b"\x02("),
    Past(
        "repeated", "groups in a blind copy exhausted it, and masking the block's path became a 500", b"\x02X: a63d19c3"
    ),
    Past("repeated", "every recipient of a long blind copy was parsed before the first stranger was told", b"\x02x,"),
    Past("repeated", "each of 12,000 texts was looked up for each decoder, at 30 us", b"\x03\x1c!--<!--<!--"),
    Past("config", "half of a surrogate pair in YAML was a traceback", b'\x02piiKeywords: ["\\uD800"]'),
    Past("config", "a YAML tag on a value that does not fit it was a traceback", b"\x02a: !!timestamp x"),
    Past(
        "token",
        "a client id with a slash behind it was the client id",
        msgspec.json.encode({"header": _HEADER, "claims": _CLAIMS}),
    ),
    Past(
        "text",
        "a match that began in the separator before a text was sought again for ever, until too much work was a block",
        b"\x05system: linux, 64 bit",
    ),
    Past(
        "reply",
        "a block whose reason echoed half of a surrogate pair was no reply",
        b'\x00{"block": true, "reason": "\\ud800"}',
    ),
    Past("text", "the scan missed an address whose domain begins with a hyphen", b"\x05kx81kx81.q@-mail.org"),
)
