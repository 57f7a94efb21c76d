"""Requests by description: bodies in the contract's shape, of a given size, the same on every machine."""

import random
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.setup import NEW
from bench.texts import SEED, STRUCTURES, ordinary, structure, text

FOLDER = Path(__file__).parent / "definitions"
GROUPS = ("curated", "worst", "growth")
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request to send and the answer that it must get.

    ``text`` names what stands at ``place``; an ordinary conversation surrounds it. ``sizes`` are of the whole body, as
    ``8k``. ``literals`` and ``patterns`` are operator rules to load beside the shipped ones. Without a ``reasonCode`` any code is right. Where
    ``capped``, a block is right too: the cap on confirm work depends on the speed of the machine. A later ``step`` of a
    plan has another thought, other arguments and another last output each time it is sent; the rest is what was sent before.
    """

    name: str
    why: str
    sizes: tuple[str, ...]
    answer: str
    text: str = "ordinary"
    place: str = "conversation"
    reasonCode: int | None = None
    errorCode: int | None = None
    capped: bool = False
    step: bool = False
    literals: int = 0
    patterns: int = 0


class Case(msgspec.Struct, frozen=True):
    """A definition at one of its sizes."""

    group: str
    definition: Definition
    size: int
    label: str

    @property
    def name(self) -> str:
        return f"{self.group}/{self.definition.name}/{self.label}"

    def body(self) -> bytes:
        """The request's bytes, ``size`` of them, or about as many for a value that cannot be cut anywhere."""
        return _body(self.definition, self.size)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    request: tuple[Definition, ...]


def cases(groups: tuple[str, ...] = GROUPS) -> Iterator[Case]:
    """All cases of ``groups``, in the order of the files."""
    for group in groups:
        document = tomllib.loads((FOLDER / f"{group}.toml").read_text("utf-8"))
        for definition in msgspec.convert(document, _File).request:
            for label in definition.sizes:
                yield Case(group, definition, parse_size(label), label)


def case(name: str) -> Case:
    """The case called ``group/definition/size``. Raises ``KeyError``."""
    found = {each.name: each for each in cases((name.partition("/")[0],))}
    return found[name]


def parse_size(label: str) -> int:
    """Bytes for a label as ``1.7k``, ``64k`` or ``1m``."""
    unit = label[-1] if label[-1] in UNITS else ""
    return int(float(label.removesuffix(unit)) * UNITS[unit])


def _body(definition: Definition, size: int) -> bytes:
    request = conversation(min(size, 1_200) if definition.place != "conversation" else size)
    if definition.place == "conversation":
        if definition.step:
            _renew(request)
        return _fitted(request, size)
    free = size - len(_encode(request))
    named = definition.text in STRUCTURES
    _put(request, definition.place, structure(definition.text, free) if named else text(definition.text, free))
    return _encode(request)


def _renew(request: dict[str, Any]) -> None:
    """Mark what is new in a step: the client writes other words for ``NEW`` in each request."""
    planner = request["plannerContext"]
    planner["thought"] += f" {NEW}"
    request["inputValues"]["body"] += f" {NEW}"
    value = planner["previousToolsOutputs"][-1]["outputs"][0]["value"] if planner["previousToolsOutputs"] else None
    for row in value if isinstance(value, list) else ():
        row["snippet"] += f" {NEW}"


def _put(request: dict[str, Any], place: str, value: Any) -> None:
    planner = request["plannerContext"]
    if place == "userMessage":
        planner["userMessage"] = value
    elif place == "history":
        planner["chatHistory"].insert(0, _turn("user", value, 0))
    elif place == "toolOutput":
        planner["previousToolsOutputs"].insert(0, _output(0, value))
    elif place == "inputValues":
        request["inputValues"]["document"] = value
    else:
        raise ValueError(f"{place!r}: expected conversation, userMessage, history, toolOutput or inputValues")


_encode = msgspec.json.Encoder().encode


def conversation(size: int) -> dict[str, Any]:
    """An ordinary request of at most about ``size`` bytes: turns and tool outputs as a conversation of that size has."""
    request = _small()
    rng, planner = random.Random(SEED), request["plannerContext"]
    left = size - len(_encode(request)) - 10
    number = 0
    while left > 260:
        number += 1
        if number % 3 == 2:
            added: Any = _output(number, _result(rng, min(left - 240, 6_000, size // 3)))
            planner["previousToolsOutputs"].append(added)
        else:
            words = ordinary(min(left - 150, rng.randrange(60, 700), size // 20), rng.randrange(1 << 30))
            added = _turn("user" if number % 2 else "assistant", words, number)
            planner["chatHistory"].append(added)
        left -= len(_encode(added)) + 1
    return request


def _fitted(request: dict[str, Any], size: int) -> bytes:
    """``request`` with so much more thought that its body is exactly ``size`` bytes."""
    short = size - len(_encode(request))
    thought = request["plannerContext"]["thought"]
    request["plannerContext"]["thought"] = thought + " " + ordinary(short - 1) if short > 1 else thought
    return _encode(request)


def _id(number: int) -> str:
    return str(uuid.UUID(int=random.Random(number).getrandbits(128), version=4))


def _stamp(number: int) -> str:
    return f"2026-05-02T14:{number // 60 % 60:02d}:{number % 60:02d}.{1758533 + number:07d}+00:00"


def _turn(role: str, content: Any, number: int) -> dict[str, Any]:
    return {"id": _id(number), "role": role, "content": content, "timestamp": _stamp(number)}


def _output(number: int, value: Any) -> dict[str, Any]:
    return {
        "toolId": "cra65_otpdemo.action.Search-Documents",
        "toolName": "Search-Documents",
        "outputs": [{"name": "results", "type": {"$kind": "Any"}, "value": value}],
        "timestamp": _stamp(number),
    }


def _result(rng: random.Random, size: int) -> Any:
    """What a search tool returns: rows with a title, a link, a score and a long snippet."""
    rows: list[dict[str, Any]] = []
    while size > 260:
        snippet = min(size - 180, rng.randrange(120, 1_600))
        rows.append(
            {
                "title": f"Minutes of the planning meeting, part {len(rows) + 1}",
                "url": f"https://intranet.example.com/docs/{rng.randrange(100, 999)}/view",
                "score": round(rng.random(), 3),
                "snippet": ordinary(snippet, rng.randrange(1 << 30)),
            }
        )
        size -= snippet + 180
    return rows or ordinary(max(size, 20), rng.randrange(1 << 30))


def _small() -> dict[str, Any]:
    parameter = {"name": "to", "description": "Who receives the message", "type": {"$kind": "String"}}
    return {
        "plannerContext": {
            "userMessage": "Please send the meeting notes to the planning team",
            "thought": "The user wants the notes sent, so a message goes to the team.",
            "chatHistory": [],
            "previousToolsOutputs": [],
        },
        "toolDefinition": {
            "id": "cra65_otpdemo.action.SendEmail-SendEmail",
            "name": "Send-an-Email",
            "type": "action",
            "description": "Sends a message",
            "inputParameters": [parameter],
            "outputParameters": [],
        },
        "inputValues": {"to": "planning@example.com", "subject": "Meeting notes", "body": "The notes are attached."},
        "conversationMetadata": {
            "agent": {
                "id": _id(1),
                "tenantId": _id(2),
                "environmentId": _id(3),
                "name": "Planner",
                "isPublished": True,
            },
            "user": {"id": _id(4), "tenantId": _id(2)},
            "conversationId": _id(6),
            "messageId": _id(7),
            "channelId": "msteams",
            "planId": _id(8),
            "planStepId": _id(9),
        },
    }
