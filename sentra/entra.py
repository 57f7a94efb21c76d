"""Entra ID access tokens: what an accepted one says, and the check of one token.

Facts: issuers of version 1 and 2 and the caller's `appid`/`azp` claim are in Microsoft's access token claims reference;
the hosts of the national clouds in its national clouds page. Signatures are joserfc's work.

What never happens here: a fetch, a log line, an exception that holds a token or one of its claims.
"""

import base64
import binascii
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from sentra.config import Settings
from sentra.errors import Refused

SKEW_SECONDS = 60
MAX_KID_LENGTH = 128
MAX_HEADER_BYTES = 512
CACHE_SIZE = 4096
ALGORITHM = "RS256"

_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)
_GUID = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")

Part = TypeVar("Part")


class Cloud(NamedTuple):
    """Where a cloud keeps its keys, and the issuers of its version 1 and version 2 tokens."""

    authority: str
    issuer_v1: str
    issuer_v2: str


CLOUDS = {
    "public": Cloud(
        "https://login.microsoftonline.com",
        "https://sts.windows.net/{}/",
        "https://login.microsoftonline.com/{}/v2.0",
    ),
    "usgov": Cloud(
        "https://login.microsoftonline.us",
        "https://sts.windows.net/{}/",
        "https://login.microsoftonline.us/{}/v2.0",
    ),
    "china": Cloud(
        "https://login.partner.microsoftonline.cn",
        "https://sts.chinacloudapi.cn/{}/",
        "https://login.partner.microsoftonline.cn/{}/v2.0",
    ),
}


class Header(msgspec.Struct, frozen=True):
    """The members of a token's header that decide anything."""

    alg: str
    kid: str = ""
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Claims(msgspec.Struct, frozen=True):
    """The claims that decide anything. Times are seconds since 1970."""

    iss: str
    aud: str
    exp: int | float
    ver: str
    nbf: int | float | None = None
    iat: int | float | None = None
    tid: str | None = None
    appid: str | None = None
    azp: str | None = None
    roles: tuple[str, ...] = ()

    @property
    def caller(self) -> str:
        """The application that asked for the token: ``appid`` in version 1, ``azp`` in version 2."""
        return ((self.appid if self.ver == "1.0" else self.azp) or "").lower()


_HEADER = msgspec.json.Decoder(Header)
_CLAIMS = msgspec.json.Decoder(Claims)


class Issuer(NamedTuple):
    """Whose tokens an ``iss`` claim announces: a tenant (lower case) and the token version."""

    tenant: str
    version: str


@dataclass(frozen=True)
class Policy:
    """Which claims are accepted. Ids are lower case, audiences without a closing slash."""

    issuers: Mapping[str, Issuer]
    audiences: frozenset[str]
    apps: frozenset[str]
    roles: frozenset[str]

    def objections(self, claims: Claims, now: float) -> Iterator[str]:
        """Every cause for which ``claims`` are refused at ``now`` (seconds since 1970)."""
        issuer = self.issuers.get(claims.iss)
        if issuer is None or claims.ver != issuer.version or (claims.tid or issuer.tenant).lower() != issuer.tenant:
            yield "issuer"
        if canonical_audience(claims.aud) not in self.audiences:
            yield "audience"
        if claims.exp + SKEW_SECONDS <= now:
            yield "expired"
        if max(claims.nbf or 0, claims.iat or 0) - SKEW_SECONDS > now:
            yield "not_yet_valid"
        if claims.caller not in self.apps:
            yield "app"
        if self.roles and self.roles.isdisjoint(claims.roles):
            yield "role"


def policy(settings: Settings) -> Policy:
    """The policy that ``settings`` describe; their three lists must be set."""
    cloud = CLOUDS[settings.entra_cloud]
    issuers = {}
    for tenant in tenants(settings):
        issuers[cloud.issuer_v1.format(tenant)] = Issuer(tenant, "1.0")
        issuers[cloud.issuer_v2.format(tenant)] = Issuer(tenant, "2.0")
    return Policy(
        issuers,
        frozenset(canonical_audience(audience) for audience in settings.entra_audiences or ()),
        frozenset(app.lower() for app in settings.entra_allowed_app_ids or ()),
        frozenset(settings.entra_roles or ()),
    )


def tenants(settings: Settings) -> tuple[str, ...]:
    """The configured tenants, lower case, each once."""
    return tuple(dict.fromkeys(tenant.lower() for tenant in settings.entra_tenant_ids or ()))


def is_guid(text: str) -> bool:
    """Whether ``text`` is a GUID in its usual spelling with hyphens."""
    return _GUID.fullmatch(text) is not None


def canonical_audience(audience: str) -> str:
    """An audience for comparison: a client id in lower case, an address without its closing slash."""
    if is_guid(audience):
        return audience.lower()
    return audience.removesuffix("/") if "://" in audience else audience


def split_token(token: bytes) -> tuple[Header, Claims]:
    """Header and claims of a compact token, nothing verified. Raises ``Refused``."""
    if token.translate(None, _BASE64URL) != b"..":
        raise Refused("malformed")
    header, claims, signature = token.split(b".")
    if len(header) > MAX_HEADER_BYTES or not signature:
        raise Refused("malformed")
    return _part(header, _HEADER), _part(claims, _CLAIMS)


def _part(encoded: bytes, decoder: msgspec.json.Decoder[Part]) -> Part:
    try:
        return decoder.decode(base64.b64decode(encoded + b"=" * (-len(encoded) % 4), b"-_"))
    except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError, RecursionError):
        raise Refused("malformed") from None


class Keys(Protocol):
    """The signing keys of the listed tenants."""

    def key(self, tenant: str, kid: str) -> RSAKey | None:
        """The tenant's key of that id."""

    def want(self, tenant: str) -> None:
        """A token named a key that is not there: look for it in the background."""


def wall_clock() -> float:
    """Now, in seconds since 1970."""
    return datetime.now(UTC).timestamp()


class Verifier:
    """Judges tokens, and remembers the good ones by their digest until they expire."""

    def __init__(self, accepted: Policy, keys: Keys, now: Callable[[], float] = wall_clock) -> None:
        self._policy = accepted
        self._keys = keys
        self._now = now
        self._cache: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    def caller(self, token: bytes, digest: bytes) -> str:
        """The client id of the application that ``token`` admits; ``digest`` is its SHA-256. Raises ``Refused``."""
        known = self._cache.get(digest)
        if known is not None:
            until, app = known
            if self._now() < until:
                self._cache.move_to_end(digest)
                return app
            del self._cache[digest]
        claims = self._verified(token)
        self._remember(digest, claims.exp + SKEW_SECONDS, claims.caller)
        return claims.caller

    def forget(self) -> None:
        """Verify every token again: a key may have been withdrawn."""
        self._cache.clear()

    def _verified(self, token: bytes) -> Claims:
        """The claims of a good token. The signature comes before the claims, so that nobody can forge a cause."""
        header, claims = split_token(token)
        check_signature(token, self._key(header, claims))
        for cause in self._policy.objections(claims, self._now()):
            raise Refused(cause)
        return claims

    def _key(self, header: Header, claims: Claims) -> RSAKey:
        check_header(header)
        issuer = self._policy.issuers.get(claims.iss)
        if issuer is None:
            raise Refused("issuer")
        key = self._keys.key(issuer.tenant, header.kid)
        if key is None:
            self._keys.want(issuer.tenant)
            raise Refused("unknown_key")
        return key

    def _remember(self, digest: bytes, until: float, app: str) -> None:
        self._cache[digest] = (until, app)
        if len(self._cache) > CACHE_SIZE:
            self._cache.popitem(last=False)


def check_header(header: Header) -> None:
    """Only RS256, one key id of bounded length, no critical extension. Raises ``Refused``."""
    if header.alg != ALGORITHM:
        raise Refused("algorithm")
    if not 0 < len(header.kid) <= MAX_KID_LENGTH or header.crit is not msgspec.UNSET:
        raise Refused("malformed")


def check_signature(token: bytes, key: RSAKey) -> None:
    """Raise ``Refused`` unless ``key`` signed ``token`` with RS256."""
    try:
        jws.deserialize_compact(token, key, registry=_REGISTRY)
    except (JoseError, ValueError, RecursionError):
        raise Refused("signature") from None
