"""`sentra entra`: check the set-up and a token against it, print federated-credential subjects, explain errors.

The token that is checked is never shown; of its claims, those are shown that a check is about.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, NoReturn

import click
from joserfc.jwk import RSAKey

from sentra import entra as tokens
from sentra.auth import MAX_TOKEN_BYTES, auth_problems
from sentra.config import Settings, load_settings
from sentra.entra import Claims, Header, Policy
from sentra.entra_help import (
    AADSTS,
    CALLS,
    COPILOT_STUDIO,
    EXCHANGE_AUDIENCE,
    codes,
    endpoint_problems,
    federated_subject,
    read_subject,
)
from sentra.entra_keys import KeysError, KeySet, fetch_keys, keys_url, new_session
from sentra.errors import ConfigError, Refused

EXIT_REFUSED, EXIT_CONFIG = 1, 2
SHOWN_CHARACTERS = 200
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


class Check(NamedTuple):
    """The outcome of one check; ``fix`` is empty when it passed."""

    name: str
    text: str
    fix: str = ""


@click.group()
def entra() -> None:
    """Entra ID: check the set-up and a token, print subjects, explain errors."""


@entra.command()
@click.argument("token", required=False, envvar="ENTRA_TOKEN")
@click.option("--endpoint", help="Base address of the service: print the federated-credential subjects for it too.")
@click.option("--offline", is_flag=True, help="Fetch no keys; the signature is then not checked.")
@click.option("--explain", metavar="TEXT", help="An AADSTS code or message to explain too.")
def check(token: str | None, endpoint: str | None, offline: bool, explain: str | None) -> None:
    """Check that the keys can be fetched, and TOKEN against the settings in the environment.

    TOKEN is an access token, or - to read it from standard input, or the variable ENTRA_TOKEN; the last two keep it
    out of the shell's history. It is never shown. Exit code 0 when all is well, 1 when a check fails, 2 when the
    settings are wrong.
    """
    settings = _settings()
    key_sets: dict[str, KeySet] = {}
    checks = [] if offline else list(_key_checks(settings, key_sets))
    if token:
        checks += token_checks(
            _read(token), tokens.policy(settings), None if offline else key_sets, tokens.wall_clock()
        )
    for each in checks:
        _tell(each)
    if endpoint:
        for tenant in tokens.tenants(settings):
            _tell_subjects(tenant, endpoint)
    if explain:
        _tell_explanation(explain)
    sys.exit(_conclude(checks, bool(token), offline))


@entra.command()
@click.option("--endpoint", required=True, help="Base address of the service, as the admin centre has it.")
@click.option("--tenant", help="Tenant id; the default is SENTRA_ENTRA_TENANT_IDS.")
def subjects(endpoint: str, tenant: str | None) -> None:
    """Print the federated credentials to add to the app registration."""
    if tenant is not None and not tokens.is_guid(tenant):
        _fail([f"--tenant: {tenant!r}: expected the directory (tenant) id, a GUID"])
    for each in (tenant,) if tenant else tokens.tenants(_settings()):
        _tell_subjects(each, endpoint)


@entra.command()
@click.argument("text")
def explain(text: str) -> None:
    """Explain an AADSTS code, or a whole error message (- reads it from standard input)."""
    if not _tell_explanation(_read(text)):
        sys.exit(EXIT_REFUSED)


def _settings() -> Settings:
    """The settings of the environment, with Entra ID configured; ends the program when they are wrong."""
    try:
        settings, _ = load_settings()
    except ConfigError as error:
        _fail(error.problems)
    problems = list(auth_problems(settings))
    if settings.entra_tenant_ids is None and not problems:
        problems = [
            "Entra ID is not configured; set SENTRA_ENTRA_TENANT_IDS, SENTRA_ENTRA_AUDIENCES, SENTRA_ENTRA_ALLOWED_APP_IDS"
        ]
    if problems:
        _fail(problems)
    return settings


def _fail(problems: tuple[str, ...] | list[str]) -> NoReturn:
    for problem in problems:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {problem}", err=True)
    sys.exit(EXIT_CONFIG)


def _read(text: str) -> str:
    """``text``, or standard input when it is a hyphen."""
    return (sys.stdin.read(4 * MAX_TOKEN_BYTES) if text == "-" else text).strip()


def _tell(each: Check) -> None:
    mark = click.style("FAIL", fg="red", bold=True) if each.fix else click.style("ok  ", fg="green")
    click.echo(f"{each.name:<10} {mark} {each.text}")
    if each.fix:
        click.echo(f"{'':<10} fix: {each.fix}")


def _conclude(checks: list[Check], has_token: bool, offline: bool) -> int:
    failed = [each.name for each in checks if each.fix]
    subject = "the token" if has_token else "the set-up"
    if failed:
        click.echo(f"{subject} fails: {', '.join(failed)}")
        return EXIT_REFUSED
    reservation = " as far as can be told without keys" if offline else ""
    click.echo(f"{subject} is good{reservation}")
    return 0


def _key_checks(settings: Settings, found: dict[str, KeySet]) -> Iterator[Check]:
    """Fetch every tenant's keys into ``found``, one check each."""
    for tenant in tokens.tenants(settings):
        url = keys_url(settings, tenant)
        try:
            found[tenant] = asyncio.run(_fetch(url, tenant))
            yield Check("keys", f"{len(found[tenant])} signing keys at {url}")
        except KeysError as error:
            yield Check("keys", f"{url}: {error}", _key_fix(str(error)))


async def _fetch(url: str, tenant: str) -> KeySet:
    session = new_session()
    try:
        return await fetch_keys(session, url, tenant)
    finally:
        await session.close()


def _key_fix(problem: str) -> str:
    if "Certificate" in problem or "SSL" in problem:
        return "something between here and Entra ID replaces the certificate; make its CA known to this system"
    if "status 4" in problem:
        return "check the tenant id and SENTRA_ENTRA_CLOUD; the authority does not know this tenant"
    if "connection" in problem or "within" in problem:
        return "allow outgoing TCP 443 to this host and check its DNS; Sentra uses no proxy, SENTRA_ENTRA_AUTHORITY can name a mirror"
    return "the answer is not Entra ID's; look for a captive portal or a wrong SENTRA_ENTRA_AUTHORITY"


def token_checks(text: str, policy: Policy, key_sets: Mapping[str, KeySet] | None, now: float) -> Iterator[Check]:
    """Every check of one token at ``now`` (seconds since 1970); ``key_sets`` by tenant, or None to skip the signature."""
    raw = text.removeprefix("Bearer ").encode(errors="replace")
    if len(raw) > MAX_TOKEN_BYTES:
        yield Check(
            "format", f"{len(raw)} bytes", f"a token has at most {MAX_TOKEN_BYTES} bytes; send fewer groups or roles"
        )
        return
    try:
        header, claims = tokens.split_token(raw)
    except Refused:
        yield Check(
            "format",
            "this is no access token of Entra ID",
            "give a whole JWT: three parts with two dots, from one request",
        )
        return
    yield _header_check(header)
    yield _issuer_check(claims, policy, now)
    if key_sets is not None:
        yield from _signature_checks(raw, header, claims, policy, key_sets)
    yield from _claim_checks(claims, policy, now)


def _header_check(header: Header) -> Check:
    try:
        tokens.check_header(header)
    except Refused as refused:
        fix = "only RS256 is accepted" if refused.cause == "algorithm" else "the header needs one key id and no 'crit'"
        return Check(
            "format", f"algorithm {_shown(header.alg)}, key id {_shown(header.kid)}", fix + "; Entra ID's tokens are so"
        )
    return Check("format", f"algorithm {_shown(header.alg)}, key id {_shown(header.kid)}")


def _issuer_check(claims: Claims, policy: Policy, now: float) -> Check:
    text = f"{_shown(claims.iss)}, version {_shown(claims.ver)}, tenant {_shown(claims.tid)}"
    if "issuer" not in policy.objections(claims, now):
        return Check("issuer", text)
    accepted = ", ".join(policy.issuers)
    return Check("issuer", text, f"accepted are {accepted}: check SENTRA_ENTRA_TENANT_IDS and SENTRA_ENTRA_CLOUD")


def _signature_checks(
    raw: bytes, header: Header, claims: Claims, policy: Policy, key_sets: Mapping[str, KeySet]
) -> Iterator[Check]:
    issuer = policy.issuers.get(claims.iss)
    if issuer is None or issuer.tenant not in key_sets:
        yield Check(
            "signature", "not checked: no keys for this issuer", "put the issuer or the fetch of the keys right first"
        )
        return
    key: RSAKey | None = key_sets[issuer.tenant].get(header.kid)
    if key is None:
        yield Check(
            "signature",
            f"the tenant publishes no key {_shown(header.kid)}",
            "the token is older than the keys, from another tenant or cloud, or for another API (such as Microsoft Graph)",
        )
        return
    try:
        tokens.check_signature(raw, key)
    except Refused:
        yield Check("signature", "does not fit", "the token was changed, cut short or forged; get a new one")
        return
    yield Check("signature", "fits a published key")


def _claim_checks(claims: Claims, policy: Policy, now: float) -> Iterator[Check]:
    causes = set(policy.objections(claims, now))
    yield Check("audience", _shown(claims.aud), _audience_fix(policy) if "audience" in causes else "")
    yield Check("time", _lifetime(claims, now), _time_fix(causes))
    yield Check("app", _shown(claims.caller), _app_fix(claims, policy) if "app" in causes else "")
    if policy.roles:
        accepted = ", ".join(sorted(policy.roles))
        fix = f"assign the caller one of the app roles {accepted}, or change SENTRA_ENTRA_ROLES"
        yield Check("role", _shown(", ".join(claims.roles)), fix if "role" in causes else "")


def _audience_fix(policy: Policy) -> str:
    return (
        f"accepted are {', '.join(sorted(policy.audiences))}: if this address or id is yours, add it to "
        "SENTRA_ENTRA_AUDIENCES; it must be the Application ID URI (version 1) or the client id (version 2)"
    )


def _time_fix(causes: set[str]) -> str:
    if "expired" in causes:
        return "get a new token; if it is new, set this machine's clock"
    if "not_yet_valid" in causes:
        return "set this machine's clock: the token begins in the future"
    return ""


def _app_fix(claims: Claims, policy: Policy) -> str:
    if claims.caller == AZURE_CLI:
        return "this is a user's token from the Azure CLI, good to test the audience; the calls come with a token of your app"
    claim = "appid" if claims.ver == "1.0" else "azp"
    return f"accepted are {', '.join(sorted(policy.apps))}: if this {claim} is your app, add it to SENTRA_ENTRA_ALLOWED_APP_IDS"


def _lifetime(claims: Claims, now: float) -> str:
    try:
        begin, end = (
            datetime.fromtimestamp(stamp, UTC).isoformat(timespec="seconds") for stamp in (claims.nbf or 0, claims.exp)
        )
    except (ValueError, OverflowError, OSError):
        return "times that no calendar knows"
    return f"{begin} to {end}, {(claims.exp - now) / 60:.0f} minutes left"


def _shown(claim: str | None) -> str:
    """A claim in quotes, escaped and of bounded length."""
    if not claim:
        return "(none)"
    return ascii(claim if len(claim) <= SHOWN_CHARACTERS else claim[:SHOWN_CHARACTERS] + "...")


def _tell_subjects(tenant: str, endpoint: str) -> None:
    problems = [f"--endpoint: {endpoint!r}: {problem}" for problem in endpoint_problems(endpoint)]
    if problems:
        _fail(problems)
    click.echo(f"federated credentials for tenant {tenant}, scenario 'Other issuer', one for each subject:")
    click.echo(f"  issuer    https://login.microsoftonline.com/{tenant}/v2.0")
    click.echo(f"  audience  {EXCHANGE_AUDIENCE}")
    for call in CALLS:
        click.echo(f"  subject   {federated_subject(tenant, endpoint + call)}")
        click.echo(f"            (for {endpoint + call})")
    click.echo("Power Platform presents the first or the second; where it does is not documented, so add both.")


def _tell_explanation(text: str) -> bool:
    """Explain the codes and subjects in ``text``; whether there was any that is known."""
    known = [code for code in codes(text) if code in AADSTS]
    for code in known:
        click.echo(f"AADSTS{code}: {AADSTS[code].meaning}\n  fix: {AADSTS[code].remedy}")
    for tenant, caller, endpoint in read_subject(text):
        who = "Copilot Studio" if caller == COPILOT_STUDIO else f"application {caller}"
        click.echo(f"the subject names tenant {tenant}, {who}, endpoint {endpoint!a}")
    if not known:
        click.echo(f"no known code; known are {', '.join(f'AADSTS{code}' for code in AADSTS)}", err=True)
    return bool(known)
