"""Targets at the door: ``token``, any authorization header or signed token, and ``keys``, any published key set."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator
from functools import cache
from random import Random
from typing import Any

from joserfc.jwk import RSAKey

from sentra import entra
from sentra.auth import CAUSES, Authenticator
from sentra.config import load_settings
from sentra.entra_keys import MAX_BITS, MIN_BITS, KeysError, parse_keys
from sentra.errors import Refused
from tests import jwks
from tests.fuzz import mutation
from tests.fuzz.service import Log
from tests.fuzz.target import Native, Target, demand, within

NOW = 1_800_000_000.0
STATIC = "static-token-0123456789"
SIGNERS = ("key-1", "key-2")
"""The first is published, the other is not."""
ISSUERS = {
    f"https://sts.windows.net/{jwks.TENANT}/": ("1.0", "appid"),
    f"https://login.microsoftonline.com/{jwks.TENANT}/v2.0": ("2.0", "azp"),
}
SKEW = 60
MOST_PLAIN = 1_500
LEAST_SECRET = 20


@cache
def _log() -> Log:
    return Log()


class _Keys:
    """One published key."""

    def __init__(self) -> None:
        self._keys = parse_keys(jwks.key_set("key-1"), jwks.TENANT)

    def key(self, tenant: str, kid: str) -> RSAKey | None:
        return self._keys.get(kid) if tenant == jwks.TENANT else None

    def want(self, tenant: str) -> None:
        demand(tenant == jwks.TENANT, "keys of a foreign tenant were wanted")


@cache
def _authenticator() -> Authenticator:
    settings = load_settings(jwks.ENTRA_ENV | {"STRICT_AUTH_ALLOWED_TOKENS": STATIC})[0]
    made = Authenticator(settings, now=lambda: NOW, clock=lambda: 0.0)
    made._verifier = entra.Verifier(entra.policy(settings), _Keys(), lambda: NOW)
    return made


def check_token(data: bytes) -> Iterable[str]:
    """Nobody is admitted but by the static token or a published key over claims that name us; no error but a refusal."""
    headers, good = _request(data)
    _log()
    with within():
        outcome = _outcome(headers)
    demand(_outcome(headers) == outcome, "another outcome for the same headers")
    if outcome.startswith("entra:"):
        demand(good is not None and _acceptable(*good), "a token was accepted that names something else")
        demand(outcome == f"entra:{jwks.CLIENT}", "another caller than the token's")
    elif good is not None and _acceptable(*good) and _plain(*good) and headers[0][1].startswith(b"Bearer "):
        demand(False, f"a good token was refused: {outcome}")
    if outcome == "static":
        demand(STATIC.encode() in headers[0][1], "admitted without the static token")
    _authenticator()._forget()
    secret = headers[0][1].partition(b" ")[2].strip().decode("latin-1")
    demand(len(secret) < LEAST_SECRET or not any(secret in line for line in _log().lines), "the log tells a token")
    _log().lines.clear()
    return [outcome]


def _outcome(headers: list[tuple[bytes, bytes]]) -> str:
    try:
        return _authenticator().admit(headers)
    except Refused as refused:
        demand(refused.cause in CAUSES and refused.args == (refused.cause,), "a refusal that tells more than its cause")
        return refused.cause


def _request(data: bytes) -> tuple[list[tuple[bytes, bytes]], tuple[Any, Any] | None]:
    """Headers, and header and claims of the token in them if the published key signed it."""
    try:
        parts = json.loads(data)
        raw = {name: json.dumps(parts[name]).encode() for name in ("header", "claims")}
    except (ValueError, KeyError, TypeError, RecursionError):
        return [(b"authorization", data)], None
    signer = SIGNERS[1] if parts.get("other") else SIGNERS[0]
    token, whole = jwks.signed(raw["header"], raw["claims"], signer), True
    if isinstance(tail := parts.get("tail"), str):
        given, token = token, token[: -max(1, len(tail))] + tail
        whole = _bits(given) == _bits(token)
    value = f"{parts.get('scheme', 'Bearer')} {token}".encode("utf-8", "replace")
    signed = (parts["header"], parts["claims"]) if signer == SIGNERS[0] and whole else None
    return [(b"authorization", value)], signed


def _bits(token: str) -> list[bytes | str]:
    """A token's signed parts, and its signature without the bits that base64 leaves unused."""
    *signed, signature = token.split(".")
    try:
        return [*signed, urlsafe_b64decode(signature + "==")]
    except ValueError:
        return [*signed, signature]


def _acceptable(header: Any, claims: Any) -> bool:
    """The rules for tokens once more, written from the contract."""
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return False
    if header.get("alg") != "RS256" or header.get("kid") != "key-1" or "crit" in header:
        return False
    version, caller = ISSUERS.get(_str(claims, "iss"), ("", ""))
    tenant, audience = claims.get("tid"), _str(claims, "aud")
    times: list[Any] = [
        claims.get("exp"),
        *(0 if claims.get(name) is None else claims[name] for name in ("nbf", "iat")),
    ]
    if not all(isinstance(time, (int, float)) and not isinstance(time, bool) for time in times):
        return False
    return (
        _str(claims, "ver") == version
        and (tenant is None or tenant == "" or str(tenant).lower() == jwks.TENANT)
        and (audience.removesuffix("/") == jwks.AUDIENCE or audience.lower() == jwks.CLIENT)
        and times[0] > NOW - SKEW
        and max(times[1:]) <= NOW + SKEW
        and _str(claims, caller).lower() == jwks.CLIENT
    )


def _str(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _plain(header: Any, claims: Any) -> bool:
    """Whether nothing about the token's form is unusual either: what Entra ID might send."""
    texts = json.dumps(header), json.dumps(claims)
    kinds: dict[str, Any] = {"appid": str, "azp": str, "tid": str, "ver": str, "roles": list, "typ": str, "cty": str}
    typed = all(
        isinstance(part[name], kind) for part in (header, claims) for name, kind in kinds.items() if name in part
    )
    roles = all(isinstance(role, str) for role in claims.get("roles", ()))
    odd = "\\ud" in "".join(texts) or max(map(len, texts)) > MOST_PLAIN or len(texts[0]) > 380
    known = set(header) <= {"alg", "kid", "typ", "x5t"} and all(isinstance(value, str) for value in header.values())
    return typed and roles and known and not odd and not any(text.count("[") + text.count("{") > 40 for text in texts)


_WRONG: tuple[dict[str, Any], ...] = (
    {"aud": "x"},
    {"exp": NOW - 100},
    {"nbf": NOW + 100},
    {"appid": jwks.OTHER_CLIENT},
    {"iss": "x"},
)
_ODD: tuple[dict[str, Any], ...] = (
    {"alg": "none"},
    {"alg": "HS256"},
    {"kid": "key-2"},
    {"crit": ["b64"], "b64": False},
    {"jku": "https://x"},
)


def _tokens() -> Iterator[bytes]:
    header = {"typ": "JWT", "alg": "RS256", "x5t": "key-1", "kid": "key-1"}
    for claims in (
        jwks.claims_v1(NOW),
        jwks.claims_v2(NOW),
        jwks.claims_v1(NOW, roles=["a"]),
        jwks.claims_v2(NOW, tid=None),
    ):
        yield json.dumps({"header": header, "claims": claims}).encode()
    good = jwks.claims_v1(NOW)
    for change in _WRONG:
        yield json.dumps({"header": header, "claims": good | change}).encode()
    for change in _ODD:
        yield json.dumps({"header": header | change, "claims": good}).encode()
    yield json.dumps({"header": header, "claims": good, "other": 1}).encode()
    yield json.dumps({"header": header, "claims": good, "tail": "A"}).encode()
    yield json.dumps({"header": header, "claims": good, "scheme": "bearer "}).encode()
    for raw in (
        f"Bearer {STATIC}",
        f"bearer\t {STATIC} ",
        "Bearer",
        "Bearer a.b.c",
        "Basic eDp5",
        "",
        "Bearer " + "." * 99,
    ):
        yield raw.encode()


def check_keys(data: bytes) -> Iterable[str]:
    """A key set of any bytes is refused, or holds only usable keys of the tenant."""
    with within():
        try:
            keys = parse_keys(data, jwks.TENANT)
        except KeysError as error:
            return [str(error)]
    demand(keys, "a key set without a key")
    for kid, key in keys.items():
        numbers = key.public_key.public_numbers()
        demand(0 < len(kid) <= entra.MAX_KID_LENGTH, "a key id of another length")
        demand(MIN_BITS <= numbers.n.bit_length() <= MAX_BITS, "a key of another size")
        demand(numbers.e >= 3 and numbers.e % 2, "a key without a usable exponent")
    return [f"{min(len(keys), 4)} keys"]


def _key_sets() -> Iterator[bytes]:
    for keys in (
        [jwks.jwk("key-1")],
        [jwks.jwk("key-1"), jwks.jwk("key-2", issuer=None)],
        [jwks.jwk("key-1", use="enc"), jwks.jwk("key-2", e="AAEAAQ")],
        [jwks.jwk("key-1", issuer="https://login.microsoftonline.com/{tenantid}/v2.0", alg="RS256")],
        [jwks.jwk("small", 1024), jwks.jwk("key-1", kid="")],
        [],
    ):
        yield json.dumps({"keys": keys}).encode()


def _token(data: bytes, random: Random, native: Native) -> bytes:
    """Claims keep their kind mostly: numbers move a little, texts change case or lose an end."""
    try:
        parts = json.loads(data)
        part = parts[random.choice(("header", "claims", "claims"))]
        name = random.choice(list(part.keys()))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return native(data)
    if random.random() < 0.4:
        return mutation.document(data, random, native)
    value = part[name]
    if isinstance(value, (int, float)):
        part[name] = random.choice((value, NOW)) + random.choice((-61, -60, -59, -1, 0, 0.5, 1, 59, 60, 61, 1e300))
    elif isinstance(value, str):
        part[name] = random.choice(
            (value.upper(), value + "/", value.removesuffix("/"), value[1:], f" {value}", value + "\0")
        )
    else:
        del part[name]
    return json.dumps(parts).encode()


TOKEN = Target("token", check_token, _token, _tokens, most=4_000)
KEYS = Target("keys", check_keys, mutation.document, _key_sets, most=6_000)
