"""What an operator states about outside policy services: the entries of ``externalHttp``.

Only shapes and their defaults; what the values mean is checked where they are used, in ``sentra.plugins.external``.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sentra.findings import Source

Text = Annotated[str, Meta(min_length=1)]
Milliseconds = Annotated[float, Meta(gt=0, le=60_000)]
SourceList = Annotated[tuple[Source, ...], Meta(min_length=1)]


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """PEM files: authorities to trust instead of the system's, and a client certificate with its key."""

    ca: Text | None = None
    cert: Text | None = None
    key: Text | None = None
    serverName: Text | None = None


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask only for these; of several conditions all must hold. ``tools`` and ``findings`` are globs.

    ``tools`` match a tool's id or name, ``findings`` the rules that local plugins before this one found without
    blocking on them, ``sources`` the places that the request has text in.
    """

    tools: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    sources: SourceList | None = None
    findings: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None


class Items(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries of a list in the reply count: of one of ``types``, with a score of at least ``minScore``."""

    types: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    typeField: Text = "entity_type"
    minScore: float | None = None
    scoreField: Text = "score"


class BreakerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to stop asking a service that does not answer, and for how long.

    It opens when at least ``minCalls`` of the last ``window`` calls, none older than ``windowMs``, are known and
    ``failureRatio`` of them failed; after ``openMs`` one probe at a time goes through, and ``probes`` good ones close it.
    """

    failureRatio: Annotated[float, Meta(gt=0, le=1)] = 0.5
    minCalls: Annotated[int, Meta(ge=1, le=1000)] = 10
    window: Annotated[int, Meta(ge=1, le=1000)] = 20
    windowMs: Annotated[float, Meta(gt=0, le=3_600_000)] = 30_000
    openMs: Annotated[float, Meta(gt=0, le=3_600_000)] = 5_000
    probes: Annotated[int, Meta(ge=1, le=100)] = 1


class CacheOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long the same question is not asked again, and how many answers are kept."""

    seconds: Annotated[float, Meta(gt=0, le=86_400)]
    entries: Annotated[int, Meta(ge=1, le=100_000)] = 1_000


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One outside service. ``failOpen`` says what a failed call means: ``true`` allows, ``false`` blocks."""

    name: Annotated[str, Meta(pattern=r"^external_[a-z0-9][a-z0-9_]{0,48}$")]
    url: Text
    failOpen: bool
    preset: Literal["provider"] | None = None
    method: Literal["POST", "PUT"] = "POST"
    bearerToken: Text | None = None
    bearerTokenEnv: Text | None = None
    bearerTokenFile: Text | None = None
    headers: dict[str, str] = {}
    timeoutMs: Milliseconds = 500
    requestTemplate: Text | None = None
    blockField: Text | None = None
    nonEmptyPointerBlocks: bool = False
    threshold: float | None = None
    items: Items | None = None
    reasonCode: int = 801
    reason: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    tls: Tls = Tls()
    when: When = When()
    sources: SourceList | None = None
    allowHttp: bool = False
    allowPrivate: bool = False
    maxConcurrency: Annotated[int, Meta(ge=1, le=1000)] = 32
    maxReplyBytes: Annotated[int, Meta(ge=1, le=16_777_216)] = 262_144
    retry: bool = True
    breaker: BreakerOptions | bool = True
    cache: CacheOptions | None = None

    def __repr__(self) -> str:
        return f"Definition({self.name!r})"
