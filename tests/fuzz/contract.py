"""The shapes that callers may rely on, written down apart from the code under test."""

import json
from typing import Any

import msgspec

from tests.fuzz.target import demand

STATUS = {2001: 401, 4000: 400, 4001: 413, 4002: 400, 4003: 408, 4004: 404, 4005: 405, 5031: 503}
DIAGNOSTICS = {"plugin", "ruleId", "source", "path", "masked", "view"}


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """The answer to a request that was judged."""

    blockAction: bool
    reasonCode: int | None = None
    reason: str | None = None
    blockedBy: str | None = None
    diagnostics: str | None = None


class Error(msgspec.Struct, forbid_unknown_fields=True):
    """The answer to a request that was not."""

    errorCode: int
    message: str
    httpStatus: int
    diagnostics: str | None = None


def decision(body: bytes) -> Decision:
    """The decision in ``body``, held to the contract."""
    told = msgspec.json.decode(body, type=Decision)
    because = (told.reasonCode, told.reason, told.blockedBy, told.diagnostics)
    if told.blockAction:
        demand(None not in because, "a block without a reason")
        members = json.loads(told.diagnostics or "")
        demand(isinstance(members, dict) and members.keys() <= DIAGNOSTICS, "diagnostics of another form")
    else:
        demand(because == (None,) * 4, "an allow with a reason")
    return told


def error(status: int, body: bytes) -> Error:
    """The error in ``body``, held to the contract."""
    told = msgspec.json.decode(body, type=Error)
    demand(told.httpStatus == status == STATUS.get(told.errorCode), f"error {told.errorCode} with status {status}")
    demand(0 < len(told.message) < 500, "an error message that is empty or endless")
    return told


def must_be_judged(body: bytes) -> bool:
    """Whether an independent reader takes ``body`` for a request: an error would let its tool call pass."""
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict):
        return False
    tool, planner = document.get("toolDefinition"), document.get("plannerContext")
    if not isinstance(tool, dict) or not isinstance(planner, dict):
        return False
    return any(isinstance(tool.get(key), str) and tool[key] for key in ("id", "name"))


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
