"""Which Entra ID tokens are accepted, and why others are refused."""

import hashlib
import hmac
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from sentra import entra
from sentra.config import load_settings
from sentra.entra import Verifier, canonical_audience, policy
from sentra.entra_keys import parse_keys
from sentra.errors import Refused
from tests import jwks
from tests.jwks import CLIENT, ENTRA_ENV, OTHER_CLIENT, OTHER_TENANT, TENANT, claims_v1, claims_v2, token

NOW = 1_800_000_000.0


class StillKeys:
    """Keys that never change, and the tenants for which a key was wanted."""

    def __init__(self, *names: str) -> None:
        self.keys = parse_keys(jwks.key_set(*names), TENANT)
        self.wanted: list[str] = []

    def key(self, tenant: str, kid: str) -> RSAKey | None:
        return self.keys.get(kid) if tenant == TENANT else None

    def want(self, tenant: str) -> None:
        self.wanted.append(tenant)


class Clock:
    """A clock that is set."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def verifier(clock: Clock | None = None, keys: StillKeys | None = None, **env: str) -> Verifier:
    settings, _ = load_settings(ENTRA_ENV | env)
    return Verifier(policy(settings), keys or StillKeys("key-1"), clock or Clock())


def caller(checker: Verifier, bearer: str | bytes) -> str:
    raw = bearer if isinstance(bearer, bytes) else bearer.encode()
    return checker.caller(raw, hashlib.sha256(raw).digest())


def cause(checker: Verifier, bearer: str | bytes) -> str:
    """Why the token is refused; ``accepted`` when it is not."""
    try:
        caller(checker, bearer)
    except Refused as refused:
        return refused.cause
    return "accepted"


@pytest.mark.parametrize("claims", [claims_v1(NOW), claims_v2(NOW)], ids=["v1", "v2"])
def test_a_good_token_is_accepted(claims: dict[str, Any]) -> None:
    assert caller(verifier(), token(claims)) == CLIENT


GOOD = {
    "v1 with the closing slash of the audience": claims_v1(NOW, aud=jwks.AUDIENCE + "/"),
    "v1 with the client id as audience": claims_v1(NOW, aud=CLIENT),
    "v2 with the address as audience": claims_v2(NOW, aud=jwks.AUDIENCE),
    "an audience GUID in capitals": claims_v2(NOW, aud=CLIENT.upper()),
    "an app id in capitals": claims_v1(NOW, appid=CLIENT.upper()),
    "without tid": claims_v1(NOW, tid=None),
    "without nbf and iat": claims_v1(NOW, nbf=None, iat=None),
    "times with fractions": claims_v1(NOW, exp=NOW + 0.5, nbf=NOW - 0.5),
    "expired within the skew": claims_v1(NOW, exp=NOW - 59),
    "valid soon, within the skew": claims_v1(NOW, nbf=NOW + 59, iat=NOW + 59),
    "unknown claims of any shape": claims_v1(NOW, xms_ftd={"a": [1, None]}, scp="x", rh=1.5, groups=["g"]),
}


@pytest.mark.parametrize("claims", GOOD.values(), ids=GOOD.keys())
def test_accepted(claims: dict[str, Any]) -> None:
    assert caller(verifier(), token(claims)) == CLIENT


V2_ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
WRONG_CLAIM = {
    "v1 other tenant": ("issuer", claims_v1(NOW, iss=f"https://sts.windows.net/{OTHER_TENANT}/", tid=OTHER_TENANT)),
    "v2 other tenant": ("issuer", claims_v2(NOW, iss=V2_ISSUER.replace(TENANT, OTHER_TENANT))),
    "issuer without its slash": ("issuer", claims_v1(NOW, iss=f"https://sts.windows.net/{TENANT}")),
    "issuer of another cloud": ("issuer", claims_v1(NOW, iss=f"https://sts.chinacloudapi.cn/{TENANT}/")),
    "issuer with more behind it": ("issuer", claims_v2(NOW, iss=V2_ISSUER + "/x")),
    "issuer in capitals": ("issuer", claims_v2(NOW, iss=V2_ISSUER.upper())),
    "tid of another tenant": ("issuer", claims_v1(NOW, tid=OTHER_TENANT)),
    "v1 issuer with version 2": ("issuer", claims_v1(NOW, ver="2.0", azp=CLIENT)),
    "v2 issuer with version 1": ("issuer", claims_v2(NOW, ver="1.0", appid=CLIENT)),
    "unknown version": ("issuer", claims_v2(NOW, ver="3.0")),
    "other audience": ("audience", claims_v1(NOW, aud="https://other.contoso.example")),
    "audience with a longer path": ("audience", claims_v1(NOW, aud=jwks.AUDIENCE + "/api")),
    "audience that begins alike": ("audience", claims_v1(NOW, aud=jwks.AUDIENCE + ".evil.example")),
    "audience over http": ("audience", claims_v1(NOW, aud=jwks.AUDIENCE.replace("https", "http"))),
    "empty audience": ("audience", claims_v1(NOW, aud="")),
    "expired": ("expired", claims_v1(NOW, exp=NOW - 61)),
    "expired at the edge": ("expired", claims_v1(NOW, exp=NOW - 60)),
    "expired long ago": ("expired", claims_v1(NOW, exp=-1)),
    "not yet valid": ("not_yet_valid", claims_v1(NOW, nbf=NOW + 61)),
    "issued in the future": ("not_yet_valid", claims_v1(NOW, iat=NOW + 61)),
    "v1 other app": ("app", claims_v1(NOW, appid=OTHER_CLIENT)),
    "v2 other app": ("app", claims_v2(NOW, azp=OTHER_CLIENT)),
    "v1 without appid": ("app", claims_v1(NOW, appid=None)),
    "v1 with azp only": ("app", claims_v1(NOW, appid=None, azp=CLIENT)),
    "v2 with appid only": ("app", claims_v2(NOW, azp=None, appid=CLIENT)),
    "empty app": ("app", claims_v1(NOW, appid="")),
    "exp as text": ("malformed", claims_v1(NOW, exp=str(NOW + 900))),
    "exp as truth": ("malformed", claims_v1(NOW, exp=True)),
    "no exp": ("malformed", claims_v1(NOW, exp=None)),
    "nbf as text": ("malformed", claims_v1(NOW, nbf="0")),
    "iat as list": ("malformed", claims_v1(NOW, iat=[0])),
    "no aud": ("malformed", claims_v1(NOW, aud=None)),
    "aud as list": ("malformed", claims_v1(NOW, aud=[jwks.AUDIENCE])),
    "no iss": ("malformed", claims_v1(NOW, iss=None)),
    "no ver": ("malformed", claims_v1(NOW, ver=None)),
    "ver as number": ("malformed", claims_v1(NOW, ver=1.0)),
    "appid as list": ("malformed", claims_v1(NOW, appid=[CLIENT])),
    "roles as text": ("malformed", claims_v1(NOW, roles="Caller")),
    "claims as list": ("malformed", [claims_v1(NOW)]),
    "claims not JSON": ("malformed", b"aud=x"),
    "claims not UTF-8": ("malformed", b'{"aud": "\xff\xfe"}'),
    "claims with an infinite time": ("malformed", b'{"iss":"x","aud":"x","ver":"1.0","exp":1e400}'),
    "claims with NaN": ("malformed", b'{"iss":"x","aud":"x","ver":"1.0","exp":NaN}'),
    "claims nested deeply": ("malformed", b'{"x":' + b"[" * 4000 + b"]" * 4000 + b"}"),
}


@pytest.mark.parametrize(("expected", "claims"), WRONG_CLAIM.values(), ids=WRONG_CLAIM.keys())
def test_one_wrong_claim_is_refused_with_its_cause(expected: str, claims: Any) -> None:
    assert cause(verifier(), token(claims)) == expected


def test_a_huge_time_does_not_overflow() -> None:
    assert caller(verifier(), token(claims_v1(NOW, exp=10**40))) == CLIENT
    assert cause(verifier(), token(claims_v1(NOW, nbf=10**40))) == "not_yet_valid"


WRONG_HEADER = {
    "alg none": ("algorithm", {"alg": "none"}),
    "alg None": ("algorithm", {"alg": "None"}),
    "alg in small letters": ("algorithm", {"alg": "rs256"}),
    "alg RS512": ("algorithm", {"alg": "RS512"}),
    "alg PS256": ("algorithm", {"alg": "PS256"}),
    "alg ES256": ("algorithm", {"alg": "ES256"}),
    "no alg": ("malformed", {"alg": None}),
    "alg as list": ("malformed", {"alg": ["RS256"]}),
    "unknown kid": ("unknown_key", {"kid": "key-9"}),
    "no kid": ("malformed", {"kid": None}),
    "empty kid": ("malformed", {"kid": ""}),
    "kid as number": ("malformed", {"kid": 1}),
    "kid as list of the known": ("malformed", {"kid": ["key-1"]}),
    "giant kid": ("malformed", {"kid": "k" * 129}),
    "critical extension": ("malformed", {"crit": ["exp"], "exp": 1}),
    "critical extension null": ("malformed", {"crit": msgspec.Raw(b"null")}),
    "giant header": ("malformed", {"padding": "x" * 400}),
    "header nested deeply": ("malformed", {"x": msgspec.Raw(b"[" * 2000 + b"]" * 2000)}),
}


@pytest.mark.parametrize(("expected", "header"), WRONG_HEADER.values(), ids=WRONG_HEADER.keys())
def test_one_wrong_header_member_is_refused_with_its_cause(expected: str, header: dict[str, Any]) -> None:
    assert cause(verifier(), token(claims_v1(NOW), **header)) == expected


def test_a_header_with_members_of_no_meaning_is_accepted() -> None:
    ignored = {"nonce": "abc", "jku": "https://evil.example", "x": msgspec.Raw(b"[" * 90 + b"]" * 90)}
    assert caller(verifier(), token(claims_v1(NOW), **ignored)) == CLIENT


def test_hs256_with_the_public_key_as_secret_is_refused() -> None:
    head = {"typ": "JWT", "alg": "HS256", "kid": "key-1"}
    text = ".".join(jwks.b64u(msgspec.json.encode(part)) for part in (head, claims_v1(NOW)))
    for secret in (jwks.key_set("key-1"), jwks.jwk("key-1")["n"].encode()):
        forged = f"{text}.{jwks.b64u(hmac.digest(secret, text.encode(), 'sha256'))}"
        assert cause(verifier(), forged) == "algorithm"


def test_an_unsigned_token_is_refused() -> None:
    head, claims, _ = token(claims_v1(NOW), alg="none").split(".")
    assert cause(verifier(), f"{head}.{claims}.") == "malformed"
    assert cause(verifier(), f"{head}.{claims}.AAAA") == "algorithm"


def test_a_token_of_another_key_under_a_known_id_is_refused() -> None:
    assert cause(verifier(), token(claims_v1(NOW), signer="key-2", kid="key-1")) == "signature"


@pytest.mark.parametrize("header", [{"jku": "https://evil.example/keys"}, {"jwk": {"kty": "RSA"}}, {"x5c": ["MIIC"]}])
def test_keys_and_addresses_in_the_tokens_own_header_are_not_used(header: dict[str, Any]) -> None:
    assert cause(verifier(), token(claims_v1(NOW), signer="key-2", kid="key-1", **header)) == "signature"


def test_a_whole_key_in_the_header_makes_it_too_long() -> None:
    assert cause(verifier(), token(claims_v1(NOW), jwk=jwks.jwk("key-1"))) == "malformed"


@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "claims", "signature"])
def test_a_token_with_one_bit_changed_is_refused(part: int) -> None:
    parts = token(claims_v1(NOW)).split(".")
    middle = len(parts[part]) // 2
    swapped = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + swapped + parts[part][middle + 1 :]
    assert cause(verifier(), ".".join(parts)) in {"malformed", "signature", "issuer", "algorithm", "unknown_key"}


def test_a_signature_is_judged_before_the_claims_so_that_causes_cannot_be_forged() -> None:
    expired = token(claims_v1(NOW, exp=1, aud="x", appid="x"), signer="key-2", kid="key-1")
    assert cause(verifier(), expired) == "signature"


@pytest.mark.parametrize(
    "bearer", ["", ".", "..", "...", "a.b", "a.b.c.d", "a.b.c", "e30.e30.e30", "é.e30.e30", "e30.e30."]
)
def test_what_is_no_token_is_malformed(bearer: str) -> None:
    assert cause(verifier(), bearer) == "malformed"


@given(st.binary(max_size=300))
def test_bytes_never_raise_anything_but_a_refusal(raw: bytes) -> None:
    assert cause(verifier(), raw) in {"malformed", "algorithm"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


OUTCOMES: dict[str, set[str]] = {
    "iss": {"issuer"},
    "ver": {"issuer"},
    "tid": {"issuer"},
    "aud": {"audience"},
    "exp": {"expired"},
    "nbf": {"not_yet_valid"},
    "iat": {"not_yet_valid"},
    "appid": {"app"},
    "roles": set(),
}


@given(st.sampled_from(sorted(OUTCOMES)), json_values)
def test_a_signed_token_with_any_value_in_a_claim_is_judged(name: str, value: Any) -> None:
    outcomes = {"malformed", "accepted", *OUTCOMES[name]}
    assert cause(verifier(), token(claims_v1(NOW) | {name: value})) in outcomes
    if name in {"iss", "aud", "ver", "appid"}:
        assert cause(verifier(), token(claims_v1(NOW) | {name: value})) != "accepted"


def test_a_role_is_asked_for_only_when_configured() -> None:
    asking = verifier(SENTRA_ENTRA_ROLES="Caller,Tester")
    assert cause(asking, token(claims_v1(NOW))) == "role"
    assert cause(asking, token(claims_v1(NOW, roles=["caller", "Other"]))) == "role"
    assert caller(asking, token(claims_v1(NOW, roles=["Other", "Tester"]))) == CLIENT
    assert caller(verifier(), token(claims_v1(NOW, roles=["Other"]))) == CLIENT


@pytest.mark.parametrize(
    ("cloud", "v1", "v2"),
    [
        ("public", "https://sts.windows.net/{}/", "https://login.microsoftonline.com/{}/v2.0"),
        ("usgov", "https://sts.windows.net/{}/", "https://login.microsoftonline.us/{}/v2.0"),
        ("china", "https://sts.chinacloudapi.cn/{}/", "https://login.partner.microsoftonline.cn/{}/v2.0"),
    ],
)
def test_each_cloud_has_its_issuers_and_no_others(cloud: str, v1: str, v2: str) -> None:
    checker = verifier(SENTRA_ENTRA_CLOUD=cloud)
    assert caller(checker, token(claims_v1(NOW, iss=v1.format(TENANT)))) == CLIENT
    assert caller(checker, token(claims_v2(NOW, iss=v2.format(TENANT)))) == CLIENT
    for other in set(entra.CLOUDS) - {cloud}:
        foreign = entra.CLOUDS[other].issuer_v2.format(TENANT)
        assert cause(checker, token(claims_v2(NOW, iss=foreign))) == "issuer"


def test_a_tenant_in_capitals_is_the_same_tenant() -> None:
    assert caller(verifier(SENTRA_ENTRA_TENANT_IDS=TENANT.upper()), token(claims_v1(NOW))) == CLIENT


def test_a_key_of_one_tenant_does_not_sign_for_another() -> None:
    keys = StillKeys("key-1")
    checker = verifier(keys=keys, SENTRA_ENTRA_TENANT_IDS=f"{TENANT},{OTHER_TENANT}")
    foreign = claims_v1(NOW, iss=f"https://sts.windows.net/{OTHER_TENANT}/", tid=OTHER_TENANT)
    assert cause(checker, token(foreign)) == "unknown_key"
    assert keys.wanted == [OTHER_TENANT]


def test_only_an_unknown_key_id_of_a_listed_tenant_asks_for_keys() -> None:
    keys = StillKeys("key-1")
    for bearer in (
        token(claims_v1(NOW), kid="key-9", alg="none"),
        token(claims_v1(NOW, iss="https://sts.windows.net/x/"), kid="key-9"),
        token(claims_v1(NOW), kid="k" * 129),
        token(claims_v1(NOW, aud="x")),
    ):
        cause(verifier(keys=keys), bearer)
    assert keys.wanted == []
    cause(verifier(keys=keys), token(claims_v1(NOW), kid="key-9"))
    assert keys.wanted == [TENANT]


def test_an_accepted_token_is_accepted_from_memory_until_it_expires() -> None:
    clock, keys = Clock(), StillKeys("key-1")
    checker, bearer = verifier(clock, keys), token(claims_v1(NOW, exp=NOW + 100))
    caller(checker, bearer)
    keys.keys = {}
    clock.now = NOW + 159
    assert caller(checker, bearer) == CLIENT
    clock.now = NOW + 160
    assert cause(checker, bearer) == "unknown_key"


def test_forgetting_verifies_again() -> None:
    keys = StillKeys("key-1")
    checker, bearer = verifier(keys=keys), token(claims_v1(NOW))
    caller(checker, bearer)
    keys.keys = {}
    checker.forget()
    assert cause(checker, bearer) == "unknown_key"


def test_a_refused_token_is_not_remembered() -> None:
    keys = StillKeys("key-1")
    checker, bearer = verifier(keys=keys), token(claims_v1(NOW), signer="key-2")
    assert cause(checker, bearer) == "unknown_key"
    keys.keys = StillKeys("key-2").keys
    assert caller(checker, bearer) == CLIENT


def test_the_memory_of_tokens_is_bounded_and_keeps_the_used_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entra, "CACHE_SIZE", 3)
    keys = StillKeys("key-1")
    checker = verifier(keys=keys)
    bearers = [token(claims_v1(NOW, uti=str(number))) for number in range(4)]
    for bearer in (*bearers[:3], bearers[0], bearers[3]):
        caller(checker, bearer)
    keys.keys = {}
    assert [caller(checker, bearers[number]) for number in (0, 2, 3)] == [CLIENT] * 3
    assert cause(checker, bearers[1]) == "unknown_key"


def test_refused_tokens_leave_no_memory_behind() -> None:
    checker = verifier()
    bearers = [token(claims_v1(NOW), kid=f"other-{number}") for number in range(50)]
    for bearer in bearers:
        cause(checker, bearer)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        for bearer in bearers:
            cause(checker, bearer)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000


def test_a_refusal_holds_nothing_of_the_token() -> None:
    claims = claims_v1(NOW, aud="https://private.contoso.example", appid=OTHER_CLIENT)
    with pytest.raises(Refused) as refused:
        caller(verifier(), token(claims))
    assert str(refused.value) == repr(refused.value.cause).strip("'") == "audience"
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/x/", "https://a.example/x", True),
        ("https://a.example/X", "https://a.example/x", False),
        (CLIENT.upper(), CLIENT, True),
        (f"{CLIENT}/", CLIENT, False),
        ("https://a.example//", "https://a.example", False),
    ],
)
def test_audiences_are_compared_exactly_but_for_a_closing_slash_and_the_case_of_ids(
    one: str, other: str, same: bool
) -> None:
    assert (canonical_audience(one) == canonical_audience(other)) is same
