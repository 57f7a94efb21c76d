"""The wire contract: request, response and error shapes with codecs made once.

Decoding is as lenient as the contract allows: to the caller an error means "allow", so whatever names a tool and
carries a planner context is judged, members may be null, missing or of an unexpected type.
"""

import math
import re
from typing import Any

import msgspec

from sentra.errors import LimitError, RequestError

API_VERSION = "2025-05-01"
MAX_ID_CHARS = 256


class PlannerContext(msgspec.Struct, gc=False):
    """What the planner knew. Microsoft's sample and live traffic spell the tool outputs differently."""

    userMessage: Any = None
    thought: Any = None
    chatHistory: Any = None
    previousToolsOutputs: Any = None
    previousToolOutputs: Any = None


class ToolDefinition(msgspec.Struct, gc=False):
    """The tool that is about to run. ``id`` is stable, ``name`` can be changed by a maker."""

    id: Any = None
    name: Any = None
    description: Any = None
    inputParameters: Any = None
    outputParameters: Any = None


class AnalyzeRequest(msgspec.Struct, gc=False):
    """One question of the orchestrator: may this tool call go ahead?"""

    plannerContext: PlannerContext
    toolDefinition: ToolDefinition
    inputValues: Any = None
    conversationMetadata: Any = None

    @property
    def tool_id(self) -> str:
        return self.toolDefinition.id if isinstance(self.toolDefinition.id, str) else ""

    @property
    def tool_name(self) -> str:
        return self.toolDefinition.name if isinstance(self.toolDefinition.name, str) else ""


class AnalyzeResponse(msgspec.Struct, omit_defaults=True):
    """The answer. ``diagnostics`` is a string that holds JSON, or that JSON itself in the ``legacy`` shape."""

    blockAction: bool
    reasonCode: int | None = None
    reason: str | None = None
    blockedBy: str | None = None
    diagnostics: str | msgspec.Raw | None = None


class ValidateResponse(msgspec.Struct):
    """The answer to the admin centre's check."""

    isSuccessful: bool
    status: str


class ErrorResponse(msgspec.Struct, omit_defaults=True):
    """The contract's error object."""

    errorCode: int
    message: str
    httpStatus: int
    diagnostics: str | None = None


encode = msgspec.json.Encoder().encode


def _number(text: str) -> float | str:
    """A float, or its text where the float would overflow: an error would mean "allow"."""
    number = float(text)
    return number if math.isfinite(number) else text


_decode = msgspec.json.Decoder(AnalyzeRequest, float_hook=_number).decode

_BOM = b"\xef\xbb\xbf"
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def decode_request(body: bytes) -> AnalyzeRequest:
    """Decode a request body; lone surrogate escapes become U+FFFD.

    Raises ``RequestError`` 4002 with the JSON path for whatever cannot be judged.
    """
    try:
        request = _decode_lenient(body)
    except UnicodeDecodeError:
        raise RequestError(400, 4002, "the body is not UTF-8") from None
    except RecursionError:
        raise LimitError("depth", 400, 4002, "the body is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise RequestError(400, 4002, f"the body is not a request: {error}") from None
    if not request.tool_id and not request.tool_name:
        raise RequestError(400, 4002, "the tool has no id and no name - at `$.toolDefinition`")
    return request


def _decode_lenient(body: bytes) -> AnalyzeRequest:
    if body.startswith(_BOM):
        body = body[len(_BOM) :]
    try:
        return _decode(body)
    except msgspec.DecodeError:
        mended = mend(body)
        if mended == body:
            raise
        return _decode(mended)


def request_tree(request: AnalyzeRequest) -> dict[str, Any]:
    """The members of ``request`` as plain JSON-like objects, without those that are null at the top."""
    return {
        name: {key: value for key, value in msgspec.structs.asdict(part).items() if value is not None}
        if isinstance(part, msgspec.Struct)
        else part
        for name, part in msgspec.structs.asdict(request).items()
        if part is not None
    }


def mend(body: bytes) -> bytes:
    """JSON with U+FFFD for every escape of half a surrogate pair, which other writers let through."""
    return _ESCAPE.sub(lambda m: rb"\ufffd" if m[1] else m[0], body)


class Identity(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Who asked and for what, as told by the request: every value a bounded string, or null."""

    tenant_id: str | None = None
    environment_id: str | None = None
    agent_id: str | None = None
    agent_name: str | None = None
    user_id: str | None = None
    channel_id: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    plan_id: str | None = None
    plan_step_id: str | None = None
    tool_id: str | None = None
    tool_name: str | None = None


def identity(request: AnalyzeRequest) -> Identity:
    """The identifying members of ``request``; each is cut at 256 characters."""
    metadata = _object(request.conversationMetadata)
    agent, user = _object(metadata.get("agent")), _object(metadata.get("user"))
    tool = request.toolDefinition
    told = (
        _text(agent.get("tenantId")) or user.get("tenantId"),
        agent.get("environmentId"),
        agent.get("id"),
        agent.get("name"),
        user.get("id"),
        metadata.get("channelId"),
        metadata.get("conversationId"),
        metadata.get("messageId"),
        metadata.get("planId"),
        metadata.get("planStepId"),
        tool.id,
        tool.name,
    )
    return Identity(
        *[value if type(value) is str and 0 < len(value) <= MAX_ID_CHARS else _text(value) for value in told]
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value[:MAX_ID_CHARS] if isinstance(value, str) and value else None
