"""Targets between us and outside services: ``forward``, what they are sent; ``reply``, what they answer."""

import json
import math
from collections.abc import Iterable, Iterator
from functools import cache
from random import Random
from typing import Any

from sentra import wire
from sentra.errors import RequestError
from sentra.inspection import inspect
from sentra.plugins import Context
from sentra.plugins.external.reply import CallError, Reader
from sentra.plugins.external.template import FILLERS, Template
from sentra.scanner import Scanner
from tests.external import definition
from tests.fuzz import mutation, samples
from tests.fuzz.target import Native, Target, demand, within

INSIDE = ("userMessage", "thought", "toolId", "toolName", "agentId", "conversationId")
"""Placeholders that stand inside of quotes; all others stand for a whole value."""
KINDS = {"html", "not_json", "missing_field", "shape"}
READERS: tuple[dict[str, Any], ...] = (
    {},
    {"blockField": "allow"},
    {"blockField": "/result/0/score", "threshold": 0.8},
    {"blockField": "/", "nonEmptyPointerBlocks": True, "items": {"types": ["CARD"], "minScore": 0.5}},
    {"preset": "provider"},
)


@cache
def _template() -> Template:
    return Template(
        json.dumps({name: f"<${{{name}}}>" for name in INSIDE})[:-1]
        + "".join(f', "{name}": ${{{name}}}' for name in FILLERS if name not in INSIDE)
        + "}"
    )


@cache
def _no_rules() -> Scanner:
    return Scanner([])


def check_forward(body: bytes) -> Iterable[str]:
    """What is sent on is one JSON object with the template's members, each holding what the request says and no more."""
    try:
        request = wire.decode_request(body)
    except RequestError:
        return ["refused"]
    context = Context(request, _no_rules().scan(inspect(request)), body)
    with within():
        sent = json.loads(_template().render(context, None), parse_constant=_no_constant)
    demand(
        list(sent) == [*INSIDE, *(name for name in FILLERS if name not in INSIDE)], "other members than the template's"
    )
    demand(sent["toolName"] == f"<{request.tool_name}>", "another tool name than the request's")
    message = request.plannerContext.userMessage
    if isinstance(message, str):
        demand(sent["userMessage"] == f"<{message}>" and sent["userMessageJson"] == message, "another message was sent")
    given = request.inputValues
    if isinstance(given, dict):
        demand(isinstance(sent["inputJson"], dict) and sent["inputJson"].keys() == given.keys(), "other arguments")
    demand(isinstance(sent["requestJson"], dict) and "toolDefinition" in sent["requestJson"], "no request was sent")
    return [f"{name} {type(value).__name__}" for name, value in sent.items()]


def _no_constant(constant: str) -> Any:
    raise ValueError(constant)


@cache
def _reader(number: int) -> Reader:
    return Reader(definition(**READERS[number]))


def check_reply(data: bytes) -> Iterable[str]:
    """A reply of any bytes blocks, allows or is an error of a known kind; a plain boolean means what it says."""
    number, body = (data[0] if data else 0) % len(READERS), data[1:]
    with within():
        try:
            answer = _reader(number).read(body)
        except CallError as error:
            demand(error.kind in KINDS, "an error of another kind")
            demand(number or _said(body) is None, "a plain boolean was not understood")
            return [f"{number} {error.kind}"]
    demand(number or answer.block is _said(body), "another meaning than the boolean's")
    demand(len(answer.reason) <= 200 and answer.reason.isprintable(), "a reason that cannot be shown")
    demand(answer.label in ("", "CARD"), "a label that the service made up")
    demand(type(answer.reason_code) in (int, type(None)), "a reason code that is no number")
    return [f"{number} {answer.block} {answer.reason_code is None}"]


def _said(body: bytes) -> bool | None:
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    value = document.get("block") if isinstance(document, dict) else None
    return value if isinstance(value, bool) else None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _replies() -> Iterator[bytes]:
    documents: list[Any] = [
        {"block": True},
        {"allow": True},
        {"result": [{"score": 0.9}]},
        [[{"entity_type": "CARD", "score": 0.7}], {"entity_type": "OTHER"}],
        {"blockAction": True, "reasonCode": 12, "reason": "told so"},
    ]
    for number, document in enumerate(documents):
        yield bytes([number]) + json.dumps(document).encode()
    yield b"\0<html>busy</html>"


def _reply(data: bytes, random: Random, native: Native) -> bytes:
    lead = bytes([random.randrange(len(READERS))]) if random.random() < 0.1 else data[:1] or b"\0"
    return lead + mutation.document(data[1:], random, native)


FORWARD = Target("forward", check_forward, mutation.document, samples.requests)
REPLY = Target("reply", check_reply, _reply, _replies, most=2_000)
