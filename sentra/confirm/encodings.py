"""Second looks at secrets that must decode: JSON web tokens, Basic credentials, PEM bodies, prefixed JSON."""

import re
from base64 import b64decode
from binascii import Error as BinasciiError
from typing import Any

import msgspec

from sentra.confirm import Hit, confirm
from sentra.confirm.secrets import credible, is_placeholder, shannon

_PEM_TEXT = re.compile(r"-----(?:BEGIN|END) [A-Z0-9 ]{1,40}-----|[A-Za-z0-9-]{1,20}: [^\r\n\\]{0,80}|\\[nrt]|[\s\"'\\]")
_BODY = re.compile(r"[A-Za-z0-9+/=]+")
_LEAST_BODY = 48
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]+")
_SAMPLE_SUBJECTS = ("1234567890",)


def unbase64(text: str) -> bytes | None:
    """``text`` decoded from either alphabet of base64, padded or not; nothing when it is no base64."""
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (BinasciiError, ValueError):
        return None


def unjson(raw: bytes | None) -> Any:
    """``raw`` decoded from JSON; nothing when it is no JSON."""
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


@confirm
def jwt(hit: Hit) -> bool:
    """The value is a signed JSON web token: its header names an algorithm, and it is not the well-known sample.

    A header that does not decode still counts when the payload begins like JSON and the rest is random.
    """
    header, _, rest = hit.value.partition(".")
    payload, _, signature = rest.partition(".")
    decoded = unjson(unbase64(header))
    if isinstance(decoded, dict):
        algorithm = decoded.get("alg", decoded.get("enc"))
        return isinstance(algorithm, str) and algorithm.lower() != "none" and not _is_sample(payload)
    return payload.startswith("ey") and len(signature) >= 16 and credible(hit.value)


def _is_sample(payload: str) -> bool:
    """The token that documentation everywhere shows: subject 1234567890 with a John or Jane Doe."""
    claims = unjson(unbase64(payload))
    return (
        isinstance(claims, dict) and claims.get("sub") in _SAMPLE_SUBJECTS and "Doe" in str(claims.get("name", "Doe"))
    )


@confirm
def json_token(hit: Hit) -> bool:
    """The value's longest base64 part decodes to the beginning of JSON."""
    part = max(re.findall(r"[A-Za-z0-9+/_-]*eyJ[A-Za-z0-9+/_=-]+", hit.value), key=len, default="")
    start = part.find("eyJ")
    raw = unbase64(part[start:][: (len(part) - start) // 4 * 4].rstrip("=")) if start >= 0 else None
    return raw is not None and raw[:2] in (b'{"', b"{ ") and not is_placeholder(hit.value)


@confirm
def basic_auth(hit: Hit) -> bool:
    """The value decodes to ``user:password`` in printable text, and the password is no placeholder."""
    raw = unbase64(hit.value)
    try:
        text = raw.decode() if raw else ""
    except UnicodeDecodeError:
        return False
    user, colon, password = text.partition(":")
    stand_in = password.lower() in ("password", "pass", "pwd", "open sesame", "opensesame") or is_placeholder(password)
    return bool(colon and _PRINTABLE.fullmatch(text)) and len(user) + len(password) >= 6 and not stand_in


@confirm
def pem_body(hit: Hit) -> bool:
    """The PEM text holds a key: at least 48 characters of base64 that are not filler."""
    bodies = _BODY.findall(_PEM_TEXT.sub("", hit.value[:4096]))
    body = max(bodies, key=len, default="")
    return len(body) >= _LEAST_BODY and shannon(body) >= 4.0 and "xxxxx" not in body.lower()


@confirm
def base64_text(hit: Hit) -> bool:
    """The value decodes from base64 to printable text that is no placeholder (the data of a Kubernetes secret)."""
    raw = unbase64(hit.value)
    try:
        return raw is not None and bool(_PRINTABLE.fullmatch(raw.decode().strip())) and not is_placeholder(raw.decode())
    except UnicodeDecodeError:
        return shannon(hit.value) >= 3.5


@confirm
def numeric_first_part(hit: Hit) -> bool:
    """What stands before the first dot decodes from base64 to a number (a Discord bot's user id)."""
    raw = unbase64(hit.value.partition(".")[0])
    return raw is not None and raw.isdigit()


_SAS_PART = re.compile(r"(?:^|[?&;\s\"'])(?:sv|se|st|sp|sr|spr|ss|srt|skn|skoid)=", re.IGNORECASE)


@confirm
def azure_sas(hit: Hit) -> bool:
    """At least two other parts of a shared access query stand within 400 bytes before the signature or 200 after it."""
    return len(_SAS_PART.findall(hit.before(400)) + _SAS_PART.findall(hit.after(200))) >= 2
