"""What an operator needs to set Entra ID up: federated-credential subjects, and what its errors mean.

Facts: the subject's form is the one that Copilot Studio presents, as printed in the AADSTS700213 errors of several
published set-ups; error codes are from Microsoft's list of AADSTS codes. The advice is ours.
"""

import base64
import binascii
import re
import uuid
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

CALLS = ("", "/validate", "/analyze-tool-execution")
COPILOT_STUDIO = "9d8f559b-5984-46a4-902a-ad4271e83efa"
EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"

_CODE = re.compile(r"(?:AADSTS)?(\d{5,8})")
_SUBJECT = re.compile(r"/eid1/c/pub/t/([A-Za-z0-9_-]{1,64})/a/([A-Za-z0-9_-]{1,64})/([A-Za-z0-9_-]{1,2048})")


def federated_subject(tenant: str, endpoint: str) -> str:
    """The subject that Copilot Studio presents for ``endpoint``: ids as .NET orders their bytes, all in base64url.

    >>> federated_subject("00000000-0000-0000-0000-000000000000", "https://a.example")
    '/eid1/c/pub/t/AAAAAAAAAAAAAAAAAAAAAA/a/m1WPnYRZpEaQKq1Cceg--g/aHR0cHM6Ly9hLmV4YW1wbGU'
    """
    ids = (uuid.UUID(tenant).bytes_le, uuid.UUID(COPILOT_STUDIO).bytes_le, endpoint.encode())
    tenant_part, caller_part, endpoint_part = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in ids)
    return f"/eid1/c/pub/t/{tenant_part}/a/{caller_part}/{endpoint_part}"


def read_subject(text: str) -> Iterator[tuple[str, str, str]]:
    """Tenant, calling application and endpoint of every subject in ``text``; the inverse of ``federated_subject``."""
    for match in _SUBJECT.finditer(text):
        try:
            tenant, caller, endpoint = (
                base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in match.groups()
            )
            yield str(uuid.UUID(bytes_le=tenant)), str(uuid.UUID(bytes_le=caller)), endpoint.decode()
        except (binascii.Error, ValueError):
            continue


def endpoint_problems(endpoint: str) -> Iterator[str]:
    """Why ``endpoint`` cannot be the base address that Copilot Studio is given."""
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
    except ValueError:
        yield "it is no address"
        return
    if parts.scheme != "https" or not host:
        yield "it must begin with https:// and a host name"
    if parts.query or parts.fragment or "@" in parts.netloc or any(blank in endpoint for blank in " \t\r\n"):
        yield "it must be scheme, host and path only"
    if endpoint.endswith("/"):
        yield "it must not end with a slash"
    if parts.path.endswith(CALLS[1:]):
        yield "it must be the base address: Power Platform appends /validate and /analyze-tool-execution itself"


class Explanation(NamedTuple):
    """What an AADSTS code means in this set-up, and what to do."""

    meaning: str
    remedy: str


AADSTS = {
    "50105": Explanation(
        "The application demands an assignment, and the signed-in user has none.",
        "Only a test with a user's token meets this. Assign the user under Enterprise applications > Users and groups.",
    ),
    "501051": Explanation(
        "The application demands an assignment, and the calling application has none.",
        "Under Enterprise applications > your application > Properties, switch 'Assignment required?' off, or assign "
        "the calling application an app role (and ask for it with SENTRA_ENTRA_ROLES).",
    ),
    "53003": Explanation(
        "A Conditional Access policy refuses the token.",
        "Exclude the application from policies for workload identities, or allow the caller's location in them.",
    ),
    "65001": Explanation(
        "Nobody consented that the client may use this API.",
        "Only a test with a user's token meets this. Under Expose an API > Authorized client applications add the "
        "client that asks for the token, with the scope of the API.",
    ),
    "90002": Explanation(
        "There is no such tenant in this cloud.",
        "Compare the tenant id with Entra ID > Overview, and SENTRA_ENTRA_CLOUD with the portal you use.",
    ),
    "500011": Explanation(
        "No application of the tenant has the requested address as its Application ID URI.",
        "Under Expose an API set the Application ID URI to exactly the endpoint that the admin centre has: https, a host "
        "in a verified domain, the same path, no slash at the end. The application's service principal must exist in "
        "the tenant (Enterprise applications).",
    ),
    "650057": Explanation(
        "The client may not ask for a token for this API.",
        "Only a test with a user's token meets this, for instance from the Azure CLI. Under Expose an API > Authorized "
        "client applications add that client with the scope of the API.",
    ),
    "700016": Explanation(
        "The tenant has no application of that client id.",
        "Compare the App ID in the admin centre with Application (client) ID of the registration, not its object id; the "
        "registration must be in the environment's tenant.",
    ),
    "70021": Explanation(
        "No federated credential of the application matches, or it is too new to be known everywhere.",
        "Wait five minutes after a change. Then compare issuer, subject and audience with `sentra entra subjects`.",
    ),
    "700211": Explanation(
        "No federated credential of the application names the issuer that was presented.",
        "The issuer must read https://login.microsoftonline.com/<tenant id>/v2.0 with the environment's tenant id, and "
        "no slash at the end.",
    ),
    "700212": Explanation(
        "No federated credential of the application names the audience that was presented.",
        f"The credential's audience must be {EXCHANGE_AUDIENCE}, not the address of the service.",
    ),
    "700213": Explanation(
        "No federated credential of the application has the subject that was presented.",
        "Add a credential with exactly the subject that the message quotes. Some environments present the base "
        "address, others the address with /validate: `sentra entra subjects` prints all. Upper and lower case count. "
        "Make a new credential instead of editing one, and wait five minutes.",
    ),
    "7000112": Explanation(
        "The application is disabled.",
        "Under Enterprise applications > your application > Properties, switch 'Enabled for users to sign-in?' on.",
    ),
    "7000215": Explanation(
        "A client secret was presented and is wrong.",
        "This set-up has no secrets: the caller proves itself by a federated credential. Whoever presented a secret is "
        "not Power Platform; a test of your own needs the secret's value, not its id.",
    ),
    "1002012": Explanation(
        "The scope was asked for in the form for users.",
        "An application asks for <Application ID URI>/.default.",
    ),
}


def codes(text: str) -> list[str]:
    """The digits of every AADSTS code in ``text``, or of ``text`` when it is bare digits; each once."""
    found = re.findall(r"AADSTS(\d{5,8})", text)
    bare = _CODE.fullmatch(text.strip())
    return list(dict.fromkeys([*found, *([bare[1]] if bare else [])]))
